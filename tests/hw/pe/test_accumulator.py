# amaranth: UnusedElaboratable=no
"""The accumulators: any sequence of indices, both banks, END words, errors."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gscn.config import PRESETS
from gscn.hw.pe.accumulator import Accumulator
from tests.hw.streams import never, randomly, simulate

CONFIG = dataclasses.replace(PRESETS["tiny"], acc_depth=16, acc_width=24, operand_format="int8")
DEPTH, WIDTH = CONFIG.acc_depth, CONFIG.acc_width
LOW, HIGH = -(1 << (WIDTH - 1)), (1 << (WIDTH - 1)) - 1
BUBBLE = None
SEGMENT_END = "segment end"


def wrapped(value):
    return (value - LOW) % (1 << WIDTH) + LOW


def accumulate(jobs):
    """Return each job's accumulators, and the numbers of wrapped sums and dropped addends."""
    banks, overflows, drops = [], 0, 0
    for job in jobs:
        bank = dict.fromkeys(range(DEPTH), 0)
        for step in job:
            if step in (BUBBLE, SEGMENT_END):
                continue
            index, value = step
            if index not in bank:
                drops += 1
                continue
            total = bank[index] + value
            overflows += not LOW <= total <= HIGH
            bank[index] = wrapped(total)
        banks.append(list(bank.values()))
    return banks, overflows, drops


class Bench:
    """Feed jobs to an accumulator and drain each bank as soon as its job has ended."""

    def __init__(self, jobs, drain_pauses):
        self.dut = Accumulator(config=CONFIG)
        self.jobs = jobs
        self.drain_pauses = drain_pauses
        self.banks = []
        self.counts = dict.fromkeys(("segment_end", "job_end", "overflow", "address_error"), 0)

    def run(self):
        steps = sum(len(job) + 4 for job in self.jobs)
        walks = 8 * DEPTH * len(self.jobs)
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
            for step in (*job, "job end"):
                ctx.set(dut.i_valid, step is not BUBBLE)
                ends = isinstance(step, str)
                ctx.set(dut.i.end, ends)
                ctx.set(dut.i.job_end, step == "job end")
                if not ends and step is not BUBBLE:
                    ctx.set(dut.i.index, step[0])
                    ctx.set(dut.i.value, step[1])
                await ctx.tick()
            ctx.set(dut.i_valid, 0)

    async def drain(self, ctx):
        dut = self.dut
        for number in range(len(self.jobs)):
            while self.counts["job_end"] <= number:
                await ctx.tick()
            values = []
            for addr in range(DEPTH):
                ctx.set(dut.drain_addr, addr)
                ctx.set(dut.drain_bank, number % 2)
                ctx.set(dut.drain_en, 1)
                await ctx.tick()
                ctx.set(dut.drain_en, 0)
                while next(self.drain_pauses):  # drained data must stay
                    await ctx.tick()
                value = ctx.get(dut.drained)
                values.append(value - (1 << WIDTH) if value > HIGH else value)
            self.banks.append(values)
        await ctx.tick().repeat(4)


def check(jobs, drain_pauses=None):
    bench = Bench(jobs, never() if drain_pauses is None else drain_pauses)
    bench.run()
    banks, overflows, drops = accumulate(jobs)
    assert bench.banks == banks
    assert bench.counts == {
        "segment_end": len(jobs) + sum(job.count(SEGMENT_END) for job in jobs),
        "job_end": len(jobs),
        "overflow": overflows,
        "address_error": drops,
    }


@pytest.mark.parametrize("distance", [1, 2, 3, 4])
@pytest.mark.parametrize("filler", ["bubbles", "other indices"])
def test_equal_indices_at_every_distance_add_up(distance, filler):
    between = [BUBBLE if filler == "bubbles" else (8 + n, 100 + n) for n in range(distance - 1)]
    job = []
    for number in range(6):
        job += [(3, 1 << number), *between]
    check([job])


def test_forwarding_does_not_cross_a_job_end():
    check([[(3, 5)], [(3, 7)], [(3, 11)]])


def test_segment_end_keeps_the_bank():
    check([[(3, 5), SEGMENT_END, (3, 7), SEGMENT_END, (4, 1)], [(3, 2)]])


@pytest.mark.parametrize("index", [-1, -DEPTH, DEPTH, 2 * DEPTH, (1 << 17) - 1, -(1 << 17)])
def test_index_outside_is_dropped_and_reported(index):
    # equal low bits must neither be written nor forwarded
    check([[(index, 9), (index % DEPTH, 1), (index, 9), (index % DEPTH, 2)]])


@pytest.mark.parametrize("sign", [1, -1])
def test_overflow_wraps_and_is_reported_once(sign):
    extreme = HIGH if sign == 1 else LOW
    check([[(5, extreme), (5, sign), (5, sign), (5, -sign)], [(5, extreme), (6, sign)]])


step = st.one_of(
    st.just(BUBBLE),
    st.just(SEGMENT_END),
    st.tuples(st.integers(0, 3), st.integers(-100, 100)),
    st.tuples(st.integers(-2, DEPTH + 1), st.integers(LOW, HIGH)),
)


@settings(max_examples=60)
@given(st.lists(st.lists(step, max_size=30), min_size=1, max_size=4), st.booleans())
def test_any_sequence_equals_a_dictionary(jobs, stalled):
    check(jobs, randomly(7) if stalled else None)


def test_end_is_reported_after_the_latency_with_every_sum_stored():
    dut = Accumulator(config=CONFIG)
    samples = []

    async def testbench(ctx):
        ctx.set(dut.i, {"end": 0, "job_end": 0, "index": 3, "value": 21})
        ctx.set(dut.i_valid, 1)
        await ctx.tick()
        ctx.set(dut.i, {"end": 1, "job_end": 1, "index": 0, "value": 0})
        for cycle in range(6):  # cycle 0: the END is offered
            ctx.set(dut.drain_en, cycle == Accumulator.LATENCY)
            ctx.set(dut.drain_addr, 3)
            _, _, *sample = await ctx.tick().sample(dut.segment_end, dut.job_end, dut.active)
            samples.append(sample)
            ctx.set(dut.i_valid, 0)
            if cycle == Accumulator.LATENCY:
                assert ctx.get(dut.drained) == 21

    simulate(dut, testbench, cycles=20)
    ends = [[int(cycle == Accumulator.LATENCY)] * 2 for cycle in range(6)]
    assert [sample[:2] for sample in samples] == ends
    # the addend, then the END
    assert [sample[2] for sample in samples] == [1, 1, 0, 0, 0, 0]


def test_each_bank_has_a_limit_of_its_own():
    dut = Accumulator(config=CONFIG)
    samples = []
    steps = [("add", 4), ("add", 5), ("end", 0), ("add", 4), ("add", 9), ("add", 10), ("add", -1)]

    async def testbench(ctx):
        ctx.set(dut.limits, [5, 10])
        for kind, index in [*steps, (None, 0)]:
            end = kind == "end"
            ctx.set(dut.i, {"end": end, "job_end": end, "index": index, "value": 1})
            ctx.set(dut.i_valid, kind is not None)
            _, _, *sample = await ctx.tick().sample(dut.address_error, dut.bank)
            samples.append(sample)

    simulate(dut, testbench, cycles=20)
    # in the cycle after
    reported = [bank if error else None for error, bank in samples]
    assert reported == [None, None, 0, None, None, None, 1, 1]


FLOATS = dataclasses.replace(CONFIG, float_formats="fp8_e5m2")


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(LOW, HIGH), st.integers(0, 1), st.integers(0, 3)),
        max_size=25,
    )
)
def test_addends_of_floating_point_are_subtracted_and_set_special_bits(addends):
    dut = Accumulator(config=FLOATS)
    sums, specials, overflows = [0] * 3, [0] * 3, []
    for index, value, negative, special in addends:
        total = sums[index] - value if negative else sums[index] + value
        overflows.append(int(not LOW <= total <= HIGH))
        sums[index] = wrapped(total)
        specials[index] |= special
    found, seen = [], []

    async def testbench(ctx):
        for bank in range(2):  # as the drain clears both banks after reset
            await walk(ctx, bank)
        for index, value, negative, special in [*addends, (0, 0, 0, 0), (0, 0, 0, 0)]:
            fields = {"end": 0, "job_end": 0, "index": index, "value": value}
            ctx.set(dut.i, {**fields, "negative": negative, "special": special})
            ctx.set(dut.i_valid, 1)
            _, _, overflow = await ctx.tick().sample(dut.overflow)
            seen.append(overflow)
        ctx.set(dut.i_valid, 0)
        await ctx.tick().repeat(Accumulator.LATENCY)
        found.extend(await walk(ctx, 0))
        assert await walk(ctx, 0) == [(0, 0)] * 3

    async def walk(ctx, bank):
        values = []
        for addr in range(3):
            ctx.set(dut.drain_addr, addr)
            ctx.set(dut.drain_bank, bank)
            ctx.set(dut.drain_en, 1)
            await ctx.tick()
            ctx.set(dut.drain_en, 0)
            values.append((wrapped(ctx.get(dut.drained)), ctx.get(dut.drained_special)))
            await ctx.tick()
        return values

    simulate(dut, testbench, cycles=200)
    assert found == list(zip(sums, specials, strict=True))
    # an overflow is reported two cycles after its addend
    assert seen == [0, 0, *overflows]
