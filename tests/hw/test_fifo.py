# amaranth: UnusedElaboratable=no
"""The stream queue."""

from __future__ import annotations

import pytest
from amaranth.hdl import signed
from amaranth.lib import data

from gscn.hw.fifo import StreamFIFO
from tests.hw.streams import collect, drive, reused, simulate, with_pauses

PAIR = data.StructLayout({"a": signed(7), "b": 3})
WIDE = data.StructLayout({"a": signed(7), "b": 3, "c": 600})
"""Words of which two are in a memory that is read a cycle ahead, in pieces."""


@pytest.mark.parametrize("shape", [PAIR, WIDE], ids=["small", "wide"])
@pytest.mark.parametrize("depth", [1, 2, 5, 16])
@with_pauses
def test_words_pass_in_order(shape, depth, source_pauses, sink_pauses):
    words = [{"a": n * 5 % 127 - 64, "b": n % 8} for n in range(40)]
    if shape is WIDE:
        words = [{**word, "c": pow(3, 300 + n, 1 << 600)} for n, word in enumerate(words)]
    dut, received = reused(StreamFIFO, shape=shape, depth=depth), []
    simulate(
        dut,
        drive(dut.i, words, source_pauses()),
        collect(dut.o, received, len(words), sink_pauses()),
        cycles=1000,
    )
    assert received == words


def test_numbers_pass_as_well():
    dut, received = reused(StreamFIFO, shape=64, depth=2), []
    words = [0, (1 << 64) - 1, 1 << 63]
    simulate(dut, drive(dut.i, words), collect(dut.o, received, 3), cycles=100)
    assert received == words


@pytest.mark.parametrize(("depth", "width"), [(2, 8), (5, 8), (2, 600), (5, 600)])
def test_latency_and_one_word_per_cycle(depth, width):
    dut, received, cycles = reused(StreamFIFO, shape=width, depth=depth), [], []
    # the first word is accepted in cycle 0
    simulate(dut, drive(dut.i, range(10)), collect(dut.o, received, 10, cycles=cycles), cycles=100)
    assert received == list(range(10))
    assert cycles == [StreamFIFO.LATENCY + n for n in range(10)]


@pytest.mark.parametrize(("depth", "width"), [(1, 8), (4, 8), (4, 600)])
def test_a_full_queue_accepts_nothing_even_when_read(depth, width):
    dut = reused(StreamFIFO, shape=width, depth=depth)
    seen = []

    async def testbench(ctx):
        ctx.set(dut.i.valid, 1)
        for cycle in range(depth + 3):
            ctx.set(dut.o.ready, cycle == depth + 1)
            _, _, *sample = await ctx.tick().sample(dut.i.ready, dut.level)
            seen.append(sample)

    simulate(dut, testbench, cycles=50)
    filling = [[1, level] for level in range(depth)]
    assert seen == [*filling, [0, depth], [0, depth], [1, depth - 1]]
