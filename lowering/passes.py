"""The entry point: a pass of a convolution to a program for the accelerator."""

# Long: as it is until lowering is rewritten for streams that the chip cuts itself.

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence

import numpy as np

from gscn.config import AcceleratorConfig
from gscn.conv import ConvShape, Pass
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.lowering.drafts import TileDraft
from gscn.lowering.image import build_image
from gscn.lowering.kernels import kernel_tiles
from gscn.lowering.maps import (
    KernelStationary,
    MapProblem,
    MapStationary,
    kernel_stationary_tiles,
    map_stationary_tiles,
)
from gscn.lowering.operands import (
    OPERAND_NAMES,
    check_accumulators,
    check_codes,
    check_operand,
    choose_top,
    count_useful_products,
    nonzero_codes,
)
from gscn.lowering.options import LoweringOptions
from gscn.lowering.planning import (
    Candidate,
    plan_kernel_stationary,
    plan_kernels,
    plan_map_stationary,
    plan_waves,
)
from gscn.lowering.pointwise import as_matrices, contract_pixels, is_pointwise
from gscn.lowering.waves import WaveTiling, refinements, wave_tiles
from gscn.lowering.weight_grad import KernelProblem, KernelTiling, can_fold, channel_work
from gscn.lowering.windows import ramps
from gscn.lowering.zeros import spread_zeros, zero_tiles
from gscn.program import FloatOutput, OutputFormat, Program


@takes_text
def lower(
    config: AcceleratorConfig,
    shape: ConvShape,
    which: Pass,
    first: np.ndarray,
    second: np.ndarray,
    out: OutputFormat | FloatOutput,
    options: LoweringOptions | None = None,
    *,
    cost: Callable[[Program], float] | None = None,
) -> Program:
    """Lower one pass of a convolution to jobs and a memory image.

    Parameters
    ----------
    config
        The accelerator.
    shape
        The convolution.
    which
        The pass.
    first
        Integers, first of `shape.operand_shapes(which)`; in floating point unsigned codes.
    second
        Likewise, second of `shape.operand_shapes(which)`.
    out
        Rounding of the results; a `FloatOutput` makes the pass one in floating point.
    options
        Choices otherwise left to the cost model.
    cost
        Decides between the best tilings by the cost model; by default their estimated cycles.
        `cycles.cost.cycle_cost` is the cycle model.

    Returns
    -------
    Program
        The program. Its result is exact, whatever the options; in floating point, exact sums of
        products truncated one by one, rounded once (`gscn.window`). `Program.out` has the `top`.

    Raises
    ------
    InputError
        An operand has the wrong type, shape or range; an accumulator could overflow; or
        the layer does not fit the accelerator. The message names the tensor or field.
    """
    options = options or LoweringOptions()
    first, second, out, useful = _checked(config, shape, which, first, second, out)
    # The plan's estimate ranks; what the jobs really hold decides.
    candidates = _candidates(shape, which, first, second, useful, out.width, config, options)
    count = options.candidates or _candidates_to_build(useful)
    best: tuple[float, Program] | None = None
    built: list[tuple[float, _Entry]] = []

    def build(entry: _Entry) -> None:
        nonlocal best
        program = _program(entry, config, shape, which, out, useful, options)
        cycles = float(program.estimated_cycles) if cost is None else cost(program)
        built.append((cycles, entry))
        if best is None or cycles < best[0]:
            best = cycles, program

    refines = cost is not None and count >= _REFINED_CANDIDATES
    waves: list[_Entry] = []
    if options.waves or (refines and options.waves is None):
        waves = _waves(shape, which, first, second, config, options)
    for entry in waves if options.waves and waves else _most_promising(candidates, count) + waves:
        build(entry)
    if refines:
        for kind, fields in _refinements(config).items():
            for field, values in fields.items():
                alike = [pair for pair in built if isinstance(pair[1][0].tiling, kind)]
                for _, entry in sorted(alike, key=lambda pair: pair[0])[:_REFINED_PLANS]:
                    for other in _refine(entry, field, values):
                        build(other)
    assert best is not None  # a layer that fits has a candidate; one that does not was refused
    return best[1]


@takes_text
@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Plan:
    """The tiling of a program, for passes of the same shape and other operands."""

    config: AcceleratorConfig
    shape: ConvShape
    which: Pass
    out_width: int
    """Bits of a result."""
    stationary: str
    """`first` or `second`."""
    text: str
    tiling: KernelStationary | MapStationary | KernelTiling | WaveTiling
    folded: bool
    """Of a weight gradient: whether kernel columns are folded."""


def lower_again(
    plan: Plan,
    first: np.ndarray,
    second: np.ndarray,
    out: OutputFormat | FloatOutput,
    options: LoweringOptions | None = None,
) -> Program:
    """Lower a pass of other operands to a tiling that was found before, which is much faster.

    The result is as exact as with any other tiling; how many cycles it takes depends on how much
    the operands resemble those for which the tiling was found.

    Parameters
    ----------
    plan
        `Program.tiling` of another pass; says configuration, shape and which pass.
    first, second, out
        As of `lower`; results must be as wide as before.
    options
        As of `lower`; those that choose a tiling mean nothing.

    Raises
    ------
    InputError
        As `lower`.
    """
    config, shape, which = plan.config, plan.shape, plan.which
    if out.width != plan.out_width:
        raise InputError(f"results must have the plan's {plan.out_width} bits, not {out.width}")
    first, second, out, useful = _checked(config, shape, which, first, second, out)
    if which is Pass.WEIGHT_GRAD:
        held = plan.stationary == "first"
        # What channels are dealt by matters to planning only.
        work = np.zeros((1, shape.k, shape.c))
        if isinstance(plan.tiling, WaveTiling):
            numbered = as_matrices(shape, first, second)
        else:
            numbered = _numbered(shape, first, second, held)
        problem = KernelProblem.of(*numbered, work, grads_held=held)
        if plan.folded:
            problem = problem.fold_columns()
    else:
        problem = MapProblem.of(shape, which, first, second)
    entry = (Candidate((0.0, 0.0), plan.tiling, plan.text), plan.stationary, problem)
    return _program(entry, config, shape, which, out, useful, options or LoweringOptions())


def _checked(
    config: AcceleratorConfig,
    shape: ConvShape,
    which: Pass,
    first: np.ndarray,
    second: np.ndarray,
    out: OutputFormat | FloatOutput,
) -> tuple[np.ndarray, np.ndarray, OutputFormat | FloatOutput, int]:
    """Return checked operands, zeros being 0, the output with its window, and useful products."""
    names = OPERAND_NAMES[which]
    shapes = shape.operand_shapes(which)
    if isinstance(out, FloatOutput):
        first = check_codes(names[0], first, shapes[0], out.operands, config)
        second = check_codes(names[1], second, shapes[1], out.operands, config)
        out = dataclasses.replace(out, top=choose_top(shape, which, first, second, out))
        first, second = (nonzero_codes(codes, out.operands) for codes in (first, second))
    else:
        first = check_operand(names[0], first, shapes[0], config)
        second = check_operand(names[1], second, shapes[1], config)
        check_accumulators(shape, which, first, second, config)
    return first, second, out, count_useful_products(shape, which, first, second)


def _program(
    entry: _Entry,
    config: AcceleratorConfig,
    shape: ConvShape,
    which: Pass,
    out: OutputFormat | FloatOutput,
    useful: int,
    options: LoweringOptions,
) -> Program:
    candidate, choice, problem = entry
    image = build_image(_build(problem, candidate.tiling, config, options), out, config)
    return Program(
        config=config,
        shape=shape,
        which=which,
        out=out,
        image=image.data,
        memory_bytes=image.memory_bytes,
        phases=image.phases,
        phases_addr=image.phases_addr,
        output_ranges=image.output_ranges,
        blocks=image.blocks,
        useful_products=useful,
        jobs=image.jobs,
        stationary=choice,
        plan=candidate.text,
        estimated_cycles=image.estimated_cycles,
        tiling=Plan(
            config=config,
            shape=shape,
            which=which,
            out_width=out.width,
            stationary=choice,
            text=candidate.text,
            tiling=candidate.tiling,
            folded=isinstance(problem, KernelProblem) and problem.folded,
        ),
    )


_REFINED_CANDIDATES = 24
"""Tilings that must be worth building before the best of them are refined."""
_REFINED_PLANS = 3
_PATIENCE = (1.0, 2.0)
_WAVE_PLANS = 5
_Entry = tuple[Candidate, str, MapProblem | KernelProblem]


def _candidates(
    shape: ConvShape,
    which: Pass,
    first: np.ndarray,
    second: np.ndarray,
    useful: int,
    out_width: int,
    config: AcceleratorConfig,
    options: LoweringOptions,
) -> list[_Entry]:
    """Return every tiling that was planned, with the problem that it solves."""
    choices = ("first", "second") if options.stationary == "auto" else (options.stationary,)
    candidates: list[_Entry] = []
    work = None
    for choice in choices:
        if which is Pass.WEIGHT_GRAD:
            held = choice == "first"
            numbered = _numbered(shape, first, second, held)
            if work is None or numbered[0] != shape:  # else the same for both
                work = channel_work(*numbered)
            problem = KernelProblem.of(*numbered, work, grads_held=held)
            problems = [] if options.fold else [problem]
            if shape.s > 1 and options.fold is not False and can_fold(problem, config):
                problems.append(problem.fold_columns())
            candidates += [
                (candidate, choice, problem)
                for problem in problems or [problem]
                for candidate in plan_kernels(problem, out_width, config, options)
            ]
        else:
            problem = MapProblem.of(shape, which, first, second)
            planner = plan_kernel_stationary if choice == "first" else plan_map_stationary
            candidates += [
                (candidate, choice, problem)
                for candidate in planner(problem, useful, out_width, config, options)
            ]
    return candidates


def _numbered(
    shape: ConvShape, grads: np.ndarray, inputs: np.ndarray, held: bool
) -> tuple[ConvShape, np.ndarray, np.ndarray]:
    """Return a weight gradient whose pixels are in a good order, if they may be in any."""
    if not is_pointwise(shape):
        return shape, grads, inputs
    return contract_pixels(shape, grads, inputs, grads_held=held)


def _waves(
    shape: ConvShape,
    which: Pass,
    first: np.ndarray,
    second: np.ndarray,
    config: AcceleratorConfig,
    options: LoweringOptions,
) -> list[_Entry]:
    """Return tilings in waves, if the pass and the options allow any."""
    plain = options.balance and options.reorder and options.contraction_parts is None
    if which is not Pass.WEIGHT_GRAD or not is_pointwise(shape) or not plain:
        return []
    numbered = as_matrices(shape, first, second)
    work = channel_work(*numbered)
    entries = []
    for choice in ("first", "second") if options.stationary == "auto" else (options.stationary,):
        problem = KernelProblem.of(*numbered, work, grads_held=choice == "first")
        entries += [
            (Candidate((cycles, cycles), tiling, str(tiling)), choice, problem)
            for cycles, tiling in plan_waves(problem, config, most=_WAVE_PLANS)
        ]
    return sorted(entries, key=lambda entry: entry[0].cycles[0])[:_WAVE_PLANS]


def _refinements(config: AcceleratorConfig) -> dict[type, dict[str, Sequence]]:
    """Return by kind of tiling the fields that are refined one after the other, and values."""
    return {
        KernelTiling: {"ramp": ramps(config), "patience": _PATIENCE},
        WaveTiling: refinements(config),
    }


def _refine(entry: _Entry, field: str, values: Sequence) -> list[_Entry]:
    """Return the same tiling with other values of a field."""
    candidate, choice, problem = entry
    tilings = [
        dataclasses.replace(candidate.tiling, **{field: value})
        for value in values
        if value != getattr(candidate.tiling, field)
    ]
    return [
        (
            dataclasses.replace(
                candidate,
                tiling=tiling,
                text=str(tiling) if isinstance(tiling, WaveTiling) else candidate.text,
            ),
            choice,
            problem,
        )
        for tiling in tilings
    ]


def _most_promising(candidates: list[_Entry], count: int) -> list[_Entry]:
    """Return `count` candidates, the best by either estimate in turn."""
    orders = [sorted(candidates, key=lambda entry: entry[0].cycles[i]) for i in range(2)]
    chosen: dict[int, _Entry] = {}
    for entry in itertools.chain.from_iterable(zip(*orders, strict=True)):
        chosen.setdefault(id(entry), entry)
        if len(chosen) == count:
            break
    return list(chosen.values())


def _candidates_to_build(products: int) -> int:
    """Return how many tilings to build: many for small layers, where it costs little.

    Layers of a few cycles, of which tests run many, do with fewer.
    """
    for most, count in (
        (100_000, 12),
        (1_000_000, 24),
        (4_000_000, 12),
        (10_000_000, 6),
        (25_000_000, 4),
    ):
        if products < most:
            return count
    return 2


def _build(
    problem: MapProblem | KernelProblem,
    tiling: KernelStationary | MapStationary | KernelTiling | WaveTiling,
    config: AcceleratorConfig,
    options: LoweringOptions,
) -> list[TileDraft]:
    if isinstance(tiling, WaveTiling):
        return wave_tiles(problem, tiling, config)
    if isinstance(tiling, KernelTiling):
        return kernel_tiles(problem, tiling, config, reorder=options.reorder)
    if isinstance(tiling, KernelStationary):
        tiles = kernel_stationary_tiles(problem, tiling, config, reorder=options.reorder)
    else:
        tiles = map_stationary_tiles(problem, tiling, config, reorder=options.reorder)
    if problem.zeros is not None:
        tiles = spread_zeros(tiles, zero_tiles(problem.zeros, config), config)
    return tiles
