"""Ranges of a record, each compared with others; and steps of a result, with lengths of others."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.hw.encode.record_code import PAIRS_DEPTH
from gscn.hw.ram import Ram

BEGIN, END = 41, 50
"""Bits of a pair: addresses of 40 bits and one past the last, steps of 32 bits and lengths."""
PAIR = data.StructLayout({"begin": BEGIN, "end": END})
FLAGS = 2


class RecordPairs(wiring.Component):
    """Keep pairs of a record in order, and compare all of them.

    What is compared is in `record_code.Op`: `APPEND`, `ENDS`, `FLAG` and `PAIRS`.

    Timing
    ------
    - Latency: `LATENCY` from `start` to `done`, if there are none. A cycle more for each two pairs,
      and for each first one.
    - Throughput: one comparison per cycle.
    - Combinational: none.
    - Reset: no pairs; outputs 0.

    Parameters
    ----------
    config
        Address width.

    Attributes
    ----------
    pair : In(PAIR)
        A pair to append.
    number : In(2)
        To append: the flag that marks it, plus 1, or 0. Of `ends` and `flag`: which.
    append, ends, flag : In(1)
        Append `pair`; what is appended are outputs (0) or all ranges (1); set a flag (pulses).
    forget : In(1)
        Forget all pairs and flags (pulse).
    start : In(1)
        Compare (pulse).
    spans : In(1)
        With `start`: steps and lengths, not ranges.
    extent : In(END)
        With `start`: what is added to lengths.
    done : Out(1)
        All are compared, or something is found (pulse).
    found : Out(1)
        With `done`: ranges meet, or a step is too short.
    """

    LATENCY = 1

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        super().__init__(
            {
                "pair": In(PAIR),
                "number": In(2),
                "append": In(1),
                "ends": In(1),
                "flag": In(1),
                "forget": In(1),
                "start": In(1),
                "spans": In(1),
                "extent": In(END),
                "done": Out(1),
                "found": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        row = data.StructLayout({"pair": PAIR, "marked": 1})
        m.submodules.rows = rows = Ram(shape=row, depth=PAIRS_DEPTH)
        write, read = rows.write, rows.read
        count = Signal(range(PAIRS_DEPTH + 1))
        outputs, ranges = Signal.like(count), Signal.like(count)
        flags = Signal(FLAGS)
        m.d.comb += [
            write.addr.eq(count),
            write.data.pair.eq(self.pair),
            write.data.marked.eq(Cat(0, flags).bit_select(self.number, 1)),
            write.en.eq(self.append),
        ]
        with m.If(self.append):
            m.d.sync += count.eq(count + 1)
        with m.If(self.ends):
            m.d.sync += ranges.eq(count)
            with m.If(self.number == 0):
                m.d.sync += outputs.eq(count)
        with m.If(self.flag):
            m.d.sync += flags.bit_select(self.number[:1], 1).eq(1)
        with m.If(self.forget):
            m.d.sync += [count.eq(0), flags.eq(0)]

        spans = Signal(reset_less=True)
        extent, total = Signal(END, reset_less=True), Signal(END + 4, reset_less=True)
        first, second = Signal.like(count), Signal.like(count)
        to_first, to_second = Signal.like(count), Signal.like(count)
        held, other = Signal(row, reset_less=True), read.data
        last = Signal()  # `second` is behind all that `first` is compared with
        follows = Signal.like(count)
        m.d.comb += [follows.eq(first + 1), to_first.eq(first), to_second.eq(second)]
        m.d.sync += [first.eq(to_first), second.eq(to_second)]
        with m.FSM():
            with m.State("IDLE"), m.If(self.start):
                m.d.sync += [spans.eq(self.spans), extent.eq(self.extent)]
                m.d.comb += [
                    to_first.eq(Mux(self.spans, ranges, 0)),
                    read.addr.eq(to_first),
                ]
                m.next = "FIRST"
            with m.State("FIRST"):
                m.d.comb += [
                    to_second.eq(Mux(spans, ranges, follows)),
                    read.addr.eq(to_second),
                ]
                m.d.sync += [held.eq(other), total.eq(extent)]
                m.next = "SECOND"
                with m.If((spans & (first == count)) | (~spans & (first == outputs))):
                    m.d.comb += self.done.eq(1)
                    m.next = "IDLE"
            with m.State("SECOND"):
                m.d.comb += [
                    to_second.eq(second + 1),
                    read.addr.eq(Mux(last, to_first, to_second)),
                    last.eq((spans & (second == count)) | (~spans & (second == ranges))),
                ]
                mine, theirs = held.pair, other.pair
                alike = (mine.begin == theirs.begin) & (mine.end == theirs.end)
                with m.If(last):
                    m.d.comb += [
                        to_first.eq(follows),
                        self.found.eq(spans & (total > mine.begin)),
                    ]
                    m.next = "FIRST"
                with m.Elif(~spans):
                    m.d.comb += self.found.eq(
                        (mine.begin < theirs.end)
                        & (theirs.begin < mine.end)
                        & ~(alike & held.marked & (second >= outputs))
                    )
                with m.Elif((first != second) & (theirs.begin <= mine.begin)):
                    m.d.sync += total.eq(total + theirs.end)
                with m.If(self.found):
                    m.d.comb += self.done.eq(1)
                    m.next = "IDLE"
        return m
