"""FLOP reductions of SWAT by the accounting of `perf.workload.flops`, beside the published ones.

Shown on docs/results/flops.md (`benchmarks.docs`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from benchmarks.markdown import table
from benchmarks.pages import Page
from gscn.golden.methods.budgets import erk_densities
from gscn.perf.workload.flops import flop_reduction, inference_reduction, training_reduction
from gscn.perf.workload.layers import Network
from gscn.perf.workload.networks import network
from gscn.perf.workload.sparsification import LayerDensities, Method, Sparsification

IMAGENET_PIXELS, CIFAR_PIXELS, BATCH = 224, 32, 32


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """A row of SWAT's tables (Raihan and Aamodt, NeurIPS 2020), reductions in percent."""

    network: str
    image_size: int
    budget: str
    sparsity: float
    training: float
    inference: float | None = None


PUBLISHED = (
    Published(
        network="resnet50",
        image_size=IMAGENET_PIXELS,
        budget="uniform",
        sparsity=0.8,
        training=76.1,
        inference=77.7,
    ),
    Published(
        network="resnet50",
        image_size=IMAGENET_PIXELS,
        budget="uniform",
        sparsity=0.9,
        training=85.6,
        inference=87.4,
    ),
    Published(
        network="resnet50",
        image_size=IMAGENET_PIXELS,
        budget="erk",
        sparsity=0.8,
        training=60.0,
        inference=58.9,
    ),
    *(
        Published(
            network=name,
            image_size=CIFAR_PIXELS,
            budget="uniform",
            sparsity=0.9,
            training=training,
        )
        for name, training in (
            ("vgg16-small", 89.7),
            ("wrn16-8", 90.0),
            ("densenet121-small", 89.8),
        )
    ),
)
"""ImageNet and CIFAR-10; SWAT-M (90 % of weights: 65.4 and 64.8) is left out, as it depends on the
run."""

INTRODUCTION = """# FLOP accounting

Shares of the dense FLOPs that SWAT removes, by `perf.workload.flops.flop_reduction`, beside those
of Raihan and Aamodt (NeurIPS 2020); in percent, differences in points.

Counted are, per layer, N K C R S P Q multiply-accumulates for each of the passes that training
needs: forward (weights' density), input gradient (weights' density; none in the first layer) and
weight gradient (saved activations' density). Zeros of ReLU are not credited. Inference is the
forward pass alone. The uniform budget leaves the first layer dense; ERK gives every layer its
density `eps * sum(shape) / prod(shape)`, at most 1, and activations that of their layer.

The formula behind the published training column is not known. With the uniform budget it is a
constant 0.951 times the sparsity on ResNet-50, where the count above gives 0.981.
"""

COVERAGE = """The row of ERK depends on the layers that share its budget, which the paper does not
list (ResNet-50 at 80 %, published: 58.9 %):
"""


def compute(rows: Sequence[Published] = PUBLISHED) -> list[dict[str, object]]:
    """Return the reductions of each row in percent, as plain JSON values."""
    results = []
    for row in rows:
        net = network(row.network, image_size=row.image_size, batch=BATCH)
        swat = Sparsification(method=Method.SWAT, sparsity=row.sparsity)
        results.append(
            {
                "network": row.network,
                "budget": row.budget,
                "sparsity": row.sparsity,
                "inference": 100 * inference_reduction(net, swat, budget=row.budget),
                "inference_published": row.inference,
                "training": 100 * training_reduction(net, swat, budget=row.budget),
                "training_published": row.training,
            }
        )
    return results


def erk_coverages(sparsity: float = 0.8) -> list[tuple[str, float]]:
    """Return what ERK covers and the inference reduction in percent, of ResNet-50.

    Layers that it does not cover are dense or, the last one, have the uniform density.
    """
    net = network("resnet50", image_size=IMAGENET_PIXELS, batch=BATCH)
    first, last = net.layers[0].name, net.layers[-1].name
    kept = 1 - sparsity
    return [
        (words, 100 * _erk_inference(net, kept, outside))
        for words, outside in (
            ("all layers", {}),
            ("all but the first, which is dense", {first: 1.0}),
            ("all but the last, which is uniform", {last: kept}),
            ("all but both", {first: 1.0, last: kept}),
        )
    ]


def _erk_inference(net: Network, kept: float, outside: Mapping[str, float]) -> float:
    covered = [layer for layer in net.layers if layer.name not in outside]
    shapes = [layer.shape.w_shape[:2] if layer.linear else layer.shape.w_shape for layer in covered]
    shares = erk_densities(shapes, Fraction(str(kept)).limit_denominator(1000))
    densities = {layer.name: float(share) for layer, share in zip(covered, shares, strict=True)}
    densities |= outside
    return flop_reduction(
        net, {name: LayerDensities(weights=d) for name, d in densities.items()}, forward_only=True
    )


def make() -> dict[str, object]:
    """Return what the page shows, as plain JSON values."""
    return {"reductions": compute(), "erk": erk_coverages()}


def render(data: dict) -> str:
    """Return the report as Markdown."""

    def three(row: dict, what: str) -> tuple[str, str, str]:
        ours, published = row[what], row[f"{what}_published"]
        if published is None:
            return f"{ours:.2f}", "-", "-"
        return f"{ours:.2f}", f"{published:.1f}", f"{ours - published:+.2f}"

    header = ["network", "budget", "weights' sparsity"]
    for what in ("inference", "training"):
        header += [what, "published", "difference"]
    cells = [
        (
            row["network"],
            row["budget"],
            f"{100 * row['sparsity']:g}",
            *three(row, "inference"),
            *three(row, "training"),
        )
        for row in data["reductions"]
    ]
    coverages = [(words, f"{reduction:.2f}") for words, reduction in data["erk"]]
    return (
        f"{INTRODUCTION}\n{table(header, cells)}\n\n{COVERAGE}\n"
        f"{table(['ERK covers', 'inference'], coverages)}\n"
    )


PAGE = Page(name="flops", make=make, render=render, parts=("estimates",))
