"""Section about where the multipliers' cycles go, by the RTL's counters and by the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gscn.conv import Pass
from gscn.counters import CLUSTER_COUNTERS
from gscn.perf.report.data.estimated import PASS_NAMES, Estimated
from gscn.perf.report.data.measured import Figures
from gscn.perf.report.drawing import charts
from gscn.perf.report.drawing.page import Figure, Items, Paragraph, Section, Table

_BUSY = "utilization"
_OTHER = "useless products"


def _causes(measured: Figures) -> list[str]:
    """Return the causes that were counted, but for the products."""
    return [name for name in measured["passes"][0]["shares"] if name != "busy"]


def measured_causes(measured: Figures) -> list[tuple[str, dict[str, float]]]:
    """Return shares of the PE-cycles by cause and pass, %, weighted by cycles, as the RTL counted.

    Parameters
    ----------
    measured
        Figures of `docs/results/utilization.md`.
    """
    names = _causes(measured)
    result = []
    for which in Pass:
        rows = [row for row in measured["passes"] if row["pass"] == str(which)]
        if not rows:
            continue
        total = sum(row["model_cycles"] for row in rows)

        def mean(share: Callable[[Figures], float], rows: list = rows, total: int = total) -> float:
            return sum(100 * share(row) * row["model_cycles"] for row in rows) / total

        shares = {_BUSY: mean(lambda row: row["utilization"])}
        for name in names:
            shares[name] = mean(lambda row, name=name: row["shares"][name])
        shares[_OTHER] = max(0.0, 100 - sum(shares.values()))
        result.append((f"{PASS_NAMES[which]}, {len(rows)} passes", shares))
    return result


def lost_cycles_section(measured: Figures, results: Sequence[Estimated]) -> Section:
    """Where the multipliers' cycles go: counted in the RTL, and by the model for full networks."""
    rtl = measured_causes(measured)
    names = (_BUSY, *_causes(measured), _OTHER)

    def draw(width: int, class_: str) -> str:
        return charts.stacked_bars(
            rtl,
            names[1:],
            width=width,
            class_=class_,
            title="Where the multipliers' cycles are lost, counted in the RTL",
            axis="multipliers' cycles without a useful product, %",
        )

    meanings = [f"`{c.name}`: {c.meaning}" for c in CLUSTER_COUNTERS if c.name != "busy"]
    content = [
        Paragraph(
            "Every cycle of every multiplier has exactly one cause, in the RTL by counters and in "
            "the cycle model alike, and the two are equal. These are the RTL's, on the tensors of "
            "real training steps (docs/results/utilization.md)."
        ),
        Figure(
            name="cycles-rtl",
            caption="ResNet-18 on 32x32 images, SWAT and ReSprop together at 90 %, batch 32: all "
            "measured layers of a pass together, weighted by their cycles; the rest is useful "
            "products.",
            draw=draw,
        ),
        Table(
            name="cycles-rtl",
            caption="The same in numbers, % of the multipliers' cycles.",
            header=("pass", *names),
            rows=tuple(
                (label, *(float(f"{shares.get(name, 0.0):.2f}") for name in names))
                for label, shares in rtl
            ),
        ),
        Items([*meanings, f"{_OTHER}: products that belong to no result"]),
    ]
    counted = [r for r in results if all(p.causes is not None for p in r.passes)]
    if counted:
        content.insert(2, _model_causes(counted))
    return Section(key="cycles", title="Where the cycles go", content=tuple(content))


def _model_causes(results: Sequence[Estimated]) -> Figure:
    names = tuple(c.name for c in CLUSTER_COUNTERS)
    rows = []
    for result in results:
        totals = {name: sum(p.causes[name] for p in result.passes) for name in names}
        whole = sum(totals.values())
        rows.append((result.case.label, {name: 100 * n / whole for name, n in totals.items()}))

    def draw(width: int, class_: str) -> str:
        return charts.stacked_bars(
            rows,
            names[1:],
            width=width,
            class_=class_,
            title="Where the multipliers' cycles are lost in full networks, by the model",
            axis="multipliers' cycles without a product, %",
        )

    return Figure(
        name="cycles-model",
        caption="Full networks by the statistical mode: causes of the samples, each scaled to its "
        "layer.",
        draw=draw,
    )
