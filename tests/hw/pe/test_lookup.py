# amaranth: UnusedElaboratable=no
"""The look-up: which fibers each word and tap meet, in which order, from which bank."""

from __future__ import annotations

import itertools
import random

import pytest

from gscn.config import PRESETS
from gscn.hw.layouts import WordKind
from gscn.hw.pe.lookup import Lookup
from tests.hw.loading import BankedLoad, load
from tests.hw.segments import Segment, Tile, pe_words, random_partials, random_segment, word_chunk
from tests.hw.streams import collect, never, simulate, with_pauses

CONFIG = PRESETS["tiny"]
PES = CONFIG.pes_per_cluster


def expected(segments):
    """Return what PE 0 must find; the last segment ends the job."""
    found = []
    for number, segment in enumerate(segments):
        if segment.partials is None:
            found += [
                {
                    "kind": WordKind.MAC,
                    "start": s,
                    "length": n,
                    "operand": v,
                    "offset": o,
                    "bank": number % 2,
                }
                for s, n, v, o in segment.fibers(0)
            ]
        else:
            found += [
                {"kind": WordKind.ADD, "operand": partial, "offset": index}
                for index, partial in segment.addends(0, PES)
            ]
        found.append({"kind": WordKind.END, "job_end": int(number == len(segments) - 1)})
    return found


def meaningful(fiber):
    """Return the fields that the kind gives a meaning to."""
    fields = {
        WordKind.MAC: ("bank", "start", "length", "operand", "offset"),
        WordKind.ADD: ("operand", "offset"),
        WordKind.END: ("job_end",),
    }[fiber["kind"]]
    return {name: fiber[name] for name in ("kind", *fields)}


class Fibers(list):
    """Collected fibers, reduced to their meaning when they are compared."""

    def meaning(self):
        return [meaningful(fiber) for fiber in self]

    def ends(self):
        return sum(fiber["kind"] == WordKind.END for fiber in self)


def found(segments, source_pauses=None, sink_pauses=None, config=CONFIG):
    dut = Lookup(config=config)
    fibers, wanted = Fibers(), expected(segments)
    words = [
        pe_words(segment, 0, PES, job_end=number == len(segments) - 1, bank=number % 2)
        for number, segment in enumerate(segments)
    ]
    loader = BankedLoad(dut, segments, fibers.ends)
    simulate(
        dut,
        loader.testbench,
        loader.feed(dut.i, words, source_pauses or never()),
        collect(dut.o, fibers, len(wanted), sink_pauses),
        cycles=2000 * len(segments),
    )
    assert fibers.meaning() == wanted


def one_key_segment(**changes):
    """Return a segment of three taps in two lists, and a directory of five keys."""
    fields = {
        "taps": [(0, 10, 0), (1, 20, 1), (-1, -30, 1)],
        "tiles": [Tile(directory=[(0, 2), (2, 0), (1, 3), (3, 1), (0, 4)], entries=[(1, 0)] * 4)]
        * PES,
        "words": [(7, 100, 2, 0), (-8, 50, 1, 0), (9, 40, 0, 1), (10, 30, 1, 2)],
    }
    return Segment(**{**fields, **changes})


def test_known_words_meet_known_fibers():
    segment = one_key_segment()
    mac = WordKind.MAC
    assert expected([segment])[:-1] == [
        {"kind": mac, "start": 1, "length": 3, "operand": 7, "offset": 110, "bank": 0},
        {"kind": mac, "start": 3, "length": 1, "operand": 7, "offset": 120, "bank": 0},
        {"kind": mac, "start": 1, "length": 3, "operand": -8, "offset": 70, "bank": 0},
        {"kind": mac, "start": 0, "length": 2, "operand": 10, "offset": 0, "bank": 0},
    ]
    found([segment])


@pytest.mark.parametrize("key", [-32768, -2, -1, 5, 6, 63, 64, 128, 32767])
def test_key_outside_the_directory_has_an_empty_fiber(key):
    taps = [(0, 0, 1)]
    found([one_key_segment(taps=taps, words=[(1, 1, key, 0), (2, 2, 4, 0)])])


@pytest.mark.parametrize(("key", "delta"), [(32767, 32767), (-32768, -32768), (32767, -32763)])
def test_key_and_delta_add_up_without_overflow(key, delta):
    found([one_key_segment(taps=[(delta, 0, 1)], words=[(1, 1, key, 0)])])


@pytest.mark.parametrize("extreme", [-(1 << 15), (1 << 15) - 1])
def test_offsets_add_up_without_overflow(extreme):
    taps = [(0, extreme, 1)]
    found([one_key_segment(taps=taps, words=[(extreme, extreme, 0, 0)])])


def test_directory_of_the_other_bank_is_not_seen():
    longer = Tile(directory=[(0, 1)] * 8, entries=[(1, 0)])
    shorter = Tile(directory=[(0, 1)] * 3, entries=[(1, 0)])
    words = [(1, 0, key, 0) for key in range(9)]
    segments = [
        Segment(taps=[(0, 0, 1)], tiles=[tile] * PES, words=words)
        for tile in (longer, shorter, shorter, longer)
    ]
    found(segments)


@pytest.mark.parametrize("keys", [1, 3, 4, 5, CONFIG.directory_depth])
def test_directories_of_all_formats_say_the_same(keys):
    starts = itertools.accumulate((n % 5 % 3 for n in range(keys)), initial=0)
    fibers = [(start, n % 5 % 3) for n, start in zip(range(keys), starts, strict=False)]
    words = [(n + 1, n, n, 0) for n in range(-1, keys + 1)]
    tiles = [
        Tile(directory=fibers, entries=[(1, 0)] * 64, directory_format=form) for form in (1, 0, 2)
    ]
    wide = [fibers[::-1], [(1, 1)] * CONFIG.directory_depth]
    segments = [
        Segment(taps=[(0, 0, 1)], tiles=[tile] * PES, words=words)
        for tile in (*tiles, *(Tile(directory=d, entries=[(1, 0)] * 64) for d in wide), *tiles)
    ]
    found(segments)


def test_the_smallest_directory_is_one_row_per_bank():
    config = CONFIG.with_overrides(["directory_depth=8"])
    rng = random.Random(12)
    found([random_segment(rng, config) for _ in range(6)], config=config)


def test_empty_directory_and_empty_stream():
    empty = Tile(directory=[], entries=[])
    found([one_key_segment(tiles=[empty] * PES), one_key_segment(words=[]), one_key_segment()])


def test_additions_are_numbered_from_zero_in_each_segment():
    found([Segment(partials=[5, 6, 7, 8]), Segment(partials=[-(1 << 47)] * 6), one_key_segment()])


@with_pauses
def test_random_segments(source_pauses, sink_pauses):
    rng = random.Random(11)
    segments = [
        random_segment(rng, CONFIG),
        random_segment(rng, CONFIG, words=0),
        random_partials(rng, CONFIG, 15),
        random_segment(rng, CONFIG, words=40),
        random_segment(rng, CONFIG),
    ]
    found(segments, source_pauses(), sink_pauses())


def timed(segment, words):
    """Return the cycles in which words were taken and fibers came, from the first offer."""
    dut = Lookup(config=CONFIG)
    cycles, accepted = [], []

    async def testbench(ctx):
        await load(ctx, dut, segment, 0, 0)
        ctx.set(dut.o.ready, 1)
        pending = list(words)
        for cycle in range(40):
            ctx.set(dut.i.valid, bool(pending))
            if pending:
                chunk = word_chunk(pending[0])
                word = {"kind": WordKind.MAC, "job_end": 0, "bank": 0, "chunk": chunk}
                ctx.set(dut.i.p, word)
            _, _, taken, valid = await ctx.tick().sample(dut.i.ready, dut.o.valid)
            if pending and taken:
                accepted.append(cycle)
                pending.pop(0)
            if valid:
                cycles.append(cycle)

    simulate(dut, testbench, cycles=400)
    return accepted, cycles


def test_latency_and_one_lookup_per_cycle_empty_ones_included():
    segment = one_key_segment()
    # look-ups: fiber, fiber | empty, fiber | empty (key 1) | fiber
    accepted, cycles = timed(segment, segment.words)
    assert accepted == [1, 3, 4, 5]
    assert cycles == [look_up + Lookup.LATENCY for look_up in (0, 1, 3, 5)]
