# amaranth: UnusedElaboratable=no
"""The control of a cluster: what it fetches, announces and loads, and when."""

from __future__ import annotations

import dataclasses
import random

import pytest

from gscn.config import PRESETS
from hw.layouts import LoadTarget, OutFormat
from hw.loader import Loader
from tests.hw.memory import Job, Memory
from tests.hw.segments import (
    Segment,
    Tile,
    load_block,
    load_words,
    random_partials,
    random_segment,
    stream_chunks,
    stream_records,
)
from tests.hw.streams import collect, drive, never, plain, simulate, with_pauses

TINY = PRESETS["tiny"]
CONFIGS = {pes: dataclasses.replace(TINY, pes_per_cluster=pes, mem_width=512) for pes in (1, 2, 4)}
USED = {  # bits of a chunk that a target keeps
    LoadTarget.TAP: (1 << 33) - 1,
    LoadTarget.HEADER: (1 << 32) - 1,
    LoadTarget.DIRECTORY: (1 << 64) - 1,
    LoadTarget.A: (1 << 64) - 1,
}


def jobs_for(config, seed=6):
    rng = random.Random(seed)
    tile = Tile(directory=[], entries=[])
    bare = Segment(taps=[], tiles=[tile] * config.pes_per_cluster, words=[])
    fields = {"pitch": 5, "walk_count": 20}
    return [
        Job(segments=[random_segment(rng, config), random_partials(rng, config, 7)], **fields),
        Job(
            segments=[random_partials(rng, config, 0)],
            out_format=1, shift=33, pitch=300, guard_cols=3, plane_rows=40, guard_rows=4,
            planes=70000, walk_count=32768,
        ),
        Job(segments=[bare, bare, random_segment(rng, config), bare], out_format=0, **fields),
        Job(segments=[random_segment(rng, config, words=50)], **fields),
    ]  # fmt: skip


class Bench:
    """A loader, a memory, and banks that become free at the bench's pace."""

    def __init__(self, config, *, free_delay=60, pauses=never):
        self.config, self.jobs = config, jobs_for(config)
        self.segments = [segment for job in self.jobs for segment in job.segments]
        # the results' places are of no interest here: descriptors are made by hand
        self.memory = Memory(config)
        self.dut = Loader(config=config)
        self.free_delay = free_delay
        self.pauses = pauses
        self.descriptors = []
        self.blocks, self.streams = [], []
        for number, job in enumerate(self.jobs):
            records = []
            for segment in job.segments:
                block, words = load_block(segment), stream_chunks(segment)
                self.blocks.append((self.memory.store(block), len(block)))
                self.streams.append({"addr": self.memory.store(words), "chunks": len(words)})
                kind = int(segment.partials is not None)
                records += [
                    self.blocks[-1][0],
                    self.streams[-1]["addr"],
                    len(block) | len(segment.taps) << 32 | kind << 48,
                    len(stream_records(segment)) | segment.offset_bits << 32,
                    *[0] * 4,
                ]
            chunks = job.descriptor(self.memory.store(records), 4096 * number)
            self.descriptors.append(self.memory.store(chunks))
        self.loads = []
        """(segment, mask of PEs, target, bank, row, chunk)."""
        self.loaded_cycles, self.freed_cycles, self.load_cycles = [], [], []
        self.announced = []

    async def serve(self, ctx):
        """Answer requests in order, chunk by chunk."""
        dut, memory = self.dut, self.memory
        pauses = self.pauses()
        pending = []
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
                for n in range(request["chunks"]):
                    at = request["addr"] + 8 * n
                    pending.append(int.from_bytes(memory.data[at : at + 8], "little"))

    async def watch(self, ctx):
        """Record loads; free each bank some cycles after it was loaded."""
        dut, cycle = self.dut, 0
        due = []
        while True:
            frees = bool(due) and due[0] <= cycle
            if frees:
                due.pop(0)
                self.freed_cycles.append(cycle)
            ctx.set(dut.bank_free, frees)
            _, _, load_en, load, loaded = await ctx.tick().sample(dut.load_en, dut.load, dut.loaded)
            if load_en:
                self.loads.append((len(self.loaded_cycles), load_en, plain(load)))
                self.load_cycles.append(cycle)
            if loaded:
                self.loaded_cycles.append(cycle)
                due.append(cycle + self.free_delay)
            cycle += 1

    def run(self):
        dut, drains, streams = self.dut, [], []

        async def finish(ctx):
            while len(self.loaded_cycles) < len(self.segments):
                await ctx.tick()
            for _ in range(8):
                await ctx.tick()
                assert not ctx.get(dut.busy)
                assert not ctx.get(dut.load_en)
            await ctx.tick().repeat(self.free_delay)

        simulate(
            dut,
            drive(dut.job, self.descriptors),
            collect(dut.segment, self.announced, len(self.segments), self.pauses()),
            collect(dut.drain, drains, len(self.jobs), self.pauses()),
            collect(dut.stream_request, streams, len(self.segments), self.pauses()),
            finish,
            background=[self.serve, self.watch],
            cycles=4000 + 60 * sum(length for _, length in self.blocks),
        )
        self.drains, self.stream_requests = drains, streams
        return self


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@with_pauses
def test_everything_is_announced_and_loaded(config, source_pauses, sink_pauses):
    bench = Bench(config, pauses=source_pauses if source_pauses is not never else sink_pauses)
    bench.run()
    assert bench.stream_requests == bench.streams
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
        own = [(mask, load) for at, mask, load in bench.loads if at == number]
        assert all(load["bank"] == number % 2 for _, load in own)
        for pe in range(config.pes_per_cluster):
            kept = [
                (
                    load["target"],
                    load["row"] if load["target"] != LoadTarget.HEADER else 0,
                    load["chunk"] & USED[load["target"]],
                )
                for mask, load in own
                if mask >> pe & 1
            ]
            assert kept == [
                (target, row, chunk & USED[target])
                for target, row, chunk in load_words(segment, pe)
            ]


def test_a_bank_is_filled_only_when_it_is_free():
    bench = Bench(TINY, free_delay=500).run()
    for number in range(2, len(bench.segments)):
        freed = bench.freed_cycles[number - 2]
        assert bench.loaded_cycles[number] > freed
        own = [
            cycle
            for cycle, (at, *_) in zip(bench.load_cycles, bench.loads, strict=True)
            if at == number
        ]
        assert not own or own[0] > freed


def test_a_tile_costs_one_cycle_per_chunk():
    bench = Bench(TINY, free_delay=1).run()
    for number, segment in enumerate(bench.segments):
        if segment.partials is not None:
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
