"""Tables of jobs, segments and streams for the cycle model, decoded from a memory image."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gscn import directories, records
from gscn.config import CHUNK_BYTES, AcceleratorConfig
from gscn.cycles.state import record
from gscn.program import Program
from gscn.streams import ITEM_BYTES, expand

MAC, ADD = records.KIND_MAC, records.KIND_ADD
END = ADD + 1
"""Kinds of words: those of segments, and the word that ends one."""

PHASE = record("jobs", "in_turn")
JOB = record(
    "entry_beat",  # address of its queue entry
    "first_segment", "segments",
    "size",  # a result has 16 << size bits
    "pitch", "guard_cols", "plane_rows", "guard_rows", "planes", "walk",
    "out_beat",  # address of its results
)  # fmt: skip
SEGMENT = record(
    "descriptor_beat",  # its address; of no use for the first of a job
    "kind",
    "load_beat", "load_chunks", "load_lead", "load_sharers",
    "taps", "first_tap",
    "stream_beat", "stream_chunks", "stream_sharers",
    "urgent_room",  # room in the stream channel's buffer from which its bursts are urgent
    "items",  # or partial sums
    "first_item",
)  # fmt: skip
TILE = record("directory_chunks", "stationary_chunks", "first_entry", "entries")
ITEM = record(
    "key",
    "first_tap",  # in its segment's list; -1 if the item is no word
)
TAP = record("key", "last")


class JobTables(NamedTuple):
    """A launch without its values: what decides the time that it takes."""

    phases: np.ndarray
    """`PHASE` (phases,)."""
    jobs: np.ndarray
    """`JOB` (jobs,), phase by phase."""
    segments: np.ndarray
    """`SEGMENT` (segments,), job by job."""
    tiles: np.ndarray
    """`TILE` (segments, PEs)."""
    items: np.ndarray
    """`ITEM` of all streams."""
    taps: np.ndarray
    """`TAP` of all load blocks."""
    fiber_lengths: np.ndarray
    """int64: lengths of all directory entries, tile after tile."""


class _Decoder:
    """Reads an image; streams and load blocks at one address are decoded once."""

    def __init__(self, config: AcceleratorConfig, image: np.ndarray) -> None:
        self.config, self.image = config, image
        self.items: list[np.ndarray] = []
        self.taps: list[np.ndarray] = []
        self.lengths: list[np.ndarray] = []
        self._counts = {"items": 0, "taps": 0, "entries": 0}
        self._streams: dict[tuple[int, int, int], int] = {}
        self._blocks: dict[int, tuple[int, list[tuple[int, ...]]]] = {}

    def _taken(self, what: str, count: int) -> int:
        """Return the index of the first of `count` more."""
        self._counts[what] += count
        return self._counts[what] - count

    def _read(self, layout: records.Record, addr: int, count: int) -> np.ndarray:
        return layout.unpack(self.image[addr : addr + count * (layout.width // 8)])

    def stream(self, addr: int, count: int, offset_bits: int) -> int:
        """Return the index of the first item of a stream."""
        key = addr, count, offset_bits
        if key not in self._streams:
            words = expand(self.image[addr : addr + ITEM_BYTES * count], offset_bits)
            items = np.empty(count, ITEM)
            items["key"], items["first_tap"] = words[:, 2], words[:, 3]
            self.items.append(items)
            self._streams[key] = self._taken("items", count)
        return self._streams[key]

    def block(self, addr: int, tap_count: int) -> tuple[int, list[tuple[int, ...]]]:
        """Return the index of a load block's first tap, and its tiles."""
        if addr not in self._blocks:
            found = self._read(records.TAP, addr, tap_count)
            taps = np.empty(tap_count, TAP)
            taps["key"], taps["last"] = found["key_delta"], found["last"]
            self.taps.append(taps)
            first_tap = self._taken("taps", tap_count)
            cursor = addr + CHUNK_BYTES * tap_count
            tiles = []
            for _ in range(self.config.pes_per_cluster):
                header = self._read(records.TILE_HEADER, cursor, 1)[0]
                body = self.image[cursor + CHUNK_BYTES :]
                self.lengths.append(directories.unpack_directory(body, header)[1])
                entries = int(header["directory_count"])
                directory = directories.directory_chunks(entries, int(header["directory_format"]))
                stationary = (int(header["a_count"]) + 1) // 2
                tiles.append((directory, stationary, self._taken("entries", entries), entries))
                cursor += CHUNK_BYTES * (1 + directory + stationary)
            self._blocks[addr] = first_tap, tiles
        return self._blocks[addr]


def _urgent_room(stream_wait: int, config: AcceleratorConfig) -> int:
    """Return the room in beats from which a stream's bursts are urgent, as `hw.cluster.fetcher`."""
    if stream_wait == records.AT_ONCE or stream_wait > config.read_fifo_beats:
        return 0
    return config.read_fifo_beats + 1 - stream_wait


def _job(job: np.ndarray, entry_addr: int, first_segment: int, beat: int) -> tuple[int, ...]:
    """Return a `JOB`."""
    return (
        entry_addr // beat,
        first_segment,
        int(job["segment_count"]),
        (records.OUT_WIDTHS[int(job["out_format"])] // 16).bit_length() - 1,
        *(int(job[name]) for name in ("pitch", "guard_cols", "plane_rows", "guard_rows")),
        *(int(job[name]) for name in ("planes", "walk_count")),
        int(job["out_addr"]) // beat,
    )


def _segment(
    decoder: _Decoder, segment: np.ndarray, addr: int
) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    """Return a `SEGMENT`, and its tiles."""
    config = decoder.config
    beat, is_mac = config.mem_bytes, segment["kind"] == records.KIND_MAC
    stream, count = int(segment["stream_addr"]), int(segment["stream_count"])
    first_item, chunks = 0, count
    first_tap, tiles = 0, [(0, 0, 0, 0)] * config.pes_per_cluster
    if is_mac:
        first_item = decoder.stream(stream, count, int(segment["offset_bits"]))
        chunks = (count + 1) // 2
        first_tap, tiles = decoder.block(int(segment["load_addr"]), int(segment["tap_count"]))
    return (
        addr // beat,
        int(segment["kind"]),
        int(segment["load_addr"]) // beat,
        *(int(segment[name]) for name in ("load_chunks", "load_lead", "load_sharers")),
        int(segment["tap_count"]),
        first_tap,
        stream // beat,
        chunks,
        int(segment["stream_sharers"]),
        _urgent_room(int(segment["stream_wait"]), config),
        count,
        first_item,
    ), tiles


def decode(program: Program) -> JobTables:
    """Read the descriptors, directories and stream keys of a program from its image."""
    config, image = program.config, program.image
    decoder = _Decoder(config, image)
    jobs, segments, tiles = [], [], []
    for phase in program.phases:
        entries = records.queue_entries(image, phase.queue_addr, phase.job_count)
        for index, entry in enumerate(entries):
            addr = phase.queue_addr + records.QUEUE_ENTRY.itemsize * index
            jobs.append(_job(entry["job"], addr, len(segments), config.mem_bytes))
            addrs = records.segment_addresses(addr, entry["job"])
            found = records.segment_descriptors(image, entry)
            for segment, segment_addr in zip(found, addrs, strict=True):
                one, own = _segment(decoder, segment, segment_addr)
                segments.append(one)
                tiles += own
    # Of each at least one, which is never looked at if there are none.
    return JobTables(
        phases=np.array([(phase.job_count, phase.in_turn) for phase in program.phases], PHASE),
        jobs=np.array(jobs or [(0,) * len(JOB)], JOB),
        segments=np.array(segments or [(0,) * len(SEGMENT)], SEGMENT),
        tiles=np.array(tiles, TILE).reshape(-1, config.pes_per_cluster),
        items=np.concatenate([*decoder.items, np.zeros(1, ITEM)]),
        taps=np.concatenate([*decoder.taps, np.zeros(1, TAP)]),
        fiber_lengths=np.concatenate([*decoder.lengths, np.zeros(1, np.int64)]),
    )
