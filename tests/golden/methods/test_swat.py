"""SWAT layers against a slow restatement of the method by torch's automatic differentiation."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from gscn import golden
from gscn.errors import InputError

GEOMETRIES = [
    {"kernel_size": 3, "stride": 1, "padding": 1, "dilation": 1},
    {"kernel_size": 3, "stride": 2, "padding": 1, "dilation": 1},
    {"kernel_size": (3, 2), "stride": (2, 3), "padding": (0, 2), "dilation": (2, 1)},
    {"kernel_size": 1, "stride": 2, "padding": 0, "dilation": 1},
]


def swat_conv(*shape, sparsity: float, refresh_period: int = 10, **conv) -> nn.Module:
    method = golden.SWAT(sparsity=sparsity, refresh_period=refresh_period, first_layer="sparse")
    return golden.sparsify(nn.Conv2d(*shape, **conv), method)


def swat_linear(*shape, sparsity: float, **linear) -> nn.Module:
    method = golden.SWAT(sparsity=sparsity, first_layer="sparse")
    return golden.sparsify(nn.Linear(*shape, **linear), method)


def sorted_threshold(values: torch.Tensor, count: int) -> float:
    return sorted(values.detach().abs().flatten().tolist(), reverse=True)[count - 1]


def keep(values: torch.Tensor, threshold: float) -> torch.Tensor:
    return values.detach() * (values.detach().abs() >= threshold)


def gradient(function, argument: torch.Tensor, upstream: torch.Tensor) -> torch.Tensor:
    variable = argument.detach().clone().requires_grad_()
    return torch.autograd.grad(function(variable), variable, upstream)[0]


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_conv_equals_restatement_while_thresholds_age(geometry):
    generator = torch.Generator().manual_seed(1)
    period, sparsity = 3, 0.75
    layer = swat_conv(
        4, 6, **geometry, sparsity=sparsity, refresh_period=period, dtype=torch.float64
    )
    conv = {name: geometry[name] for name in ("stride", "padding", "dilation")}
    weight_count = -(-layer.weight.numel() // 4)
    stale_selections = 0
    for iteration in range(7):
        x = torch.randn(3, 4, 9, 8, dtype=torch.float64, generator=generator, requires_grad=True)
        if iteration % period == 0:
            weight_threshold = sorted_threshold(layer.weight, weight_count)
            input_threshold = sorted_threshold(x, -(-x.numel() // 4))
        w_kept, x_kept = keep(layer.weight, weight_threshold), keep(x, input_threshold)
        stale_selections += int(w_kept.count_nonzero()) != weight_count
        y = layer(x)
        upstream = torch.randn(y.shape, dtype=torch.float64, generator=generator)
        layer.zero_grad()
        y.backward(upstream)
        close(y, functional.conv2d(x.detach(), w_kept, layer.bias.detach(), **conv))
        close(x.grad, gradient(lambda v, w=w_kept: functional.conv2d(v, w, **conv), x, upstream))
        close(
            layer.weight.grad,
            gradient(
                lambda v, kept=x_kept: functional.conv2d(kept, v, **conv), layer.weight, upstream
            ),
        )
        close(layer.bias.grad, upstream.sum((0, 2, 3)))
        with torch.no_grad():
            layer.weight -= 0.05 * layer.weight.grad / layer.weight.grad.abs().max()
    assert stale_selections, "no reused threshold selected another number of weights"


def test_first_layer_needs_no_input_gradient():
    layer = swat_conv(2, 3, 3, sparsity=0.5)
    layer(torch.randn(2, 2, 5, 5, generator=torch.Generator().manual_seed(0))).sum().backward()
    assert layer.weight.grad.count_nonzero() > 0


def test_linear_equals_restatement_with_exact_thresholds_every_iteration():
    generator = torch.Generator().manual_seed(2)
    layer = swat_linear(10, 7, sparsity=0.6, dtype=torch.float64)
    for _ in range(3):
        x = torch.randn(5, 10, dtype=torch.float64, generator=generator, requires_grad=True)
        w_kept = keep(layer.weight, sorted_threshold(layer.weight, 28))
        x_kept = keep(x, sorted_threshold(x, 20))
        assert (int(w_kept.count_nonzero()), int(x_kept.count_nonzero())) == (28, 20)
        upstream = torch.randn(5, 7, dtype=torch.float64, generator=generator)
        layer.zero_grad()
        y = layer(x)
        y.backward(upstream)
        close(y, functional.linear(x.detach(), w_kept, layer.bias.detach()))
        close(x.grad, upstream @ w_kept)
        close(layer.weight.grad, upstream.T @ x_kept)
        close(layer.bias.grad, upstream.sum(0))
        with torch.no_grad():
            layer.weight -= 0.1 * layer.weight.grad


def test_linear_accepts_more_dimensions():
    generator = torch.Generator().manual_seed(3)
    layer = swat_linear(6, 4, sparsity=0.5, dtype=torch.float64)
    x = torch.randn(2, 3, 6, dtype=torch.float64, generator=generator)
    upstream = torch.randn(2, 3, 4, dtype=torch.float64, generator=generator)
    layer(x).backward(upstream)
    folded = upstream.reshape(6, 4).T @ keep(x, sorted_threshold(x, 18)).reshape(6, 6)
    close(layer.weight.grad, folded)


def test_ties_at_the_threshold_are_all_kept():
    layer = swat_conv(1, 1, 2, sparsity=0.5, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[[[2.0, -1.0], [1.0, 1.0]]]]))
    assert layer(torch.ones(1, 1, 2, 2)).item() == 3.0
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[[[2.0, -1.0], [0.5, 0.25]]]]))
    layer.gscn.operand_sparsifier.iteration = 0
    assert layer(torch.ones(1, 1, 2, 2)).item() == 1.0


def test_all_zero_tensors_give_zero_gradients():
    layer = swat_conv(2, 2, 3, padding=1, sparsity=0.9)
    torch.nn.init.zeros_(layer.weight)
    x = torch.zeros(2, 2, 4, 4, requires_grad=True)
    layer(x).sum().backward()
    assert layer.weight.grad.count_nonzero() == 0
    assert x.grad.count_nonzero() == 0
    assert layer.gscn.operand_sparsifier.weight_threshold == 0


def test_activations_are_selected_over_the_whole_mini_batch():
    layer = swat_conv(1, 1, 1, sparsity=0.5, bias=False)
    x = torch.stack([torch.full((1, 2, 2), 0.1), torch.full((1, 2, 2), 5.0)])
    layer(x).sum().backward()
    assert layer.weight.grad.item() == 20.0


def test_evaluation_uses_exactly_the_largest_weights_and_leaves_the_state_alone():
    layer = swat_conv(3, 4, 3, sparsity=0.8, refresh_period=100, dtype=torch.float64)
    x = torch.randn(2, 3, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    layer(x)
    with torch.no_grad():
        layer.weight *= 3  # The stored threshold would now keep more.
    state = {name: value.clone() for name, value in layer.state_dict().items()}
    layer.eval()
    kept = keep(layer.weight, sorted_threshold(layer.weight, 22))
    assert int(kept.count_nonzero()) == 22
    close(layer(x).detach(), functional.conv2d(x, kept, layer.bias.detach()))
    assert all(torch.equal(value, state[name]) for name, value in layer.state_dict().items())


def test_state_dict_carries_thresholds_and_iteration():
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(2, 3, 5, 5, generator=generator)
    layer, other = (swat_conv(3, 4, 3, sparsity=0.8, refresh_period=4) for _ in range(2))
    layer(x)
    with torch.no_grad():
        layer.weight *= 0.5
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other(x), layer(x))
    assert other.gscn.operand_sparsifier.iteration == 2
    fresh = swat_conv(3, 4, 3, sparsity=0.8)
    fresh.load_state_dict({**fresh.state_dict(), "weight": layer.weight, "bias": layer.bias})
    assert not torch.equal(fresh(x), layer(x)), "the aged threshold must matter in this test"


def test_sparsity_zero_is_dense_even_with_an_old_threshold():
    layer = swat_conv(2, 2, 1, sparsity=0.0, bias=False)
    x = torch.ones(1, 2, 1, 1)
    layer(x)
    with torch.no_grad():
        layer.weight *= 0.5
    assert torch.equal(layer(x), functional.conv2d(x, layer.weight))


@pytest.mark.parametrize("sparsity", [-0.1, 1.0, float("nan")])
def test_sparsity_out_of_range_is_named(sparsity):
    with pytest.raises(InputError, match="sparsity must be at least 0 and less than 1, not"):
        swat_conv(1, 1, 1, sparsity=sparsity)


def test_other_bad_arguments_are_named():
    with pytest.raises(InputError, match=r"refresh_period must be a whole number of .* 1, not 0"):
        swat_conv(1, 1, 1, sparsity=0.5, refresh_period=0)
    with pytest.raises(InputError, match=r"inputs must have the shape \(N, 2, H, W\)"):
        swat_conv(2, 1, 1, sparsity=0.5)(torch.zeros(1, 3, 4, 4))
    with pytest.raises(InputError, match=r"inputs must have the shape \(N, ..., 2\)"):
        swat_linear(2, 1, sparsity=0.5)(torch.zeros(3, 3))
