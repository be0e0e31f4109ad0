"""Convolutions of a single kernel position, whose pixels may be numbered in any order.

With a 1x1 kernel an output pixel meets one input pixel and no other. Such a pass is a product of
matrices of channels and pixels, whatever the order of the pixels and the places they come from. An
order that suits the accelerator is chosen here, and pixels that meet nothing are told apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gscn.conv import ConvShape

MOST_PIXELS = 1 << 13
"""Pixels, of all samples, up to which a pass is numbered anew: beyond, a pass is long enough for
its beginning and end not to matter, and planning pixel by pixel would take long."""
_KEY_COST = 8.0
"""Stationary entries, of all channels, that load in the time of a pixel's keys, about: two bytes
each in the directory of every PE that needs one, against four of an entry."""
_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True, slots=True)
class Pixels:
    """Output pixels that meet an input pixel, and these, through all samples (int64 vectors)."""

    sample: np.ndarray
    out_row: np.ndarray
    out_col: np.ndarray
    in_row: np.ndarray
    in_col: np.ndarray

    @classmethod
    def of(cls, shape: ConvShape) -> Pixels:
        """Collect them in the order of the output; `shape` has a 1x1 kernel."""
        rows, cols = (_met(shape, axis) for axis in range(2))
        sample, row, col = (
            index.ravel()
            for index in np.meshgrid(
                np.arange(shape.n), np.arange(rows[0].size), np.arange(cols[0].size), indexing="ij"
            )
        )
        return cls(sample, rows[0][row], cols[0][col], rows[1][row], cols[1][col])

    def outputs(self, maps: np.ndarray) -> np.ndarray:
        """Return the pixels (channels, pixels) of maps (N, K, P, Q)."""
        return maps.transpose(1, 0, 2, 3)[:, self.sample, self.out_row, self.out_col]

    def inputs(self, maps: np.ndarray) -> np.ndarray:
        """Return the pixels (channels, pixels) of maps (N, C, H, W)."""
        return maps.transpose(1, 0, 2, 3)[:, self.sample, self.in_row, self.in_col]

    def take(self, order: np.ndarray) -> Pixels:
        """Return the pixels in another order."""
        return Pixels(
            self.sample[order],
            self.out_row[order],
            self.out_col[order],
            self.in_row[order],
            self.in_col[order],
        )


def _met(shape: ConvShape, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Return output coordinates that meet an input coordinate, and those, along an axis."""
    output = np.arange((shape.p, shape.q)[axis])
    where = output * shape.stride[axis] - shape.padding[axis]
    inside = (where >= 0) & (where < (shape.h, shape.w)[axis])
    return output[inside], where[inside]


def is_pointwise(shape: ConvShape) -> bool:
    """Whether the pixels of a convolution are numbered anew."""
    if shape.r != 1 or shape.s != 1:
        return False
    rows, cols = (_met(shape, axis)[0].size for axis in range(2))
    return 0 < shape.n * rows * cols <= MOST_PIXELS


def matrix_shape(shape: ConvShape, pixels: Pixels) -> ConvShape:
    """Return the convolution of a single column of pixels that does the same."""
    return ConvShape(n=1, c=shape.c, h=pixels.sample.size, w=1, k=shape.k, r=1, s=1)


def as_maps(matrix: np.ndarray) -> np.ndarray:
    """Return a matrix (channels, pixels) as maps (1, channels, pixels, 1)."""
    return np.ascontiguousarray(matrix)[None, :, :, None]


def as_matrices(
    shape: ConvShape, grads: np.ndarray, inputs: np.ndarray
) -> tuple[ConvShape, np.ndarray, np.ndarray]:
    """Return a weight gradient as that of maps of one column, whose pixels keep their order.

    Parameters
    ----------
    shape
        A convolution that `is_pointwise`.
    grads, inputs
        Output gradients (N, K, P, Q) and inputs (N, C, H, W).

    Returns
    -------
    tuple of ConvShape, numpy.ndarray, numpy.ndarray
        A convolution with the same weight gradient, and its operands.
    """
    pixels = Pixels.of(shape)
    first, second = pixels.outputs(grads), pixels.inputs(inputs)
    return matrix_shape(shape, pixels), as_maps(first), as_maps(second)


def contract_pixels(
    shape: ConvShape, grads: np.ndarray, inputs: np.ndarray, *, grads_held: bool
) -> tuple[ConvShape, np.ndarray, np.ndarray]:
    """Order the pixels of a weight gradient by what their load is worth, most first.

    Nothing hides a job's first load block: it should be small and keep the multipliers busy for
    long. Pixels without products, which need not be loaded at all, come last.

    Parameters
    ----------
    shape
        A convolution that `is_pointwise`.
    grads, inputs
        Output gradients (N, K, P, Q) and inputs (N, C, H, W).
    grads_held
        Whether the gradients are stationary, or else the inputs.

    Returns
    -------
    tuple of ConvShape, numpy.ndarray, numpy.ndarray
        A convolution with the same weight gradient, and its operands.
    """
    matrix, first, second = as_matrices(shape, grads, inputs)
    counts = [np.count_nonzero(maps, axis=1).ravel() for maps in (first, second)]
    held = counts[0] if grads_held else counts[1]
    worth = counts[0] * counts[1] / (held + _KEY_COST)
    order = np.argsort(-worth, kind="stable")
    return matrix, first[:, :, order], second[:, :, order]


def spread(work: np.ndarray) -> np.ndarray:
    """Order items so that every run of neighbours has its share of light and heavy ones.

    Parameters
    ----------
    work
        float64 work of each item.

    Returns
    -------
    numpy.ndarray
        int64 permutation. The item of rank i by work comes at the fraction i / golden ratio of the
        sequence, whole turns left out, which spreads the ranks of any run evenly.
    """
    by_work = np.argsort(-work, kind="stable")
    return by_work[np.argsort(np.arange(work.size) * _GOLDEN % 1.0, kind="stable")]
