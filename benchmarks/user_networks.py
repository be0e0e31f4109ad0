"""Networks of users over a dense array, by the loaders: docs/results/user-networks.md."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.headline import CONFIG
from benchmarks.markdown import percent, table
from benchmarks.pages import ROOT, Page
from gscn.array import array
from gscn.conv import Pass
from gscn.golden.networks import BATCH
from gscn.perf.estimate.calibration import (
    DRAWS,
    GROUPED,
    HELD_OUT,
    UNGROUPED,
    Observation,
    recorded_observations,
)
from gscn.perf.estimate.closed_form import closed_form_costs
from gscn.perf.estimate.training_step import (
    BACKWARD,
    Mode,
    NetworkEstimate,
    estimate,
)
from gscn.perf.workload.models import read_model
from gscn.perf.workload.sparsification import Method, Sparsification

Row = dict[str, Any]

NETWORKS: tuple[tuple[str, int | None], ...] = (
    ("torchvision:resnet101", None),
    ("torchvision:resnet152", None),
    ("torchvision:vgg19", None),
    ("torchvision:vgg19_bn", None),
    ("torchvision:resnext50_32x4d", None),
    ("torchvision:mobilenet_v2", None),
    ("torchvision:mobilenet_v3_large", None),
    ("torchvision:efficientnet_b0", None),
    ("torchvision:convnext_tiny", None),
    ("torchvision:regnet_y_8gf", None),
    ("torchvision:vit_b_16", None),
    ("torchvision:swin_t", None),
    ("docs.examples.bert:bert_base", None),
    ("docs.examples.unet:UNet", 256),
)
"""As of `perf.workload.models`, and the size of images if the source says none."""
CASES = (
    (Method.SWAT, 0.8),
    (Method.SWAT, 0.9),
    (Method.RESPROP, 0.9),
    (Method.SWAT_RESPROP, 0.9),
)
SAMPLES = ROOT / "benchmarks" / "calibration"
_PASSES = {"training": tuple(Pass), "forward": (Pass.FORWARD,), "backward": BACKWARD}


def compute(spec: str, image_size: int | None) -> Row:
    """Return a network's layers and its estimates, as plain JSON values."""
    own_batch = not spec.startswith("docs.examples.bert")
    found = read_model(spec, batch=BATCH if own_batch else None, image_size=image_size).network
    estimates = []
    for method, sparsity in CASES:
        sparsification = Sparsification(method=method, sparsity=sparsity)
        result = estimate(found, array(CONFIG), sparsification, mode=Mode.ANALYTIC)
        estimates.append(
            {
                "method": method,
                "sparsity": sparsity,
                "cycles": result.cycles(),
                "utilization": _utilization(result),
                "speedups": {name: result.speedup(which) for name, which in _PASSES.items()},
                "bounds": _bounds(result),
            }
        )
    shapes = [layer.shape for layer in found.layers]
    return {
        "spec": spec,
        "inputs": list(shapes[0].x_shape),
        "layers": len(shapes),
        "grouped": sum(shape.groups > 1 for shape in shapes),
        "macs": sum(shape.dense_macs for shape in shapes),
        "left_out": [[one.kind, one.share] for one in found.omitted],
        "estimates": estimates,
    }


def _utilization(result: NetworkEstimate) -> float:
    useful = sum(work.useful_products for one in result.passes for work in one.works)
    return useful / (result.cycles() * result.config.multipliers)


def _bounds(result: NetworkEstimate) -> dict[str, float]:
    """Return the share of the cycles that passes take of which each resource is the busiest."""
    cycles: dict[str, float] = defaultdict(float)
    for one in result.passes:
        cycles[one.bound] += one.cycles
    return {bound: some / result.cycles() for bound, some in sorted(cycles.items())}


def errors(observed: Sequence[Observation]) -> Row:
    """Return the closed form over the cycle model on samples: cycles, and bytes read."""
    works, products = [one.work for one in observed], [one.useful_products for one in observed]
    costs = closed_form_costs(array(CONFIG), works, products=products)
    pairs = list(zip(costs, observed, strict=True))
    return {
        "samples": len(observed),
        "cycles": _spread([cost.cycles / one.cycles for cost, one in pairs]),
        "reads": _spread(
            [
                sum(cost.read_bytes) / (one.first_read_bytes + one.second_read_bytes)
                for cost, one in pairs
            ]
        ),
    }


def _spread(ratios: Sequence[float]) -> Row:
    least, low, middle, high, most = np.quantile(ratios, (0, 0.05, 0.5, 0.95, 1)).tolist()
    mean = float(np.mean(np.abs(np.array(ratios) - 1)))
    return {
        "mean_error": mean, "least": least, "low": low, "middle": middle, "high": high,
        "most": most,
    }  # fmt: skip


def kept_errors(folder: Path = SAMPLES) -> list[Row]:
    """Return the errors on kept samples of the calibration, by draw and pass."""
    rows = []
    for name in (UNGROUPED, GROUPED, HELD_OUT):
        observed = recorded_observations(folder / f"{name}.jsonl")
        for which in Pass:
            own = [one for one in observed if one.work.which is which]
            rows.append({"draw": name, "pass": which, **errors(own)})
    return rows


def make() -> Row:
    """Return what the page shows, as plain JSON values."""
    return {
        "networks": [compute(spec, size) for spec, size in NETWORKS],
        "errors": kept_errors(),
    }


def _left_out(row: Row) -> str:
    shares = [share for _, share in row["left_out"]]
    if not shares:
        return "0.0 %"
    kinds = ", ".join(dict.fromkeys(kind for kind, _ in row["left_out"]))
    return "no formula" if None in shares else f"{percent(sum(shares))} ({kinds})"


def _bound(bounds: Row) -> str:
    most = sorted(bounds, key=lambda name: -bounds[name])
    return ", ".join(f"{name} {percent(bounds[name])}" for name in most)


def _networks(rows: Sequence[Row]) -> str:
    lines = [
        (
            row["spec"],
            "x".join(map(str, row["inputs"])),
            f"{row['layers']} ({row['grouped']})" if row["grouped"] else str(row["layers"]),
            f"{row['macs'] / row['inputs'][0] / 1e9:.2f}",
            _left_out(row),
        )
        for row in rows
    ]
    head = ("network", "first layer's inputs", "layers (grouped)", "GMAC per sample", "in no layer")
    return table(head, lines)


def _estimates(rows: Sequence[Row]) -> str:
    lines = [
        (
            row["spec"].partition(":")[2],
            str(one["method"]),
            f"{one['sparsity']:g}",
            f"{one['cycles'] / 1e6:.1f}",
            percent(one["utilization"]),
            *(f"{one['speedups'][name]:.2f}" for name in ("forward", "backward", "training")),
            _bound(one["bounds"]),
        )
        for row in rows
        for one in row["estimates"]
    ]
    head = (
        *("network", "method", "sparsity", "million cycles", "utilization"),
        *("forward", "backward", "training", "time by what is busiest"),
    )
    return table(head, lines)


def _errors(rows: Sequence[Row]) -> str:
    lines = [
        (
            row["draw"],
            str(row["pass"]),
            str(row["samples"]),
            *(
                text
                for what in ("cycles", "reads")
                for text in (
                    percent(row[what]["mean_error"]),
                    f"{row[what]['middle']:.2f}",
                    f"{row[what]['low']:.2f} to {row[what]['high']:.2f}",
                    f"{row[what]['least']:.2f} to {row[what]['most']:.2f}",
                )
            ),
        )
        for row in rows
    ]
    head = (
        *("samples", "pass", "number", "cycles: mean error", "median", "nine of ten", "all"),
        *("bytes read: mean error", "median", "nine of ten", "all"),
    )
    return table(head, lines)


def render(data: Row) -> str:
    """Return the page as Markdown."""
    config = array(CONFIG)
    others = ", ".join(name.partition(":")[2] for name, _, _ in DRAWS[HELD_OUT].networks)
    return f"""# Networks of users

Each is what its loader finds (`gscn estimate --model NAME`), without a table by hand: convolutions
and linear layers, grouped ones among them, batches of {BATCH} at the size of images that its
library gives. What is in no layer, such as attention's products of two activations, is named with
its share of the forward pass's multiply-accumulates, and is in no figure below. BERT-base is
torch's own encoder at its sizes, embeddings outside ([bert.py](../examples/bert.py)); the UNet is
[unet.py](../examples/unet.py).

{_networks(data["networks"])}

## Times faster than the dense array

A training step of these layers by the closed form, over a dense array with the same
{config.multipliers} multipliers, clock and memory port (`{CONFIG}`): convolutions and linear layers
alone, nothing behind the ports, ReSprop's differences as dense as its training aims at. ReSprop
leaves linear layers dense, of which transformers and ConvNeXt mostly consist. The last column is
the share of the time of passes of which that resource is the busiest.

{_estimates(data["networks"])}

## How far off the closed form is

Closed form over cycle model on the kept samples of the calibration (`make calibration`): layers of
networks drawn at random, cut to at most 40 million products, most of them far smaller than layers,
where the start and the last jobs weigh most. Coefficients are fitted to the first two draws,
nothing to the one that is held out, which is of other networks: {others}. Of ungrouped ones bytes
follow a root of bytes and products, of grouped ones the driver's plan.

{_errors(data["errors"])}
"""


def quotes(data: Row) -> dict[str, str]:
    """Return speed-ups of training steps, and the errors on samples that are held out."""
    found = {}
    for row in data["networks"]:
        name = row["spec"].partition(":")[2].lower().replace("_", "-")
        for one in row["estimates"]:
            method = one["method"].replace("+", "-")
            key = f"{name}-{method}-{100 * one['sparsity']:.0f}"
            found[key] = f"{one['speedups']['training']:.1f}"
    for row in data["errors"]:
        for what in ("cycles", "reads"):
            found[f"{row['draw']}-{row['pass']}-{what}"] = percent(row[what]["mean_error"])
    return found


PAGE = Page(
    name="user-networks",
    make=make,
    render=render,
    parts=("estimates", "grouped_estimates"),
    configs=(CONFIG,),
    quotes=quotes,
)
