"""ReSprop on slices of `large` beside a GTX 1080 Ti: docs/results/gpu.md.

`python -m benchmarks.docs gpu` takes seconds: everything is the closed form's.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.markdown import percent, table
from benchmarks.model_error import RESULTS
from benchmarks.pages import Page
from gscn.conv import Pass
from gscn.perf.estimate.gpu import (
    BATCH,
    CLOCK_HZ,
    DRAM_BYTES_PER_SECOND,
    IMAGE_SIZE,
    LANES,
    MEASURED_MS,
    PUBLISHED_BACKWARD,
    SLICE,
    GpuComparison,
    gpu_comparison,
    multipliers_for,
)
from gscn.perf.estimate.recorded_step import read_recorded
from gscn.perf.workload.networks import network
from gscn.perf.workload.sparsification import Gradients, Method, Sparsification

SPARSITY = 0.9
BATCHES = (16, 32, 64, 128)
MEASURED_WITH_RESPROP = ("resnet18-swat+resprop", "wrn16-1-resprop")
"""Recorded steps (`benchmarks.model_error`) whose inputs say what ReLU leaves."""


def input_density() -> float:
    """Return the share of nonzeros that ReLU leaves, weighted by dense products; recorded."""
    weights = total = 0.0
    for name in MEASURED_WITH_RESPROP:
        rows = [r for r in read_recorded(RESULTS / f"{name}.jsonl") if r.which is Pass.FORWARD]
        for row in rows[1:]:  # the first layer's input is the image
            weights += row.shape.dense_macs / row.shape.n
            total += row.shape.dense_macs / row.shape.n * row.second_density
    return total / weights


def sparsification(inputs: float, gradients: Gradients = Gradients.TARGET) -> Sparsification:
    """Return ReSprop with a share of nonzeros in inputs and differences of some kind."""
    return Sparsification(
        method=Method.RESPROP,
        sparsity=SPARSITY,
        gradients=gradients,
        activation_density=inputs,
    )


def masked(name: str, inputs: float) -> float:
    """Return the density of stored gradients: where no normalisation follows, ReLU masks them."""
    layers = network(name, image_size=IMAGE_SIZE, batch=1).layers
    return 1.0 if any(layer.has_normalisation for layer in layers) else inputs


def compute(names: Sequence[str] = tuple(MEASURED_MS)) -> dict[str, object]:
    """Return everything that the document shows of some networks, as plain JSON values."""
    inputs = input_density()
    target, nominal = (sparsification(inputs, gradients) for gradients in Gradients)

    def one(name: str, method: Sparsification, **options: object) -> GpuComparison:
        return gpu_comparison(name, method, masked_gradients=masked(name, inputs), **options)

    sizes = {
        name: multipliers_for(
            name,
            speedup,
            target,
            masked_gradients=masked(name, inputs),
        )
        for name, speedup in PUBLISHED_BACKWARD.items()
        if name in names
    }
    return {
        "terms": terms(inputs, target.difference_density, nominal.difference_density),
        "published": {
            name: PUBLISHED_BACKWARD[name] for name in PUBLISHED_BACKWARD if name in names
        },
        "input_density": inputs,
        "gradient_density": target.difference_density,
        "nominal_gradient_density": nominal.difference_density,
        "backward": {name: _json(one(name, target)) for name in names},
        "nominal": {name: _json(one(name, nominal)) for name in names},
        "batches": {
            name: {str(n): _json(one(name, target, batch=n)) for n in BATCHES} for name in names
        },
        "sizes": {name: None if size is None else _json(size) for name, size in sizes.items()},
    }


def terms(inputs: float, target: float, nominal: float) -> list[str]:
    """Return on what terms the two are compared, a paragraph each."""
    return [
        f"""\
Estimated by the closed form, whose error is in model-error.md. GPU: whole networks, dense, \
measured by others \
(github.com/jcjohnson/cnn-benchmarks: cuDNN 5.1, float32, batch {BATCH}, 224x224 images). Ours: \
{LANES} multipliers as slices of `{SLICE}` at {CLOCK_HZ / 1e6:.0f} MHz with \
{DRAM_BYTES_PER_SECOND / 1e9:.0f} GB/s, the GPU's lanes, clock and bandwidth; int16 operands \
against its float32. What `slices.py` and `gpu.py` of `perf/estimate/` assume of \
division and DRAM is said there.""",
        f"""\
ReSprop at {100 * SPARSITY:.0f} %: differences of output gradients \
{percent(target)} dense, the aim of its controller of thresholds, which adds \
five points to 1 - sparsity ({percent(nominal)} in the column of the \
nominal density); \
inputs {percent(inputs)} dense, as ReLU left them in recorded steps, and the stored \
gradient of VGG-16, which has no normalisation between convolution and ReLU, likewise; weights and \
other stored gradients dense.""",
    ]


def _json(found: GpuComparison) -> dict[str, object]:
    return {
        "multipliers": found.multipliers,
        "gpu_seconds": found.gpu,
        "seconds": found.convolutions,
        "speedup": found.speedup,
        "speedup_of_products_alone": found.gpu / found.ideal,
        "speedup_of_dram_alone": found.gpu / found.dram,
        "shares": found.shares,
    }


def _equal_size_table(data: dict) -> str:
    """Return the times of slices of the GPU's size, and what bounds them."""
    rows = data["backward"]
    return table(
        (
            *("network", "GPU, ms", "ours, ms", "times faster"),
            *("nominal density", "products alone", "DRAM alone", "published"),
        ),
        [
            (
                name,
                f"{1e3 * row['gpu_seconds']:.2f}",
                f"{1e3 * row['seconds']:.2f}",
                f"{row['speedup']:.2f}",
                f"{data['nominal'][name]['speedup']:.2f}",
                f"{row['speedup_of_products_alone']:.2f}",
                f"{row['speedup_of_dram_alone']:.2f}",
                f"{data['published'][name]:.1f}" if name in data["published"] else "",
            )
            for name, row in rows.items()
        ],
    )


def render(data: dict) -> str:
    """Return the document."""
    rows = data["backward"]
    names = list(next(iter(rows.values()))["shares"])
    shares = table(
        ("network", *names),
        [(name, *(percent(row["shares"][part]) for part in names)) for name, row in rows.items()],
    )
    batches = table(
        ("network", *(f"batch {n}" for n in BATCHES)),
        [
            (name, *(f"{own[str(n)]['speedup']:.2f}" for n in BATCHES))
            for name, own in data["batches"].items()
        ],
    )
    sizes = table(
        ("network", "published", "multipliers", "times faster"),
        [
            (
                name,
                f"{data['published'][name]:.1f}",
                "none reaches it" if size is None else str(size["multipliers"]),
                "" if size is None else f"{size['speedup']:.2f}",
            )
            for name, size in data["sizes"].items()
        ],
    )
    terms = "\n\n".join(data["terms"])
    return f"""# ReSprop's backward pass beside a GTX 1080 Ti

{terms}

## Times faster than the GPU at equal size, batch {BATCH}

{_equal_size_table(data)}

Times faster are of the convolutions and fully connected layers alone; the GPU's time is of all \
layers: what of encode passes convolutions do not hide would come on top of ours. "Products \
alone" is the bound of the multipliers: no accelerator of this size that computes these products \
passes it. The published figures are of the backward pass; size, clock, precision, batch and \
sparsity of that accelerator are not published.

Where our time goes:

{shares}

{_finding(data)}

## Times faster than the GPU at larger batches

The stored gradient's terms are of one sample, whatever the batch: at {BATCH} images they are \
1/{BATCH} of the dense products. The GPU's time is taken to grow with the batch.

{batches}

## The size that reaches the published figures

At batch {BATCH}, in steps of 512 multipliers, clock and DRAM as above.

{sizes}
"""


def _finding(data: dict) -> str:
    lines = []
    for name, published in data["published"].items():
        row = data["backward"][name]
        text = f"{name}: {row['speedup']:.2f} against {published:.1f} published. "
        if row["speedup"] < published:
            reached = [n for n in BATCHES if data["batches"][name][str(n)]["speedup"] >= published]
            text += (
                f"The bound is the number of products: alone they allow "
                f"{row['speedup_of_products_alone']:.2f}. "
                if row["speedup_of_products_alone"] < published
                else "Losses and DRAM keep it below what its products allow, "
                f"{row['speedup_of_products_alone']:.2f}. "
            )
            text += (
                f"It is passed from batch {reached[0]} on. "
                if reached
                else "None of the batches below reaches it. "
            )
            nominal = data["nominal"][name]["speedup"]
            text += f"With differences of the nominal density it is {nominal:.2f}."
        lines.append(f"* {text.strip()}")
    return "\n".join(lines)


def quotes(data: dict) -> dict[str, str]:
    """Return times faster than the GPU in the backward pass, by network and condition."""
    found = {}
    for name, row in data["backward"].items():
        found[name] = f"{row['speedup']:.1f}"
        found[f"{name}-nominal"] = f"{data['nominal'][name]['speedup']:.1f}"
        if name in data["published"]:
            found[f"{name}-published"] = f"{data['published'][name]:.1f}"
    return found


PAGE = Page(
    name="gpu",
    make=compute,
    render=render,
    parts=("estimates",),
    configs=(SLICE,),
    quotes=quotes,
)
