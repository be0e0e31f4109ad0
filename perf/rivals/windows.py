"""The windows of a map that a pass multiplies with kernels, without a strided pass's zeros."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gscn.conv import ConvShape, Pass
from gscn.enums import takes_text


@takes_text
def gathers(shape: ConvShape, which: Pass, axis: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield by phase which kernel coordinates are met and the map coordinate of (result, kernel).

    For forward and input gradient. The results of one phase meet the same kernel coordinates; a
    strided input gradient has a phase for each remainder of the result's coordinate. A map
    coordinate on the padding is the size of the map: a row of zeros is expected there.
    """
    stride, padding, dilation = shape.stride[axis], shape.padding[axis], shape.dilation[axis]
    taps = np.arange((shape.r, shape.s)[axis])
    if which is Pass.FORWARD:
        size, results = (shape.h, shape.w)[axis], np.arange((shape.p, shape.q)[axis])
        places = results[:, None] * stride - padding + taps * dilation
        yield taps, np.where((places >= 0) & (places < size), places, size)
        return
    size = (shape.p, shape.q)[axis]
    for phase in range(stride):
        results = np.arange(phase, (shape.h, shape.w)[axis], stride)
        met = taps[(phase + padding - taps * dilation) % stride == 0]
        if met.size and results.size:
            places = (results[:, None] + padding - met * dilation) // stride
            yield met, np.where((places >= 0) & (places < size), places, size)


def met_inputs(shape: ConvShape, inputs: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the inputs (N, C, P, Q) that each kernel position meets, row by row of the kernel."""
    padded = np.pad(inputs, ((0, 0), (0, 0), *((size, size) for size in shape.padding)))
    for r in range(shape.r):
        for s in range(shape.s):
            y, x = r * shape.dilation[0], s * shape.dilation[1]
            yield padded[
                :,
                :,
                y : y + (shape.p - 1) * shape.stride[0] + 1 : shape.stride[0],
                x : x + (shape.q - 1) * shape.stride[1] + 1 : shape.stride[1],
            ]
