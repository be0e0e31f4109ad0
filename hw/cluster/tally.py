"""Performance counters that share one incrementer and one memory."""

from __future__ import annotations

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gscn.hw.arguments import need_number


class Tally(wiring.Component):
    """Count several causes at once; give the value of any one of them.

    Each counter keeps its low bits in a register. Its high bits lie in a memory that is visited
    row by row, one per cycle; a carry waits for its row's visit. The low bits are wide enough that
    no second carry can come before. `value` has what was counted in all cycles before that of
    `select`.

    Timing
    ------
    - Latency: `LATENCY` from `select` to `value`.
    - Throughput: every counter advances, and one is read, in every cycle.
    - Combinational: none.
    - Reset: all counters are zero, whatever the memory holds; outputs `value` undefined, until the
      first `select` has come through.

    Parameters
    ----------
    count
        Counters; at least 2, so that a row is not read in the cycle in which it is written.
    most
        Largest increment of one counter in one cycle; at least 1.
    width
        Bits of a counter; more than `count * most` has.

    Attributes
    ----------
    increments : In(range(most + 1)).array(count)
        Of each counter in this cycle.
    select : In(range(count))
        Counter whose value is asked for.
    value : Out(width)
        Its value.
    """

    LATENCY = 1

    def __init__(self, *, count: int, most: int, width: int):
        need_number(self, "count", count, 2)
        need_number(self, "most", most)
        need_number(self, "width", width, (count * most).bit_length() + 1)
        self._count, self._most, self._width = count, most, width
        super().__init__(
            {
                "increments": In(range(most + 1)).array(count),
                "select": In(range(count)),
                "value": Out(width),
            }
        )

    def elaborate(self, platform):
        m = Module()
        low_width = (self._count * self._most).bit_length()
        high_width = self._width - low_width
        m.submodules.highs = highs = Memory(shape=high_width, depth=self._count, init=[])
        visit, write, read = (
            highs.read_port(),
            highs.write_port(),
            highs.read_port(domain="comb"),
        )

        # -- rows in turn, read a cycle before they are visited; the first round clears them
        coming, turn = Signal(range(self._count)), Signal(range(self._count))
        cleared = Signal()
        carries = [Signal(name=f"carry{n}") for n in range(self._count)]
        m.d.sync += [coming.eq(coming + 1), turn.eq(coming)]
        with m.If(coming == self._count - 1):
            m.d.sync += coming.eq(0)
        with m.If(turn == self._count - 1):
            m.d.sync += cleared.eq(1)
        carry = Array(carries)[turn]
        m.d.comb += [
            visit.addr.eq(coming),
            write.addr.eq(turn),
            write.data.eq(Mux(cleared, visit.data, 0) + carry),
            write.en.eq(carry | ~cleared),
        ]

        # -- low bits
        lows = [Signal(low_width, name=f"low{n}") for n in range(self._count)]
        for number, (low, waiting) in enumerate(zip(lows, carries, strict=True)):
            total = Signal(low_width + 1, name=f"total{number}")
            m.d.comb += total.eq(low + self.increments[number])
            m.d.sync += [
                low.eq(total),
                waiting.eq(total[low_width] | (waiting & (turn != number))),
            ]

        value = Signal(self._width, reset_less=True)
        high = Mux(cleared, read.data, 0) + Array(carries)[self.select]
        m.d.comb += [read.addr.eq(self.select), self.value.eq(value)]
        m.d.sync += [
            value[:low_width].eq(Array(lows)[self.select]),
            value[low_width:].eq(high),
        ]
        return m
