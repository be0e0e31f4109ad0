# amaranth: UnusedElaboratable=no
"""The control of a cluster: what it fetches, announces and loads, and when."""

from __future__ import annotations

import dataclasses
import itertools
import random

import pytest

from gscn.config import PRESETS
from gscn.hw.cluster.filler import Filler
from gscn.hw.cluster.loader import Loader
from gscn.hw.layouts import LoadTarget, OutFormat
from tests.hw.loading import load_payloads
from tests.hw.memory import Job, Memory
from tests.hw.segments import (
    Segment,
    Tile,
    load_block,
    random_partials,
    random_segment,
    stream_chunks,
    stream_records,
)
from tests.hw.streams import collect, drive, never, plain, simulate, with_pauses

TINY = PRESETS["tiny"]
CONFIGS = {pes: dataclasses.replace(TINY, pes_per_cluster=pes, mem_width=512) for pes in (1, 2, 4)}
URGENT_ROOMS = {
    0: 0,
    1: TINY.read_fifo_beats,
    2: TINY.read_fifo_beats - 1,
    TINY.read_fifo_beats - 1: 2,
    TINY.read_fifo_beats: 1,
    TINY.read_fifo_beats + 1: 0,
    0x100: 0,
    0xFFFF: 0,
}
"""Room from which on a stream's bursts are urgent, by `stream_wait`."""
USED = {  # bits of a chunk that a target keeps
    LoadTarget.TAP: (1 << 33) - 1,
    LoadTarget.HEADER: (1 << 33) - 1,
    LoadTarget.A: (1 << 64) - 1,
}


def kept(load):
    """Return what the target keeps of a load, and in which row.

    The start of an empty fiber means nothing.
    """
    target = load["target"]
    if target == LoadTarget.DIRECTORY:
        fibers = [
            (fiber["start"], fiber["length"]) if fiber["length"] else None
            for lane, fiber in enumerate(load["fibers"])
            if load["pairs"] >> lane // 2 & 1
        ]
        return target, load["row"], load["pairs"], fibers
    return target, load["row"] if target != LoadTarget.HEADER else 0, load["chunk"] & USED[target]


def jobs_for(config, seed=6):
    rng = random.Random(seed)
    tile = Tile(directory=[], entries=[])
    bare = Segment(taps=[], tiles=[tile] * config.pes_per_cluster, words=[])
    several = [random_segment(rng, config, words=50) for _ in range(3)]
    fields = {"pitch": 5, "walk_count": 20}
    return [
        Job(segments=[random_segment(rng, config), random_partials(rng, config, 7)], **fields),
        Job(
            segments=[random_partials(rng, config, 0)],
            out_format=1, shift=33, pitch=300, guard_cols=3, plane_rows=40, guard_rows=4,
            planes=70000, walk_count=32768,
        ),
        Job(segments=[bare, bare, random_segment(rng, config), bare], out_format=0, **fields),
        Job(segments=[several[0], several[1], several[2]], **fields),
        # the first two are held, the third takes the place of the first
        Job(segments=[several[2], several[1], several[0], several[2]], **fields),
        Job(segments=[random_partials(rng, config, 0)] * 12, **fields),
        Job(segments=[several[2]], **fields),
    ]  # fmt: skip


def placements(jobs, forget_before=()):
    """Return (bank or None, whether it must be filled) of each segment, of two banks."""
    banks, recent, found = [None, None], 0, []
    for number, job in enumerate(jobs):
        if number in forget_before:
            banks = [None, None]
        for segment in job.segments:
            if segment.partials is not None:
                found.append((None, False))
                continue
            fills = id(segment) not in banks
            recent = 1 - recent if fills else banks.index(id(segment))
            banks[recent] = id(segment)
            found.append((recent, fills))
    return found


class Bench:
    """A loader, a memory, and segments that end at the bench's pace.

    One segment used several times is stored once. `forget_before` names jobs before which the
    loader is told to forget what the banks hold.
    """

    def __init__(self, config, *, end_delay=60, pauses=never, forget_before=()):
        self.config, self.jobs = config, jobs_for(config)
        self.forget_before = forget_before
        self.placements = placements(self.jobs, forget_before)
        self.segments = [segment for job in self.jobs for segment in job.segments]
        # the results' places are of no interest here: descriptors are made by hand
        self.memory = Memory(config)
        self.dut = Loader(config=config)
        self.end_delay = end_delay
        self.pauses = pauses
        self.entries = []
        self.blocks, self.streams = [], []
        stored = {}
        waits = itertools.cycle(URGENT_ROOMS)
        sharers = itertools.cycle([0, 1, 7, 0x80, 0xFF])
        self.load_sharers = []
        for number, job in enumerate(self.jobs):
            records = []
            for segment in job.segments:
                block, words = load_block(segment), stream_chunks(segment)
                if id(segment) not in stored:
                    stored[id(segment)] = self.memory.store(block)
                self.blocks.append((stored[id(segment)], len(block)))
                wait, stream_sharers = next(waits), next(sharers)
                self.load_sharers.append(next(sharers))
                self.streams.append(
                    {
                        "addr": self.memory.store(words),
                        "chunks": len(words),
                        "urgent_room": URGENT_ROOMS[wait],
                        "sharers": stream_sharers,
                    }
                )
                kind = int(segment.partials is not None)
                records += [
                    self.blocks[-1][0],
                    self.streams[-1]["addr"],
                    len(block) | len(segment.taps) << 32 | kind << 48,
                    len(stream_records(segment)) | segment.offset_bits << 32,
                    wait | self.load_sharers[-1] << 16 | stream_sharers << 24,
                    *[0] * 3,
                ]
            chunks = job.descriptor(self.memory.store(records[8:]), 4096 * number)
            self.entries.append(self.memory.store(chunks + records[:8]))
        self.loads = []
        """(segment, mask of PEs, target, bank, row, chunk)."""
        self.loaded_cycles, self.ended_cycles, self.load_cycles = [], [], []
        self.announced = []
        self.requests = []
        """(cycle, address, chunks)."""
        self.request_sharers = []

    async def serve(self, ctx):
        """Answer requests in order, chunk by chunk."""
        dut, memory = self.dut, self.memory
        pauses = self.pauses()
        pending = []
        cycle = 0
        while True:
            offers = bool(pending) and not next(pauses)
            ctx.set(dut.chunks.valid, offers)
            if offers:
                ctx.set(dut.chunks.p, pending[0])
            accepts = len(pending) < 40
            ctx.set(dut.request.ready, accepts)
            _, _, taken, valid, request = await ctx.tick().sample(
                dut.chunks.ready, dut.request.valid, dut.request.p
            )
            if offers and taken:
                pending.pop(0)
            if valid and accepts:
                request = plain(request)
                assert request["urgent_room"] == 0  # of the load channel `lead` says
                self.requests.append((cycle, request["addr"], request["chunks"]))
                self.request_sharers.append(request["sharers"])
                for n in range(request["chunks"]):
                    at = request["addr"] + 8 * n
                    pending.append(int.from_bytes(memory.data[at : at + 8], "little"))
            cycle += 1

    async def watch(self, ctx):
        """Record loads; end each segment some cycles after it was loaded."""
        dut, cycle = self.dut, 0
        due = []
        while True:
            ends = bool(due) and due[0] <= cycle
            if ends:
                due.pop(0)
                self.ended_cycles.append(cycle)
            ctx.set(dut.segment_end, ends)
            _, _, load_en, load, loaded = await ctx.tick().sample(dut.load_en, dut.load, dut.loaded)
            if load_en:
                self.loads.append((len(self.loaded_cycles), load_en, plain(load)))
                self.load_cycles.append(cycle)
            if loaded:
                self.loaded_cycles.append(cycle)
                due.append(cycle + self.end_delay)
            assert len(due) <= Filler.SEGMENTS
            cycle += 1

    def run(self):
        dut, drains, streams = self.dut, [], []

        async def give(ctx):
            given = 0
            for number, (entry, job) in enumerate(zip(self.entries, self.jobs, strict=True)):
                if number in self.forget_before:
                    while len(self.loaded_cycles) < given:
                        await ctx.tick()
                    ctx.set(dut.forget, 1)
                    await ctx.tick()
                    ctx.set(dut.forget, 0)
                await drive(dut.job, [entry])(ctx)
                given += len(job.segments)

        async def finish(ctx):
            while len(self.loaded_cycles) < len(self.segments):
                await ctx.tick()
            for _ in range(8):
                await ctx.tick()
                assert not ctx.get(dut.busy)
                assert not ctx.get(dut.load_en)
            await ctx.tick().repeat(self.end_delay)

        simulate(
            dut,
            give,
            collect(dut.segment, self.announced, len(self.segments), self.pauses()),
            collect(dut.drain, drains, len(self.jobs), self.pauses()),
            collect(dut.stream_request, streams, len(self.segments), self.pauses()),
            finish,
            background=[self.serve, self.watch],
            cycles=4000
            + 2 * self.end_delay * len(self.segments)
            + 60 * sum(length for _, length in self.blocks),
        )
        self.drains, self.stream_requests = drains, streams
        return self


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@with_pauses
def test_everything_is_announced_and_loaded(config, source_pauses, sink_pauses):
    bench = Bench(config, pauses=source_pauses if source_pauses is not never else sink_pauses)
    bench.run()
    assert bench.stream_requests == bench.streams
    for announced, (bank, _) in zip(bench.announced, bench.placements, strict=True):
        assert bank in (None, announced.pop("bank"))
    assert bench.announced == [
        {
            "stream_count": len(stream_records(segment)),
            "offset_bits": segment.offset_bits,
            "add": int(segment.partials is not None),
            "first": int(n == 0),
            "last": int(n == len(job.segments) - 1),
        }
        for job in bench.jobs
        for n, segment in enumerate(job.segments)
    ]
    assert bench.drains == [
        {
            "out_addr": 4096 * number,
            "out_format": OutFormat(job.out_format),
            **{
                name: getattr(job, name)
                for name in (
                    "shift", "pitch", "guard_cols", "plane_rows", "guard_rows", "planes",
                    "walk_count",
                )
            },
        }
        for number, job in enumerate(bench.jobs)
    ]  # fmt: skip
    # what each PE keeps of each segment, in any order between PEs
    for number, segment in enumerate(bench.segments):
        bank, fills = bench.placements[number]
        own = [(mask, load) for at, mask, load in bench.loads if at == number]
        assert all(load["bank"] == bank for _, load in own)
        if not fills:
            assert not own
            continue
        for pe in range(config.pes_per_cluster):
            kept_loads = [kept(load) for mask, load in own if mask >> pe & 1]
            assert kept_loads == [kept(load) for load in load_payloads(segment, pe)]


def first_load(bench, number):
    return next(
        cycle
        for cycle, (at, *_) in zip(bench.load_cycles, bench.loads, strict=True)
        if at == number
    )


def test_a_bank_is_filled_only_when_no_segment_uses_it():
    bench = Bench(TINY, end_delay=500).run()
    waited = 0
    for number, (bank, fills) in enumerate(bench.placements):
        users = [n for n in range(number) if bench.placements[n][0] == bank]
        if fills and users:
            assert first_load(bench, number) > bench.ended_cycles[users[-1]]
            waited += 1
    assert waited > 2


def test_a_block_that_a_bank_holds_is_not_requested_again():
    bench = Bench(TINY)
    bench.run()
    filled = [bench.blocks[n] for n, (_, fills) in enumerate(bench.placements) if fills]
    addresses = {addr for addr, chunks in bench.blocks if chunks}
    loads = [request[1:] for request in bench.requests if request[1] in addresses]
    macs = [s for s in bench.segments if s.partials is None]
    assert loads == filled
    assert len(filled) < len(macs)


def test_load_blocks_are_requested_with_the_sharers_of_their_segment():
    bench = Bench(TINY).run()
    filling = [n for n, (_, fills) in enumerate(bench.placements) if fills]
    addresses = {addr for addr, chunks in bench.blocks if chunks}
    requests = zip(bench.requests, bench.request_sharers, strict=True)
    asked = [(addr, sharers) for (_, addr, _), sharers in requests]
    loads = [(addr, sharers) for addr, sharers in asked if addr in addresses]
    assert loads == [(bench.blocks[n][0], bench.load_sharers[n]) for n in filling]
    assert len({sharers for _, sharers in loads}) > 2
    assert all(sharers == 0 for addr, sharers in asked if addr not in addresses)


def test_what_the_banks_hold_is_forgotten_on_request():
    last = len(jobs_for(TINY)) - 1
    remembers = Bench(TINY).run()
    forgets = Bench(TINY, forget_before=(last,)).run()
    addr = remembers.blocks[-1][0]
    times = [sum(request[1] == addr for request in b.requests) for b in (remembers, forgets)]
    assert times[1] == times[0] + 1
    assert (remembers.placements[-1][1], forgets.placements[-1][1]) == (False, True)


def test_a_tile_costs_one_cycle_per_chunk():
    bench = Bench(TINY, end_delay=1).run()
    for number, (_, fills) in enumerate(bench.placements):
        if not fills:
            continue
        own = [
            cycle
            for cycle, (at, *_) in zip(bench.load_cycles, bench.loads, strict=True)
            if at == number
        ]
        chunks = bench.blocks[number][1]
        assert len(own) == chunks
        # between taps, header, directory and entries one cycle is spent on moving on
        moves = 1 + 2 * TINY.pes_per_cluster
        assert bench.loaded_cycles[number] - own[0] <= chunks - 1 + moves


def test_the_next_descriptor_and_block_are_requested_before_a_block_is_loaded():
    bench = Bench(TINY, end_delay=200).run()
    requested = {}
    for cycle, addr, _ in bench.requests:
        requested.setdefault(addr, cycle)
    first = bench.segments.index(bench.jobs[3].segments[0])
    for number in range(first + 1, first + 3):
        # the block before waits for its bank; this one does not wait for it
        assert requested[bench.blocks[number][0]] < bench.loaded_cycles[number - 1]
    filled = sum(fills for _, fills in bench.placements)
    # an entry per job, a descriptor per further segment, a block per bank filled
    assert len(bench.requests) == len(bench.segments) + filled
    assert [chunks for *_, chunks in bench.requests].count(16) >= len(bench.jobs)
