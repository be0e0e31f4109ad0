# amaranth: UnusedElaboratable=no
"""Blocks that are turned: values at the places that a walk names, whatever its loops are."""

from __future__ import annotations

import itertools
import random

import pytest

from gscn.array import array
from gscn.errors import InputError
from gscn.hw.encode.inputs import Inputs
from gscn.hw.encode.tensor_reader import TensorReader
from gscn.hw.encode.transposer import Transposer
from gscn.passes import VECTOR
from tests.hw.encode.walked import raw
from tests.hw.memory import Memory
from tests.hw.streams import collect, drive, in_runs, never, randomly, reused, simulate

CONFIG = array("small").with_overrides(["mem_width=512", "drain_width=1"])
SLOTS = 64


class Case:
    """Places of a walk over one tensor, as the contract has them, and their values."""

    def __init__(
        self, seed, *, wide, counts, vectors=0, outer=1, steady=True, backwards=False, whole=False
    ):
        source = random.Random(seed)
        self.wide, self.counts, self.vectors, self.steady = wide, counts, vectors, steady
        self.size = size = 4 if wide else 2
        unit = VECTOR * size
        inner = counts[0] * counts[1] << vectors
        blocks = outer * -(-counts[2] // VECTOR)
        stretch = unit * inner * blocks
        self.lane = -stretch if backwards else stretch
        # one vector of 16 values for each lane of each place that has another value of loop 2
        self.content = bytes(source.randrange(256) for _ in range(VECTOR * stretch))
        first = (VECTOR - 1) * stretch if backwards else 0
        starts = [unit * n for n in range(inner * blocks)]
        if not whole and source.random() < 0.5:
            source.shuffle(starts)
        self.places, self.wanted = [], []
        there = [VECTOR if whole else source.randrange(1, VECTOR + 1) for _ in range(inner)]
        for number in range(outer):
            for turned, at in itertools.product(range(counts[2]), range(inner)):
                block = number * -(-counts[2] // VECTOR) + turned // VECTOR
                addr = first + starts[block * inner + at] + turned % VECTOR * size
                count = there[at] if steady else source.choice([0, there[at]])
                self.places.append((addr, count))
                self.wanted.append([self.value(addr + n * self.lane) for n in range(count)])

    def value(self, addr):
        code = int.from_bytes(self.content[addr : addr + self.size], "little")
        return code if self.wide else code << 16


def run(case, *, slots=SLOTS, config=CONFIG, latency=5, pauses=(never, never, never), depth=8):
    """Return the vectors, as many lanes as are there, and the cycles of each, and the memory."""
    dut = reused(TensorReader, config=config, depth=depth, vectors=160, slots=slots)
    memory = Memory(config, latency=latency, pauses=pauses[2]())
    memory.data += case.content
    received, cycles = [], []
    width = config.addr_width

    async def begin(ctx):
        ctx.set(dut.start_addr, 0)
        ctx.set(dut.end_addr, len(case.content))
        ctx.set(dut.wide, case.wide)
        ctx.set(dut.transposed, 1)
        turning = {
            "counts": case.counts, "vectors": case.vectors, "lane": case.lane,
            "steady": case.steady,
        }  # fmt: skip
        ctx.set(dut.turning, turning)
        words = [addr | (1 << count) - 1 << width for addr, count in case.places]
        await drive(raw(dut.i), words, pauses[0]())(ctx)

    async def no_error(ctx):
        async for _, _, outside in ctx.tick().sample(dut.outside):
            assert not outside

    beats = memory.serve_reads([dut.command], dut.data, dut.data_valid)
    simulate(
        dut,
        begin,
        collect(raw(dut.o), received, len(case.places), pauses[1](), cycles=cycles),
        cycles=2000 + 100 * len(case.places),
        background=(beats, no_error),
    )
    found = [
        [word >> 32 * lane & 0xFFFFFFFF for lane in range(count)]
        for word, (_, count) in zip(received, case.places, strict=True)
    ]
    return found, cycles, memory


CASES = {
    "one vector": {"wide": False, "counts": [1, 1, 1]},
    "part of a block": {"wide": False, "counts": [2, 1, 5], "outer": 3},
    "a block and a part": {"wide": True, "counts": [1, 3, 21]},
    "two vectors, backwards": {"wide": True, "counts": [2, 1, 17], "vectors": 1, "backwards": True},
    "taps, in parts of 4": {"wide": False, "counts": [3, 3, 32]},
    "parts of 2, of which the last is 1": {"wide": True, "counts": [3, 7, 5]},
    "the longest rows": {"wide": False, "counts": [8, 8, 2]},
    "the longest rows, one by one": {"wide": True, "counts": [8, 4, 2], "vectors": 1},
    "what is there changes": {"wide": False, "counts": [3, 3, 16], "steady": False},
}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_values_are_those_at_the_places_of_the_walk(case):
    seed = list(CASES.values()).index(case)
    case = Case(seed, **case)
    pauses = (lambda: in_runs(seed), lambda: randomly(seed, 0.3), lambda: randomly(seed + 1, 0.2))
    found, _, _ = run(case, pauses=pauses, latency=1 + 7 * seed)
    assert found == case.wanted


def test_blocks_of_3_by_3_taps_take_a_cycle_for_each_half_and_read_a_line_once():
    for wide in (False, True):
        case = Case(1, wide=wide, counts=[3, 3, 16], outer=3, whole=True)
        found, cycles, memory = run(case, slots=Inputs.SLOTS[0], latency=20, depth=64)
        assert found == case.wanted
        vectors = len(case.places)
        # of each block a lane has 9 vectors of half a line, or a whole one, one behind the other
        assert len(memory.reads) <= 3 * VECTOR * (9 if wide else 5)
        assert cycles[-1] - cycles[0] < vectors * (1.1 + wide)


@pytest.mark.parametrize("backwards", [False, True])
def test_a_value_of_the_last_lane_outside_the_range_is_seen(backwards):
    case = Case(2, wide=False, counts=[1, 1, 16], whole=True, backwards=backwards)
    dut = reused(TensorReader, config=CONFIG, depth=4, vectors=20, slots=SLOTS)
    seen = []

    async def testbench(ctx):
        ctx.set(dut.transposed, 1)
        ctx.set(dut.turning.lane, case.lane)
        for start, end in ((0, 0), (2, 0), (0, -2)):
            ctx.set(dut.start_addr, start)
            ctx.set(dut.end_addr, len(case.content) + end)
            found = []
            for addr, count in case.places:
                ctx.set(dut.i.p, {"addr": addr, "there": (1 << count) - 1})
                ctx.set(dut.i.valid, 1)
                await ctx.tick()
                ctx.set(dut.i.valid, 0)
                found.append(ctx.get(dut.outside))
                await ctx.tick()
            seen.append(found)

    simulate(dut, testbench, cycles=200)
    # the first value of the lowest lane is the lowest one, the last one of the highest the highest
    assert seen == [[0] * 16, [1] + [0] * 15, [0] * 15 + [1]]


def test_a_buffer_has_room_for_a_value_of_loop_2():
    with pytest.raises(InputError, match="slots must be a whole number of at least 64, not 32"):
        Transposer(config=CONFIG, slots=32)
