"""A pass of any layer as one of a two-dimensional convolution, which is what a trace holds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from torch import Tensor

from gscn.conv import ConvShape, Pass
from gscn.golden.methods.geometry import (
    ConvGeometry,
    LinearGeometry,
    OtherArithmetic,
    convolution_shape,
)
from gscn.golden.methods.passes import Geometry, PassRecord
from gscn.golden.traces.arrays import PassTrace


def as_convolution(record: PassRecord, *, copied: bool) -> tuple[ConvShape, PassTrace] | None:
    """Return what a pass is as a pass of a two-dimensional convolution.

    A linear layer is a 1x1 convolution of as many samples as it has vectors, on maps of one pixel;
    a convolution of one dimension has maps of one row.

    Parameters
    ----------
    record
        Of a pass of a layer.
    copied
        Whether the arrays are to hold when the tensors of the record have changed; otherwise they
        may share their memory.

    Returns
    -------
    (ConvShape, PassTrace) or None
        float32 arrays, as in `ConvShape.operand_shapes`. None if the layer is no such convolution:
        grouped, transposed, or of three dimensions.
    """
    geometry = record.geometry
    if isinstance(geometry, OtherArithmetic):
        geometry = geometry.geometry
    found = _views(geometry)
    if found is None:
        return None
    of_maps, of_weights = found
    is_weight_grad = record.which is Pass.WEIGHT_GRAD
    first = (of_maps if is_weight_grad else of_weights)(record.first)
    second = of_maps(record.second)
    of_results = of_weights if is_weight_grad else of_maps
    result, term = of_results(record.result), record.precomputed
    if term is not None:
        # A bias is one for all vectors; ReSprop's term has one for each of a sample's.
        each = of_results is _of_vectors and term.ndim > 1
        term = of_results(term.expand_as(record.result) if each else term)
    inputs = result if record.which is Pass.INPUT_GRAD else second
    weights = result if is_weight_grad else first
    shape = _shape(geometry, inputs, weights)

    def array(tensor: Tensor) -> np.ndarray:
        values = tensor.detach().cpu().float().contiguous()
        return (values.clone() if copied else values).numpy()

    return shape, PassTrace(
        which=record.which,
        first=array(first),
        second=array(second),
        result=array(result),
        precomputed=None if term is None else array(term),
    )


View = Callable[[Tensor], Tensor]


def _views(geometry: Geometry) -> tuple[View, View] | None:
    """Return what makes maps of inputs and outputs, and what makes kernels of weights."""
    if isinstance(geometry, LinearGeometry):
        return _of_vectors, lambda weights: weights[..., None, None]
    assert isinstance(geometry, ConvGeometry)
    if geometry.groups != 1 or geometry.transposed:
        return None
    if len(geometry.stride) == 1:
        return _with_row, _with_row
    return None if len(geometry.stride) == 3 else (_as_it_is, _as_it_is)


def _of_vectors(tensor: Tensor) -> Tensor:
    return tensor.reshape(-1, tensor.shape[-1], 1, 1)


def _with_row(tensor: Tensor) -> Tensor:
    return tensor.unsqueeze(-2)


def _as_it_is(tensor: Tensor) -> Tensor:
    return tensor


def _shape(geometry: Geometry, inputs: Tensor, weights: Tensor) -> ConvShape:
    """Return the shape of a convolution of maps and kernels."""
    stride, padding, dilation = (1, 1), (0, 0), (1, 1)
    if isinstance(geometry, ConvGeometry):
        stride, dilation = ((1, *each)[-2:] for each in (geometry.stride, geometry.dilation))
        padding = (0, *geometry.padding)[-2:]
    return convolution_shape(
        inputs.shape, weights.shape, stride=stride, padding=padding, dilation=dilation
    )
