"""Vectors that lie across those of memory: blocks of 16 lanes are turned in a buffer."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.encode import MOST_TRANSPOSED
from gscn.hw.arguments import need_number
from gscn.hw.encode.layouts import CODE
from gscn.hw.encode.line_reader import spot_layout
from gscn.hw.encode.unit_layouts import BLOCK_LOOPS
from gscn.hw.fifo import StreamFIFO
from gscn.hw.forwarding_memory import ForwardingMemory
from gscn.hw.ram import Ram
from gscn.passes import VECTOR

CODES = data.ArrayLayout(CODE, VECTOR)
"""Values of a vector: float32 codes."""
HALF = 16
"""Bits of a bf16 code."""
_LANE_BITS = (VECTOR - 1).bit_length()
_ROW_BITS = (MOST_TRANSPOSED - 1).bit_length()
TURNING = data.StructLayout(
    {
        "counts": data.ArrayLayout(16, BLOCK_LOOPS),
        "vectors": 3,
        "lane": signed(32),
        "steady": 1,
    }
)
"""Steps of loops 0 to 2, log2 of the vectors of a position, bytes from lane to lane. `steady`: what
is there does not depend on loop 2."""
BLOCK = data.StructLayout({"first": _LANE_BITS, "rows": range(VECTOR + 1)})
"""Of 16 values of loop 2, the first one that a block has, and how many."""


def reach_layout(config: ArrayConfig) -> data.StructLayout:
    """Return the address of lane 0's value, and how many lanes are there, from lane 0 on."""
    return data.StructLayout({"addr": config.addr_width, "count": range(VECTOR + 1)})


class Transposer(wiring.Component):
    """Turn blocks: read vectors that lie along loop 2, hand on those that lie across.

    A *block* has some values of loop 2, at most 16 and a power of two, but for the last one; and
    all vectors of the loops within, a *row*. Its vectors are read lane by lane as soon as the first
    row is known; the buffer has two blocks. As many values of loop 2 are in a block as its `slots`
    have room for. A vector in memory is read again for each block that it has a part in.

    The buffer has a bank for each lane. The value of lane l at i of loop 2 is in bank (l + i) mod
    16, so that both a lane's values and an i's are in different banks. They are moved there and
    back 16 bits at a time, those of float32 in two cycles.

    Implements: transposed tensors in `docs/contract/encode.md`.
    Golden: `emulator.encode_walk.Walk`.

    Timing
    ------
    - Latency: `LATENCY` from `i_found` to `o`; `SPOT_LATENCY` from `i` to `o_spot`. These are from
      the last vector of a block, or of a row.
    - Throughput: one vector per cycle out, and one of memory in; so one each 16 / n cycles if
      blocks have n values of loop 2. Twice as many cycles for float32.
    - Combinational: `start_addr`, `end_addr`, `turning` -> `o_spot`; `wide` -> `o`,
      `i_found.ready`.
    - Reset: no block; outputs 0, but `i.ready` = 1.

    Parameters
    ----------
    config
        Port.
    slots
        Vectors in each half of the buffer, `MOST_TRANSPOSED` at least.

    Attributes
    ----------
    start_addr : In(config.addr_width)
        Of the tensor's first byte.
    end_addr : In(config.addr_width + 1)
        One past its last byte.
    wide : In(1)
        It is of float32; else bf16.
    turning : In(TURNING)
        How it lies.
    i : In(stream.Signature(reach_layout(config)))
        Vectors that are wanted.
    o_spot : Out(stream.Signature(spot_layout(config)))
        Vectors to read.
    i_found : In(stream.Signature(CODES))
        Their values.
    o : Out(stream.Signature(CODES))
        What is wanted.
    """

    LATENCY = 3
    OUT_DEPTH = 4
    """Vectors that are turned and not handed on."""
    SPOT_LATENCY = 1

    def __init__(self, *, config: ArrayConfig, slots: int):
        need_number(self, "slots", slots, MOST_TRANSPOSED)
        self.config, self._slots = config, slots
        super().__init__(
            {
                "start_addr": In(config.addr_width),
                "end_addr": In(config.addr_width + 1),
                "wide": In(1),
                "turning": In(TURNING),
                "i": In(stream.Signature(reach_layout(config))),
                "o_spot": Out(stream.Signature(spot_layout(config))),
                "i_found": In(stream.Signature(CODES)),
                "o": Out(stream.Signature(CODES)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        # of a row: its last vector, and log2 of the values of loop 2 in a block
        self._last = Signal(_ROW_BITS, reset_less=True)
        self._log = Signal(range(_LANE_BITS + 1), reset_less=True)
        banks = []
        for bank in range(VECTOR):
            both = []
            for part in ("low", "high"):
                memory = Ram(shape=HALF, depth=2 * self._slots)
                m.submodules[f"{part}{bank}"] = memory
                both.append(memory)
            banks.append(both)
        m.submodules.asked = asked = StreamFIFO(shape=BLOCK, depth=2)
        m.submodules.filled = filled = StreamFIFO(shape=BLOCK, depth=2)
        block, collected, leaves = self._collect(m)
        freed = Signal()
        begun = Signal(2)
        begins = self._ask(m, block, collected, leaves, asked.i, begun != 2)
        self._fill(m, banks, asked.o, filled.i)
        m.d.comb += freed.eq(self._show(m, banks, filled.o))
        m.d.sync += begun.eq(begun + begins - freed)
        return m

    def _collect(self, m):
        """Keep the first row of each block, and drop the others.

        Return the block, whether its first row is there, and a signal that lets it go.
        """
        i, turning = self.i, self.turning
        counts = turning.counts
        vector, inner, outer = Signal(_LANE_BITS), Signal(16), Signal(16)
        turned, rows_left = Signal(16), Signal(range(VECTOR + 1))
        number = Signal(_ROW_BITS)
        block, collected, leaves = Signal(BLOCK), Signal(), Signal()
        ends_vectors, ends_inner, ends_row, ends_turned = (Signal(name=name) for name in (
            "ends_vectors", "ends_inner", "ends_row", "ends_turned",
        ))  # fmt: skip
        log, most, left = Signal.like(self._log), Signal(range(VECTOR + 1)), Signal(16)
        for bits in range(_LANE_BITS + 1):
            with m.If(number < self._slots >> bits):
                m.d.comb += log.eq(bits)
        m.d.comb += [
            i.ready.eq((rows_left != 0) | ~collected),
            ends_vectors.eq(vector == ((1 << turning.vectors) - 1)[:_LANE_BITS]),
            ends_inner.eq(ends_vectors & (inner == counts[0] - 1)),
            ends_row.eq(ends_inner & (outer == counts[1] - 1)),
            ends_turned.eq(turned == counts[2] - 1),
            left.eq(counts[2] - turned),
            most.eq(Mux(left < (1 << log), left, 1 << log)),
        ]
        self._store(m, i.valid & i.ready & (rows_left == 0), number)
        with m.If(leaves):
            m.d.sync += collected.eq(0)
        with m.If(i.valid & i.ready):
            m.d.sync += [
                vector.eq(Mux(ends_vectors, 0, vector + 1)),
                number.eq(Mux(ends_row, 0, number + 1)),
            ]
            with m.If(ends_vectors):
                m.d.sync += inner.eq(Mux(ends_inner, 0, inner + 1))
            with m.If(ends_inner):
                m.d.sync += outer.eq(Mux(ends_row, 0, outer + 1))
            with m.If(ends_row):
                m.d.sync += turned.eq(Mux(ends_turned, 0, turned + 1))
                with m.If(rows_left != 0):
                    m.d.sync += rows_left.eq(rows_left - 1)
                with m.Else():
                    m.d.sync += [
                        rows_left.eq(most - 1),
                        self._last.eq(number),
                        self._log.eq(log),
                        collected.eq(1),
                        block.first.eq(turned),
                        block.rows.eq(most),
                    ]
        return block, collected, leaves

    def _store(self, m, stores, number):
        """Store the vectors of a row; while they are asked for each steps from lane to lane."""
        layout = reach_layout(self.config)
        m.submodules.row = row = ForwardingMemory(width=layout.size, depth=MOST_TRANSPOSED)
        self._row, self._asked, self._steps = row, Signal(_ROW_BITS), Signal()
        own, stored = data.View(layout, row.data), Signal(layout)
        m.d.comb += [
            row.en.eq(stores | self._steps),
            row.write_addr.eq(Mux(self._steps, self._asked, number)),
            row.write_data.eq(stored),
            stored.addr.eq(Mux(self._steps, own.addr + self.turning.lane, self.i.p.addr)),
            stored.count.eq(Mux(self._steps, own.count, self.i.p.count)),
        ]

    def _ask(self, m, block, collected, leaves, asked, free):
        """Ask for the vectors of a block, lane by lane; return when one begins."""
        spot, number = self.o_spot, self._asked
        own = data.View(reach_layout(self.config), self._row.data)
        asking, lane, to = Signal(), Signal(_LANE_BITS), Signal(_ROW_BITS)
        begins, goes = Signal(), Signal()
        addr, count = own.addr, own.count
        # what nobody knows yet to be there is read if that is no error
        wanted = Mux(count == 0, ~self.turning.steady, lane < count)
        m.d.comb += [
            begins.eq(collected & ~asking & free & asked.ready),
            asked.valid.eq(begins),
            asked.p.eq(block),
            to.eq(number),
            self._row.addr.eq(to),
            spot.valid.eq(asking),
            spot.p.addr.eq(addr),
            spot.p.used.eq(wanted & (addr >= self.start_addr) & (addr < self.end_addr)),
            goes.eq(spot.valid & spot.ready),
            self._steps.eq(goes),
            leaves.eq(goes & (number == self._last) & (lane == VECTOR - 1)),
        ]
        with m.If(begins):
            m.d.sync += asking.eq(1)
        m.d.sync += number.eq(to)
        with m.If(goes):
            m.d.comb += to.eq(Mux(number == self._last, 0, number + 1))
            m.d.sync += lane.eq(lane + (number == self._last))
            with m.If(leaves):
                m.d.sync += asking.eq(0)
        return begins

    def _place(self, half, number, turned):
        """Return where a bank has a vector of a row at a value of loop 2."""
        slot = (number << self._log) | (turned & ((1 << self._log) - 1))
        return Cat(half, slot[: (self._slots - 1).bit_length()])

    def _fill(self, m, banks, asked, filled):
        """Store what comes of a block in its banks, upper halves last."""
        found = self.i_found
        lane, number, half = Signal(_LANE_BITS), Signal(_ROW_BITS), Signal()
        goes, last, upper, second = Signal(), Signal(), Signal(), Signal()
        words = [Mux(upper, word[HALF:], word[:HALF]) for word in found.p]
        m.d.comb += [
            upper.eq(second | ~self.wide),
            goes.eq(found.valid & asked.valid),
            found.ready.eq(asked.valid & upper),
            last.eq(upper & (number == self._last) & (lane == VECTOR - 1)),
            asked.ready.eq(goes & last),
            filled.valid.eq(goes & last),
            filled.p.eq(asked.p),
        ]
        # bank b has the value at b - l of loop 2
        turned = self._turned(m, words, lane, back=False)
        for bank, both in enumerate(banks):
            at, own = Signal(_LANE_BITS, name=f"at{bank}"), Signal(name=f"own{bank}")
            place = Signal(range(2 * self._slots), name=f"place{bank}")
            m.d.comb += [
                at.eq(bank - lane),
                own.eq(goes & ((at >> self._log) == (asked.p.first >> self._log))),
                place.eq(self._place(half, number, at)),
            ]
            for part, memory in enumerate(both):
                write = memory.write
                m.d.comb += [
                    write.addr.eq(place),
                    write.data.eq(turned.word_select(bank, HALF)),
                    write.en.eq(own & (second == part)),
                ]
        with m.If(goes):
            m.d.sync += second.eq(self.wide & ~second)
        with m.If(goes & upper):
            m.d.sync += number.eq(number + 1)
            with m.If(number == self._last):
                m.d.sync += [number.eq(0), lane.eq(lane + 1)]
            with m.If(last):
                m.d.sync += half.eq(~half)

    def _turned(self, m, words, amount, *, back):
        """Return words moved round by an amount, upwards or back; combinational."""
        found = Cat(words)
        for bit in range(_LANE_BITS):
            step = HALF << bit
            moved = found.rotate_right(step) if back else found.rotate_left(step)
            after = Signal(HALF * VECTOR, name=f"{'back' if back else 'turned'}{bit}")
            m.d.comb += after.eq(Mux(amount[bit], moved, found))
            found = after
        return found

    def _show(self, m, banks, filled):
        """Show the vectors of a block row by row; return when all are out of the buffer."""
        row, number, half = Signal(range(VECTOR + 1)), Signal(_ROW_BITS), Signal()
        goes, last, at = Signal(), Signal(), Signal(_LANE_BITS)
        there, leaves, second, upper = (Signal(name=name) for name in (
            "there", "leaves", "second", "upper",
        ))  # fmt: skip
        turn = Signal(_LANE_BITS, reset_less=True)
        place = Signal(range(2 * self._slots))
        m.d.comb += [
            goes.eq(filled.valid & (~there | leaves)),
            at.eq(filled.p.first + row),
            place.eq(self._place(half, number, at)),
            last.eq((number == self._last) & (row == filled.p.rows - 1)),
            filled.ready.eq(goes & last),
        ]
        words = []
        for both in banks:
            parts = []
            for memory in both:
                read = memory.read
                m.d.comb += [read.addr.eq(place), read.en.eq(goes)]
                parts.append(read.data)
            words.append(Mux(second, parts[1], parts[0]))
        turned = self._turned(m, words, turn, back=True)
        queues = []
        for name in ("lows", "highs"):
            queue = StreamFIFO(shape=HALF * VECTOR, depth=self.OUT_DEPTH)
            m.submodules[name] = queue
            m.d.comb += queue.i.p.eq(turned)
            queues.append(queue)
        lows, highs = queues
        m.d.comb += [
            upper.eq(second | ~self.wide),
            lows.i.valid.eq(there & ~upper),
            highs.i.valid.eq(there & upper),
            leaves.eq(there & upper & highs.i.ready),
            self.o.valid.eq(highs.o.valid),
            highs.o.ready.eq(self.o.ready),
            lows.o.ready.eq(self.o.ready & highs.o.valid & self.wide),
        ]
        for lane in range(VECTOR):
            low, upper_half = (q.o.p.word_select(lane, HALF) for q in (lows, highs))
            m.d.comb += self.o.p[lane].eq(Cat(low & self.wide.replicate(HALF), upper_half))
        with m.If(goes | leaves):
            m.d.sync += there.eq(goes)
        with m.If(lows.i.valid & lows.i.ready):
            m.d.sync += second.eq(1)
        with m.If(leaves):
            m.d.sync += second.eq(0)
        with m.If(goes):
            m.d.sync += [turn.eq(at), number.eq(number + 1)]
            with m.If(number == self._last):
                m.d.sync += [number.eq(0), row.eq(row + 1)]
            with m.If(last):
                m.d.sync += [row.eq(0), half.eq(~half)]
        return goes & last
