"""Area of the encode unit with all its memories, by synthesis, beside the array `large`.

`python -m benchmarks.encode_area` synthesises `EncodeUnit` and `large` with bf16 as
docs/results/area.md does the parts of the array (ten minutes of a core), and shows both with cells
alone and with every memory, what memories the unit has, and the unit module by module, each with
all that it contains. Variants of a lane are synthesised alone; what a variant of the unit takes is
what the unit takes, and by how much its parts differ. `benchmarks.encode_cost` says what of a step
each exposes.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
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

    from gscn.rtl_gen.memories import MemoryGroup, Sram
    from gscn.rtl_gen.synthesis import Counts, Netlist

TOP = "encode_part"
LEAST_SHARE = 0.004
"""Of the unit: modules that take less have no row."""
LEAST_MEMORY = 2e5
"""Square micrometres: memories of a kind that take less together have no row."""
WIDTHS = (256, 128, 64)
"""Bits of the widest macro: those of the second density are published with 32."""
MOST_AREA, MOST_EXPOSED = 0.10, 0.12
"""What a unit may take of `large`, and expose of a step."""


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
    from gscn.hw.encode.lane_sums import LaneResultSums, LaneSums, channel_sum_layout
    from gscn.hw.encode.lane_top import LaneTop
    from gscn.hw.encode.line_writer import LineWriter
    from gscn.hw.encode.loop_walk import LoopWalk
    from gscn.hw.encode.outputs import Outputs
    from gscn.hw.encode.run_writer import RunWriter
    from gscn.hw.encode.segment_rows import SegmentRows
    from gscn.hw.encode.segment_sums import lane_row_layout
    from gscn.hw.encode.selector import Selector
    from gscn.hw.encode.strip_writer import StripWriter
    from gscn.hw.encode.walk_addresses import WalkAddresses

    width, window, lanes = unit.factor_width, unit.window, unit.lanes
    vectors = -(-lanes // VECTOR)
    config = array("large").with_overrides(["float_formats=bf16"])
    acc_width = config.acc_width
    row = lane_row_layout(channel_sum_layout(acc_width))
    part = functools.partial
    return {
        "tops of windows": (lanes, part(LaneTop, factor_width=width)),
        "products and their sum": (
            lanes, part(CombineLane, factor_width=width, window=window, digit=unit.digit),
        ),
        "rounding": (lanes, part(LaneRounder, window=window)),
        "sums of results": (lanes * (unit.sums - 1), part(LaneResultSums, width=acc_width)),
        "sums of products": (lanes, part(LaneSums, width=acc_width)),
        "counts of channels": (lanes, part(LaneCounts)),
        "rows of sums and counts": (
            vectors, part(SegmentRows, shape=row.size, count=min(lanes, VECTOR)),
        ),
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


def measure(make: Callable[[], wiring.Component], liberty: Path) -> Counts:
    """Synthesise a part, as `gscn.rtl_gen.area` does those of the array.

    Parameters
    ----------
    make
        What makes it.
    liberty
        Standard cells.

    Raises
    ------
    InputError
        A tool or the library of cells is missing.
    """
    from gscn.rtl_gen.synthesis import synthesize
    from gscn.rtl_gen.verilog import to_verilog

    return synthesize(to_verilog(make, TOP).text, TOP, liberty=liberty).modules[TOP]


def measure_unit(liberty: Path) -> Netlist:
    """Synthesise the unit beside `large` with bf16, the hierarchy kept."""
    from gscn.hw.encode.unit import EncodeUnit
    from gscn.rtl_gen.synthesis import synthesize
    from gscn.rtl_gen.verilog import to_verilog

    config = array("large").with_overrides(["float_formats=bf16"])
    text = to_verilog(functools.partial(EncodeUnit, config=config), TOP).text
    return synthesize(text, TOP, liberty=liberty)


def measure_array(liberty: Path) -> Netlist:
    """Synthesise `large` with bf16, the hierarchy kept."""
    from gscn.rtl_gen.array_verilog import TOP_MODULE, array_verilog
    from gscn.rtl_gen.synthesis import synthesize

    config = array("large").with_overrides(["float_formats=bf16"])
    return synthesize(array_verilog(config).text, TOP_MODULE, liberty=liberty)


class Parts:
    """Parts, each synthesised once."""

    def __init__(self, liberty: Path) -> None:
        self._liberty = liberty
        self._known: dict[object, Counts] = {}

    def counts(self, make: functools.partial[wiring.Component]) -> Counts:
        """Return what a part takes."""
        key = _key(make)
        if key not in self._known:
            self._known[key] = measure(make, self._liberty)
        return self._known[key]

    def change(self, built: Counts, old: Unit, new: Unit) -> Counts:
        """Return what a unit takes that has another's parts; what both have is not looked at."""
        from gscn.rtl_gen.area import subtract

        fewer: Counter[object] = Counter()
        made = {}
        for unit, sign in ((old, 1), (new, -1)):
            for count, make in makers(unit).values():
                fewer[_key(make)] += sign * count
                made[_key(make)] = make
        for key, count in fewer.items():
            if count:
                built = subtract(built, self.counts(made[key]), count)
        return built


def _key(make: functools.partial[wiring.Component]) -> object:
    return (make.func, *make.keywords.items())


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


def lane_rows(parts: Parts) -> list[list[str]]:
    """Return a row for each variant of a lane."""
    rows = []
    for name, unit in LANES.items():
        made = makers(unit)
        found = [parts.counts(made[part][1]).area or 0.0 for part in LANE_PARTS]
        rows.append([name, *(f"{one:,.0f}" for one in found), f"{sum(found):,.0f}"])
    return rows


def share_rows(unit: Netlist, whole: Netlist) -> list[list[str]]:
    """Return what the unit and the array take with cells alone, with all memories, and the share.

    Parameters
    ----------
    unit
        The unit, synthesised.
    whole
        The array.
    """
    from gscn.rtl_gen.memories import SRAMS
    from gscn.rtl_gen.memory_text import LIKELY

    counts = [one.modules[one.top] for one in (unit, whole)]
    kinds: list[tuple[str, list[float]]] = [("cells alone", [one.area or 0.0 for one in counts])]
    in_cells = [(one.area or 0.0) + (one.memory_area or 0.0) for one in counts]
    kinds.append(("cells, and memories in cells", in_cells))
    kinds += [
        (f"all, {sram.name}", [one.area_with_memories(sram) or 0.0 for one in counts])
        for sram in SRAMS
    ]
    kinds += [
        (f"all, {sram.name}, were queues read a cycle ahead", [
            read_ahead(one, sram) for one in (unit, whole)
        ])
        for sram in SRAMS
    ]  # fmt: skip
    kinds += [
        (f"all, {LIKELY.name}, none wider than {widest} bits", [
            in_pieces(one, LIKELY, widest) for one in (unit, whole)
        ])
        for widest in WIDTHS
    ]  # fmt: skip
    return [
        [name, *(f"{one / 1e6:.2f}" for one in areas), percent(areas[0] / areas[1])]
        for name, areas in kinds
    ]


def in_pieces(netlist: Netlist, sram: Sram, widest: int) -> float:
    """Return the square micrometres of all if macros wider than `widest` bits are several."""
    more = sum(
        group.count * (-(-group.memory.width // widest) - 1)
        for group in netlist.memories
        if group.memory.is_macro
    )
    whole = netlist.modules[netlist.top].area_with_memories(sram) or 0.0
    return whole + sram.area(more, 0)


def read_ahead(netlist: Netlist, sram: Sram) -> float:
    """Return the square micrometres that all would take with more macros.

    Of memories that have a port each way, and are too large to be small, those become macros that
    are not as they read at once, wherever a macro takes less. What reads ahead is not counted.
    """
    area = netlist.modules[netlist.top].area or 0.0
    for group in netlist.memories:
        could_be = dataclasses.replace(group.memory, combinational=False).is_macro
        macro = sram.area(1, group.memory.bits)
        if group.memory.is_macro:
            area += group.count * macro
        else:
            in_cells = group.area or 0.0
            area += group.count * (min(in_cells, macro) if could_be else in_cells)
    return area


def memory_rows(memories: Sequence[MemoryGroup], least: float) -> list[list[str]]:
    """Return a row for each group of memories that takes `least` square micrometres or more."""
    from gscn.rtl_gen.memory_text import group_area, inventory_rows

    large = [group for group in memories if (group_area(group) or 0.0) >= least]
    large.sort(key=lambda group: -(group_area(group) or 0.0))
    return [
        [f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row]
        for row in inventory_rows(large)
    ]


def module_rows(unit: Netlist, whole: Counts) -> list[list[str]]:
    """Return a row for each module of a unit, those of one kind together."""
    from gscn.rtl_gen.memories import kind_of
    from gscn.rtl_gen.memory_text import LIKELY

    kinds: dict[str, list[Counts]] = {}
    for name, counts in unit.modules.items():
        kinds.setdefault(kind_of(name).partition(".")[2], []).append(counts)

    def with_memories(counts: Counts) -> float:
        return counts.area_with_memories(LIKELY) or 0.0

    most = with_memories(unit.modules[unit.top])
    rows = []
    for path, found in sorted(kinds.items()):
        area, all_area = (
            sum(map(figure, found)) for figure in (lambda one: one.area or 0.0, with_memories)
        )
        if all_area >= LEAST_SHARE * most:
            rows.append(
                [path or "all", str(len(found)), f"{area / len(found):,.0f}", f"{area / 1e6:.2f}",
                 percent(area / (whole.area or 1.0)), f"{sum(one.flip_flops for one in found):,}",
                 f"{sum(one.memory_bits for one in found):,}", f"{all_area / 1e6:.2f}",
                 percent(all_area / with_memories(whole))]
            )  # fmt: skip
    return rows


def unit_rows(parts: Parts, built: Counts, whole: Counts) -> list[list[str]]:
    """Return a row for each variant of a unit; `built` is the one that there is."""
    from gscn.rtl_gen.memory_text import LIKELY

    rows = []
    for name, unit in UNITS.items():
        found = parts.change(built, BUILT, unit)
        cells = (found.area or 0.0) / (whole.area or 1.0)
        share = (found.area_with_memories(LIKELY) or 0.0) / (whole.area_with_memories(LIKELY) or 1)
        most = exposed(unit, HELD)
        rows.append(
            [name, f"{(found.area or 0.0) / 1e6:.2f}", percent(cells), percent(share),
             percent(exposed(unit, STREAMED)), percent(most),
             "yes" if share <= MOST_AREA and most <= MOST_EXPOSED else "no"]
        )  # fmt: skip
    return rows


def text(liberty: Path) -> str:
    """Return the tables."""
    from gscn.rtl_gen.memory_text import INVENTORY_HEADER, SUMMARY_HEADER, summary_row

    unit, large = measure_unit(liberty), measure_array(liberty)
    parts = Parts(liberty)
    built, whole = unit.modules[unit.top], large.modules[large.top]
    names = {"the unit": unit, "`large` with bf16": large}
    summary = [summary_row(name, one.modules[one.top], one.memories) for name, one in names.items()]
    return "\n\n".join([
        table(list(SUMMARY_HEADER), [[str(cell) for cell in row or ()] for row in summary]),
        table(["mm2", "unit", "`large`", "share"], share_rows(unit, large)),
        table(list(INVENTORY_HEADER), memory_rows(unit.memories, LEAST_MEMORY)),
        table(list(INVENTORY_HEADER), memory_rows(large.memories, LEAST_MEMORY)),
        table(
            ["module, with what it contains", "of them", "um2 each", "mm2 in all", "of `large`",
             "flip-flops", "memory bits", "with memories (mm2)", "of `large` with its"],
            module_rows(unit, whole),
        ),
        table(["a lane", *LANE_PARTS, "in all"], lane_rows(parts)),
        table(
            ["unit", "mm2", "of `large`", "with memories, of `large` with its", "exposed",
             "exposed, held, 8 parts", "both bars"],
            unit_rows(parts, built, whole),
        ),
    ])  # fmt: skip


if __name__ == "__main__":
    from gscn.rtl_gen.liberty import DEFAULT_LIBERTY, check_liberty

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--liberty", type=Path, default=DEFAULT_LIBERTY, help="standard cells")
    sys.stdout.write(text(check_liberty(parser.parse_args().liberty)) + "\n")
