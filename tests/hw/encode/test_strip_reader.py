# amaranth: UnusedElaboratable=no
"""Strips as a tensor, against the encoder of strips: values, errors, cycles."""

from __future__ import annotations

import numpy as np
import pytest

from gscn.array import array
from gscn.encode import EncodeError
from gscn.formats import BF16, INT8, INT16
from gscn.hw.encode.strip_reader import StripReader
from gscn.passes import VECTOR
from gscn.strips import encode
from tests.hw.encode.walked import memory_of, raw
from tests.hw.memory import Memory
from tests.hw.streams import PAUSES, collect, drive, never, randomly, reused, simulate

CONFIG = array("small").with_overrides(["mem_width=128", "drain_width=1"])


class Operand:
    """Random strips, and what they hold: (groups, positions, lanes)."""

    def __init__(self, seed, *, groups, lengths, vectors=0, density=0.4, fmt=BF16):
        generator = np.random.default_rng(seed)
        self.vectors, self.groups = vectors, groups
        self.bounds = np.cumsum([0, *lengths])
        shape = (groups, int(self.bounds[-1]), VECTOR << vectors)
        self.fmt = fmt
        self.codes = generator.integers(1, 0x7F80, shape).astype(f"<u{fmt.width // 8}")
        self.codes[generator.random(shape) >= density] = 0
        found = encode(self.codes, self.bounds, fmt)
        self.table, self.data = found.table.astype("<u4"), found.data.view("<u2").copy()
        self.halfwords = found.halfwords

    def tickets(self):
        """Return the reader's vectors: bit 0 begins a group, bit 1 ends a strip."""
        last = set((self.bounds[1:] << self.vectors) - 1)
        count = int(self.bounds[-1]) << self.vectors
        return [int(n == 0) | int(n in last) << 1 for n in range(count)] * self.groups

    def expected(self):
        """Return the values of each vector, as one number."""
        vectors = self.codes.reshape(-1, VECTOR)
        if self.fmt is BF16:
            numbers = vectors.astype(np.int64) << 16
        else:
            numbers = vectors.view(f"<i{self.fmt.width // 8}").astype(np.int64) & 0xFFFFFFFF
        return [sum(code << 32 * n for n, code in enumerate(one)) for one in numbers.tolist()]


def started(operand, latency=5, pauses=never):
    """Return a reader, its memory, and a testbench that sets it up."""
    dut = reused(StripReader, config=CONFIG, vectors=80, integers=operand.fmt is not BF16)
    memory = Memory(CONFIG, latency=latency, pauses=pauses())
    table = len(memory.data)
    memory_of(memory, operand.table.reshape(-1).view(np.uint8))
    start = len(memory.data)
    memory_of(memory, operand.data.view(np.uint8))

    async def begin(ctx):
        ctx.set(dut.narrow, operand.fmt is INT8)
        ctx.set(dut.table_addr, table)
        ctx.set(dut.start_addr, start)
        # an odd byte is no halfword
        ctx.set(dut.end_addr, start + 2 * operand.halfwords + 1)
        ctx.set(dut.columns, operand.groups)

    beats = memory.serve_reads([dut.commands[n] for n in range(2)], dut.data, dut.data_valid)
    return dut, begin, beats


def run(operand, source_pauses=never, sink_pauses=never, **more):
    dut, begin, beats = started(operand, **more)
    received, cycles = [], []

    async def source(ctx):
        await begin(ctx)
        await drive(raw(dut.i), operand.tickets(), source_pauses())(ctx)

    simulate(
        dut,
        source,
        collect(raw(dut.o), received, len(operand.tickets()), sink_pauses(), cycles=cycles),
        cycles=1000 + 60 * len(operand.tickets()),
        background=(beats,),
    )
    assert received == operand.expected()
    return cycles


OPERANDS = {
    "one vector": {"groups": 1, "lengths": [1], "density": 1},
    "nothing": {"groups": 2, "lengths": [20, 3], "density": 0},
    "blocks that are whole and not": {"groups": 2, "lengths": [16, 32, 5, 1]},
    "few": {"groups": 3, "lengths": [9, 9, 2], "vectors": 1, "density": 0.05},
    "int8": {"groups": 2, "lengths": [9, 4], "fmt": INT8},
    "int16": {"groups": 1, "lengths": [6], "fmt": INT16},
    "all": {"groups": 1, "lengths": [10, 7], "vectors": 1, "density": 1},
}


@pytest.mark.parametrize("operand", OPERANDS.values(), ids=list(OPERANDS))
@pytest.mark.parametrize("pauses", ["no pause", "both"])
def test_vectors_are_those_that_were_encoded(operand, pauses):
    source_pauses, sink_pauses = PAUSES[pauses]
    memory_pauses = never if pauses == "no pause" else lambda: randomly(3, 0.3)
    operand = Operand(len(operand), **operand)
    run(operand, source_pauses, sink_pauses, pauses=memory_pauses, latency=11)


def test_a_halfword_takes_a_cycle_behind_a_long_latency():
    operand = Operand(1, groups=1, lengths=[40, 40], density=0.5)
    cycles = run(operand, latency=40)
    # a line of 32 halfwords may wait a cycle for its turn at the memory
    assert cycles[-1] - cycles[0] <= operand.halfwords * 33 / 32


def error_of(operand):
    """Return the code of the error of an operand, and how many vectors came before it."""
    dut, begin, beats = started(operand)
    received = []

    async def testbench(ctx):
        await begin(ctx)
        ctx.set(dut.o.ready, 1)
        words = iter(operand.tickets())
        word = next(words)
        for _ in range(60 + 2 * operand.halfwords):
            ctx.set(dut.i.valid, word is not None)
            ctx.set(dut.i.p.as_value(), word or 0)
            _, _, taken, valid, found = await ctx.tick().sample(
                dut.i.ready, dut.o.valid, dut.o.p.as_value()
            )
            word = next(words, None) if taken else word
            if valid:
                received.append(found)
        assert ctx.get(dut.o.valid) == 0
        return

    code = []

    async def watch(ctx):
        await testbench(ctx)
        code.append(ctx.get(dut.error))

    simulate(dut, watch, cycles=2000, background=(beats,))
    assert received == operand.expected()[: len(received)]
    return code[0], len(received)


def change(part, place, to):
    def changed(operand):
        getattr(operand, part)[place] = to(getattr(operand, part)[place])

    return changed


BAD = {
    "an end before a beginning": (change("table", (1, 0), lambda _: 0x10000), EncodeError.TABLE),
    "an end before the strip": (change("table", (2, 0), lambda _: 0), EncodeError.TABLE),
    "a strip beyond the data": (change("table", (2, 0), lambda at: at + 1), EncodeError.TABLE),
    "a strip that is too long": (change("table", (1, 0), lambda at: at + 1), EncodeError.STRIP),
    "a strip that is too short": (change("table", (1, 0), lambda at: at - 1), EncodeError.STRIP),
    "a table that is bad behind a bad strip": (
        lambda operand: [
            change("table", (2, 0), lambda _: 0)(operand),
            change("data", 1, lambda _: 0)(operand),
        ],
        EncodeError.STRIP,
    ),
    "no halfword": (change("table", (1, 0), lambda _: 0), EncodeError.STRIP),
    "a mask without lanes": (change("data", 1, lambda _: 0), EncodeError.STRIP),
    "a vector beyond the strip": (change("data", 0, lambda _: 0x803F), EncodeError.STRIP),
}


@pytest.mark.parametrize(("spoil", "error"), BAD.values(), ids=list(BAD))
def test_what_is_malformed_has_its_code(spoil, error):
    operand = Operand(2, groups=1, lengths=[6, 4], density=0.2)
    assert error_of(operand) == (EncodeError.NONE, 10)
    spoil(operand)
    code, count = error_of(operand)
    assert code == error
    assert count < 10
