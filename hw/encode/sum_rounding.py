"""Rounding of sums of segments, lane by lane, into vectors of a dense result."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.encode import LEAST_TOP
from gscn.hw.encode.lane_rounding import LaneRounder
from gscn.hw.encode.lane_sums import channel_sum_layout
from gscn.hw.encode.layouts import CODE, HEIGHT
from gscn.hw.encode.segments import place_of_segment
from gscn.hw.encode.unit_layouts import dense_layout
from gscn.passes import VECTOR


def lane_sum_layout(config: ArrayConfig) -> data.StructLayout:
    """Return a lane's sum; with the `last` lane of a vector, the place of its result counts."""
    return data.StructLayout(
        {
            "sum": channel_sum_layout(config.acc_width),
            "last": 1,
            "place": place_of_segment(config),
            "ends": 1,
        }
    )


class SumRounding(wiring.Component):
    """Round sums in one `LaneRounder`, and put those of 16 lanes together.

    A window whose top is below `LEAST_TOP` is moved up first; what is cut off stays as a bit that
    rounding looks at.

    Implements: sums of "One dense result for a segment", floating point, in
    `docs/contract/encode.md`.
    Golden: `emulator.encode_arithmetic.rounded`.

    Timing
    ------
    - Latency: `LATENCY` from `i.valid` to `o.valid`.
    - Throughput: one lane per cycle.
    - Combinational: none.
    - Reset: no lane; outputs 0, but `i.ready` = 1.

    Parameters
    ----------
    config
        Widths of addresses and sums.

    Attributes
    ----------
    i : In(stream.Signature(lane_sum_layout(config)))
        Sums, lane by lane.
    top : In(16)
        Top of their window. Held while there are sums.
    wide : In(1)
        Results are float32, not bf16. Held likewise.
    o : Out(stream.Signature(dense_layout(config)))
        Vectors.
    saturated, nonfinite : Out(1)
        A sum was beyond the largest number, or is none.
    busy : Out(1)
        Sums are under way.
    """

    STAGES = 1 + LaneRounder.LATENCY
    LATENCY = STAGES + 1
    MEMBERS = (("top", In(16)), ("wide", In(1)))
    """How sums are rounded."""
    _QUEUE = 2

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        super().__init__(
            {
                "i": In(stream.Signature(lane_sum_layout(config))),
                **dict(self.MEMBERS),
                "o": Out(stream.Signature(dense_layout(config))),
                "saturated": Out(1),
                "nonfinite": Out(1),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        taken, flight = Signal(), Signal(self.STAGES)
        last, level = Signal(len(flight)), Signal(range(self._QUEUE + 1))
        m.d.comb += [
            # A vector that is put together finds room.
            self.i.ready.eq(level + last.any() < self._QUEUE),
            taken.eq(self.i.valid & self.i.ready),
        ]
        m.d.sync += flight.eq(Cat(taken, flight))

        code, saturated, nonfinite = self._round(m)
        m.d.comb += [
            self.saturated.eq(saturated & flight[-1]),
            self.nonfinite.eq(nonfinite & flight[-1]),
        ]

        # -- lanes go to their places in a vector one by one, and leave together
        lane, row, out = Signal(range(VECTOR)), Signal(1), Signal(1)
        place = Signal.like(self.i.p.place, reset_less=True)
        ends = Signal(reset_less=True)
        goes = self.o.valid & self.o.ready
        m.d.sync += [last.eq(Cat(taken & self.i.p.last, last)), level.eq(level + last[-1] - goes)]
        with m.If(taken & self.i.p.last):
            m.d.sync += [place.eq(self.i.p.place), ends.eq(self.i.p.ends)]
        with m.If(flight[-1]):
            m.d.sync += lane.eq(lane + 1)
        with m.If(last[-1]):
            m.d.sync += row.eq(~row)
        with m.If(goes):
            m.d.sync += out.eq(~out)
        for number in range(VECTOR):
            here = flight[-1] & (lane == number)
            held = self._rows(m, f"lane{number}", CODE, row, here, code, out)
            m.d.comb += self.o.p.codes[number].eq(held)
        kept = self._rows(
            m, "place", len(place.as_value()) + 1, row, last[-1], Cat(place.as_value(), ends), out
        )
        m.d.comb += [
            Cat(self.o.p.addr, self.o.p.wanted, self.o.p.ends).eq(kept),
            self.o.valid.eq(level != 0),
            self.busy.eq(flight.any() | (level != 0)),
        ]
        return m

    def _round(self, m):
        """Return code, saturated, nonfinite of a sum, `STAGES` after it was taken."""
        width = self.config.acc_width
        m.submodules.rounder = rounder = LaneRounder(window=width)
        # -- a window too low is moved up; one too high has no sum in it
        lift, moved = Signal(range(LEAST_TOP + 1)), Signal(signed(width), reset_less=True)
        special = Signal.like(self.i.p.sum.special, reset_less=True)
        value = self.i.p.sum.value
        bits = (width - 1).bit_length()
        far = lift[bits:].any()
        shift = Mux(far, width - 1, lift[:bits])
        cut = (value[:width] & ~((Const(-1, width) << shift)[:width])).any()
        m.d.comb += lift.eq(Mux(self.top < LEAST_TOP, LEAST_TOP - self.top, 0))
        height = Mux(
            self.top < LEAST_TOP, LEAST_TOP, Mux(self.top[HEIGHT:].any(), ~0, self.top[:HEIGHT])
        )
        m.d.sync += [moved.eq((value >> shift) | cut), special.eq(self.i.p.sum.special)]
        m.d.comb += [
            rounder.sum.eq(moved),
            rounder.top.height.eq(height[:HEIGHT]),
            rounder.top.special.eq(special),
            rounder.there.eq(1),
            rounder.kept.eq(1),
            rounder.wide.eq(self.wide),
        ]
        return rounder.o, rounder.saturated, rounder.nonfinite

    def _rows(self, m, name, width, row, en, data, out):
        """Write into a memory with a row for each vector; return what is in the one that leaves."""
        m.submodules[name] = memory = Memory(shape=width, depth=self._QUEUE, init=[])
        write, read = memory.write_port(), memory.read_port(domain="comb")
        m.d.comb += [write.addr.eq(row), write.data.eq(data), write.en.eq(en), read.addr.eq(out)]
        return read.data
