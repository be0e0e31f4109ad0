# amaranth: UnusedElaboratable=no
"""The walk of fibers in a ring: one product per entry and cycle, in order, and marks between."""

from __future__ import annotations

import dataclasses
import itertools
import random

import pytest

from gscn.array import ARRAYS
from gscn.formats import NUMBER_FORMATS
from gscn.hw.array_layouts import WordKind
from gscn.hw.pe.ring import RingWalker
from tests import floats
from tests.hw.memories import memories_of
from tests.hw.streams import never, plain, randomly, reused, simulate

CONFIG = dataclasses.replace(ARRAYS["tiny"], stationary_depth=32)
DEPTH, INDICES = CONFIG.stationary_depth, 1 << CONFIG.index_width
END_OF_JOB = "end of job"


def fiber(start, length, value=3, offset=0):
    return {
        "kind": WordKind.MAC, "job_end": 0, "start": start % DEPTH, "end": (start + length) % DEPTH,
        "value": value, "offset": offset,
    }  # fmt: skip


def token(kind, job_end=0):
    # what else it carries means nothing
    return {"kind": kind, "job_end": job_end, "start": 5, "end": 9, "value": 7, "offset": 1}


MARK = token(WordKind.MARK, job_end=1)
ENDS = token(WordKind.END), token(WordKind.END, job_end=1)


def expected(entries, fibers):
    """Return what must leave: (index, value) of products, and ends of jobs."""
    found = []
    for one in fibers:
        if one["kind"] == WordKind.MAC:
            length = (one["end"] - one["start"]) % DEPTH
            for number in range(one["start"], one["start"] + length):
                value, offset = entries[number % DEPTH]
                found.append(((offset + one["offset"]) % INDICES, value * one["value"]))
        elif one["kind"] == WordKind.END and one["job_end"]:
            found.append(END_OF_JOB)
    return found


class Bench:
    """Load entries, walk fibers, and keep all that leaves with its cycle."""

    def __init__(self, entries, fibers, *, pauses=None, config=CONFIG, mode=None):
        self.dut = RingWalker(config=config)
        self.entries, self.fibers, self.mode = entries, fibers, mode
        self.pauses = pauses or never()
        self.addends, self.cycles = [], []
        self.pulses = {"issues": [], "mark": [], "overflow": []}
        self.taken = []

    def run(self):
        simulate(self.dut, self.feed, background=[self.watch], cycles=600 + 40 * len(self.fibers))
        return self

    async def watch(self, ctx):
        dut = self.dut
        pulses = [name for name in self.pulses if hasattr(dut, name)]
        ports = [getattr(dut, name) for name in pulses]
        for cycle in itertools.count():
            _, _, valid, addend, product, active, taken, *values = await ctx.tick().sample(
                dut.o_valid, dut.o, dut.product, dut.active, dut.i.valid & dut.i.ready, *ports
            )
            due = self.cycles and self.cycles[-1] == cycle - RingWalker.PRODUCT_LATENCY
            if due and self.addends[-1] != END_OF_JOB:
                self.addends[-1] |= plain(product)
            if taken:
                self.taken.append(cycle)
            for name, value in zip(pulses, values, strict=True):
                if value:
                    self.pulses[name].append(cycle)
            if valid:
                assert active
                self.cycles.append(cycle)
                addend = plain(addend)
                self.addends.append(END_OF_JOB if addend["job_end"] else addend)

    async def feed(self, ctx):
        dut = self.dut
        if self.mode is not None:
            number = NUMBER_FORMATS.index(self.mode.fmt)
            ctx.set(dut.mode, {"number_format": number, "window": self.mode.top})
        await load(ctx, dut, 0, self.entries)
        for one in self.fibers:
            while next(self.pauses):
                await ctx.tick()
            ctx.set(dut.i.p, one)
            ctx.set(dut.i.valid, 1)
            taken = False
            while not taken:
                _, _, taken = await ctx.tick().sample(dut.i.ready)
            ctx.set(dut.i.valid, 0)
        await ctx.tick().repeat(12)
        assert not ctx.get(dut.active)


async def load(ctx, dut, first, entries, portions=(2,)):
    """Write entries from number `first` on, in portions of one or two in turn."""
    entries = [{"value": value, "offset": offset} for value, offset in entries]
    sizes = itertools.cycle(portions)
    while entries:
        size = min(next(sizes), len(entries))
        lanes = [*entries[:size], {"value": 77, "offset": 7}][:2]
        ctx.set(dut.load.entry_en, (1 << size) - 1)
        ctx.set(dut.load.entry_addr, first % DEPTH)
        ctx.set(dut.load.entries, lanes)
        await ctx.tick()
        first, entries = first + size, entries[size:]
    ctx.set(dut.load.entry_en, 0)


def check(entries, fibers, **options):
    bench = Bench(entries, fibers, **options).run()
    products = [one if one == END_OF_JOB else (one["index"], one["value"]) for one in bench.addends]
    assert products == expected(entries, fibers)
    kinds = [one["kind"] for one in fibers]
    # marks pulse in the cycle after their fiber is taken
    marked = [
        cycle + RingWalker.MARK_LATENCY
        for cycle, kind in zip(bench.taken, kinds, strict=True)
        if kind != WordKind.MAC
    ]
    assert bench.pulses["mark"] == marked
    assert len(bench.pulses["issues"]) == sum(one != END_OF_JOB for one in products)
    return bench


def random_entries(rng):
    return [(rng.randint(-999, 999), rng.randrange(INDICES)) for _ in range(DEPTH)]


@pytest.mark.parametrize("share", [0.0, 0.5], ids=["no pause", "idle source"])
def test_random_fibers_marks_and_ends(share):
    rng = random.Random(5)
    fibers = []
    for _ in range(60):
        choice = rng.random()
        if choice < 0.75:
            length = rng.choice((1, 2, 3, rng.randint(1, DEPTH - 1)))
            offset = rng.randrange(INDICES)
            fibers.append(fiber(rng.randrange(DEPTH), length, rng.randint(-9, 9), offset))
        else:
            fibers.append(rng.choice((MARK, *ENDS)))
    check(random_entries(rng), fibers, pauses=randomly(6, share))


def test_fibers_begin_and_end_in_either_memory_and_around_the_ring():
    fibers = [fiber(start, length) for start in (0, 1, 30, 31) for length in (1, 2, 3, 4)]
    check([(10 + n, n) for n in range(DEPTH)], fibers)


@pytest.mark.parametrize("portions", [(1,), (2,), (1, 2), (2, 1, 1)])
@pytest.mark.parametrize("first", [0, 1, DEPTH - 1])
def test_entries_are_loaded_wherever_they_begin(first, portions):
    dut = reused(RingWalker, config=CONFIG)
    found, due = [], False

    async def testbench(ctx):
        nonlocal due
        await load(ctx, dut, 0, [(500, 0)] * DEPTH)
        await load(ctx, dut, first, [(n + 1, n) for n in range(9)], portions)
        ctx.set(dut.i.valid, 1)
        ctx.set(dut.i.p, fiber(first - 1, 11, value=1))
        for _ in range(11 + RingWalker.LATENCY + RingWalker.PRODUCT_LATENCY):
            _, _, valid, value = await ctx.tick().sample(dut.o_valid, dut.product.value)
            if due:
                found.append(value)
            due = valid

    simulate(dut, testbench, cycles=80)
    assert found == [500, *range(1, 10), 500]


@pytest.mark.parametrize("low", [True, False])
@pytest.mark.parametrize("operand_format", ["int8", "int16"])
def test_products_of_extremes_are_exact(operand_format, low):
    config = dataclasses.replace(CONFIG, operand_format=operand_format)
    extremes = (config.format.minimum, config.format.maximum)
    check([(value, 0) for value in extremes], [fiber(0, 2, extremes[low])], config=config)


def test_latency_and_one_product_per_cycle_across_fibers():
    fibers = [fiber(0, 3), fiber(3, 1), MARK, fiber(7, 4), ENDS[1], fiber(2, 1)]
    bench = check([(1, 0)] * DEPTH, fibers)
    first = bench.pulses["issues"][0]
    issued = [first + n for n in (0, 1, 2, 3, 5, 6, 7, 8, 10)]
    assert bench.pulses["issues"] == issued
    leave = sorted([*issued, first + 9])
    assert bench.cycles == [cycle + RingWalker.LATENCY for cycle in leave]


def test_an_entry_may_be_overwritten_when_a_mark_behind_it_is_reported():
    dut = reused(RingWalker, config=CONFIG)
    found = []

    async def watch(ctx):
        due = False
        while True:
            _, _, valid, value = await ctx.tick().sample(dut.o_valid, dut.product.value)
            if due:
                found.append(value)
            due = valid

    async def testbench(ctx):
        await load(ctx, dut, 0, [(4, 0), (5, 0)])
        for one in (fiber(0, 1, 10), fiber(1, 1, 10), MARK):
            ctx.set(dut.i.p, one)
            ctx.set(dut.i.valid, 1)
            await ctx.tick()
        ctx.set(dut.i.valid, 0)
        assert ctx.get(dut.mark)
        await load(ctx, dut, 0, [(8, 0), (9, 0)])
        await ctx.tick().repeat(6)

    simulate(dut, testbench, background=[watch], cycles=40)
    assert found == [40, 50]


@pytest.mark.parametrize("fmt", NUMBER_FORMATS[1:], ids=lambda fmt: fmt.name)
def test_products_of_floating_point_come_after_their_latency(fmt):
    config = dataclasses.replace(CONFIG, float_formats="bf16,fp16,fp8_e4m3,fp8_e5m2")
    mode = floats.Mode(fmt, 2 * fmt.bias + 4)
    rng = random.Random(8)

    def code():
        return floats.signed(rng.randrange(1 << fmt.width), 16)

    entries = [(code(), 0) for _ in range(DEPTH)]
    fibers = [fiber(n, 30, code(), 0) for n in range(6)]
    fibers.append(ENDS[1])
    bench = Bench(entries, fibers, config=config, mode=mode).run()
    found, overflows = [], []
    for one in fibers[:-1]:
        for number in range(30):
            entry = entries[(one["start"] + number) % DEPTH][0]
            addend, special, left = floats.product(entry, one["value"], mode, config.acc_width)
            found.append((addend, special))
            overflows.append(left)
    products = [
        (-one["value"] if one["negative"] else one["value"], one["special"])
        for one in bench.addends[:-1]
    ]
    assert products == found
    assert bench.addends[-1] == END_OF_JOB
    first = bench.pulses["issues"][0] + RingWalker.FLOAT_LATENCY
    assert bench.cycles == [first + n for n in range(181)]
    left = [
        first + number + RingWalker.PRODUCT_LATENCY for number, one in enumerate(overflows) if one
    ]
    assert bench.pulses["overflow"] == left


def test_entries_are_two_memories_read_with_a_clock():
    assert memories_of(RingWalker(config=ARRAYS["large"])) == [
        ("entries0", 2048, 28, 1, ["sync"]),
        ("entries1", 2048, 28, 1, ["sync"]),
    ]
