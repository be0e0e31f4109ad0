"""How an array does each pass of a training step whose operands and results the chip makes itself.

Results of a pass lie in groups of 16 channels, so that encode passes can walk them, and each pass
is one descriptor; but a weight gradient of many taps, or of dilated ones, is several on the same
operands, each of some taps, which encode passes put together.
"""

from __future__ import annotations

import functools

import numpy as np

from gscn.array import ArrayConfig
from gscn.conv import ConvShape, Pass
from gscn.encode import LOOPS
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.lowering.axes import MOST_STEP, grad_geometry, kernel_geometries
from gscn.lowering.estimates import DENSE
from gscn.lowering.grad_plan import GradPlan, grad_plans, most_taps
from gscn.lowering.kernel_plan import KernelPlan, plan_part
from gscn.lowering.layouts import Grouping, used_rows
from gscn.lowering.plan import array_sizes
from gscn.lowering.step.walks import (
    DenseTensor,
    axis_rows,
    cut_rows,
    map_walk,
    output_rows,
    weight_walk,
)
from gscn.passes import VECTOR
from gscn.step import Operand, Role

DENSITIES = (0.2, 0.4)
"""Of operands, for choices that only cost time."""


@functools.lru_cache(maxsize=512)
def whole_plan(
    config: ArrayConfig, shape: ConvShape, which: Pass, out_bytes: int
) -> KernelPlan | GradPlan:
    """Return how a pass is done: on one pair of operands.

    Raises
    ------
    InputError
        It cannot be.
    """
    shape.require_one_group("a whole step")
    sizes, widths = array_sizes(config, None), (out_bytes, 2)
    if which is not Pass.WEIGHT_GRAD:
        geometries = kernel_geometries(shape, which, MOST_STEP)
        if len(geometries) > 1:
            raise InputError(f"{which} of {shape} must be one pass of the array")
        # Encode passes write maps whole.
        part = plan_part(sizes, shape, geometries[0], DENSITIES, widths, DENSE, whole=True)
        channels = part.geometry.channels
        stream = shape.c if which is Pass.FORWARD else shape.k
        phases = part.geometry.contracted // stream
        if stream > VECTOR and phases > 1 and stream % VECTOR:
            raise InputError(
                f"channels of a strided layer must be a multiple of {VECTOR}, not {stream}"
            )
        choice = part.choice._replace(
            s_real=min(VECTOR, channels), s_vectors=0, t_real=min(VECTOR, stream), t_vectors=0
        )
        return part._replace(choice=choice)
    most_y, most_x, apart = most_taps(sizes, shape)[0]
    axes = grad_geometry(shape, most_y, most_x, apart=apart, most_step=MOST_STEP)
    parts = grad_plans(sizes, shape, axes, DENSITIES, widths, DENSE)
    if parts is None or len(parts) > 1:
        raise InputError(f"{which} of {shape} must have one operand of its inputs")
    part = parts[0]
    results = VECTOR * VECTOR * max(len(y.taps) * len(x.taps) for y, x in part.runs)
    choice = part.choice._replace(
        s_real=min(VECTOR, part.work.s_channels), s_vectors=0, t_vectors=0,
        t_split=(-(-results // config.acc_depth) - 1).bit_length(),
    )  # fmt: skip
    return part._replace(choice=choice)


def is_turned(part: GradPlan, *, by_output: bool) -> bool:
    """Say whether an encode pass puts a weight gradient in the order of weights.

    Parameters
    ----------
    part
        How the gradient is made.
    by_output
        Lanes of weights are output channels; otherwise input channels.
    """
    return part.holds_input is by_output or len(part.runs) > 1


def part_name(name: str, number: int) -> str:
    """Return the name of one of several passes, or results, of an operation."""
    return f"{name}/{number}" if number else name


@takes_text
def plan_like(
    config: ArrayConfig, shape: ConvShape, which: Pass, out_bytes: int, like: ConvShape | None
) -> KernelPlan | GradPlan:
    """Return the plan of a pass; of one sample of a batch, in the layouts of the whole one's."""
    part = whole_plan(config, like or shape, which, out_bytes)
    if like is None:
        return part
    choice = part.choice._replace(tile_samples=1)
    if isinstance(part, KernelPlan):
        return KernelPlan(part.geometry._replace(samples=shape.n), choice)
    return part._replace(work=part.work._replace(samples=shape.n), choice=choice)


def check_room(config: ArrayConfig, part: KernelPlan | GradPlan, weights: int) -> None:
    """Refuse a forward pass or an input gradient whose weights the array cannot hold.

    Parameters
    ----------
    config, part
        The array, and how it does the pass.
    weights
        Taps of a channel that have a weight.

    Raises
    ------
    InputError
        Those of as many channels as lie together do not fit.
    """
    if isinstance(part, GradPlan):
        return
    taps = part.geometry.y.taps * part.geometry.x.taps
    places = part.choice.t_real * taps
    most = VECTOR * part.choice.t_real * min(taps, weights)
    if most >= config.stationary_depth or places >= config.directory_depth:
        raise InputError(
            f"stationary_depth and directory_depth must be above {most} and {places}, to hold "
            f"weights of {part.choice.t_real} x {VECTOR} channels, not {config.stationary_depth} "
            f"and {config.directory_depth}"
        )


def operand_walk(
    part: KernelPlan | GradPlan, operand: Operand, dense: DenseTensor, *, by_output: bool = True
) -> tuple[dict[str, int], int]:
    """Return the walk of an operand from a dense tensor, and the positions of a strip.

    Parameters
    ----------
    part
        How the array does its pass.
    operand, dense
        The operand, and the tensor in memory.
    by_output
        Of weights: lanes in memory are output channels; otherwise input channels.
    """
    shape, choice = operand.shape, part.choice
    if isinstance(part, KernelPlan):
        geometry = part.geometry
        if operand.role is Role.FIRST:
            taps = geometry.y.taps * geometry.x.taps
            walk = weight_walk(dense, geometry, part.stationary, by_output=by_output)
            return walk, min(choice.t_real * taps, walk["period"])
        y, x = geometry.y, geometry.x
        if geometry.forward:
            rows = [
                axis_rows(axis, _end(used))
                for axis, used in zip((y, x), used_rows(shape), strict=True)
            ]
        else:
            rows = [output_rows(axis) for axis in (y, x)]
        stream = Grouping(dense.channels, choice.t_real, choice.t_vectors)
        return map_walk(dense, *rows, stream), min(choice.t_rows, rows[0].count) * rows[1].count
    held = part.holds_input is (operand.role is Role.SECOND)
    if operand.role is Role.SECOND:
        rows = [
            cut_rows(cut, _end(used)) for cut, used in zip(part.cuts, used_rows(shape), strict=True)
        ]
        for own, used in zip(rows, used_rows(shape), strict=True):
            places = own.first + own.cut * np.arange(own.count)
            if not used[places[(places >= 0) & (places < own.limit)]].all():
                raise InputError(f"{operand.which} of {shape} must use every row that it holds")
    else:
        rows = [output_rows(cut) for cut in part.cuts]
    grouping = part.stationary if held else part.stream
    band = choice.s_outer if held else choice.t_rows
    return map_walk(dense, *rows, grouping), min(band, rows[0].count) * rows[1].count


def whole_strips(
    part: KernelPlan | GradPlan, operand: Operand, dense: DenseTensor, fields: dict[str, int]
) -> tuple[int, int]:
    """Return positions of a strip, and after which strips begin anew, of an operand.

    Parameters
    ----------
    part, operand, dense
        As of `operand_walk`.
    fields
        The walk of the whole map.

    Raises
    ------
    InputError
        The operand is not the whole map in that order.
    """
    walk, strip = operand_walk(part, operand, dense)
    names = {*(f"count{loop}" for loop in range(LOOPS)), "channels"}
    if walk["count5"] > 1:
        # Lanes beyond the channels of a single group are zeros, however many it may have.
        names.add("group_channels")
    ends = [walk[f"{axis}_{end}"] for axis in "yx" for end in ("first", "limit")]
    if any(walk[name] != fields[name] for name in names) or ends != [0, dense.rows, 0, dense.cols]:
        raise InputError(
            f"the {operand.role.name.lower()} operand of {operand.which} of "
            f"{operand.shape} must be its whole map"
        )
    return strip, walk["period"]


def _end(used: np.ndarray) -> int:
    """Return one past the last row that some tap uses."""
    return int(used.nonzero()[0][-1]) + 1
