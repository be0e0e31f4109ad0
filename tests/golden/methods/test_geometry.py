"""Kinds of layers: the passes of each are those of torch, and shapes are those of `ConvShape`."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from gscn.conv import ConvShape
from gscn.errors import InputError
from gscn.golden.methods.geometry import ConvGeometry, LinearGeometry


@pytest.mark.parametrize("inputs", [(2, 6, 9, 8), (6, 9, 8)])
def test_a_convolution_of_two_dimensions_has_its_own_numbers(inputs):
    geometry = ConvGeometry(stride=(2, 1), padding=(1, 0), dilation=(1, 1), groups=2)
    assert geometry.conv_shape(inputs, (4, 3, 3, 2)) == ConvShape(
        n=2 if len(inputs) == 4 else 1, c=6, h=9, w=8, k=4, r=3, s=2,
        stride=(2, 1), padding=(1, 0), dilation=(1, 1), groups=2,
    )  # fmt: skip


@pytest.mark.parametrize("inputs", [(2, 3, 9), (3, 9)])
def test_a_convolution_of_one_dimension_has_maps_of_one_column(inputs):
    geometry = ConvGeometry(stride=(2,), padding=(3,), dilation=(1,), groups=1)
    n = 2 if len(inputs) == 3 else 1
    assert geometry.conv_shape(inputs, (4, 3, 5)) == ConvShape(
        n=n, c=3, h=9, w=1, k=4, r=5, s=1, stride=(2, 1), padding=(3, 0)
    )


def test_what_is_no_convolution_of_two_dimensions_says_why():
    deep = ConvGeometry(stride=(1, 1, 1), padding=(0, 0, 0), dilation=(1, 1, 1), groups=1)
    with pytest.raises(InputError, match="kernel must have one or two dimensions, not 3"):
        deep.conv_shape((2, 3, 4, 4, 4), (5, 3, 1, 1, 1))
    longer = ConvGeometry(
        stride=(1,), padding=(0,), dilation=(3,), groups=1, transposed=True, output_padding=(2,)
    )
    with pytest.raises(InputError, match=r"output_padding must be .* less than the stride"):
        longer.conv_shape((2, 3, 4), (3, 5, 2))


def integers(*size: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(size))
    return torch.randint(-3, 4, size, generator=generator).double().requires_grad_()


def check_passes(geometry, inputs, weights, outputs):
    grad = integers(*outputs.shape).detach()
    outputs.backward(grad)
    with torch.no_grad():
        result, term = geometry.forward(inputs, weights, None)
        assert term is None
        assert torch.equal(result, outputs)
        assert torch.equal(geometry.input_grad(inputs.shape, weights, grad), inputs.grad)
        assert torch.equal(geometry.weight_grad(inputs, weights.shape, grad), weights.grad)


@pytest.mark.parametrize("groups", [1, 2])
def test_passes_of_a_transposed_convolution_are_those_of_torch(groups):
    inputs, weights = integers(2, 4, 5, 6), integers(4, 3, 3, 2)
    geometry = ConvGeometry(
        stride=(2, 1),
        padding=(1, 0),
        dilation=(1, 2),
        groups=groups,
        transposed=True,
        output_padding=(1, 0),
    )
    outputs = functional.conv_transpose2d(
        inputs, weights, None, (2, 1), (1, 0), (1, 0), groups, (1, 2)
    )
    check_passes(geometry, inputs, weights, outputs)
    filters = geometry.to_filters(weights)
    assert filters.shape == (3 * groups, 4 // groups, 3, 2)
    assert torch.equal(geometry.from_filters(filters).reshape(weights.shape), weights)


def test_passes_of_a_linear_layer_are_those_of_torch_on_any_leading_dimensions():
    inputs, weights = integers(2, 3, 4), integers(5, 4)
    check_passes(LinearGeometry(), inputs, weights, functional.linear(inputs, weights))
