"""Bytes of formats of compressed operands, by density, on recorded operands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.markdown import table
from gscn.conv import Pass
from gscn.cosim.layer import PassInput

BINS = (0.02, 0.05, 0.1, 0.2, 0.4, 1.0)
VALUE = 2
"""Bytes of a number."""
HALFWORD_BITS = 16


def two_masks(channels: int) -> Callable[[np.ndarray], float]:
    """Return bytes of channels under a mask, and 16 such vectors under a second one."""

    def size(tensor: np.ndarray) -> float:
        vectors = grouped(tensor.reshape(-1, tensor.shape[-1]), channels).any(2)
        masks = vectors.size / 8 + vectors.sum() * channels / 8
        return masks + VALUE * np.count_nonzero(tensor)

    return size


def one_mask(tensor: np.ndarray) -> float:
    """Return bytes of 16 channels under a mask."""
    vectors = grouped(tensor.reshape(-1, tensor.shape[-1]), HALFWORD_BITS)
    return VALUE * (vectors.shape[0] * vectors.shape[1] + np.count_nonzero(tensor))


def rows_masked(tensor: np.ndarray) -> float:
    """Return bytes of 16 positions of a row under two masks."""
    return two_masks(HALFWORD_BITS)(np.swapaxes(tensor, 2, 3))


def run_lengths(bits: int) -> Callable[[np.ndarray], float]:
    """Return bytes of numbers with run lengths of so many bits, zeros filling longer runs."""

    def size(tensor: np.ndarray) -> float:
        order = grouped(tensor.reshape(-1, tensor.shape[-1]), HALFWORD_BITS).swapaxes(0, 1)
        places = np.flatnonzero(order)
        gaps = np.diff(places, prepend=-1) - 1
        return (places.size + (gaps >> bits).sum()) * (VALUE + bits / 8)

    return size


FORMATS: dict[str, Callable[[np.ndarray], float]] = {
    "16 channels under a mask, 16 vectors under a second one": two_masks(16),
    "the same of 8 channels": two_masks(8),
    "the same of 32 channels": two_masks(32),
    "16 channels under one mask": one_mask,
    "16 positions of a row under two masks": rows_masked,
    "run lengths of 4 bits": run_lengths(4),
    "run lengths of 8 bits": run_lengths(8),
    "value and code, 4 bytes a nonzero": lambda tensor: 4.0 * np.count_nonzero(tensor),
    "dense": lambda tensor: float(VALUE * tensor.size),
}


def grouped(positions: np.ndarray, channels: int) -> np.ndarray:
    """Cut (positions, channels) into (positions, groups, channels), the last one filled up."""
    filled = np.pad(positions, ((0, 0), (0, -positions.shape[1] % channels)))
    return filled.reshape(len(positions), -1, channels)


def operands(one: PassInput) -> list[np.ndarray]:
    """Return the operands of a pass that no other pass has, channels last."""
    maps = one.second.transpose(0, 2, 3, 1)
    if one.which is Pass.FORWARD:
        return [one.first.transpose(1, 2, 3, 0), maps]
    if one.which is Pass.INPUT_GRAD:
        return [one.first.transpose(0, 2, 3, 1), maps]
    # its output gradients are those of the input gradient, its inputs are kept sparser
    return [maps]


def measure(one: PassInput) -> list[dict[str, Any]]:
    """Return bytes of the operands of a pass in every format."""
    rows = []
    for tensor in operands(one):
        nonzeros = int(np.count_nonzero(tensor))
        if not nonzeros:
            continue
        density = next(top for top in BINS if nonzeros <= top * tensor.size)
        for name, size in FORMATS.items():
            rows.append(
                {
                    "format": name,
                    "density": str(density),
                    "bytes": float(size(tensor)),
                    "nonzeros": nonzeros,
                }
            )
    return rows


def render(rows: Sequence[dict[str, Any]]) -> str:
    """Return the table."""
    tops = [str(top) for top in BINS if any(row["density"] == str(top) for row in rows)]
    lines = []
    for name in FORMATS:
        cells = []
        for some in (*([top] for top in tops), tops):
            own = [row for row in rows if row["format"] == name and row["density"] in some]
            bytes_, nonzeros = (sum(row[key] for row in own) for key in ("bytes", "nonzeros"))
            cells.append(f"{bytes_ / nonzeros:.2f}")
        lines.append((name, *cells))
    return table(("format", *(f"up to {100 * float(top):.0f} %" for top in tops), "all"), lines)
