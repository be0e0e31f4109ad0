"""What a driver decides of a pass: how an array cuts it. It sees shapes and densities only."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import NamedTuple

from gscn.array import ArrayConfig
from gscn.conv import ConvShape, Pass
from gscn.dram import Dram
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.lowering import axes
from gscn.lowering.axes import (
    MOST_STEP,
    Cut,
    GradAxis,
    TapRun,
    grad_geometry,
    kernel_geometries,
    meetings,
)
from gscn.lowering.estimates import NEVER, Sizes, operand_bytes
from gscn.lowering.grad_estimates import ANY, GradChoice, GradWork, plan_grad
from gscn.lowering.kernel_plan import KernelPlan, plan_part
from gscn.lowering.layouts import Grouping
from gscn.passes import VECTOR

CLASSES_PER_DECADE = 8
"""Classes of densities: a plan is for all tensors of its classes."""
_GROUPINGS = 5
"""Numbers of vectors that a group may have."""
_COPIES = 0.12
"""Share of the operands that an output gradient may take that is in memory more than once."""
_LEAST_CLASS = -4 * CLASSES_PER_DECADE


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


@takes_text
@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class PassPlan:
    """How an array does a pass."""

    config: ArrayConfig
    shape: ConvShape
    which: Pass
    parts: tuple[KernelPlan, ...] | tuple[GradPlan, ...]
    """One, or more of a weight gradient, with operands of their own."""

    @property
    def cycles(self) -> float:
        """Cycles by the closed form."""
        return sum(
            part.choice.cycles * (len(part.runs) if isinstance(part, GradPlan) else 1)
            for part in self.parts
        )

    @property
    def array_cycles(self) -> float:
        """Cycles by the closed form if DRAM were no limit."""
        return sum(
            part.choice.alone * (len(part.runs) if isinstance(part, GradPlan) else 1)
            for part in self.parts
        )

    @property
    def dram_reads(self) -> tuple[float, float]:
        """Times that DRAM delivers the first and the second operand, by the closed form.

        Phases of a strided convolution have the output gradient in common, of which each reads all.
        """
        shared = own = 0.0
        for part in self.parts:
            choice = part.choice
            if isinstance(part, KernelPlan):
                own += choice.s_reads
                shared += choice.t_reads
            else:
                held, streamed = choice.s_reads * len(part.runs), choice.t_reads * len(part.runs)
                own += held if part.holds_input else streamed
                shared += streamed if part.holds_input else held
        own /= len(self.parts)
        return (shared, own) if self.which is Pass.WEIGHT_GRAD else (own, shared)

    def __str__(self) -> str:
        """Return the sizes in words."""
        words = []
        for part in self.parts:
            choice = part.choice
            tile = f"{choice.s_real} stationary channels"
            if isinstance(part, GradPlan):
                held = "inputs" if part.holds_input else "output gradients"
                lanes = (VECTOR << choice.t_vectors) >> choice.t_split
                words.append(
                    f"{len(part.runs)} x {held} held, {tile} x {lanes} streamed, teams of "
                    f"{choice.team}, units of {_unit(choice)}"
                )
            else:
                bands = f", in {part.bands} bands" if part.bands > 1 else ""
                words.append(
                    f"weights held, {tile} x {choice.tile_samples} samples x {choice.tile_rows} "
                    f"rows x {choice.tile_cols} columns{bands}"
                )
        return "; ".join(words)


def _unit(choice: GradChoice) -> str:
    """Return what a cluster takes of a tile's contraction at a time, in words."""
    if choice.unit_rows:
        return f"{choice.unit_rows} rows of a sample"
    return f"{choice.tile_samples} samples"


def density_class(density: float) -> int:
    """Return the class of a density: eighths of a decade below 1, from 0 down to -32."""
    if density <= 0:
        return _LEAST_CLASS
    return max(_LEAST_CLASS, min(0, round(CLASSES_PER_DECADE * math.log10(density))))


@takes_text
def plan_pass(
    config: ArrayConfig,
    shape: ConvShape,
    which: Pass,
    densities: tuple[float, float],
    *,
    out_bytes: int = 4,
    value_bytes: int = 2,
    level: int = 0,
    dram: Dram | None = None,
) -> PassPlan:
    """Plan a pass for operands of such densities.

    Parameters
    ----------
    config, shape, which
        The pass.
    densities
        Nonzeros per number of the first and second operand (`ConvShape.operand_shapes`). Only
        their classes count.
    out_bytes, value_bytes
        Bytes of a result and of an operand's number.
    level
        Caution about the nonzeros of stationary strips that an array must hold at a time: at 0 to
        2 they may have somewhat more than their share; at 3, `DENSE`, any number. If strips have
        more, the plan is for another level, not wrong: the array says `WINDOW`.
    dram
        What is behind the ports, so that the plan reads less of it where that is faster; None: it
        is no limit.

    Raises
    ------
    InputError
        The pass does not fit the array.
    """
    shape.require_one_group("a pass of the array")
    classes = (density_class(densities[0]), density_class(densities[1]))
    return _plan(config, shape, which, classes, (out_bytes, value_bytes), level, dram)


@functools.lru_cache(maxsize=4096)
def _plan(
    config: ArrayConfig,
    shape: ConvShape,
    which: Pass,
    classes: tuple[int, int],
    widths: tuple[int, int],
    level: int,
    dram: Dram | None,
) -> PassPlan:
    """Plan a pass; by classes, so that alike ones are planned once."""
    first, second = (10.0 ** (one / CLASSES_PER_DECADE) for one in classes)
    sizes = array_sizes(config, dram)
    if which is Pass.WEIGHT_GRAD:
        parts = _grad_parts(sizes, shape, (first, second), widths, level)
    else:
        parts = _kernel_parts(sizes, shape, which, (first, second), widths, level)
    if parts is None:
        raise InputError(
            f"stationary_depth, directory_depth and acc_depth must hold a tile of the {which} "
            f"of {shape}, not be {config.stationary_depth}, {config.directory_depth} and "
            f"{config.acc_depth}"
        )
    return PassPlan(config=config, shape=shape, which=which, parts=parts)


def forget_plans() -> None:
    """Forget all plans, so that each is made anew."""
    _plan.cache_clear()
    axes.forget()


def array_sizes(config: ArrayConfig, dram: Dram | None) -> Sizes:
    """Return what plans need to know of an array, and of a DRAM if there is one that counts."""
    return Sizes(
        config.acc_depth,
        config.stationary_depth,
        config.directory_depth,
        config.chunks_depth,
        config.clusters,
        config.pes,
        config.drain_width,
        config.mem_width // 8 * config.ports,
        dram.bytes_per_cycle if dram else math.inf,
        dram.buffer_bytes if dram else 0,
    )


def _kernel_parts(
    sizes: Sizes,
    shape: ConvShape,
    which: Pass,
    densities: tuple[float, float],
    widths: tuple[int, int],
    level: int,
) -> tuple[KernelPlan, ...] | None:
    """Plan a forward pass or an input gradient: the phases of its results at once, or each."""
    best: tuple[KernelPlan, ...] | None = None
    least = NEVER
    steps = (sizes.accumulators // VECTOR, 1) if max(shape.stride) > 1 else (1,)
    for geometries in dict.fromkeys(kernel_geometries(shape, which, step) for step in steps):
        parts = [
            plan_part(sizes, shape, geometry, densities, widths, level) for geometry in geometries
        ]
        cycles = sum(part.choice.cycles for part in parts)
        if cycles < least:
            best, least = _on_one_stream(parts), cycles
    return best


def _on_one_stream(parts: list[KernelPlan]) -> tuple[KernelPlan, ...]:
    """Return parts in whose streams groups have as many channels: those that fit all windows."""
    real, vectors = min((part.choice.t_real, part.choice.t_vectors) for part in parts)
    return tuple(
        part._replace(choice=part.choice._replace(t_real=real, t_vectors=vectors)) for part in parts
    )


def most_taps(sizes: Sizes, shape: ConvShape) -> list[tuple[int, int, bool]]:
    """Return most tap rows and columns of a pass, and whether it is apart: many first."""
    vectors = sizes.accumulators // VECTOR
    rows = vectors // (4 * shape.s) or vectors // shape.s
    most = (min(shape.r, rows), min(shape.s, vectors)) if rows else (1, min(shape.s, vectors))
    most = (min(most[0], 16), min(most[1], 16))
    tried = ((*most, False), (*most, True), (1, most[1], True), (1, 1, True))
    return list(dict.fromkeys(tried))


def _grad_parts(
    sizes: Sizes,
    shape: ConvShape,
    densities: tuple[float, float],
    widths: tuple[int, int],
    level: int,
) -> tuple[GradPlan, ...] | None:
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
            best = GradPlan(cuts, pairs, holds_input, step, work, GradChoice(*choice))
    return best


def _first(cut: Cut, run: TapRun, step: int, *, holds_input: bool) -> int:
    if holds_input:
        return cut.out_low * step + run.first - cut.low
    # Input row low + i meets, by the last tap of the run, output row low + i - last.
    return cut.low - (run.first + len(run.taps) - 1) - cut.out_low
