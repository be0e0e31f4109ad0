# amaranth: UnusedElaboratable=no
"""The place of every set of results in a beat, cycle by cycle."""

from __future__ import annotations

import dataclasses

import pytest

from gscn.config import PRESETS
from gscn.hw.cluster.packer import FLOAT_RESULT_SLOTS, RESULT_SLOTS, Packer
from gscn.hw.layouts import OutFormat, write_slots
from tests.hw.streams import plain, simulate

TINY = PRESETS["tiny"]
WIDE = dataclasses.replace(TINY, mem_width=256, pes_per_cluster=2)
FLOATS = TINY.with_overrides(["float_formats=bf16"])
RESULTS = [0x1111_2222_3333_4444, 0x5555_6666_7777_8888]


def offers(config, out_format, *, inputs):
    """Return what the packer offers in each cycle of (i_valid, flush, ready), or None."""
    dut, found = Packer(config=config), []

    async def testbench(ctx):
        ctx.set(dut.out_format, out_format)
        for port, result in zip(dut.i, RESULTS, strict=True):
            ctx.set(port, result)
        for valid, flush, ready in inputs:
            ctx.set(dut.i_valid, valid)
            ctx.set(dut.flush, flush)
            ctx.set(dut.o.ready, ready)
            _, _, offered, part, flushed = await ctx.tick().sample(
                dut.o.valid, dut.o.p, dut.flushed
            )
            assert ctx.get(dut.i_ready) == ready
            found.append((plain(part) | {"flushed": flushed}) if offered else None)

    simulate(dut, testbench, cycles=100)
    return found


@pytest.mark.parametrize("config", [TINY, WIDE], ids=["4 slots", "8 slots"])
@pytest.mark.parametrize(("out_format", "width"), RESULT_SLOTS.items())
def test_sets_take_the_next_slots_and_the_last_ends_the_beat(config, out_format, width):
    sets = write_slots(config) // width
    found = offers(config, out_format, inputs=[(1, 0, 1)] * (2 * sets))
    assert [part["slots"] for part in found] == [
        ((1 << width) - 1) << width * place for place in range(sets)
    ] * 2
    assert [part["ends"] for part in found] == ([0] * (sets - 1) + [1]) * 2
    assert [part["flushed"] for part in found] == ([1] + [0] * (sets - 1)) * 2


@pytest.mark.parametrize(
    ("out_format", "words"),
    [
        (OutFormat.INT16, [0x8888_4444] * 4),
        (OutFormat.INT32, [0x3333_4444, 0x7777_8888] * 2),
        (OutFormat.RAW, [0x3333_4444, 0x1111_2222, 0x7777_8888, 0x5555_6666]),
    ],
)
def test_a_part_repeats_the_results_over_four_slots(out_format, words):
    (part,) = offers(TINY, out_format, inputs=[(1, 0, 1)])
    assert part["data"] == words


def test_a_part_that_is_not_taken_keeps_its_place():
    inputs = [(1, 0, 0), (1, 0, 0), (1, 0, 1), (1, 0, 0), (0, 0, 1), (1, 0, 1)]
    found = offers(TINY, OutFormat.INT16, inputs=inputs)
    assert [part and part["slots"] for part in found] == [1, 1, 1, 2, None, 2]


def test_a_flush_ends_a_begun_beat_once_and_no_other():
    inputs = [(0, 1, 1), (1, 0, 1), (0, 1, 0), (0, 1, 1), (0, 1, 1), (1, 0, 1)]
    found = offers(TINY, OutFormat.INT16, inputs=inputs)
    assert [part and (part["slots"], part["ends"]) for part in found] == [
        None,
        (1, 0),
        (0, 1),
        (0, 1),
        None,
        (1, 0),
    ]


def test_only_a_core_with_float_formats_packs_theirs():
    (out_format,) = FLOAT_RESULT_SLOTS
    (with_floats,) = offers(FLOATS, out_format, inputs=[(1, 0, 1)])
    (without,) = offers(TINY, out_format, inputs=[(1, 0, 1)])
    assert (with_floats["data"], without["data"]) == ([0x8888_4444] * 4, [0] * 4)
