"""Area reports as Markdown."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gscn.rtl_gen.area import AreaReport, Clock, instances
from gscn.rtl_gen.area_formats import FormatReport, formats_table
from gscn.rtl_gen.clock_gates import LEAST_GATED
from gscn.rtl_gen.generator import tool_versions as verilog_versions
from gscn.rtl_gen.liberty import LOAD_PF, TARGET_PS
from gscn.rtl_gen.memory_text import (
    INTRODUCTION,
    INVENTORY_HEADER,
    LIKELY,
    SUMMARY_HEADER,
    inventory_rows,
    summary_row,
)
from gscn.rtl_gen.place import (
    DEVICE_NAME,
    MAX_LUTS,
    PLACER_OPTIONS,
    SEEDS,
    TARGET_MHZ,
    Placement,
    nextpnr_version,
)
from gscn.rtl_gen.place import PACKAGE as NEXTPNR
from gscn.rtl_gen.synthesis import Counts
from gscn.rtl_gen.yosys import PACKAGE as YOSYS
from gscn.rtl_gen.yosys import yosys_version

_INTRODUCTION = f"""\
# Area and clock

By `gscn synth`; every figure is measured, none is edited; a dash stands for what was not measured.

* Figures are of one instance of a component with all that it contains. The hierarchy is kept, so
  they add up. **Per multiplier** is the cell area of all instances divided by the multipliers of
  the array, and **share** their part of the array's; rows contain each other (a cluster
  its PEs), so neither column adds up to the whole.
* **Memories** are in no figure for gates, flip-flops and cells, nor are their address decoders and
  the register that a synchronous read has inside its memory. Their bits are a column of their own;
  where it says *with memories*, all of them are counted.
* **Gates** are generic: AND, OR, XOR and the like of two inputs, inverters, and multiplexers of two
  inputs.
* **Cell area** is after mapping for speed (`abc`, a target of {TARGET_PS} ps that nothing reaches,
  outputs loaded with {LOAD_PF} pF). The library has no flip-flop with enable or synchronous
  reset, so each of those costs gates. Where clock gates are among the tools below, an enable that
  so many flip-flops share gates their clock in place of that, by a latch, which counts as a
  flip-flop, an inverter and an AND. No wires: neither load nor area. Nothing is placed.
* **Cell delay** is the longest path between registers, memories and ports of the component,
  flattened, as `abc` reports it: without wires, without the flip-flops' clock-to-output and set-up
  times, without the memories' access times. A clock period is longer.
* **ECP5** LUTs have four inputs; a carry cell counts as two; LUTs used as memory are apart:
  TRELLIS_DPR16X4 holds 16 words of 4 bits, DP16KD 18 Kbit. Frequencies are after place and route of
  the component alone, flattened, ports not connected to pins, on an {DEVICE_NAME} of speed
  grade 6, asked for {TARGET_MHZ} MHz, by nextpnr with `{" ".join(PLACER_OPTIONS)}`, @SEEDS@.
  Components of more than {MAX_LUTS} LUTs are not placed.
"""

_AREA_HEADER = (
    "component",
    "instances",
    "memory bits",
    "cell area (um2)",
    "of it flip-flops",
    "all instances, per multiplier",
    "share",
)
_MEMORY_HEADER = ("with memories (um2)", "share with memories")
_RESOURCE_HEADER = (
    "component",
    "gates",
    "flip-flops",
    "multipliers",
    "ECP5 LUTs",
    "FFs",
    "MULT18",
    "DP16KD",
    "DPR16X4",
)
PE_MULTIPLIER = "PE: multiplier"
PE_OUTSIDE = "PE: logic outside the multiplier"


def tool_versions(liberty: Path | None, *, place: bool, gated: bool = True) -> dict[str, str]:
    """Return the versions of what a report is made with; fail early if a tool is missing.

    Parameters
    ----------
    liberty
        Standard cells, or None.
    place
        Whether place and route will be run.
    gated
        Whether enables will gate clocks where the cells can (`rtl_gen.clock_gates`).

    Raises
    ------
    InputError
        A tool is missing.
    """
    versions = verilog_versions() | {YOSYS: yosys_version()}
    if place:
        versions[NEXTPNR] = nextpnr_version()
    if liberty is not None:
        digest = hashlib.sha256(liberty.read_bytes()).hexdigest()
        versions["liberty"] = f"{liberty.name}, SHA-256 {digest[:16]}"
        if gated:
            versions["clock gates"] = f"for {LEAST_GATED} flip-flops or more, if there is a latch"
    return versions


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|---" + "|---:" * (len(header) - 1) + "|"]
    lines += ["| " + " | ".join(map(_cell, row)) + " |" for row in rows]
    return "\n".join(lines)


def _outside(counts: Counts) -> float | None:
    """Return the cell area of a component without its multipliers."""
    if counts.area is None or counts.multiplier_area is None:
        return None
    return counts.area - counts.multiplier_area


def _split(counts: Counts) -> dict[str, Counts]:
    """Return the multiplier of a PE and what is left of it; ECP5 resources are not told apart."""
    multiplier = Counts(
        gates=counts.multiplier_gates,
        flip_flops=0,
        multipliers=counts.multipliers,
        memory_bits=0,
        multiplier_gates=counts.multiplier_gates,
        area=counts.multiplier_area,
        sequential_area=None if counts.multiplier_area is None else 0.0,
        macros=0,
        macro_bits=0,
        memory_area=None if counts.memory_area is None else 0.0,
    )
    outside = Counts(
        gates=counts.gates - counts.multiplier_gates,
        flip_flops=counts.flip_flops,
        multipliers=0,
        memory_bits=counts.memory_bits,
        multiplier_gates=0,
        area=_outside(counts),
        sequential_area=counts.sequential_area,
        macros=counts.macros,
        macro_bits=counts.macro_bits,
        memory_area=counts.memory_area,
    )
    return {PE_MULTIPLIER: multiplier, PE_OUTSIDE: outside}


def _rows(report: AreaReport) -> dict[str, Counts]:
    """Return all rows: the components, and the PE's two parts after the PE."""
    rows = {}
    for name, counts in report.components.items():
        rows[name] = counts
        if name == "PE":
            rows |= _split(counts)
    return rows


def _area_row(report: AreaReport, name: str, counts: Counts) -> tuple[object, ...]:
    count = instances(report.config, name)
    whole = report.components["Array"].area
    per_multiplier = share = None
    if counts.area is not None and whole:
        per_multiplier = count * counts.area / report.config.multipliers
        share = f"{100 * count * counts.area / whole:.1f} %"
    return (
        name,
        count,
        counts.memory_bits,
        counts.area,
        counts.sequential_area,
        per_multiplier,
        share,
        *_memory_cells(report, count, counts),
    )


def _memory_cells(report: AreaReport, count: int, counts: Counts) -> tuple[object, ...]:
    """Return what `_MEMORY_HEADER` names; nothing if the array's memories were not measured."""
    whole = report.components["Array"].area_with_memories(LIKELY)
    if whole is None:
        return ()
    area = counts.area_with_memories(LIKELY)
    return area, None if area is None else f"{100 * count * area / whole:.1f} %"


def _resource_row(name: str, counts: Counts) -> tuple[object, ...]:
    return (
        name,
        counts.gates,
        counts.flip_flops,
        counts.multipliers,
        counts.luts,
        counts.ecp5_flip_flops,
        counts.ecp5_multipliers,
        counts.block_rams,
        counts.distributed_rams,
    )


def _frequency(clock: Clock) -> str:
    return "-" if clock.placement is None else f"{clock.placement.frequency_mhz:.1f}"


def _critical_path(clock: Clock) -> str:
    if clock.placement is None:
        return "-"
    return f"`{clock.placement.path_from}` to `{clock.placement.path_to}`"


def _clock_row(report: AreaReport, clock: Clock) -> tuple[object, ...]:
    return (
        f"{report.name}: {clock.component}",
        "-" if clock.cell_delay_ns is None else f"{clock.cell_delay_ns:.2f}",
        _frequency(clock),
        _critical_path(clock),
    )


_FORMATS = """\
## Number formats

A PE with the integer format alone, and with floating-point formats that share its multiplier. The
Walker has the multiplier and the alignment of products, the Accumulator the special bits beside the
sums, whose memory is not in the areas. Results are rounded once per cluster, in `drain_width`
rounders for integers and as many for floats.

"""


def _seeds(placed: Sequence[Placement]) -> str:
    """Say of how many placements the frequencies are."""
    counts = sorted({one.seeds for one in placed}) or [len(SEEDS)]
    if counts == [1]:
        return "one seed"
    return f"median of {' or '.join(map(str, counts))} seeds"


def to_markdown(
    reports: Sequence[AreaReport],
    versions: dict[str, str],
    formats: Sequence[FormatReport] = (),
) -> str:
    """Return reports as one Markdown text.

    Parameters
    ----------
    reports
        Area and clock of each configuration.
    versions
        Name and version of each tool.
    formats
        What number formats cost, the integer format alone first.
    """
    tools = ", ".join(f"{name} {version}" for name, version in versions.items())
    placed = [
        *(clock.placement for report in reports for clock in report.clocks),
        *(report.placement for report in formats),
    ]
    introduction = _INTRODUCTION.replace("@SEEDS@", _seeds([one for one in placed if one]))
    parts = [introduction + f"* **Tools**: {tools}.\n"]
    summary = []
    for report in reports:
        pe = report.components["PE"]
        outside = _outside(pe)
        share = "-" if not outside or not pe.area else f"{100 * outside / pe.area:.1f} %"
        summary.append(
            (
                report.name,
                pe.area,
                pe.multiplier_area,
                outside,
                share,
                pe.memory_bits,
                report.config.multipliers,
                report.components["Array"].area,
            )
        )
    header = ("configuration", "PE (um2)", "multiplier", "outside", "share", "memory bits")
    header += ("PEs", "array (um2)")
    parts.append("## PE: logic outside the multiplier\n\n" + _table(header, summary) + "\n")
    clocks = [_clock_row(report, clock) for report in reports for clock in report.clocks]
    if clocks:
        header = ("component", "cell delay (ns)", "ECP5 (MHz)", "critical path on ECP5")
        parts.append("## Clock\n\n" + _table(header, clocks) + "\n")
    with_memories = [
        row
        for report in reports
        if (row := summary_row(report.name, report.components["Array"], report.memories))
    ]
    if with_memories:
        parts.append(INTRODUCTION + _table(SUMMARY_HEADER, with_memories) + "\n")
    if formats:
        parts.append(_FORMATS + _table(*formats_table(formats)) + "\n")
    for report in reports:
        rows = _rows(report)
        measured = report.components["Array"].memory_area is not None
        header = (*_AREA_HEADER, *(_MEMORY_HEADER if measured else ()))
        parts.append(
            f"## {report.name}\n\nConfiguration {report.config.digest()}, "
            f"{report.config.clusters} clusters of {report.config.pes} PEs.\n\n"
            + _table(header, [_area_row(report, *row) for row in rows.items()])
            + "\n\n"
            + _table(_RESOURCE_HEADER, [_resource_row(*row) for row in rows.items()])
            + "\n"
        )
        if measured:
            parts.append(_table(INVENTORY_HEADER, inventory_rows(report.memories)) + "\n")
    return "\n".join(parts)


def report_data(
    reports: Sequence[AreaReport],
    versions: dict[str, str],
    formats: Sequence[FormatReport] = (),
) -> dict[str, Any]:
    """Return what `to_markdown` takes as plain JSON values."""
    return {
        "versions": versions,
        "reports": [report.to_dict() | {"rows": component_rows(report)} for report in reports],
        "formats": [report.to_dict() for report in formats],
    }


def render_data(data: dict[str, Any]) -> str:
    """Return the Markdown of what `report_data` returned."""
    return to_markdown(
        [AreaReport.from_dict(report) for report in data["reports"]],
        data["versions"],
        [FormatReport.from_dict(report) for report in data["formats"]],
    )


def component_rows(report: AreaReport) -> list[dict[str, object]]:
    """Return number, area and resources of every component, the PE's two parts included.

    Each has the fields of its `Counts`, and `component`, `instances`, `area_per_multiplier` (of all
    instances) and `share_percent` (of the array's area).
    """
    whole, multipliers = report.components["Array"].area, report.config.multipliers
    rows = []
    for name, counts in _rows(report).items():
        count = instances(report.config, name)
        known = counts.area is not None and bool(whole)
        rows.append(
            {
                "component": name,
                "instances": count,
                **dataclasses.asdict(counts),
                "area_per_multiplier": count * counts.area / multipliers if known else None,
                "share_percent": 100 * count * counts.area / whole if known else None,
            }
        )
    return rows
