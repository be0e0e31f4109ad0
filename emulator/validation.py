"""What is wrong with a launch in memory: the checks of the hardware, made independently of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gscn.config import ALIGNMENT_BYTES, CHUNK_BYTES, AcceleratorConfig
from gscn.emulator.record_checks import (
    check_job,
    check_list_start,
    check_load,
    check_segment,
    check_start,
    leaves_walk,
    stream_words,
    written_cells,
)
from gscn.enums import takes_text
from gscn.error_codes import NO_JOB, NO_PHASE, ErrorCode
from gscn.program import Phase
from gscn.records import (
    JOB_DESCRIPTOR,
    KIND_ADD,
    OUT_WIDTHS,
    PHASE_DESCRIPTOR,
    QUEUE_ENTRY,
    SEGMENT_DESCRIPTOR,
    STREAM_ITEM,
    split_job_count,
)


@takes_text
@dataclass(frozen=True, kw_only=True, slots=True)
class Malformed:
    """An error that the hardware may report."""

    code: ErrorCode
    phase: int
    """Number in the launch; `gscn.error_codes.NO_PHASE` if the start of a list is wrong."""
    job: int
    """Number in its phase; `gscn.error_codes.NO_JOB` if the error belongs to none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """What is wrong with a phase."""

    errors: tuple[Malformed, ...]
    """In the order of jobs, segments and checks. The hardware, whose stages work on several
    segments at once, reports one of them."""
    disputed: bool
    """Whether segments name the same load block but disagree on its chunks or taps. Then what a
    bank holds depends on which cluster runs which job, and the hardware may find no error."""


class _PhaseCheck:
    """The checks of one phase, on one memory."""

    def __init__(
        self, config: AcceleratorConfig, memory: np.ndarray, phase: Phase, *, products: bool
    ):
        self.config, self.memory, self.phase = config, memory, phase
        self.products = products
        self.limit = -(-memory.size // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
        self.blocks: dict[int, set[tuple[int, int]]] = {}

    def read(self, addr: int, size: int) -> tuple[np.ndarray, bool]:
        """Return the bytes that are in memory, and whether those are all."""
        data = np.zeros(max(min(size, self.limit - addr), 0), dtype=np.uint8)
        known = self.memory[addr : addr + data.size]
        data[: known.size] = known
        return data, size <= data.size

    def errors(self) -> Iterator[tuple[ErrorCode, int]]:
        """Yield code and job of every error."""
        code = check_start(self.phase, self.config)
        if code:
            yield code, NO_JOB
            return
        size = QUEUE_ENTRY.itemsize
        for job in range(self.phase.job_count):
            addr = self.phase.queue_addr + size * job
            data, there = self.read(addr, size)
            if not there:
                yield ErrorCode.BUS_READ, NO_JOB
                return
            for code in self.job_errors(addr, data.view(QUEUE_ENTRY)[0]):
                yield code, NO_JOB if code == ErrorCode.BUS_READ else job

    def job_errors(self, addr: int, entry: np.void) -> Iterator[ErrorCode]:
        """Yield the errors of one job."""
        job = entry["job"]
        code = check_job(job, self.config)
        if code:
            yield code
            return
        walk_count = int(job["walk_count"])
        loads = True  # no load block before was bad, so that streams are started
        for number, segment_addr in enumerate(self.segment_addresses(addr, job)):
            data, there = self.read(segment_addr, SEGMENT_DESCRIPTOR.width // 8)
            if not there:
                yield ErrorCode.BUS_READ
                return
            segment = entry["segment"] if number == 0 else SEGMENT_DESCRIPTOR.unpack(data)[0]
            code = check_segment(segment, walk_count, self.config)
            if code:
                yield code
                return
            for code in self.segment_errors(segment, walk_count, loads):
                loads &= not ErrorCode.LOAD_DIRECTORY <= code <= ErrorCode.LOAD_TAPS
                yield code
        if self.leaves_range(job):
            yield ErrorCode.OUTPUT_RANGE

    def segment_addresses(self, addr: int, job: np.void) -> Iterator[int]:
        """Yield the addresses of descriptors, at most one beyond memory."""
        size = SEGMENT_DESCRIPTOR.width // 8
        yield addr + JOB_DESCRIPTOR.width // 8
        first = int(job["segment_addr"])
        for index in range(int(job["segment_count"]) - 1):
            yield first + size * index

    def segment_errors(self, segment: np.void, walk_count: int, loads: bool) -> Iterator[ErrorCode]:
        """Yield the errors of a segment whose descriptor has none."""
        count = int(segment["stream_count"])
        adds = int(segment["kind"]) == KIND_ADD
        size = CHUNK_BYTES * (count if adds else -(-count // 2))
        stream, there = self.read(int(segment["stream_addr"]), size)
        if not there:
            yield ErrorCode.BUS_READ
        if adds:
            return
        taps_named, chunks = int(segment["tap_count"]), int(segment["load_chunks"])
        addr = int(segment["load_addr"])
        self.blocks.setdefault(addr, set()).add((chunks, taps_named))
        block, there = self.read(addr, CHUNK_BYTES * chunks)
        if not there:
            yield ErrorCode.BUS_READ
        code, taps, tiles = check_load(block, taps_named, chunks, self.config)
        if code:
            yield code
        if code or not there or not loads:
            return
        items = stream[: min(stream.size, STREAM_ITEM.width // 8 * count)]
        words, code = stream_words(items, int(segment["offset_bits"]), taps_named)
        if code:
            yield code
        if not self.products:
            return
        deltas = [taps[name].astype(np.int64) for name in ("key_delta", "offset_delta", "last")]
        deltas[2] &= 1
        if any(
            leaves_walk(words, *deltas, tile.start, tile.length, tile.offset, walk_count)
            for tile in tiles
        ):
            yield ErrorCode.ACCUMULATOR

    def leaves_range(self, job: np.void) -> bool:
        """Return whether a job has results outside the phase's output range."""
        names = ("pitch", "guard_cols", "plane_rows", "guard_rows", "planes", "walk_count")
        cells = written_cells(*(int(job[name]) for name in names))
        width = OUT_WIDTHS[int(job["out_format"])]
        first = int(job["out_addr"])
        end = first + cells * self.config.pes_per_cluster * width // 8
        return cells > 0 and not self.phase.out_addr <= first <= end <= self.phase.out_end


def check_phase(
    config: AcceleratorConfig,
    memory: np.ndarray,
    phase: Phase,
    *,
    number: int = 0,
    products: bool = True,
) -> Findings:
    """Find everything that is wrong with a phase.

    Parameters
    ----------
    config
        Sizes.
    memory
        uint8: all memory, from address 0, as it is when the phase starts.
    phase
        The phase.
    number
        Its number, for the findings.
    products
        Whether to look for products outside the accumulators, which takes as long as all others.
    """
    check = _PhaseCheck(config, memory, phase, products=products)
    found = dict.fromkeys(check.errors())  # each once, in order
    return Findings(
        errors=tuple(Malformed(code=code, phase=number, job=job) for code, job in found),
        disputed=any(len(named) > 1 for named in check.blocks.values()),
    )


def validate(
    config: AcceleratorConfig, memory: np.ndarray, phases: Sequence[Phase]
) -> Malformed | None:
    """Find out whether the hardware will report an error.

    What phases write is not computed: a phase is checked on the memory given, so that one that
    reads descriptors or items among the results of another is not judged rightly.

    Parameters
    ----------
    config
        Sizes.
    memory
        uint8: all memory, from address 0, before the launch.
    phases
        In order.

    Returns
    -------
    Malformed or None
        The first error by phase, job, segment and check; of a phase with several the hardware may
        report another (`check_phase` lists them). None if there is none.
    """
    for number, phase in enumerate(phases):
        errors = check_phase(config, memory, phase, number=number).errors
        if errors:
            return errors[0]
    return None


def read_phase(memory: np.ndarray, phases_addr: int, number: int) -> Phase | None:
    """Return a phase of a list, or None if its descriptor is not within memory.

    Parameters
    ----------
    memory
        uint8: all memory, from address 0.
    phases_addr
        Byte address of the list.
    number
        Place in the list, from 0.
    """
    size = PHASE_DESCRIPTOR.width // 8
    first = phases_addr + size * number
    if first + size > memory.size:
        return None
    (descriptor,) = PHASE_DESCRIPTOR.unpack(memory[first : first + size])
    job_count, in_turn = split_job_count(int(descriptor["job_count"]))
    return Phase(
        queue_addr=int(descriptor["queue_addr"]),
        job_count=job_count,
        out_addr=int(descriptor["out_addr"]),
        out_end=int(descriptor["out_end"]),
        in_turn=in_turn,
    )


def validate_list(
    config: AcceleratorConfig, memory: np.ndarray, phases_addr: int, phase_count: int
) -> Malformed | None:
    """Find out whether the hardware will report an error in a launch started as a list.

    Parameters
    ----------
    config
        Sizes.
    memory
        As in `validate`; it ends on a multiple of 64 bytes.
    phases_addr
        Byte address of the list.
    phase_count
        Phases to run.

    Returns
    -------
    Malformed or None
        As `validate`. Of a descriptor beyond memory the hardware may tell during the phase before,
        because it fetches ahead.
    """
    code = check_list_start(phases_addr, phase_count, config)
    if code:
        return Malformed(code=code, phase=NO_PHASE, job=NO_JOB)
    for number in range(phase_count):
        phase = read_phase(memory, phases_addr, number)
        if phase is None:
            return Malformed(code=ErrorCode.BUS_READ, phase=number, job=NO_JOB)
        errors = check_phase(config, memory, phase, number=number).errors
        if errors:
            return errors[0]
    return None
