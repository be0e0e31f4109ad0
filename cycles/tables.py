"""Tables of jobs, segments and streams for the cycle model, decoded from a memory image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gscn import directories, records
from gscn.config import AcceleratorConfig
from gscn.program import Program
from gscn.streams import ITEM_BYTES, expand


@dataclass(frozen=True, kw_only=True, slots=True)
class JobTables:
    """A launch without its values: what decides the time that it takes. All arrays are int64.

    `jobs[j]` holds: index of the first segment, segments, size of a result (0: 16 bits, 1: 32, 2:
    64), pitch, guard columns, plane rows, guard rows, planes, walk count, beat address of the
    results. `segments[s]` holds: kind, beat
    address of the load block, load chunks, taps, beat address of the stream, items (or partial
    sums), first item, first tap, chunks of the stream, items left when the load block is urgent,
    room in the stream channel's buffer when the stream is, channels that must offer a waiting burst
    of the load block for it to be taken, and of the stream (0: it waits until it is urgent).
    `tiles[s, pe]` holds: directory chunks, stationary rows, first directory entry, directory
    entries.
    """

    phase_jobs: np.ndarray
    """(phases, 2): jobs, and 1 if clusters take them in turn."""
    jobs: np.ndarray
    segments: np.ndarray
    tiles: np.ndarray
    item_keys: np.ndarray
    item_taps: np.ndarray
    """Per item, index of its word's first tap in its segment's list; -1 if it is no word."""
    tap_keys: np.ndarray
    tap_last: np.ndarray
    fiber_lengths: np.ndarray
    """Lengths of all directory entries, tile after tile."""


def _urgent_room(stream_wait: int, config: AcceleratorConfig) -> int:
    """Return the room in beats from which a stream's bursts are urgent, as `hw.cluster.fetcher`."""
    if stream_wait == records.AT_ONCE or stream_wait > config.read_fifo_beats:
        return 0
    return config.read_fifo_beats + 1 - stream_wait


def decode(program: Program) -> JobTables:
    """Read the descriptors, directories and stream keys of a program from its image.

    Streams and load blocks at one address are decoded once.
    """
    config, image = program.config, program.image
    beat = config.mem_bytes

    jobs, segments, tiles = [], [], []
    keys, item_taps, tap_keys, tap_last, lengths = [], [], [], [], []
    item_count = tap_count = entry_count = 0
    streams: dict[tuple[int, int, int], int] = {}
    blocks: dict[int, tuple[int, list[tuple[int, int, int, int]]]] = {}

    def read(record: records.Record, addr: int, count: int) -> np.ndarray:
        return record.unpack(image[addr : addr + count * (record.width // 8)])

    for phase in program.phases:
        for entry in records.queue_entries(image, phase.queue_addr, phase.job_count):
            job = entry["job"]
            jobs.append(
                (
                    len(segments),
                    int(job["segment_count"]),
                    (records.OUT_WIDTHS[int(job["out_format"])] // 16).bit_length() - 1,
                    int(job["pitch"]),
                    int(job["guard_cols"]),
                    int(job["plane_rows"]),
                    int(job["guard_rows"]),
                    int(job["planes"]),
                    int(job["walk_count"]),
                    int(job["out_addr"]) // beat,
                )
            )
            for segment in records.segment_descriptors(image, entry):
                is_mac = segment["kind"] == records.KIND_MAC
                stream, count = int(segment["stream_addr"]), int(segment["stream_count"])
                first_item, chunks = 0, count
                if is_mac:
                    bits = int(segment["offset_bits"])
                    if (stream, count, bits) not in streams:
                        items = expand(image[stream : stream + ITEM_BYTES * count], bits)
                        keys.append(items[:, 2])
                        item_taps.append(items[:, 3])
                        streams[stream, count, bits] = item_count
                        item_count += count
                    first_item = streams[stream, count, bits]
                    chunks = (count + 1) // 2
                block = int(segment["load_addr"])
                if is_mac and block not in blocks:
                    taps = read(records.TAP, block, int(segment["tap_count"]))
                    tap_keys.append(taps["key_delta"].astype(np.int64))
                    tap_last.append(taps["last"].astype(np.int64))
                    first_tap, tap_count = tap_count, tap_count + len(taps)
                    addr = block + 8 * len(taps)
                    rows = []
                    for _ in range(config.pes_per_cluster):
                        header = read(records.TILE_HEADER, addr, 1)[0]
                        entries = int(header["directory_count"])
                        directory_rows = directories.directory_chunks(
                            entries, int(header["directory_format"])
                        )
                        a_rows = (int(header["a_count"]) + 1) // 2
                        lengths.append(directories.unpack_directory(image[addr + 8 :], header)[1])
                        rows.append((directory_rows, a_rows, entry_count, entries))
                        entry_count += entries
                        addr += 8 * (1 + directory_rows + a_rows)
                    blocks[block] = (first_tap, rows)
                no_tile = (0, [(0, 0, 0, 0)] * config.pes_per_cluster)
                first_tap, rows = blocks[block] if is_mac else no_tile
                segments.append(
                    (
                        int(segment["kind"]),
                        block // beat,
                        int(segment["load_chunks"]),
                        int(segment["tap_count"]),
                        stream // beat,
                        count,
                        first_item,
                        first_tap,
                        chunks,
                        int(segment["load_lead"]),
                        _urgent_room(int(segment["stream_wait"]), config),
                        int(segment["load_sharers"]),
                        int(segment["stream_sharers"]),
                    )
                )
                tiles.append(rows)

    def joined(arrays: list[np.ndarray]) -> np.ndarray:
        return np.concatenate([*arrays, np.zeros(1, np.int64)])

    return JobTables(
        phase_jobs=np.array(
            [(phase.job_count, phase.in_turn) for phase in program.phases], dtype=np.int64
        ).reshape(-1, 2),
        jobs=np.array(jobs, dtype=np.int64).reshape(-1, 10),
        segments=np.array(segments, dtype=np.int64).reshape(-1, 13),
        tiles=np.array(tiles, dtype=np.int64).reshape(-1, config.pes_per_cluster, 4),
        item_keys=joined(keys),
        item_taps=joined(item_taps),
        tap_keys=joined(tap_keys),
        tap_last=joined(tap_last),
        fiber_lengths=joined(lengths),
    )
