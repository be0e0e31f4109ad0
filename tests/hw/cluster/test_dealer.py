# amaranth: UnusedElaboratable=no
"""Words go to the PE with the fewest, marks to all."""

from __future__ import annotations

import dataclasses
import random

import pytest

from gscn.array import ARRAYS
from gscn.hw.array_layouts import WordKind
from gscn.hw.cluster.dealer import Dealer
from tests.hw.streams import plain, reused, simulate

TINY = ARRAYS["tiny"]


def chosen(levels, last):
    """Return the first after `last` of those with the fewest words."""
    count = len(levels)
    order = [(last + 1 + n) % count for n in range(count)]
    return min(order, key=lambda number: levels[number])


@pytest.mark.parametrize("pes", [1, 2, 4, 8])
def test_words_are_dealt_as_queues_have_room(pes):
    config = dataclasses.replace(TINY, pes=pes, word_depth=3)
    rng = random.Random(pes)
    dut = reused(Dealer, config=config)
    seen = {"one": 0, "all": 0, "full": 0}

    async def bench(ctx):
        levels, last = [0] * pes, pes - 1
        for number in range(600):
            kind = rng.choices(list(WordKind), [8, 1, 1])[0]
            word = {
                "kind": kind, "job_end": rng.randrange(2), "value": number, "key": number % 256,
                "span": 3, "rows": 1, "offset": 5,
            }  # fmt: skip
            valid = rng.random() < 0.9
            ctx.set(dut.i.p, word)
            ctx.set(dut.i.valid, valid)
            for pe in range(pes):
                ctx.set(dut.levels[pe], levels[pe])
                ctx.set(dut.o[pe].ready, levels[pe] < config.word_depth)
            given = [bool(ctx.get(o.valid)) for o in dut.o]
            if kind == WordKind.MAC:
                target = chosen(levels, last)
                takes = levels[target] < config.word_depth
                expected = [pe == target and takes and valid for pe in range(pes)]
                last = target if takes and valid else last
            else:
                takes = max(levels) < config.word_depth
                expected = [takes and valid] * pes
            assert given == expected
            assert ctx.get(dut.i.ready) == takes
            seen["one" if kind == WordKind.MAC else "all"] += takes and valid
            seen["full"] += not takes
            for pe in range(pes):
                assert plain(ctx.get(dut.o[pe].p)) == plain(ctx.get(dut.i.p))
                levels[pe] += given[pe]
                levels[pe] -= levels[pe] > 0 and rng.random() < 0.7 / pes
            await ctx.tick()

    simulate(dut, bench, cycles=700)
    assert min(seen.values()) > 0
