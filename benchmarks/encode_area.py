"""Cell area of the encode unit, by synthesis of its parts, beside the array `large`.

`python -m benchmarks.encode_area` synthesises parts of `hw.encode` as docs/results/area.md does
those of the array, variants of a lane, and `large` with bf16 (two minutes); it adds parts up to
units of several sizes, and says what of a step each exposes by `benchmarks.encode_cost`. Memories
are counted in bits. What of the unit is not there yet is in no figure.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.encode_cost import convolution_cycles, step_cycles
from benchmarks.encode_passes import Design, Lanes
from benchmarks.markdown import percent, table
from gscn.array import array
from gscn.encode import COEFFICIENT_BITS, WINDOW_WIDTH
from gscn.passes import VECTOR

if TYPE_CHECKING:
    from collections.abc import Callable

    from amaranth.lib import wiring

TOP = "encode_part"
SUM_ROWS = 2 * VECTOR
"""Of a lane: a sum and a sum of products for each vector of a position."""
COUNT_BITS = 28
"""Of a bin of a lane: elements of a pass, below 2**32, over 16 lanes."""
STREAMS, COORDINATES = 5, 2
ADDRESS_BITS, COORDINATE_BITS = 32, 17
MOST_AREA, MOST_EXPOSED = 0.10, 0.12
"""What a unit may take of `large`, and expose of a step."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """A part, synthesised."""

    area: float
    """Square micrometres of cells."""
    memory_bits: int
    delay_ns: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    """Sizes of a unit."""

    lanes: int = 16
    sums: int = 2
    """Sums of results that a lane adds to in a turn."""
    factor_width: int = COEFFICIENT_BITS
    window: int = WINDOW_WIDTH
    digit: int = 8

    @property
    def design(self) -> Lanes:
        """How fast its lanes are."""
        return Lanes(count=self.lanes, sums=self.sums, digits=24 // self.digit)


def makers(unit: Unit) -> dict[str, tuple[int, functools.partial[wiring.Component]]]:
    """Return how many of each part a unit has, and what makes one."""
    from gscn.hw.encode.dense_writer import DenseWriter
    from gscn.hw.encode.judge import Judge
    from gscn.hw.encode.lane import CombineLane
    from gscn.hw.encode.lane_counts import LaneCounts
    from gscn.hw.encode.lane_rounding import LaneRounder
    from gscn.hw.encode.lane_sums import LaneSums
    from gscn.hw.encode.lane_top import LaneTop
    from gscn.hw.encode.line_writer import LineWriter
    from gscn.hw.encode.loop_walk import LoopWalk
    from gscn.hw.encode.run_writer import RunWriter
    from gscn.hw.encode.selector import Selector
    from gscn.hw.encode.strip_writer import StripWriter
    from gscn.hw.encode.walk_addresses import WalkAddresses

    width, window, lanes = unit.factor_width, unit.window, unit.lanes
    vectors = -(-lanes // VECTOR)
    config = array("large").with_overrides(["float_formats=bf16"])
    acc_width = config.acc_width
    part = functools.partial
    return {
        "tops of windows": (lanes, part(LaneTop, factor_width=width)),
        "products and their sum": (
            lanes, part(CombineLane, factor_width=width, window=window, digit=unit.digit),
        ),
        "rounding": (lanes, part(LaneRounder, window=window)),
        "sums of results": (
            lanes * unit.sums, part(LaneSums, width=acc_width, depth=SUM_ROWS // unit.sums),
        ),
        "counts of channels": (lanes, part(LaneCounts, depth=VECTOR)),
        "thresholds": (vectors, part(Judge)),
        "selection": (1, part(Selector, count=lanes, width=COUNT_BITS)),
        "packers of strips A and B, and their tables": (
            2 * vectors, part(StripWriter, config=config),
        ),
        "outputs: lines of dense results": (2, part(DenseWriter, config=config)),
        "outputs: bits": (1, part(RunWriter, config=config, halfwords=1)),
        "outputs: sums": (1, part(RunWriter, config=config, halfwords=16)),
        "outputs: one port for all lines": (1, part(LineWriter, config=config, count=8)),
        "loops": (1, part(LoopWalk)),
        "addresses": (1, part(WalkAddresses, count=STREAMS, width=ADDRESS_BITS)),
        "coordinates": (1, part(WalkAddresses, count=COORDINATES, width=COORDINATE_BITS)),
    }  # fmt: skip


def measure(make: Callable[[], wiring.Component], *, delay: bool = False) -> Measured:
    """Synthesise a part, as `gscn.rtl_gen.area` does those of the array.

    Parameters
    ----------
    make
        What makes it.
    delay
        Measure its longest path too.

    Raises
    ------
    InputError
        A tool or the library of cells is missing.
    """
    from gscn.rtl_gen.synthesis import DEFAULT_LIBERTY, cell_delay, synthesize
    from gscn.rtl_gen.verilog import to_verilog

    text = to_verilog(make, TOP).text
    counts = synthesize(text, TOP, liberty=DEFAULT_LIBERTY).modules[TOP]
    assert counts.area is not None
    return Measured(
        area=counts.area,
        memory_bits=counts.memory_bits,
        delay_ns=cell_delay(text, TOP, DEFAULT_LIBERTY) if delay else None,
    )


def measure_array() -> Measured:
    """Synthesise `large` with bf16."""
    from gscn.rtl_gen.area import measure_area
    from gscn.rtl_gen.synthesis import DEFAULT_LIBERTY

    config = array("large").with_overrides(["float_formats=bf16"])
    counts = measure_area("large", config, liberty=DEFAULT_LIBERTY).components["Array"]
    assert counts.area is not None
    return Measured(area=counts.area, memory_bits=counts.memory_bits)


def unit_area(unit: Unit, known: dict[object, Measured]) -> Measured:
    """Return the sum of a unit's parts; `known` keeps what has been measured."""
    area, bits = 0.0, 0
    for count, make in makers(unit).values():
        key = (make.func, *make.keywords.items())
        if key not in known:
            known[key] = measure(make)
        area += count * known[key].area
        bits += count * known[key].memory_bits
    return Measured(area=area, memory_bits=bits)


def exposed(unit: Unit, design: Design) -> float:
    """Return the share of a step that encode passes make it longer for."""
    cycles = step_cycles(dataclasses.replace(design, lanes=unit.design))
    return 1 - convolution_cycles() / cycles


STREAMED, HELD = Design(), Design(held_broadcast=True, parts=8)
"""Broadcast tensors read for each sample, batches in 4 parts; held on the chip, 8 parts."""
UNITS = {
    "16 lanes": Unit(),
    "16 lanes, coefficients of 8 bits": Unit(factor_width=8),
    "16 lanes, window of 28": Unit(window=28),
    "16 lanes, coefficients of 8 bits, window of 28": Unit(factor_width=8, window=28),
    "16 lanes, one sum a turn": Unit(sums=1),
    "16 lanes, one sum a turn, window of 28": Unit(sums=1, window=28),
    "16 lanes, one sum a turn, coefficients of 8 bits": Unit(sums=1, factor_width=8),
    "8 lanes": Unit(lanes=8),
    "32 lanes": Unit(lanes=32),
    "32 lanes, coefficients of 8 bits, one sum a turn": Unit(lanes=32, factor_width=8, sums=1),
}
LANE_PARTS = ("products and their sum", "tops of windows", "rounding")
LANES = {
    "as in the contract": Unit(),
    "digits of 12 bits: float32 in two turns": Unit(digit=12),
    "digits of 24 bits: float32 in one turn": Unit(digit=24),
    "coefficients of 8 bits": Unit(factor_width=8),
    "coefficients of 8 bits, digits of 24": Unit(factor_width=8, digit=24),
    "window of 28 bits": Unit(window=28),
    "window of 24 bits, for bf16 alone": Unit(window=24),
}


def part_rows(unit: Unit, whole: Measured) -> list[list[str]]:
    """Return a row for each part of a unit."""
    rows = []
    for name, (count, make) in makers(unit).items():
        found = measure(make, delay=True)
        rows.append(
            [name, str(count), f"{found.area:,.0f}", f"{count * found.area / 1e6:.2f}",
             percent(count * found.area / whole.area), f"{count * found.memory_bits:,}",
             f"{found.delay_ns:.2f}"]
        )  # fmt: skip
    return rows


LANE_SHARE = (
    "tops of windows", "products and their sum", "rounding", "sums of results",
    "counts of channels", "thresholds",
)  # fmt: skip
"""Parts that lanes join."""


def joined_rows(whole: Measured) -> list[list[str]]:
    """Return a row for lanes as they are joined, and one for the parts that they join."""
    from gscn.hw.encode.lanes import Lanes

    config = array("large").with_overrides(["float_formats=bf16"])
    made = makers(Unit(sums=1))
    parts = [(count, measure(make)) for count, make in (made[name] for name in LANE_SHARE)]
    found = {
        "parts of lanes, one sum a turn": Measured(
            area=sum(count * one.area for count, one in parts),
            memory_bits=sum(count * one.memory_bits for count, one in parts),
        ),
        "lanes, joined": measure(functools.partial(Lanes, config=config)),
    }
    return [
        [name, f"{one.area / 1e6:.2f}", percent(one.area / whole.area), f"{one.memory_bits:,}"]
        for name, one in found.items()
    ]


def lane_rows() -> list[list[str]]:
    """Return a row for each variant of a lane."""
    rows = []
    for name, unit in LANES.items():
        made = makers(unit)
        found = [measure(made[part][1]).area for part in LANE_PARTS]
        rows.append([name, *(f"{one:,.0f}" for one in found), f"{sum(found):,.0f}"])
    return rows


def unit_rows(whole: Measured) -> list[list[str]]:
    """Return a row for each unit."""
    known: dict[object, Measured] = {}
    rows = []
    for name, unit in UNITS.items():
        found = unit_area(unit, known)
        share, most = found.area / whole.area, exposed(unit, HELD)
        rows.append(
            [name, f"{found.area / 1e6:.2f}", percent(share),
             percent(found.memory_bits / whole.memory_bits),
             percent(exposed(unit, STREAMED)), percent(most),
             "yes" if share <= MOST_AREA and most <= MOST_EXPOSED else "no"]
        )  # fmt: skip
    return rows


def whole_rows(whole: Measured) -> list[list[str]]:
    """Return a row for each of the parts that a unit is joined of, and one for all of it."""
    from gscn.hw.encode.front import EncodeFront
    from gscn.hw.encode.inputs import Inputs
    from gscn.hw.encode.lanes import Lanes
    from gscn.hw.encode.outputs import Outputs
    from gscn.hw.encode.unit import EncodeUnit

    config = array("large").with_overrides(["float_formats=bf16"])
    part = functools.partial
    rows = []
    for name, make in (
        ("front", part(EncodeFront, config=config)),
        (
            "inputs",
            part(
                Inputs, config=config, depth=EncodeUnit.DEPTH, strips=True,
                vectors=EncodeUnit.VECTORS,
            ),
        ),
        ("lanes", part(Lanes, config=config)),
        ("outputs", part(Outputs, config=config)),
        ("unit, everything", part(EncodeUnit, config=config)),
    ):  # fmt: skip
        found = measure(make)
        rows.append(
            [name, f"{found.area / 1e6:.2f}", percent(found.area / whole.area),
             f"{found.memory_bits:,}"]
        )  # fmt: skip
    return rows


def text() -> str:
    """Return the tables."""
    whole = measure_array()
    return "\n\n".join([
        f"`large` with bf16: {whole.area / 1e6:.1f} mm2, {whole.memory_bits / 1e6:.1f} Mbit.",
        table(
            ["part", "of 16 lanes", "um2", "mm2 in all", "of `large`", "memory bits in all",
             "delay (ns)"],
            part_rows(Unit(), whole),
        ),
        table(["joined", "mm2", "of `large`", "memory bits"], joined_rows(whole)),
        table(["a lane", *LANE_PARTS, "in all"], lane_rows()),
        table(
            ["unit, what is there of it", "mm2", "of `large`", "of its memory bits", "exposed",
             "exposed, held, 8 parts", "both bars, so far"],
            unit_rows(whole),
        ),
        table(["joined", "mm2", "of `large`", "memory bits"], whole_rows(whole)),
    ])  # fmt: skip


if __name__ == "__main__":
    sys.stdout.write(text() + "\n")
