"""Methods under a scaler of the loss that a user's own training has."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from gscn import golden
from gscn.errors import InputError
from gscn.golden.methods.loss_scale import is_finite, split_unscaled


def trained(scaler: torch.amp.GradScaler | None, steps: int = 6) -> tuple[list[float], nn.Module]:
    torch.manual_seed(3)
    model = nn.Sequential(
        nn.Conv2d(2, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 3), nn.Flatten(), nn.Linear(16, 3)
    )
    golden.sparsify(model, "swat+resprop", sparsity=0.6, first_layer="sparse")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    golden.follow_scaler(model, scaler)
    schedule = golden.Schedule(model, optimizer, iterations_per_epoch=20)
    losses = []
    while schedule.iteration < steps:
        images = torch.randn(5, 2, 6, 6)
        loss = functional.cross_entropy(model(images), torch.tensor([0, 1, 2, 0, 1]))
        optimizer.zero_grad()
        if scaler is None:
            loss.backward()
            optimizer.step()
        else:
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        losses.append(loss.item())
    return losses, model


def test_a_scale_that_grows_changes_no_bit_of_a_training_in_float32():
    growing = torch.amp.GradScaler("cpu", init_scale=4.0, growth_interval=2)
    losses, model = trained(growing)
    assert growing.get_scale() == 32.0
    right, plain = trained(None)
    assert losses == right
    states = [m.state_dict() for m in (model, plain)]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_infinite_gradients_are_an_error_without_a_scaler_alone():
    layer = golden.sparsify(nn.Conv2d(1, 1, 1), "resprop", first_layer="sparse")
    output = layer(torch.ones(1, 1, 1, 1, requires_grad=True))
    infinite = torch.full_like(output, float("inf"))
    with pytest.raises(InputError, match="output gradients must be finite"):
        output.backward(infinite, retain_graph=True)
    for scaler in (torch.amp.GradScaler("cpu", enabled=False), None):
        golden.follow_scaler(layer, scaler)
        with pytest.raises(InputError, match="output gradients must be finite"):
            output.backward(infinite, retain_graph=True)
    scaler = torch.amp.GradScaler("cpu")
    scaler.scale(torch.ones(()))
    golden.follow_scaler(layer, scaler)
    assert copy.deepcopy(layer).gscn.scaler is None
    output.backward(infinite)
    assert not layer.weight.grad.isfinite().any()
    assert not layer.gscn.gradient_sparsifier.reused_grad.numel()


def test_gradients_of_16_bits_are_split_in_float32():
    seen = []

    def split(grad, call):
        seen.append((grad.dtype, call))
        return grad, grad[0]

    grad = torch.tensor([[2.0**-24, 1.0]], dtype=torch.float16)
    sparse, shared = split_unscaled(split, grad, 3, 2.0**10)
    assert seen == [(torch.float32, 3)]
    assert torch.equal(sparse, grad)
    assert torch.equal(shared, grad[0])
    assert split_unscaled(lambda g, _: (g, None), grad, 0, 1.0)[0] is grad


def test_finite_sums_that_overflow_are_told_from_infinities():
    assert is_finite(torch.full((4,), 3e38))
    assert not is_finite(torch.tensor([1.0, float("inf")]))
    assert not is_finite(torch.tensor([1.0, float("nan")]))


def test_other_scalers_are_refused():
    layer = golden.sparsify(nn.Conv2d(1, 1, 1), "dense")
    with pytest.raises(InputError, match=r"scaler must be a torch\.amp\.GradScaler"):
        golden.follow_scaler(layer, 2.0)
