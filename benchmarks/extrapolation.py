"""Every network of the papers with every method, by the closed form: docs/results/networks.md.

`python -m benchmarks.docs networks` takes some minutes: lists of whole steps on the cycle model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from benchmarks.markdown import percent, table
from benchmarks.pages import Page
from gscn.array import array
from gscn.conv import Pass
from gscn.errors import InputError
from gscn.golden.networks.catalogue import network_graph
from gscn.perf.estimate.gpu import PUBLISHED_BACKWARD
from gscn.perf.estimate.training_step import BACKWARD, Mode, NetworkEstimate, estimate
from gscn.perf.estimate.whole_step import whole_step
from gscn.perf.workload.networks import SMALL_NETWORKS, network
from gscn.perf.workload.sparsification import Method, Sparsification

CONFIG = "large"
BATCHES = {224: 32, 32: 128}
"""Images per batch, by their size."""
NETWORKS = (
    *("resnet18", "resnet34", "resnet50", "vgg16", "wrn50-2", "densenet121"),
    *("resnet18-small", "resnet20", "vgg16-small", "wrn16-8", "wrn28-10", "densenet121-small"),
)
WHOLE = ("with_operands", "with_everything", "limit")
"""What is said of a step with everything."""
METHODS = (
    Sparsification(method=Method.SWAT, sparsity=0.8),
    Sparsification(method=Method.SWAT, sparsity=0.9),
    Sparsification(method=Method.RESPROP, sparsity=0.9, activation_density=0.5),
    Sparsification(method=Method.SWAT_RESPROP, sparsity=0.9, activation_density=0.5),
)
"""With ReSprop, ReLU leaves about half of the inputs. SWAT alone keeps the inputs of the forward
pass as they are; they are taken as dense."""


def compute(name: str, sparsification: Sparsification) -> dict[str, object]:
    """Return the row of one network and method as plain JSON values."""
    size = 32 if name in SMALL_NETWORKS else 224
    net = network(name, image_size=size, batch=BATCHES[size])
    result = dataclasses.replace(
        estimate(net, array(CONFIG), sparsification, mode=Mode.ANALYTIC),
        graph=network_graph(name, image_size=size, batch=BATCHES[size]),
    )
    return {
        "network": name,
        "image_size": size,
        "batch": BATCHES[size],
        "method": str(sparsification.method),
        "sparsity": sparsification.sparsity,
        "activation_density": sparsification.activation_density,
        "gradient_density": sparsification.difference_density,
        "million_cycles": result.cycles() / 1e6,
        "forward": result.speedup((Pass.FORWARD,)),
        "backward": result.speedup(BACKWARD),
        "training": result.speedup(),
        **_whole(result),
        "utilization": _utilization(result),
        "bounds": _bounds(result),
    }


def _whole(result: NetworkEstimate) -> dict[str, object]:
    """Return what a step with everything gains; None for each where the compiler refuses it."""
    try:
        step = whole_step(result)
    except InputError as error:
        return dict.fromkeys(WHOLE) | {"refused": str(error)}
    found = (step.speedup_with_operands, step.speedup, step.limit)
    return dict(zip(WHOLE, found, strict=True)) | {"refused": None}


def compute_all() -> list[dict[str, object]]:
    """Return the rows of all networks and methods."""
    return [compute(name, method) for name in NETWORKS for method in METHODS]


def _utilization(result: NetworkEstimate) -> float:
    products = sum(work.useful_products for one in result.passes for work in one.works)
    return products / (result.cycles() * result.config.multipliers)


def _bounds(result: NetworkEstimate) -> dict[str, float]:
    """Return the share of cycles in passes that each resource bounds."""
    shares = dict.fromkeys(("multipliers", "read port", "write port"), 0.0)
    for one in result.passes:
        shares[one.bound] += one.cycles / result.cycles()
    return shares


def _densities(rows: Sequence[dict]) -> str:
    """Say how dense ReSprop's operands were taken to be."""
    found = {
        (row["gradient_density"], row["activation_density"])
        for row in rows
        if Method(row["method"]).reuses
    }
    return "".join(
        f"ReSprop's differences are {percent(gradients)} dense, as its training aims at, inputs "
        f"then {percent(inputs)}, as ReLU leaves them; "
        for gradients, inputs in sorted(found)
    )


def _refused(rows: Sequence[dict]) -> str:
    """Return which networks have no figure, and why."""
    found = {row["network"]: row["refused"] for row in rows if row["refused"]}
    if not found:
        return "none is refused."
    return "\n".join(f"* {name}: {_first(why)}" for name, why in found.items())


def _first(why: str) -> str:
    """Return the first of the operations that have no place, and how many more there are."""
    head, *named = why.splitlines()
    named = [one.strip() for one in named if one.startswith("  ")]
    if not named:
        return head
    more = f", and {len(named) - 1} more" if len(named) > 1 else ""
    return f"{named[0]}{more}"


def render(rows: Sequence[dict]) -> str:
    """Return the document."""
    config = array(CONFIG)
    speedups = table(
        (
            *("network", "image", "method", "sparsity", "million cycles", "utilization"),
            *("forward", "backward", "training", "with operands", "with everything", "limit"),
        ),
        [
            (
                row["network"],
                str(row["image_size"]),
                row["method"],
                f"{row['sparsity']:g}",
                f"{row['million_cycles']:.1f}",
                percent(row["utilization"]),
                *(f"{row[name]:.2f}" for name in ("forward", "backward", "training")),
                *("none" if row[name] is None else f"{row[name]:.2f}" for name in WHOLE),
            )
            for row in rows
        ],
    )
    bounds = table(
        ("network", "method", "sparsity", *rows[0]["bounds"]),
        [
            (
                row["network"],
                row["method"],
                f"{row['sparsity']:g}",
                *(percent(share) for share in row["bounds"].values()),
            )
            for row in rows
        ],
    )
    figures = " and ".join(f"{value:.1f} ({name})" for name, value in PUBLISHED_BACKWARD.items())
    batches = " and ".join(f"{n} images of {size}x{size}" for size, n in BATCHES.items())
    return f"""# All networks

By the closed form, whose error is in \
[model-error.md](model-error.md). Times faster than a dense array with the same \
{config.multipliers} multipliers, clock and memory port (`{CONFIG}`), batches of {batches}.

ReSprop's published {figures} of the backward pass are over a GPU, not over such an array; \
[gpu.md](gpu.md) compares with that GPU.

{_densities(rows)}with SWAT alone inputs of the forward pass count as dense. First layers stay \
dense with SWAT, fully connected ones with ReSprop, whose terms of one stored sample are included.

"With operands" adds the encode passes that zeros ask for, those that find them and those that put \
tensors in the order of operands; "with everything" those of normalisation, ReLU, pooling, \
residual sums and weight update as well, which the dense array makes too, by the same unit. Both \
are of the list of a step in two queues, one in ten steps selecting thresholds; the limit is what \
encode passes alone would leave if convolutions took no time. `perf/estimate/whole_step.py` says \
what is counted. Of a network that the compiler of steps refuses there are no such figures:

{_refused(rows)}

## Times faster than the dense array

{speedups}

## What bounds the passes

Shares of our cycles in passes in which the multipliers, the read port or the write port are the \
busiest of the three.

{bounds}
"""


def quotes(data: dict) -> dict[str, str]:
    """Return times faster than the dense array, by network, method, sparsity and passes."""
    found = {}
    for row in data["rows"]:
        method = str(row["method"]).replace("+", "-")
        name = f"{row['network']}-{method}-{100 * row['sparsity']:.0f}"
        for passes in ("forward", "backward", "training"):
            found[f"{name}-{passes}"] = f"{row[passes]:.1f}"
    return found


PAGE = Page(
    name="networks",
    make=lambda: {"rows": compute_all()},
    render=lambda data: render(data["rows"]),
    parts=("estimates",),
    configs=(CONFIG,),
    quotes=quotes,
)
