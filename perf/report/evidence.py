"""Section about trust: what is measured, modelled and extrapolated, and how wrong each can be."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata

from perf.report.documents import DocumentTable, number
from perf.report.page import Items, Paragraph, Part, Section, Table
from perf.report.speed import Estimated


def measured_summary(tables: Sequence[DocumentTable]) -> tuple[int, int, int]:
    """Return passes run on the RTL, results that differ, and passes whose modelled cycles differ.

    Parameters
    ----------
    tables
        Those of `docs/utilization.md`.
    """
    table = tables[0]
    mismatches = sum(int(cell) for cell in table.column("mismatches"))
    differing = 0
    for cell in table.column("cycles (model)"):
        measured, modelled = cell.replace(")", "").split(" (")
        differing += int(measured) != int(modelled)
    return len(table.rows), mismatches, differing


def error_tables(tables: Sequence[DocumentTable]) -> list[Table]:
    """Return the tables of errors of the model's modes, as their command wrote them."""
    result = []
    for index, table in enumerate(tables):
        rows = tuple(tuple(_value(cell) for cell in row) for row in table.rows)
        result.append(
            Table(
                name=f"model-error-{index + 1}",
                caption=f"{table.heading} (docs/model-error.md).",
                header=table.header,
                rows=rows,
                folded=len(rows) > 16,
            )
        )
    return result


def _value(cell: str) -> object:
    plain = cell.replace(",", "").replace("*", "").strip()
    try:
        return int(plain)
    except ValueError:
        pass
    try:
        return float(plain)
    except ValueError:
        return cell


def largest_errors(errors: Sequence[DocumentTable]) -> dict[str, float]:
    """Return the largest error of each mode over all recorded steps, %, by the mode's name.

    Parameters
    ----------
    errors
        Those of `docs/model-error.md`: the first has a row per step and a column per mode.
    """
    if not errors:
        return {}
    return {
        name.removesuffix(", %"): max(abs(number(cell)) for cell in errors[0].column(name))
        for name in errors[0].header
        if name.endswith(", %")
    }


def _kinds_table(
    measured: Sequence[DocumentTable], errors: Sequence[DocumentTable], mode: str
) -> Table:
    """Return where each kind of number comes from and how wrong it can be."""
    largest = largest_errors(errors)
    said = ", ".join(f"{name} {value:.1f} %" for name, value in largest.items())
    passes, mismatches, differing = measured_summary(measured)
    utilization = [number(cell) for cell in measured[0].column("utilization")]
    rows = (
        (
            "cycles, counters, results of traced layers",
            "measured",
            f"{passes} passes of a training step on the Verilog (docs/utilization.md)",
            (
                f"{mismatches} results differ from the oracle; utilisation "
                f"{min(utilization):.1f} to {max(utilization):.1f} %"
            ),
        ),
        (
            "area, gates, FPGA resources",
            "measured",
            "synthesis (docs/area.md)",
            "without wires and memories; nothing is placed but single components",
        ),
        (
            "cycles and bytes of a launch",
            "modelled",
            "the cycle model, which mirrors the RTL",
            (
                f"{differing} of {passes} passes differ in cycles; random launches are equal in "
                "every counter (tests)"
            ),
        ),
        (
            "cycles and bytes of full networks",
            "modelled",
            f"{mode} mode, from shapes and densities",
            (
                f"largest error over {len(errors[0].rows)} recorded training steps: {said}"
                if largest
                else "docs/model-error.md is not there: no error is known"
            ),
        ),
        (
            "other accelerators",
            "modelled",
            "models of their publications (docs/rivals.md)",
            "ratios to published points and to public simulators are there",
        ),
        (
            "layers at ImageNet sizes",
            "extrapolated",
            "statistics of tensors recorded at 32x32 pixels",
            "no recorded step of that size was run",
        ),
        (
            "other numbers of multipliers, the GPU's size",
            "extrapolated",
            "slices side by side, each with its own port",
            "no such accelerator was built or simulated as a whole",
        ),
        (
            "DRAM bandwidth, global buffers",
            "extrapolated",
            "bytes over bandwidth; each byte once behind a buffer",
            "a bound: the design has no buffer, and its images hold copies",
        ),
        (
            "energy",
            "extrapolated",
            "counted accesses times published energies of 45 nm",
            (
                "DRAM alone ranges over a factor of two; ratios to the dense array are given at "
                "both ends"
            ),
        ),
    )
    return Table(
        name="evidence",
        caption="Where numbers come from, and how wrong they can be.",
        header=("number", "kind", "how", "how wrong"),
        rows=rows,
    )


def evidence_section(
    results: Sequence[Estimated],
    measured: Sequence[DocumentTable],
    errors: Sequence[DocumentTable],
) -> Section:
    """Say where each kind of number comes from."""
    mode = results[0].row["mode"]
    content: list[Part] = [
        Paragraph(
            "Three kinds of numbers stand on this page. What was **measured** ran on the generated "
            "Verilog, or is what a synthesis tool says. What is **modelled** follows from a model "
            "that was held against such a measurement, and the table says how far off it was. What "
            "is **extrapolated** has nothing to be held against: it is arithmetic on assumptions, "
            "and the assumptions are named."
        ),
        _kinds_table(measured, errors, mode),
    ]
    content += error_tables(errors)
    return Section(key="evidence", title="How wrong can this be", content=tuple(content))


def assumptions_section(results: Sequence[Estimated]) -> Section:
    """List what the estimates take for granted, as they say themselves."""
    said: dict[str, list[str]] = {}
    for result in results:
        for words in result.row["assumptions"]:
            said.setdefault(words, []).append(result.case.label)
    general = [words for words, of in said.items() if len(of) == len(results)]
    special = [f"{words} ({'; '.join(of)})" for words, of in said.items() if len(of) < len(results)]
    config = results[0].config
    fields = ", ".join(f"{name} {value}" for name, value in config.to_dict().items() if value != "")
    return Section(
        key="assumptions",
        title="Assumptions and configuration",
        content=(
            Items(general),
            Items(special),
            Paragraph(f"Configuration `{config.digest()}`: {fields}.", kind="file"),
        ),
    )


def footer() -> str:
    """Return what made the page."""
    return (
        f"Written by <code>gscn report</code> of gscn {metadata.version('gscn')}. Every number is "
        "computed by this repository or read from a document that one of its commands wrote, "
        "except those that are called published."
    )
