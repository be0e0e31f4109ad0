"""Utilisation of the generated Verilog, every result compared with torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.markdown import percent, table
from gscn.array import ArrayConfig, array
from gscn.conv import ConvShape, Pass
from gscn.cosim.conditions import Conditions
from gscn.cosim.layer import PassInput, PassOutcome, check_passes
from gscn.cosim.simulation import RunResult
from gscn.cycles.passes import PassCycles
from gscn.errors import MismatchError
from gscn.golden.oracle.synthetic import random_operands
from gscn.lowering.pass_image import PassImage

CONFIG = "large"
LATENCY = 100
"""Cycles from a read burst's command to its first beat."""
LAYER = ConvShape(n=1, c=64, h=56, w=56, k=64, r=3, s=3, padding=(1, 1))
"""ResNet-18's conv2_x, on which public simulators have been compared."""
DENSITY = 0.1
"""Of both operands."""
SEED = 0
BOUNDS = ("multipliers", "read port", "write port")


def random_inputs(
    config: ArrayConfig, shape: ConvShape = LAYER, density: float = DENSITY
) -> list[PassInput]:
    """Return the three passes of a layer with uniformly random operands."""
    name = f"{shape.r}x{shape.s} {shape.c}-{shape.k} {shape.h}x{shape.w}"
    return [
        PassInput(layer=name, shape=shape, which=which, first=operands[0], second=operands[1])
        for which in Pass
        for operands in [random_operands(shape, which, density, density, config.format, SEED)]
    ]


def measure(
    config: ArrayConfig, inputs: Sequence[PassInput], *, latency: int = LATENCY
) -> list[dict[str, object]]:
    """Co-simulate passes with 16-bit results; return plain JSON values, one mapping per pass.

    `shares` are of the multipliers' cycles; `port_shares` are the beats of each direction per cycle
    and port. `bound` names the busiest of the three resources, `bound_share` says how busy it is.
    `read_per_operand` are bytes read per byte of operands and tables, each counted once.

    Raises
    ------
    MismatchError
        A result or a counter differs from its model: there is nothing to publish.
    """
    outcomes = check_passes(config, inputs, Conditions(latency=latency), output_width=16)
    wrong = [
        f"{outcome.source.layer} {outcome.source.which}: {'; '.join(outcome.comparison.details)}"
        for outcome in outcomes
        if not outcome.comparison.good
    ]
    if wrong:
        raise MismatchError("\n".join(wrong))
    return [_row(config, outcome) for outcome in outcomes]


def model_row(
    config: ArrayConfig, one: PassInput, image: PassImage, model: PassCycles
) -> dict[str, object]:
    """Return the row of a lowered pass by the cycle model alone: no result is there to compare."""
    causes = model.by_cause()
    return {
        "layer": one.layer,
        "pass": str(one.which),
        "kernel": [one.shape.r, one.shape.s],
        "by": "model",
        "results": None,
        "mismatches": None,
        "useful_products": image.useful_products,
        "cycles": None,
        "model_cycles": model.cycles,
        "counters_differ": None,
        "shares": {name: count / sum(causes.values()) for name, count in causes.items()},
        **bounds(config, image.useful_products, model),
        "plan": str(image.plan),
    }


def bounds(config: ArrayConfig, useful: int, counted: RunResult | PassCycles) -> dict[str, object]:
    """Return how busy multipliers and ports are, and which of them is busiest."""
    utilization = useful / (counted.cycles * config.multipliers)
    slots = counted.cycles * config.ports
    shares = (utilization, counted.read_beats / slots, counted.write_beats / slots)
    busy = dict(zip(BOUNDS, shares, strict=True))
    bound = max(busy, key=lambda name: busy[name])
    return {
        "utilization": utilization,
        "port_shares": [busy["read port"], busy["write port"]],
        "bound": bound,
        "bound_share": busy[bound],
    }


def _row(config: ArrayConfig, outcome: PassOutcome) -> dict[str, object]:
    run, model = outcome.run, outcome.model
    assert model is not None  # there are no random stalls here
    return {
        "layer": outcome.source.layer,
        "pass": str(outcome.source.which),
        "kernel": [outcome.source.shape.r, outcome.source.shape.s],
        "by": "RTL",
        "results": outcome.comparison.outputs,
        "mismatches": outcome.comparison.mismatches,
        "useful_products": outcome.useful_products,
        "cycles": run.cycles,
        "model_cycles": model.cycles,
        "counters_differ": sum(
            int(np.count_nonzero(model.counters[:, index] != np.asarray(values)))
            for index, values in enumerate(run.counters.values())
        ),
        "shares": outcome.shares(),
        **bounds(config, outcome.useful_products, run),
        "read_per_operand": run.read_beats * config.mem_bytes / outcome.operand_bytes,
        "plan": outcome.plan,
        "simulated_cycles_per_second": run.simulated_cycles / run.wall_seconds,
    }


def compute() -> dict[str, object]:
    """Measure the three passes of `LAYER` on `CONFIG`."""
    config = array(CONFIG)
    return {"conditions": conditions(config), "passes": measure(config, random_inputs(config))}


def stalls(rows: Sequence[dict]) -> list[str]:
    """Return the causes of stalls that rows have, in their order."""
    return [name for name in rows[0]["shares"] if name != "busy"]


def conditions(config: ArrayConfig) -> str:
    """Describe the accelerator and its memory in words."""
    ports = "one port" if config.ports == 1 else f"{config.ports} ports"
    return (
        f"{config.multipliers} multipliers in {config.clusters} clusters, {ports} of "
        f"{config.mem_width} bits, memory latency {LATENCY} cycles, {config.operand_format} in, "
        "16-bit results out; fetching, loading and draining included"
    )


def pass_table(rows: Sequence[dict]) -> str:
    """Return a Markdown table with one line per pass: where every multiplier's cycles went."""
    causes = stalls(rows)
    header = ("pass", "results", "mismatches", "cycles (model)", "utilization", *causes)
    return table(
        header,
        [
            (
                row["pass"],
                str(row["results"]),
                str(row["mismatches"]),
                f"{row['cycles']} ({row['model_cycles']})",
                percent(row["utilization"]),
                *(percent(row["shares"][name]) for name in causes),
            )
            for row in rows
        ],
    )


def render(data: dict) -> str:
    """Return the passes of `LAYER` as Markdown with their conditions."""
    return (
        f"Measured in RTL, `{CONFIG}`: {data['conditions']}. 64 to 64 channels, 3x3, 56x56 maps, "
        f"batch 1, both operands {DENSITY:.0%} nonzero at random. The last columns say where the "
        f"other cycles of the multipliers went:\n\n{pass_table(data['passes'])}"
    )
