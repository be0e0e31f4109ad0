# amaranth: UnusedElaboratable=no
"""Checks of descriptors: what the fetcher says of every wrong field, and of none."""

from __future__ import annotations

import dataclasses

import pytest

from gscn.config import PRESETS
from gscn.error_codes import ErrorCode
from gscn.hw.cluster.fetcher import Fetcher
from gscn.latencies import DESCRIPTOR_CHUNKS
from gscn.records import JOB_DESCRIPTOR, KIND_ADD, OUT_RAW, SEGMENT_DESCRIPTOR
from tests.hw.streams import simulate

CONFIG = dataclasses.replace(PRESETS["tiny"], addr_width=36)
PES = CONFIG.pes_per_cluster
FAR = 1 << CONFIG.addr_width
ENTRY = 0x7_FFFF_FFC0
JOB = {"segment_count": 1, "out_format": 1, "shift": 47, "pitch": 1, "plane_rows": 1,
       "walk_count": CONFIG.acc_depth, "segment_addr": FAR - 64, "out_addr": FAR - 64}  # fmt: skip
MAC = {"load_addr": FAR - 64, "stream_addr": FAR - 64, "tap_count": CONFIG.taps_depth,
       "load_chunks": CONFIG.most_load_chunks, "offset_bits": 16,
       "stream_count": 0xFFFF_FFFF}  # fmt: skip
ADD = {"kind": KIND_ADD, "stream_count": PES * CONFIG.acc_depth, "tap_count": 999,
       "offset_bits": 999}  # fmt: skip


def report(job, segment, config=CONFIG):
    """Return the first error of a job with one segment, and its queue entry; None if none."""
    dut = Fetcher(config=config)
    data = JOB_DESCRIPTOR.pack(1, **job).tobytes() + SEGMENT_DESCRIPTOR.pack(1, **segment).tobytes()
    chunks = [int.from_bytes(data[n : n + 8], "little") for n in range(0, len(data), 8)]
    assert len(chunks) == 2 * DESCRIPTOR_CHUNKS
    found = []

    async def feed(ctx):
        for chunk in chunks:
            ctx.set(dut.chunks.p, chunk)
            ctx.set(dut.chunks.valid, 1)
            taken = False
            while not taken:
                _, _, taken = await ctx.tick().sample(dut.chunks.ready)
            ctx.set(dut.chunks.valid, 0)

    async def testbench(ctx):
        ctx.set(dut.job.p, ENTRY)
        ctx.set(dut.job.valid, 1)
        for port in (dut.request, dut.stream_request, dut.segment, dut.drain, dut.steps):
            ctx.set(port.ready, 1)
        for _ in range(60):
            _, _, taken, code, entry = await ctx.tick().sample(dut.job.ready, dut.error, dut.entry)
            if taken:
                ctx.set(dut.job.valid, 0)
            if code and not found:
                found.append((code, entry))

    simulate(dut, testbench, background=[feed], cycles=100)
    return found[0] if found else None


@pytest.mark.parametrize("segment", [MAC, ADD])
def test_extreme_legal_fields_are_no_errors(segment):
    assert report(JOB, segment) is None


OF_JOBS = [
    ({"segment_count": 0}, ErrorCode.JOB_SEGMENTS),
    ({"out_format": 3}, ErrorCode.JOB_FORMAT),
    ({"out_format": 0x100}, ErrorCode.JOB_FORMAT),
    ({"number_format": 1}, ErrorCode.JOB_FORMAT),
    ({"number_format": 0x8000}, ErrorCode.JOB_FORMAT),
    ({"window": 1024}, ErrorCode.JOB_FORMAT),
    ({"shift": 48}, ErrorCode.JOB_SHIFT),
    ({"shift": 64}, ErrorCode.JOB_SHIFT),
    ({"out_format": OUT_RAW, "shift": 1}, ErrorCode.JOB_SHIFT),
    ({"pitch": 0}, ErrorCode.JOB_SHAPE),
    ({"plane_rows": 0}, ErrorCode.JOB_SHAPE),
    ({"walk_count": 0}, ErrorCode.JOB_WALK),
    ({"walk_count": CONFIG.acc_depth + 1}, ErrorCode.JOB_WALK),
    ({"walk_count": 0x1_0000}, ErrorCode.JOB_WALK),
    ({"segment_addr": 32}, ErrorCode.JOB_ADDRESS),
    ({"segment_addr": FAR}, ErrorCode.JOB_ADDRESS),
    ({"out_addr": 1}, ErrorCode.JOB_ADDRESS),
    ({"out_addr": 1 << 63}, ErrorCode.JOB_ADDRESS),
]


@pytest.mark.parametrize(("fields", "code"), OF_JOBS)
def test_a_bad_job_descriptor_is_reported(fields, code):
    assert report({**JOB, **fields}, MAC) == (code, ENTRY >> 7)


FLOATS = dataclasses.replace(CONFIG, float_formats="bf16,fp8_e5m2")
FLOAT_JOB = {**JOB, "number_format": 4, "window": 1023, "out_format": 3, "shift": 0}
OF_FLOAT_JOBS = [
    ({"number_format": 2}, ErrorCode.JOB_FORMAT),
    ({"number_format": 5}, ErrorCode.JOB_FORMAT),
    ({"number_format": 0x104}, ErrorCode.JOB_FORMAT),
    ({"number_format": 0}, ErrorCode.JOB_FORMAT),
    ({"out_format": 4}, ErrorCode.JOB_FORMAT),
    ({"window": 1024}, ErrorCode.JOB_FORMAT),
    ({"window": 0x8000}, ErrorCode.JOB_FORMAT),
    ({"shift": 1}, ErrorCode.JOB_SHIFT),
    ({"out_format": OUT_RAW, "shift": 47}, ErrorCode.JOB_SHIFT),
]


@pytest.mark.parametrize(("fields", "code"), OF_FLOAT_JOBS)
def test_a_bad_job_in_floating_point_is_reported(fields, code):
    assert report({**FLOAT_JOB, **fields}, MAC, FLOATS) == (code, ENTRY >> 7)


@pytest.mark.parametrize("out_format", range(4))
@pytest.mark.parametrize("number_format", [1, 4])
def test_good_jobs_in_floating_point_are_no_errors(number_format, out_format):
    fields = {"number_format": number_format, "out_format": out_format}
    assert report({**FLOAT_JOB, **fields}, MAC, FLOATS) is None
    assert report(JOB, MAC, FLOATS) is None


OF_SEGMENTS = [
    (MAC, {"kind": 2}, ErrorCode.SEGMENT_KIND),
    (MAC, {"load_addr": 8}, ErrorCode.SEGMENT_ADDRESS),
    (ADD, {"load_addr": FAR}, ErrorCode.SEGMENT_ADDRESS),
    (MAC, {"stream_addr": FAR + 64}, ErrorCode.SEGMENT_ADDRESS),
    (MAC, {"tap_count": 0}, ErrorCode.SEGMENT_TAPS),
    (MAC, {"tap_count": CONFIG.taps_depth + 1}, ErrorCode.SEGMENT_TAPS),
    (MAC, {"load_chunks": 0}, ErrorCode.SEGMENT_LOAD),
    (MAC, {"load_chunks": CONFIG.most_load_chunks + 1}, ErrorCode.SEGMENT_LOAD),
    (MAC, {"load_chunks": 1 << 31}, ErrorCode.SEGMENT_LOAD),
    (ADD, {"load_chunks": 1}, ErrorCode.SEGMENT_LOAD),
    (MAC, {"offset_bits": 17}, ErrorCode.SEGMENT_OFFSET),
    (MAC, {"offset_bits": 32}, ErrorCode.SEGMENT_OFFSET),
    (ADD, {"stream_count": PES * CONFIG.acc_depth + 1}, ErrorCode.SEGMENT_STREAM),
]


@pytest.mark.parametrize(("segment", "fields", "code"), OF_SEGMENTS)
def test_a_bad_segment_descriptor_is_reported(segment, fields, code):
    assert report(JOB, {**segment, **fields}) == (code, ENTRY >> 7)


def test_partial_sums_are_counted_against_the_job():
    short = {**JOB, "walk_count": 5}
    assert report(short, {**ADD, "stream_count": PES * 5}) is None
    code, _ = report(short, {**ADD, "stream_count": PES * 5 + 1})
    assert code == ErrorCode.SEGMENT_STREAM


def test_of_several_errors_the_first_check_is_reported():
    wrong = {name: value for fields, _ in reversed(OF_JOBS) for name, value in fields.items()}
    job, order = dict(JOB), []
    job.update(wrong)
    while (found := report(job, MAC)) is not None:
        order.append(found[0])
        for fields, code in OF_JOBS:
            if code == found[0]:
                job.update({name: JOB.get(name, 0) for name in fields})
    assert order == sorted(order)
    assert order[0] == ErrorCode.JOB_SEGMENTS
    assert order[-1] == ErrorCode.JOB_ADDRESS
