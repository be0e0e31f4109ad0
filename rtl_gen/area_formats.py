"""What each number format costs a PE, next to the array's integers alone."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gscn.array import ArrayConfig
from gscn.errors import InputError
from gscn.hw.pe.worker import Worker
from gscn.rtl_gen.area import placement_of
from gscn.rtl_gen.place import Placement, place
from gscn.rtl_gen.synthesis import Counts, cell_delay, synthesize
from gscn.rtl_gen.verilog import to_verilog

PE_MODULE = "gscn_worker"
PARTS = {
    "PE": PE_MODULE,
    "Walker": f"{PE_MODULE}.walker",
    "Accumulator": f"{PE_MODULE}.accumulators",
}
"""Parts of a PE on which number formats bear. The Walker's multiplier serves all formats."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class FormatReport:
    """Area and clock of a PE with some number formats."""

    formats: str
    """Names with plus signs between, the integer format first."""
    config: ArrayConfig
    parts: dict[str, Counts]
    """Keys of `PARTS`; counts of one instance, what it contains included."""
    cell_delay_ns: float | None
    """Longest delay between registers in standard cells; None without a liberty."""
    placement: Placement | None
    """Of the PE on the ECP5; None if not asked for or too large."""

    def to_dict(self) -> dict[str, object]:
        """Return the report as plain JSON values."""
        return {
            "formats": self.formats,
            "config": self.config.to_dict(),
            "config_digest": self.config.digest(),
            "parts": {name: dataclasses.asdict(counts) for name, counts in self.parts.items()},
            "cell_delay_ns": self.cell_delay_ns,
            "placement": self.placement and dataclasses.asdict(self.placement),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> FormatReport:
        """Return the report that `to_dict` made these of."""
        return cls(
            formats=values["formats"],
            config=ArrayConfig.from_dict(values["config"]),
            parts={name: Counts(**counts) for name, counts in values["parts"].items()},
            cell_delay_ns=values["cell_delay_ns"],
            placement=placement_of(values["placement"]),
        )


def with_formats(config: ArrayConfig, formats: str) -> ArrayConfig:
    """Return the configuration with other number formats.

    Parameters
    ----------
    config
        Any configuration.
    formats
        An integer format and any float formats, such as `int16+bf16+fp16`.

    Raises
    ------
    InputError
        A name is unknown, or the accumulators do not fit the format.
    """
    integer, *floats = formats.split("+")
    return config.with_overrides([f"operand_format={integer}", f"float_formats={','.join(floats)}"])


def measure_formats(
    config: ArrayConfig,
    formats: Sequence[str],
    *,
    liberty: Path | None = None,
    ecp5: bool = False,
) -> list[FormatReport]:
    """Synthesise a PE with each of some sets of number formats.

    Parameters
    ----------
    config
        Sizes.
    formats
        As `with_formats` takes them.
    liberty
        Standard cells; None to leave them out.
    ecp5
        Map to ECP5 resources and place the PE.

    Raises
    ------
    InputError
        Bad formats, or a tool or the liberty is missing.
    """
    configs = {text: with_formats(config, text) for text in formats}
    reports = []
    for text, one in configs.items():
        logger.info("PE with %s: synthesis", text)
        verilog = to_verilog(lambda one=one: Worker(config=one), PE_MODULE).text
        modules = synthesize(verilog, PE_MODULE, liberty=liberty, ecp5=ecp5).modules
        reports.append(
            FormatReport(
                formats=text,
                config=one,
                parts={name: modules[of] for name, of in PARTS.items() if of in modules},
                cell_delay_ns=None if liberty is None else cell_delay(verilog, PE_MODULE, liberty),
                placement=place(verilog, PE_MODULE) if ecp5 else None,
            )
        )
    return reports


def formats_table(
    reports: Sequence[FormatReport],
) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
    """Return head and rows of the table of formats; relative figures are to the first report.

    Raises
    ------
    InputError
        There is no report.
    """
    if not reports:
        raise InputError("formats must be at least one set, not none")
    header = (
        "number formats",
        "PE (um2)",
        "of the first",
        *(f"{p} (um2)" for p in PARTS if p != "PE"),
    )
    header += ("flip-flops", "memory bits", "gates", "multipliers", "ECP5 LUTs", "FFs", "MULT18")
    header += ("cell delay (ns)", "ECP5 (MHz)")
    first = reports[0].parts["PE"].area
    rows = []
    for report in reports:
        pe = report.parts["PE"]
        share = f"{100 * pe.area / first:.1f} %" if pe.area and first else None
        areas = [report.parts[p].area if p in report.parts else None for p in PARTS if p != "PE"]
        delay, placed = report.cell_delay_ns, report.placement
        rows.append(
            (
                report.formats,
                pe.area,
                share,
                *areas,
                pe.flip_flops,
                pe.memory_bits,
                pe.gates,
                pe.multipliers,
                pe.luts,
                pe.ecp5_flip_flops,
                pe.ecp5_multipliers,
                None if delay is None else f"{delay:.2f}",
                None if placed is None else f"{placed.frequency_mhz:.1f}",
            )
        )
    return header, rows
