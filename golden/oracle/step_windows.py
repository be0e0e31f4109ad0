"""Windows of poolings that overlap, on tensors in the shapes of torch.

Implements: the walks SLIDING and HOLDING of `gscn.step`.
Differs: from any hardware in how it gets there; every window and position is looked up by itself.
"""

from __future__ import annotations

import numpy as np

from gscn.step import Encode, Walk


def segment_of(op: Encode) -> int:
    """Return the values that are reduced to one."""
    return len(_places(op, 0)[0]) * len(_places(op, 1)[0])


def result_size(op: Encode) -> tuple[int, int]:
    """Return rows and columns of the result: windows, or positions."""
    return len(_places(op, 0)), len(_places(op, 1))


def within(op: Encode) -> np.ndarray:
    """Return which rows of the matrix there are: bool (positions,)."""
    rows, cols = (_there(op, axis) for axis in range(2))
    both = rows[:, None, :, None] & cols[None, :, None, :]
    return np.broadcast_to(both, (op.shape[0], *both.shape)).reshape(-1)


def windows_of(op: Encode, codes: np.ndarray, *, of_windows: bool) -> np.ndarray:
    """Return the values of windows, or of the windows of positions, as a matrix in their order.

    Parameters
    ----------
    op
        The pass.
    codes
        In the shape of torch.
    of_windows
        They are of windows; otherwise of the positions themselves.
    """
    if not of_windows:
        own = codes[:, :, _positions(op, 0)[:, None], _positions(op, 1)]
        return own.transpose(0, 2, 3, 1).reshape(-1, codes.shape[1])
    rows, cols = (np.where(_there(op, axis), _places(op, axis), 0) for axis in range(2))
    found = codes[:, :, rows[:, None, :, None], cols[None, :, None, :]]
    matrix = found.transpose(0, 2, 3, 4, 5, 1).reshape(-1, codes.shape[1])
    return np.where(within(op)[:, None], matrix, 0).astype(codes.dtype)


def bits_of(op: Encode, bits: np.ndarray) -> np.ndarray:
    """Return bits that SLIDING wrote in the order of HOLDING."""
    sliding = op.sliding
    (rows, cols), channels = sliding.size, bits.shape[1]
    whole = bits.reshape(op.shape[0], *sliding.made, rows, cols, channels)
    down, across = (np.where(_there(op, axis), _places(op, axis), 0) for axis in range(2))
    # The row of a window at which it has a position.
    own = [
        np.where(
            _there(op, axis),
            _positions(op, axis)[:, None] + sliding.padding[axis]
            - _places(op, axis) * sliding.stride[axis],
            0,
        )
        for axis in range(2)
    ]  # fmt: skip
    found = whole[
        :, down[:, None, :, None], across[None, :, None, :], own[0][:, None, :, None],
        own[1][None, :, None, :],
    ]  # fmt: skip
    return found.reshape(-1, channels)


def put(op: Encode, whole: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return a map with results in their places."""
    found = whole.copy()
    found[:, :, _positions(op, 0)[:, None], _positions(op, 1)] = codes
    return found


def _positions(op: Encode, axis: int) -> np.ndarray:
    """Return the rows, or columns, of a map that are meant."""
    sliding, held = op.sliding, op.held
    first, count = (held.rows, held.cols)[axis]
    every = np.arange(op.shape[2 + axis])
    number, phase = np.divmod(every + sliding.padding[axis], sliding.stride[axis])
    return every[(phase == held.phase[axis]) & (number >= first) & (number < first + count)]


def _places(op: Encode, axis: int) -> np.ndarray:
    """Return the rows of each window, or the windows of each row: (results, values)."""
    sliding = op.sliding
    size, step, padding = sliding.size[axis], sliding.stride[axis], sliding.padding[axis]
    if op.walk is Walk.SLIDING:
        return np.arange(sliding.made[axis])[:, None] * step - padding + np.arange(size)
    last = (_positions(op, axis) + padding) // step
    before = np.arange(-(-(size - op.held.phase[axis]) // step))
    if op.held.window is not None:
        before = before[op.held.window[axis]][None]
    return last[:, None] - before


def _there(op: Encode, axis: int) -> np.ndarray:
    places = _places(op, axis)
    limit = op.shape[2 + axis] if op.walk is Walk.SLIDING else op.sliding.made[axis]
    return (places >= 0) & (places < limit)
