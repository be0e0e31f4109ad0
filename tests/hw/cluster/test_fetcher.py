# amaranth: UnusedElaboratable=no
"""What the fetcher asks for and announces, of descriptors made by hand."""

from __future__ import annotations

import dataclasses

import pytest

from gscn.config import PRESETS
from gscn.error_codes import ErrorCode
from gscn.hw.cluster.fetcher import DESCRIPTOR_CHUNKS, ENTRY_CHUNKS, Fetcher
from gscn.hw.layouts import StepKind
from gscn.records import AT_ONCE, JOB_DESCRIPTOR, KIND_ADD, SEGMENT_DESCRIPTOR
from tests.hw.streams import collect, drive, in_runs, never, plain, simulate

CONFIG = dataclasses.replace(PRESETS["tiny"], acc_depth=256)
SIZE = SEGMENT_DESCRIPTOR.width // 8
JOB = {"out_addr": 0x8000, "out_format": 1, "shift": 3, "pitch": 5, "guard_cols": 1,
       "plane_rows": 6, "guard_rows": 2, "planes": 7, "walk_count": 30,
       "segment_addr": 0x4000}  # fmt: skip


def mac(number, load_addr, **fields):
    """Return a segment that loads a block; its numbers tell it from others."""
    return {
        "load_addr": load_addr,
        "load_chunks": 10 + number,
        "load_lead": 20 + number,
        "load_sharers": number,
        "tap_count": 1 + number,
        "stream_addr": 0x10000 + 64 * number,
        "stream_count": 7 + number,
        "offset_bits": number,
    } | fields


def add(number):
    return {"kind": KIND_ADD, "stream_addr": 0x20000 + 64 * number, "stream_count": 3 + number}


def words(record, fields):
    data = record.pack(1, **fields).tobytes()
    return [int.from_bytes(data[place : place + 8], "little") for place in range(0, len(data), 8)]


class Bench:
    """A fetcher whose chunks come as it asks for descriptors, whatever the addresses."""

    def __init__(self, jobs, *, pauses=never, forget_before=()):
        self.jobs, self.pauses = jobs, pauses
        self.forget_before = forget_before
        self.dut = Fetcher(config=CONFIG)
        self.requests, self.streams, self.segments = [], [], []
        self.drains, self.steps, self.leads = [], [], []
        self.chunks = []
        for segments in jobs:
            self.chunks += words(JOB_DESCRIPTOR, JOB | {"segment_count": len(segments)})
            for segment in segments:
                self.chunks += words(SEGMENT_DESCRIPTOR, segment)

    async def start(self, ctx):
        dut = self.dut
        for number in range(len(self.jobs)):
            ctx.set(dut.forget, number in self.forget_before)
            await ctx.tick()
            ctx.set(dut.forget, 0)
            ctx.set(dut.job.p, 128 * (number + 1))
            ctx.set(dut.job.valid, 1)
            taken = False
            while not taken:
                _, _, taken = await ctx.tick().sample(dut.job.ready)
            ctx.set(dut.job.valid, 0)
            assert ctx.get(dut.entry) == number + 1
            busy = True
            while busy:
                _, _, busy, error = await ctx.tick().sample(dut.busy, dut.error)
                assert not error
        assert ctx.get(dut.walk_count) == JOB["walk_count"]

    async def watch_leads(self, ctx):
        """Record `lead` after each request."""
        dut, taken = self.dut, False
        async for _, _, lead, valid, ready in ctx.tick().sample(
            dut.lead, dut.request.valid, dut.request.ready
        ):
            if taken:
                self.leads.append(lead)
            taken = valid and ready

    def run(self):
        dut, count = self.dut, sum(map(len, self.jobs))
        simulate(
            dut,
            self.start,
            drive(dut.chunks, self.chunks, self.pauses()),
            collect(dut.stream_request, self.streams, count, self.pauses()),
            collect(dut.segment, self.segments, count, self.pauses()),
            collect(dut.drain, self.drains, len(self.jobs), self.pauses()),
            background=[
                self.watch_leads,
                take(dut.request, self.requests),
                take(dut.steps, self.steps),
            ],
            cycles=4000,
        )


def take(port, received):
    """Return a background testbench that takes all words."""

    async def taker(ctx):
        ctx.set(port.ready, 1)
        async for _, _, valid, payload in ctx.tick().sample(port.valid, port.p):
            if valid:
                received.append(plain(payload))

    return taker


def fill(number, bank):
    return {"kind": StepKind.FILL, "bank": bank, "count": 1 + number, "chunks": 10 + number}


def held(bank):
    return {"kind": StepKind.HELD, "bank": bank}


NONE = {"kind": StepKind.NONE}
FETCH = {"kind": StepKind.DESCRIPTOR}


def kinds(steps):
    """Return of each step what its kind gives a meaning to."""
    found = []
    for step in steps:
        keys = {
            StepKind.FILL: ("kind", "bank", "count", "chunks"),
            StepKind.HELD: ("kind", "bank"),
        }.get(step["kind"], ("kind",))
        found.append({key: step[key] for key in keys})
    return found


@pytest.mark.parametrize("pauses", [never, lambda: in_runs(5)], ids=["no pause", "pauses"])
def test_a_job_is_asked_for_and_announced_in_order(pauses):
    segments = [mac(0, 0x1000), mac(1, 0x2000), add(2)]
    bench = Bench([segments], pauses=pauses)
    bench.run()
    (drain,) = bench.drains
    announced = {name: value for name, value in JOB.items() if name != "segment_addr"}
    assert {name: getattr(drain[name], "value", drain[name]) for name in announced} == announced
    # the next descriptor is asked for before the load block, that of no segment after the last
    entry, following = JOB["segment_addr"], JOB["segment_addr"] + SIZE
    assert [(r["addr"], r["chunks"], r["sharers"]) for r in bench.requests] == [
        (128, ENTRY_CHUNKS, 0),
        (entry, DESCRIPTOR_CHUNKS, 0),
        (0x1000, 10, 0),
        (following, DESCRIPTOR_CHUNKS, 0),
        (0x2000, 11, 1),
    ]
    assert bench.leads == [AT_ONCE, AT_ONCE, 20, AT_ONCE, 21]
    assert kinds(bench.steps) == [FETCH, FETCH, fill(0, 1), FETCH, fill(1, 0), NONE]
    # two items are a chunk, a partial sum is one
    assert [(s["addr"], s["chunks"]) for s in bench.streams] == [
        (0x10000, 4),
        (0x10040, 4),
        (0x20080, 5),
    ]
    assert [
        tuple(s[name] for name in ("stream_count", "offset_bits", "add", "first", "last"))
        for s in bench.segments
    ] == [(7, 0, 0, 1, 0), (8, 1, 0, 0, 0), (5, 0, 1, 0, 1)]
    assert [s["bank"] for s in bench.segments[:2]] == [1, 0]


def test_a_block_that_a_bank_holds_is_not_loaded_again():
    first, second, third = mac(0, 0x1000), mac(1, 0x2000), mac(2, 0x3000)
    bench = Bench([[first, second], [second, first, third, first, second]])
    bench.run()
    loads = [step for step in kinds(bench.steps) if step != FETCH]
    # the third takes the place of the second: not of the first, which was used last
    assert loads == [fill(0, 1), fill(1, 0), held(0), held(1), fill(2, 0), held(1), fill(1, 0)]
    assert [s["bank"] for s in bench.segments] == [1, 0, 0, 1, 0, 1, 0]


def test_what_is_forgotten_is_loaded_again():
    segment = mac(0, 0x1000)
    bench = Bench([[segment], [segment], [segment]], forget_before=[2])
    bench.run()
    assert [step for step in kinds(bench.steps) if step != FETCH] == [
        fill(0, 1),
        held(1),
        fill(0, 0),
    ]


def test_additions_leave_the_banks_alone():
    segment = mac(0, 0x1000)
    bench = Bench([[segment, add(1), segment, add(2)]])
    bench.run()
    assert [step for step in kinds(bench.steps) if step != FETCH] == [
        fill(0, 1),
        NONE,
        held(1),
        NONE,
    ]


@pytest.mark.parametrize(
    ("wait", "room"),
    [(0, 0), (1, 8), (7, 2), (8, 1), (9, 0), (AT_ONCE, 0)],
)
def test_a_wait_becomes_the_room_from_which_on_a_stream_is_urgent(wait, room):
    assert CONFIG.read_fifo_beats == 8
    bench = Bench([[mac(0, 0x1000, stream_wait=wait, stream_sharers=3)]])
    bench.run()
    (stream,) = bench.streams
    assert stream["sharers"] == 3
    assert stream["urgent_room"] == room


def test_a_bad_descriptor_is_reported_while_it_is_there():
    dut, seen = Fetcher(config=CONFIG), []
    chunks = words(JOB_DESCRIPTOR, JOB | {"segment_count": 0})

    async def testbench(ctx):
        ctx.set(dut.job.valid, 1)
        ctx.set(dut.request.ready, 1)
        ctx.set(dut.steps.ready, 1)
        await ctx.tick()
        for chunk in chunks:
            seen.append(ctx.get(dut.error))
            ctx.set(dut.chunks.p, chunk)
            ctx.set(dut.chunks.valid, 1)
            await ctx.tick()
        ctx.set(dut.chunks.valid, 0)
        seen.append(ctx.get(dut.error))
        assert not ctx.get(dut.chunks.ready)

    simulate(dut, testbench, cycles=100)
    assert seen == [ErrorCode.NONE] * len(chunks) + [ErrorCode.JOB_SEGMENTS]
