"""The functional model: executes a memory image exactly as the hardware must, without time.

It sees bytes only: descriptors, load blocks and streams, in the layouts of `gscn.records`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gscn.compiled import compiled
from gscn.config import ALIGNMENT_BYTES, AcceleratorConfig
from gscn.errors import InputError
from gscn.records import (
    A_ENTRY,
    DIRECTORY_WIDTHS,
    KIND_ADD,
    KIND_MAC,
    OUT_RAW,
    OUT_WIDTHS,
    QUEUE_ENTRY,
    SEGMENT_DESCRIPTOR,
    TAP,
    TILE_HEADER,
    directory_chunks,
    segment_descriptors,
    unpack_directory,
)
from lowering.program import Program
from lowering.streams import ITEM_BYTES, expand

CHUNK_BYTES = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class FunctionalResult:
    """Memory after a launch, the sticky flags, and counts."""

    memory: np.ndarray
    """uint8."""
    saturated: bool
    accumulator_overflow: bool
    address_error: bool
    products: np.ndarray
    """int64 (jobs, pes): products of every job, in queue order, phase by phase."""
    lookups: int
    """Taps looked up, per PE and in all."""
    hits: int
    """Look-ups that found a fiber, over all PEs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodedTile:
    """One PE's part of a load block (int64 vectors)."""

    start: np.ndarray
    length: np.ndarray
    value: np.ndarray
    offset: np.ndarray


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodedLoad:
    """A load block: taps (int64 vectors) and the tile of each PE."""

    key_delta: np.ndarray
    offset_delta: np.ndarray
    last: np.ndarray
    tiles: tuple[DecodedTile, ...]


@compiled
def _pe_products(
    key_delta: np.ndarray,
    offset_delta: np.ndarray,
    last: np.ndarray,
    start: np.ndarray,
    length: np.ndarray,
    a_value: np.ndarray,
    a_offset: np.ndarray,
    words: np.ndarray,
    acc_depth: int,
    acc_width: int,
    accumulators: np.ndarray,
    trace: np.ndarray,
) -> tuple[int, int, int, bool, bool]:
    """Stream words past one PE; return products, look-ups, hits, overflow, address error.

    `words` is int64 (count, 4): value, offset, key, tap_start. If `trace` is not empty, its rows
    are filled with (address, product).
    """
    products, lookups, hits = 0, 0, 0
    overflow, outside = False, False
    half = 1 << (acc_width - 1)
    for i in range(words.shape[0]):
        value, offset, key, tap = words[i, 0], words[i, 1], words[i, 2], words[i, 3]
        while True:
            target = key + key_delta[tap]
            lookups += 1
            if 0 <= target < start.size and length[target] > 0:
                hits += 1
                base = offset + offset_delta[tap]
                for entry in range(start[target], start[target] + length[target]):
                    index = base + a_offset[entry]
                    product = value * a_value[entry]
                    if trace.shape[0] > 0:
                        trace[products, 0] = index
                        trace[products, 1] = product
                    products += 1
                    if 0 <= index < acc_depth:
                        total = accumulators[index] + product
                        wrapped = ((total + half) & (2 * half - 1)) - half
                        overflow |= wrapped != total
                        accumulators[index] = wrapped
                    else:
                        outside = True
            if last[tap]:
                break
            tap += 1
    return products, lookups, hits, overflow, outside


@compiled
def _add_partials(accumulators: np.ndarray, partials: np.ndarray, acc_width: int) -> bool:
    """Add record i to accumulator i // pes of PE i % pes; return whether a sum overflowed."""
    pes = accumulators.shape[0]
    half = 1 << (acc_width - 1)
    overflow = False
    for i in range(partials.size):
        total = accumulators[i % pes, i // pes] + partials[i]
        wrapped = ((total + half) & (2 * half - 1)) - half
        overflow |= wrapped != total
        accumulators[i % pes, i // pes] = wrapped
    return overflow


@compiled
def _drain(
    accumulators: np.ndarray,
    pitch: int,
    guard_cols: int,
    rows: int,
    guard_rows: int,
    planes: int,
    walk_count: int,
    shift: int,
    width: int,
) -> tuple[np.ndarray, bool]:
    """Read and clear; return the results in order of writing, and whether one was saturated."""
    pes = accumulators.shape[0]
    cells = planes * max(rows - guard_rows, 0) * max(pitch - guard_cols, 0)
    results = np.empty(cells * pes, dtype=np.int64)
    high = (1 << (width - 1)) - 1
    used, saturated = 0, False
    row = col = plane = 0
    for cell in range(walk_count):
        if col >= guard_cols and row >= guard_rows and plane < planes:
            for pe in range(pes):
                value = accumulators[pe, cell]
                if shift > 0:
                    floor = value >> shift
                    rest = value - (floor << shift)
                    middle = 1 << (shift - 1)
                    value = floor + (rest > middle or (rest == middle and floor & 1 == 1))
                if width < 64:
                    if value > high:
                        value, saturated = high, True
                    elif value < -high - 1:
                        value, saturated = -high - 1, True
                results[used] = value
                used += 1
        for pe in range(pes):
            accumulators[pe, cell] = 0
        col += 1
        if col == pitch:
            col = 0
            row += 1
            if row == rows:
                row = 0
                plane += 1
    return results, saturated


def decode_load(block: np.ndarray, tap_count: int, config: AcceleratorConfig) -> DecodedLoad:
    """Decode a load block.

    Parameters
    ----------
    block
        uint8, a whole number of chunks.
    tap_count
        Taps at its head.
    config
        Sizes, against which every count is checked.

    Raises
    ------
    InputError
        A count, fiber or tap list breaks a limit of the contract.
    """
    _require("load block size", block.size % CHUNK_BYTES == 0, "a multiple of 8", block.size)
    _require(
        "tap_count", 1 <= tap_count <= config.taps_depth, f"1 to {config.taps_depth}", tap_count
    )
    _require("load block size", block.size >= 8 * tap_count, "at least its taps", block.size)
    taps = TAP.unpack(block[: 8 * tap_count])
    _require("last tap's flag", taps["last"][-1] == 1, "1", taps["last"][-1])
    cursor = CHUNK_BYTES * tap_count
    tiles = []
    for _ in range(config.pes_per_cluster):
        _require("load block size", cursor + 8 <= block.size, "at least its tiles", block.size)
        header = TILE_HEADER.unpack(block[cursor : cursor + 8])[0]
        keys, entries = int(header["directory_count"]), int(header["a_count"])
        limit = config.directory_depth
        _require("directory_count", keys <= limit, f"at most {limit}", keys)
        _require("a_count", entries <= config.a_depth, f"at most {config.a_depth}", entries)
        cursor += CHUNK_BYTES
        form = int(header["directory_format"])
        _require("directory_format", form in DIRECTORY_WIDTHS, "0 or 1", form)
        middle = cursor + CHUNK_BYTES * directory_chunks(keys, form)
        end = middle + CHUNK_BYTES * -(-entries // 2)
        _require("load block size", end <= block.size, "at least its tiles", block.size)
        start, length = unpack_directory(block[cursor:middle], header)
        held = A_ENTRY.unpack(block[middle:end])[:entries]
        longest = int((start + length).max(initial=0))
        _require("fiber's end", longest <= entries, f"at most a_count = {entries}", longest)
        tiles.append(
            DecodedTile(
                start=start,
                length=length,
                value=held["value"].astype(np.int64),
                offset=held["offset"].astype(np.int64),
            )
        )
        cursor = end
    _require("load block size", cursor == block.size, f"{cursor}, as its counts say", block.size)
    return DecodedLoad(
        key_delta=taps["key_delta"].astype(np.int64),
        offset_delta=taps["offset_delta"].astype(np.int64),
        last=taps["last"] != 0,
        tiles=tuple(tiles),
    )


def decode_stream(stream: np.ndarray, offset_bits: int, tap_count: int) -> np.ndarray:
    """Decode the items (uint8, no padding) to the words, int64 (count, 4).

    Returns value, offset, key, tap_start of each word.

    Raises
    ------
    InputError
        As `lowering.streams.expand`, or a word starts beyond the taps.
    """
    words = expand(stream, offset_bits)
    words = words[words[:, 3] >= 0]
    most = int(words[:, 3].max(initial=0))
    _require("tap_start", most < tap_count, f"below tap_count = {tap_count}", most)
    return words


def run_pe(
    load_block: np.ndarray,
    tap_count: int,
    stream: np.ndarray,
    offset_bits: int,
    pe: int,
    config: AcceleratorConfig,
) -> np.ndarray:
    """List the products of one PE in one segment.

    Parameters
    ----------
    load_block
        uint8.
    tap_count
        Taps at the head of the load block.
    stream
        uint8, the streamed items, without padding.
    offset_bits
        Low bits of an item's code that hold the offset.
    pe
        Number of the PE in its cluster.
    config
        Sizes.

    Returns
    -------
    numpy.ndarray
        int64 (products, 2): accumulator index and product, in the hardware's order; an index may
        lie outside the accumulators.

    Raises
    ------
    InputError
        The bytes break a limit of the contract.
    """
    load = decode_load(load_block, tap_count, config)
    words = decode_stream(stream, offset_bits, tap_count)
    count = _run(load, words, pe, config, np.zeros(config.acc_depth, np.int64), _NO_TRACE)[0]
    trace = np.zeros((count, 2), dtype=np.int64)
    if count:
        _run(load, words, pe, config, np.zeros(config.acc_depth, np.int64), trace)
    return trace


_NO_TRACE = np.zeros((0, 2), dtype=np.int64)


def _run(
    load: DecodedLoad,
    words: np.ndarray,
    pe: int,
    config: AcceleratorConfig,
    accumulators: np.ndarray,
    trace: np.ndarray,
) -> tuple[int, int, int, bool, bool]:
    tile = load.tiles[pe]
    return _pe_products(
        load.key_delta,
        load.offset_delta,
        load.last,
        tile.start,
        tile.length,
        tile.value,
        tile.offset,
        words,
        config.acc_depth,
        config.acc_width,
        accumulators,
        trace,
    )


def _require(name: str, holds: bool, requirement: str, value: object) -> None:
    if not holds:
        raise InputError(f"{name} must be {requirement}, not {value}")


class _Machine:
    """Memory, accumulators and flags during a launch."""

    def __init__(self, program: Program) -> None:
        self.config = program.config
        self.memory = program.initial_memory()
        self.writable = sorted(r for r in program.output_ranges if r[1] > r[0])
        self.starts = [begin for begin, _ in self.writable]
        shape = (self.config.pes_per_cluster, self.config.acc_depth)
        self.accumulators = np.zeros(shape, dtype=np.int64)
        self.saturated = self.overflow = self.address_error = False
        self.lookups = self.hits = 0
        self.blocks: dict[int, tuple[int, int]] = {}
        """Chunks and taps of each load block of this phase, by address."""
        self.written: list[tuple[int, int]] = []
        """Bytes written in this phase."""

    def bytes_at(self, name: str, addr: int, size: int) -> np.ndarray:
        """View memory after checking alignment and bounds."""
        _require(name, addr % ALIGNMENT_BYTES == 0, f"a multiple of {ALIGNMENT_BYTES}", addr)
        limit = self.memory.size
        _require(f"end of {name}", addr + size <= limit, f"at most {limit}", addr + size)
        return self.memory[addr : addr + size]

    def run_job(self, entry: np.void) -> np.ndarray:
        """Execute one queue entry; return products per PE."""
        job = entry["job"]
        count = int(job["segment_count"])
        _require("segment_count", count >= 1, "at least 1", count)
        size = SEGMENT_DESCRIPTOR.width // 8
        self.bytes_at("segment_addr", int(job["segment_addr"]), size * (count - 1))
        products = np.zeros(self.config.pes_per_cluster, dtype=np.int64)
        for segment in segment_descriptors(self.memory, entry):
            products += self.run_segment(segment)
        self.drain(job)
        return products

    def run_segment(self, segment: np.void) -> np.ndarray:
        """Execute one segment descriptor; return products per PE."""
        config = self.config
        kind, count = int(segment["kind"]), int(segment["stream_count"])
        record = CHUNK_BYTES if kind == KIND_ADD else ITEM_BYTES
        stream = self.bytes_at("stream_addr", int(segment["stream_addr"]), record * count)
        chunks, taps = int(segment["load_chunks"]), int(segment["tap_count"])
        products = np.zeros(config.pes_per_cluster, dtype=np.int64)
        if kind == KIND_ADD:
            _require("load_chunks of an ADD segment", chunks == 0, "0", chunks)
            most = config.pes_per_cluster * config.acc_depth
            _require("stream_count of an ADD segment", count <= most, f"at most {most}", count)
            partials = np.ascontiguousarray(stream).view("<i8")
            self.overflow |= _add_partials(self.accumulators, partials, config.acc_width)
            return products
        _require("segment kind", kind == KIND_MAC, "0 or 1", kind)
        addr = int(segment["load_addr"])
        block = self.bytes_at("load_addr", addr, CHUNK_BYTES * chunks)
        known = self.blocks.setdefault(addr, (chunks, taps))
        _require(
            f"chunks and taps of the block at {addr}",
            known == (chunks, taps),
            f"{known}",
            (chunks, taps),
        )
        load = decode_load(block, taps, config)
        words = decode_stream(stream, int(segment["offset_bits"]), taps)
        for pe in range(config.pes_per_cluster):
            made, lookups, hits, overflow, outside = _run(
                load, words, pe, config, self.accumulators[pe], _NO_TRACE
            )
            products[pe] = made
            self.hits += hits
            self.overflow |= overflow
            self.address_error |= outside
        self.lookups += lookups
        return products

    def drain(self, job: np.void) -> None:
        """Drain the accumulators as the job's descriptor says."""
        field = {name: int(job[name]) for name in job.dtype.names}
        code, walk = field["out_format"], field["walk_count"]
        _require("out_format", code in OUT_WIDTHS, "0, 1 or 2", code)
        _require(
            "shift", field["shift"] <= (0 if code == OUT_RAW else 47), "in range", field["shift"]
        )
        cells = field["planes"] * field["plane_rows"] * field["pitch"]
        depth = self.config.acc_depth
        _require("walk_count", cells <= walk <= depth, f"{cells} to {depth}", walk)
        for guard, whole in (("guard_cols", "pitch"), ("guard_rows", "plane_rows")):
            limit = field[whole]
            _require(guard, field[guard] < limit, f"below {whole} = {limit}", field[guard])
        results, saturated = _drain(
            self.accumulators,
            field["pitch"],
            field["guard_cols"],
            field["plane_rows"],
            field["guard_rows"],
            field["planes"],
            walk,
            field["shift"],
            OUT_WIDTHS[code],
        )
        self.saturated |= saturated
        _require("accumulators beyond walk_count", not self.accumulators.any(), "untouched", "set")
        data = results.astype(f"<i{OUT_WIDTHS[code] // 8}").view(np.uint8)
        target = self.bytes_at("out_addr", field["out_addr"], data.size)
        position = np.searchsorted(self.starts, field["out_addr"], side="right") - 1
        begin, end = self.writable[position] if position >= 0 else (0, 0)
        inside = begin <= field["out_addr"] and field["out_addr"] + data.size <= end
        inside = inside or data.size == 0
        _require("results", inside, "inside one output range", f"at {field['out_addr']}")
        target[:] = data
        self.written.append((field["out_addr"], field["out_addr"] + data.size))

    def end_phase(self) -> None:
        """Check that the phase left its load blocks alone: a bank may have held any of them."""
        written = sorted(r for r in self.written if r[1] > r[0])
        starts = [begin for begin, _ in written]
        for addr, (chunks, _) in self.blocks.items():
            position = np.searchsorted(starts, addr + CHUNK_BYTES * chunks, side="left") - 1
            changed = position >= 0 and written[position][1] > addr
            _require(f"load block at {addr}", not changed, "unchanged in its phase", "written")
        self.blocks.clear()
        self.written.clear()


def execute(program: Program) -> FunctionalResult:
    """Execute a program's memory image.

    Jobs run in queue order; since they are independent, any other order gives the same memory.

    Raises
    ------
    InputError
        The image breaks a limit of the contract.
    """
    machine = _Machine(program)
    size = QUEUE_ENTRY.itemsize
    products = []
    for phase in program.phases:
        queue = machine.bytes_at("queue_addr", phase.queue_addr, size * phase.job_count)
        products += [machine.run_job(entry) for entry in queue.view(QUEUE_ENTRY)]
        machine.end_phase()
    return FunctionalResult(
        memory=machine.memory,
        saturated=bool(machine.saturated),
        accumulator_overflow=bool(machine.overflow),
        address_error=bool(machine.address_error),
        products=np.stack(products),
        lookups=machine.lookups,
        hits=machine.hits,
    )
