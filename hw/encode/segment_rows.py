"""Rows of sums and counts of lanes: one segment is added to while the one before is taken out."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Shape, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gscn.hw.arguments import need_number
from gscn.hw.encode.loop_walk import VECTOR_BITS
from gscn.hw.encode.segments import BANKS
from gscn.hw.ram import Ram
from gscn.passes import VECTOR

TOGETHER = 4
"""Lanes whose rows lie side by side in a memory, so that it is wide rather than small."""


class SegmentRows(wiring.Component):
    """Keep what lanes add up, a row for each vector of a position and each of two segments.

    A row is read when a vector is taken, and written in the next cycle, when its lanes have added
    to it. Each segment's rows are in memories of their own, of one port each way: as nothing is
    added to a segment that is `full`, its memories read what is taken out.

    Implements: rows of "Sums" in `docs/contract/encode.md`.

    Timing
    ------
    - Latency: `LATENCY` from `vector`, `begins` to `before`; `LATENCY` from `drained` to `o`. What
      is in `after` in the cycle of `before` is written.
    - Throughput: one row per cycle to be added to, and one that is read.
    - Combinational: `out` -> `o`.
    - Reset: none, rows stay; outputs `before`, `o` undefined.

    Parameters
    ----------
    shape
        What a lane has in a row.
    count
        Lanes.

    Attributes
    ----------
    en : In(1)
        A vector is taken.
    bank : In(1)
        Its segment.
    vector : In(VECTOR_BITS)
        Its number in its position.
    begins : In(1)
        Its row begins at 0.
    before : Out(shape).array(count)
        What its row held.
    after : In(shape).array(count)
        What the row is to hold.
    full : In(BANKS)
        Segments that nothing is added to; from the cycle after their last vector on.
    out : In(1)
        Segment that is taken out; the other one's turn begins with row 0.
    drained : In(VECTOR_BITS)
        Its row that is wanted in the next cycle.
    o : Out(shape).array(count)
        What the row of `out` holds.
    """

    LATENCY = 1

    def __init__(self, *, shape, count: int):
        need_number(self, "count", count)
        self._shape, self._count = shape, count
        super().__init__(
            {
                "en": In(1),
                "bank": In(1),
                "vector": In(VECTOR_BITS),
                "begins": In(1),
                "before": Out(shape).array(count),
                "after": In(shape).array(count),
                "full": In(BANKS),
                "out": In(1),
                "drained": In(VECTOR_BITS),
                "o": Out(shape).array(count),
            }
        )

    def elaborate(self, platform):
        m = Module()
        width = Shape.cast(self._shape).width
        adds, bank = Signal(), Signal(reset_less=True)
        begins, vector = Signal(reset_less=True), Signal(VECTOR_BITS, reset_less=True)
        m.d.sync += [
            adds.eq(self.en),
            bank.eq(self.bank),
            begins.eq(self.begins),
            vector.eq(self.vector),
        ]
        # What is written in the cycle of a read is not read: it is kept for the next cycle.
        read_from, keeps = [], Signal(BANKS, reset_less=True)
        for number in range(BANKS):
            drained = Mux(self.out == number, self.drained, 0)
            place = Signal(VECTOR_BITS, name=f"place{number}")
            m.d.comb += place.eq(Mux(self.full[number], drained, self.vector))
            m.d.sync += keeps[number].eq(adds & (bank == number) & (vector == place))
            read_from.append(place)
        for first in range(0, self._count, TOGETHER):
            lanes = range(first, min(first + TOGETHER, self._count))
            row = width * len(lanes)
            after = Cat(self.after[lane] for lane in lanes)
            written = Signal(row, name=f"written{first}", reset_less=True)
            m.d.sync += written.eq(after)
            read = []
            for number, place in enumerate(read_from):
                memory = Ram(shape=row, depth=VECTOR)
                m.submodules[f"rows{first}_{number}"] = memory
                port, write = memory.read, memory.write
                m.d.comb += [
                    port.addr.eq(place),
                    write.addr.eq(vector),
                    write.data.eq(after),
                    write.en.eq(adds & (bank == number)),
                ]
                read.append(port.data)
            found = [
                Mux(keeps.bit_select(one, 1), written, Mux(one, read[1], read[0]))
                for one in (bank, self.out)
            ]
            m.d.comb += [
                Cat(self.before[lane] for lane in lanes).eq(Mux(begins, 0, found[0])),
                Cat(self.o[lane] for lane in lanes).eq(found[1]),
            ]
        return m
