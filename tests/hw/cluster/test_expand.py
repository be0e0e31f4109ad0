# amaranth: UnusedElaboratable=no
"""The expansion of items: every word with its own key, offset and first tap."""

from __future__ import annotations

import random

import pytest

from gscn.hw.cluster.expand import Expander
from tests.hw.segments import word_chunk
from tests.hw.streams import never, simulate, with_pauses
from tests.stream_items import chunks, encode

PARTIALS = [0, 1, (1 << 64) - 1, 1 << 63]


def random_words(rng, count):
    """Return words (value, offset, key, first tap) at every distance from each other."""
    words, offset, key, tap = [], 0, 0, 0
    for _ in range(count):
        if rng.random() < 0.3:
            offset, key = rng.randint(-32768, 32767), rng.randint(-32768, 32767)
            tap = rng.randrange(256)
        offset = max(-32768, min(32767, offset + rng.randint(-9, 9)))
        key = max(-32768, min(32767, key + rng.randint(-3, 3)))
        words.append((rng.choice([-32768, -1, 1, 2, 32767]), offset, key, tap))
    return words


def expanded(segments, source_pauses, sink_pauses):
    """Return (chunk, whether a word) of every item, segment by segment.

    `segments` holds (add, offset bits, chunks, records) of each.
    """
    dut, results = Expander(), []

    async def testbench(ctx):
        for add, offset_bits, stream, count in segments:
            ctx.set(dut.start, 1)
            ctx.set(dut.chunks.valid, 0)
            ctx.set(dut.o.ready, 0)
            ctx.set(dut.add, add)
            ctx.set(dut.offset_bits, offset_bits)
            await ctx.tick()
            ctx.set(dut.start, 0)
            results.append([])
            pending = list(stream)
            while len(results[-1]) < count:
                offers = not next(source_pauses)
                takes = not next(sink_pauses)
                ctx.set(dut.chunks.valid, offers)
                ctx.set(dut.chunks.p, pending[0])
                ctx.set(dut.o.ready, takes)
                ctx.set(dut.last, len(results[-1]) == count - 1)
                _, _, valid, word, ready = await ctx.tick().sample(
                    dut.o.valid, dut.o.p, dut.chunks.ready
                )
                assert valid == offers
                if offers and takes:
                    results[-1].append((word.chunk, bool(word.is_word)))
                if offers and ready:
                    pending.pop(0)
            assert not pending, f"{len(pending)} chunks of the stream are left"

    simulate(dut, testbench, cycles=20000)
    return results


@pytest.mark.parametrize("offset_bits", [0, 1, 5, 10, 15, 16])
@with_pauses
def test_words_are_those_encoded(offset_bits, source_pauses, sink_pauses):
    rng = random.Random(offset_bits)
    all_words = [random_words(rng, count) for count in (1, 40, 2, 41, 60)]
    segments = []
    for words in all_words:
        items = encode(words, offset_bits, rng)
        segments += [
            (0, offset_bits, chunks(items), len(items)),
            (1, offset_bits, PARTIALS, len(PARTIALS)),
        ]
    results = expanded(segments, source_pauses(), sink_pauses())
    for words, macs, adds in zip(all_words, results[::2], results[1::2], strict=True):
        assert [chunk for chunk, is_word in macs if is_word] == [word_chunk(w) for w in words]
        assert adds == [(partial, True) for partial in PARTIALS]


def test_known_items_give_known_words():
    """Worked out by hand: two words by the bases of the start, a rebase, two words by its bases.

    With 4 offset bits, code 0x0123 is key 0x012 and offset 3; code 0xfff0 after the rebase to key
    base -2, offset base 0x100 and tap 9 is key 0xffd, offset 0x100.
    """
    stream = [0x0000_FFFF_0123_0007, 0x0100_FFFE_0009_0000, 0x001F_8000_FFF0_0001]
    ((*items,),) = expanded([(0, 4, stream, 6)], never(), never())
    assert items[0] == (0x00_00_0012_0003_0007, True)
    assert items[1] == (0x00_00_0000_0000_FFFF, True)
    assert [is_word for _, is_word in items[2:4]] == [False, False]
    assert items[4] == (0x00_09_0FFD_0100_0001, True)
    assert items[5] == (0x00_09_FFFF_010F_8000, True)
    assert len(items) == 6


def test_latency_is_the_stated_one():
    """A word is offered in the cycle of its chunk, and taken at one item per cycle."""
    dut, valid = Expander(), []

    async def testbench(ctx):
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        ctx.set(dut.o.ready, 1)
        ctx.set(dut.offset_bits, 8)
        for cycle in range(8):
            ctx.set(dut.chunks.valid, cycle >= 2)
            ctx.set(dut.chunks.p, 0x0001_0001_0001_0001)
            _, _, offered, ready = await ctx.tick().sample(dut.o.valid, dut.chunks.ready)
            valid.append((offered, ready))

    simulate(dut, testbench, cycles=20)
    first = 2 + Expander.LATENCY
    assert [cycle for cycle, (offered, _) in enumerate(valid) if offered] == list(range(first, 8))
    # the second item of a chunk takes it away
    assert [ready for _, ready in valid[2:]] == [0, 1, 0, 1, 0, 1]


@pytest.mark.parametrize("tap_count", [1, 7, 256])
def test_a_first_tap_beyond_the_taps_is_reported(tap_count):
    """Of rebases only, not of words, bases or partial sums that look alike."""
    dut = Expander()
    found = []
    words, rebase = [(5, tap_count)], [(0, tap_count), (0, tap_count)]
    last_good = [(0, tap_count - 1), (0, 0xFFFF)]
    items = [*words, *last_good, *rebase, *words, *words, (0, 0xFFFF), (1, 0), *words]

    async def testbench(ctx):
        ctx.set(dut.tap_count, tap_count)
        ctx.set(dut.o.ready, 1)
        for add in (0, 1):
            ctx.set(dut.add, add)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            for low, high in zip(items[::2], items[1::2], strict=True):
                chunk = sum(
                    part << 16 * n for n, part in enumerate((low[0], low[1], high[0], high[1]))
                )
                ctx.set(dut.chunks.p, chunk)
                ctx.set(dut.chunks.valid, 1)
                for _ in range(1 if add else 2):
                    *_, bad = await ctx.tick().sample(dut.bad_tap)
                    found.append(bad)
                ctx.set(dut.chunks.valid, 0)
                assert not ctx.get(dut.bad_tap)

    simulate(dut, testbench, cycles=80)
    expected = [0] * (len(items) + len(items) // 2)
    expected[3] = expected[7] = 1
    assert found == expected
