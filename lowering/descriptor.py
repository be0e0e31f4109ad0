"""Descriptors of passes from their plans: whole numbers only, as a driver writes them."""

from __future__ import annotations

import operator
import struct
from typing import NamedTuple

from gscn.array import ArrayConfig
from gscn.errors import InputError
from gscn.lowering.axes import TapRun
from gscn.lowering.estimates import gang_size
from gscn.lowering.grad_estimates import reach
from gscn.lowering.grad_plan import GradPlan
from gscn.lowering.kernel_plan import KernelPlan
from gscn.passes import DESCRIPTOR_BYTES, PASS_DESCRIPTOR, VECTOR, Mode

ALIGNMENT = 64
"""Addresses are multiples of so many bytes."""
_CODES = {8: "B", 16: "H", 32: "I", 64: "Q"}
_USED = tuple(one for one in PASS_DESCRIPTOR.fields if not one.name.startswith("reserved"))
_LAYOUT = struct.Struct(
    "<"
    + "".join(
        "x" * (one.width // 8)
        if one.name.startswith("reserved")
        else _CODES[one.width].lower()
        if one.signed
        else _CODES[one.width]
        for one in PASS_DESCRIPTOR.fields
    )
)
_in_order = operator.itemgetter(*(one.name for one in _USED))
assert _LAYOUT.size == DESCRIPTOR_BYTES


class Numbers(NamedTuple):
    """Numbers of a pass: fields of its descriptor, and bytes of a result."""

    out_format: int
    shift: int
    number_format: int
    window: int
    out_bytes: int


class Places(NamedTuple):
    """Where operands and results of a pass are."""

    s_data: int
    s_table: int
    s_halfwords: int
    t_data: int
    t_table: int
    t_halfwords: int
    out_addr: int


def help_limit(steps: int, step: int) -> int:
    """Return what is left to a gang's own clusters, of so many steps of so many samples or groups.

    Whoever comes to help must load its stationary tile first: not for the last of many steps.
    """
    return step if steps >= 8 else 0


def kernel_descriptor(
    config: ArrayConfig, plan: KernelPlan, numbers: Numbers, places: Places
) -> bytes:
    """Return the descriptor of a forward pass or an input gradient.

    Raises
    ------
    InputError
        A size is beyond its field, which is named.
    """
    # Long: one entry per field, in the order of the record.
    geometry, choice = plan.cut, plan.choice
    y, x = geometry.y, geometry.x
    rows, cols = geometry.results
    stream_rows, stream_cols = geometry.stream
    run = VECTOR << choice.s_vectors
    chunks = -(-geometry.contracted // choice.t_real)
    tiles = -(-geometry.channels // choice.s_real)
    whole = choice.tile_rows >= rows
    unit = choice.t_rows * y.step
    # Strips, from that of a tile's first own, whose rows count for some row of the tile.
    before = 0 if whole else max(0, -((1 - y.taps - y.first) // unit))
    after = 1 if whole else (choice.tile_rows - 1 - y.first) // unit + 1
    strips = -(-stream_rows // choice.t_rows)
    pixel_bytes = run * numbers.out_bytes
    row_bytes = cols * pixel_bytes
    sample_bytes = rows * row_bytes
    tile_bytes = geometry.samples * sample_bytes
    taps = y.taps * x.taps
    index_mask = (1 << config.index_width) - 1
    return _packed(
        s_data=places.s_data,
        s_table=places.s_table,
        t_data=places.t_data,
        t_table=places.t_table,
        out_addr=places.out_addr,
        out_end=places.out_addr + _aligned(tiles * tile_bytes),
        s_halfwords=places.s_halfwords,
        t_halfwords=places.t_halfwords,
        s_tile_bytes=tile_bytes,
        t_tile_bytes=0,
        sample_bytes=sample_bytes,
        row_bytes=row_bytes,
        pixel_bytes=pixel_bytes,
        mode=int(Mode.KERNEL),
        number_format=numbers.number_format,
        out_format=numbers.out_format,
        shift=numbers.shift,
        window=numbers.window,
        team=gang_size(config.clusters, tiles),
        s_tiles=tiles,
        s_chunks=chunks,
        s_groups=tiles,
        s_vectors=choice.s_vectors,
        s_mid=y.taps,
        s_outer=choice.t_real,
        s_outer_last=geometry.contracted - (chunks - 1) * choice.t_real,
        s_inner=x.taps,
        s_keys=choice.t_real * taps,
        s_offset_mid=choice.tile_cols * run & index_mask,
        s_offset_inner=run & index_mask,
        t_tiles=1,
        t_groups=chunks,
        t_vectors=choice.t_vectors,
        t_split=0,
        t_strips=strips,
        t_rows=choice.t_rows,
        t_rows_last=stream_rows - (strips - 1) * choice.t_rows,
        t_width=stream_cols,
        t_step=y.step,
        taps_y=y.taps,
        taps_x=x.taps,
        ahead=0,
        behind=0,
        by_rows=choice.by_rows,
        first_row=y.first - before * unit,
        first_col=x.first,
        lane_step=taps,
        x_step=run & index_mask,
        y_step=choice.tile_cols * run & index_mask,
        row_keys=x.taps,
        row_step=0,
        plane=choice.tile_rows * choice.tile_cols * run & index_mask,
        samples=geometry.samples,
        tile_samples=choice.tile_samples,
        rows=rows,
        cols=cols,
        tile_rows=choice.tile_rows,
        tile_cols=choice.tile_cols,
        tile_strips=choice.tile_strips,
        strips_before=before,
        strips_after=after,
        run=run,
        help=help_limit(-(-geometry.samples // choice.tile_samples), choice.tile_samples),
        unit_strips=0,
        chained=0,
    )


def descriptors(
    config: ArrayConfig,
    part: KernelPlan | GradPlan,
    numbers: Numbers,
    operands: tuple[int, int, int, int, int, int],
    out_addr: int,
) -> tuple[list[bytes], list[tuple[int, int]]]:
    """Return the descriptors of passes on the same operands, and the bytes that each may write.

    Parameters
    ----------
    config, part, numbers
        The array, and what it does.
    operands
        The first six of `Places`.
    out_addr
        Byte address of the results of the first pass, a multiple of 64; those of the others
        follow.

    Raises
    ------
    InputError
        A size is beyond its field, which is named.
    """
    made, ranges = [], []
    for runs in part.runs if isinstance(part, GradPlan) else (None,):
        places = Places(*operands, out_addr)
        if isinstance(part, GradPlan):
            made.append(grad_descriptor(config, part, runs, numbers, places))
            s_tiles, t_tiles, results = grad_tile(part, runs)
            results *= s_tiles * t_tiles
        else:
            made.append(kernel_descriptor(config, part, numbers, places))
            cut = part.cut
            rows, cols = cut.results
            tiles = -(-cut.channels // part.choice.s_real)
            results = tiles * cut.samples * rows * cols
            results *= VECTOR << part.choice.s_vectors
        end = out_addr + _aligned(results * numbers.out_bytes)
        ranges.append((out_addr, end))
        out_addr = end
    return made, ranges


def grad_tile(plan: GradPlan, runs: tuple[TapRun, TapRun]) -> tuple[int, int, int]:
    """Return stationary tiles, streamed tiles, and results of a tile of a weight gradient."""
    choice = plan.choice
    lanes = (VECTOR << choice.t_vectors) >> choice.t_split
    taps = len(runs[0].taps) * len(runs[1].taps)
    s_tiles = -(-plan.work.s_channels // choice.s_real)
    t_tiles = -(-plan.work.t_channels // lanes)
    return s_tiles, t_tiles, lanes * taps * (VECTOR << choice.s_vectors)


def grad_descriptor(
    config: ArrayConfig,
    plan: GradPlan,
    runs: tuple[TapRun, TapRun],
    numbers: Numbers,
    places: Places,
) -> bytes:
    """Return the descriptor of one pass of a weight gradient.

    Raises
    ------
    InputError
        A size is beyond its field, which is named.
    """
    # Long: one entry per field, in the order of the record.
    work, choice = plan.work, plan.choice
    run_y, run_x = runs
    s_tiles, t_tiles, run = grad_tile(plan, runs)
    s_lanes = VECTOR << choice.s_vectors
    chunks = -(-work.s_rows // choice.s_outer)
    strips = -(-work.t_rows // choice.t_rows)
    behind, ahead = reach(work, choice.t_rows, choice.s_outer)
    t_groups = -(-work.t_channels // (VECTOR << choice.t_vectors))
    tile_bytes = run * numbers.out_bytes
    taps_y, taps_x = len(run_y.taps), len(run_x.taps)
    chained = choice.team > 1
    index_mask = (1 << config.index_width) - 1
    return _packed(
        s_data=places.s_data,
        s_table=places.s_table,
        t_data=places.t_data,
        t_table=places.t_table,
        out_addr=places.out_addr,
        out_end=places.out_addr + _aligned(s_tiles * t_tiles * tile_bytes),
        s_halfwords=places.s_halfwords,
        t_halfwords=places.t_halfwords,
        s_tile_bytes=t_tiles * tile_bytes,
        t_tile_bytes=tile_bytes,
        sample_bytes=0,
        row_bytes=0,
        pixel_bytes=0,
        mode=int(Mode.CORRELATE),
        number_format=numbers.number_format,
        out_format=numbers.out_format,
        shift=numbers.shift,
        window=numbers.window,
        team=choice.gang,
        s_tiles=s_tiles,
        s_chunks=chunks,
        s_groups=s_tiles,
        s_vectors=choice.s_vectors,
        s_mid=1,
        s_outer=choice.s_outer,
        s_outer_last=work.s_rows - (chunks - 1) * choice.s_outer,
        s_inner=work.s_cols,
        s_keys=choice.s_outer * work.s_cols,
        s_offset_mid=0,
        s_offset_inner=s_lanes & index_mask,
        t_tiles=t_tiles,
        t_groups=t_groups,
        t_vectors=choice.t_vectors,
        t_split=choice.t_split,
        t_strips=strips,
        t_rows=choice.t_rows,
        t_rows_last=work.t_rows - (strips - 1) * choice.t_rows,
        t_width=work.t_cols,
        t_step=plan.step,
        taps_y=taps_y,
        taps_x=taps_x,
        ahead=ahead,
        behind=behind,
        by_rows=0,
        first_row=plan.first(0, run_y),
        first_col=plan.first(1, run_x),
        lane_step=taps_y * taps_x * s_lanes & index_mask,
        x_step=-s_lanes & index_mask,
        y_step=0,
        row_keys=work.s_cols,
        row_step=taps_x * s_lanes & index_mask,
        plane=0,
        samples=work.samples,
        tile_samples=choice.tile_samples,
        rows=work.s_rows,
        cols=work.s_cols,
        tile_rows=1,
        tile_cols=1,
        tile_strips=1,
        strips_before=0,
        strips_after=1,
        run=run,
        help=help_limit(t_groups, 1),
        unit_strips=-(-choice.unit_rows // choice.t_rows),
        chained=int(chained),
    )


def _aligned(size: int) -> int:
    return size + -size % ALIGNMENT


def _packed(**values: int) -> bytes:
    try:
        return _LAYOUT.pack(*_in_order(values))
    except struct.error:
        for one in _USED:
            low, high = (
                (-(1 << (one.width - 1)), (1 << (one.width - 1)) - 1)
                if one.signed
                else (0, (1 << one.width) - 1)
            )
            if not low <= values[one.name] <= high:
                raise InputError(
                    f"{one.name} of a pass must be {low} to {high}, not {values[one.name]}"
                ) from None
        raise
