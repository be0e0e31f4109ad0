"""The eight loops of an encode pass, and the vectors of a position."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.encode import GROUP_LOOPS, LOOPS

VECTOR_BITS = 4
"""Bits of the number of a vector in its position."""
LEVELS = LOOPS + 1
"""Vectors of a position, and loops 0 to 7 around them."""
START = LEVELS
"""Row of what a walk begins with."""
WITHIN = LEVELS + 1
"""Row of the step that some steps of a loop take in place of its own."""
STEP = data.StructLayout(
    {
        "level": range(LEVELS),
        "row": range(LEVELS + 1),
        "begins": 1,
        "within": 1,
        "ends_group": 1,
        "last": 1,
    }
)
"""How a walk goes on: the level that steps, while all below it begin again, from what row of
`WalkAddresses`; whether it begins here, whether it steps by `WITHIN` (which `LoopWalk` never says),
whether this is the last position of a group, and whether the last vector of all."""
LOOP_COUNTS = data.StructLayout({"vectors": VECTOR_BITS, "loops": data.ArrayLayout(16, LOOPS)})
"""Of each level, its number of steps less 1."""


class LoopWalk(wiring.Component):
    """Walk all vectors of a pass, the lowest level innermost.

    For each vector it says which level stepped to it. What the steps before made of a place is in
    the row of the lowest level, from that one on, that has stepped since it began; `START` if there
    is none.

    Implements: "The walk" of `docs/contract/encode.md`.

    Timing
    ------
    - Latency: `LATENCY` from `start` to `o`.
    - Throughput: one vector per cycle.
    - Combinational: none.
    - Reset: no walk; outputs 0.

    Attributes
    ----------
    start : In(1)
        Begin a walk (pulse); only while `o.valid` is 0.
    counts : In(LOOP_COUNTS)
        Steps less 1; held while there is a walk.
    o : Out(stream.Signature(STEP))
        Vectors.
    """

    LATENCY = 1

    def __init__(self):
        super().__init__(
            {"start": In(1), "counts": In(LOOP_COUNTS), "o": Out(stream.Signature(STEP))}
        )

    def elaborate(self, platform):
        m = Module()
        most = [self.counts.vectors, *self.counts.loops]
        left = [Signal(len(one), name=f"left{n}", reset_less=True) for n, one in enumerate(most)]
        stepped = [Signal(name=f"stepped{level}", reset_less=True) for level in range(LEVELS)]
        o = self.o
        begins = Signal(reset_less=True)
        stepped_level = Signal(range(LEVELS), reset_less=True)
        from_row = Signal(range(LEVELS + 1), reset_less=True)
        level, row = Signal(range(LEVELS)), Signal(range(LEVELS + 1))
        ends = Signal()
        m.d.comb += [row.eq(START), ends.eq(1)]
        for number in reversed(range(LEVELS)):
            with m.If(left[number] != 0):
                m.d.comb += [level.eq(number), ends.eq(0)]
        for number in reversed(range(LEVELS)):
            with m.If((level <= number) & stepped[number]):
                m.d.comb += row.eq(number)
        with m.If(self.start):
            m.d.sync += [o.valid.eq(1), begins.eq(1)]
            for number in range(LEVELS):
                m.d.sync += [left[number].eq(most[number]), stepped[number].eq(0)]
        with m.Elif(o.valid & o.ready):
            m.d.sync += [
                o.valid.eq(~ends), begins.eq(0), stepped_level.eq(level), from_row.eq(row),
            ]  # fmt: skip
            for number in range(LEVELS):
                steps = Signal(name=f"steps{number}")
                m.d.comb += steps.eq(level == number)
                with m.If(steps):
                    m.d.sync += [left[number].eq(left[number] - 1), stepped[number].eq(1)]
                with m.Elif(level > number):
                    m.d.sync += [left[number].eq(most[number]), stepped[number].eq(0)]
        m.d.comb += [
            o.p.last.eq(ends),
            o.p.ends_group.eq(~Cat(*(one.any() for one in left[1 : LEVELS - GROUP_LOOPS])).any()),
            o.p.begins.eq(begins),
            o.p.level.eq(stepped_level),
            o.p.row.eq(from_row),
        ]
        return m
