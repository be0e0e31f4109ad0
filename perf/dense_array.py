"""A dense array with as many multipliers, the baseline of every speed-up.

Each pass is a matrix product of three dimensions: forward K x (C R S) x (N P Q), input gradient
C x (K R S) x (N P Q), weight gradient K x (N P Q) x (C R S). A grouped convolution is as many
products, of the channels of one group each. The multipliers are arranged as any factorisation of
their number over groups and the three, chosen anew for each layer and pass, and every dimension is
cut into whole tiles (the rest of an edge tile is idle). The array starts a new tile in
every cycle: no time to fill, to drain or to load weights. Operands are read once and results
written once, at the operands' width, over the same memory port, reads and writes at the same time,
and overlap perfectly with computing; where a DRAM behind the port is given, it moves all of them.

This favours the baseline: a real array cannot change its shape, holds no whole layer on chip, and
spends extra products on the zeros that a strided input gradient inserts.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass

from gscn.array import ArrayConfig
from gscn.conv import ConvShape, Pass
from gscn.enums import takes_text


@dataclass(frozen=True, kw_only=True, slots=True)
class DenseCost:
    """Cycles of one pass of one layer on the dense array."""

    arrangement: tuple[int, int, int]
    """Multipliers along (rows, contraction, columns) of the matrix product."""
    groups: int
    """Products of groups that are multiplied at the same time, each by so many multipliers."""
    compute_cycles: int
    read_cycles: int
    """Cycles of the port's read channel."""
    write_cycles: int
    """Cycles of the port's write channel."""
    dram_cycles: int = 0
    """Cycles of the DRAM behind the port; 0 if there is none that limits it."""

    @property
    def cycles(self) -> int:
        """The longest of them, which overlap."""
        return max(self.compute_cycles, self.read_cycles, self.write_cycles, self.dram_cycles)

    @property
    def bound(self) -> str:
        """What limits the pass: "multipliers", "read port", "write port" or "DRAM"."""
        limits = {
            "multipliers": self.compute_cycles,
            "read port": self.read_cycles,
            "write port": self.write_cycles,
            "DRAM": self.dram_cycles,
        }
        return max(limits, key=limits.__getitem__)


@takes_text
def matrix_dimensions(shape: ConvShape, which: Pass) -> tuple[int, int, int]:
    """Return (rows, contraction, columns) of the matrix product that a pass of a group is.

    Their product, times the groups, is `shape.dense_macs` in every pass.
    """
    shape = shape.group
    pixels = shape.n * shape.p * shape.q
    window = shape.r * shape.s
    return {
        Pass.FORWARD: (shape.k, shape.c * window, pixels),
        Pass.INPUT_GRAD: (shape.c, shape.k * window, pixels),
        Pass.WEIGHT_GRAD: (shape.k, pixels, shape.c * window),
    }[which]


@functools.cache
def factorisations(number: int) -> tuple[tuple[int, int, int, int], ...]:
    """Return every way to write a number as a product of four."""
    divisors = [one for one in range(1, number + 1) if number % one == 0]
    return tuple(
        (one, two, three, number // (one * two * three))
        for one, two, three in itertools.product(divisors, repeat=3)
        if number % (one * two * three) == 0
    )


def _compute_cycles(
    multipliers: int, shape: ConvShape, which: Pass
) -> dict[tuple[int, int, int, int], int]:
    """Return the cycles that each arrangement of the multipliers computes a pass in."""
    dimensions = (shape.groups, *matrix_dimensions(shape, which))
    return {
        arrangement: math.prod(
            math.ceil(size / lanes) for size, lanes in zip(dimensions, arrangement, strict=True)
        )
        for arrangement in factorisations(multipliers)
    }


@takes_text
def best_arrangement(
    multipliers: int, shape: ConvShape, which: Pass
) -> tuple[tuple[int, int, int, int], int]:
    """Return how the multipliers are arranged for a pass, and the cycles that it then computes.

    Along groups, rows, contraction and columns; ties go to the fewest groups at the same time.
    """
    cycles = _compute_cycles(multipliers, shape, which)
    best = min(cycles, key=cycles.__getitem__)
    return best, cycles[best]


@takes_text
def fewest_operands(multipliers: int, shape: ConvShape, which: Pass) -> int:
    """Return how many operands any arrangement reads at least, one per row and column and cycle."""
    return min(
        cycles * groups * contraction * (rows + columns)
        for (groups, rows, contraction, columns), cycles in _compute_cycles(
            multipliers, shape, which
        ).items()
    )


@takes_text
def dense_cost(
    config: ArrayConfig, shape: ConvShape, which: Pass, *, dram_bytes_per_cycle: float | None = None
) -> DenseCost:
    """Return the cost of a pass on the dense array.

    Parameters
    ----------
    config
        Gives the number of multipliers, the operands' width and the memory ports.
    shape
        The convolution.
    which
        The pass.
    dram_bytes_per_cycle
        Bandwidth of a DRAM behind the ports, reads and writes together; None: it is no limit.
    """
    (groups, *arrangement), compute_cycles = best_arrangement(config.multipliers, shape, which)
    value_bytes = config.format.width // 8
    first, second = shape.operand_shapes(which)
    read_bytes = (math.prod(first) + math.prod(second)) * value_bytes
    write_bytes = math.prod(shape.result_shape(which)) * value_bytes
    return DenseCost(
        arrangement=(arrangement[0], arrangement[1], arrangement[2]),
        groups=groups,
        compute_cycles=compute_cycles,
        read_cycles=math.ceil(read_bytes / config.port_bytes_per_cycle),
        write_cycles=math.ceil(write_bytes / config.port_bytes_per_cycle),
        dram_cycles=0
        if dram_bytes_per_cycle is None
        else math.ceil((read_bytes + write_bytes) / dram_bytes_per_cycle),
    )
