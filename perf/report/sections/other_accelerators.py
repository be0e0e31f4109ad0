"""Section about other accelerators, modelled with our multipliers, clock and memory port."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gscn.perf.report.data.estimated import Estimated
from gscn.perf.report.data.rows import GROUPS
from gscn.perf.report.drawing import charts
from gscn.perf.report.drawing.page import Figure, Items, Paragraph, Section, Table
from gscn.perf.report.sections.published_beside_ours import geometric_mean

LARGEST_DRAWN = 40.0
"""Speed-up over another accelerator beyond which its bars would dwarf all others."""


def rival_names(results: Sequence[Estimated]) -> list[str]:
    """Return the other accelerators that were computed for every pass of all networks."""
    first = list(results[0].passes[0].rivals)
    return [name for name in first if all(name in p.rivals for r in results for p in r.passes)]


def mean_speedup(results: Sequence[Estimated], group: str, name: str) -> float:
    """Return the geometric mean over networks of an accelerator's cycles over ours."""
    return geometric_mean(result.speedup(group, over=name) for result in results)


def _table(results: Sequence[Estimated], names: Sequence[str], titles: Mapping[str, str]) -> Table:
    """Return the speed-ups of every network and group of passes, and their means."""
    rows = [
        (result.case.label, group, *(result.speedup(group, over=name) for name in names))
        for result in results
        for group in GROUPS
    ]
    rows += [
        ("geometric mean", group, *(mean_speedup(results, group, name) for name in names))
        for group in GROUPS
    ]
    return Table(
        name="rivals",
        caption="Their cycles over ours.",
        header=("network", "passes", *(titles.get(name, name) for name in names)),
        rows=tuple(rows),
        folded=len(rows) > 16,
    )


def _figure(
    results: Sequence[Estimated], names: Sequence[str], titles: Mapping[str, str]
) -> Figure:
    """Draw the means of those whose bars do not dwarf all others."""
    means = {
        name: {group: mean_speedup(results, group, name) for group in GROUPS} for name in names
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

    return Figure(
        name="rivals",
        caption=f"Their cycles over ours, geometric mean over {len(results)} networks and "
        f"methods. Below 1 they are faster.{beyond}",
        draw=draw,
    )


def other_accelerators_section(
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
            _figure(counted, names, titles),
            _table(counted, names, titles),
            Items(notes),
        ),
    )
