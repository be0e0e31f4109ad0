"""Many multipliers as slices: copies of one accelerator that share a network on chip and a DRAM.

A slice is a whole `large` with its own memory port, so that ports grow with the multipliers. A
layer is divided among the slices along batch, rows, input and output channels, a grouped one along
batch, rows and groups, whichever division is fastest by the closed form of a slice
(`perf.estimate.closed_form`), and the slice with the most of it decides. Within that division jobs
go to the first free cluster of any slice, so that slices end together. Where the sum of one result
is divided (weight gradient: batch or rows; otherwise the contracted channels), slices write raw
partial sums of 8 bytes and read them back once.

Slices are fed by an on-chip buffer: DRAM carries every operand once, as strips, and every result
once, at its own bandwidth. That needs a buffer for what slices read more than
once, and is the assumption that favours the accelerator most.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

from gscn.array import ArrayConfig
from gscn.conv import ConvShape, Pass
from gscn.errors import InputError
from gscn.perf.dense_array import factorisations
from gscn.perf.estimate.closed_form import closed_form_cycles, expected_products, features
from gscn.perf.estimate.memory import compressed_bytes
from gscn.perf.workload.statistics import read_statistics
from gscn.perf.workload.work import Work

PARTIAL_BYTES = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class SlicedCost:
    """A convolution on all slices together."""

    division: tuple[int, int, int, int]
    """Parts of batch, rows, input channels (of grouped ones: groups) and output channels."""
    ideal_cycles: float
    """Useful products over all multipliers."""
    slice_cycles: float
    """Of the slice that has most to do."""
    dram_bytes: float


def sliced_costs(config: ArrayConfig, slices: int, works: Sequence[Work]) -> list[SlicedCost]:
    """Return what convolutions cost on slices.

    Parameters
    ----------
    config
        Of one slice.
    slices
        How many there are.
    works
        Convolutions and densities.

    Returns
    -------
    list of SlicedCost
        One per convolution, in order.

    Raises
    ------
    InputError
        There is no slice.
    """
    if slices < 1:
        raise InputError(f"slices must be at least 1, not {slices}")
    statistics = read_statistics()
    parts = [
        (index, division, part, share)
        for index, work in enumerate(works)
        for division in factorisations(slices)
        if work.shape.groups == 1 or division[3] == 1
        for part, share in [_part(work.shape, division)]
    ]
    products = [expected_products(work, statistics) for work in works]
    own = [dataclasses.replace(works[index], shape=part) for index, _, part, _ in parts]
    seen = features(config, own, [products[index] * share for index, _, _, share in parts])
    # bytes and DRAM are those of the whole: of parts only cycles count
    all_cycles = closed_form_cycles(seen, own).tolist()
    best: dict[int, SlicedCost] = {}
    for (index, division, part, _), cycles in zip(parts, all_cycles, strict=True):
        work = works[index]
        if _divides_sums(work.shape, work.which, division):
            results = math.prod(part.result_shape(work.which))
            cycles += 2 * results * PARTIAL_BYTES / config.port_bytes_per_cycle
        if index not in best or cycles < best[index].slice_cycles:
            best[index] = SlicedCost(
                division=division,
                ideal_cycles=products[index] / (slices * config.multipliers),
                slice_cycles=cycles,
                dram_bytes=compressed_bytes(
                    work.shape,
                    work.which,
                    work.first_density,
                    work.second_density,
                    value_bytes=config.format.width // 8,
                ).total_bytes,
            )
    return [best[index] for index in range(len(works))]


def _part(shape: ConvShape, division: tuple[int, int, int, int]) -> tuple[ConvShape, float]:
    """Return the largest part of a convolution, and its share of the products."""
    grouped = shape.groups > 1
    sizes = (shape.n, shape.p, *((shape.groups, 1) if grouped else (shape.c, shape.k)))
    own = [math.ceil(size / parts) for size, parts in zip(sizes, division, strict=True)]
    # rows of the input that give so many rows of the output
    rows = (own[1] - 1) * shape.stride[0] + shape.dilation[0] * (shape.r - 1) + 1
    part = dataclasses.replace(
        shape,
        n=own[0],
        h=min(max(rows - 2 * shape.padding[0], 1), shape.h),
        c=own[2] * shape.group.c if grouped else own[2],
        k=own[2] * shape.group.k if grouped else own[3],
        groups=own[2] if grouped else 1,
    )
    share = math.prod(have / size for have, size in zip(own, sizes, strict=True))
    return part, share


def _divides_sums(shape: ConvShape, which: Pass, division: tuple[int, int, int, int]) -> bool:
    batch, rows, inputs, outputs = division
    return {
        Pass.FORWARD: inputs > 1 and shape.groups == 1,
        Pass.INPUT_GRAD: outputs > 1,
        Pass.WEIGHT_GRAD: batch * rows > 1,
    }[which]
