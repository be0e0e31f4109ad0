"""Walks of encode passes that put a dense tensor in the order of an operand of a convolution.

A map lies in memory as (group of `lanes` channels, sample, row, column, lane), weights as (group of
`lanes` channels, other channel, tap row, tap column, lane), the lanes being output channels or
input channels. Whole numbers only, as a driver computes them; what is returned are fields of
`gscn.encode.ENCODE_DESCRIPTOR`.
"""

from __future__ import annotations

from typing import NamedTuple

from gscn.encode import LOOPS
from gscn.errors import InputError
from gscn.lowering.axes import Axis, Cut, KernelGeometry
from gscn.lowering.layouts import Grouping
from gscn.passes import VECTOR
from gscn.port import ALIGNMENT_BYTES


class DenseTensor(NamedTuple):
    """A tensor in memory; `outer` x `rows` x `cols` positions of a group."""

    outer: int
    """Samples of a map, other channels of weights."""
    rows: int
    cols: int
    channels: int
    lanes: int
    """Channels of a group."""
    value_bytes: int
    apart: bool = False
    """Groups begin where a pass of the array may write."""

    @property
    def steps(self) -> tuple[int, int, int, int, int]:
        """Bytes from one vector, column, row, outer position and group to the next."""
        col = self.lanes * self.value_bytes
        row, outer = self.cols * col, self.rows * self.cols * col
        group = self.outer * outer
        if self.apart:
            group += -group % ALIGNMENT_BYTES
        return VECTOR * self.value_bytes, col, row, outer, group

    @property
    def bytes(self) -> int:
        """Bytes in all, the lanes that the last group lacks included."""
        return self.steps[4] * -(-self.channels // self.lanes)


class Rows(NamedTuple):
    """Rows, or columns, of an operand: number i of phase a is row first + a x apart + i x cut."""

    first: int
    cut: int
    count: int
    phases: int
    apart: int
    limit: int
    """Rows from here on are zeros, as those before row 0 are."""


def axis_rows(axis: Axis, used: int) -> Rows:
    """Return the rows of the stream of a forward pass.

    Parameters
    ----------
    axis
        Of its geometry.
    used
        One past the last row of the input that some tap uses.

    Raises
    ------
    InputError
        Phases with a tap are not equally far apart.
    """
    apart = _apart(axis.phases)
    first = axis.low * axis.cut + axis.phases[0] - axis.padding
    return Rows(first, axis.cut, axis.count, len(axis.phases), apart, used)


def cut_rows(cut: Cut, used: int) -> Rows:
    """Return the rows of an input of a weight gradient; `used` as for `axis_rows`."""
    return Rows(cut.low * cut.cut + cut.phase - cut.padding, cut.cut, cut.count, 1, 0, used)


def output_rows(axis: Axis | Cut) -> Rows:
    """Return the rows of an output gradient as an operand."""
    return Rows(axis.out_low, 1, axis.out_count, 1, 0, axis.out_low + axis.out_count)


def map_walk(dense: DenseTensor, y: Rows, x: Rows, grouping: Grouping) -> dict[str, int]:
    """Return the walk of a map: groups are (phase of rows, phase of columns, group of channels).

    Parameters
    ----------
    dense
        The map in memory.
    y, x
        Rows and columns of the operand.
    grouping
        Of its channels, those of one phase.

    Raises
    ------
    InputError
        Groups of the operand are no whole number of vectors of one group of the tensor, or vectors
        of theirs are not equally far apart.
    """
    vector, col, row, sample, _ = dense.steps
    group, vectors = _group_steps(dense, grouping)
    return {
        **_loops(
            {
                0: (x.count, x.cut * col), 1: (y.count, y.cut * row), 2: (dense.outer, sample),
                5: (grouping.groups, group), 6: (x.phases, x.apart * col),
                7: (y.phases, y.apart * row),
            },
        ),
        **_coordinate("y", y, 1, 7),
        **_coordinate("x", x, 0, 6),
        "t0_first": y.first * row + x.first * col ,
        "t0_vector": vectors if grouping.vectors else vector,
        **_channels(grouping),
        "period": y.count * x.count,
    }  # fmt: skip


def weight_walk(
    dense: DenseTensor, geometry: KernelGeometry, grouping: Grouping, *, by_output: bool
) -> dict[str, int]:
    """Return the walk of stationary weights: positions are (phases, contracted channel, taps).

    Parameters
    ----------
    dense
        The weights in memory.
    geometry
        Of the pass.
    grouping
        Of the channels of its results.
    by_output
        Lanes in memory are output channels; otherwise input channels. Where they are not the
        channels of the results, the walk is transposed.

    Raises
    ------
    InputError
        Taps are dilated, or as for `map_walk`.
    """
    _, col, row, other, block = dense.steps
    y, x = geometry.y, geometry.x
    rows, cols = _tap_rows(y, dense.rows), _tap_rows(x, dense.cols)
    transposed = by_output is not geometry.forward
    contracted = geometry.contracted // (len(y.phases) * len(x.phases))
    loops = {
        0: (x.taps, cols.cut * col), 1: (y.taps, rows.cut * row),
        3: (cols.phases, cols.apart * col), 4: (rows.phases, rows.apart * row),
    }  # fmt: skip
    if not transposed:
        group, vectors = _group_steps(dense, grouping)
        loops |= {2: (contracted, other), 5: (grouping.groups, group)}
        fields = {"t0_vector": vectors, "transposed": 0}
    else:
        if grouping.groups > 1 and grouping.real % VECTOR:
            raise InputError(f"groups must be of a multiple of 16 channels, not {grouping.real}")
        inner = contracted
        if dense.lanes > VECTOR and contracted > dense.lanes:
            # Blocks of 16 lanes are apart otherwise within a group than from group to group.
            if contracted % dense.lanes or cols.phases > 1:
                raise InputError(f"weights must have groups of 16 lanes, not {dense.lanes}")
            inner, loops[3] = dense.lanes, (contracted // dense.lanes, block)
        # A step of 16 contracted channels is a vector, or a group where that is one.
        near = VECTOR * dense.value_bytes if dense.lanes > VECTOR else block
        loops |= {2: (inner, near), 5: (grouping.groups, grouping.lanes * other)}
        fields = {"t0_vector": VECTOR * other, "t0_lane": other, "transposed": 1}
    return {
        **_loops(loops),
        **_coordinate("y", rows, 1, 4),
        **_coordinate("x", cols, 0, 3 if cols.phases > 1 else None),
        "t0_first": rows.first * row + cols.first * col,
        **fields,
        **_channels(grouping),
        "period": geometry.contracted * y.taps * x.taps,
    }


def _apart(phases: tuple[int, ...]) -> int:
    apart = phases[1] - phases[0] if len(phases) > 1 else 0
    if any(phase != phases[0] + n * apart for n, phase in enumerate(phases)):
        raise InputError(f"phases with a tap must be equally far apart, not {phases}")
    return apart


def _tap_rows(axis: Axis, kernel: int) -> Rows:
    """Return the taps of weights, as rows of each phase."""
    places = {(phase, tap): r for r, phase, tap in axis.places}
    known = sorted(places)
    tap_step = {places[p, t + 1] - places[p, t] for p, t in known if (p, t + 1) in places}
    phase_step = {places[p + 1, t] - places[p, t] for p, t in known if (p + 1, t) in places}
    cut = tap_step.pop() if tap_step else 1
    apart = phase_step.pop() if phase_step else 1
    phase, tap = known[0]
    first = places[phase, tap] - phase * apart - tap * cut
    found = Rows(first, cut, axis.taps, len(axis.phases), apart, kernel)
    affine = {
        (p, t): r
        for p in range(found.phases)
        for t in range(found.count)
        if 0 <= (r := first + p * apart + t * cut) < kernel
    }
    if tap_step or phase_step or affine != places:
        raise InputError("taps of weights must be equally far apart in every phase")
    return found


def _group_steps(dense: DenseTensor, grouping: Grouping) -> tuple[int, int]:
    """Return bytes from group to group, and from vector to vector of a position."""
    vector, _, _, _, group = dense.steps
    size = grouping.real * dense.value_bytes
    if grouping.groups > 1 and grouping.real % VECTOR:
        raise InputError(f"groups must be of a multiple of 16 channels, not {grouping.real}")
    if grouping.channels <= dense.lanes:
        return size if grouping.groups > 1 else 0, vector
    if dense.lanes == VECTOR:
        return group * (-(-grouping.real // VECTOR)), group
    if grouping.real != dense.lanes:
        raise InputError(
            f"groups must be of {dense.lanes} channels as in memory, not {grouping.real}"
        )
    return group, vector


def _loops(used: dict[int, tuple[int, int]]) -> dict[str, int]:
    found = {f"count{loop}": 1 for loop in range(LOOPS)}
    for loop, (count, step) in used.items():
        found |= {f"count{loop}": count, f"t0_step{loop}": step}
    return found


def _coordinate(axis: str, rows: Rows, inner: int, outer: int | None) -> dict[str, int]:
    found = {
        f"{axis}_first": rows.first, f"{axis}_limit": rows.limit, f"{axis}_step{inner}": rows.cut,
    }  # fmt: skip
    return found if outer is None else found | {f"{axis}_step{outer}": rows.apart}


def _channels(grouping: Grouping) -> dict[str, int]:
    return {
        "vectors": grouping.vectors, "group_channels": grouping.real,
        "channels": grouping.channels,
    }  # fmt: skip
