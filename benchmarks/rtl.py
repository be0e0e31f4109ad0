"""Utilisation of the generated Verilog on one layer, every result compared with torch."""

from __future__ import annotations

from cosim.layer import PassInput, PassOutcome, check_passes
from golden.synthetic import random_operands
from gscn.config import preset
from gscn.conv import ConvShape, Pass
from gscn.counters import CLUSTER_COUNTER_NAMES

CONFIG = "small"
LAYER = ConvShape(n=1, c=64, h=28, w=28, k=64, r=3, s=3, padding=(1, 1))
DENSITY = 0.1
"""Of both operands."""
SEED = 0
STALLS = CLUSTER_COUNTER_NAMES[1:]


def compute() -> list[dict[str, object]]:
    """Co-simulate the three passes of the layer; return plain JSON values, one per pass."""
    config = preset(CONFIG)
    inputs = [
        PassInput(
            layer="3x3 64-64 28x28",
            shape=LAYER,
            which=which,
            first=operands[0],
            second=operands[1],
        )
        for which in Pass
        for operands in [random_operands(LAYER, which, DENSITY, DENSITY, config.format, SEED)]
    ]
    return [_row(outcome) for outcome in check_passes(config, inputs, output_width=16)]


def _row(outcome: PassOutcome) -> dict[str, object]:
    run, model = outcome.run, outcome.model
    assert model is not None  # there are no random stalls here
    return {
        "pass": str(outcome.source.which),
        "results": outcome.comparison.outputs,
        "mismatches": outcome.comparison.mismatches,
        "useful_products": outcome.useful_products,
        "cycles": run.cycles,
        "model_cycles": model.cycles,
        "utilization": outcome.utilization(preset(CONFIG)),
        "shares": outcome.shares(),
        "simulated_cycles_per_second": run.simulated_cycles / run.wall_seconds,
    }


def render(rows: list[dict]) -> str:
    """Return the passes as a Markdown table with its conditions."""
    config = preset(CONFIG)
    lines = [
        (
            f"Measured in RTL: 64 to 64 channels, 3x3, 28x28 maps, batch 1, both operands "
            f"{DENSITY:.0%} nonzero at random, `{CONFIG}` ({config.multipliers} multipliers, one "
            f"{config.mem_width}-bit port), loading and draining included. The last columns say "
            "where the other cycles of the multipliers went:"
        ),
        "",
        "| pass | results | mismatches | cycles (model) | utilization | "
        + " | ".join(STALLS)
        + " |",
        "|---" * (5 + len(STALLS)) + "|",
    ]
    for row in rows:
        shares = " | ".join(f"{100 * row['shares'][name]:.1f} %" for name in STALLS)
        lines.append(
            f"| {row['pass']} | {row['results']} | {row['mismatches']} | "
            f"{row['cycles']} ({row['model_cycles']}) | {100 * row['utilization']:.1f} % | "
            f"{shares} |"
        )
    return "\n".join(lines)
