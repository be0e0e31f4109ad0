"""Sections about time: speed-ups over a dense array, layer by layer, and where the cycles go."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from gscn.config import AcceleratorConfig
from gscn.conv import Pass
from gscn.counters import CLUSTER_COUNTERS
from gscn.golden.methods.targets import DENSITY_MARGIN
from gscn.perf.report.data import cases, published
from gscn.perf.report.data.cases import Case, Row
from gscn.perf.report.data.measured import Figures
from gscn.perf.report.data.rows import GROUPS, PassRow, config_of, pass_rows, speedup
from gscn.perf.report.drawing import charts
from gscn.perf.report.drawing.page import Figure, Items, Paragraph, Section, Table

BOUNDS = ("multipliers", "read port", "write port")
LAYER_CASES = tuple(
    case.key for case in (cases.SWAT_90, *cases.RESPROP_CASES, cases.LARGE_CASES[1])
)
"""Those whose layers are drawn; the tables have all."""
PASS_NAMES = {
    Pass.FORWARD: "forward",
    Pass.INPUT_GRAD: "input gradient",
    Pass.WEIGHT_GRAD: "weight gradient",
}
"""The passes in words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimated:
    """A case and what was computed for it."""

    case: Case
    row: Row
    passes: tuple[PassRow, ...]
    config: AcceleratorConfig

    @classmethod
    def of(cls, case: Case, row: Row) -> Estimated:
        """Read the row of a case."""
        return cls(case=case, row=row, passes=pass_rows(row), config=config_of(row))

    def speedup(self, group: str, *, over: str = "dense") -> float | None:
        """Return cycles of another accelerator over ours; `group` is one of `GROUPS`."""
        return speedup(self.passes, GROUPS[group], over=over)


def product_limit(passes: Sequence[PassRow], config: AcceleratorConfig, group: str) -> float:
    """Return the speed-up over dense if every multiplier took a useful product in every cycle."""
    chosen = [p for p in passes if p.which in GROUPS[group]]
    ideal = sum(p.useful_products for p in chosen) / config.multipliers
    return sum(p.dense_cycles for p in chosen) / ideal


def bound_shares(
    passes: Sequence[PassRow], config: AcceleratorConfig, group: str = "training"
) -> dict[str, float]:
    """Return the share of our cycles that is spent in passes bound by each resource."""
    chosen = [p for p in passes if p.which in GROUPS[group]]
    total = sum(p.cycles for p in chosen)
    shares = dict.fromkeys(BOUNDS, 0.0)
    for p in chosen:
        shares[p.bound(config)] += p.cycles / total
    return shares


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


def layer_table(result: Estimated) -> Table:
    """Every pass of every layer of one network."""
    config = result.config
    rows = []
    for p in result.passes:
        ports = p.ports
        rows.append(
            (
                *(p.layer, str(p.which), p.shape.k, p.shape.c, p.shape.r, p.shape.s, p.shape.h),
                *(*p.densities, p.useful_products, p.cycles, p.dense_cycles, p.speedup),
                *(p.utilization(config), p.bound(config)),
                *(ports.read_bytes, ports.write_bytes),
                *(p.compressed.read_bytes, p.compressed.write_bytes, p.dense_bound),
            )
        )
    return Table(
        name=f"layers-{result.case.key}",
        caption=f"{result.case.label}: every pass of every layer, {len(rows)} rows",
        header=(
            *("layer", "pass", "K", "C", "R", "S", "H", "first operand's density"),
            *("second operand's density", "useful products", "cycles", "dense cycles", "speed-up"),
            *("utilization", "bound", "bytes read", "bytes written", "bytes read, compulsory"),
            *("bytes written, compulsory", "dense array's bound"),
        ),
        rows=tuple(rows),
        shown=False,
    )


def _layer_figure(result: Estimated) -> Figure:
    by_pass = {which: {p.layer: p for p in result.passes if p.which is which} for which in Pass}
    layers = list(dict.fromkeys(p.layer for p in result.passes))
    panels = [
        (
            PASS_NAMES[which],
            [
                (name, p.speedup, p.bound(result.config))
                if (p := by_pass[which].get(name))
                else (name, None, BOUNDS[0])
                for name in layers
            ],
        )
        for which in Pass
    ]
    groups = [(name, len(list(of))) for name, of in groupby(layers, key=_stage)]

    def draw(width: int, class_: str) -> str:
        return charts.layer_columns(
            panels,
            [f"{bound}" for bound in BOUNDS],
            width=width,
            class_=class_,
            title=f"Speed-up of each layer of {result.case.label}",
            axis="times faster than dense; colour: what bounds us",
            groups=groups,
            reference=1.0,
        )

    slowest = min(result.passes, key=lambda p: p.speedup)
    fastest = max(result.passes, key=lambda p: p.speedup)
    return Figure(
        name=f"layers-{result.case.key}",
        caption=f"{result.case.label}: the {len(layers)} layers in the network's order. Fastest: "
        f"{fastest.layer}, {PASS_NAMES[fastest.which]}, {fastest.speedup:.1f}x; slowest: "
        f"{slowest.layer}, {PASS_NAMES[slowest.which]}, {slowest.speedup:.2f}x; over the dense "
        "array.",
        draw=draw,
    )


def _stage(layer: str) -> str:
    parts = layer.split(".")
    return ".".join(parts[:2]) if parts[0] == "features" and "block" in layer else parts[0]


def layers_section(results: Sequence[Estimated]) -> Section:
    """Each layer's speed-up, and what bounds it, of some networks; tables of all of them."""
    shown = [result for result in results if result.case.key in LAYER_CASES]
    return Section(
        key="layers",
        title="Layer by layer",
        content=(
            Paragraph(
                "One column per layer. The first layer has no input gradient. Where a column is "
                "low, its colour names the resource that would have to grow; if that is the "
                "multipliers, there are few zeros."
            ),
            *(_layer_figure(result) for result in shown or results[:1]),
            amdahl_table(results),
            *(layer_table(result) for result in results),
        ),
    )


def amdahl_table(results: Sequence[Estimated]) -> Table:
    """Return how much of the time goes to passes without zeros, and what the others gain."""
    rows = []
    for result in results:
        dense = [p for p in result.passes if min(p.densities) >= 1]
        sparse = [p for p in result.passes if min(p.densities) < 1]
        total = sum(p.cycles for p in result.passes)
        rows.append(
            (
                result.case.label,
                len(dense),
                100
                * sum(p.dense_cycles for p in dense)
                / sum(p.dense_cycles for p in result.passes),
                100 * sum(p.cycles for p in dense) / total,
                sum(p.dense_cycles for p in sparse) / sum(p.cycles for p in sparse),
                result.speedup("training"),
            )
        )
    return Table(
        name="amdahl",
        caption="Amdahl's part: passes that the method leaves without zeros to skip (the first "
        "layer; without SWAT all forward passes; with ReSprop the fully connected layers), their "
        "share of the dense array's cycles and of ours, and the speed-up over the dense array of "
        "all other passes.",
        header=(
            *("network", "passes without zeros", "of dense cycles, %", "of our cycles, %"),
            *("speed-up of the others", "training speed-up"),
        ),
        rows=tuple(rows),
    )


_BUSY = "utilization"


def measured_causes(measured: Figures) -> list[tuple[str, dict[str, float]]]:
    """Return shares of the PE-cycles by cause and pass, %, weighted by cycles, as the RTL counted.

    Parameters
    ----------
    measured
        Figures of `docs/results/utilization.md`.
    """
    names = [c.name for c in CLUSTER_COUNTERS if c.name != "busy"]
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
        shares["off the border"] = max(0.0, 100 - sum(shares.values()))
        result.append((f"{PASS_NAMES[which]}, {len(rows)} passes", shares))
    return result


def cycles_section(measured: Figures, results: Sequence[Estimated]) -> Section:
    """Where the multipliers' cycles go: counted in the RTL, and by the model for full networks."""
    rtl = measured_causes(measured)
    names = (_BUSY, *(c.name for c in CLUSTER_COUNTERS if c.name != "busy"), "off the border")

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
        Items([*meanings, "off the border: products that land in guard cells"]),
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
