"""Launches with one wrong field, and what the contract says of each.

Each launch can be started phase by phase, or as the list of its phases that lies in memory.
"""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass

import numpy as np

from gscn.config import ALIGNMENT_BYTES, AcceleratorConfig
from gscn.conv import ConvShape, Pass
from gscn.cosim.simulation import FILL
from gscn.directories import DIRECTORY_WIDTHS, directory_chunks
from gscn.emulator.functional import FunctionalResult, execute
from gscn.emulator.record_checks import check_list_start
from gscn.emulator.validation import Findings, Malformed, check_phase, read_phase
from gscn.error_codes import NO_JOB, NO_PHASE, ErrorCode
from gscn.errors import InputError
from gscn.golden.oracle.synthetic import random_operands
from gscn.lowering import LoweringOptions, lower
from gscn.program import OutputFormat, Phase
from gscn.records import (
    A_ENTRY,
    IN_TURN,
    JOB_DESCRIPTOR,
    KIND_MAC,
    PHASE_DESCRIPTOR,
    QUEUE_ENTRY,
    SEGMENT_DESCRIPTOR,
    STREAM_ITEM,
    TAP,
    TILE_HEADER,
    Record,
    queue_entries,
    segment_addresses,
    segment_descriptors,
    split_job_count,
)
from tests.programs import random_program


@dataclass(frozen=True, kw_only=True)
class Launch:
    """A launch as it lies in memory; `what` says how it was made."""

    config: AcceleratorConfig
    image: np.ndarray
    memory_bytes: int
    phases: list[Phase]
    """As they are started by themselves."""
    phases_addr: int
    phase_count: int
    what: str

    @property
    def output_ranges(self):
        return [(phase.out_addr, phase.out_end) for phase in self.phases]

    def initial_memory(self):
        memory = np.full(self.memory_bytes, FILL, dtype=np.uint8)
        memory[: self.image.size] = self.image
        return memory

    def result(self, memory):
        return memory


def launch_of(program, what: str) -> Launch:
    """Copy a program; memory ends on a multiple of 64."""
    size = -(-program.memory_bytes // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
    return Launch(
        config=program.config,
        image=program.image.copy(),
        memory_bytes=size,
        phases=list(program.phases),
        phases_addr=program.phases_addr,
        phase_count=len(program.phases),
        what=what,
    )


def good_launches(config: AcceleratorConfig, count: int) -> list[Launch]:
    """Return small layers of all passes and random job lists, in turn."""
    launches = []
    for seed in range(count):
        if seed % 2:
            program = random_program(config, 700 + seed, jobs=4)
            launches.append(launch_of(program, f"random launch {700 + seed}"))
            continue
        which = tuple(Pass)[seed // 2 % 3]
        shape = ConvShape(n=1, c=3, h=5, w=4 + seed % 3, k=4, r=3, s=3, padding=(1, 1))
        operands = random_operands(shape, which, 0.4, 0.4, config.format, seed)
        options = LoweringOptions(contraction_parts=1 + seed // 6 % 2)
        program = lower(config, shape, which, *operands, OutputFormat(width=32), options)
        launches.append(launch_of(program, f"{which.value} {shape}"))
    return launches


def fields(record: Record, addr: int) -> list[tuple[int, int]]:
    """Return (address, bytes) of each field of a record that is not reserved."""
    found = []
    for field in record.fields:
        if not field.name.startswith("reserved"):
            found.append((addr, field.width // 8))
        addr += field.width // 8
    return found


def places(launch: Launch, *, one_start: bool = False) -> dict[str, list[tuple[int, int]]]:
    """Return (address, bytes) of every field of every record, by kind of record."""
    kinds = ("phase", "job", "segment", "header", "directory", "tap", "item", "entry")
    found: dict[str, list[tuple[int, int]]] = {kind: [] for kind in kinds}
    image = launch.image
    blocks = set()
    for number in range(len(launch.phases) if one_start else 0):
        size = PHASE_DESCRIPTOR.width // 8
        found["phase"] += fields(PHASE_DESCRIPTOR, launch.phases_addr + size * number)
    for phase in launch.phases:
        queue = queue_entries(image, phase.queue_addr, phase.job_count)
        for number, entry in enumerate(queue):
            addr = phase.queue_addr + QUEUE_ENTRY.itemsize * number
            found["job"] += fields(JOB_DESCRIPTOR, addr)
            segments = segment_descriptors(image, entry)
            for at, segment in zip(segment_addresses(addr, entry["job"]), segments, strict=True):
                found["segment"] += fields(SEGMENT_DESCRIPTOR, at)
                if segment["kind"] != KIND_MAC:
                    continue
                for item in range(int(segment["stream_count"])):
                    found["item"] += fields(STREAM_ITEM, int(segment["stream_addr"]) + 4 * item)
                blocks.add((int(segment["load_addr"]), int(segment["tap_count"])))
    for addr, taps in sorted(blocks):
        for tap in range(taps):
            found["tap"] += fields(TAP, addr + 8 * tap)
        cursor = addr + 8 * taps
        for _ in range(launch.config.pes_per_cluster):
            found["header"] += fields(TILE_HEADER, cursor)
            header = TILE_HEADER.unpack(image[cursor : cursor + 8])[0]
            keys, form = int(header["directory_count"]), int(header["directory_format"])
            cursor += 8
            size = DIRECTORY_WIDTHS[form] // 8
            found["directory"] += [(cursor + size * key, size) for key in range(keys)]
            cursor += 8 * directory_chunks(keys, form)
            for entry_number in range(int(header["a_count"])):
                found["entry"] += fields(A_ENTRY, cursor + 4 * entry_number)
            cursor += 8 * -(-int(header["a_count"]) // 2)
    return {kind: spots for kind, spots in found.items() if spots}


def other_value(value: int, width: int, rng: np.random.Generator) -> int:
    """Return another value of so many bits: random, extreme, a neighbour or with a bit flipped."""
    most = (1 << width) - 1
    choices = [
        int.from_bytes(rng.bytes(width // 8), "little"),
        int(rng.integers(0, 1 << int(rng.integers(1, min(width, 20) + 1)))),
        [0, 1, most, most >> 1, most - 1, 1 << (width - 1)][rng.integers(6)],
        value ^ 1 << int(rng.integers(width)),
        value + int(rng.integers(-3, 4)),
    ]
    return choices[rng.integers(len(choices))] & most


def with_fault(launch: Launch, rng: np.random.Generator, *, one_start: bool = False) -> Launch:
    """Return the launch with one field of one record, or one register, of another value."""
    spots = places(launch, one_start=one_start)
    # of a list, every other fault is one of the list itself
    kinds = ["register", "phase"] * 4 if one_start else ["register"]
    kinds = [*kinds, *(kind for kind in spots if kind != "phase")]
    kind = kinds[rng.integers(len(kinds))]
    if kind == "register" and one_start:
        name = ("phases_addr", "phase_count")[rng.integers(2)]
        before = getattr(launch, name)
        after = other_value(before, 64 if name == "phases_addr" else 32, rng)
        what = f"{launch.what}: {name} {before:#x} -> {after:#x}"
        return dataclasses.replace(launch, **{name: after}, what=what)
    if kind == "register":
        number = int(rng.integers(len(launch.phases)))
        phase = launch.phases[number]
        name = ("queue_addr", "job_count", "out_addr", "out_end")[rng.integers(4)]
        if name == "job_count":
            before = phase.job_word
            after = other_value(before, 32, rng)
            job_count, in_turn = split_job_count(after)
            changes = {"job_count": job_count, "in_turn": in_turn}
        else:
            before = getattr(phase, name)
            after = other_value(before, 64, rng)
            changes = {name: after}
        phases = list(launch.phases)
        phases[number] = dataclasses.replace(phase, **changes)
        what = f"{launch.what}: {name} of phase {number} {before:#x} -> {after:#x}"
        return dataclasses.replace(launch, phases=phases, what=what)
    addr, size = spots[kind][rng.integers(len(spots[kind]))]
    before = int.from_bytes(launch.image[addr : addr + size].tobytes(), "little")
    after = other_value(before, 8 * size, rng)
    image = launch.image.copy()
    image[addr : addr + size] = np.frombuffer(after.to_bytes(size, "little"), dtype=np.uint8)
    what = f"{launch.what}: {kind} at {addr:#x} {before:#x} -> {after:#x}"
    return dataclasses.replace(launch, image=image, what=what)


def with_moved_end(launch: Launch, rng: np.random.Generator) -> Launch:
    """Return the launch with one end of a phase's output range at or near the end of a burst.

    Most of the ends lie inside the range, so that bursts of the phase reach beyond them: at a
    multiple of the longest burst, or of a beat, of 64 bytes, or one byte off.
    """
    number = int(rng.integers(len(launch.phases)))
    phase = launch.phases[number]
    burst_bytes = launch.config.burst_beats * launch.config.mem_bytes
    longest = max(burst_bytes, ALIGNMENT_BYTES)
    unit = (longest, longest, launch.config.mem_bytes, ALIGNMENT_BYTES)[rng.integers(4)]
    low, high = phase.out_addr // unit, -(-phase.out_end // unit)
    at = unit * int(rng.integers(low, high + 1))
    offsets = (0, 0, ALIGNMENT_BYTES, -ALIGNMENT_BYTES, launch.config.mem_bytes, 1, -1)
    after = max(0, at + offsets[rng.integers(len(offsets))])
    name = ("out_addr", "out_end")[rng.integers(2)]
    phases = list(launch.phases)
    phases[number] = dataclasses.replace(phase, **{name: after})
    image = launch.image.copy()
    listed = launch.phases_addr + PHASE_DESCRIPTOR.width // 8 * number
    descriptor = image[listed : listed + PHASE_DESCRIPTOR.width // 8].view(PHASE_DESCRIPTOR.dtype)
    descriptor[name] = after
    what = f"{launch.what}: {name} of phase {number} {getattr(phase, name):#x} -> {after:#x}"
    return dataclasses.replace(launch, image=image, phases=phases, what=what)


def with_turns(launch: Launch) -> Launch:
    """Return a copy with bit 31 of every `job_count` flipped, in registers and in the list."""
    image = launch.image.copy()
    for number in range(len(launch.phases)):
        listed = launch.phases_addr + PHASE_DESCRIPTOR.width // 8 * number
        descriptor = image[listed : listed + PHASE_DESCRIPTOR.width // 8].view(
            PHASE_DESCRIPTOR.dtype
        )
        descriptor["job_count"] ^= IN_TURN
    phases = [dataclasses.replace(phase, in_turn=not phase.in_turn) for phase in launch.phases]
    what = f"{launch.what}: in turn"
    return dataclasses.replace(launch, image=image, phases=phases, what=what)


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What the contract says of a launch."""

    findings: Findings | None
    """Of the phase that has errors; None if no phase has."""
    ranges: list[tuple[int, int]]
    """Output ranges of the phases that start."""
    result: FunctionalResult | None
    """None if the launch has errors or its result depends on the order of jobs."""


def expect(launch: Launch, *, one_start: bool = False) -> Expected:
    """Check the phases in turn, each on the memory that those before leave."""
    if one_start:
        code = check_list_start(launch.phases_addr, launch.phase_count, launch.config)
        if code:
            found = Malformed(code=code, phase=NO_PHASE, job=NO_JOB)
            return Expected(
                findings=Findings(errors=(found,), disputed=False), ranges=[], result=None
            )
    result = None
    memory = launch.initial_memory()
    phases: list[Phase] = []
    ranges = []
    for number in itertools.count():
        if number == (launch.phase_count if one_start else len(launch.phases)):
            return Expected(findings=None, ranges=ranges, result=result)
        early = ()
        if one_start:
            phase, later = (
                read_phase(memory, launch.phases_addr, number + ahead) for ahead in range(2)
            )
            if phase is None:
                found = Malformed(code=ErrorCode.BUS_READ, phase=number, job=NO_JOB)
                return Expected(
                    findings=Findings(errors=(found,), disputed=False), ranges=ranges, result=None
                )
            if later is None and number + 1 < launch.phase_count:
                # fetched ahead, so that the error may be seen in either phase
                early = tuple(
                    Malformed(code=ErrorCode.BUS_READ, phase=number + ahead, job=NO_JOB)
                    for ahead in range(2)
                )
        else:
            phase = launch.phases[number]
        phases.append(phase)
        ranges.append((phase.out_addr, phase.out_end))
        findings = check_phase(launch.config, memory, phase, number=number)
        if findings.errors or findings.disputed or early:
            findings = dataclasses.replace(findings, errors=findings.errors + early)
            return Expected(findings=findings, ranges=ranges, result=None)
        try:
            result = execute(dataclasses.replace(launch, phases=phases))
        except InputError:
            # no error of a record, so that only the order of jobs can matter
            ranges += [(phase.out_addr, phase.out_end) for phase in launch.phases]
            return Expected(findings=None, ranges=ranges, result=None)
        if one_start:
            # what a list says must not change; none of these faults makes a phase write it
            again = read_phase(result.memory, launch.phases_addr, number + 1)
            assert again == later, launch.what
        memory = result.memory
    raise AssertionError("a list has an end")
