"""TensorDash: a dense array that skips zeros of one operand, a few steps ahead.

Implements: TensorDash (Mahmoud et al., MICRO 2020), Sec. 3: PEs of 16 multiplier lanes; each lane
takes its own value of the present step or one of 7 others of the next two steps, at its own or
neighbouring lanes, in a fixed order; lanes choose in six levels whose choices cannot collide. Tiles
of 4 x 4 PEs: the PEs of a row share a schedule, the rows of a tile move on together.
"""

from __future__ import annotations

import numpy as np

from gscn.conv import ConvShape, Pass
from gscn.errors import InputError
from gscn.perf.rivals.model import Rival, Task
from gscn.perf.rivals.windows import gathers, met_inputs
from gscn.system.compiled import compiled

LANES = 16
ROWS = 4
"""PEs of a tile that move on together, each with a stream of its own."""
COLUMNS = 4
"""PEs of a row, which share its schedule."""
AHEAD = 2
"""Steps that a value can be taken ahead of its own."""

_OPTIONS = np.array([(1, 0), (2, 0), (1, -1), (1, 1), (2, -2), (2, 2), (1, -3)])
"""(steps ahead, lane) that a lane with nothing of its own tries in order."""
_ORDER = np.array([0, 5, 10, 1, 6, 11, 2, 7, 12, 3, 8, 13, 4, 9, 14, 15])
"""Lanes level by level."""


class TensorDash(Rival):
    """The array with the operand scheduled that takes less time."""

    name = "tensordash"
    title = "TensorDash-style (lookahead 2, lookaside 5)"
    source = "Mahmoud et al., MICRO 2020"
    assumptions = (
        (
            "Tiles of 4 x 4 PEs of 16 lanes, as published, or fewer where that does not divide the "
            "multipliers; tiles share out the work evenly and never wait for each other."
        ),
        (
            "Zeros of one operand are skipped, those of the one that gives fewer cycles for the "
            "layer and pass; the other operand is multiplied as it is."
        ),
        (
            "Lanes hold consecutive channels at one kernel position; in the weight gradient "
            "consecutive output pixels, across samples. A strided input gradient is split into "
            "phases without inserted zeros."
        ),
        (
            "Both operands are compressed in memory: nonzeros and one bit for every element. "
            "On-chip banks never conflict."
        ),
        (
            "Groups of a convolution are computed one after the other; lanes that the channels of "
            "a group do not fill are idle."
        ),
    )

    def compute(self, task: Task) -> tuple[float, int]:
        """Return cycles and products, as `perf.rivals.model.Rival.compute` has it."""
        multipliers = task.resources.multipliers
        if multipliers % LANES:
            raise InputError(
                f"tensordash: multipliers must be a multiple of {LANES}, not {multipliers}"
            )
        pes = multipliers // LANES
        rows = _part(pes, ROWS)
        columns = _part(pes // rows, COLUMNS)
        tiles = pes // rows // columns
        choices = []
        for scheduled in _streams(task.shape, task.which, task.first, task.second):
            cycles = products = 0
            for streams, others in scheduled:
                cycles += int(lockstep_cycles(streams, rows).sum()) * -(-others // columns)
                products += int(np.bitwise_count(streams).sum()) * others
            choices.append((cycles / tiles, products))
        return min(choices)


def _part(number: int, most: int) -> int:
    """Return the largest divisor of a number that is at most `most`."""
    return max(d for d in range(1, most + 1) if number % d == 0)


@compiled
def lockstep_cycles(streams, rows):
    """Return the cycles of each group of `rows` streams that move on together.

    Parameters
    ----------
    streams
        uint16 (streams, steps): a bit per lane, set where the value is nonzero.
    rows
        Streams of a group; the last group may have fewer.
    """
    count, steps = streams.shape
    groups = -(-count // rows)
    cycles = np.zeros(groups, np.int64)
    window = np.zeros((rows, AHEAD + 1), np.uint32)
    for group in range(groups):
        first = group * rows
        present = min(rows, count - first)
        time = 0
        for row in range(present):
            for ahead in range(AHEAD + 1):
                window[row, ahead] = streams[first + row, ahead] if ahead < steps else 0
        while time < steps:
            advance = AHEAD + 1
            for row in range(present):
                own, near, far = window[row, 0], window[row, 1], window[row, 2]
                for lane in _ORDER:
                    if own >> np.uint32(lane) & np.uint32(1):
                        continue
                    if near == 0 and far == 0:
                        break
                    for option in range(_OPTIONS.shape[0]):
                        bit = np.uint32(1) << np.uint32((lane + _OPTIONS[option, 1]) % LANES)
                        if _OPTIONS[option, 0] == 1:
                            if near & bit:
                                near ^= bit
                                break
                        elif far & bit:
                            far ^= bit
                            break
                window[row, 0], window[row, 1], window[row, 2] = 0, near, far
                advance = min(advance, 1 if near else (2 if far else 3))
            cycles[group] += 1
            time += advance
            for row in range(present):
                for ahead in range(AHEAD + 1):
                    if ahead + advance <= AHEAD:
                        window[row, ahead] = window[row, ahead + advance]
                    elif time + ahead < steps:
                        window[row, ahead] = streams[first + row, time + ahead]
                    else:
                        window[row, ahead] = 0
    return cycles


def _streams(
    shape: ConvShape, which: Pass, first: np.ndarray, second: np.ndarray
) -> tuple[list[tuple[np.ndarray, int]], list[tuple[np.ndarray, int]]]:
    """Return for either operand its (streams, vectors of the other operand each meets), by phase.

    Streams are uint16 (streams, steps), a bit per lane.
    """
    if which is Pass.WEIGHT_GRAD:
        return _weight_grad_streams(shape, first, second)
    kernel = first if which is Pass.FORWARD else first.transpose(1, 0, 2, 3)
    kernels, maps = _pack(kernel.transpose(0, 2, 3, 1)), _pack(second.transpose(0, 2, 3, 1))
    # a row and a column of zeros for what lies on the padding
    maps = np.pad(maps, ((0, 0), (0, 1), (0, 1), (0, 0)))
    of_kernels, of_maps = [], []
    for taps_y, rows in gathers(shape, which, 0):
        for taps_x, columns in gathers(shape, which, 1):
            held = kernels[:, taps_y][:, :, taps_x].reshape(kernels.shape[0], -1)
            # (sample, result row, result column, tap row, tap column, block of channels)
            windows = maps[:, rows[:, None, :, None], columns[None, :, None, :]]
            windows = windows.reshape(-1, held.shape[1])
            of_kernels.append((held, windows.shape[0]))
            of_maps.append((windows, held.shape[0]))
    return of_kernels, of_maps


def _weight_grad_streams(
    shape: ConvShape, grads: np.ndarray, inputs: np.ndarray
) -> tuple[list[tuple[np.ndarray, int]], list[tuple[np.ndarray, int]]]:
    of_grads = _pack(grads.transpose(1, 0, 2, 3).reshape(shape.k, -1))
    of_inputs = [
        (_pack(met.transpose(1, 0, 2, 3).reshape(shape.c, -1)), shape.k)
        for met in met_inputs(shape, inputs)
    ]
    # the schedule of a gradient is the same at each kernel position
    return [(of_grads, shape.c)] * len(of_inputs), of_inputs


def _pack(mask: np.ndarray) -> np.ndarray:
    """Return uint16 with a bit for each of 16 along the last axis, the rest of the last 0."""
    short = -mask.shape[-1] % LANES
    padded = np.pad(mask, [(0, 0)] * (mask.ndim - 1) + [(0, short)])
    packed = np.packbits(padded, axis=-1, bitorder="little")
    return np.ascontiguousarray(packed).view("<u2")
