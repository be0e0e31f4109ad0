"""Layers of every kind as convolutions of two dimensions: against torch's own gradients."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gscn import golden
from gscn.conv import Pass
from gscn.errors import InputError
from gscn.golden.methods.as_convolution import OtherArithmetic, as_convolution
from gscn.golden.methods.layers import attached_to
from gscn.golden.oracle.integers import convolve

LAYERS = {
    "conv2d": (lambda: nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0), (1, 2)), (3, 4, 9, 8)),
    "grouped": (lambda: nn.Conv2d(4, 6, 3, padding=1, groups=2), (3, 4, 5, 6)),
    "depthwise": (lambda: nn.Conv2d(3, 6, 3, 2, groups=3), (2, 3, 7, 6)),
    "same": (lambda: nn.Conv2d(2, 3, 2, padding="same"), (2, 2, 4, 5)),
    "circular": (lambda: nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"), (2, 2, 4, 5)),
    "conv1d": (lambda: nn.Conv1d(4, 6, 3, stride=2, padding=1, groups=2), (3, 4, 11)),
    "alone": (lambda: nn.Conv1d(4, 6, 3), (4, 11)),
    "transposed": (
        lambda: nn.ConvTranspose2d(4, 6, 3, (3, 2), 1, (2, 1), groups=2, dilation=(1, 2)),
        (3, 4, 4, 5),
    ),
    "transposed-1d": (lambda: nn.ConvTranspose1d(4, 6, 4, stride=2, padding=1), (3, 4, 5)),
    "linear": (lambda: nn.Linear(5, 7), (4, 5)),
    "tokens": (lambda: nn.Linear(5, 7), (2, 3, 4, 5)),
    "vector": (lambda: nn.Linear(5, 7), (5,)),
}


class Exact:
    """The oracle of integers, which knows convolutions of two dimensions alone."""

    def convolve(self, which, shape, first, second):
        assert [tuple(one.shape) for one in (first, second)] == list(shape.operand_shapes(which))
        return convolve(shape, which, first, second)

    def together(self, calls):
        return [call() for call in calls]


def small_integers(size, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-3, 4, tuple(size), generator=generator).double()


def step(layer, size):
    """Return outputs and gradients of a layer whose parameters and inputs are small integers."""
    for seed, parameter in enumerate(layer.parameters()):
        parameter.data = small_integers(parameter.shape, seed)
    inputs = small_integers(size, 7).requires_grad_()
    outputs = layer(inputs)
    outputs.backward(small_integers(outputs.shape, 8))
    return [outputs.detach(), inputs.grad, *(parameter.grad for parameter in layer.parameters())]


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_other_arithmetic_computes_what_torch_does(kind):
    make, size = LAYERS[kind]
    right = step(make(), size)
    layer = golden.sparsify(make(), "dense")
    attached_to(layer).arithmetic = Exact()
    found = step(layer, size)
    assert isinstance(attached_to(layer).geometry, OtherArithmetic)
    assert all(torch.equal(one, other) for one, other in zip(found, right, strict=True))


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_a_record_is_a_pass_of_a_convolution(kind):
    make, size = LAYERS[kind]
    layer = golden.sparsify(make(), "swat+resprop", sparsity=0.3, first_layer="sparse")
    attached = attached_to(layer)
    records, values = [], []

    def observe(record):
        records.append(as_convolution(record))
        total = record.result if record.precomputed is None else record.result + record.precomputed
        values.append(total)

    attached.observer = observe
    for _ in range(2):  # the second time, gradients are reused
        records.clear()
        values.clear()
        golden.begin_iteration(layer, epoch=0, iteration=1, iterations_per_epoch=9)
        step(layer, size)
    by_transposed = isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d)
    assert [record.which for _, record in records] == [
        which.of_transposed if by_transposed else which for which in Pass
    ]
    assert len({shape for shape, _ in records}) == 1
    for (shape, record), total in zip(records, values, strict=True):
        operands = record.first, record.second
        assert [tuple(o.shape) for o in operands] == list(shape.operand_shapes(record.which))
        assert torch.equal(convolve(shape, record.which, *operands), record.result)
        assert record.precomputed is not None
        whole = record.result + record.precomputed
        assert whole.shape == record.result.shape
        assert sorted(whole.flatten().tolist()) == sorted(total.flatten().tolist())


def test_convolutions_of_three_dimensions_say_why_there_is_none():
    layer = golden.sparsify(nn.Conv3d(2, 3, 2), "dense")
    attached_to(layer).arithmetic = Exact()
    with pytest.raises(InputError, match="layer Conv3d: in other arithmetic, kernel must have one"):
        layer(torch.zeros(1, 2, 3, 3, 3))
