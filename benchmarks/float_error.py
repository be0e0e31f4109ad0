"""Error of sums on traced layers, by the way of adding: docs/results/float-error.md.

Operands are those of training steps, rounded to a narrow format. Each pass is computed with sums in
windows of several widths, with float32 sums in random order, and with float32 sums of blocks; what
is measured is the distance of the sums, before any final rounding, from double precision.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.markdown import Block, table_block, text_of
from benchmarks.pages import DOCS, Page, digests
from benchmarks.tracing import FIRST, RECIPE, record, recorded_trace
from gscn.conv import ConvShape, Pass
from gscn.formats import BF16, FP8_E4M3, FP8_E5M2, FP16, FloatFormat
from gscn.golden.oracle.float32_sums import BLOCK_LENGTH, conv_in_blocks, conv_random_order
from gscn.golden.oracle.float_conv import conv_windowed
from gscn.golden.oracle.floats import decode, encode, scale_exponent
from gscn.golden.oracle.integers import convolve
from gscn.golden.recipe import Recipe
from gscn.golden.traces.arrays import LayerTrace, PassTrace
from gscn.window import contraction_length, window_top

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTHS = (32, 40, 48, 64)
"""Of windows, in bits."""
WINDOW = "48 bits"
"""The way of adding that must be no worse than `RIVAL`."""
COUNTED = "48 bits by count"
"""The same with the top that follows from the number of products alone."""
RIVAL = "float32"
BLOCKS = f"blocks of {BLOCK_LENGTH}"
WAYS = (*(f"{width} bits" for width in WIDTHS), COUNTED, RIVAL, BLOCKS)
MEASURES = ("rms", "max")
SCALED_FORMATS = (FP16, FP8_E4M3, FP8_E5M2)
"""Formats whose operands are scaled by a power of two per tensor, as training with them does."""
DOCUMENT, FIGURE = "float-error.md", "float-error.svg"

_NO_ERROR = 1e-20
"""Where the figure draws an error of 0."""
# Okabe and Ito's palette, which the colour-blind can tell apart.
_COLOURS = ("#56B4E9", "#0072B2", "#009E73", "#999999", "#CC79A7", "#D55E00", "#E69F00")
_MARKERS = ("v", "s", "o", ".", "1", "x", "+")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A training step whose layers are measured."""

    name: str
    recipe: Recipe
    iterations: int
    """Before the recorded one."""
    layers: tuple[str, ...] | None = None
    """Those to measure; by default all."""


CASES = (
    Case(
        name="ResNet-18, dense",
        recipe=Recipe(
            network="resnet18",
            batch_size=16,
            learning_rate=RECIPE.learning_rate,
            epochs=2,
            iterations_per_epoch=25,
        ),
        iterations=30,
    ),
    # The longest contraction here: 131072 products per result of the weight gradient.
    Case(
        name="ResNet-18, dense, batch 128",
        recipe=Recipe(
            network="resnet18",
            batch_size=128,
            learning_rate=RECIPE.learning_rate,
            epochs=2,
            iterations_per_epoch=10,
        ),
        iterations=6,
        layers=("stage1.1.conv2",),
    ),
    Case(name="digits, dense", recipe=Recipe(), iterations=100),
    Case(
        name="digits, SWAT and ReSprop at 90 %",
        recipe=Recipe(method="swat+resprop", sparsity=0.9),
        iterations=100,
    ),
)
"""Besides the first trace of `benchmarks.tracing`."""
TRACED = "ResNet-18, SWAT and ReSprop at 90 %"


def recorded_layers(case: Case) -> Iterator[LayerTrace]:
    """Train, and yield the layers of the recorded iteration."""
    import torch

    from gscn.golden.traces.recording import layer_trace, recording
    from gscn.golden.training.converted_network import conv_layers
    from gscn.golden.training.training import Trainer

    # Rounding depends on the number of threads, and after some iterations the operands do too.
    torch.set_num_threads(1)
    trainer = Trainer(case.recipe)
    for _ in trainer.run(case.iterations):
        pass
    layers = case.layers or list(conv_layers(trainer.network))
    with recording(trainer.network, layers) as traced:
        trainer.step()
    for name, passes in traced.items():
        yield layer_trace(name, passes)


def measure(shape: ConvShape, one: PassTrace, fmt: FloatFormat, seed: int = 0) -> dict[str, dict]:
    """Return the RMS and largest error of each way of adding, in units of the results' RMS.

    Parameters
    ----------
    shape
        The convolution.
    one
        Operands of a pass.
    fmt
        Format to which they are rounded.
    seed
        Of the random order.
    """
    import torch

    codes = [
        encode(np.ldexp(operand, 0 if fmt == BF16 else scale_exponent(operand, fmt)), fmt).codes
        for operand in (one.first, one.second)
    ]
    values = [decode(operand, fmt) for operand in codes]
    exact = convolve(shape, one.which, *map(torch.from_numpy, values)).numpy()
    scale = _rms(exact)

    def errors(found: np.ndarray) -> dict[str, float]:
        difference = found - exact
        return {"rms": _rms(difference) / scale, "max": float(np.abs(difference).max()) / scale}

    def window(width: int, top: int | None = None) -> np.ndarray:
        sums = conv_windowed(shape, one.which, *codes, fmt, acc_width=width, top=top)
        return np.ldexp(sums.sums.astype(np.float64), sums.lsb_exponent)

    generator = np.random.default_rng(seed)
    by_count = window_top(*codes, fmt, contraction_length(shape, one.which))
    return {
        **{f"{width} bits": errors(window(width)) for width in WIDTHS},
        COUNTED: errors(window(48, by_count)),
        RIVAL: errors(conv_random_order(shape, one.which, *values, generator)),
        BLOCKS: errors(conv_in_blocks(shape, one.which, *values)),
    }


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def compute(
    case: str, layers: Iterator[LayerTrace], formats: Sequence[FloatFormat] = (BF16,)
) -> list[dict[str, object]]:
    """Measure every pass of the layers; return plain JSON values.

    A pass whose results are all zero has no error to speak of, and is left out.
    """
    rows = []
    for layer in layers:
        logger.info("%s: %s", case, layer.name)
        for which, one in layer.passes.items():
            if not one.result.any():
                continue
            for fmt in formats:
                rows.append(
                    {
                        "case": case,
                        "layer": layer.name,
                        "pass": str(which),
                        "format": fmt.name,
                        "contraction": contraction_length(layer.shape, which),
                        "errors": measure(layer.shape, one, fmt),
                    }
                )
    return rows


def worse(rows: Sequence[dict], way: str = WINDOW, rival: str = RIVAL) -> list[dict]:
    """Return the rows in which an error of `way` is larger than that of `rival`."""
    return [
        row
        for row in rows
        if any(row["errors"][way][name] > row["errors"][rival][name] for name in MEASURES)
    ]


def largest(rows: Sequence[dict], way: str, name: str) -> float:
    """Return the largest error over rows."""
    return max(row["errors"][way][name] for row in rows)


def _number(value: float) -> str:
    return "0" if value == 0 else f"{value:.1e}"


def _groups(rows: Sequence[dict], key: Callable[[dict], object]) -> dict[object, list[dict]]:
    groups: dict[object, list[dict]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def _compared(rows: Sequence[dict]) -> str:
    """Say in how many passes the window is as good as float32, and where it is not."""
    bad = worse(rows)
    text = (
        f"With {WINDOW} both errors are at most those of float32 in {len(rows) - len(bad)} of "
        f"{len(rows)} passes; with the top by count in "
        f"{len(rows) - len(worse(rows, COUNTED))}."
    )
    if bad:
        text += " They are larger in: " + ", ".join(
            f"{row['case']}, {row['layer']}, {row['pass']}, {row['format']}" for row in bad
        )
    return text


def _worst(rows: Sequence[dict], key: Callable[[dict], tuple[str, ...]], header: tuple) -> Block:
    lines = [
        (
            *group,
            str(len(chosen)),
            str(len(worse(chosen))),
            *(" / ".join(_number(largest(chosen, way, name)) for name in MEASURES) for way in WAYS),
        )
        for group, chosen in _groups(rows, key).items()
    ]
    return table_block((*header, "passes", f"{WINDOW} worse than {RIVAL}", *WAYS), lines)


def render(rows: Sequence[dict]) -> str:
    """Return the document."""
    return text_of(report(rows))


def report(rows: Sequence[dict]) -> list[Block]:
    """Return the document in blocks."""
    bf16 = [row for row in rows if row["format"] == BF16.name]
    others = [row for row in rows if row["format"] != BF16.name]
    lines = [
        (
            row["layer"],
            row["pass"],
            str(row["contraction"]),
            *(" / ".join(_number(row["errors"][way][name]) for name in MEASURES) for way in WAYS),
        )
        for row in bf16
    ]
    by_case = _groups(list(zip(bf16, lines, strict=True)), lambda pair: pair[0]["case"])
    blocks: list[Block] = [
        "# Error of sums on traced layers",
        (
            "Operands are those of the convolutions of real training steps, rounded to a narrow "
            "format; errors are distances of the sums, before results are rounded, from torch's "
            "convolution of the same rounded operands in double precision. Each cell has the RMS "
            "and the largest error over all results of a pass, both divided by the RMS of the "
            "results."
        ),
        (
            f"* **{', '.join(f'{width}' for width in WIDTHS)} bits**: the window of "
            "[floating-point.md](../contract/floating-point.md), accumulators of so many bits. "
            "Hardware has at most 48.\n"
            f"* **{COUNTED}**: the same with the top of `gscn.window.window_top`, which follows "
            "from the largest operands and the number of products; the others have that of "
            "`gscn.window.pass_top`, which looks at the sums of magnitudes as well.\n"
            "* **float32**: exact products, added one by one in random order to a float32 "
            "accumulator.\n"
            f"* **{BLOCKS}**: as matrix units add, {BLOCK_LENGTH} products of neighbours at once "
            "(here in double precision), their sum added to a float32 accumulator."
        ),
        "Double precision rounds too: errors under about 1e-15 are its own.",
        f"## bf16\n\n{_compared(bf16)}\n\n![RMS error by layer]({FIGURE})",
        "The largest errors over the layers:",
        _worst(bf16, lambda row: (row["case"], row["pass"]), ("step", "pass")),
    ]
    if others:
        blocks += [
            (
                "## Other formats\n\n"
                "On the digits network. Each tensor is scaled by the power of two that takes its "
                f"largest magnitude just under the format's. {_compared(others)} The largest "
                "errors over the layers:"
            ),
            _worst(others, lambda row: (row["format"], row["pass"]), ("format", "pass")),
        ]
    blocks.append("## Layer by layer, bf16")
    for case, pairs in by_case.items():
        blocks.append(f"### {case}")
        blocks.append(
            table_block(("layer", "pass", "contraction", *WAYS), [line for _, line in pairs])
        )
    return blocks


def plot_errors(rows: Sequence[dict]) -> Figure:
    """Draw the RMS error of each layer and way of adding, a panel per step and pass."""
    from matplotlib.figure import Figure

    cases = _groups([row for row in rows if row["format"] == BF16.name], lambda row: row["case"])
    figure = Figure(figsize=(13, 3.1 * len(cases)), layout="constrained")
    axes = figure.subplots(len(cases), len(Pass), sharey=True, squeeze=False)
    for line, (case, chosen) in zip(axes, cases.items(), strict=True):
        for ax, which in zip(line, Pass, strict=True):
            panel = [row for row in chosen if row["pass"] == str(which)]
            names = [row["layer"] for row in panel]
            for way, colour, marker in zip(WAYS, _COLOURS, _MARKERS, strict=True):
                values = [max(row["errors"][way]["rms"], _NO_ERROR) for row in panel]
                ax.plot(names, values, marker, color=colour, label=way, markersize=5)
            ax.set_yscale("log")
            ax.set_title(f"{case}: {which}", fontsize=8)
            ax.tick_params(axis="x", labelrotation=90, labelsize=6)
            ax.grid(axis="y", linewidth=0.3)
        line[0].set_ylabel("RMS error / RMS result")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(WAYS), fontsize=9)
    figure.supxlabel(f"layer; an error of 0 is drawn at {_NO_ERROR:g}", fontsize=9)
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write an SVG that is the same whenever its figure is."""
    import matplotlib

    with matplotlib.rc_context({"svg.hashsalt": FIGURE, "svg.fonttype": "none"}):
        figure.savefig(path, format="svg", metadata={"Date": None})


def make() -> dict[str, object]:
    """Train, record and measure all cases; return what the page shows."""
    record()
    trace = recorded_trace(FIRST)
    rows = compute(TRACED, (trace.load(name) for name in trace.layers))
    for case in CASES:
        formats = (BF16, *SCALED_FORMATS) if case.recipe.network == "digits" else (BF16,)
        rows += compute(case.name, recorded_layers(case), formats)
    save_figure(plot_errors(rows), DOCS / FIGURE)
    return {"blocks": report(rows), "files": digests(DOCS / FIGURE)}


PAGE = Page(
    name="float-error",
    make=make,
    render=lambda data: text_of(data["blocks"]),
    parts=("arithmetic", "training"),
)
