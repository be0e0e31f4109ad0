"""Rows, or columns, of a pass: which are in memory, for which they count, and the taps between.

An axis of a convolution joins input rows i, output rows p and taps r by
`i = p * stride + r * dilation - padding`. What a pass keeps of its maps is one row in `cut` of
each phase that has a tap: stored row v of phase a is row `(low + v) * cut + a - padding`. Plain
integers, so that a driver can do the same.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

from gscn.conv import ConvShape, Pass
from gscn.errors import InputError

MOST_TAPS = 16
"""Tap rows, or columns, of a pass."""
MOST_STEP = 255
"""Rows for which one row of a stream may count."""


class Axis(NamedTuple):
    """Rows or columns of a forward pass or an input gradient."""

    cut: int
    """Rows of the input from one row of a phase to the next."""
    phases: tuple[int, ...]
    """Phases that have a tap."""
    padding: int
    low: int
    """Number of the first row of the phases that the pass has."""
    count: int
    """Rows of the phases that it has."""
    out_low: int
    """First output row that the pass has: no other one meets a row of the input."""
    out_count: int
    """Output rows that it has."""
    outputs: int
    """Output rows of the convolution."""
    taps: int
    """Taps, those that no phase has included."""
    first: int
    """Row of the results for which row 0 of the stream counts."""
    step: int
    """Rows of the results for which one row of the stream counts."""
    places: tuple[tuple[int, int, int], ...]
    """Of each tap of the convolution that the pass has: its number, the index of its phase, and
    the tap in the pass."""


class KernelGeometry(NamedTuple):
    """A forward pass or an input gradient as the array does it."""

    forward: bool
    """The stream is the input; otherwise the results are."""
    samples: int
    channels: int
    """Channels of the results."""
    contracted: int
    """Channels of the stream, phases included."""
    y: Axis
    x: Axis

    @property
    def stream(self) -> tuple[int, int]:
        """Rows and columns of the stream."""
        y, x = self.y, self.x
        return (y.count, x.count) if self.forward else (y.out_count, x.out_count)

    @property
    def results(self) -> tuple[int, int]:
        """Rows and columns of the results."""
        y, x = self.y, self.x
        return (y.out_count, x.out_count) if self.forward else (y.count, x.count)


class Cut(NamedTuple):
    """One phase of the input's rows or columns in a weight gradient."""

    cut: int
    phase: int
    low: int
    """Number of the first stored row."""
    count: int
    """Rows stored."""
    padding: int
    out_low: int
    """First row of the output gradient that meets one."""
    out_count: int
    """Rows of the output gradient that may meet one."""


class TapRun(NamedTuple):
    """Taps of one phase that a pass does at once."""

    first: int
    """Rows from the input's row for tap 0, in rows of the phase, of the first tap."""
    taps: tuple[int, ...]
    """Numbers of the convolution's taps, ascending and one row of the phase apart."""


class GradAxis(NamedTuple):
    """Rows or columns of a weight gradient: its phases, and runs of taps of each."""

    step: int
    """Rows of a phase for which one row of the output gradient counts."""
    parts: tuple[tuple[Cut, tuple[TapRun, ...]], ...]


def _ceil(a: int, b: int) -> int:
    return -(-a // b)


def _stored(
    size: int, padding: int, cut: int, phases: tuple[int, ...], rows: tuple[int, int]
) -> tuple[int, int]:
    """Return first and count of those rows that some phase has of the input; 1 at least.

    Phases ascend; `rows` says which are needed: the first, and one past the last.
    """
    begin, end = rows
    low = max(begin, _ceil(padding - phases[-1], cut))
    high = min(end - 1, (size - 1 + padding - phases[0]) // cut)
    low = min(low, end - 1)
    return low, max(1, high - low + 1)


def _outputs(stored: tuple[int, int], step: int, taps: range, outputs: int) -> tuple[int, int]:
    """Return first and count of output rows whose taps reach a stored row; 1 at least."""
    low, count = stored
    first = min(max(0, _ceil(low - taps[-1], step)), outputs - 1)
    last = min((low + count - 1 - taps[0]) // step, outputs - 1)
    return first, max(1, last - first + 1)


def _phases(kernel: int, cut: int, dilation: int) -> tuple[int, ...]:
    return tuple(sorted({r * dilation % cut for r in range(kernel)})) if cut > 1 else (0,)


def _check_taps(taps: int) -> None:
    if taps > MOST_TAPS:
        raise InputError(
            f"kernel rows and columns, spread by the dilation, must be at most {MOST_TAPS} x the "
            f"stride, not {taps} after it"
        )


def _phased_axis(
    size: int,
    out: int,
    kernel: int,
    geometry: tuple[int, int, int],
    phases: tuple[int, ...],
    *,
    forward: bool,
) -> Axis:
    """Return an axis on which one row of the stream counts for one row of the results."""
    stride, padding, dilation = geometry
    places = [
        (r, phases.index(r * dilation % stride), r * dilation // stride)
        for r in range(kernel)
        if r * dilation % stride in phases
    ]
    taps = places[-1][2] + 1
    _check_taps(taps)
    low, count = _stored(size, padding, stride, phases, (0, out + taps - 1))
    out_low, out_count = _outputs((low, count), 1, range(taps), out)
    first = out_low - low
    if forward:
        # Turned round: tap t of an output row that is t rows above becomes taps - 1 - t.
        first = low - (taps - 1) - out_low
        places = [(r, phase, taps - 1 - tap) for r, phase, tap in places]
    elif not _has_rows(low, size, padding, stride, phases[0]):
        # The row is no result's, and must cost no product: whatever is streamed is past it.
        first = count
    return Axis(
        cut=stride,
        phases=phases,
        padding=padding,
        low=low,
        count=count,
        out_low=out_low,
        out_count=out_count,
        outputs=out,
        taps=taps,
        first=first,
        step=1,
        places=tuple(places),
    )


def _has_rows(low: int, size: int, padding: int, cut: int, phase: int) -> bool:
    """Say whether the first stored row of a phase is one of the input's."""
    return 0 <= low * cut + phase - padding < size


def _stepped_axis(size: int, out: int, kernel: int, geometry: tuple[int, int, int]) -> Axis:
    """Return an axis of an input gradient whose stream counts for every stride-th row."""
    stride, padding, dilation = geometry
    taps = (kernel - 1) * dilation + 1
    _check_taps(taps)
    out_low, out_count = _outputs((padding, size), stride, range(taps), out)
    return Axis(
        cut=1,
        phases=(0,),
        padding=padding,
        low=padding,
        count=size,
        out_low=out_low,
        out_count=out_count,
        outputs=out,
        taps=taps,
        first=out_low * stride - padding,
        step=stride,
        places=tuple((r, 0, r * dilation) for r in range(kernel)),
    )


@functools.lru_cache(maxsize=4096)
def kernel_geometries(shape: ConvShape, which: Pass, most_step: int) -> tuple[KernelGeometry, ...]:
    """Return how a forward pass or an input gradient is done: by one pass of the array or more.

    In a forward pass the stream holds the phases of the input as channels, and taps are turned
    round. In an input gradient rows of the stream count for every `step`-th row of the result; if
    strides differ, only one phase has taps, or steps or taps are many, each phase of the results is
    a pass of its own instead, and results of other phases, which are zero, are not computed.

    Parameters
    ----------
    shape, which
        The pass.
    most_step
        Most rows for which one row of the stream may count.

    Raises
    ------
    InputError
        There are more taps than a pass can have.
    """
    y, x = zip(shape.stride, shape.padding, shape.dilation, strict=True)
    sizes = ((shape.h, shape.p, shape.r, y), (shape.w, shape.q, shape.s, x))
    phases_y, phases_x = _phases(shape.r, y[0], y[2]), _phases(shape.s, x[0], x[2])
    whole = (*sizes[0], phases_y), (*sizes[1], phases_x)
    if which is Pass.FORWARD:
        rows, cols = _both(_phased_axis, *whole, forward=True)
        contracted = shape.c * len(phases_y) * len(phases_x)
        return (KernelGeometry(True, shape.n, shape.k, contracted, rows, cols),)
    phased = (
        shape.stride[0] != shape.stride[1]
        or shape.stride[0] > min(most_step, MOST_STEP)
        or len(phases_y) * len(phases_x) == 1
        or any((kernel - 1) * axis[2] >= MOST_TAPS for _, _, kernel, axis in sizes)
    )
    if not phased:
        rows, cols = _both(_stepped_axis, *sizes)
        return (KernelGeometry(False, shape.n, shape.c, shape.k, rows, cols),)
    all_rows, all_cols = _both(_result_phases, *whole)
    return tuple(
        KernelGeometry(False, shape.n, shape.c, shape.k, rows, cols)
        for rows in all_rows
        for cols in all_cols
    )


def _both(make: Callable[..., Any], rows: tuple, cols: tuple, **how: bool) -> tuple[Any, Any]:
    """Return what is made of rows and of columns: once, if they are alike."""
    made = make(*rows, **how)
    return made, made if cols == rows else make(*cols, **how)


def _result_phases(
    size: int, out: int, kernel: int, geometry: tuple[int, int, int], phases: tuple[int, ...]
) -> list[Axis]:
    """Return the phases of an input gradient that have a row; one, if none has."""
    stride, padding, _ = geometry
    found = [_phased_axis(size, out, kernel, geometry, (one,), forward=False) for one in phases]
    kept = [one for one in found if _has_rows(one.low, size, padding, stride, one.phases[0])]
    return kept or found[:1]


@functools.lru_cache(maxsize=4096)
def meetings(shape: ConvShape) -> int:
    """Return the products of dense tensors that belong to an element of the result: no padding."""
    y, x = zip(shape.stride, shape.padding, shape.dilation, strict=True)
    met = _both(_met, (shape.h, shape.p, shape.r, y), (shape.w, shape.q, shape.s, x))
    return shape.n * shape.k * shape.group.c * met[0] * met[1]


def _met(size: int, out: int, kernel: int, geometry: tuple[int, int, int]) -> int:
    """Return the pairs of an output row and a tap that meet a row of the input."""
    stride, padding, dilation = geometry
    found = 0
    for row in range(-padding, kernel * dilation - padding, dilation):
        first = max(0, -(row // stride))
        last = min(out - 1, (size - 1 - row) // stride)
        found += max(0, last - first + 1)
    return found


def _runs(taps: list[int], places: list[int], most: int) -> tuple[TapRun, ...]:
    """Cut taps into runs of at most `most` whose places are consecutive, alike in length."""
    runs: list[list[tuple[int, int]]] = []
    for tap, place in zip(taps, places, strict=True):
        if runs and place == runs[-1][-1][1] + 1:
            runs[-1].append((tap, place))
        else:
            runs.append([(tap, place)])
    found = []
    for run in runs:
        pieces = _ceil(len(run), most)
        bounds = [len(run) * i // pieces for i in range(pieces + 1)]
        for low, high in itertools.pairwise(bounds):
            found.append(TapRun(run[low][1], tuple(tap for tap, _ in run[low:high])))
    return tuple(found)


@functools.lru_cache(maxsize=4096)
def _grad_axis(
    size: int,
    out: int,
    kernel: int,
    geometry: tuple[int, int, int],
    *,
    step: bool,
    most: int,
    apart: bool,
) -> GradAxis:
    stride, padding, dilation = geometry
    cuts = [(1, 0, list(range(kernel)))]
    if not step and stride > 1:
        cuts = [
            (stride, phase, [r for r in range(kernel) if r * dilation % stride == phase])
            for phase in _phases(kernel, stride, dilation)
        ]
    parts = []
    for cut, phase, taps in cuts:
        counts_for = stride // cut
        runs = _runs(taps, [r * dilation // cut for r in taps], most)
        for some in [(run,) for run in runs] if apart else [runs]:
            low, high = some[0].first, some[-1].first + len(some[-1].taps) - 1
            rows = (low, (out - 1) * counts_for + high + 1)
            stored = _stored(size, padding, cut, (phase,), rows)
            reached = _outputs(stored, counts_for, range(low, high + 1), out)
            parts.append((Cut(cut, phase, *stored, padding, *reached), some))
    return GradAxis(stride if step else 1, tuple(parts))


@functools.lru_cache(maxsize=4096)
def grad_geometry(
    shape: ConvShape, most_y: int, most_x: int, *, apart: bool, most_step: int = MOST_STEP
) -> tuple[GradAxis, GradAxis]:
    """Return how a weight gradient is done: rows and columns.

    A strided one holds the input and streams the gradient, whose rows count for every `step`-th;
    if strides differ, or there is one tap row or column only, each phase of the input is an operand
    of its own, of stride 1. So no position is in memory, or none with a value, that no tap uses.
    Dilated taps are passes of their own: nothing is computed between them.

    Parameters
    ----------
    shape
        The convolution.
    most_y, most_x
        Most tap rows and columns of one pass.
    apart
        Passes of other tap rows have operands of their own, of those rows only that they need:
        more memory, but a smaller window.
    most_step
        Most rows for which one row of the gradient may count.
    """
    y, x = zip(shape.stride, shape.padding, shape.dilation, strict=True)
    step = shape.stride[0] == shape.stride[1] and min(shape.r, shape.s) > 1
    step = step and 1 < shape.stride[0] <= min(most_step, MOST_STEP)
    return (
        _grad_axis(shape.h, shape.p, shape.r, y, step=step, most=most_y, apart=apart),
        _grad_axis(shape.w, shape.q, shape.s, x, step=step, most=most_x, apart=False),
    )


def forget() -> None:
    """Forget what was found for other shapes."""
    for kept in (_grad_axis, kernel_geometries, grad_geometry, meetings):
        kept.cache_clear()
