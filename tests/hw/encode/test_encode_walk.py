# amaranth: UnusedElaboratable=no
"""The walk of a pass against the emulator's: addresses, what is there, and marks."""

from __future__ import annotations

import random

import pytest

from gscn.array import array
from gscn.hw.encode.encode_walk import EncodeWalk
from tests.hw.encode.walks import expected_places, random_walk, unpacked, walk_fields
from tests.hw.streams import collect, never, randomly, reused, simulate

CONFIG = array("small")


def run(walks, pauses):
    """Return what is said of all vectors of walks, and what must be."""
    dut = reused(EncodeWalk, config=CONFIG)
    records = [unpacked(one) for one in walks]
    wanted = [expected_places(d, CONFIG.addr_width) for d in records]
    received = []

    async def testbench(ctx):
        for d, places in zip(records, wanted, strict=True):
            for one in walk_fields(d):
                ctx.set(dut.field, one)
                ctx.set(dut.field_en, 1)
                await ctx.tick()
            ctx.set(dut.field_en, 0)
            names = dut.settings.shape().members
            held = {name: getattr(d, name) for name in names if not name.endswith("_end")}
            ctx.set(dut.settings, held)
            ctx.set(dut.limits, [d.y_limit, d.x_limit])
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            taken = 0
            while taken < len(places):
                _, _, valid, ready = await ctx.tick().sample(dut.o.valid, dut.o.ready)
                taken += valid and ready

    total = sum(len(one) for one in wanted)
    simulate(dut, testbench, collect(dut.o, received, total, pauses), cycles=4000 + 4 * total)
    return received, [one for places in wanted for one in places]


@pytest.mark.parametrize("seed", range(3))
def test_vectors_are_where_the_emulator_has_them(seed):
    source = random.Random(seed)
    walks = [random_walk(source) for _ in range(8)]
    received, wanted = run(walks, randomly(seed) if seed else never())
    assert received == wanted


def test_blocks_of_transposed_tensors_are_taken_row_by_row():
    f = random_walk(random.Random(1)) | {f"count{n}": 1 for n in range(8)}
    f |= {"count2": 40, "count0": 2, "transposed": 1, "t0_format": 1, "t1_format": 2, "vectors": 1}
    f |= {"period": 80, "a_positions": 7, "b_positions": 80, "segment": 9, "channels": 1}
    f |= {"group_channels": 1}
    received, wanted = run([f], never())
    assert received == wanted
    assert len(wanted) == 160
