"""What a driver decides of a weight gradient, as the array does it."""

from __future__ import annotations

import math
from typing import NamedTuple

from gscn.conv import ConvShape
from gscn.lowering.axes import MOST_STEP, Cut, GradAxis, TapRun, grad_geometry, meetings
from gscn.lowering.estimates import NEVER, Sizes, operand_bytes
from gscn.lowering.grad_estimates import ANY, GradChoice, GradWork, plan_grad
from gscn.lowering.layouts import Grouping
from gscn.passes import VECTOR

_GROUPINGS = 5
"""Numbers of vectors that a group may have."""
_COPIES = 0.12
"""Share of the operands that an output gradient may take that is in memory more than once."""


class GradPlan(NamedTuple):
    """Those passes of a weight gradient that have their operands in common."""

    cuts: tuple[Cut, Cut]
    """Which phase of the input's rows and columns."""
    runs: tuple[tuple[TapRun, TapRun], ...]
    """Tap rows and columns of each pass."""
    holds_input: bool
    """The input is stationary; otherwise the output gradient is."""
    step: int
    work: GradWork
    choice: GradChoice

    @property
    def stationary(self) -> Grouping:
        """Groups of the stationary map's channels."""
        return Grouping(self.work.s_channels, self.choice.s_real, self.choice.s_vectors)

    @property
    def stream(self) -> Grouping:
        """Groups of the streamed map's channels."""
        lanes = VECTOR << self.choice.t_vectors
        return Grouping(self.work.t_channels, lanes, self.choice.t_vectors)

    def first(self, axis: int, run: TapRun) -> int:
        """Return the row, or column, of the stationary map for which the stream's first counts."""
        return _first(self.cuts[axis], run, self.step, holds_input=self.holds_input)


def most_taps(sizes: Sizes, shape: ConvShape) -> list[tuple[int, int, bool]]:
    """Return most tap rows and columns of a pass, and whether it is apart: many first."""
    vectors = sizes.accumulators // VECTOR
    rows = vectors // (4 * shape.s) or vectors // shape.s
    most = (min(shape.r, rows), min(shape.s, vectors)) if rows else (1, min(shape.s, vectors))
    most = (min(most[0], 16), min(most[1], 16))
    tried = ((*most, False), (*most, True), (1, most[1], True), (1, 1, True))
    return list(dict.fromkeys(tried))


def grad_parts(
    sizes: Sizes,
    shape: ConvShape,
    densities: tuple[float, float],
    widths: tuple[int, int],
    level: int,
) -> tuple[GradPlan, ...] | None:
    """Plan a weight gradient with as many taps to a pass as there is room for; None: there is none.

    Parameters as of `grad_plans`.
    """
    for most_y, most_x, apart in most_taps(sizes, shape):
        best: tuple[GradPlan, ...] | None = None
        least = NEVER
        for most_step in (MOST_STEP, 1) if max(shape.stride) > 1 else (1,):
            axes = grad_geometry(shape, most_y, most_x, apart=apart, most_step=most_step)
            parts = grad_plans(sizes, shape, axes, densities, widths, level, least)
            if parts is None:
                continue
            cycles = sum(part.choice.cycles * len(part.runs) for part in parts)
            if cycles < least:
                best, least = parts, cycles
        if best is not None:
            return best
    return None


def grad_plans(
    sizes: Sizes,
    shape: ConvShape,
    axes: tuple[GradAxis, GradAxis],
    densities: tuple[float, float],
    widths: tuple[int, int],
    level: int,
    most: float = NEVER,
) -> tuple[GradPlan, ...] | None:
    """Plan a weight gradient on each phase of the input, its axes cut as they are.

    None: there is no room, or it takes as many cycles as another way.

    Parameters
    ----------
    sizes, shape
        The array, and the convolution.
    axes
        Rows and columns, as of `lowering.axes.grad_geometry`.
    densities, widths, level
        As of `lowering.kernel_plan.plan_part`.
    most
        Cycles of the other way.
    """
    phases = [
        ((cut_y, cut_x), (runs_y, runs_x))
        for cut_y, runs_y in axes[0].parts
        for cut_x, runs_x in axes[1].parts
    ]
    grads, inputs = (
        operand_bytes(math.prod(size), density, widths[1], 0)
        for size, density in zip((shape.y_shape, shape.x_shape), densities, strict=True)
    )
    best: tuple[GradPlan, ...] | None = None
    # All phases have the gradient in common, in one grouping if copies would be large.
    for grouping in (ANY, *range(_GROUPINGS)):
        parts, cycles = [], 0.0
        for cuts, runs in phases:
            part = _grad_part(
                sizes, shape, axes[0].step, cuts, runs, densities, (*widths, grouping), level
            )
            cycles += part.choice.cycles * len(part.runs) if part else NEVER
            if part is None or cycles >= most:
                break
            parts.append(part)
        if len(parts) < len(phases):
            if grouping == ANY:
                return None
        elif grouping != ANY:
            best, most = tuple(parts), cycles
        elif (len(_groupings(parts)) - 1) * grads <= _COPIES * (grads + inputs):
            return tuple(parts)
        elif most >= NEVER:
            best = tuple(parts)
    return best


def _groupings(parts: list[GradPlan]) -> set[Grouping]:
    """Return the groupings of the output gradient that parts have."""
    return {part.stream if part.holds_input else part.stationary for part in parts}


def _grad_part(
    sizes: Sizes,
    shape: ConvShape,
    step: int,
    cuts: tuple[Cut, Cut],
    runs: tuple[tuple[TapRun, ...], tuple[TapRun, ...]],
    densities: tuple[float, float],
    widths: tuple[int, int, int],
    level: int,
) -> GradPlan | None:
    """Plan the passes on one phase of the input, by whichever operand is better held."""
    best = None
    taps = [max(len(run.taps) for run in one) for one in runs]
    outs = (shape.k, cuts[0].out_count, cuts[1].out_count)
    ins = (shape.c, cuts[0].count, cuts[1].count)
    # As if every tap met alike, and the passes on these operands had as many taps each.
    macs = meetings(shape) * taps[0] * taps[1] / (shape.r * shape.s)
    for holds_input in (True, False) if step == 1 else (True,):
        held, streamed = (ins, outs) if holds_input else (outs, ins)
        firsts = [_first(cuts[0], run, step, holds_input=holds_input) for run in runs[0]]
        work = GradWork(
            shape.n, *held, *streamed, *taps, min(firsts), max(firsts), step, *widths[:2]
        )
        dense = densities[::-1] if holds_input else densities
        products = macs * densities[0] * densities[1]
        choice = plan_grad(sizes, work, products, *dense, level, holds_input, widths[2])
        if choice[0] < (NEVER if best is None else best.choice.cycles):
            pairs = tuple((run_y, run_x) for run_y in runs[0] for run_x in runs[1])
            best = GradPlan(cuts, pairs, holds_input, step, work, choice)
    return best


def _first(cut: Cut, run: TapRun, step: int, *, holds_input: bool) -> int:
    if holds_input:
        return cut.out_low * step + run.first - cut.low
    # Input row low + i meets, by the last tap of the run, output row low + i - last.
    return cut.low - (run.first + len(run.taps) - 1) - cut.out_low
