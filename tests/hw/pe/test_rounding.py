# amaranth: UnusedElaboratable=no
"""The rounder against Python's integers and fractions."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gscn.hw.layouts import OutFormat
from gscn.hw.pe.rounding import Rounder
from tests.hw.streams import never, randomly, reused, simulate

WIDTHS = (24, 33, 48)
BITS = {OutFormat.INT16: 16, OutFormat.INT32: 32, OutFormat.RAW: 64}


def reference(value, shift, out_format):
    """Return (result, saturated); `round` of a fraction resolves ties to even."""
    if out_format == OutFormat.RAW:
        return value, 0
    exact = round(Fraction(value, 1 << shift))
    limit = 1 << (BITS[out_format] - 1)
    result = min(max(exact, -limit), limit - 1)
    return result, int(result != exact)


def rounded(width, values, shift, out_format, stalls):
    """Return (result, saturated) of each value; `stalls` says when `en` is low."""
    dut = reused(Rounder, width=width)
    o = dut.o[: BITS[out_format]].as_signed()
    results = []

    async def testbench(ctx):
        ctx.set(dut.shift, shift)
        ctx.set(dut.out_format, out_format)
        advances = 0
        while advances < len(values) + Rounder.LATENCY:
            stalled = next(stalls)
            ctx.set(dut.en, not stalled)
            # while `en` is low the input is not taken: show something else
            value = values[advances] if advances < len(values) else 0
            ctx.set(dut.i, ~value if stalled else value)
            before = (ctx.get(o), ctx.get(dut.saturated))
            _, _, *sample = await ctx.tick().sample(o, dut.saturated)
            assert tuple(sample) == before
            if stalled:
                assert (ctx.get(o), ctx.get(dut.saturated)) == before
            else:
                if advances >= Rounder.LATENCY:
                    results.append(before)
                advances += 1

    simulate(dut, testbench, cycles=100 + 20 * len(values))
    return results


@pytest.mark.parametrize("stalled", [False, True], ids=["no stall", "stalls"])
@pytest.mark.parametrize("out_format", list(BITS))
@pytest.mark.parametrize("width", WIDTHS)
def test_every_shift_rounds_ties_to_even_and_saturates(width, out_format, stalled):
    for shift in range(width):
        half = 1 << shift >> 1
        values = {0, 1, -1, (1 << (width - 1)) - 1, -(1 << (width - 1))}
        for whole in (0, 1, 2, 3, 1 << 15, (1 << 15) - 1, 1 << 31, (1 << 31) - 1):
            for sign in (1, -1):
                values |= {sign * (whole << shift) + rest for rest in (0, half, half - 1, half + 1)}
        inside = sorted(v for v in values if -(1 << (width - 1)) <= v < 1 << (width - 1))
        results = rounded(width, inside, shift, out_format, randomly(shift) if stalled else never())
        assert results == [reference(value, shift, out_format) for value in inside]


@st.composite
def tasks(draw):
    width = draw(st.sampled_from(WIDTHS))
    limit = 1 << (width - 1)
    values = draw(st.lists(st.integers(-limit, limit - 1), min_size=1, max_size=30))
    return width, values, draw(st.integers(0, width - 1)), draw(st.sampled_from(list(BITS)))


@settings(max_examples=60)
@given(tasks(), st.booleans())
def test_any_value_is_rounded_as_a_fraction(task, stalled):
    width, values, shift, out_format = task
    results = rounded(width, values, shift, out_format, randomly(5) if stalled else never())
    assert results == [reference(value, shift, out_format) for value in values]
