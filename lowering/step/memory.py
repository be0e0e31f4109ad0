"""Where everything of a training step lies in memory."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gscn.encode import CHANNEL_ROW, CHANNEL_SUMS, ENCODE_STATE
from gscn.lowering.step.walks import DenseTensor
from gscn.passes import VECTOR
from gscn.port import ALIGNMENT_BYTES
from gscn.step import Blocks, Part, Rows, State, Tensor

ROW_BYTES = CHANNEL_ROW.width // 8
STATE_BYTES = ENCODE_STATE.width // 8
SUMS_BYTES = CHANNEL_SUMS.width // 8
MOST_LANES = 256


class DensePlace(NamedTuple):
    """A dense tensor in memory."""

    addr: int
    end: int
    dense: DenseTensor
    turned: bool = False
    """Taps of weights lie from the last to the first."""
    by_output: bool = False
    """Of weights: lanes are output channels; otherwise input channels."""

    def of(self, part: Part | None) -> DensePlace:
        """Return the place of a part of the channels; None: of all."""
        if part is None:
            return self
        dense = self.dense._replace(channels=self.dense.channels // part.count)
        start = self.addr + part.number * dense.bytes
        return self._replace(addr=start, end=start + dense.bytes, dense=dense)


class StripsPlace(NamedTuple):
    """Strips in memory."""

    data: int
    end: int
    table: int
    groups: int
    positions: int
    """Of a group."""
    period: int
    strip: int
    """Positions of a strip."""
    lanes: int


class Memory:
    """Memory that grows as places are given."""

    def __init__(self) -> None:
        self.end = 0
        self.dense: dict[str, DensePlace] = {}
        self.strips: dict[str, StripsPlace] = {}
        self.rows: dict[str, tuple[int, int]] = {}
        """First byte, and channels."""
        self.states: dict[str, int] = {}
        self.parts: dict[str, tuple[int, int]] = {}
        """Bits and sums: first byte, and one past the last."""
        self.blocks: dict[str, Blocks] = {}
        """What bits are that are there from the start."""

    def place(self, size: int) -> int:
        """Return where so many bytes lie."""
        start = self.end
        self.end += size + -size % ALIGNMENT_BYTES
        return start

    def tensor(self, name: str, tensor: Tensor) -> None:
        """Give a dense tensor its place."""
        self.raw(name, dense_of(tensor), by_output=tensor.weights and tensor.by_output)

    def raw(
        self, name: str, dense: DenseTensor, *, turned: bool = False, by_output: bool = False
    ) -> DensePlace:
        """Give a tensor of this layout its place."""
        start = self.place(dense.bytes)
        self.dense[name] = DensePlace(start, start + dense.bytes, dense, turned, by_output)
        return self.dense[name]

    def table(self, name: str, rows: Rows) -> None:
        """Give rows of coefficients their place."""
        room = -(-rows.channels // MOST_LANES) * MOST_LANES
        self.rows[name] = (self.place(room * ROW_BYTES), rows.channels)

    def state(self, name: str) -> None:
        """Give a state its place."""
        self.states[name] = self.place(STATE_BYTES)

    def part(self, name: str, size: int) -> tuple[int, int]:
        """Give bits or sums their place."""
        start = self.place(size)
        self.parts[name] = (start, start + size)
        return self.parts[name]

    def known_bits(self, name: str, blocks: Blocks) -> None:
        """Give bits that are there from the start their place."""
        self.blocks[name] = blocks
        self.part(name, bits_content(blocks).size)

    def operand(self, name: str, walk: dict[str, int], strip: int) -> StripsPlace:
        """Give the strips of a walk their place: enough for a tensor without zeros."""
        groups = walk["count5"] * walk["count6"] * walk["count7"]
        positions = int(np.prod([walk[f"count{n}"] for n in range(5)]))
        lanes = VECTOR << walk["vectors"]
        strips = positions // walk["period"] * -(-walk["period"] // strip)
        vectors = positions * lanes // VECTOR
        most = 2 * groups * (vectors * (VECTOR + 1) + vectors // VECTOR + 2 * strips)
        data = self.place(most)
        table = self.place(4 * groups * (strips + 1))
        self.strips[name] = StripsPlace(
            data, data + most, table, groups, positions, walk["period"], strip, lanes
        )
        return self.strips[name]


def dense_of(tensor: Tensor) -> DenseTensor:
    """Return a dense tensor as it lies in memory."""
    first, second, rows, cols = tensor.shape
    by_output = tensor.weights and tensor.by_output
    channels, outer = (first, second) if by_output else (second, first)
    width = 4 if tensor.wide else 2
    return DenseTensor(outer, rows, cols, channels, VECTOR, width, tensor.apart)


def row_content(rows: Rows) -> np.ndarray:
    """Return the bytes of rows as they are at first."""
    content = np.zeros(rows.channels, dtype=CHANNEL_ROW.dtype)
    for name, value in rows.values.items():
        content[name] = np.float32(value).view(np.uint32)
    return content.view(np.uint8)


def bits_content(blocks: Blocks) -> np.ndarray:
    """Return the bytes of bits that say which weights are in blocks, in the order of a walk."""
    there = blocks.there()
    filled = np.pad(there, ((0, -len(there) % VECTOR), *[(0, 0)] * 3))
    vectors = filled.reshape(-1, VECTOR, *there.shape[1:]).transpose(0, 2, 3, 4, 1)
    return np.packbits(vectors.reshape(-1), bitorder="little")


def state_content(state: State) -> np.ndarray:
    """Return the bytes of a state as it is at first."""
    content = np.zeros(1, dtype=ENCODE_STATE.dtype)
    content["threshold_a"] = int(np.float32(state.threshold).view(np.uint32)) >> 16
    content["keep"], content["low"], content["high"] = state.keep, state.low, state.high
    content["step"] = state.step
    return content.view(np.uint8)
