"""Section about trust: what is measured, modelled and extrapolated, and how wrong each can be."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata

from gscn.conv import Pass
from gscn.perf.estimate.training_step import Mode
from gscn.perf.report.data.estimated import Estimated
from gscn.perf.report.data.measured import Figures
from gscn.perf.report.drawing.page import Items, Paragraph, Part, Section, Table


def measured_summary(measured: Figures) -> tuple[int, int, int]:
    """Return passes run on the RTL, results that differ, and passes whose modelled cycles differ.

    Parameters
    ----------
    measured
        Figures of `docs/results/utilization.md`.
    """
    rows = [row for row in measured["passes"] if row["by"] == "RTL"]
    mismatches = sum(row["mismatches"] for row in rows)
    differing = sum(row["cycles"] != row["model_cycles"] for row in rows)
    return len(rows), mismatches, differing


def _modes(steps: Sequence[Figures]) -> list[str]:
    """Return the modes whose cycles a step has beside those of its trace."""
    return [str(mode) for mode in Mode if mode is not Mode.TRACE and str(mode) in steps[0]]


def _error(step: Figures, mode: str, what: str = "all") -> float:
    """Return how far a mode is off, %: over 0 where it says too many cycles."""
    return 100 * (step[mode][what] / step["trace"][what] - 1)


def error_tables(errors: Figures | None) -> list[Table]:
    """Return the tables of errors of the model's modes, of steps and of their passes."""
    if not errors or not errors["steps"]:
        return []
    steps = errors["steps"]
    modes = _modes(steps)
    columns = tuple(f"{mode}, %" for mode in modes)
    totals = tuple(
        (
            *(step["title"], step["method"], step["passes"], step["how"]),
            step["trace"]["all"] / 1e6,
            *(_error(step, mode) for mode in modes),
        )
        for step in steps
    )
    by_pass = tuple(
        (
            *(step["title"], str(which), step["trace"][which] / 1e6),
            *(_error(step, mode, which) for mode in modes),
        )
        for step in steps
        for which in Pass
    )
    return [
        Table(
            name="model-error-1",
            caption="How wrong the estimates can be (docs/results/model-error.md).",
            header=("training step", "method", "passes", "cycles by", "million cycles", *columns),
            rows=totals,
        ),
        Table(
            name="model-error-2",
            caption="The same by pass (docs/results/model-error.md).",
            header=("training step", "pass", "million cycles", *columns),
            rows=by_pass,
        ),
    ]


def largest_errors(errors: Figures | None) -> dict[str, float]:
    """Return the largest error of each mode over all recorded steps, %, by the mode's name.

    Parameters
    ----------
    errors
        Figures of `docs/results/model-error.md`.
    """
    if not errors or not errors["steps"]:
        return {}
    steps = errors["steps"]
    return {mode: max(abs(_error(step, mode)) for step in steps) for mode in _modes(steps)}


_EXTRAPOLATED = (
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
"""What has nothing to be held against: number, kind, how, how wrong."""


def _kinds_table(measured: Figures, errors: Figures | None, mode: str) -> Table:
    """Return where each kind of number comes from and how wrong it can be."""
    largest = largest_errors(errors)
    said = ", ".join(f"{name} {value:.1f} %" for name, value in largest.items())
    passes, mismatches, differing = measured_summary(measured)
    utilization = [100 * row["utilization"] for row in measured["passes"]]
    rows = (
        (
            "cycles, counters, results of traced layers",
            "measured",
            f"{passes} passes of training steps on the Verilog (docs/results/utilization.md)",
            (
                f"{mismatches} results differ from the oracle; utilisation "
                f"{min(utilization):.1f} to {max(utilization):.1f} %"
            ),
        ),
        (
            "area, gates, FPGA resources",
            "measured",
            "synthesis (docs/results/area.md)",
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
                f"largest error over {len(errors['steps'])} recorded training steps: {said}"
                if largest
                else "docs/results/model-error.md is not there: no error is known"
            ),
        ),
        (
            "other accelerators",
            "modelled",
            "models of their publications (docs/results/rivals.md)",
            "ratios to published points and to public simulators are there",
        ),
        *_EXTRAPOLATED,
    )
    return Table(
        name="evidence",
        caption="Where numbers come from, and how wrong they can be.",
        header=("number", "kind", "how", "how wrong"),
        rows=rows,
    )


def evidence_section(
    results: Sequence[Estimated],
    measured: Figures,
    errors: Figures | None,
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
        f"Written by `gscn report` of gscn {metadata.version('gscn')}. Every number is "
        "computed by this repository or read from figures that one of its commands wrote, "
        "except those that are called published."
    )
