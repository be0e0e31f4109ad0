"""Cycles of the encode passes of whole training steps, kind by kind, and what bounds them.

`python -m benchmarks.encode_cycles` goes through the lists of the digits network (batch 32) and of
ResNet-20 (32x32, batch 8) with the cycle model of the encode unit. Strips keep a tenth.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from typing import NamedTuple

import numpy as np

from benchmarks.encode_step import digits, made, resnet20
from benchmarks.markdown import percent, table
from gscn.array import ArrayConfig, array
from gscn.cycles.encode.fields import has, record_fields, vectors_of
from gscn.cycles.encode.unit import ODD_ALL, Known, simulate_encode
from gscn.emulator.list_records import listed
from gscn.encode import (
    ENCODE_DESCRIPTOR,
    ENCODE_DESCRIPTOR_BYTES,
    ENCODE_MODE,
    TENSOR_FORMATS,
    TENSORS,
)
from gscn.formats import FLOAT32
from gscn.lowering.step.lists import Listing
from gscn.perf.estimate.step_costs import step_records
from gscn.port import ALIGNMENT_BYTES

KEPT = 0.1
WIDE = TENSOR_FORMATS.index(FLOAT32)
DIGITS = 3
"""Turns of a float32 value."""
MODE = int(ENCODE_DESCRIPTOR.dtype.fields["mode"][1])
NETWORKS = {
    "digits, batch 32": (digits, (32, 1, 8, 8)),
    "ResNet-20, 32x32, batch 8": (lambda: resnet20(32), (8, 3, 32, 32)),
}


class Kind(NamedTuple):
    """What passes of a kind come to, all together."""

    passes: int
    vectors: int
    turns: int
    """Cycles of the lanes."""
    lines: int
    """Cycles of the port: lines that are read, or written, whichever are more."""
    bound: int
    """Pass by pass, the larger of both."""
    cycles: int
    around: int
    """Of these, what a pass of one vector takes."""


def turns(f: dict[str, int], odd: int) -> int:
    """Return the turns of lanes that a vector takes; `odd` as in `Known`."""
    wide = [f[f"t{n}_format"] == WIDE for n in range(TENSORS)]
    third = f["t2_format"] != 0 and (f["product"] == 1 or odd >> 2 & 1)
    digits = [wide[0] and odd & 1, wide[1] and not f["product"] and odd >> 1 & 1, wide[2] and third]
    combined = (DIGITS if any(digits) else 1) * (2 if third else 1)
    second = 0
    if has(f, "second"):
        second = DIGITS if f["out_format"] == WIDE else 1
    dot = 0
    if f["dot"] and has(f, "sums"):
        dot = DIGITS if wide[f["dot"] - 1] else 1
    # A product is added beside a combination that leaves a multiplier.
    leaves = f["t1_format"] == 0 or f["product"]
    if dot == combined == 1 and leaves and not second:
        dot = 0
    return combined + second + dot


def alone(f: dict[str, int]) -> dict[str, int]:
    """Return the same pass of one vector."""
    once = {f"count{n}": 1 for n in range(8)}
    runs = dict.fromkeys(("segment", "period", "a_positions", "b_positions"), 1)
    return f | once | runs | {"vectors": 0}


def records(memory: np.ndarray, listing: Listing) -> list[tuple[str, dict[str, int]]]:
    """Return names and fields of the encode passes of a list."""
    names = {addr: name for name, addr in listing.records.items()}
    found = []
    for one in listed(memory, listing.addr, listing.end):
        if one.size == ENCODE_DESCRIPTOR_BYTES and memory[one.addr + MODE] == ENCODE_MODE:
            content = memory[one.addr : one.addr + ENCODE_DESCRIPTOR_BYTES]
            found.append((names[one.addr], record_fields(content)))
    return found


def costs(f: dict[str, int], config: ArrayConfig, odd: int = ODD_ALL) -> Kind:
    """Return what a pass comes to; `odd` as in `Known`."""
    kept = {"kept_a": KEPT, "kept_b": KEPT, "known": Known(odd=odd)}
    cost = simulate_encode(f, config, **kept).cost
    around = simulate_encode(alone(f), config, **kept).cost
    lines = max(cost.read_bytes, cost.write_bytes) // ALIGNMENT_BYTES
    vectors = vectors_of(f)
    taken = vectors * turns(f, odd)
    return Kind(1, vectors, taken, lines, max(taken, lines), cost.cycles, around.cycles)


def kinds(name: str) -> dict[str, Kind]:
    """Return what the passes of a network's step come to, by their kinds."""
    layers, size = NETWORKS[name]
    config = array("large").with_overrides(["float_formats=bf16"])
    step, memory, listing = made(layers(), size)
    odd = {one.name: one.odd for one in step_records(step, config)}
    found: dict[str, list[Kind]] = defaultdict(list)
    for operation, f in records(memory, listing):
        found[operation.split(".")[0]].append(costs(f, config, odd[operation]))
    return {kind: Kind(*np.sum(each, axis=0).tolist()) for kind, each in found.items()}


def _row(kind: str, one: Kind) -> list[str]:
    streaming = one.cycles - one.around
    return [
        kind, str(one.passes), f"{one.vectors:,}", f"{one.turns / one.vectors:.1f}",
        f"{one.lines / one.vectors:.2f}", f"{one.bound:,}", f"{one.cycles:,}", f"{one.around:,}",
        f"{streaming / one.bound:.2f}",
    ]  # fmt: skip


def text() -> str:
    """Return a table for each network."""
    parts = []
    for name in NETWORKS:
        found = kinds(name)
        whole = Kind(*np.sum(list(found.values()), axis=0).tolist())
        rows = [_row(kind, one) for kind, one in found.items()]
        header = [
            name, "passes", "vectors", "turns a vector", "lines a vector", "bound", "cycles",
            "around them", "the rest, of the bound",
        ]  # fmt: skip
        share = percent(whole.around / whole.cycles)
        parts.append(table(header, [*rows, _row("all", whole)]))
        parts.append(f"Records, states and latencies: {share} of the cycles.")
    return "\n\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(text() + "\n")
