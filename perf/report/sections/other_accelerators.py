"""Section about other accelerators, modelled with our multipliers, clock and memory port."""

from __future__ import annotations

from collections.abc import Sequence

from gscn.perf.report.data.rows import GROUPS
from gscn.perf.report.drawing import charts
from gscn.perf.report.drawing.page import Figure, Items, Paragraph, Section, Table
from gscn.perf.report.sections.published_beside_ours import geometric_mean
from gscn.perf.report.sections.speed import Estimated

LARGEST_DRAWN = 40.0
"""Speed-up over another accelerator beyond which its bars would dwarf all others."""


def rival_names(results: Sequence[Estimated]) -> list[str]:
    """Return the other accelerators that were computed for every pass of all networks."""
    first = list(results[0].passes[0].rivals)
    return [name for name in first if all(name in p.rivals for r in results for p in r.passes)]


def rivals_section(
    results: Sequence[Estimated], titles: dict[str, str], sources: dict[str, str]
) -> Section:
    """Our speed-up over each of the other accelerators, network by network.

    Parameters
    ----------
    results
        The networks.
    titles
        Names of the other accelerators for the reader.
    sources
        What each is a model of; docs/results/rivals.md has what it takes for granted.
    """
    counted = [r for r in results if r.passes[0].rivals]
    names = rival_names(counted) if counted else []
    if not names:
        return Section(
            key="rivals",
            title="Other accelerators",
            content=(Paragraph("This mode of the model does not compute other accelerators."),),
        )
    rows = []
    for result in counted:
        for group in GROUPS:
            values = [result.speedup(group, over=name) for name in names]
            rows.append((result.case.label, group, *values))
    for group in GROUPS:
        means = [
            geometric_mean(result.speedup(group, over=name) for result in counted) for name in names
        ]
        rows.append(("geometric mean", group, *means))
    means = {
        name: {
            group: geometric_mean(result.speedup(group, over=name) for result in counted)
            for group in GROUPS
        }
        for name in names
    }
    drawn = [name for name in names if max(means[name].values()) <= LARGEST_DRAWN]
    bars = [
        charts.Bar(label=titles.get(name, name), values=tuple(means[name].values()))
        for name in drawn or names
    ]
    beyond = "".join(
        f" Beyond the scale: {titles.get(name, name)}, {means[name]['training']:.0f} in training."
        for name in names
        if drawn and name not in drawn
    )

    def draw(width: int, class_: str) -> str:
        return charts.grouped_bars(
            bars,
            list(GROUPS),
            width=width,
            class_=class_,
            title="Our speed-up over other accelerators",
            axis="their cycles over ours, geometric mean over the networks",
            reference=1.0,
        )

    notes = [f"**{titles.get(name, name)}**: {sources[name]}" for name in names if name in sources]
    return Section(
        key="rivals",
        title="Other accelerators",
        content=(
            Paragraph(
                "Each has as many multipliers, the same clock and memory port, and is given the "
                "same operands as our cycle model; each is checked against published or measured "
                "points (docs/results/rivals.md). Where their publications leave a choice open, "
                "they get the better one."
            ),
            Figure(
                name="rivals",
                caption=f"Their cycles over ours, geometric mean over {len(counted)} networks and "
                f"methods. Below 1 they are faster.{beyond}",
                draw=draw,
            ),
            Table(
                name="rivals",
                caption="Their cycles over ours.",
                header=("network", "passes", *(titles.get(name, name) for name in names)),
                rows=tuple(rows),
                folded=len(rows) > 16,
            ),
            Items(notes),
        ),
    )
