"""Cell area that an encode unit will have, by what measured components have per bit.

`python -m benchmarks.encode_area` counts the bits of multipliers, adders, multiplexers and
flip-flops of units of several sizes, and holds them to the array `large`. An estimate:
nothing of the unit is synthesised. Cell areas are those of docs/results/area.md, which says how
they are measured; memories are counted in bits, as there.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

from benchmarks.markdown import percent, table
from gscn.array import array
from gscn.encode import COEFFICIENT_BITS, WINDOW_WIDTH

# Of docs/results/area.md, um2: configuration small, int16.
MULTIPLIER_16X16, FLIP_FLOP = 63_304, 35_712 / 372
ALIGNMENT_48 = 119_104 - 93_280
"""What alignment of products to a window of 48 bits adds to a Walker."""
CLUSTER, CLUSTER_PES, FORMATS = 2_513_989, 4, 224_691 - 190_460
REST = 1_032_213 + 224_472
"""Of the array outside its clusters, for the most part."""
MEMORY_BITS = 333_232
"""Of a PE."""

ADDER_BIT = MULTIPLIER_16X16 / 256
MUX_BIT = ALIGNMENT_48 / (48 * 6)
SUM_WIDTH = 48
STREAMS = 5
BINS, COUNT_BITS = 256, 17


class Part(NamedTuple):
    """Bits of a part of the unit."""

    name: str
    multiplied: int = 0
    added: int = 0
    chosen: int = 0
    """Of multiplexers of two inputs."""
    kept: int = 0
    """Of flip-flops."""
    memory: int = 0

    @property
    def area(self) -> float:
        """Cell area in um2, without memories."""
        return (
            (self.multiplied + self.added) * ADDER_BIT
            + self.chosen * MUX_BIT
            + self.kept * FLIP_FLOP
        )


class Unit(NamedTuple):
    """Sizes of a unit."""

    lanes: int = 32
    """Values of 16 bits per cycle."""
    wide: int = 16
    """Of these, lanes that take values of 32 bits."""
    coefficient_bits: int = COEFFICIENT_BITS
    sums_apart: bool = True
    """Reductions have alignment and adders of their own; otherwise those of combinations."""
    strips: int = 2
    """Strips that are written at full width at a time."""
    held_bits: int = 0
    """Of a memory for a tensor that is added to every sample."""


def parts(unit: Unit) -> list[Part]:
    """Return the parts of a unit."""
    lanes, wide = unit.lanes, unit.wide
    levels, vectors = WINDOW_WIDTH.bit_length() - 1, lanes // 16
    reductions = Part("reductions", kept=lanes * 2 * SUM_WIDTH)
    if unit.sums_apart:
        reductions = reductions._replace(added=lanes * SUM_WIDTH, chosen=lanes * SUM_WIDTH * 6)
    else:
        # What is wider and deeper in the combinations' own.
        wider = SUM_WIDTH - WINDOW_WIDTH
        reductions = reductions._replace(added=lanes * wider, chosen=lanes * (wider * 6 + 32))
    return [
        Part("multipliers", multiplied=(wide * 24 + (lanes - wide) * 8) * unit.coefficient_bits),
        Part("largest exponent of each value", added=lanes * (3 * 9 + 2 * 10)),
        Part("alignment", chosen=lanes * WINDOW_WIDTH * levels),
        Part("sums", added=lanes * (WINDOW_WIDTH + 2), kept=lanes * (WINDOW_WIDTH + 2)),
        Part(
            "rounding", added=lanes * (WINDOW_WIDTH + 8) + wide * 16,
            chosen=lanes * WINDOW_WIDTH * levels,
        ),
        Part("thresholds", added=2 * (wide * 31 + (lanes - wide) * 15)),
        reductions,
        Part(
            "strips A and B",
            chosen=unit.strips * (vectors * 16 * 16 * 4 + lanes * 16 * 5),
            kept=2 * 2 * lanes * 16,
        ),
        Part(
            "addresses", added=STREAMS * 48, chosen=STREAMS * 32 * 8, kept=STREAMS * (9 * 32 + 48)
        ),
        Part("record", kept=491 * 8 - STREAMS * 9 * 32),
        Part("selection", memory=lanes * BINS * COUNT_BITS),
        # Four bursts of 16 beats for each of three tensors, two of each result, rows of a group.
        Part(
            "queues", kept=6 * 2 * lanes * 16,
            memory=(3 * 64 + 5 * 32) * 512 + 2 * 32 * 256 + unit.held_bits,
        ),
    ]  # fmt: skip


HELD_BITS = 32 * 1024 * 16
"""A tensor of 32 channels and 32x32 positions."""
UNITS = {
    "32 values": Unit(),
    "32 values, coefficients of 8 bits": Unit(coefficient_bits=8),
    "lean: 8 lanes for float32, sums take turns with products": Unit(wide=8, sums_apart=False),
    "lean, broadcast tensors held": Unit(wide=8, sums_apart=False, held_bits=HELD_BITS),
    "lean, coefficients of 8 bits, one packer": Unit(
        wide=8, sums_apart=False, coefficient_bits=8, strips=1
    ),
    "16 values": Unit(lanes=16, wide=8),
}


def array_area() -> tuple[float, float]:
    """Return cell area in um2 and memory bits of `large` with bf16."""
    config = array("large")
    pes = config.multipliers
    return CLUSTER / CLUSTER_PES * pes + FORMATS * pes + REST, MEMORY_BITS * pes


def text() -> str:
    """Return the tables."""
    area, memory = array_area()
    units = {name: parts(unit) for name, unit in UNITS.items()}
    rows = [
        [one.name, str(one.multiplied), str(one.added), str(one.chosen), str(one.kept),
         str(one.memory), f"{one.area / 1e6:.2f}"]
        for one in units["32 values"]
    ]  # fmt: skip
    sums = [
        [name, f"{sum(one.area for one in unit) / 1e6:.2f}",
         percent(sum(one.area for one in unit) / area),
         percent(sum(one.memory for one in unit) / memory)]
        for name, unit in units.items()
    ]  # fmt: skip
    return "\n\n".join([
        f"`large`: {area / 1e6:.1f} mm2, {memory / 1e6:.1f} Mbit.",
        table(
            ["part, 32 values", "multiplied bits", "added", "chosen", "kept", "memory", "mm2"],
            rows,
        ),
        table(["unit", "mm2", "of `large`", "of its memory bits"], sums),
    ])  # fmt: skip


if __name__ == "__main__":
    sys.stdout.write(text() + "\n")
