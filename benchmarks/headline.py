"""Networks of the papers over a dense array, by the closed form: docs/results/speedups.md."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from benchmarks.markdown import percent, table
from benchmarks.pages import Page
from gscn.array import array
from gscn.golden.networks.catalogue import network_graph
from gscn.perf.estimate.gpu import PUBLISHED_BACKWARD
from gscn.perf.estimate.training_step import Mode, estimate, to_json
from gscn.perf.workload.networks import network
from gscn.perf.workload.sparsification import Method, Sparsification

IMAGE_SIZE = 224
BATCH = 32
CONFIG = "large"


@dataclass(frozen=True, slots=True)
class Case:
    """One row."""

    network: str
    method: Method
    sparsity: float


CASES = (
    Case("resnet50", Method.SWAT, 0.8),
    Case("resnet50", Method.SWAT, 0.9),
    Case("resnet34", Method.RESPROP, 0.9),
    Case("vgg16", Method.RESPROP, 0.9),
    Case("resnet18", Method.SWAT_RESPROP, 0.9),
)


def compute(case: Case) -> dict[str, object]:
    """Return the estimate of one row as plain JSON values."""
    sparsification = Sparsification(method=case.method, sparsity=case.sparsity)
    net = network(case.network, image_size=IMAGE_SIZE, batch=BATCH)
    result = dataclasses.replace(
        estimate(net, array(CONFIG), sparsification, mode=Mode.ANALYTIC),
        graph=network_graph(case.network, image_size=IMAGE_SIZE, batch=BATCH),
    )
    row = to_json(result)
    # The layers are many pages, and shown nowhere.
    return {name: value for name, value in row.items() if name != "layers"}


def _gradients(rows: list[dict[str, object]]) -> str:
    """Say how dense ReSprop's gradient differences were taken to be."""
    densities = sorted({row["gradient_density"] for row in rows if Method(row["method"]).reuses})
    if not densities:
        return ""
    words = " and ".join(percent(density) for density in densities)
    return f"ReSprop's gradient differences are {words} dense, as its training aims at. "


def _other_baseline() -> str:
    """Say which published figures look like those of the table and have another baseline."""
    figures = " and ".join(f"{value:.1f} ({name})" for name, value in PUBLISHED_BACKWARD.items())
    return (
        f"The table's factors are over that dense array, where ReSprop's published {figures} of "
        "the backward pass are over a GPU, with which [gpu.md](gpu.md) compares"
    )


def render(rows: list[dict[str, object]]) -> str:
    """Return the estimates as a Markdown table with its conditions."""
    config = array(CONFIG)
    intro = (
        f"Times faster than a dense array with the same {config.multipliers} multipliers, "
        f"clock and memory port, batches of {BATCH} images of {IMAGE_SIZE}x{IMAGE_SIZE}, estimated "
        "by the closed form, whose error is in [model-error.md](model-error.md); zeros that ReLU "
        "leaves in inputs are not counted on. [networks.md](networks.md) has more networks, with "
        "those zeros. The last two columns are of whole steps, lists in two queues with encode "
        "passes by the cycle model: those that zeros ask for; and with normalisation, ReLU, "
        "pooling and weight update, which the dense array does as well, by the same unit; none "
        "where the compiler of steps has no place for the network. "
        f"{_gradients(rows)}{_other_baseline()}:"
    )
    header = (
        *("network", "method", "sparsity", "forward", "backward", "training"),
        *("training FLOPs removed", "with operands", "with everything"),
    )
    lines = [
        (
            str(row["network"]),
            str(row["method"]),
            f"{row['sparsity']:g}",
            *(
                f"{row[f'{name}_speedup_vs_dense']:.2f}"
                for name in ("forward", "backward", "training")
            ),
            percent(row["training_flop_reduction"]),
            *(
                "none" if row["whole_step"]["refused"] else f"{row['whole_step'][name]:.2f}"
                for name in ("speedup_with_operands", "speedup_with_everything")
            ),
        )
        for row in rows
    ]
    return f"{intro}\n\n{table(header, lines)}"


def make() -> dict[str, Any]:
    """Return what the page shows, as plain JSON values."""
    return {"networks": [compute(case) for case in CASES]}


def quotes(data: dict) -> dict[str, str]:
    """Return times faster than the dense array, by network, method, sparsity and passes.

    "everything" is a whole step; a network that the compiler of steps refuses has none.
    """
    found = {}
    for row in data["networks"]:
        method = row["method"].replace("+", "-")
        name = f"{row['network']}-{method}-{100 * row['sparsity']:.0f}"
        for passes in ("forward", "backward", "training"):
            found[f"{name}-{passes}"] = f"{row[f'{passes}_speedup_vs_dense']:.1f}"
        if not row["whole_step"]["refused"]:
            found[f"{name}-everything"] = f"{row['whole_step']['speedup_with_everything']:.1f}"
    return found


PAGE = Page(
    name="speedups",
    make=make,
    render=lambda data: f"# Networks over a dense array\n\n{render(data['networks'])}",
    parts=("estimates",),
    configs=(CONFIG,),
    quotes=quotes,
)
