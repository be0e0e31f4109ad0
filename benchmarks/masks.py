"""Nonzeros of the operands of a recorded step, a bit each: enough for cycles, bytes and bounds.

A step of a ResNet-18 at batch 32 has 635 MB of operands and results, and 12 MB of these bits. The
cycle model sees where nonzeros are, and nothing of their values.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gscn.conv import ConvShape, Pass
from gscn.cosim.layer import PassInput
from gscn.golden.traces.trace import Trace

LAYERS = "layers.json"
"""File of a folder of masks: the shape of each layer."""
PARTS = ("first", "second")


def path_of(folder: Path, iteration: int) -> Path:
    """Return the file of an iteration's masks."""
    return folder / f"masks-{iteration}.npz"


def keep(folder: Path, trace: Trace) -> None:
    """Write the masks of a traced step, and the shapes of its layers."""
    packed = {}
    for name, entry in trace.entries.items():
        for which in entry.densities:
            for part in PARTS:
                bits = [chunk != 0 for _, chunk in trace.chunks(name, which, part)]
                packed[f"{name}|{which}|{part}"] = np.packbits(np.concatenate(bits))
    shapes = {name: dataclasses.asdict(entry.shape) for name, entry in trace.entries.items()}
    (folder / LAYERS).write_text(json.dumps(shapes) + "\n", encoding="utf-8")
    path = path_of(folder, trace.step)
    temporary = path.with_suffix(".part.npz")
    np.savez(temporary, **packed)
    temporary.rename(path)


def shapes_of(folder: Path) -> dict[str, ConvShape]:
    """Return the shape of each layer, in the network's order."""
    found = json.loads((folder / LAYERS).read_text(encoding="utf-8"))
    return {name: ConvShape(**dict(map(_field, one.items()))) for name, one in found.items()}


def _field(item: tuple[str, Any]) -> tuple[str, Any]:
    name, value = item
    return name, tuple(value) if isinstance(value, list) else value


def passes_of(folder: Path, iteration: int) -> list[tuple[str, Pass]]:
    """Return layer and pass of all that an iteration computed, in the network's order."""
    with np.load(path_of(folder, iteration)) as stored:
        keys = [key.split("|") for key in stored.files]
    order = {name: index for index, name in enumerate(shapes_of(folder))}
    found = dict.fromkeys((key[0], Pass(key[1])) for key in keys)
    return sorted(found, key=lambda one: (order[one[0]], list(Pass).index(one[1])))


def read(folder: Path, iteration: int, layer: str, which: Pass) -> PassInput:
    """Return a pass on its masks: operands are 1 where the recorded ones are not 0."""
    shape = shapes_of(folder)[layer]
    with np.load(path_of(folder, iteration)) as stored:
        operands = {
            part: _unpacked(stored, f"{layer}|{which}|{part}", size)
            for part, size in zip(PARTS, shape.operand_shapes(which), strict=True)
        }
    return PassInput(layer=layer, shape=shape, which=which, **operands)


def read_all(folder: Path, iteration: int) -> Iterator[PassInput]:
    """Yield the masks of every pass of an iteration, in the network's order."""
    for layer, which in passes_of(folder, iteration):
        yield read(folder, iteration, layer, which)


def _unpacked(stored: Mapping[str, np.ndarray], key: str, size: tuple[int, ...]) -> np.ndarray:
    bits = np.unpackbits(stored[key], count=int(np.prod(size)))
    return bits.reshape(size).astype(np.int16)
