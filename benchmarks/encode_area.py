"""Cell area of the encode unit, by synthesis of the unit itself, beside the array `large`.

`python -m benchmarks.encode_area` synthesises `EncodeUnit` and `large` with bf16 as
docs/results/area.md does the parts of the array (ten minutes), and shows the unit module by module,
each with all that it contains. Variants of a lane are synthesised alone; what a variant of the unit
takes is what the unit takes, and by how much its parts differ. `benchmarks.encode_cost` says what
of a step each exposes. Memories are counted in bits.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.encode_cost import convolution_cycles, step_cycles
from benchmarks.encode_passes import Design, Lanes
from benchmarks.markdown import percent, table
from gscn.array import array
from gscn.encode import COEFFICIENT_BITS, STREAMS, WINDOW_WIDTH
from gscn.passes import VECTOR

if TYPE_CHECKING:
    from collections.abc import Callable

    from amaranth.lib import wiring

    from gscn.rtl_gen.synthesis import Counts, Netlist

TOP = "encode_part"
ROWS = 2 * VECTOR
"""Of a lane, for each vector of two segments: a sum, a sum of products, and counts."""
LEAST_SHARE = 0.004
"""Of the unit: modules that take less have no row."""
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
    """Sums that a lane adds to in a turn: of results and of products, or either."""
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
    from gscn.hw.encode.encode_walk import AXES, COORDINATE_WIDTH, SUM_WIDTH
    from gscn.hw.encode.judge import Judge
    from gscn.hw.encode.lane import CombineLane
    from gscn.hw.encode.lane_counts import LaneCounts
    from gscn.hw.encode.lane_rounding import LaneRounder
    from gscn.hw.encode.lane_sums import LaneResultSums, LaneSums
    from gscn.hw.encode.lane_top import LaneTop
    from gscn.hw.encode.line_writer import LineWriter
    from gscn.hw.encode.loop_walk import LoopWalk
    from gscn.hw.encode.outputs import Outputs
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
            lanes * (unit.sums - 1), part(LaneResultSums, width=acc_width, depth=ROWS),
        ),
        "sums of products": (
            lanes, part(LaneSums, width=acc_width, depth=2 * ROWS // unit.sums),
        ),
        "counts of channels": (lanes, part(LaneCounts, depth=ROWS)),
        "thresholds": (vectors, part(Judge)),
        "selection": (1, part(Selector, count=lanes, width=Outputs.COUNT_BITS)),
        "packers of strips A and B, and their tables": (
            2 * vectors, part(StripWriter, config=config),
        ),
        "outputs: lines of dense results": (2, part(DenseWriter, config=config)),
        "outputs: bits": (1, part(RunWriter, config=config, halfwords=1)),
        "outputs: sums": (1, part(RunWriter, config=config, halfwords=16)),
        "outputs: one port for all lines": (1, part(LineWriter, config=config, count=8)),
        "loops": (1, part(LoopWalk)),
        "addresses": (1, part(WalkAddresses, count=len(STREAMS), width=SUM_WIDTH)),
        "coordinates": (1, part(WalkAddresses, count=len(AXES), width=COORDINATE_WIDTH)),
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


def measure_unit() -> Netlist:
    """Synthesise the unit beside `large` with bf16, the hierarchy kept."""
    from gscn.hw.encode.unit import EncodeUnit
    from gscn.rtl_gen.synthesis import DEFAULT_LIBERTY, synthesize
    from gscn.rtl_gen.verilog import to_verilog

    config = array("large").with_overrides(["float_formats=bf16"])
    text = to_verilog(functools.partial(EncodeUnit, config=config), TOP).text
    return synthesize(text, TOP, liberty=DEFAULT_LIBERTY)


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
BUILT = UNITS["16 lanes"]
"""The one that there is."""
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


def lane_rows() -> list[list[str]]:
    """Return a row for each variant of a lane."""
    rows = []
    for name, unit in LANES.items():
        made = makers(unit)
        found = [measure(made[part][1]).area for part in LANE_PARTS]
        rows.append([name, *(f"{one:,.0f}" for one in found), f"{sum(found):,.0f}"])
    return rows


def module_rows(unit: Netlist, whole: Measured) -> list[list[str]]:
    """Return a row for each module of a unit, those of one kind together."""
    kinds: dict[str, list[Counts]] = {}
    for name, counts in unit.modules.items():
        path = [re.sub(r"(\$\d+)|(?<=[a-z])\d+$", "", part) for part in name.split(".")[1:]]
        kinds.setdefault(".".join(path), []).append(counts)
    most = unit.modules[TOP].area
    assert most is not None
    rows = []
    for path, found in sorted(kinds.items()):
        area = sum(one.area or 0.0 for one in found)
        if area >= LEAST_SHARE * most:
            rows.append(
                [path or "all", str(len(found)), f"{area / len(found):,.0f}", f"{area / 1e6:.2f}",
                 percent(area / whole.area), f"{sum(one.flip_flops for one in found):,}",
                 f"{sum(one.memory_bits for one in found):,}"]
            )  # fmt: skip
    return rows


def unit_rows(built: Measured, whole: Measured) -> list[list[str]]:
    """Return a row for each variant of a unit; `built` is the one that there is."""
    known: dict[object, Measured] = {}
    own = unit_area(BUILT, known)
    rows = []
    for name, unit in UNITS.items():
        parts = unit_area(unit, known)
        area = built.area + parts.area - own.area
        bits = built.memory_bits + parts.memory_bits - own.memory_bits
        share, most = area / whole.area, exposed(unit, HELD)
        rows.append(
            [name, f"{area / 1e6:.2f}", percent(share), percent(bits / whole.memory_bits),
             percent(exposed(unit, STREAMED)), percent(most),
             "yes" if share <= MOST_AREA and most <= MOST_EXPOSED else "no"]
        )  # fmt: skip
    return rows


def text() -> str:
    """Return the tables."""
    whole, unit = measure_array(), measure_unit()
    counts = unit.modules[TOP]
    assert counts.area is not None
    built = Measured(area=counts.area, memory_bits=counts.memory_bits)
    return "\n\n".join([
        f"`large` with bf16: {whole.area / 1e6:.1f} mm2, {whole.memory_bits / 1e6:.1f} Mbit.",
        table(
            ["module, with what it contains", "of them", "um2 each", "mm2 in all", "of `large`",
             "flip-flops", "memory bits"],
            module_rows(unit, whole),
        ),
        table(["a lane", *LANE_PARTS, "in all"], lane_rows()),
        table(
            ["unit", "mm2", "of `large`", "of its memory bits", "exposed",
             "exposed, held, 8 parts", "both bars"],
            unit_rows(built, whole),
        ),
    ])  # fmt: skip


if __name__ == "__main__":
    sys.stdout.write(text() + "\n")
