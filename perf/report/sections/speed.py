"""Section about speed-ups over a dense array, beside the published ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gscn.golden.methods.targets import DENSITY_MARGIN
from gscn.perf.report.data import published
from gscn.perf.report.data.cases import Case
from gscn.perf.report.data.estimated import BOUNDS, Estimated, bound_shares, product_limit
from gscn.perf.report.data.rows import GROUPS
from gscn.perf.report.drawing import charts
from gscn.perf.report.drawing.page import Figure, Paragraph, Section, Table

PUBLISHED_MARKS: Mapping[tuple[str, float], Mapping[str, str]] = {
    ("swat", 0.8): {
        "forward": "swat-forward-80",
        "backward": "swat-backward-80",
        "training": "swat-training-80",
    },
    ("swat", 0.9): {"forward": "swat-forward-90", "backward": "swat-backward-90"},
}
"""Published figures over a dense array of the same kind, by (method, sparsity)."""


def _marks(case: Case) -> tuple[float | None, ...]:
    keys = {}
    if case.network == "resnet50":
        keys = PUBLISHED_MARKS.get((case.method, case.sparsity), {})
    return tuple(published.BY_KEY[keys[group]].value if group in keys else None for group in GROUPS)


def _other_baseline() -> str:
    """Say which published figures look like those of a table over the dense array and are not."""
    over_gpu = [published.BY_KEY[f"resprop-{network}"] for network in ("resnet34", "vgg16")]
    figures = " and ".join(f"{f.value:.1f}x ({f.what})" for f in over_gpu)
    return (
        f"The published {figures} are over {over_gpu[0].baseline}, not over a dense array: ours "
        "over that GPU stand in a section of their own."
    )


def speedup_section(results: Sequence[Estimated]) -> Section:
    """Speed-ups of every network and pass over the dense array, beside the published ones."""
    config = results[0].config
    rows = []
    for result in results:
        limit = product_limit(result.passes, result.config, "training")
        shares = bound_shares(result.passes, result.config)
        rows.append(
            (
                result.case.label,
                result.case.batch,
                *(result.speedup(group) for group in GROUPS),
                limit,
                100 * result.speedup("training") / limit,
                *(100 * shares[bound] for bound in BOUNDS),
                *_marks(result.case),
            )
        )
    table = Table(
        name="speedups",
        caption="Times faster than the dense array. **Limit**: every multiplier always busy with "
        "useful products. The last columns are shares of our cycles in passes that the resource "
        f"bounds. {_other_baseline()}",
        header=(
            *("network", "batch", "forward", "backward", "training"),
            *("limit, training", "of the limit, %"),
            *(f"{bound}, %" for bound in BOUNDS),
            *(f"published {group}" for group in GROUPS),
        ),
        rows=tuple(rows),
        columns=5 + 2 + len(BOUNDS),
    )
    bars = [
        charts.Bar(
            label=result.case.label,
            values=tuple(result.speedup(group) for group in GROUPS),
            marks=_marks(result.case),
        )
        for result in results
    ]

    def draw(width: int, class_: str) -> str:
        return charts.grouped_bars(
            bars,
            list(GROUPS),
            width=width,
            class_=class_,
            title="Speed-up over a dense array, by network",
            axis="times faster than a dense array of as many multipliers",
            mark_label="published, over dense on its authors' simulated accelerator",
            reference=1.0,
        )

    return Section(
        key="speed",
        title="Speed-up over a dense array",
        content=(
            Paragraph(
                f"The baseline has the same {config.multipliers} multipliers, clock and memory "
                "port, rearranges itself for every layer and pass to waste least, never waits to "
                "fill or drain, and reads each operand once: a dense array kinder than any that "
                "could be built."
            ),
            Figure(
                name="speedups",
                caption="Cycles of the dense array over ours, convolutions and fully connected "
                "layers of a training step. SWAT leaves the activations of the forward pass and "
                "the output gradients dense: a pass then has one sparse operand, and 1/(1-s) is "
                "its limit. ReSprop alone leaves the forward pass as it is; a design that "
                "streams compressed operands gains nothing there. Its gradient differences are "
                "as dense as its training aims at, "
                f"{100 * float(DENSITY_MARGIN):g} points above 1-s.",
                draw=draw,
            ),
            table,
        ),
    )
