"""Operands of 8 bits, scaled by tensors or by blocks: docs/results/microscaling.md.

Operands are those of training steps, in float32. They are rounded in several ways; measured are the
error that this brings into the results of a pass, before any other rounding; the zeros that it
makes; the bytes of the operands as strips; and how wide an accumulator is in which no product loses
a bit.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks import float_error
from benchmarks.float_error import Case
from benchmarks.markdown import Block, percent, table_block, text_of
from benchmarks.pages import Page
from gscn.conv import ConvShape, Pass
from gscn.formats import BF16, FP8_E4M3, FloatFormat
from gscn.golden.methods.operand_formats import OperandFormats, formats_of
from gscn.golden.oracle.float_conv import conv_windowed
from gscn.golden.oracle.floats import decode, encode
from gscn.golden.oracle.integers import convolve
from gscn.golden.oracle.microscaling import BLOCK, to_blocks
from gscn.golden.traces.arrays import LayerTrace, PassTrace
from gscn.strips import encode as strips_of
from gscn.window import lsb_exponent, pass_top

WAYS: Mapping[str, OperandFormats] = {
    "bf16": formats_of("bf16"),
    "fp16": formats_of("fp16"),
    "fp16, amax": formats_of("fp16", "amax"),
    "fp8": formats_of("fp8", "none"),
    "fp8, amax": formats_of("fp8"),
    "fp8_e4m3, amax": formats_of("fp8_e4m3"),
    "fp8_e5m2, amax": formats_of("fp8_e5m2"),
    "mx": formats_of("fp8_e4m3", "mx"),
    "mx, e5m2 gradients": formats_of("fp8", "mx"),
}
"""What operands are rounded to, as `gscn train --arithmetic --scales` does."""
CLAMPED = "mx, clamped"
"""As "mx", with the scales of the specification, by which numbers may be clamped."""
CONTRACTED = "mx along the sum"
"""As "mx", but blocks are of numbers that are added up: pixels, in the weight gradient."""
LANES = {Pass.FORWARD: (0, 1), Pass.INPUT_GRAD: (1, 1), Pass.WEIGHT_GRAD: (1, 1)}
"""Axes of both operands whose numbers lie side by side in memory."""
SUMMED = {Pass.FORWARD: (1, 1), Pass.INPUT_GRAD: (0, 1), Pass.WEIGHT_GRAD: (None, None)}
"""Axes along which a pass adds up; None: pixels of all samples."""
BLOCKS = "mx"
STORED = ("bf16", "fp8", BLOCKS)
"""Ways of storing; "fp8" is any with a scale per tensor, or none."""
WIDTHS = (32, 48)
CASES = tuple(case for case in float_error.CASES if case.layers is None)
_LANES = 32
"""Channels of a group of strips, two vectors."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Operands:
    """Both operands of a pass after rounding."""

    values: tuple[np.ndarray, np.ndarray]
    """float64."""
    codes: tuple[np.ndarray, np.ndarray]
    """As the array gets them."""
    fmt: FloatFormat
    """Of the codes."""


def rounded(one: PassTrace, formats: OperandFormats) -> Operands:
    """Return the operands of a pass as training rounds them."""
    import torch

    coded = formats.coded(one.which, torch.from_numpy(one.first), torch.from_numpy(one.second))
    codes = (coded.first, coded.second)
    values = [decode(codes_of_one, coded.fmt) for codes_of_one in codes]
    # Both scales may be taken from one of them: only their product counts.
    return Operands(
        values=(np.ldexp(values[0], -coded.exponent), values[1]), codes=codes, fmt=coded.fmt
    )


def in_blocks(one: PassTrace, axes: tuple[int | None, int | None], *, clamps: bool) -> Operands:
    """Return operands in blocks of e4m3 along an axis, or with None of the pixels of a channel."""
    values = []
    for operand, axis in zip((one.first, one.second), axes, strict=True):
        if axis is not None:
            values.append(to_blocks(operand, FP8_E4M3, axis, clamps=clamps).values())
            continue
        pixels = np.moveaxis(operand, 1, 0)
        flat = to_blocks(pixels.reshape(len(pixels), -1), FP8_E4M3, 1, clamps=clamps).values()
        values.append(np.moveaxis(flat.reshape(pixels.shape), 0, 1))
    codes = [encode(value, BF16).codes for value in values]
    return Operands(values=(values[0], values[1]), codes=(codes[0], codes[1]), fmt=BF16)


def exact_width(shape: ConvShape, which: Pass, operands: Operands) -> int:
    """Return the bits of the narrowest accumulator in which no product of a pass loses one.

    The top is that of `gscn.window.pass_top`; the least bit that of any two nonzero operands.
    """
    least = sum(_least_bit(decode(codes, operands.fmt)) for codes in operands.codes)
    top = pass_top(shape, which, *operands.codes, operands.fmt)
    return max(1, lsb_exponent(top, operands.fmt, 0) - least)


def _least_bit(values: np.ndarray) -> int:
    """Return the exponent of the lowest bit that is set in any of the finite nonzero numbers."""
    numbers = values[np.isfinite(values) & (values != 0)]
    if not numbers.size:
        return 0
    fractions, exponents = np.frexp(numbers)
    integers = np.ldexp(np.abs(fractions), 53).astype(np.int64)
    lowest = np.frexp((integers & -integers).astype(np.float64))[1] - 1
    return int((exponents - 53 + lowest).min())


def stored_bytes(operand: np.ndarray, axis: int) -> dict[str, int]:
    """Return the bytes of an operand as strips, by way of storing, tables left out.

    Parameters
    ----------
    operand
        Four axes.
    axis
        Of channels that lie side by side, 32 to a group: two vectors, or one block with a scale.
        The scale is a byte in front of the values of the block's first vector that has any.
    """
    channels = np.moveaxis(operand, axis, -1).reshape(-1, operand.shape[axis])
    pad = -channels.shape[1] % _LANES
    nonzero = np.pad(channels, ((0, 0), (0, pad))) != 0
    groups = nonzero.reshape(len(nonzero), -1, _LANES).transpose(1, 0, 2)
    bounds = np.array([0, groups.shape[1]])
    found = {
        name: 2 * strips_of(groups.astype(kind), bounds, fmt).halfwords
        for name, kind, fmt in (("bf16", np.uint16, BF16), ("fp8", np.uint8, FP8_E4M3))
    }
    counts = groups.reshape(*groups.shape[:2], 2, -1).sum(-1)
    first = np.where(counts[..., 0] > 0, counts[..., 0], counts[..., 1])
    # Behind an odd number of bytes there is room for it.
    found[BLOCKS] = found["fp8"] + 2 * int(np.count_nonzero((first > 0) & (first % 2 == 0)))
    return found


def measure(shape: ConvShape, one: PassTrace, *, windows: bool) -> dict[str, Any]:
    """Return the figures of a pass, plain JSON values.

    Parameters
    ----------
    shape
        The convolution.
    one
        Operands of a pass.
    windows
        Whether errors of sums in windows are measured, which takes the longest.
    """
    import torch

    def conv(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        pair = (torch.from_numpy(np.ascontiguousarray(o)) for o in (first, second))
        return convolve(shape, one.which, *pair).numpy()

    exact = conv(one.first.astype(np.float64), one.second.astype(np.float64))
    given = sum(np.count_nonzero(operand) for operand in (one.first, one.second))
    found: dict[str, Any] = {"errors": {}, "zeroed": {}, "widths": {}}
    ways = {name: rounded(one, formats) for name, formats in WAYS.items()}
    ways[CLAMPED] = in_blocks(one, LANES[one.which], clamps=True)
    ways[CONTRACTED] = in_blocks(one, SUMMED[one.which], clamps=False)
    for name, operands in ways.items():
        finite = all(np.isfinite(values).all() for values in operands.values)
        error = conv(*operands.values) - exact if finite else np.array(math.inf)
        found["errors"][name] = _rms(error) / _rms(exact)
        kept = sum(np.count_nonzero(values) for values in operands.values)
        found["zeroed"][name] = float(1 - kept / given)
        found["widths"][name] = exact_width(shape, one.which, operands)
    if windows:
        blocks = ways[BLOCKS]
        right = conv(*blocks.values)
        found["windows"] = {}
        for width in WIDTHS:
            sums = conv_windowed(shape, one.which, *blocks.codes, blocks.fmt, acc_width=width)
            values = np.ldexp(sums.sums.astype(np.float64), sums.lsb_exponent)
            found["windows"][str(width)] = _rms(values - right) / _rms(right)
    pairs = zip((one.first, one.second), LANES[one.which], strict=True)
    parts = [stored_bytes(operand, axis) for operand, axis in pairs]
    found["bytes"] = {name: sum(part[name] for part in parts) for name in STORED}
    found["numbers"] = one.first.size + one.second.size
    found["nonzeros"] = int(given)
    return found


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def compute(case: Case, layers: Iterator[LayerTrace]) -> list[dict[str, Any]]:
    """Measure every pass of the layers that has results."""
    rows = []
    for layer in layers:
        logger.info("%s: %s", case.name, layer.name)
        for which, one in layer.passes.items():
            if one.result.any():
                about = {"case": case.name, "layer": layer.name, "pass": str(which)}
                windows = case.recipe.network == "digits"
                rows.append(about | measure(layer.shape, one, windows=windows))
    return rows


def _of(rows: Sequence[dict], key: str) -> dict[str, list[dict]]:
    """Return rows by the value of a key, in the order in which they come."""
    return {one: [r for r in rows if r[key] == one] for one in dict.fromkeys(r[key] for r in rows)}


def mean_error(rows: Sequence[dict], way: str) -> float:
    """Return the geometric mean of a way's errors; 0 if one of them is."""
    errors = [row["errors"][way] for row in rows]
    return 0.0 if 0 in errors else math.exp(sum(map(math.log, errors)) / len(errors))


def _error(rows: Sequence[dict], way: str) -> str:
    mean, most = mean_error(rows, way), max(row["errors"][way] for row in rows)
    return f"{100 * mean:.2g} / {100 * most:.2g}" if math.isfinite(most) else "beyond"


def _zeroed(rows: Sequence[dict], way: str) -> str:
    total = sum(row["nonzeros"] for row in rows)
    return percent(sum(row["zeroed"][way] * row["nonzeros"] for row in rows) / total)


def _byte_line(case: str, rows: Sequence[dict]) -> tuple[str, ...]:
    numbers = sum(row["numbers"] for row in rows)
    total = {name: sum(row["bytes"][name] for row in rows) for name in STORED}
    return (
        case,
        percent(sum(row["nonzeros"] for row in rows) / numbers),
        *(f"{total[name] / numbers:.3f}" for name in STORED),
        percent(total[BLOCKS] / total["fp8"] - 1),
        f"{total['bf16'] / total[BLOCKS]:.2f}",
    )


def report(rows: Sequence[dict]) -> list[Block]:
    """Return the document in blocks."""
    ways = (*WAYS, CLAMPED, CONTRACTED)
    steps = [
        ((case, which), chosen)
        for case, of_case in _of(rows, "case").items()
        for which, chosen in _of(of_case, "pass").items()
    ]
    windows = [row for row in rows if "windows" in row]
    return [
        "# Operands of 8 bits, scaled by tensors or by blocks",
        (
            "Operands are those of the convolutions of real training steps. They are rounded as "
            "`gscn train --arithmetic A --scales S` does, and errors are those of a pass's "
            "results, against torch's convolution of the operands in float32, both in double "
            "precision: the RMS of the difference over the RMS of the results. What the formats "
            "are is in [floating-point.md](../contract/floating-point.md#training), why blocks "
            "are as they are in [training.md](../decisions/training.md)."
        ),
        (
            "* Up to `fp8_e5m2, amax`: arithmetic, and scales of tensors.\n"
            f"* `{BLOCKS}`: `fp8_e4m3` in blocks of {BLOCK} channels that lie side by side in "
            "memory, one copy of each map for all passes; `mx, e5m2 gradients`: `fp8` so. The "
            "scale of a block is the least with which none of its numbers is beyond the format.\n"
            f"* `{CLAMPED}`: with the scale of the MX specification, which clamps numbers between "
            "the format's largest and the next power of two.\n"
            f"* `{CONTRACTED}`: blocks of {BLOCK} numbers that a pass adds up, as a unit of dot "
            "products needs them: maps a second time, in blocks of pixels, for the weight gradient."
        ),
        (
            "## Error of results\n\nGeometric mean and largest over the layers, in per cent; "
            "*beyond*: a number left its format."
        ),
        table_block(
            ("step", "pass", "passes", *ways),
            [(*key, str(len(some)), *(_error(some, way) for way in ways)) for key, some in steps],
        ),
        "## Nonzeros that rounding makes zeros",
        table_block(
            ("step", "pass", *ways),
            [(*key, *(_zeroed(some, way) for way in ways)) for key, some in steps],
        ),
        (
            "## Bits of an accumulator in which no product loses any\n\nThe widest over the "
            "passes, with the top of `gscn.window.pass_top`; the array has 48. In 48 bits the sums "
            f"of `{BLOCKS}` are wrong by at most "
            f"{max(row['windows']['48'] for row in windows):.1e} of the results' RMS, in 32 by at "
            f"most {max(row['windows']['32'] for row in windows):.1e} (digits)."
        ),
        table_block(
            ("step", "pass", *ways),
            [
                (*key, *(str(max(row["widths"][way] for row in some)) for way in ways))
                for key, some in steps
            ],
        ),
        (
            "## Bytes per number\n\nOf both operands of all passes as strips of 32 channels, "
            "zeros counted as numbers, tables left out. The scale of a block is a byte in front of "
            "the values of its first vector that has any."
        ),
        table_block(
            ("step", "nonzero", "bf16", "fp8", BLOCKS, "mx over fp8", "bf16 / mx"),
            [_byte_line(case, some) for case, some in _of(rows, "case").items()],
        ),
    ]


def make() -> dict[str, object]:
    """Train, record and measure all cases; return what the page shows."""
    rows = [row for case in CASES for row in compute(case, float_error.recorded_layers(case))]
    return {"blocks": report(rows)}


PAGE = Page(
    name="microscaling",
    make=make,
    render=lambda data: text_of(data["blocks"]),
    parts=("arithmetic", "formats", "training"),
)
