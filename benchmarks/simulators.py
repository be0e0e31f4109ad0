"""The layer on which public simulators were compared, in RTL: docs/results/single-layer.md.

ResNet-18's conv2_x: 3x3, 64 to 64 channels, 56x56, batch 1, both operands 10 % nonzero at random,
256 multipliers. The simulators' figures were measured with the tools themselves; they have
unlimited memory.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks import rtl
from benchmarks.markdown import percent, table
from benchmarks.pages import Page
from benchmarks.rtl import LAYER, conditions, measure, random_inputs
from gscn.array import ArrayConfig, array
from gscn.conv import Pass

MULTIPLIERS = 256
PORTS = 32
"""Enough not to be bound by memory."""


@dataclass(frozen=True, slots=True)
class Simulator:
    """What a public simulator says of the layer, both operands 10 % nonzero; None: not modelled."""

    name: str
    forward: int
    input_grad: int | None
    weight_grad: int | None


SIMULATORS = (
    Simulator(
        "DNNsim, SCNN (two-sided; gradients are not its purpose)", 19_274, 19_205, 14_400_000
    ),
    Simulator("TensorDash (one-sided, at most 3x)", 158_624, 159_041, 155_007),
    Simulator("STONNE, SIGMA-like (one-sided)", 50_381, 50_381, 72_803),
    Simulator("SCALE-Sim v3 (dense in the gradients)", 50_911, 458_207, 776_159),
)
"""SCALE-Sim's forward figure skips weights only, in an N:M pattern."""


def configurations() -> list[ArrayConfig]:
    """Return the accelerator with as many ports as it takes, and with one."""
    base = array("large")
    base = dataclasses.replace(base, clusters=MULTIPLIERS // base.pes)
    return [dataclasses.replace(base, ports=ports) for ports in (PORTS, 1)]


def compute() -> list[dict[str, object]]:
    """Measure the three passes on each configuration."""
    return [
        {
            "config": config.to_dict(),
            "conditions": conditions(config),
            "passes": measure(config, random_inputs(config)),
        }
        for config in configurations()
    ]


def render(rows: Sequence[dict]) -> str:
    """Return the comparison as Markdown."""
    lines = []
    for row in rows:
        config = row["config"]
        cycles = {one["pass"]: one["cycles"] for one in row["passes"]}
        ports = "1 port" if config["ports"] == 1 else f"{config['ports']} ports"
        lines.append(
            (
                f"**GSCN, RTL, {ports} of {config['mem_width']} bits**",
                *(f"**{cycles[str(which)]}**" for which in Pass),
                f"**{sum(cycles.values())}**",
            )
        )
    for tool in SIMULATORS:
        figures = (tool.forward, tool.input_grad, tool.weight_grad)
        total = "-" if None in figures else str(sum(figures))
        lines.append((tool.name, *("-" if f is None else str(f) for f in figures), total))
    one_port = "; then the same with one port" * (len(rows) > 1)
    products = [one["useful_products"] for one in rows[0]["passes"]]
    ideal = [-(-count // MULTIPLIERS) for count in products]
    lines.append(("*every multiplier always busy*", *map(str, ideal), str(sum(ideal))))
    return (
        f"Cycles of one layer (3x3, 64 to 64 channels, {LAYER.h}x{LAYER.w}, batch 1, both operands "
        f"10 % nonzero at random) on {MULTIPLIERS} multipliers, beside public simulators with "
        "unlimited memory, as measured with those tools on masks of the same densities. Ours are "
        f"RTL cycles: {rows[0]['conditions']}{one_port}.\n\n"
        f"{table(('', *map(str, Pass), 'sum'), lines)}"
    )


def make() -> dict[str, object]:
    """Return what the page shows, as plain JSON values."""
    return {"large": rtl.compute(), "beside": compute()}


def render_page(data: dict) -> str:
    """Return the document."""
    return (
        f"# One layer in RTL\n\n{rtl.render(data['large'])}\n\n"
        f"## Beside public simulators\n\n{render(data['beside'])}"
    )


def quotes(data: dict) -> dict[str, str]:
    """Return cycles of the three passes together, ours by ports, and the simulators' least."""
    found = {
        f"cycles-{row['config']['ports']}-ports": f"{sum(p['cycles'] for p in row['passes']):,}"
        for row in data["beside"]
    }
    known = [(tool.forward, tool.input_grad, tool.weight_grad) for tool in SIMULATORS]
    found["cycles-simulators"] = f"{min(sum(three) for three in known if None not in three):,}"
    for row in data["large"]["passes"]:
        found[f"large-{row['pass']}"] = percent(row["utilization"])
    return found


PAGE = Page(
    name="single-layer",
    make=make,
    render=render_page,
    parts=("hardware", "lowering", "model"),
    configs=(rtl.CONFIG,),
    quotes=quotes,
)
