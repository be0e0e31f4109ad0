"""Area and clock of the array's components: docs/results/area.md."""

from __future__ import annotations

from typing import Any

from benchmarks.pages import Page
from gscn.array import ArrayConfig, array
from gscn.rtl_gen.area_text import render_data

CONFIGS = ("small int16", "small int8", "tiny int16")
FORMATS = (
    *("int16", "int16+bf16", "int16+bf16+fp16", "int16+bf16+fp16+fp8_e4m3+fp8_e5m2"),
    *("int16+fp8_e4m3+fp8_e5m2", "int8", "int8+bf16", "int8+fp8_e4m3+fp8_e5m2"),
)
CLOCKED = ("PE",)
"""A cluster takes longer than all the rest of the page: `gscn synth --clock Cluster`."""


def configurations() -> dict[str, ArrayConfig]:
    """Return the configurations by their names in the report."""
    found = {}
    for name in CONFIGS:
        size, operand_format = name.split()
        found[name] = array(size).with_overrides([f"operand_format={operand_format}"])
    return found


def make() -> dict[str, Any]:
    """Synthesise, place and measure; return what the page shows.

    Raises
    ------
    InputError
        A tool or the library of cells is missing.
    """
    from gscn.rtl_gen.area import measure_area
    from gscn.rtl_gen.area_formats import measure_formats
    from gscn.rtl_gen.area_text import report_data, tool_versions
    from gscn.rtl_gen.liberty import DEFAULT_LIBERTY, check_liberty

    liberty = check_liberty(DEFAULT_LIBERTY)
    tools = tool_versions(liberty, place=True)
    configs = configurations()
    reports = [
        measure_area(name, config, liberty=liberty, ecp5=True, clocks=CLOCKED)
        for name, config in configs.items()
    ]
    first = next(iter(configs.values()))
    return report_data(reports, tools, measure_formats(first, FORMATS, liberty=liberty, ecp5=True))


def quotes(data: dict) -> dict[str, str]:
    """Return cell areas in um2 by configuration and component."""
    found = {}
    for report in data["reports"]:
        short = report["name"].replace(" ", "-")
        for name, counts in report["components"].items():
            if counts["area"] is not None:
                part = name.removeprefix("PE: ").replace(",", "").replace(" ", "-").lower()
                found[f"{short}-{part}"] = f"{counts['area']:,.0f}"
        for clock in report["clocks"]:
            if clock["placement"] is not None:
                part = clock["component"].lower()
                found[f"{short}-{part}-mhz"] = f"{clock['placement']['frequency_mhz']:.0f}"
    for report in data["formats"]:
        short = f"formats-{report['formats'].replace('+', '-')}"
        parts = report["parts"]
        found[short] = f"{parts['PE']['area']:,.0f}"
        found[f"{short}-walker"] = f"{parts['Walker']['area']:,.0f}"
    return found


PAGE = Page(
    name="area",
    make=make,
    render=render_data,
    parts=("hardware",),
    configs=("small", "tiny"),
    quotes=quotes,
)
