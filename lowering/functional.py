"""The functional model: executes a memory image exactly as the hardware must, without time.

It sees bytes only: descriptors, load blocks and streams, in the layouts of `gscn.records`.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from gscn.compiled import compiled
from gscn.config import AcceleratorConfig
from gscn.error_codes import ERROR_MEANINGS, NO_JOB, ErrorCode
from gscn.errors import InputError
from gscn.records import (
    A_ENTRY,
    DIRECTORY_WIDTHS,
    KIND_ADD,
    OUT_WIDTHS,
    QUEUE_ENTRY,
    SEGMENT_DESCRIPTOR,
    TAP,
    TILE_HEADER,
    directory_chunks,
    segment_descriptors,
    unpack_directory,
)
from lowering.program import Phase, Program
from lowering.record_checks import stream_words, written_cells
from lowering.streams import ITEM_BYTES, expand
from lowering.validate import Malformed, check_phase

CHUNK_BYTES = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class FunctionalResult:
    """Memory after a launch, the sticky flags, and counts."""

    memory: np.ndarray
    """uint8."""
    saturated: bool
    accumulator_overflow: bool
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
        partial = ((partials[i] + half) & (2 * half - 1)) - half
        total = accumulators[i % pes, i // pes] + partial
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
    cells = written_cells(pitch, guard_cols, rows, guard_rows, planes, walk_count)
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
    _require("last tap's flag", taps["last"][-1] & 1 == 1, "odd", taps["last"][-1])
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
                value=_narrowed(held["value"], config),
                offset=held["offset"].astype(np.int64),
            )
        )
        cursor = end
    _require("load block size", cursor == block.size, f"{cursor}, as its counts say", block.size)
    return DecodedLoad(
        key_delta=taps["key_delta"].astype(np.int64),
        offset_delta=taps["offset_delta"].astype(np.int64),
        last=taps["last"] & 1 != 0,
        tiles=tuple(tiles),
    )


def _narrowed(values: np.ndarray, config: AcceleratorConfig) -> np.ndarray:
    """Return 16-bit operands as the multiplier takes them, sign-extended from their format."""
    half = 1 << (config.format.width - 1)
    return ((values.astype(np.int64) + half) & (2 * half - 1)) - half


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
        accumulators.size,
        config.acc_width,
        accumulators,
        trace,
    )


def _require(name: str, holds: bool, requirement: str, value: object) -> None:
    if not holds:
        raise InputError(f"{name} must be {requirement}, not {value}")


def _refuse(error: Malformed) -> None:
    job = "" if error.job == NO_JOB else f"job {error.job} of "
    raise InputError(
        f"{job}phase {error.phase} must be as docs/execution.md demands, but has error "
        f"{error.code.name}: {ERROR_MEANINGS[error.code]}"
    )


class _Machine:
    """Memory, accumulators and flags during a launch."""

    def __init__(self, program: Program) -> None:
        self.config = program.config
        self.memory = program.initial_memory()
        shape = (self.config.pes_per_cluster, self.config.acc_depth)
        self.accumulators = np.zeros(shape, dtype=np.int64)
        self.saturated = self.overflow = self.address_error = False
        self.lookups = self.hits = 0
        self.reads: list[tuple[int, int]] = []
        self.writes: list[tuple[int, int]] = []
        """Bytes read and written in this phase."""

    def bytes_at(self, addr: int, size: int) -> np.ndarray:
        """View memory that the phase reads; beyond its end there are zeros."""
        self.reads.append((addr, addr + size))
        known = self.memory[addr : addr + size]
        return known if known.size == size else np.pad(known, (0, size - known.size))

    def start_phase(self, number: int, phase: Phase) -> np.ndarray:
        """Check the phase; return its queue."""
        found = check_phase(self.config, self.memory, phase, number=number, products=False)
        _require(
            f"each load block of phase {number}",
            not found.disputed,
            "named with one load_chunks and one tap_count",
            "several",
        )
        if found.errors:
            _refuse(found.errors[0])
        queue = self.bytes_at(phase.queue_addr, QUEUE_ENTRY.itemsize * phase.job_count)
        return queue.view(QUEUE_ENTRY)

    def run_job(self, entry: np.void) -> np.ndarray:
        """Execute one queue entry; return products per PE."""
        job = entry["job"]
        size = SEGMENT_DESCRIPTOR.width // 8
        self.bytes_at(int(job["segment_addr"]), size * (int(job["segment_count"]) - 1))
        products = np.zeros(self.config.pes_per_cluster, dtype=np.int64)
        for segment in segment_descriptors(self.memory, entry):
            products += self.run_segment(segment, int(job["walk_count"]))
        self.drain(job)
        return products

    def run_segment(self, segment: np.void, walk_count: int) -> np.ndarray:
        """Execute one segment descriptor; return products per PE."""
        config = self.config
        kind, count = int(segment["kind"]), int(segment["stream_count"])
        record = CHUNK_BYTES if kind == KIND_ADD else ITEM_BYTES
        stream = self.bytes_at(int(segment["stream_addr"]), record * count)
        chunks, taps = int(segment["load_chunks"]), int(segment["tap_count"])
        products = np.zeros(config.pes_per_cluster, dtype=np.int64)
        if kind == KIND_ADD:
            partials = np.ascontiguousarray(stream).view("<i8")
            self.overflow |= _add_partials(self.accumulators, partials, config.acc_width)
            return products
        addr = int(segment["load_addr"])
        block = self.bytes_at(addr, CHUNK_BYTES * chunks)
        load = decode_load(block, taps, config)
        words, _ = stream_words(stream, int(segment["offset_bits"]), taps)
        words[:, 0] = _narrowed(words[:, 0], config)
        for pe in range(config.pes_per_cluster):
            made, lookups, hits, overflow, outside = _run(
                load, words, pe, config, self.accumulators[pe, :walk_count], _NO_TRACE
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
        data = results.astype(f"<i{OUT_WIDTHS[code] // 8}").view(np.uint8)
        first, end = field["out_addr"], field["out_addr"] + data.size
        _require("results", end <= self.memory.size, f"below {self.memory.size}", f"up to {end}")
        self.memory[first:end] = data
        self.writes.append((first, end))

    def end_phase(self) -> None:
        """Check that the order of the jobs does not matter."""
        writes = sorted(span for span in self.writes if span[1] > span[0])
        for (_, end), (begin, _) in itertools.pairwise(writes):
            _require("results of a phase", end <= begin, "apart", f"twice at {begin}")
        starts = [begin for begin, _ in writes]
        for begin, end in self.reads:
            position = np.searchsorted(starts, end, side="left") - 1
            changed = end > begin and position >= 0 and writes[position][1] > begin
            _require(f"memory read at {begin}", not changed, "unchanged in its phase", "written")
        self.reads.clear()
        self.writes.clear()


def execute(program: Program) -> FunctionalResult:
    """Execute a program's memory image.

    Jobs run in queue order; since they are independent, any other order gives the same memory.

    Raises
    ------
    InputError
        The image has an error, or the result depends on the order of jobs.
    """
    machine = _Machine(program)
    products = []
    for number, phase in enumerate(program.phases):
        for job, entry in enumerate(machine.start_phase(number, phase)):
            products.append(machine.run_job(entry))
            if machine.address_error:
                _refuse(Malformed(code=ErrorCode.ACCUMULATOR, phase=number, job=job))
        machine.end_phase()
    return FunctionalResult(
        memory=machine.memory,
        saturated=bool(machine.saturated),
        accumulator_overflow=bool(machine.overflow),
        products=np.stack(products),
        lookups=machine.lookups,
        hits=machine.hits,
    )
