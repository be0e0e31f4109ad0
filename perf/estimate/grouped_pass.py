"""What the driver's plan of a grouped convolution says beside its cycles: bytes, and last rounds.

Packs have layouts of their own (`lowering.packs`), so that bytes follow from the plan and not from
the convolution's shape: weights are blocks among zeros, whose masks are in memory; a map that is
cut into bands has columns in two of them; output gradients of sets lie in channels that the other
sets have empty. How often an operand is read is how often tiles of the plan need it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gscn.conv import ConvShape, Pass
from gscn.enums import takes_text
from gscn.lowering.axes import Axis, Cut
from gscn.lowering.bands import band_places
from gscn.lowering.descriptor import grad_tile
from gscn.lowering.grad_plan import GradPlan
from gscn.lowering.kernel_plan import KernelPlan
from gscn.lowering.packs import Pack
from gscn.lowering.plan import PassPlan
from gscn.passes import HALFWORD_BYTES, TABLE_ENTRY_BYTES, VECTOR
from gscn.perf.estimate.memory import strip_bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupedPass:
    """What passes of a grouped convolution move, all packs together."""

    operand_bytes: tuple[float, float]
    """Of the first and the second operand in memory, once."""
    read_bytes: tuple[float, float]
    """Of each if every cluster reads for itself: those that ask for the same burst in one cycle
    share it (`hw.port.arbiter`)."""
    write_bytes: float
    """Of the results, lanes of no channel included."""
    waiting: float
    """Cycles that the last round of jobs has too many, if it is as long as the others.

    The driver counts them to the multipliers alone; passes of packs wait for their words, too.
    """


class _Operand(NamedTuple):
    held: float
    """Bytes in memory; `read`: at the ports."""
    read: float


@takes_text
def grouped_pass(
    plan: PassPlan, densities: tuple[float, float], *, out_bytes: int = 2, value_bytes: int = 2
) -> GroupedPass:
    """Return what the passes of a plan move.

    Parameters
    ----------
    plan
        Of a convolution, for no DRAM: with one, reads are DRAM's.
    densities
        Of the convolution's first and second operand.
    out_bytes, value_bytes
        Bytes of a result and of an operand's number.
    """
    held, reads, written, waiting = [0.0, 0.0], [0.0, 0.0], 0.0, 0.0
    for part, pack in zip(plan.parts, plan.packs, strict=True):
        if isinstance(part, GradPlan):
            operands = _maps(part, pack, plan.shape, densities, value_bytes)
            numbers = sum(math.prod(grad_tile(part, runs)) for runs in part.runs)
        else:
            operands = _kernel(part, pack, plan, densities, value_bytes)
            numbers = part.stationary.groups * part.stationary.lanes
            numbers *= part.cut.samples * math.prod(part.cut.results)
            rounds = math.ceil(part.jobs / plan.config.clusters)
            waiting += part.choice.alone * (rounds * plan.config.clusters / part.jobs - 1)
        # Parts of a pack have the output gradients in common.
        common = 0 if plan.which is Pass.WEIGHT_GRAD else 1
        for side, operand in enumerate(operands):
            held[side] += operand.held / (plan.packs.count(pack) if side == common else 1)
            reads[side] += operand.read
        written += numbers * out_bytes
    return GroupedPass(
        operand_bytes=(held[0], held[1]),
        read_bytes=(reads[0], reads[1]),
        write_bytes=written,
        waiting=waiting,
    )


def _strips(
    positions: tuple[float, float],
    lanes: tuple[int, int],
    density: float,
    value_bytes: int,
    pieces: int,
) -> float:
    """Return bytes of an operand as strips, with its table.

    Parameters
    ----------
    positions
        Of vectors, one above the other in the direction of channels: all, and those that are not
        beyond a map's border, or taps that a phase lacks.
    lanes
        Of a position: in all, and those that may hold a nonzero.
    density
        Nonzeros among the latter.
    value_bytes
        Of a number.
    pieces
        Strips that the table tells apart.
    """
    vectors = math.ceil(lanes[1] / VECTOR)
    full = strip_bytes(positions[1] * vectors, lanes[1] / vectors, density, value_bytes)
    empty = positions[0] * lanes[0] / VECTOR - positions[1] * vectors
    return full + HALFWORD_BYTES * empty / VECTOR + TABLE_ENTRY_BYTES * (pieces + 1)


def _share(axis: Axis | Cut, phases: tuple[int, ...], size: int) -> float:
    """Return the share of the rows, or columns, of phases that a map of some size has."""
    rows = np.arange(axis.low, axis.low + axis.count) * axis.cut - axis.padding
    places = rows + np.array(phases)[:, None]
    return float(np.mean((places >= 0) & (places < size)))


def _band_share(part: KernelPlan) -> float:
    """Return the share of the columns of bands that the stream has."""
    x, columns = part.geometry.x, part.geometry.stream[1]
    width, low, count = band_places(x.first, x.step, x.taps, part.geometry.results[1], part.bands)
    starts = low + np.arange(part.bands) * (width // x.step)
    places = starts[:, None] + np.arange(count)
    return float(np.mean((places >= 0) & (places < columns)))


def _kernel(
    part: KernelPlan, pack: Pack, plan: PassPlan, densities: tuple[float, float], value_bytes: int
) -> tuple[_Operand, _Operand]:
    """Return weights and stream of a forward pass or an input gradient."""
    cut, choice, held, stream = part.cut, part.choice, part.stationary, part.stream
    ins, outs = plan.shape.group.c, plan.shape.group.k
    if plan.which is Pass.INPUT_GRAD:
        ins, outs = outs, ins
    every = held.groups * held.lanes
    used = pack.groups * ins * len(cut.y.places) * len(cut.x.places)
    taps = cut.contracted * cut.y.taps * cut.x.taps
    pieces = held.groups * stream.groups
    weights = _strips((taps, used), (every, outs), densities[0], value_bytes, pieces)
    rows, columns = cut.stream
    strips = cut.samples * math.ceil(rows / choice.t_rows) * stream.groups
    lanes = (stream.groups * stream.lanes, cut.contracted)
    positions = cut.samples * rows * columns
    real = _band_share(part) if part.bands > 1 else 1.0
    if cut.forward:
        y, x, shape = part.geometry.y, part.geometry.x, plan.shape
        real *= _share(y, y.phases, shape.h) * _share(x, x.phases, shape.w)
    maps = _strips((positions, positions * real), lanes, densities[1], value_bytes, strips)
    # A piece begins anywhere in a beat, and so does its place in the table.
    beats = 2 * plan.config.mem_bytes * pieces
    return (
        _Operand(weights, choice.s_reads * (weights + beats)),
        _Operand(maps, choice.t_reads * maps),
    )


def _maps(
    part: GradPlan,
    pack: Pack,
    shape: ConvShape,
    densities: tuple[float, float],
    value_bytes: int,
) -> tuple[_Operand, _Operand]:
    """Return output gradients and inputs of a weight gradient."""
    work, choice, one = part.work, part.choice, shape.group
    live = {True: one.c * pack.met, False: one.k * pack.met}
    dense = {True: densities[1], False: densities[0]}
    sides = (
        (part.stationary, work.s_rows, work.s_cols, choice.s_outer, choice.s_reads),
        (part.stream, work.t_rows, work.t_cols, choice.t_rows, choice.t_reads),
    )
    found = {}
    for (grouping, rows, columns, strip, reads), inputs in zip(
        sides, (part.holds_input, not part.holds_input), strict=True
    ):
        pieces = work.samples * math.ceil(rows / strip) * grouping.groups
        positions, real = work.samples * rows * columns, 1.0
        if inputs:
            for cut, size in zip(part.cuts, (shape.h, shape.w), strict=True):
                real *= _share(cut, (cut.phase,), size)
        held = _strips(
            (positions, positions * real), (grouping.groups * grouping.lanes, live[inputs]),
            dense[inputs], value_bytes, pieces,
        )  # fmt: skip
        found[inputs] = _Operand(held, held * reads * len(part.runs))
    return found[False], found[True]
