"""What the products of a pass come to: how many there are, and how large their sums can be."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gscn.conv import ConvShape, Pass
from gscn.enums import takes_text


@takes_text
def count_useful_products(
    shape: ConvShape, which: Pass, first: np.ndarray, second: np.ndarray
) -> int:
    """Count the products of two nonzeros that belong to an element of the result.

    Parameters
    ----------
    shape, which
        The convolution and the pass.
    first, second
        Of the shapes `shape.operand_shapes(which)`; of any type with a zero.
    """
    if which is Pass.WEIGHT_GRAD:
        grads, inputs = (
            np.count_nonzero(one.reshape(shape.n, shape.groups, -1, *one.shape[2:]), axis=2)
            for one in (first, second)
        )
        return sum(int((grads * met).sum()) for _, met in _by_tap(shape, inputs))
    # Of each contracted channel: weights of a tap, and positions of the map that the tap meets.
    by_group = first.reshape(shape.groups, -1, *first.shape[1:])
    weights = np.count_nonzero(by_group, axis=1 if which is Pass.FORWARD else 2)
    weights = weights.reshape(-1, shape.r, shape.s)
    maps = np.count_nonzero(second, axis=0)
    if which is Pass.FORWARD:
        met = ((tap, one.sum(axis=(2, 3))[0]) for tap, one in _by_tap(shape, maps[None]))
    else:
        real = np.ones((1, 1, shape.h, shape.w), dtype=np.int64)
        met = ((tap, (maps * one[0]).sum(axis=(1, 2))) for tap, one in _by_tap(shape, real))
    return sum(int((weights[:, r, s] * positions).sum()) for (r, s), positions in met)


@takes_text
def largest_sum(shape: ConvShape, which: Pass, first: np.ndarray, second: np.ndarray) -> float:
    """Return the largest element of the pass on operands of a convolution without groups.

    Parameters
    ----------
    shape, which
        The convolution and the pass.
    first, second
        float64, none negative, of the shapes `shape.operand_shapes(which)`.
    """
    if which is Pass.WEIGHT_GRAD:
        return max(
            float(np.tensordot(first, inputs, ((0, 2, 3),) * 2).max())
            for _, inputs in _by_tap(shape, second)
        )
    if which is Pass.FORWARD:
        total = sum(
            np.tensordot(inputs, first[:, :, r, s], ((1,), (1,)))
            for (r, s), inputs in _by_tap(shape, second)
        )
        return float(np.max(total))
    whole = _padded(np.zeros(shape.x_shape), shape)
    for (r, s), met in _taps(shape, whole):
        met += np.tensordot(second, first[:, :, r, s], ((1,), (0,))).transpose(0, 3, 1, 2)
    rows, cols = shape.padding
    return float(whole[:, :, rows : rows + shape.h, cols : cols + shape.w].max())


def _padded(maps: np.ndarray, shape: ConvShape) -> np.ndarray:
    rows, cols = shape.padding
    return np.pad(maps, ((0, 0), (0, 0), (rows, rows), (cols, cols)))


def _by_tap(shape: ConvShape, maps: np.ndarray) -> Iterator[tuple[tuple[int, int], np.ndarray]]:
    """Yield each tap (r, s), and what of input maps (n, c, h, w) it meets: (n, c, p, q)."""
    return _taps(shape, _padded(maps, shape))


def _taps(shape: ConvShape, padded: np.ndarray) -> Iterator[tuple[tuple[int, int], np.ndarray]]:
    """Yield the same of padded maps, as views."""
    for r in range(shape.r):
        for s in range(shape.s):
            y, x = r * shape.dilation[0], s * shape.dilation[1]
            rows = slice(y, y + (shape.p - 1) * shape.stride[0] + 1, shape.stride[0])
            cols = slice(x, x + (shape.q - 1) * shape.stride[1] + 1, shape.stride[1])
            yield (r, s), padded[:, :, rows, cols]
