"""Every check of a launch in memory, one wrong field at a time."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from gscn.config import PRESETS
from gscn.emulator.record_checks import check_job, written_cells
from gscn.emulator.validation import Malformed, check_phase, read_phase, validate, validate_list
from gscn.error_codes import NO_JOB, NO_PHASE, ErrorCode
from gscn.program import Phase
from gscn.records import (
    A_ENTRY,
    DIRECTORY_ENTRY,
    JOB_DESCRIPTOR,
    KIND_ADD,
    OUT_RAW,
    PARTIAL,
    PHASE_DESCRIPTOR,
    QUEUE_ENTRY,
    SEGMENT_DESCRIPTOR,
    STREAM_ITEM,
    TAP,
    TILE_HEADER,
)

TINY = PRESETS["tiny"]
PES = TINY.pes_per_cluster
LOAD, STREAM, PARTIALS, QUEUE, OUT, END = 0, 256, 384, 512, 1024, 2048
LOAD_CHUNKS = 2 + PES * 3
GOOD = {"queue_addr": QUEUE, "job_count": 2, "out_addr": OUT, "out_end": END}


def phase_with(**changes):
    """The good phase but for some fields."""
    return Phase(**{**GOOD, **changes})


def load_block(**changes):
    """Two taps; per PE one fiber of two entries. `changes` are by record, for PE 0."""

    def fields(record, **values):
        return {**values, **changes.get(record, {})}

    parts = [
        TAP.pack(last=0).view(np.uint8),
        TAP.pack(1, **fields("tap", last=1)).view(np.uint8),
    ]
    for pe in range(PES):
        own = fields if pe == 0 else lambda _, **values: values
        parts += [
            TILE_HEADER.pack(1, **own("header", directory_count=1, a_count=2)).view(np.uint8),
            DIRECTORY_ENTRY.pack(1, **own("fiber", start=0, length=2)).view(np.uint8),
            np.zeros(4, dtype=np.uint8),
            A_ENTRY.pack(value=[3, 4], offset=[0, 1]).view(np.uint8),
        ]
    return np.concatenate(parts)


def memory(*, job=(), segment=(), add=(), items=(), **changes):
    """Two jobs, the second with an ADD segment after its MAC segment; `job`... change job 1."""
    image = np.zeros(END, dtype=np.uint8)

    def put(addr, data):
        image[addr : addr + data.nbytes] = data.view(np.uint8)

    put(LOAD, load_block(**changes))
    put(STREAM, STREAM_ITEM.pack(value=[5, 0, 0, 6], code=[0, 1, 0, 2]))
    if items:
        put(STREAM, STREAM_ITEM.pack(value=items[0], code=items[1]))
    put(PARTIALS, PARTIAL.pack(value=[1, 2, 3]))
    mac = {
        "load_addr": LOAD,
        "stream_addr": STREAM,
        "load_chunks": LOAD_CHUNKS,
        "tap_count": 2,
        "stream_count": 4,
        "offset_bits": 8,
    }
    plain = {
        "out_addr": OUT,
        "segment_count": 1,
        "out_format": 1,
        "pitch": 4,
        "plane_rows": 2,
        "planes": 1,
        "walk_count": 8,
    }
    adds = {"stream_addr": PARTIALS, "kind": KIND_ADD, "stream_count": 3}
    queue = np.zeros(2, dtype=QUEUE_ENTRY)
    later = {"segment_count": 2, "segment_addr": QUEUE + 256, "out_addr": OUT + 512}
    for number, (job_fields, segment_fields) in enumerate(
        [(plain, mac), ({**plain, **later, **dict(job)}, {**mac, **dict(segment)})]
    ):
        queue[number]["job"] = JOB_DESCRIPTOR.pack(1, **job_fields)[0]
        queue[number]["segment"] = SEGMENT_DESCRIPTOR.pack(1, **segment_fields)[0]
    put(QUEUE, queue)
    put(QUEUE + 256, SEGMENT_DESCRIPTOR.pack(1, **{**adds, **dict(add)}))
    return image


def test_a_good_launch_has_no_error():
    findings = check_phase(TINY, memory(), phase_with())
    assert findings.errors == ()
    assert not findings.disputed
    assert validate(TINY, memory(), [phase_with(), phase_with()]) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *itertools.product(["load_lead", "stream_wait"], [1, TINY.read_fifo_beats + 1, 0xFFFF]),
        *itertools.product(["load_sharers", "stream_sharers"], [1, 2 * TINY.clusters + 2, 0xFF]),
    ],
)
def test_no_wait_to_share_is_an_error(field, value):
    image = memory(segment={field: value}, add={field: value})
    assert not np.array_equal(image, memory())
    assert validate(TINY, image, [phase_with()]) is None


FAR = 1 << TINY.addr_width
OF_JOB_1 = [
    ({"job": {"segment_count": 0}}, ErrorCode.JOB_SEGMENTS),
    ({"job": {"out_format": 3}}, ErrorCode.JOB_FORMAT),
    ({"job": {"number_format": 1}}, ErrorCode.JOB_FORMAT),
    ({"job": {"window": 1024}}, ErrorCode.JOB_FORMAT),
    ({"job": {"shift": 48}}, ErrorCode.JOB_SHIFT),
    ({"job": {"out_format": OUT_RAW, "shift": 1}}, ErrorCode.JOB_SHIFT),
    ({"job": {"pitch": 0}}, ErrorCode.JOB_SHAPE),
    ({"job": {"plane_rows": 0}}, ErrorCode.JOB_SHAPE),
    ({"job": {"walk_count": 0}}, ErrorCode.JOB_WALK),
    ({"job": {"walk_count": TINY.acc_depth + 1}}, ErrorCode.JOB_WALK),
    ({"job": {"segment_addr": QUEUE + 8}}, ErrorCode.JOB_ADDRESS),
    ({"job": {"out_addr": OUT + FAR}}, ErrorCode.JOB_ADDRESS),
    ({"segment": {"kind": 2}}, ErrorCode.SEGMENT_KIND),
    ({"segment": {"load_addr": FAR}}, ErrorCode.SEGMENT_ADDRESS),
    ({"add": {"load_addr": 1}}, ErrorCode.SEGMENT_ADDRESS),
    ({"segment": {"stream_addr": STREAM + 4}}, ErrorCode.SEGMENT_ADDRESS),
    ({"segment": {"tap_count": 0}}, ErrorCode.SEGMENT_TAPS),
    ({"segment": {"tap_count": TINY.taps_depth + 1}}, ErrorCode.SEGMENT_TAPS),
    ({"segment": {"load_chunks": 0}}, ErrorCode.SEGMENT_LOAD),
    ({"segment": {"load_chunks": 1 << 31}}, ErrorCode.SEGMENT_LOAD),
    ({"add": {"load_chunks": 1}}, ErrorCode.SEGMENT_LOAD),
    ({"segment": {"offset_bits": 17}}, ErrorCode.SEGMENT_OFFSET),
    ({"add": {"stream_count": 8 * PES + 1}}, ErrorCode.SEGMENT_STREAM),
    ({"job": {"out_addr": END - 64}}, ErrorCode.OUTPUT_RANGE),
    ({"job": {"out_addr": OUT - 64}}, ErrorCode.OUTPUT_RANGE),
]


@pytest.mark.parametrize(("changes", "code"), OF_JOB_1)
def test_a_bad_descriptor_names_its_job(changes, code):
    phase = phase_with(out_end=END - 64)
    expected = Malformed(code=code, phase=0, job=1)
    assert expected in check_phase(TINY, memory(**changes), phase).errors
    assert validate(TINY, memory(**changes), [phase]) == expected


OF_LENGTHS = {"header": {"directory_count": 1, "a_count": 2, "directory_format": 2}}
"""A directory of 8-bit lengths."""
OF_BOTH_JOBS = [
    ({"tap": {"last": 2}}, ErrorCode.LOAD_TAPS),
    ({"header": {"directory_count": 65, "a_count": 2}}, ErrorCode.LOAD_DIRECTORY),
    ({"header": {"directory_count": 1, "a_count": 65}}, ErrorCode.LOAD_ENTRIES),
    ({"header": {"directory_format": 3}}, ErrorCode.LOAD_FORMAT),
    ({"header": {"directory_count": 1, "a_count": 9}}, ErrorCode.LOAD_LENGTH),
    ({"header": {"directory_count": 0, "a_count": 0}}, ErrorCode.LOAD_LENGTH),
    ({"fiber": {"start": 1, "length": 2}}, ErrorCode.LOAD_FIBER),
    # the first four lengths in the four bytes; those of the padding count too
    ({**OF_LENGTHS, "fiber": {"start": 3, "length": 0}}, ErrorCode.LOAD_FIBER),
    ({**OF_LENGTHS, "fiber": {"start": 2, "length": 0x100}}, ErrorCode.LOAD_FIBER),
    ({"items": ([5, 0, 0, 6], [0, 2, 0, 2])}, ErrorCode.STREAM_TAP),
    ({"items": ([5, 0, 0, 6], [0, 0x101, 0, 2])}, ErrorCode.STREAM_TAP),
    ({"items": ([5, 0, 0, 6], [0, 1, 0, 8])}, ErrorCode.ACCUMULATOR),
    ({"items": ([5, 0, 0, 6], [0, 1, 0xFFFF, 0])}, ErrorCode.ACCUMULATOR),
]


@pytest.mark.parametrize("fiber", [{"start": 2, "length": 0}, {"start": 0x101, "length": 0}])
def test_a_directory_of_lengths_has_no_error_up_to_the_last_entry(fiber):
    assert check_phase(TINY, memory(**OF_LENGTHS, fiber=fiber), phase_with()).errors == ()


@pytest.mark.parametrize(("changes", "code"), OF_BOTH_JOBS)
def test_bad_data_is_found_in_every_job_that_uses_it(changes, code):
    errors = check_phase(TINY, memory(**changes), phase_with()).errors
    assert errors == tuple(Malformed(code=code, phase=0, job=job) for job in range(2))


@pytest.mark.parametrize(
    ("phase", "code"),
    [
        (phase_with(queue_addr=8), ErrorCode.START_ADDRESS),
        (phase_with(queue_addr=FAR), ErrorCode.START_ADDRESS),
        (phase_with(job_count=0), ErrorCode.START_JOBS),
        (phase_with(job_count=0, in_turn=True), ErrorCode.START_JOBS),
        (phase_with(out_addr=OUT + 8), ErrorCode.START_RANGE),
        (phase_with(out_end=END - 8), ErrorCode.START_RANGE),
        (phase_with(out_addr=END + 64), ErrorCode.START_RANGE),
        (phase_with(out_end=FAR + 64), ErrorCode.START_RANGE),
        (phase_with(queue_addr=END), ErrorCode.BUS_READ),
    ],
)
def test_a_phase_that_cannot_start_has_no_job(phase, code):
    assert validate(TINY, memory(), [phase_with(), phase]) == Malformed(
        code=code, phase=1, job=NO_JOB
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"job": {"segment_addr": END}},
        {"segment": {"stream_addr": END}},
        {"segment": {"stream_count": 1 << 31}},
        {"segment": {"load_addr": END}},
    ],
)
def test_reads_beyond_memory_are_bus_errors(changes):
    errors = check_phase(TINY, memory(**changes), phase_with()).errors
    assert Malformed(code=ErrorCode.BUS_READ, phase=0, job=NO_JOB) in errors


def test_descriptors_that_disagree_on_a_block_are_disputed():
    findings = check_phase(TINY, memory(segment={"load_chunks": LOAD_CHUNKS + 1}), phase_with())
    assert findings.disputed
    assert findings.errors == (Malformed(code=ErrorCode.LOAD_LENGTH, phase=0, job=1),)


def test_written_cells_are_those_of_the_walk():
    def slow(pitch, guard_cols, rows, guard_rows, planes, walk_count):
        return sum(
            cell % pitch >= guard_cols
            and cell // pitch % rows >= guard_rows
            and cell // pitch // rows < planes
            for cell in range(walk_count)
        )

    rng = np.random.default_rng(0)
    for _ in range(200):
        pitch, guard_cols, rows, guard_rows = (int(n) for n in rng.integers([1, 0, 1, 0], 6))
        case = (pitch, guard_cols, rows, guard_rows, int(rng.integers(4)), int(rng.integers(40)))
        assert written_cells(*case) == slow(*case)


def listed(*changes):
    """Return the memory of the good launch with a list behind it: a phase per dict of changes."""
    descriptors = [PHASE_DESCRIPTOR.pack(1, **{**GOOD, **change}) for change in changes]
    return np.concatenate([memory(), *(d.view(np.uint8) for d in descriptors)])


def test_a_good_list_has_no_error():
    assert validate_list(TINY, listed({}, {}), END, 2) is None


def test_a_phase_in_turn_is_read_and_judged_as_any_other():
    words = listed({}, {"job_count": 1 << 31 | 2})
    assert read_phase(words, END, 0) == phase_with()
    assert read_phase(words, END, 1) == phase_with(in_turn=True)
    assert read_phase(words, END, 1).job_word == 1 << 31 | 2
    assert validate_list(TINY, words, END, 2) is None
    # its jobs are looked at
    found = validate_list(TINY, listed({"job_count": 1 << 31 | 2, "out_end": END - 512}), END, 1)
    assert found == Malformed(code=ErrorCode.OUTPUT_RANGE, phase=0, job=1)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"queue_addr": 8}, ErrorCode.START_ADDRESS),
        ({"queue_addr": FAR}, ErrorCode.START_ADDRESS),
        ({"job_count": 0}, ErrorCode.START_JOBS),
        ({"job_count": 1 << 31}, ErrorCode.START_JOBS),
        ({"out_addr": OUT + 8}, ErrorCode.START_RANGE),
        ({"out_end": END - 8}, ErrorCode.START_RANGE),
        ({"out_addr": END + 64}, ErrorCode.START_RANGE),
        ({"out_end": FAR + 64}, ErrorCode.START_RANGE),
        ({"queue_addr": FAR - 64}, ErrorCode.BUS_READ),
    ],
)
def test_a_bad_phase_of_a_list_is_named(change, code):
    found = validate_list(TINY, listed({}, change, {}), END, 3)
    assert found == Malformed(code=code, phase=1, job=NO_JOB)


def test_an_error_in_a_phase_of_a_list_names_phase_and_job():
    found = validate_list(TINY, listed({}, {"out_end": END - 512}), END, 2)
    assert found == Malformed(code=ErrorCode.OUTPUT_RANGE, phase=1, job=1)


@pytest.mark.parametrize(
    ("phases_addr", "phase_count", "code"),
    [
        (END + 8, 1, ErrorCode.START_ADDRESS),
        (FAR, 0, ErrorCode.START_ADDRESS),
        (END, 0, ErrorCode.START_PHASES),
    ],
)
def test_a_list_that_cannot_start_has_no_phase(phases_addr, phase_count, code):
    found = validate_list(TINY, listed({}), phases_addr, phase_count)
    assert found == Malformed(code=code, phase=NO_PHASE, job=NO_JOB)


def test_a_list_beyond_memory_is_a_bus_error():
    found = validate_list(TINY, listed({}), END, 2)
    assert found == Malformed(code=ErrorCode.BUS_READ, phase=1, job=NO_JOB)


FLOATS = dataclasses.replace(TINY, float_formats="fp16,fp8_e5m2")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"number_format": 2, "window": 1023, "out_format": 3}, ErrorCode.NONE),
        ({"number_format": 4, "out_format": OUT_RAW}, ErrorCode.NONE),
        ({"number_format": 1}, ErrorCode.JOB_FORMAT),
        ({"number_format": 5}, ErrorCode.JOB_FORMAT),
        ({"number_format": 2, "window": 1024}, ErrorCode.JOB_FORMAT),
        ({"number_format": 2, "out_format": 4}, ErrorCode.JOB_FORMAT),
        ({"number_format": 0, "out_format": 3}, ErrorCode.JOB_FORMAT),
        ({"number_format": 2, "shift": 1}, ErrorCode.JOB_SHIFT),
    ],
)
def test_number_formats_are_those_of_the_core(fields, code):
    job = JOB_DESCRIPTOR.pack(1, segment_count=1, pitch=1, plane_rows=1, walk_count=1, **fields)
    assert check_job(job[0], FLOATS) == code
