"""Section about the layers of the networks, one by one, and what bounds each."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from gscn.conv import Pass
from gscn.perf.report.data import cases
from gscn.perf.report.data.estimated import BOUNDS, PASS_NAMES, Estimated
from gscn.perf.report.drawing import charts
from gscn.perf.report.drawing.page import Figure, Paragraph, Section, Table

LAYER_CASES = tuple(
    case.key for case in (cases.SWAT_90, *cases.RESPROP_CASES, cases.LARGE_CASES[1])
)
"""Those whose layers are drawn; the tables have all."""


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


def layer_by_layer_section(results: Sequence[Estimated]) -> Section:
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
