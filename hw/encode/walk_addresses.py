"""Places of vectors: a sum of steps of loops, for several streams at once."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gscn.hw.arguments import need_number
from gscn.hw.encode.loop_walk import START, STEP, WITHIN


def field_layout(count: int, width: int) -> data.StructLayout:
    """Return a step to be stored: of a level of a stream, its start (row `START`), or `WITHIN`."""
    return data.StructLayout(
        {"number": range(max(count, 2)), "row": range(WITHIN + 1), "value": width}
    )


class WalkAddresses(wiring.Component):
    """Follow a `LoopWalk` with a sum for each stream: a start, and a step for each level.

    A sum is kept for each level, as it was when the level stepped last; levels that have not
    stepped since they began share the sum of one above. So a step is one addition, and nothing is
    multiplied.

    Implements: "Where it is" of `docs/contract/encode.md`.
    Golden: `emulator.encode_walk.Walk`.

    Timing
    ------
    - Latency: `LATENCY` from `i` to `o`.
    - Throughput: one vector per cycle.
    - Combinational: `o.ready` -> `i.ready`.
    - Reset: no vector, steps stay; outputs 0, but `i.ready` = 1.

    Parameters
    ----------
    count
        Streams.
    width
        Bits of a sum, which wraps.

    Attributes
    ----------
    field : In(field_layout(count, width))
        A step, or a start.
    field_en : In(1)
        Store it; only between walks.
    i : In(stream.Signature(STEP))
        Vectors.
    o : Out(stream.Signature(data.ArrayLayout(width, count)))
        Their sums.
    """

    LATENCY = 1

    def __init__(self, *, count: int, width: int):
        need_number(self, "count", count)
        need_number(self, "width", width)
        self._count, self._width = count, width
        super().__init__(
            {
                "field": In(field_layout(count, width)),
                "field_en": In(1),
                "i": In(stream.Signature(STEP)),
                "o": Out(stream.Signature(data.ArrayLayout(width, count))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        i, o = self.i, self.o
        sums = Signal(data.ArrayLayout(self._width, self._count), reset_less=True)
        m.d.comb += [i.ready.eq(~o.valid | o.ready), o.p.eq(sums)]
        with m.If(i.ready):
            m.d.sync += o.valid.eq(i.valid)
        for number in range(self._count):
            m.submodules[f"steps{number}"] = steps = Memory(
                shape=self._width, depth=WITHIN + 1, init=[]
            )
            m.submodules[f"sums{number}"] = rows = Memory(
                shape=self._width, depth=START + 1, init=[]
            )
            step, store = steps.read_port(domain="comb"), steps.write_port()
            before, write = rows.read_port(domain="comb"), rows.write_port()
            after = Signal(self._width, name=f"after{number}")
            m.d.comb += [
                store.addr.eq(self.field.row),
                store.data.eq(self.field.value),
                store.en.eq(self.field_en & (self.field.number == number)),
                step.addr.eq(Mux(i.p.begins, START, Mux(i.p.within, WITHIN, i.p.level))),
                before.addr.eq(i.p.row),
                after.eq(Mux(i.p.begins, 0, before.data) + step.data),
                write.addr.eq(Mux(i.p.begins, START, i.p.level)),
                write.data.eq(after),
                write.en.eq(i.valid & i.ready),
            ]
            with m.If(i.valid & i.ready):
                m.d.sync += sums[number].eq(after)
        return m
