# amaranth: UnusedElaboratable=no
"""Accumulators in several memories: any sequence of indices, both banks, ends, errors, clearing."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gscn.array import ARRAYS
from gscn.hw.array_layouts import sum_rows
from gscn.hw.pe.sums import Sums
from tests.hw.memories import memories_of
from tests.hw.streams import never, randomly, reused, simulate
from tests.hw.words import walk

CONFIG = dataclasses.replace(
    ARRAYS["tiny"], acc_depth=18, acc_width=24, operand_format="int8", drain_width=2
)
FLOATS = dataclasses.replace(CONFIG, float_formats="fp8_e5m2")
DEPTH, WIDTH = CONFIG.acc_depth, CONFIG.acc_width
LOW, HIGH = -(1 << (WIDTH - 1)), (1 << (WIDTH - 1)) - 1
PRODUCT_LOW, PRODUCT_HIGH = -(1 << 15), (1 << 15) - 1
INDICES = 1 << CONFIG.index_width
BUBBLE = None


def wrapped(value):
    return (value - LOW) % (1 << WIDTH) + LOW


def accumulate(jobs, depth):
    """Return each job's accumulators, (sum, special bits), and the wrapped and dropped ones."""
    banks, overflows, drops = [], 0, 0
    for job in jobs:
        bank = dict.fromkeys(range(depth), (0, 0))
        for step in filter(None, job):
            index, value, negative, special = (*step, 0, 0)[:4]
            if index not in bank:
                drops += 1
                continue
            total = bank[index][0] + (-value if negative else value)
            overflows += not LOW <= total <= HIGH
            bank[index] = wrapped(total), bank[index][1] | special
        banks.append(list(bank.values()))
    return banks, overflows, drops


class Bench:
    """Feed jobs to accumulators and drain each bank as soon as its job has ended."""

    def __init__(self, jobs, config, drain_pauses):
        self.dut = Sums(config=config)
        self.jobs, self.config, self.drain_pauses = jobs, config, drain_pauses
        self.banks = []
        self.counts = dict.fromkeys(("job_end", "overflow", "index_error"), 0)

    def run(self):
        steps = sum(len(job) + 8 for job in self.jobs)
        walks = 9 * sum_rows(self.config) * len(self.jobs)
        simulate(self.dut, self.feed, self.drain, background=[self.watch], cycles=steps + walks)

    async def watch(self, ctx):
        ports = [getattr(self.dut, name) for name in self.counts]
        while True:
            _, _, *pulses = await ctx.tick().sample(*ports)
            for name, pulse in zip(self.counts, pulses, strict=True):
                self.counts[name] += pulse

    async def feed(self, ctx):
        dut = self.dut
        for number, job in enumerate(self.jobs):
            while len(self.banks) < number - 1:  # this job's bank still holds the last but one
                await ctx.tick()
            for step in job:
                ctx.set(dut.i_valid, step is not BUBBLE)
                ctx.set(dut.i, {"job_end": 0, "index": step[0] if step else 0})
                await ctx.tick()
                for name, value in zip(
                    ("value", "negative", "special"), step[1:] if step else (), strict=False
                ):
                    ctx.set(dut.product[name], value)
            ctx.set(dut.i_valid, 1)
            ctx.set(dut.i.job_end, 1)
            await ctx.tick()
            ctx.set(dut.i_valid, 0)

    async def drain(self, ctx):
        for number in range(len(self.jobs)):
            while self.counts["job_end"] <= number:
                await ctx.tick()
            dut, bank = self.dut, number % 2
            self.banks.append(
                await walk(ctx, dut, self.config, bank, self.drain_pauses, dut.drained)
            )
        await ctx.tick().repeat(4)
        assert not ctx.get(self.dut.active)


def check(jobs, drain_pauses=None, config=CONFIG):
    bench = Bench(jobs, config, never() if drain_pauses is None else drain_pauses)
    bench.run()
    banks, overflows, drops = accumulate(jobs, config.acc_depth)
    assert bench.banks == banks
    assert bench.counts == {"job_end": len(jobs), "overflow": overflows, "index_error": drops}


@pytest.mark.parametrize("distance", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("filler", ["bubbles", "other indices"])
def test_equal_indices_at_every_distance_add_up(distance, filler):
    between = [BUBBLE if filler == "bubbles" else (8 + n, 100 + n) for n in range(distance - 1)]
    job = []
    for number in range(6):
        job += [(3, 1 << number), *between]
    check([job])


def test_sums_of_the_job_before_are_not_forwarded():
    check([[(3, 5)], [(3, 7)], [(3, 11), (3, 1)], [(3, 2), BUBBLE], [(3, 4)]])


def test_indices_that_differ_in_memory_or_row_alone_do_not_meet():
    check([[(4, 1), (5, 10), (6, 100), (4, 1000), (6, 10000), (5, 2), (4, 3)]])


@pytest.mark.parametrize("index", [DEPTH, DEPTH + 1, INDICES - 1])
def test_index_outside_is_dropped_and_reported(index):
    # neither may be written or forwarded
    check([[(index, 9), (index % 16, 1), (index, 9), (index % 16, 2), (index, 1)]])


@pytest.mark.parametrize("sign", [1, -1])
def test_overflow_wraps_and_is_reported_once(sign):
    extreme = PRODUCT_HIGH if sign == 1 else PRODUCT_LOW
    needed = (HIGH if sign == 1 else -LOW) // abs(extreme)
    rest = (HIGH if sign == 1 else LOW) - needed * extreme
    job = [(5, extreme)] * needed + [(5, rest), (5, sign), (5, sign), (5, -sign)]
    check([job, [(5, 1), (6, sign)]])


step = st.one_of(
    st.just(BUBBLE),
    st.tuples(st.integers(0, 3), st.integers(-100, 100)),
    st.tuples(st.integers(0, INDICES - 1), st.integers(PRODUCT_LOW, PRODUCT_HIGH)),
)
SIZES = {
    "2 memories": CONFIG,
    "1 memory": dataclasses.replace(CONFIG, drain_width=1, acc_depth=17),
    "8 memories of 3 rows": dataclasses.replace(CONFIG, drain_width=8, acc_depth=24, mem_width=512),
    "2 rows": dataclasses.replace(CONFIG, drain_width=8, acc_depth=16, mem_width=512),
}


@pytest.mark.parametrize("size", SIZES)
@settings(max_examples=15)
@given(st.lists(st.lists(step, max_size=30), min_size=1, max_size=4), st.booleans())
def test_any_sequence_equals_a_dictionary(size, jobs, stalled):
    config = SIZES[size]
    jobs = [[one and (one[0] % (1 << config.index_width), one[1]) for one in job] for job in jobs]
    check(jobs, randomly(7) if stalled else None, config)


@settings(max_examples=25)
@given(
    st.lists(
        st.lists(
            st.tuples(
                st.integers(0, 2), st.integers(LOW, HIGH), st.integers(0, 1), st.integers(0, 3)
            ),
            max_size=25,
        ),
        min_size=1,
        max_size=3,
    )
)
def test_addends_of_floating_point_are_subtracted_and_set_special_bits(jobs):
    check(jobs, config=FLOATS)


def test_an_end_is_reported_after_the_latency_with_every_sum_stored():
    dut = reused(Sums, config=CONFIG)
    samples = []

    async def testbench(ctx):
        ctx.set(dut.i, {"job_end": 0, "index": 3})
        ctx.set(dut.i_valid, 1)
        await ctx.tick()
        ctx.set(dut.product.value, 21)
        ctx.set(dut.i.job_end, 1)
        for cycle in range(Sums.LATENCY + 3):  # cycle 0: the end is offered
            ctx.set(dut.drain, {"en": cycle == Sums.LATENCY, "bank": 0, "row": 1})
            _, _, *sample = await ctx.tick().sample(dut.job_end, dut.active)
            samples.append(sample)
            ctx.set(dut.i_valid, 0)
            if cycle == Sums.LATENCY:  # one edge later
                assert [int(one["sum"]) for one in ctx.get(dut.drained)] == [0, 21]

    simulate(dut, testbench, cycles=20)
    for cycle, (ended, active) in enumerate(samples):
        assert (ended, active) == (cycle == Sums.LATENCY, cycle <= Sums.LATENCY)


@pytest.mark.parametrize("junk", [[], [(index, 99) for index in range(DEPTH)]])
def test_a_walk_of_both_banks_makes_sums_begin_at_zero_whatever_was_there(junk):
    dut = reused(Sums, config=CONFIG)

    async def testbench(ctx):
        for _ in range(2):  # fills both banks
            ctx.set(dut.i_valid, 1)
            for index, value in junk:
                ctx.set(dut.i, {"job_end": 0, "index": index})
                await ctx.tick()
                ctx.set(dut.product.value, value)
            ctx.set(dut.i, {"job_end": 1, "index": 0})
            await ctx.tick()
        ctx.set(dut.i_valid, 0)
        await ctx.tick().repeat(Sums.LATENCY)
        for expected in (99 if junk else 0, 0):  # bank 0 is in use: nothing is added yet
            for bank in range(2):
                found = await walk(ctx, dut, CONFIG, bank, never(), dut.drained)
                assert found == [(expected, 0)] * DEPTH

    simulate(dut, testbench, cycles=300)


@pytest.mark.parametrize(
    ("config", "memories"),
    [(ARRAYS["large"], 8), (dataclasses.replace(ARRAYS["large"], drain_width=1), 2)],
)
def test_each_bank_is_a_memory_for_each_sum_of_a_row_read_with_a_clock(config, memories):
    rows = config.acc_depth // config.drain_width
    found = memories_of(Sums(config=config))
    assert len(found) == memories
    assert {one[1:3] for one in found} == {(rows, config.acc_width)}
    assert all(one[3:] == (1, ["sync"]) for one in found)
