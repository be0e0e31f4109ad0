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
                caption=table.heading,
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


def evidence_section(
    results: Sequence[Estimated],
    measured: Sequence[DocumentTable],
    errors: Sequence[DocumentTable],
) -> Section:
    """Say where each kind of number comes from."""
    passes, mismatches, differing = measured_summary(measured)
    mode = results[0].row["mode"]
    utilization = [number(cell) for cell in measured[0].column("utilization")]
    content: list[Part] = [
        Items(
            [
                (
                    f"**Measured in RTL**: {passes} passes of a real training step on the "
                    f"generated Verilog, {mismatches} results that differ from the oracle, "
                    f"{differing} passes whose cycles differ from the cycle model's; utilisation "
                    f"{min(utilization):.1f} to {max(utilization):.1f} % (docs/utilization.md). "
                    "Area: synthesis (docs/area.md)."
                ),
                (
                    "**Modelled exactly**: the trace-driven cycle model equals the Verilog in "
                    "cycles and in every counter, on traced layers and on random launches."
                ),
                (
                    f"**Modelled by samples or in closed form**: the full networks on this page "
                    f"({mode} mode); errors against the trace-driven mode are below."
                ),
                (
                    "**Extrapolated**: layers at ImageNet sizes that were not traced; buffers and "
                    "DRAM that the design does not have; energies from another technology's "
                    "figures; the accelerator at other numbers of multipliers."
                ),
            ]
        )
    ]
    tables = error_tables(errors)
    if tables:
        content += tables
    else:
        content.append(Paragraph("docs/model-error.md is not there: no errors can be shown."))
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
