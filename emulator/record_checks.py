"""Checks of the records of a launch, made as the hardware makes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gscn.config import ALIGNMENT_BYTES, CHUNK_BYTES, AcceleratorConfig
from gscn.directories import DIRECTORY_WIDTHS, directory_chunks, directory_fibers
from gscn.error_codes import ErrorCode
from gscn.formats import NUMBER_FORMATS
from gscn.program import Phase
from gscn.records import (
    A_ENTRY,
    CODE_WIDTH,
    KIND_ADD,
    MOST_SHIFT,
    OUT_BF16,
    OUT_RAW,
    OUT_WIDTHS,
    STREAM_ITEM,
    TAP,
    TILE_HEADER,
)
from gscn.system.compiled import compiled
from gscn.window import MOST_TOP


def _is_bad_address(addr: int, config: AcceleratorConfig) -> bool:
    return addr % ALIGNMENT_BYTES != 0 or addr >= 1 << config.addr_width


def check_start(phase: Phase, config: AcceleratorConfig) -> ErrorCode:
    """Return why a start is ignored, or `ErrorCode.NONE`."""
    if _is_bad_address(phase.queue_addr, config):
        return ErrorCode.START_ADDRESS
    if phase.job_count == 0:
        return ErrorCode.START_JOBS
    aligned = phase.out_addr % ALIGNMENT_BYTES == 0 and phase.out_end % ALIGNMENT_BYTES == 0
    if not aligned or not phase.out_addr <= phase.out_end <= 1 << config.addr_width:
        return ErrorCode.START_RANGE
    return ErrorCode.NONE


def check_list_start(phases_addr: int, phase_count: int, config: AcceleratorConfig) -> ErrorCode:
    """Return why the start of a list is ignored, or `ErrorCode.NONE`."""
    if _is_bad_address(phases_addr, config):
        return ErrorCode.START_ADDRESS
    return ErrorCode.START_PHASES if phase_count == 0 else ErrorCode.NONE


def check_job(job: np.void, config: AcceleratorConfig) -> ErrorCode:
    """Return the first error of a job descriptor, or `ErrorCode.NONE`."""
    field = {name: int(job[name]) for name in job.dtype.names}
    number = field["number_format"]
    floating = number != 0
    most_shift = 0 if floating or field["out_format"] == OUT_RAW else MOST_SHIFT
    known = number < len(NUMBER_FORMATS) and (
        not floating or NUMBER_FORMATS[number] in config.floats
    )
    results = set(OUT_WIDTHS) if floating else set(OUT_WIDTHS) - {OUT_BF16}
    addresses = (field["segment_addr"], field["out_addr"])
    for code, wrong in (
        (ErrorCode.JOB_SEGMENTS, field["segment_count"] == 0),
        (
            ErrorCode.JOB_FORMAT,
            not known or field["window"] > MOST_TOP or field["out_format"] not in results,
        ),
        (ErrorCode.JOB_SHIFT, field["shift"] > most_shift),
        (ErrorCode.JOB_SHAPE, 0 in (field["pitch"], field["plane_rows"])),
        (ErrorCode.JOB_WALK, not 1 <= field["walk_count"] <= config.acc_depth),
        (ErrorCode.JOB_ADDRESS, any(_is_bad_address(addr, config) for addr in addresses)),
    ):
        if wrong:
            return code
    return ErrorCode.NONE


def check_segment(segment: np.void, walk_count: int, config: AcceleratorConfig) -> ErrorCode:
    """Return the first error of a segment descriptor, or `ErrorCode.NONE`."""
    field = {name: int(segment[name]) for name in segment.dtype.names}
    adds = field["kind"] == KIND_ADD
    chunks = field["load_chunks"]
    addresses = (field["load_addr"], field["stream_addr"])
    for code, wrong in (
        (ErrorCode.SEGMENT_KIND, field["kind"] > KIND_ADD),
        (ErrorCode.SEGMENT_ADDRESS, any(_is_bad_address(addr, config) for addr in addresses)),
        (ErrorCode.SEGMENT_TAPS, not adds and not 1 <= field["tap_count"] <= config.taps_depth),
        (
            ErrorCode.SEGMENT_LOAD,
            chunks != 0 if adds else not 1 <= chunks <= config.most_load_chunks,
        ),
        (ErrorCode.SEGMENT_OFFSET, not adds and field["offset_bits"] > CODE_WIDTH),
        (
            ErrorCode.SEGMENT_STREAM,
            adds and field["stream_count"] > config.pes_per_cluster * walk_count,
        ),
    ):
        if wrong:
            return code
    return ErrorCode.NONE


@dataclass(frozen=True, kw_only=True, slots=True)
class TileIndex:
    """Where the fibers of a tile lie, and the offsets of its entries (int64 vectors)."""

    start: np.ndarray
    length: np.ndarray
    offset: np.ndarray


def check_load(
    block: np.ndarray, tap_count: int, load_chunks: int, config: AcceleratorConfig
) -> tuple[ErrorCode, np.ndarray | None, tuple[TileIndex, ...]]:
    """Read a load block chunk by chunk as the hardware does.

    Parameters
    ----------
    block
        uint8: its chunks, or those of them that lie in memory.
    tap_count, load_chunks
        As in the segment's descriptor, which has no error.
    config
        Sizes.

    Returns
    -------
    tuple
        The first error or `ErrorCode.NONE`; the taps, None if they are not all there; the tiles
        that are there.
    """
    rows = block[: block.size // CHUNK_BYTES * CHUNK_BYTES].reshape(-1, CHUNK_BYTES)
    position = 0
    length_error = ErrorCode.NONE

    def take(count: int) -> np.ndarray | None:
        nonlocal position, length_error
        position += count
        if position <= len(rows):
            return np.ascontiguousarray(rows[position - count : position]).reshape(-1)
        length_error = ErrorCode.LOAD_LENGTH if position > load_chunks else ErrorCode.NONE
        return None

    data = take(tap_count)
    if data is None:
        return length_error, None, ()
    taps = TAP.unpack(data)
    if taps["last"][-1] & 1 == 0:
        return ErrorCode.LOAD_TAPS, taps, ()
    tiles: list[TileIndex] = []
    for _ in range(config.pes_per_cluster):
        data = take(1)
        if data is None:
            return length_error, taps, tuple(tiles)
        header = TILE_HEADER.unpack(data)[0]
        keys, entries = int(header["directory_count"]), int(header["a_count"])
        for code, wrong in (
            (ErrorCode.LOAD_DIRECTORY, keys > config.directory_depth),
            (ErrorCode.LOAD_ENTRIES, entries > config.a_depth),
            (ErrorCode.LOAD_FORMAT, int(header["directory_format"]) not in DIRECTORY_WIDTHS),
        ):
            if wrong:
                return code, taps, tuple(tiles)
        directory_format = int(header["directory_format"])
        chunks = directory_chunks(keys, directory_format)
        # fibers that are there are checked even if the block is too short for the others, and so
        # are those that pad the last chunk
        there = max(min(chunks, len(rows) - position), 0)
        start, length = directory_fibers(
            rows[position : position + there].reshape(-1), directory_format
        )
        if np.any(start + length > entries):
            return ErrorCode.LOAD_FIBER, taps, tuple(tiles)
        data = take(chunks)
        held = take(-(-entries // 2)) if data is not None else None
        if held is None:
            return length_error, taps, tuple(tiles)
        offset = A_ENTRY.unpack(held)["offset"].astype(np.int64)
        tiles.append(TileIndex(start=start[:keys], length=length[:keys], offset=offset))
    if position != load_chunks:
        return ErrorCode.LOAD_LENGTH, taps, tuple(tiles)
    return ErrorCode.NONE, taps, tuple(tiles)


@compiled
def expand_items(
    value: np.ndarray, code: np.ndarray, offset_bits: int, tap_count: int, words: np.ndarray
) -> tuple[int, bool]:
    """Fill `words` (value, offset, key, first tap); return their number, and if a tap is bad.

    Stops at a rebase whose first tap is not below `tap_count`. Offsets and keys are taken modulo
    2**16, as the hardware takes them.
    """
    key_base = offset_base = tap_start = count = 0
    rebases = False
    mask = (1 << offset_bits) - 1
    for i in range(value.size):
        if rebases:
            rebases = False
            key_base = np.int64(value[i])
            offset_base = np.int64(code[i])
        elif value[i] == 0:
            if np.int64(code[i]) >= tap_count:
                return count, True
            rebases = True
            tap_start = np.int64(code[i])
        else:
            item = np.int64(code[i])
            words[count, 0] = value[i]
            words[count, 1] = ((offset_base + (item & mask) + 0x8000) & 0xFFFF) - 0x8000
            words[count, 2] = ((key_base + (item >> offset_bits) + 0x8000) & 0xFFFF) - 0x8000
            words[count, 3] = tap_start
            count += 1
    return count, False


def stream_words(
    stream: np.ndarray, offset_bits: int, tap_count: int
) -> tuple[np.ndarray, ErrorCode]:
    """Return the words (int64 (count, 4): value, offset, key, first tap), and what is wrong."""
    items = STREAM_ITEM.unpack(stream)
    words = np.empty((items.size, 4), dtype=np.int64)
    count, bad = expand_items(
        np.ascontiguousarray(items["value"]),
        np.ascontiguousarray(items["code"]),
        offset_bits,
        tap_count,
        words,
    )
    return words[:count], ErrorCode.STREAM_TAP if bad else ErrorCode.NONE


@compiled
def leaves_walk(
    words: np.ndarray,
    key_delta: np.ndarray,
    offset_delta: np.ndarray,
    last: np.ndarray,
    start: np.ndarray,
    length: np.ndarray,
    offset: np.ndarray,
    walk_count: int,
) -> bool:
    """Return whether a product of a PE has an accumulator outside [0, walk_count)."""
    for i in range(words.shape[0]):
        tap = words[i, 3]
        while True:
            key = words[i, 2] + key_delta[tap]
            if 0 <= key < start.size:
                base = words[i, 1] + offset_delta[tap]
                for entry in range(start[key], start[key] + length[key]):
                    if not 0 <= base + offset[entry] < walk_count:
                        return True
            if last[tap]:
                break
            tap += 1
    return False


@compiled
def written_cells(
    pitch: int, guard_cols: int, rows: int, guard_rows: int, planes: int, walk_count: int
) -> int:
    """Return how many of the first `walk_count` cells of a drain are written out."""
    count = col = row = plane = 0
    for _ in range(walk_count):
        count += col >= guard_cols and row >= guard_rows and plane < planes
        col += 1
        if col == pitch:
            col = 0
            row += 1
            if row == rows:
                row = 0
                plane += 1
    return count
