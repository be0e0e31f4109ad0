"""Index arithmetic of one axis: which coordinates of two operands meet, and where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gscn.conv import ConvShape


@dataclass(frozen=True, slots=True)
class Side:
    """Phase and shift of every coordinate of one operand along an axis (int64 vectors)."""

    phase: np.ndarray
    shift: np.ndarray


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a convolution: kernel coordinate i and map coordinate j meet at a target.

    They meet if their phases are equal and `kernel.shift[i] + map.shift[j]` lies in
    `[0, extent)`. Kernel shifts are at most 0, so that the target is never beyond the map's shift.
    """

    kernel: Side
    map: Side
    extent: int

    @property
    def meets(self) -> np.ndarray:
        """Whether each map coordinate meets any kernel coordinate (bool vector)."""
        target = self.kernel.shift[:, None] + self.map.shift
        same = self.kernel.phase[:, None] == self.map.phase
        return (same & (target >= 0) & (target < self.extent)).any(axis=0)


def _phased(kernel: np.ndarray, rows: np.ndarray, phases: int, extent: int) -> Axis:
    """Axis on which only coordinates of the same of so many phases meet."""
    return Axis(
        Side(kernel % phases, -(kernel // phases)), Side(rows % phases, rows // phases), extent
    )


def gather_axis(shape: ConvShape, axis: int) -> Axis:
    """Axis whose targets are output coordinates and whose map is the input.

    A stride splits the input into phases; each kernel coordinate meets one of them.
    """
    kernel = np.arange((shape.r, shape.s)[axis]) * shape.dilation[axis]
    rows = np.arange((shape.h, shape.w)[axis]) + shape.padding[axis]
    return _phased(kernel, rows, shape.stride[axis], (shape.p, shape.q)[axis])


def kernel_axis(shape: ConvShape, axis: int) -> Axis:
    """Axis whose targets are kernel coordinates, whose map is the input, kernel the output.

    A dilation splits both into phases.
    """
    grads = np.arange((shape.p, shape.q)[axis]) * shape.stride[axis]
    rows = np.arange((shape.h, shape.w)[axis]) + shape.padding[axis]
    return _phased(grads, rows, shape.dilation[axis], (shape.r, shape.s)[axis])


def scatter_axis(shape: ConvShape, axis: int) -> Axis:
    """Axis whose targets are input coordinates and whose map is the output (or its gradient)."""
    stride, padding, dilation = shape.stride[axis], shape.padding[axis], shape.dilation[axis]
    kernel = np.arange((shape.r, shape.s)[axis]) * dilation
    rows = np.arange((shape.p, shape.q)[axis]) * stride - padding
    return Axis(
        Side(np.zeros_like(kernel), kernel - kernel[-1]),
        Side(np.zeros_like(rows), rows + kernel[-1]),
        (shape.h, shape.w)[axis],
    )
