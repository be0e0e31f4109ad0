"""Passes of small convolutions of every kind, whose results are torch's in double precision."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from gscn.conv import ConvShape, Pass
from gscn.golden.traces.arrays import PassTrace

SHAPES = {
    "plain": ConvShape(n=2, c=3, h=6, w=5, k=4, r=3, s=3, padding=(1, 1)),
    "strided": ConvShape(n=2, c=2, h=7, w=8, k=3, r=3, s=2, stride=(2, 2), padding=(1, 0)),
    "wide": ConvShape(n=1, c=2, h=9, w=7, k=2, r=2, s=3, stride=(3, 2), dilation=(2, 1)),
    "pointwise": ConvShape(n=2, c=4, h=5, w=5, k=3, r=1, s=1, stride=(2, 2)),
    "grouped": ConvShape(n=2, c=4, h=5, w=5, k=6, r=3, s=3, padding=(1, 1), groups=2),
    "depthwise": ConvShape(n=1, c=3, h=5, w=6, k=3, r=3, s=3, stride=(2, 1), groups=3),
}


def recorded(shape: ConvShape, which: Pass, seed: int = 0) -> PassTrace:
    """Return a pass of integers, two thirds of them zeros; its result is exact."""
    rng = np.random.default_rng(seed)
    first, second = (
        (rng.integers(-8, 9, size) * (rng.random(size) < 1 / 3)).astype(np.float32)
        for size in shape.operand_shapes(which)
    )
    return PassTrace(
        which=which,
        first=first,
        second=second,
        result=_result(shape, which, first, second),
        precomputed=None,
    )


def _result(shape: ConvShape, which: Pass, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the convolution, by torch's automatic differentiation."""
    one, two = torch.from_numpy(first).double(), torch.from_numpy(second).double()
    weights = torch.zeros(shape.w_shape) if which is Pass.WEIGHT_GRAD else one
    inputs = torch.zeros(shape.x_shape) if which is Pass.INPUT_GRAD else two
    weights, inputs = weights.double().requires_grad_(), inputs.double().requires_grad_()
    out = functional.conv2d(
        inputs, weights, None, shape.stride, shape.padding, shape.dilation, shape.groups
    )
    if which is Pass.FORWARD:
        return out.detach().float().numpy()
    out.backward(two if which is Pass.INPUT_GRAD else one)
    return (inputs if which is Pass.INPUT_GRAD else weights).grad.float().numpy()
