"""Selection of a threshold: a histogram of some bits of magnitudes, and the bin of a rank."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.encode import MOST_BIN_BITS
from gscn.hw.arguments import need_number
from gscn.hw.encode.layouts import CODE
from gscn.hw.forwarding_memory import ForwardingMemory

MAGNITUDE = CODE - 1
BINS = 1 << MOST_BIN_BITS
CHOICE = data.StructLayout({"bin": MOST_BIN_BITS, "rank": 32})
"""The bin in which the rank is reached, and what is left of the rank for it."""


def magnitudes_layout(count: int, magnitude: int = MAGNITUDE) -> data.StructLayout:
    """Return magnitudes of lanes, 31 bits (one of bf16 has zeros below), and which there are."""
    return data.StructLayout({"magnitudes": data.ArrayLayout(magnitude, count), "there": count})


class Selection(wiring.Component):
    """Count magnitudes by some of their bits, lane by lane, and find the bin of a rank.

    A magnitude counts if its bits in `mask` are those of `prefix`; its bin is the 8 bits above bit
    `shift`, as far as they are in `bin_mask`. After `choose` bins are emptied one by one, from the
    highest down, each lane by lane: the first one in which all that was counted reaches `rank` is
    the choice, bin 0 if none does. The others are emptied as well, so that the next pass can
    begin.

    Implements: selections of "The state" in `docs/contract/encode.md`.

    Timing
    ------
    - Latency: `LATENCY` from `choose` to `o`, if the highest bin is the choice of one lane. All
      bins take `BINS` cycles for each lane, and then it is `ready`.
    - Throughput: one vector per cycle while `ready`.
    - Combinational: none.
    - Reset: bins are emptied first; outputs 0.

    Parameters
    ----------
    count
        Lanes.
    width
        Bits of a count.
    magnitude
        Bits of a magnitude: one more for integers, which have 2**31.

    Attributes
    ----------
    i : In(magnitudes_layout(count, magnitude))
        A vector.
    en : In(1)
        There is a vector; only while `ready`.
    mask, prefix : In(magnitude)
        Bits that must be alike.
    shift : In(range(magnitude))
        Bits below those of bins.
    bin_mask : In(MOST_BIN_BITS)
        Bits that a bin has.
    rank : In(32)
        How many are to be kept.
    choose : In(1)
        All vectors have been counted (pulse); only while `ready`.
    ready : Out(1)
        Bins are empty, or count.
    o : Out(stream.Signature(CHOICE, always_ready=True))
        The choice.
    """

    LATENCY = 1

    def __init__(self, *, count: int, width: int, magnitude: int = MAGNITUDE):
        need_number(self, "count", count, 2)
        need_number(self, "magnitude", magnitude, MAGNITUDE, CODE)
        need_number(self, "width", width, 1, 64)
        self._count, self._width, self._magnitude = count, width, magnitude
        super().__init__(
            {
                "i": In(magnitudes_layout(count, magnitude)),
                "en": In(1),
                "mask": In(magnitude),
                "prefix": In(magnitude),
                "shift": In(range(magnitude)),
                "bin_mask": In(MOST_BIN_BITS),
                "rank": In(32),
                "choose": In(1),
                "ready": Out(1),
                "o": Out(stream.Signature(CHOICE, always_ready=True)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        count, width = self._count, self._width
        # -- from one walk of all bins to the next
        empties, chosen = Signal(init=1), Signal(init=1)
        number, lane = Signal(MOST_BIN_BITS, init=BINS - 1), Signal(range(count))
        left = Signal(32)
        counts = Signal(width)
        ends = empties & (number == 0) & (lane == count - 1)
        last_lane = lane == count - 1
        m.d.comb += self.ready.eq(~empties)
        with m.If(empties):
            m.d.sync += lane.eq(Mux(last_lane, 0, lane + 1))
            with m.If(last_lane):
                m.d.sync += number.eq(number - 1)
            with m.If(ends):
                m.d.sync += [empties.eq(0), chosen.eq(1)]
        with m.If(self.choose):
            m.d.sync += [empties.eq(1), chosen.eq(0), left.eq(self.rank)]
        # What is left for the bin: it is chosen if the bin has as many.
        under, rest = Signal(32 + 1), Signal(32)
        reached, total = Signal(), Signal(max(width, 32))
        held = Signal(width, reset_less=True)
        m.d.comb += [
            total.eq(Mux(lane == 0, 0, held) + counts),
            under.eq(left - total),
            rest.eq(under),
            reached.eq((total >= left) | (number == 0)),
            self.o.valid.eq(empties & ~chosen & last_lane & reached),
            self.o.p.bin.eq(number),
            self.o.p.rank.eq(left),
        ]
        m.d.sync += held.eq(total)
        with m.If(empties & last_lane):
            with m.If(reached):
                m.d.sync += chosen.eq(1)
            with m.Else():
                m.d.sync += left.eq(rest)

        # -- lanes: a bin is read in the cycle of its magnitude, and written again in the next one
        totals = []
        zeros, ones = Signal(MAGNITUDE), Signal(MAGNITUDE)
        m.d.comb += [zeros.eq(self.mask & ~self.prefix), ones.eq(self.mask & self.prefix)]
        walks = empties | self.choose
        coming = Mux(empties & last_lane, number - 1, number)
        for one in range(count):
            m.submodules[f"bins{one}"] = bins = ForwardingMemory(width=width, depth=BINS)
            magnitude = self.i.magnitudes[one]
            alike = ~((magnitude & zeros) | (~magnitude & ones)).any()
            at = Signal(MOST_BIN_BITS, name=f"at{one}", reset_less=True)
            counts_one = Signal(name=f"counts{one}")
            taken = _bits_at(magnitude, self.shift) & self.bin_mask
            mine = empties & (lane == one)
            m.d.sync += [
                at.eq(taken),
                counts_one.eq(self.en & self.i.there[one] & alike),
            ]
            m.d.comb += [
                bins.addr.eq(Mux(walks, coming, taken)),
                bins.write_addr.eq(Mux(empties, number, at)),
                bins.write_data.eq(Mux(empties, 0, bins.data + 1)),
                bins.en.eq(mine | counts_one),
            ]
            totals.append(Mux(mine, bins.data, 0))
        m.d.comb += counts.eq(_any(totals))
        return m


def _bits_at(magnitude, shift):
    """Return the bits of a bin; the long steps first, behind which fewer bits are wanted."""
    bits = Cat(magnitude, Const(0, (1 << len(shift)) - MAGNITUDE))
    for place in reversed(range(len(shift))):
        step = 1 << place
        wanted = MOST_BIN_BITS + step - 1
        bits = Cat(bits, Const(0, max(0, wanted + step - len(bits))))
        bits = Mux(shift[place], bits[step : step + wanted], bits[:wanted])
    return bits


def _any(values):
    """Return the values ORed together."""
    total = values[0]
    for value in values[1:]:
        total = total | value
    return total
