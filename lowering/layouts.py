"""Operands of a pass in the order in which strips hold them, and results back from theirs.

Forward: the stream holds the input, its phases of rows and columns as channels, so that what is
left has stride 1; weights have their taps turned round, and zeros for taps that a phase lacks.
Input gradient: the stream holds the output gradient, weights have their taps as they are. Weight
gradient: both are maps; if the input is the stream, taps of the results are turned round. Dilated
taps of weights have zeros between, those of a weight gradient are passes of their own
(`lowering.axes`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gscn.conv import ConvShape
from gscn.lowering.axes import Axis, Cut, KernelGeometry
from gscn.passes import VECTOR


class Grouping(NamedTuple):
    """How channels are cut into groups."""

    channels: int
    real: int
    """Channels of a group that are some; the others are zeros."""
    vectors: int
    """log2 of the vectors of a group."""

    @property
    def lanes(self) -> int:
        """Channels of a group, zeros included."""
        return VECTOR << self.vectors

    @property
    def groups(self) -> int:
        """Groups."""
        return -(-self.channels // self.real)


def spread(tensor: np.ndarray, grouping: Grouping) -> np.ndarray:
    """Cut the last axis of a tensor into groups: (groups, ..., lanes)."""
    groups, real, lanes = grouping.groups, grouping.real, grouping.lanes
    out = np.zeros((groups, *tensor.shape[:-1], lanes), dtype=tensor.dtype)
    for group in range(groups):
        part = tensor[..., group * real : (group + 1) * real]
        out[group, ..., : part.shape[-1]] = part
    return out


def gather(groups: np.ndarray, grouping: Grouping) -> np.ndarray:
    """Undo `spread`."""
    real = np.moveaxis(groups, 0, -2)[..., : grouping.real]
    return real.reshape(*real.shape[:-2], -1)[..., : grouping.channels]


def stream_of(geometry: KernelGeometry, second: np.ndarray) -> np.ndarray:
    """Return the stream of a forward pass or an input gradient.

    Parameters
    ----------
    geometry
        Of the pass.
    second
        Inputs (N, C, H, W), or output gradients (N, K, P, Q).

    Returns
    -------
    numpy.ndarray
        (N, rows, columns, channels with their phases).
    """
    if not geometry.forward:
        return _outputs(second, geometry.y, geometry.x)
    y, kept_y = _rows(geometry.y, second.shape[2], turned=True)
    x, kept_x = _rows(geometry.x, second.shape[3], turned=True)
    taken = second[:, :, y[:, :, None, None], x]
    taken = np.where(kept_y[:, :, None, None] & kept_x, taken, 0).astype(second.dtype, copy=False)
    # From (N, C, phase, row, phase, column).
    ordered = taken.transpose(0, 3, 5, 2, 4, 1)
    return np.ascontiguousarray(ordered).reshape(*ordered.shape[:3], -1)


def weights_of(geometry: KernelGeometry, weights: np.ndarray) -> np.ndarray:
    """Return weights (K, C, R, S) as (contracted channel, tap row, tap column, result channel)."""
    y, x = geometry.y, geometry.x
    major = weights if geometry.forward else weights.transpose(1, 0, 2, 3)
    out = np.zeros(
        (len(y.phases), len(x.phases), y.taps, x.taps, *major.shape[:2]), dtype=weights.dtype
    )
    for r, phase_y, tap_y in y.places:
        for s, phase_x, tap_x in x.places:
            out[phase_y, phase_x, tap_y, tap_x] = major[:, :, r, s]
    ordered = np.ascontiguousarray(out.transpose(0, 1, 5, 2, 3, 4))
    return ordered.reshape(geometry.contracted, y.taps, x.taps, geometry.channels)


def put_results(geometry: KernelGeometry, results: np.ndarray, whole: np.ndarray) -> None:
    """Put results (N, rows, columns, channels) where they belong in the result of the pass.

    Parameters
    ----------
    geometry
        Of what computed them.
    results
        Those of all its tiles.
    whole
        (N, channels, rows, columns) of the convolution; what is not computed is left as it is.
    """
    y, x = geometry.y, geometry.x
    by_channel = results.transpose(0, 3, 1, 2)
    if geometry.forward:
        rows = slice(y.out_low, y.out_low + y.out_count)
        whole[:, :, rows, x.out_low : x.out_low + x.out_count] = by_channel
        return
    rows_y, kept_y = _rows(y, whole.shape[2], turned=False)
    rows_x, kept_x = _rows(x, whole.shape[3], turned=False)
    kept = by_channel[:, :, kept_y[0]][:, :, :, kept_x[0]]
    whole[:, :, rows_y[0, kept_y[0], None], rows_x[0, kept_x[0]]] = kept


def _rows(axis: Axis, size: int, *, turned: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of the input (phases, rows of a phase), and which of them some tap uses."""
    numbers = axis.low + np.arange(axis.count)
    rows = numbers * axis.cut + np.array(axis.phases)[:, None] - axis.padding
    used = np.zeros(rows.shape, dtype=np.bool_)
    for _, phase, tap in axis.places:
        out = numbers - (axis.taps - 1 - tap if turned else tap)
        used[phase] |= (out >= 0) & (out <= (axis.outputs - 1) * axis.step) & (out % axis.step == 0)
    used &= (rows >= 0) & (rows < size)
    return np.where(used, rows, 0), used


def _outputs(grads: np.ndarray, y: Axis | Cut, x: Axis | Cut) -> np.ndarray:
    """Return output gradients (N, K, P, Q) as (N, rows, columns, K), only those that are needed."""
    rows = slice(y.out_low, y.out_low + y.out_count)
    part = grads[:, :, rows, x.out_low : x.out_low + x.out_count]
    return np.ascontiguousarray(part.transpose(0, 2, 3, 1))


def grad_outputs(grads: np.ndarray, cuts: tuple[Cut, Cut]) -> np.ndarray:
    """Return the output gradients (N, rows, columns, K) that phases of the inputs meet."""
    return _outputs(grads, *cuts)


def grad_input(
    inputs: np.ndarray, cuts: tuple[Cut, Cut], used: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Return one phase of the inputs (N, C, H, W) as (N, rows, columns, C).

    Parameters
    ----------
    inputs
        The inputs.
    cuts
        Which phase of rows and of columns.
    used
        bool (H,) and (W,): rows and columns that some tap uses.
    """
    places, kept = [], []
    for cut, used_rows in zip(cuts, used, strict=True):
        rows = (cut.low + np.arange(cut.count)) * cut.cut + cut.phase - cut.padding
        real = (rows >= 0) & (rows < len(used_rows))
        rows = np.where(real, rows, 0)
        places.append(rows)
        kept.append(real & used_rows[rows])
    taken = inputs[:, :, places[0][:, None], places[1]]
    taken = np.where(kept[0][:, None] & kept[1], taken, 0).astype(inputs.dtype, copy=False)
    return np.ascontiguousarray(taken.transpose(0, 2, 3, 1))


def used_rows(shape: ConvShape) -> tuple[np.ndarray, np.ndarray]:
    """Return which rows (H,) and columns (W,) of the input meet a tap of some output, as bool."""
    masks = []
    for axis in range(2):
        size, kernel, out = (
            (shape.h, shape.r, shape.p),
            (shape.w, shape.s, shape.q),
        )[axis]
        stride, padding, dilation = (
            shape.stride[axis], shape.padding[axis], shape.dilation[axis],
        )  # fmt: skip
        rows = np.arange(out)[:, None] * stride + np.arange(kernel) * dilation - padding
        mask = np.zeros(size, dtype=np.bool_)
        mask[rows[(rows >= 0) & (rows < size)]] = True
        masks.append(mask)
    return masks[0], masks[1]
