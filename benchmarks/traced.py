"""Utilisation of the generated Verilog on the tensors of a real training step.

A ResNet-18 for 32x32 images, trained by SWAT and ReSprop together at 90 %, batch 32.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from benchmarks.markdown import percent, table
from benchmarks.rtl import CONFIG, STALLS, conditions, measure
from cosim.layer import traced_inputs
from golden.recipe import Recipe
from golden.trace import Trace, load_trace
from gscn.config import preset
from gscn.conv import Pass

TRACE = Path("build/bench/resnet18-trace")
RECIPE = Recipe(
    network="resnet18",
    method="swat+resprop",
    sparsity=0.9,
    batch_size=32,
    warm_up=True,
    learning_rate=0.01,
    epochs=11,
    iterations_per_epoch=25,
)
ITERATIONS = 265
"""Before the recorded one.

Warm-up ends after 225. ReSprop doubles or halves a layer's threshold in every iteration, so that
the nonzero share of its output gradients swings around the target of 15 %, by more than a factor of
ten in a few layers. Of the sparse iterations 232 to 273 this one has the smallest largest ratio
between a layer's share and the target, either way (2.7).
"""


def load_or_make_trace(path: Path = TRACE) -> Trace:
    """Return the trace at `path`; if there is none, train and record it there first."""
    if path.exists():
        return load_trace(path)
    import torch

    from golden.tracing import trace_step
    from golden.training import Trainer

    # Rounding depends on the number of threads, and after so many iterations the masks do too.
    torch.set_num_threads(1)
    trainer = Trainer(RECIPE)
    for _ in trainer.run(ITERATIONS):
        pass
    return trace_step(trainer, path)


def compute(trace: Trace, layers: Sequence[str] | None = None) -> list[dict[str, object]]:
    """Measure every traced pass of the layers, by default all; see `benchmarks.rtl.measure`."""
    config = preset(CONFIG)
    rows = []
    for name in layers or trace.entries:
        # One layer at a time: operands and memories of a layer take gigabytes.
        measured = measure(config, traced_inputs(trace, config, [name]))
        for row in measured:
            densities = trace.entries[name].densities[Pass(row["pass"])]
            rows.append({**row, "densities": list(densities)})
    return rows


def is_pointwise(row: dict) -> bool:
    """Whether the row's kernel is 1x1."""
    return row["kernel"] == [1, 1]


def geometric_mean(values: Sequence[float]) -> float:
    """Return the geometric mean of positive numbers."""
    return math.exp(sum(map(math.log, values)) / len(values))


def summary(rows: Sequence[dict]) -> dict[str, float]:
    """Return the geometric mean and the least utilisation of the 3x3 layers, over all passes."""
    spatial = [row["utilization"] for row in rows if not is_pointwise(row)]
    return {"geometric_mean": geometric_mean(spatial), "least": min(spatial)}


def render_summary(rows: Sequence[dict]) -> str:
    """Return, for the README, utilisation and stalls of the 3x3 layers by pass, and the 1x1s."""
    lines = []
    spatial = [row for row in rows if not is_pointwise(row)]
    for which in Pass:
        chosen = [row for row in spatial if row["pass"] == str(which)]
        cycles = sum(row["cycles"] for row in chosen)
        values = [row["utilization"] for row in chosen]
        lines.append(
            (
                str(which),
                str(len(chosen)),
                str(sum(row["mismatches"] for row in chosen)),
                str(cycles),
                percent(geometric_mean(values)),
                percent(min(values)),
                *(
                    percent(sum(row["shares"][name] * row["cycles"] for row in chosen) / cycles)
                    for name in STALLS
                ),
            )
        )
    header = ("pass", "layers", "mismatches", "cycles", "utilization (geometric mean)", "least")
    overall = summary(rows)
    return (
        f"Measured in RTL on the tensors of a training step (ResNet-18 on 32x32 images, SWAT and "
        f"ReSprop together at 90 %, batch 32), `{CONFIG}`: {conditions(preset(CONFIG))}. The "
        f"{len({row['layer'] for row in spatial})} 3x3 layers measured: geometric mean over layers "
        f"and passes "
        f"{percent(overall['geometric_mean'])}, least {percent(overall['least'])}. The last "
        "columns are shares of the multipliers' cycles, all layers of a pass together "
        "([layer by layer](docs/utilization.md)):\n\n"
        f"{table((*header, *STALLS), lines)}\n\n"
        "The 1x1 layers, whose results can outweigh their products, and what bounds them:\n\n"
        f"{_layers([row for row in rows if is_pointwise(row)])}"
    )


def _layers(rows: Sequence[dict]) -> str:
    return table(
        (
            *("layer", "pass", "operands nonzero", "mismatches", "cycles (model)", "utilization"),
            *("read port", "write port", "bound", "share of the bound"),
        ),
        [
            (
                row["layer"],
                row["pass"],
                " x ".join(percent(density) for density in row["densities"]),
                str(row["mismatches"]),
                f"{row['cycles']} ({row['model_cycles']})",
                percent(row["utilization"]),
                *(percent(share) for share in row["port_shares"]),
                row["bound"],
                percent(row["bound_share"]),
            )
            for row in rows
        ],
    )


def render(rows: Sequence[dict]) -> str:
    """Return the document with every layer and pass."""
    config = preset(CONFIG)
    stalls = table(
        ("layer", "pass", "utilization", *STALLS),
        [
            (
                row["layer"],
                row["pass"],
                percent(row["utilization"]),
                *(percent(row["shares"][name]) for name in STALLS),
            )
            for row in rows
        ],
    )
    return (
        "# Utilisation on a real training step, layer by layer\n\n"
        "Generated by `python -m benchmarks`. ResNet-18 for 32x32 images, trained by SWAT and "
        f"ReSprop together at 90 %, batch 32 (`golden.networks`); {len(rows)} passes of the "
        f"convolutions of one training step, run on the generated Verilog of `{CONFIG}` "
        f"(configuration `{config.digest()}`) and compared with the oracle: {conditions(config)}. "
        "Cycles are those of the RTL, with the cycle model's in brackets.\n\n"
        "The bound is the busiest of the multipliers, the read port and the write port.\n\n"
        f"{_layers(rows)}\n\n## Where the other cycles went\n\nShares of the multipliers' cycles; "
        f"with the utilisation they sum to 100 %, but for products that fall off a border.\n\n"
        f"{stalls}\n"
    )
