"""The entry point: a pass of a convolution to a program for the accelerator."""

from __future__ import annotations

import numpy as np

from gscn.config import AcceleratorConfig
from gscn.conv import ConvShape, Pass
from lowering.image import build_image
from lowering.kernels import KernelProblem, KernelTiling, kernel_tiles
from lowering.maps import (
    KernelStationary,
    MapProblem,
    kernel_stationary_tiles,
    map_stationary_tiles,
)
from lowering.operands import (
    OPERAND_NAMES,
    check_accumulators,
    check_operand,
    count_useful_products,
)
from lowering.planning import (
    Candidate,
    plan_kernel_stationary,
    plan_kernels,
    plan_map_stationary,
)
from lowering.program import LoweringOptions, OutputFormat, Program


def lower(
    config: AcceleratorConfig,
    shape: ConvShape,
    which: Pass,
    first: np.ndarray,
    second: np.ndarray,
    out: OutputFormat,
    options: LoweringOptions | None = None,
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
        Integers, first of `shape.operand_shapes(which)`.
    second
        Integers, second of `shape.operand_shapes(which)`.
    out
        Rounding of the results.
    options
        Choices otherwise left to the cost model.

    Returns
    -------
    Program
        The program. Its result is exact, whatever the options.

    Raises
    ------
    InputError
        An operand has the wrong type, shape or range; an accumulator could overflow; or
        the layer does not fit the accelerator. The message names the tensor or field.
    """
    options = options or LoweringOptions()
    names = OPERAND_NAMES[which]
    shapes = shape.operand_shapes(which)
    first = check_operand(names[0], first, shapes[0], config)
    second = check_operand(names[1], second, shapes[1], config)
    check_accumulators(shape, which, first, second, config)
    useful = count_useful_products(shape, which, first, second)
    choices = ("first", "second") if options.stationary == "auto" else (options.stationary,)
    best: tuple[Candidate, str, MapProblem | KernelProblem] | None = None
    for choice in choices:
        if which is Pass.WEIGHT_GRAD:
            problem = KernelProblem.of(shape, first, second, grads_held=choice == "first")
            planner = plan_kernels
        else:
            problem = MapProblem.of(shape, which, first, second)
            planner = plan_kernel_stationary if choice == "first" else plan_map_stationary
        for candidate in planner(problem, useful, out.width, config, options):
            if best is None or candidate.cycles < best[0].cycles:
                best = (candidate, choice, problem)
    candidate, choice, problem = best
    if isinstance(candidate.tiling, KernelTiling):
        build = kernel_tiles
    elif isinstance(candidate.tiling, KernelStationary):
        build = kernel_stationary_tiles
    else:
        build = map_stationary_tiles
    tiles = build(problem, candidate.tiling, config, reorder=options.reorder)
    image = build_image(tiles, out, config)
    return Program(
        config=config,
        shape=shape,
        which=which,
        out=out,
        image=image.data,
        memory_bytes=image.memory_bytes,
        phases=image.phases,
        output_ranges=image.output_ranges,
        blocks=image.blocks,
        useful_products=useful,
        jobs=image.jobs,
        stationary=choice,
        plan=candidate.text,
        estimated_cycles=image.estimated_cycles,
    )
