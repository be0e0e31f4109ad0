"""The report as files: one HTML page, its tables as CSV, and the rows that it was made of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from gscn.perf.report.data.cases import Case, Row
from gscn.perf.report.data.estimated import Estimated
from gscn.perf.report.data.measured import Documents
from gscn.perf.report.drawing.markdown import blocks, render_blocks
from gscn.perf.report.drawing.page import Section, csv_text, render
from gscn.perf.report.sections.energy_and_area import energy_and_area_section
from gscn.perf.report.sections.evidence import assumptions_section, evidence_section, footer
from gscn.perf.report.sections.gpu import claims as gpu_claims
from gscn.perf.report.sections.gpu import gpu_section
from gscn.perf.report.sections.layer_by_layer import layer_by_layer_section
from gscn.perf.report.sections.lost_cycles import lost_cycles_section
from gscn.perf.report.sections.memory_hierarchy import memory_hierarchy_section
from gscn.perf.report.sections.other_accelerators import other_accelerators_section
from gscn.perf.report.sections.published_beside_ours import (
    published_section,
    scnn_claims,
    swat_claims,
)
from gscn.perf.report.sections.recorded_launches import Launch, recorded_launches_section
from gscn.perf.report.sections.speed import speedup_section
from gscn.perf.report.sections.whole_steps import whole_steps_section
from gscn.perf.rivals import RIVALS

DOCUMENT_TITLE = "Performance: measured, modelled, extrapolated"
DOCUMENT_INTRODUCTION = """\
The texts and tables of `gscn report` without its drawings; its page has those, the layers one by
one, and CSV files of every table. No number here was typed.

Cycles are the solid ground: the cycle model equals the generated Verilog on everything that was
run on both, so that a full network is a question of what its layers' operands look like, not of
what the hardware does with them. Bytes at the ports are as solid. What lies behind the ports
does not exist in this design: DRAM and global buffers are bounds by arithmetic. Energy is
further out still: accesses are counted, but what an access costs is taken from a published
table of another technology, so that only ratios are worth anything, and those are given as
ranges.

Baselines are never mixed. A figure over a dense array is over `perf.dense_array`, the
kindest dense array that could be imagined; one over another accelerator is over our model of it
with the same multipliers and port; one over a GPU is over times that others measured on it.
"""

TITLE = "GSCN: sparse training in cycles, bytes and joules"
PAGE_NAME = "report.html"


def sections(
    results: Sequence[Estimated],
    documents: Documents,
    launches: Sequence[Launch] = (),
    source: str = "",
) -> list[Section]:
    """Return the page's sections.

    Parameters
    ----------
    results
        What was estimated, in the order in which it is shown.
    documents
        What was measured.
    launches, source
        Launches of recorded layers, and what they were recorded from; their section is left out
        if there are none.
    """
    by_key = {result.case.key: result for result in results}
    claims = swat_claims(by_key)
    missing = []
    scnn = scnn_claims(by_key)
    claims += scnn
    if not scnn:
        missing.append("the geometric mean over SCNN+ of ANT's five networks")
    claims += gpu_claims(documents.gpu)
    titles, words = _rivals()
    config = results[0].config
    recorded = [recorded_launches_section(launches, config, source)] if launches else []
    return [
        published_section(claims, missing),
        speedup_section(results),
        whole_steps_section(results),
        layer_by_layer_section(results),
        lost_cycles_section(documents.utilization, results),
        memory_hierarchy_section(results),
        *recorded,
        other_accelerators_section(results, titles, words),
        gpu_section(documents.gpu),
        energy_and_area_section(results, config, documents.area),
        evidence_section(results, documents.utilization, documents.errors),
        assumptions_section(results),
    ]


def document_sections(results: Sequence[Estimated], documents: Documents) -> list[Section]:
    """Return the sections of the document, in its order; parameters as of `sections`."""
    return in_order(sections(results, documents))


def in_order(parts: Sequence[Section]) -> list[Section]:
    """Return the sections of the page that the document has, in its order."""
    # How far to trust the numbers comes first where there are no figures to look at.
    first = [section for section in parts if section.key == "evidence"]
    return [*first, *(s for s in parts if s.key not in ("evidence", "layers"))]


def _rivals() -> tuple[dict[str, str], dict[str, str]]:
    """Return titles and sources of the other accelerators."""
    return (
        {name: rival.title for name, rival in RIVALS.items()},
        {name: rival.source for name, rival in RIVALS.items()},
    )


def report_files(
    rows: dict[str, Row],
    cases: Sequence[Case],
    documents: Documents,
    out: Path,
    *,
    launches: Sequence[Launch] = (),
    source: str = "",
    document: Path | None = None,
) -> dict[Path, str]:
    """Return the texts of the page, the CSV files and `report.json` by path, the page first.

    Parameters
    ----------
    rows
        By key of the case (`perf.report.data.cases.compute_cases`).
    cases
        Those to show, in order.
    documents
        What was measured.
    out
        Folder of the files.
    launches, source
        As of `sections`.
    document
        Markdown file besides: texts and tables without figures.
    """
    results = [Estimated.of(case, rows[case.key]) for case in cases]
    parts = sections(results, documents, launches, source)
    config, mode = results[0].config, rows[cases[0].key]["mode"]
    subtitle = (
        f"{config.multipliers} multipliers in {config.clusters} clusters, {mode} mode of the "
        f"performance model, configuration {config.digest()}"
    )
    files = {PAGE_NAME: render(TITLE, subtitle, parts, footer())}
    for section in parts:
        files |= {f"{table.name}.csv": csv_text(table) for table in section.tables}
    kept = {"networks": rows, "launches": list(launches)}
    files["report.json"] = json.dumps(kept, allow_nan=False, indent=1) + "\n"
    texts = {out / name: text for name, text in files.items()}
    if document is not None:
        shown = blocks(in_order(parts))
        texts[document] = render_blocks(DOCUMENT_TITLE, DOCUMENT_INTRODUCTION, shown)
    return texts


def model_page(row: Row) -> str:
    """Return a page about one network.

    Parameters
    ----------
    row
        As `perf.estimate.training_step.to_json` returns it.
    """
    case = Case(
        key="model",
        title=str(row["network"]),
        network=str(row["network"]),
        image_size=row["image_size"][0],
        batch=row["batch"],
        method=row["method"],
        sparsity=row["sparsity"],
        rivals=bool(row["rival_cycles"]),
    )
    results = [Estimated.of(case, row)]
    parts = [
        speedup_section(results),
        whole_steps_section(results),
        layer_by_layer_section(results),
        memory_hierarchy_section(results),
        assumptions_section(results),
    ]
    config = results[0].config
    subtitle = (
        f"{config.multipliers} multipliers in {config.clusters} clusters, {row['mode']} mode of "
        f"the performance model, configuration {config.digest()}"
    )
    return render(case.label, subtitle, parts, footer())
