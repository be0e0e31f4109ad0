"""Random jobs that obey the contract of execution, with their results worked out in Python."""

from __future__ import annotations

import random
from typing import NamedTuple

import numpy as np

from gscn.config import ALIGNMENT_BYTES
from gscn.formats import NUMBER_FORMATS
from gscn.records import (
    A_ENTRY,
    DIRECTORY_ENTRY,
    JOB_DESCRIPTOR,
    KIND_ADD,
    KIND_MAC,
    OUT_RAW,
    OUT_WIDTHS,
    PARTIAL,
    QUEUE_ENTRY,
    SEGMENT_DESCRIPTOR,
    TAP,
    TILE_HEADER,
)
from tests import floats, stream_items

WORD = np.dtype([("value", "<i2"), ("offset", "<i2"), ("key", "<i2"), ("tap_start", "u1")])
"""A streamed word before it is packed as an item."""


class Memory:
    """A growing memory image with aligned blocks."""

    def __init__(self):
        self.bytes = bytearray()

    def place(self, *records):
        """Append records as one aligned block; return its address."""
        self.bytes += bytes(-len(self.bytes) % ALIGNMENT_BYTES)
        address = len(self.bytes)
        for record in records:
            self.bytes += record.tobytes()
            self.bytes += bytes(-len(self.bytes) % 8)
        return address


def pack_fibers(first, length, directory_format):
    """Return directory entries: of 32 bits; of 16, the start in the lowest 10; or 8-bit lengths."""
    if directory_format == 2:
        return length.astype("<u1")
    if directory_format == 1:
        return (first + 1024 * length).astype("<u2")
    return DIRECTORY_ENTRY.pack(len(first), start=first, length=length)


def round_half_even(value, shift):
    """Return value / 2**shift rounded to nearest, ties to even."""
    return round(value / 2**shift) if abs(value) < 2**52 else _round_large(value, shift)


def _round_large(value, shift):
    quotient, remainder = divmod(value, 1 << shift)
    return quotient + (2 * remainder > 1 << shift or (2 * remainder == 1 << shift and quotient & 1))


class Stream(NamedTuple):
    """Items in memory, and the words that they hold."""

    addr: int
    item_count: int
    offset_bits: int
    words: np.ndarray


class Block(NamedTuple):
    """A load block that fits jobs of at least `walk_count` accumulators."""

    addr: int
    chunks: int
    walk_count: int
    third: int
    """Bound of the offsets of words, less `bias`."""
    bias: int
    taps: np.ndarray
    tiles: list
    """Per PE: fibers as (start, length), and entries."""
    streams: list[Stream]
    """Placed for segments with this block."""


class Sums(list):
    """The accumulators of a PE in one job."""

    def __init__(self, count, mode):
        super().__init__([0] * count)
        self.mode = mode
        """A `floats.Mode`, or None for integers."""
        self.specials = [0] * count


class Builder:
    """Makes one random launch; with float formats, of jobs in any of them and in integers."""

    def __init__(self, config, rng):
        self.config = config
        self.rng = rng
        # draws of its own: a launch is the same but for its time
        self.sharers_rng = np.random.default_rng(rng.bit_generator.seed_seq.spawn(1)[0])
        self.usual_sharers = int(self.sharers_rng.integers(5))
        self.memory = Memory()
        self.blocks = []
        self.products = 0
        self.saturated = False
        self.overflowed = False
        self.nonfinite = False

    def below(self, limit):
        return int(self.rng.integers(limit))

    def values(self, count):
        limit = 1 << (self.config.value_width - 1)
        return self.rng.integers(-limit, limit, count)

    def accumulate(self, accumulator, index, value):
        """Add with the accumulator's width: a sum beyond it wraps and is flagged."""
        limit = 1 << (self.config.acc_width - 1)
        total = accumulator[index] + value
        self.overflowed |= not -limit <= total < limit
        accumulator[index] = (total + limit) % (2 * limit) - limit

    def new_block(self, walk_count):
        """Place a random load block, for jobs of at least so many accumulators."""
        config = self.config
        lists = [1 + self.below(3) for _ in range(1 + self.below(3))]
        tap_count = min(sum(lists), config.taps_depth)
        last = np.zeros(tap_count, dtype=int)
        last[[end - 1 for end in np.cumsum(lists) if end <= tap_count]] = 1
        last[-1] = 1
        third = max(walk_count // 3, 1)
        taps = TAP.pack(
            key_delta=self.rng.integers(-3, 4, tap_count),
            offset_delta=self.rng.integers(0, third, tap_count),
            last=last,
        )
        # Offsets are signed: what is taken from one is given to the other.
        bias = self.below(walk_count)
        pieces, tiles = [taps], []
        for _ in range(config.pes_per_cluster):
            keys = self.below(min(config.directory_depth, 24) + 1)
            entries = self.below(min(config.a_depth, 40) + 1)
            first = self.rng.integers(0, entries + 1, keys)
            length = np.minimum(self.rng.integers(0, 5, keys), entries - first)
            directory_format = self.below(3)
            if directory_format == 2:
                length = np.minimum(length, np.maximum(entries - (length.cumsum() - length), 0))
                first = length.cumsum() - length
            held = A_ENTRY.pack(
                entries,
                value=self.values(entries),
                offset=self.rng.integers(0, third, entries) - bias,
            )
            pieces += [
                TILE_HEADER.pack(
                    directory_count=keys, a_count=entries, directory_format=directory_format
                ),
                pack_fibers(first, length, directory_format),
                held,
            ]
            tiles.append((list(zip(first.tolist(), length.tolist(), strict=True)), held))
        addr = self.memory.place(*pieces)
        chunks = (len(self.memory.bytes) - addr) // 8
        return Block(addr, chunks, walk_count, third, bias, taps, tiles, [])

    def new_stream(self, block):
        """Place random words for a block."""
        starts = [0, *(np.flatnonzero(block.taps["last"][:-1]) + 1)]
        count = self.below(60)
        stream = np.zeros(count, dtype=WORD)
        values = self.values(count)
        stream["value"] = np.where(values == 0, 1, values)
        stream["offset"] = self.rng.integers(0, block.third, count) + block.bias
        stream["key"] = self.rng.integers(-4, 30, count)
        stream["tap_start"] = self.rng.choice(starts, count)
        if self.below(2):
            # Long runs without a rebase as well as many rebases.
            stream = np.sort(stream, order="tap_start")
        offset_bits = self.below(17)
        items = stream_items.encode(
            stream.tolist(), offset_bits, random.Random(self.below(1 << 30))
        )
        addr = self.memory.place(np.array(stream_items.chunks(items), dtype="<u8"))
        return Stream(addr, len(items), offset_bits, stream)

    def stream_wait(self):
        """Draw how a stream waits to be shared: not at all, around the buffer's depth, any way."""
        most = (1, 2 * self.config.read_fifo_beats, 1 << 16)[self.below(3)]
        return self.below(most)

    def sharers(self):
        """Draw how many must offer a waiting burst: often the same, few, or any number."""
        most = (0, 2 * self.config.clusters + 2, 256)[self.sharers_rng.integers(3)]
        return int(self.sharers_rng.integers(most)) if most else self.usual_sharers

    def mac_segment(self, accumulators, walk_count):
        """Draw a block and a stream, often of those that are placed; add their products."""
        known = [block for block in self.blocks[-3:] if block.walk_count <= walk_count]
        if known and self.below(2):
            block = known[self.below(len(known))]
        else:
            block = self.new_block(walk_count)
            self.blocks.append(block)
        if block.streams and self.below(2):
            stream = block.streams[self.below(len(block.streams))]
        else:
            stream = self.new_stream(block)
            block.streams.append(stream)
        for accumulator, (fibers, held) in zip(accumulators, block.tiles, strict=True):
            self.multiply(accumulator, block.taps, fibers, held, stream.words)
        return SEGMENT_DESCRIPTOR.pack(
            load_addr=block.addr,
            stream_addr=stream.addr,
            load_chunks=block.chunks,
            tap_count=len(block.taps),
            load_lead=self.below(3) * self.below(60),
            kind=KIND_MAC,
            stream_wait=self.stream_wait(),
            load_sharers=self.sharers(),
            stream_sharers=self.sharers(),
            stream_count=stream.item_count,
            offset_bits=stream.offset_bits,
        )

    def multiply(self, accumulator, taps, fibers, entries, stream):
        for word in stream:
            tap = int(word["tap_start"])
            while True:
                key = int(word["key"]) + int(taps[tap]["key_delta"])
                if 0 <= key < len(fibers):
                    first, length = fibers[key]
                    for entry in entries[first : first + length]:
                        index = int(entry["offset"]) + int(word["offset"])
                        index += int(taps[tap]["offset_delta"])
                        self.multiply_add(
                            accumulator, index, int(entry["value"]), int(word["value"])
                        )
                        self.products += 1
                if taps[tap]["last"]:
                    break
                tap += 1

    def multiply_add(self, accumulator, index, *operands):
        if accumulator.mode is None:
            width = self.config.format.width  # whose bits count
            first, second = (floats.signed(operand % (1 << width), width) for operand in operands)
            self.accumulate(accumulator, index, first * second)
            return
        addend, special, beyond = floats.product(*operands, accumulator.mode, self.config.acc_width)
        self.overflowed |= beyond
        self.accumulate(accumulator, index, addend)
        accumulator.specials[index] |= special

    def mode(self):
        """Draw how a job calculates: a format, and a window that all products fit, or few."""
        number = self.below(1 + len(self.config.floats)) if self.config.floats else 0
        if number == 0:
            return None
        fmt = self.config.floats[number - 1]
        most = 2 * fmt.top_exponent + 8
        return floats.Mode(fmt, (most, self.below(most), 2 * fmt.bias)[self.below(3)])

    def add_segment(self, accumulators, walk_count):
        """Place random partial sums, add them, return the descriptor."""
        count = self.below(walk_count * len(accumulators) + 1)
        # Large enough that a second such segment may leave the accumulator's width.
        limit = 1 << (self.config.acc_width - 2)
        values = self.rng.integers(-limit, limit, count)
        if accumulators[0].mode is not None:
            # bits 62 and 63 are special bits, not the sign; few are set
            specials = self.rng.integers(0, 4, count) * (self.rng.random(count) < 0.05)
            values = (values & (1 << 62) - 1) | specials << 62
        for index, value in enumerate(values.tolist()):
            accumulator, place = accumulators[index % len(accumulators)], index // len(accumulators)
            if accumulator.mode is not None:
                accumulator.specials[place] |= value >> 62 & 3
                value = floats.signed(value % (1 << 62), 62)
            self.accumulate(accumulator, place, value)
        return SEGMENT_DESCRIPTOR.pack(
            stream_addr=self.memory.place(PARTIAL.pack(count, value=values)),
            stream_wait=self.stream_wait(),
            stream_sharers=self.sharers(),
            kind=KIND_ADD,
            stream_count=count,
        )

    def job(self):
        """Return a queue entry without output address, and its results."""
        config = self.config
        pitch, plane_rows, planes = 1 + self.below(7), 1 + self.below(5), 1 + self.below(4)
        cells = pitch * plane_rows * planes
        walk_count = min(cells + self.below(20), config.acc_depth)
        guard_cols, guard_rows = self.below(pitch), self.below(plane_rows)
        mode = self.mode()
        accumulators = [Sums(walk_count, mode) for _ in range(config.pes_per_cluster)]
        segments = [
            (self.add_segment if self.below(4) == 0 else self.mac_segment)(accumulators, walk_count)
            for _ in range(1 + self.below(5))
        ]
        out_format = self.below(3 if mode is None else 4)
        shift = 0 if mode is not None or out_format == OUT_RAW else self.below(30)
        results = []
        for cell in range(cells):
            row, column = divmod(cell, pitch)
            if column >= guard_cols and row % plane_rows >= guard_rows:
                results += [
                    self.rounded(accumulator, cell, out_format, shift)
                    for accumulator in accumulators
                ]
        others = segments[1:]
        descriptor = JOB_DESCRIPTOR.pack(
            segment_addr=self.memory.place(np.concatenate(others)) if others else 0,
            segment_count=len(segments),
            out_format=out_format,
            shift=shift,
            pitch=pitch,
            guard_cols=guard_cols,
            plane_rows=plane_rows,
            guard_rows=guard_rows,
            planes=planes,
            walk_count=walk_count,
            **self.number_fields(mode),
        )
        entry = np.zeros(1, dtype=QUEUE_ENTRY)
        entry["job"], entry["segment"] = descriptor, segments[0]
        return entry, results

    def number_fields(self, mode):
        if mode is None:
            return {}
        return {"number_format": NUMBER_FORMATS.index(mode.fmt), "window": mode.top}

    def rounded(self, accumulator, cell, out_format, shift):
        width, value = OUT_WIDTHS[out_format], accumulator[cell]
        if accumulator.mode is not None:
            special = accumulator.specials[cell]
            if out_format == OUT_RAW:
                return floats.signed(value % (1 << 62) + (special << 62), 64)
            code, saturated, nonfinite = floats.rounded(
                value,
                special,
                accumulator.mode,
                floats.result_format(accumulator.mode.fmt, out_format),
                self.config.acc_width,
            )
            self.saturated |= saturated
            self.nonfinite |= nonfinite
            return floats.signed(code, width)
        value = round_half_even(value, shift)
        limit = 1 << (width - 1)
        limited = min(max(value, -limit), limit - 1)
        self.saturated |= limited != value
        return limited
