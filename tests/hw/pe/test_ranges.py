# amaranth: UnusedElaboratable=no
"""The look-up of ranges: which fibers each word meets, in order, around the rings."""

from __future__ import annotations

import dataclasses
import random

import pytest

from gscn.array import ARRAYS
from gscn.hw.array_layouts import WordKind
from gscn.hw.pe.ranges import RangeLookup
from tests.hw.memories import memories_of
from tests.hw.streams import never, plain, reused, simulate, with_pauses
from tests.hw.words import Plan, random_plan

CONFIG = dataclasses.replace(ARRAYS["tiny"], stationary_depth=64, directory_depth=64)


def expected(plan):
    """Return what must be found, as numbers of `fiber_layout`."""
    config, found = plan.config, []
    for part in plan.parts:
        starts = part.chunk.starts()
        for word in part.words:
            for row in range(word["rows"] + 1):
                first = word["key"] + row * plan.row_keys - part.chunk.first_key
                start, end = starts[first], starts[first + word["span"]]
                if start == end:
                    continue
                found.append(
                    {
                        "kind": WordKind.MAC,
                        "job_end": 0,
                        "start": start % config.stationary_depth,
                        "end": end % config.stationary_depth,
                        "value": word["value"],
                        "offset": (word["offset"] + row * plan.row_step)
                        % (1 << config.index_width),
                    }
                )
        found.append({"kind": part.kind, "job_end": part.job_end})
    return found


class Bench:
    """Look all words of a plan up, part by part."""

    def __init__(self, plan, source=None, sink=None):
        self.plan, self.dut = plan, RangeLookup(config=plan.config)
        self.source, self.sink = source or never(), sink or never()
        self.found = []
        self.loaded = -1

    def run(self):
        simulate(self.dut, self.feed, background=[self.collect], cycles=20000)
        return self

    async def collect(self, ctx):
        dut = self.dut
        while True:
            ctx.set(dut.o.ready, not next(self.sink))
            _, _, valid, ready, fiber = await ctx.tick().sample(dut.o.valid, dut.o.ready, dut.o.p)
            if valid and ready:
                fiber = plain(fiber)
                tokens = ("kind", "job_end")
                is_mac = fiber["kind"] == WordKind.MAC
                self.found.append(fiber if is_mac else {name: fiber[name] for name in tokens})

    async def feed(self, ctx):
        dut, plan = self.dut, self.plan
        ctx.set(dut.row_keys, plan.row_keys)
        ctx.set(dut.row_step, plan.row_step % (1 << plan.config.index_width))
        for number, word in plan.words():
            if self.loaded != number:
                await self.load(ctx, plan.parts[number].chunk)
                self.loaded = number
            while next(self.source):
                await ctx.tick()
            ctx.set(dut.i.p, word)
            ctx.set(dut.i.valid, 1)
            taken = False
            while not taken:
                _, _, taken = await ctx.tick().sample(dut.i.ready)
            ctx.set(dut.i.valid, 0)
        while len(self.found) < len(expected(plan)):
            await ctx.tick()
        await ctx.tick().repeat(8)
        assert not ctx.get(dut.active)

    async def load(self, ctx, chunk):
        config = self.plan.config
        for key, start in enumerate(chunk.starts(), chunk.first_key):
            ctx.set(self.dut.load.key_en, 1)
            ctx.set(self.dut.load.key, key % config.directory_depth)
            ctx.set(self.dut.load.start, start % config.stationary_depth)
            await ctx.tick()
        ctx.set(self.dut.load.key_en, 0)


def check(plan, source=None, sink=None):
    bench = Bench(plan, source, sink).run()
    assert bench.found == expected(plan)


@with_pauses
@pytest.mark.parametrize(("depth", "wild"), [(4, False), (4, True), (3, False), (64, False)])
def test_random_words(source_pauses, sink_pauses, depth, wild):
    config = dataclasses.replace(CONFIG, fiber_depth=depth)
    plan = random_plan(random.Random(11), config, jobs=4, wild=wild)
    check(plan, source_pauses(), sink_pauses())


@pytest.mark.parametrize("changes", [{"directory_depth": 16}, {"stationary_depth": 16}])
def test_rings_of_other_sizes(changes):
    check(random_plan(random.Random(12), dataclasses.replace(CONFIG, **changes), jobs=12))


@pytest.mark.parametrize("row_keys", [0, 5, 16])
def test_a_word_of_sixteen_rows(row_keys):
    rng = random.Random(13)
    plan = random_plan(rng, dataclasses.replace(CONFIG, directory_depth=512), jobs=1)
    part = plan.parts[-1]
    part.chunk.fibers = [[(1, 0)] * (key % 3 == 0) for key in range(260)]
    plan.parts, plan.row_keys, plan.row_step = [part], row_keys, 9
    part.words = [
        {"value": 5, "key": part.chunk.first_key, "span": 16, "rows": 15, "offset": 500},
        {"value": 6, "key": part.chunk.first_key + 2, "span": 256, "rows": 0, "offset": 1},
    ]
    # more entries than the ring has room for would look like fewer
    plan.config = dataclasses.replace(plan.config, stationary_depth=256)
    check(plan)


def test_latency_and_one_lookup_per_cycle_empty_ones_included():
    dut = reused(RangeLookup, config=CONFIG)
    valid_cycles, ready_cycles = [], []
    # keys 0, 2 and 3 have entries
    starts = [0, 1, 1, 3, 4, 4]
    words = [(0, 3, 4), (1, 0, 1), (2, 0, 1)]  # key, rows, span 1 each

    async def testbench(ctx):
        for key, start in enumerate(starts):
            ctx.set(
                dut.load,
                {
                    "key_en": 1,
                    "key": key,
                    "start": start,
                    "entry_en": 0,
                    "entry_addr": 0,
                    "entries": [{"value": 0, "offset": 0}] * 2,
                },
            )
            await ctx.tick()
        ctx.set(dut.load.key_en, 0)
        ctx.set(dut.row_keys, 1)
        ctx.set(dut.o.ready, 1)
        pending = list(words)
        for cycle in range(12):
            ctx.set(dut.i.valid, bool(pending))
            if pending:
                key, rows, _ = pending[0]
                ctx.set(dut.i.p.key, key)
                ctx.set(dut.i.p.rows, rows)
                ctx.set(dut.i.p.span, 1)
            _, _, ready, valid = await ctx.tick().sample(dut.i.ready, dut.o.valid)
            if pending and ready:
                ready_cycles.append(cycle)
                pending.pop(0)
            if valid:
                valid_cycles.append(cycle)

    simulate(dut, testbench, cycles=60)
    # look-ups: 0, 1 (empty), 2, 3 | 1 (empty) | 2
    assert ready_cycles == [3, 4, 5]
    assert valid_cycles == [look_up + RangeLookup.LATENCY for look_up in (0, 2, 3, 5)]


@pytest.mark.parametrize("depth", [2, 4, 20])
def test_no_more_is_looked_up_than_there_are_places(depth):
    """The last depth has its queue read ahead."""
    plan = random_plan(random.Random(1), dataclasses.replace(CONFIG, fiber_depth=depth), jobs=1)
    dut = reused(RangeLookup, config=plan.config)
    blank = next(word for _, word in plan.words() if word["kind"] == WordKind.END)
    left = []

    async def testbench(ctx):
        ctx.set(dut.i.p, blank)
        taken = 0
        for cycle in range(depth + 12):
            ctx.set(dut.i.valid, 1)
            _, _, ready, active = await ctx.tick().sample(dut.i.ready, dut.active)
            assert ready == (cycle < depth)
            assert active == (cycle > 0)
            taken += ready
        ctx.set(dut.i.valid, 0)
        ctx.set(dut.o.ready, 1)
        for _ in range(depth + 2):
            left.append((await ctx.tick().sample(dut.o.valid))[-1])
        assert taken == sum(left) == depth
        assert not ctx.get(dut.active)

    simulate(dut, testbench, cycles=100)


@pytest.mark.parametrize("depth", [RangeLookup.LATENCY + 1, 64])
def test_a_fiber_per_cycle_leaves(depth):
    dut = reused(RangeLookup, config=dataclasses.replace(CONFIG, fiber_depth=depth))
    valid_cycles = []

    async def testbench(ctx):
        ctx.set(dut.i.p.kind, WordKind.MARK)
        ctx.set(dut.i.valid, 1)
        ctx.set(dut.o.ready, 1)
        for cycle in range(12):
            _, _, valid = await ctx.tick().sample(dut.o.valid)
            if valid:
                valid_cycles.append(cycle)

    simulate(dut, testbench, cycles=60)
    assert valid_cycles == list(range(RangeLookup.LATENCY, 12))


def test_the_directory_is_two_copies_read_with_a_clock():
    found = memories_of(RangeLookup(config=ARRAYS["large"]))
    assert found[1:] == [("high", 4096, 12, 1, ["sync"]), ("low", 4096, 12, 1, ["sync"])]


@pytest.mark.parametrize(("depth", "domain"), [(4, "comb"), (64, "sync")])
def test_a_queue_of_many_fibers_is_read_with_a_clock(depth, domain):
    config = dataclasses.replace(CONFIG, fiber_depth=depth)
    name, places, _, _, domains = memories_of(RangeLookup(config=config))[0]
    assert (name, places, domains) == ("fibers", depth, [domain])


def test_a_plan_meets_what_is_worked_out_by_hand():
    plan = Plan(config=CONFIG, row_keys=2, row_step=7)
    rng_plan = random_plan(random.Random(2), CONFIG, jobs=1)
    part = rng_plan.parts[-1]
    part.chunk.first_key, part.chunk.first_entry = 63, 62
    part.chunk.fibers = [[(1, 5)], [], [(2, 6), (3, 7)], [(4, 8)]]
    part.words = [{"value": 10, "key": 63, "span": 2, "rows": 1, "offset": 100}]
    plan.parts = [part]
    assert plan.products(part) == [(105, 1, 10), (113, 2, 10), (114, 3, 10), (115, 4, 10)]
    mac = {"kind": WordKind.MAC, "job_end": 0, "value": 10}
    assert expected(plan)[:-1] == [
        {**mac, "start": 62, "end": 63, "offset": 100},
        {**mac, "start": 63, "end": 2, "offset": 107},
    ]
    check(plan)
