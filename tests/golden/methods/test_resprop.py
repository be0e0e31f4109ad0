"""ReSprop layers, alone and with SWAT, against a slow restatement, sample by sample."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from torch import nn
from torch.nn import functional

from gscn import golden
from gscn.errors import InputError
from gscn.golden.methods.resprop import GradientReuse, target_density


def reusing_conv(*shape, sparsity: float, seed: int = 0, swat: bool = False, **conv) -> nn.Module:
    extra = {"refresh_period": 1, "first_layer": "sparse"} if swat else {}
    method = "swat+resprop" if swat else "resprop"
    return golden.sparsify(nn.Conv2d(*shape, **conv), method, seed=seed, sparsity=sparsity, **extra)


GEOMETRIES = [
    {"kernel_size": 3, "stride": 1, "padding": 1, "dilation": 1},
    {"kernel_size": 3, "stride": 2, "padding": 1, "dilation": 1},
    {"kernel_size": (2, 3), "stride": (3, 1), "padding": (2, 0), "dilation": (1, 2)},
    {"kernel_size": 1, "stride": 2, "padding": 0, "dilation": 1},
]


def gradient(function, argument: torch.Tensor, upstream: torch.Tensor) -> torch.Tensor:
    variable = argument.detach().clone().requires_grad_()
    return torch.autograd.grad(function(variable), variable, upstream)[0]


def keep_largest(values: torch.Tensor, share: int) -> torch.Tensor:
    """Keep one element of `share`, by sorting."""
    values = values.detach()
    magnitudes = sorted(values.abs().flatten().tolist(), reverse=True)
    return values * (values.abs() >= magnitudes[-(-values.numel() // share) - 1])


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("with_swat", [False, True])
def test_conv_equals_restatement_while_threshold_and_gradient_evolve(geometry, with_swat):
    generator = torch.Generator().manual_seed(1)
    same_draws = torch.Generator().manual_seed(9)
    layer = reusing_conv(
        3, 4, **geometry, sparsity=0.75, seed=9, swat=with_swat, dtype=torch.float64
    )
    conv = {name: geometry[name] for name in ("stride", "padding", "dilation")}
    batch, reused, threshold, ups, downs = 5, None, 1e-7, 0, 0
    for _ in range(12):
        x = torch.randn(
            batch, 3, 7, 8, dtype=torch.float64, generator=generator, requires_grad=True
        )
        w_used = keep_largest(layer.weight, 4) if with_swat else layer.weight.detach()
        x_used = keep_largest(x, 4) if with_swat else x.detach()
        y = layer(x)
        upstream = 1e-6 * torch.randn(y.shape, dtype=torch.float64, generator=generator)
        layer.zero_grad()
        y.backward(upstream)

        zero = torch.zeros_like(upstream[0])
        shared = zero if reused is None else reused
        sparse = upstream
        if reused is not None:
            sparse = torch.stack(
                [torch.where((g - shared).abs() > threshold, g - shared, zero) for g in upstream]
            )
            nonzero_share = (sparse != 0).sum().item() / sparse.numel()
            ups += nonzero_share > 0.30
            downs += nonzero_share < 0.30
            threshold *= 2 if nonzero_share > 0.30 else 0.5 if nonzero_share < 0.30 else 1
        expected_w = torch.zeros_like(layer.weight)
        for n in range(batch):
            restored = (sparse[n] + shared)[None]
            torch.testing.assert_close(
                x.grad[n : n + 1],
                gradient(
                    lambda v, w=w_used: functional.conv2d(v, w, **conv), x[n : n + 1], restored
                ),
                rtol=1e-11,
                atol=1e-16,
            )
            expected_w += gradient(
                lambda v, one=x_used[n : n + 1]: functional.conv2d(one, v, **conv),
                layer.weight,
                restored,
            )
        torch.testing.assert_close(layer.weight.grad, expected_w, rtol=1e-11, atol=1e-16)
        torch.testing.assert_close(layer.bias.grad, upstream.sum((0, 2, 3)), rtol=1e-12, atol=0)
        torch.testing.assert_close(
            y.detach(), functional.conv2d(x.detach(), w_used, layer.bias.detach(), **conv)
        )
        reused = upstream[int(torch.randint(batch, (), generator=same_draws))]
        assert layer.gscn.gradient_sparsifier.threshold.item() == threshold
    assert ups, "the threshold never doubled"
    assert downs, "the threshold never halved"


def split(reuse: GradientReuse, *values: float) -> list[float]:
    """Pass one mini-batch, of any size, of single-number gradients; return S."""
    reuse._calls[0].batch_size = None
    sparse, _ = reuse(torch.tensor(values).reshape(-1, 1, 1, 1))
    return sparse.flatten().tolist()


def test_new_threshold_takes_effect_in_the_next_iteration():
    reuse = GradientReuse(0.55, torch.Generator().manual_seed(0))
    assert split(reuse, 0.0, 0.0) == [0.0, 0.0]
    reuse.threshold.fill_(1.0)
    # All differences exceed 1: more than half, so the threshold doubles, but not for this one.
    assert split(reuse, 1.5, 1.5) == [1.5, 1.5]
    assert reuse.threshold == 2.0
    # None exceeds 2: it halves.
    assert split(reuse, 0.25, 0.25) == [0.0, 0.0]
    assert reuse.threshold == 1.0
    # g is now 0.25; one of two is exactly the target, so the threshold stays.
    assert split(reuse, 4.25, 0.5) == [4.0, 0.0]
    assert reuse.threshold == 1.0


def test_difference_equal_to_the_threshold_is_dropped():
    reuse = GradientReuse(0.5, torch.Generator().manual_seed(0))
    split(reuse, 0.0)
    reuse.threshold.fill_(1.0)
    assert split(reuse, 1.0, -1.0, 1.125) == [0.0, 0.0, 1.125]


def test_reused_gradient_is_a_sample_of_the_previous_batch_and_every_sample_is_drawn():
    reuse = GradientReuse(0.5, torch.Generator().manual_seed(3))
    drawn = set()
    for iteration in range(40):
        values = [10.0 * iteration + sample for sample in range(4)]
        split(reuse, *values)
        assert reuse.reused_grad.item() in values
        drawn.add(reuse.reused_grad.item() - 10.0 * iteration)
    assert drawn == {0.0, 1.0, 2.0, 3.0}


def test_all_zero_gradients_never_leave_the_threshold_at_zero():
    reuse = GradientReuse(0.9, torch.Generator().manual_seed(0))
    for _ in range(200):
        assert split(reuse, 0.0, 0.0) == [0.0, 0.0]
    assert reuse.threshold == torch.finfo(torch.float32).tiny


def test_dense_iteration_passes_gradients_and_stores_one():
    reuse = GradientReuse(0.9, torch.Generator().manual_seed(0))
    split(reuse, 5.0)
    reuse.dense = True
    reuse._calls[0].batch_size = None
    gradient_in = torch.full((2, 1, 1, 1), 7.0)
    sparse, shared = reuse(gradient_in)
    assert shared is None
    assert torch.equal(sparse, gradient_in)
    assert reuse.reused_grad.item() == 7.0
    assert reuse.threshold == 1e-7


def test_evaluation_mode_leaves_state_and_gradients_alone():
    layer = reusing_conv(1, 2, 3, sparsity=0.9)
    layer.eval()
    layer(torch.ones(1, 1, 4, 4)).sum().backward()
    assert layer.gscn.gradient_sparsifier.reused_grad.numel() == 0
    assert layer.weight.grad.count_nonzero() == layer.weight.numel()


@pytest.mark.parametrize(
    ("epoch", "density"),
    [(0, "1"), (1, "1"), (2, "0.8"), (5, "0.5"), (7, "0.3"), (8, "0.25"), (9, "0.25")],
)
def test_warm_up_approaches_the_target(epoch, density):
    assert target_density(0.8, epoch=epoch, warm_up=True) == Fraction(density)
    assert target_density(0.8, epoch=epoch) == Fraction("0.25")


def test_warm_up_reaches_a_low_target_only_after_its_last_epoch():
    assert target_density(0.95, epoch=8, warm_up=True) == Fraction("0.2")
    assert target_density(0.95, epoch=9, warm_up=True) == Fraction("0.1")
    assert target_density(0.02) == 1


def test_schedule_makes_first_and_last_iteration_dense():
    network = nn.Sequential(reusing_conv(1, 1, 1, sparsity=0.5), nn.ReLU())
    found = []
    for iteration in range(4):
        dense = golden.begin_iteration(
            network, epoch=2, iteration=iteration, iterations_per_epoch=4
        )
        assert network[0].gscn.gradient_sparsifier.dense == dense
        found.append(dense)
    assert found == [True, False, False, True]
    network = golden.sparsify(nn.Conv2d(1, 1, 1), "resprop", sparsity=0.5, warm_up=True)
    assert network.gscn.gradient_sparsifier.target == 1
    golden.begin_iteration(network, epoch=3, iteration=1, iterations_per_epoch=4)
    assert network.gscn.gradient_sparsifier.target == Fraction("0.7")
    with pytest.raises(
        InputError, match=r"epoch must be at least 0, not -1; iteration must be .* 4"
    ):
        golden.begin_iteration(network, epoch=-1, iteration=4, iterations_per_epoch=4)


def test_state_dict_restores_gradient_threshold_and_draws():
    generator = torch.Generator().manual_seed(7)
    layer, other = (reusing_conv(2, 3, 3, sparsity=0.6, seed=seed, swat=True) for seed in (1, 2))

    def step(which, x):
        which.zero_grad()
        which(x).square().sum().backward()
        return which.weight.grad.clone()

    for _ in range(3):
        step(layer, torch.randn(4, 2, 5, 5, generator=generator))
    other.load_state_dict(layer.state_dict())
    for _ in range(3):
        x = torch.randn(4, 2, 5, 5, generator=generator)
        assert torch.equal(step(layer, x), step(other, x))
    assert torch.equal(*(one.gscn.gradient_sparsifier.reused_grad for one in (layer, other)))


def test_changed_image_or_mini_batch_size_is_refused():
    reuse = GradientReuse(0.5, torch.Generator())
    reuse(torch.zeros(2, 3, 4, 4))
    with pytest.raises(InputError, match=r"must keep the shape \(3, 4, 4\), not \(3, 5, 4\)"):
        reuse(torch.zeros(2, 3, 5, 4))
    with pytest.raises(InputError, match="must keep their 2 samples, not change to 3"):
        reuse(torch.zeros(3, 3, 4, 4))
    reuse.forget()
    reuse(torch.zeros(3, 3, 5, 4))


def test_sparsity_out_of_range_is_named():
    with pytest.raises(InputError, match=r"sparsity must be .* not 1\.5"):
        GradientReuse(1.5, torch.Generator())
