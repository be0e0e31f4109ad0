"""The README's headline table, computed by the estimate."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from benchmarks.markdown import percent, table
from gscn.config import preset
from gscn.errors import InputError
from perf.estimate import estimate, to_json
from perf.flops import Method, Sparsification
from perf.gpu import PUBLISHED_BACKWARD
from perf.networks import network
from perf.sampling import Measure

BEGIN = "<!-- headline:begin -->"
END = "<!-- headline:end -->"
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


def compute(case: Case, measure: Measure) -> dict[str, object]:
    """Return the estimate of one row as plain JSON values."""
    sparsification = Sparsification(method=case.method, sparsity=case.sparsity)
    net = network(case.network, image_size=IMAGE_SIZE, batch=BATCH)
    return to_json(estimate(net, preset(CONFIG), sparsification, measure=measure))


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
        "the backward pass are over a GPU, with which [docs/gpu.md](docs/gpu.md) compares"
    )


def render(rows: list[dict[str, object]]) -> str:
    """Return the estimates as a Markdown table with its conditions."""
    config = preset(CONFIG)
    intro = (
        f"Times faster than a dense array with the same {config.multipliers} multipliers, "
        f"clock and memory port, estimated for batches of {BATCH} images of "
        f"{IMAGE_SIZE}x{IMAGE_SIZE} from samples of the layers with operands drawn like real ones "
        "(statistical mode, error in docs/model-error.md; `make bench`; assumptions: `gscn "
        "estimate`). The last two columns add what is done besides convolutions: the passes over "
        "tensors that find nonzeros, and with them normalisation, ReLU and weight update, which "
        f"the dense array does as well. {_gradients(rows)}{_other_baseline()}:"
    )
    header = (
        *("network", "method", "sparsity", "forward", "backward", "training"),
        *("training FLOPs removed", "with selection", "with everything"),
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
            f"{row['whole_step']['training']['speedup_with_sparsification']:.2f}",
            f"{row['whole_step']['training']['speedup_with_everything']:.2f}",
        )
        for row in rows
    ]
    return f"{intro}\n\n{table(header, lines)}"


def replace_headline(path: Path, text: str) -> None:
    """Put `text` between the markers of a Markdown file.

    Raises
    ------
    InputError
        The file does not have each marker once, in order.
    """
    old = path.read_text(encoding="utf-8")
    pattern = re.compile(re.escape(BEGIN) + ".*" + re.escape(END), re.DOTALL)
    if (old.count(BEGIN), old.count(END), len(pattern.findall(old))) != (1, 1, 1):
        raise InputError(f"{path} must have {BEGIN} and then {END}, each once")
    path.write_text(pattern.sub(lambda _: f"{BEGIN}\n{text}\n{END}", old), encoding="utf-8")
