# amaranth: UnusedElaboratable=no
"""Sums of products that a lane multiplies, against the emulator: windows, wraps, specials."""

from __future__ import annotations

import random

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring

from gscn.emulator.encode_arithmetic import OVERFLOW, Numbers, add_up
from gscn.encode import COEFFICIENT_BITS, WINDOW_WIDTH
from gscn.hw.encode.lane import CombineLane
from gscn.hw.encode.lane_sums import LaneResultSums, LaneSums
from tests.hw.encode import values
from tests.hw.streams import plain, reused, simulate

DIGIT, DIGITS, ROWS = 8, 3, 4


class Both(wiring.Component):
    """A lane, and sums of its first product; `alone`: of its value."""

    def __init__(self, width, *, alone):
        self.lane = CombineLane(factor_width=COEFFICIENT_BITS, window=WINDOW_WIDTH, digit=DIGIT)
        self.sums = (LaneResultSums if alone else LaneSums)(width=width)
        self.alone = alone
        super().__init__({})

    def elaborate(self, platform):
        m = Module()
        m.submodules.lane, m.submodules.sums = lane, sums = self.lane, self.sums
        m.d.comb += sums.adds.eq(lane.turn.adds)
        if self.alone:
            m.d.comb += sums.code.eq(lane.first.code)
        else:
            m.d.comb += [sums.term.eq(lane.first), sums.product.eq(lane.products[0])]
        return m


def run(items, top, width, *, alone=False):
    """Return (sum, special bits, overflow) of each (value, factor, row, begins), digit by digit."""
    dut = reused(Both, width=width, alone=alone)
    found, flags, rows = [], [], {}
    last = DIGITS - 1

    async def testbench(ctx):
        ctx.set(dut.sums.top, top)
        turns = [(*item, digit) for item in items for digit in range(DIGITS)]
        ending = None  # the row whose product is there, and whether it begins
        for cycle in range(len(turns) + LaneSums.OVERFLOW_LATENCY):
            ctx.set(dut.lane.turn, dict.fromkeys(("adds", "opens", "digit"), 0))
            now = None
            if cycle < len(turns):
                code, factor, row, begins, digit = turns[cycle]
                ctx.set(dut.lane.first, values.term(code, factor))
                ctx.set(dut.lane.turn.digit, digit)
                ctx.set(dut.lane.turn.opens, digit == 0)
                ctx.set(dut.lane.turn.adds, digit == last)
                now = (row, begins) if digit == last else None
            if ending:
                row, begins = ending
                zero = {"value": 0, "special": 0}
                ctx.set(dut.sums.before, zero if begins else rows[row])
            _, _, after, overflow = await ctx.tick().sample(dut.sums.after, dut.sums.overflow)
            flags.append(overflow)
            if ending:
                rows[row] = plain(after)
                found.append((after.value, after.special))
            ending = now

    simulate(dut, testbench, cycles=100 + 4 * len(items))
    since = LaneSums.OVERFLOW_LATENCY
    due = flags[last + since :: DIGITS]
    assert sum(flags) == sum(due)
    return [(*one, overflow) for one, overflow in zip(found, due, strict=True)]


def expected(items, top, width):
    """Return what the emulator has of the values of each row since it began."""
    numbers = Numbers(True, 32, 0, width, 0, 0, False, False)
    since = {}
    found = []
    for code, factor, row, begins in items:
        had = [] if begins else since[row]
        now = since[row] = [*had, (code, factor)]

        def summed(pairs):
            columns = np.array(pairs, dtype=np.int64).reshape(-1, 2)
            sums, specials, flags = add_up(
                columns[:, 1:], columns[:, :1], np.ones((len(columns), 1), dtype=bool),
                np.array([1023, top], dtype=np.int64), numbers,
            )  # fmt: skip
            return int(sums[1, 0]), int(specials[1, 0]), flags

        # The window of sums is too high for any of them to be reported.
        total, special, _ = summed(now)
        found.append((total, special, int(overflows(total, had, code, factor, top, numbers))))
    return found


def overflows(total, had, code, factor, top, numbers):
    """Return whether a product is beyond the window, or its sum with those before wraps."""

    def of(pairs):
        columns = np.array(pairs, dtype=np.int64).reshape(-1, 2)
        return add_up(
            columns[:, 1:], columns[:, :1], np.ones((len(columns), 1), dtype=bool),
            np.array([1023, top], dtype=np.int64), numbers,
        )  # fmt: skip

    sums, _, flags = of([(code, factor)])
    before = int(of(had)[0][1, 0]) if had else 0
    return flags & OVERFLOW != 0 or before + int(sums[1, 0]) != total


@pytest.mark.parametrize("alone", [False, True], ids=["products", "results"])
@pytest.mark.parametrize("width", [48, 41])
@pytest.mark.parametrize("top", [260, 254, 251, 190, 100, 508])
def test_sums_are_those_of_the_emulator(top, width, alone):
    source = random.Random(top * width)
    items, begun = [], set()
    for number in range(120):
        row = source.randrange(ROWS)
        begins = row not in begun or source.random() < 0.15
        begun.add(row)
        code = values.code(source, bf16=source.random() < 0.5)
        if number == 60:
            code = 0x7F800000
        factor = values.ONE if alone or source.random() < 0.3 else values.code(source)
        items.append((code, factor, row, begins))
    found = run(items, top, width, alone=alone)
    assert found == expected(items, top, width)
    assert {special for _, special, _ in found} > {0}


def test_a_sum_that_wraps_is_reported():
    # Each product is 2.25 * 2**45: two are beyond 2**47, two more are not.
    items = [(values.ONE | 1 << 22, values.ONE | 1 << 22, 1, n == 0) for n in range(4)]
    found = run(items, 2 * 127, 48)
    assert [overflow for _, _, overflow in found] == [0, 1, 0, 0]
    assert found == expected(items, 2 * 127, 48)
