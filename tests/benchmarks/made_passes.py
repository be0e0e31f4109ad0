"""Made-up measurements of passes of twelve iterations, two of which also ran in RTL."""

from __future__ import annotations

from benchmarks import utilization
from benchmarks.rtl import BOUNDS
from gscn.conv import Pass
from gscn.counters import CLUSTER_COUNTER_NAMES
from gscn.perf.estimate.buffer import BUFFERS

STALLS = CLUSTER_COUNTER_NAMES[1:]
CYCLES = 1000
ITERATIONS = range(226, 238)


def model_row(iteration, layer, which, value, *, kernel=(3, 3), ports=(0.25, 0.125), density=0.25):
    """Return a pass by the cycle model with so much utilisation."""
    shares = {name: (1 - value) / (2 * len(STALLS)) for name in STALLS} | {"busy": value}
    shares["load"] = (1 - value) / 2
    bound = (value, *ports)
    return {
        "iteration": iteration,
        "layer": layer,
        "pass": str(which),
        "kernel": list(kernel),
        "by": "model",
        "results": None,
        "mismatches": None,
        "useful_products": int(64 * CYCLES * value),
        "cycles": None,
        "model_cycles": CYCLES,
        "counters_differ": None,
        "utilization": value,
        "shares": shares,
        "port_shares": list(ports),
        "bound": BOUNDS[bound.index(max(bound))],
        "bound_share": max(bound),
        "plan": "held",
        "densities": [density, 0.1],
        "first_plan": True,
        "image_bytes": 1050,
        "operand_bytes": 1040,
        "compressed_bytes": 1000,
        "read_bytes": {str(size): 4000 - 900 * index for index, size in enumerate(BUFFERS)},
        "seconds": 1.0,
    }


def in_rtl(row):
    """Return the same pass as measured in RTL."""
    return row | {
        "by": "RTL",
        "results": 100,
        "mismatches": 0,
        "cycles": 1010,
        "counters_differ": 0,
    }


def step(iteration):
    """Return the passes of an iteration; the first has fewest products."""
    value = 0.8 + (iteration - ITERATIONS[0]) / 100
    return [
        model_row(iteration, "conv", Pass.FORWARD, 0.95),
        model_row(iteration, "conv", Pass.INPUT_GRAD, 0.4 if iteration == 227 else value),
        model_row(iteration, "conv", Pass.WEIGHT_GRAD, value, density=value / 4),
        model_row(iteration, "short", Pass.INPUT_GRAD, 0.3, kernel=(1, 1), ports=(0.9, 0.1)),
        model_row(iteration, "short", Pass.WEIGHT_GRAD, 0.45, kernel=(1, 1), density=value / 2),
    ]


def data(rows, rtl=()):
    """Return the figures of a page of these passes."""
    found = utilization.collect(
        [
            {"iteration": one, "gradient_nonzeros": 1000 * one if one in ITERATIONS else 230_500}
            for one in range(226, 246)
        ],
        rows,
        rtl,
        [
            {"plan_us": 20, "descriptor_us": 10, "descriptor_bytes": 256, "read_bytes": 272},
            {"plan_us": 15, "descriptor_us": 15, "descriptor_bytes": 512, "read_bytes": 320},
        ],
    )
    return found | {"lowering_lines": {"plan.py": 2000, "axes.py": 300}}


ROWS = [row for iteration in ITERATIONS for row in step(iteration)]
DATA = data(ROWS, [in_rtl(row) for one in (226, 237) for row in step(one)])
