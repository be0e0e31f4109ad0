"""The functional model: executes a memory image exactly as the hardware must, without time.

It sees bytes only: descriptors, load blocks and streams, in the layouts of `gscn.records`.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from gscn.config import CHUNK_BYTES, AcceleratorConfig
from gscn.directories import DIRECTORY_WIDTHS, directory_chunks, unpack_directory
from gscn.emulator.arithmetic import Arithmetic, Held, Taps, add_partials, drain, pe_products
from gscn.emulator.record_checks import stream_words
from gscn.emulator.validation import Malformed, check_phase
from gscn.error_codes import ERROR_MEANINGS, NO_JOB, ErrorCode
from gscn.errors import InputError
from gscn.program import Phase, Program
from gscn.records import (
    A_ENTRY,
    JOB_DESCRIPTOR,
    KIND_ADD,
    OUT_WIDTHS,
    QUEUE_ENTRY,
    SEGMENT_DESCRIPTOR,
    TAP,
    TILE_HEADER,
    segment_descriptors,
)
from gscn.streams import ITEM_BYTES, expand


@dataclass(frozen=True, kw_only=True, slots=True)
class FunctionalResult:
    """Memory after a launch, the sticky flags, and counts."""

    memory: np.ndarray
    """uint8."""
    saturated: bool
    accumulator_overflow: bool
    nonfinite: bool
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
    """As stored; which bits count depends on the job's number format."""
    offset: np.ndarray


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodedLoad:
    """A load block: taps (int64 vectors) and the tile of each PE."""

    key_delta: np.ndarray
    offset_delta: np.ndarray
    last: np.ndarray
    tiles: tuple[DecodedTile, ...]


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
        _require("directory_format", form in DIRECTORY_WIDTHS, "0, 1 or 2", form)
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
        last=taps["last"] & 1 != 0,
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
    """List the products of one PE in one segment of integers.

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
    arithmetic = Arithmetic.of(JOB_DESCRIPTOR.pack(1)[0], config)
    sums, specials = np.zeros(config.acc_depth, np.int64), np.zeros(config.acc_depth, np.uint8)
    count = _run(load, words, pe, arithmetic, sums, specials, _NO_TRACE)[0]
    trace = np.zeros((count, 2), dtype=np.int64)
    if count:
        _run(load, words, pe, arithmetic, np.zeros_like(sums), specials, trace)
    return trace


_NO_TRACE = np.zeros((0, 2), dtype=np.int64)


def _run(
    load: DecodedLoad,
    words: np.ndarray,
    pe: int,
    arithmetic: Arithmetic,
    sums: np.ndarray,
    specials: np.ndarray,
    trace: np.ndarray,
) -> tuple[int, int, int, bool, bool]:
    tile = load.tiles[pe]
    return pe_products(
        Taps(load.key_delta, load.offset_delta, load.last),
        Held(tile.start, tile.length, arithmetic.decode(tile.value), tile.offset),
        arithmetic.decode(words[:, 0]),
        words,
        arithmetic.numbers,
        sums,
        specials,
        trace,
    )


def _require(name: str, holds: bool, requirement: str, value: object) -> None:
    if not holds:
        raise InputError(f"{name} must be {requirement}, not {value}")


def _refuse(error: Malformed) -> None:
    job = "" if error.job == NO_JOB else f"job {error.job} of "
    raise InputError(
        f"{job}phase {error.phase} must be as docs/contract/execution.md demands, but has error "
        f"{error.code.name}: {ERROR_MEANINGS[error.code]}"
    )


class _Machine:
    """Memory, accumulators and flags during a launch."""

    def __init__(self, program: Program) -> None:
        self.config = program.config
        self.memory = program.initial_memory()
        shape = (self.config.pes_per_cluster, self.config.acc_depth)
        self.sums = np.zeros(shape, dtype=np.int64)
        self.specials = np.zeros(shape, dtype=np.uint8)
        self.saturated = self.overflow = self.nonfinite = self.address_error = False
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
            products += self.run_segment(segment, job)
        self.drain(job)
        return products

    def run_segment(self, segment: np.void, job: np.void) -> np.ndarray:
        """Execute one segment descriptor; return products per PE."""
        config, walk_count = self.config, int(job["walk_count"])
        arithmetic = Arithmetic.of(job, config)
        kind, count = int(segment["kind"]), int(segment["stream_count"])
        record = CHUNK_BYTES if kind == KIND_ADD else ITEM_BYTES
        stream = self.bytes_at(int(segment["stream_addr"]), record * count)
        chunks, taps = int(segment["load_chunks"]), int(segment["tap_count"])
        products = np.zeros(config.pes_per_cluster, dtype=np.int64)
        if kind == KIND_ADD:
            partials = np.ascontiguousarray(stream).view("<i8")
            self.overflow |= add_partials(
                self.sums, self.specials, partials, arithmetic.fmt is not None, config.acc_width
            )
            return products
        addr = int(segment["load_addr"])
        block = self.bytes_at(addr, CHUNK_BYTES * chunks)
        load = decode_load(block, taps, config)
        words, _ = stream_words(stream, int(segment["offset_bits"]), taps)
        for pe in range(config.pes_per_cluster):
            made, lookups, hits, overflow, outside = _run(
                load,
                words,
                pe,
                arithmetic,
                self.sums[pe, :walk_count],
                self.specials[pe, :walk_count],
                _NO_TRACE,
            )
            products[pe] = made
            self.hits += hits
            self.overflow |= overflow
            self.address_error |= outside
        self.lookups += lookups
        return products

    def drain(self, job: np.void) -> None:
        """Drain the accumulators as the job's descriptor says."""
        results, saturated, nonfinite = drain(
            self.sums, self.specials, job, Arithmetic.of(job, self.config)
        )
        self.saturated |= saturated
        self.nonfinite |= nonfinite
        width = OUT_WIDTHS[int(job["out_format"])] // 8
        data = results.astype(f"<u{width}").view(np.uint8)
        first = int(job["out_addr"])
        end = first + data.size
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
        nonfinite=bool(machine.nonfinite),
        products=np.stack(products),
        lookups=machine.lookups,
        hits=machine.hits,
    )
