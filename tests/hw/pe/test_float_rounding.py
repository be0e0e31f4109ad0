# amaranth: UnusedElaboratable=no
"""The rounding of sums in floating point, against fractions (`tests/floats.py`)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gscn.array import ARRAYS
from gscn.formats import NUMBER_FORMATS
from gscn.hw.layouts import OutFormat
from gscn.hw.pe.float_rounding import FloatRounder
from gscn.hw.pe.rounding import Rounder
from tests import floats
from tests.hw.streams import never, randomly, reused, simulate

TINY = ARRAYS["tiny"]
ALL = "float_formats=bf16,fp16,fp8_e4m3,fp8_e5m2"
CONFIGS = {
    48: TINY.with_overrides([ALL]),
    33: TINY.with_overrides(["acc_width=33", ALL]),
    24: TINY.with_overrides(["operand_format=int8", "acc_width=24", "float_formats=fp16,fp8_e4m3"]),
}
WIDTHS = {OutFormat.INT16: 16, OutFormat.INT32: 32, OutFormat.RAW: 64, OutFormat.BF16: 16}


def expected(value, special, mode, out_format, config):
    """Return (result, saturated, nonfinite)."""
    if out_format == OutFormat.RAW:
        return value % (1 << 62) | special << 62, 0, 0
    result = floats.result_format(mode.fmt, out_format.value)
    code, saturated, nonfinite = floats.rounded(value, special, mode, result, config.acc_width)
    return code, int(saturated), int(nonfinite)


def run(sums, number, window, out_format, config, stalls):
    """Return (result, saturated, nonfinite) of each (value, special); `integer` counts along."""
    dut = reused(FloatRounder, config=config)
    o = dut.o[: WIDTHS[out_format]]
    found = []

    async def testbench(ctx):
        ctx.set(dut.mode, {"number_format": number, "window": window})
        ctx.set(dut.out_format, out_format)
        advances = 0
        while advances < len(sums) + FloatRounder.LATENCY:
            stalled = next(stalls)
            ctx.set(dut.en, not stalled)
            value, special = sums[advances] if advances < len(sums) else (0, 0)
            # while `en` is low the input is not taken: show something else
            ctx.set(dut.i, ~value if stalled else value)
            ctx.set(dut.i_special, 3 - special if stalled else special)
            # what the Rounder makes of the value RAW, some cycles later
            late = advances - Rounder.LATENCY
            held = sums[late][0] if 0 <= late < len(sums) else 0
            ctx.set(dut.integer, held)
            ctx.set(dut.integer_saturated, out_format != OutFormat.RAW and held & 1)
            before = (ctx.get(o), ctx.get(dut.saturated), ctx.get(dut.nonfinite))
            await ctx.tick()
            after = (ctx.get(o), ctx.get(dut.saturated), ctx.get(dut.nonfinite))
            if stalled:
                assert after == before
            else:
                if advances >= FloatRounder.LATENCY:
                    found.append(before)
                advances += 1

    simulate(dut, testbench, cycles=100 + 20 * len(sums))
    return found


def sums_of_interest(width):
    """Return sums whose leading and last bits lie everywhere, ties and their neighbours."""
    limit = 1 << (width - 1)
    values = {0, limit - 1, limit - 2}
    for high in range(0, width - 1, 5):
        values |= {1 << high, (1 << high) - 1, (1 << high) + 1}
        for places in (3, 4, 8, 11, 24):
            half = 1 << high >> places
            values |= {(1 << high) + k * half + d for k in (1, 3) for d in (-1, 0, 1)}
    signed = {sign * value for value in values for sign in (1, -1)} | {-limit}
    return [(value, 0) for value in sorted(signed) if -limit <= value < limit]


EVERY_PLACE_SOON = {
    (OutFormat.INT16, 48),
    (OutFormat.BF16, 33),
    (OutFormat.INT32, 33),
    (OutFormat.RAW, 33),
}


@pytest.mark.parametrize(
    ("out_format", "width"),
    [
        pytest.param(
            out_format,
            width,
            id=f"{out_format.name}-{width}",
            # Wide accumulators have the most places; each format is rounded at one width besides.
            marks=()
            if width == 24 or (out_format, width) in EVERY_PLACE_SOON
            else pytest.mark.slow,
        )
        for out_format in OutFormat
        for width in CONFIGS
    ],
)
def test_rounding_at_every_place(width, out_format):
    config = CONFIGS[width]
    seen = set()
    for number, fmt in enumerate(NUMBER_FORMATS):
        if fmt not in config.floats:
            continue
        result = floats.result_format(fmt, 0 if out_format == OutFormat.RAW else out_format.value)
        # windows that put the sums around the smallest and the largest number of the result
        middle = 2 * fmt.bias + width - 3
        windows = {
            0,
            5,
            1023,
            middle - result.bias - 3,
            middle - result.bias - result.mantissa_width,
        }
        windows |= {middle - width + result.bias, middle - width // 2 + result.bias, middle - 20}
        sums = [*sums_of_interest(width), (0, 1), (7, 2), (-7, 3), (-1, 1)]
        for window in sorted(w for w in windows if 0 <= w <= 1023):
            mode = floats.Mode(fmt, window)
            found = run(sums, number, window, out_format, config, never())
            assert found == [expected(*one, mode, out_format, config) for one in sums]
            seen |= {flags for _, *flags in map(tuple, found) for flags in [tuple(flags)]}
    # finite, saturated, not finite
    assert seen == ({(0, 0)} if out_format == OutFormat.RAW else {(0, 0), (1, 0), (0, 1)})


@st.composite
def tasks(draw):
    config = draw(st.sampled_from(list(CONFIGS.values())))
    limit = 1 << (config.acc_width - 1)
    fmt = draw(st.sampled_from(config.floats))
    sums = st.tuples(st.integers(-limit, limit - 1), st.sampled_from((0, 0, 0, 1, 2, 3)))
    window = st.one_of(st.integers(0, 1023), st.integers(0, 2 * fmt.top_exponent + 24))
    values = draw(st.lists(sums, min_size=1, max_size=20))
    return config, fmt, draw(window), draw(st.sampled_from(list(OutFormat))), values


@settings(max_examples=80)
@given(tasks(), st.booleans())
def test_any_sum_is_rounded_as_a_fraction(task, stalled):
    config, fmt, window, out_format, sums = task
    number = NUMBER_FORMATS.index(fmt)
    found = run(sums, number, window, out_format, config, randomly(5) if stalled else never())
    mode = floats.Mode(fmt, window)
    assert found == [expected(*one, mode, out_format, config) for one in sums]


@pytest.mark.parametrize("out_format", [OutFormat.INT16, OutFormat.INT32, OutFormat.RAW])
def test_results_of_integers_are_passed_on(out_format):
    config = CONFIGS[48]
    sums = [(value, 0) for value in (0, 1, -1, 77, -(1 << 47), (1 << 47) - 1)]
    found = run(sums, 0, 0, out_format, config, randomly(3))
    width = WIDTHS[out_format]
    flagged = out_format != OutFormat.RAW
    assert found == [(value % (1 << width), flagged and value & 1, 0) for value, _ in sums]
