"""Rounding and saturation of a drained accumulator."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gscn import latencies
from gscn.hw.arguments import need_number
from gscn.hw.layouts import OutFormat
from gscn.hw.pe.sticky_shift import shift_right


class Rounder(wiring.Component):
    """Scale an accumulator down and fit it into the result's format.

    Formats INT16 and INT32: `i / 2**shift`, rounded to nearest, ties to even, saturated. Format
    RAW: `i`, sign-extended to 64 bits.

    Golden: `golden.oracle.quantize.requantize`.

    Timing
    ------
    - Latency: `LATENCY` from `i` to `o`, counting cycles in which `en` is high: everything holds
      while it is low.
    - Throughput: one value per cycle in which `en` is high.
    - Combinational: none.
    - Reset: none, the pipeline goes on; outputs `o`, `saturated` undefined.

    Parameters
    ----------
    width
        Bits of the accumulator; 1 to 64.

    Attributes
    ----------
    i : In(signed(width))
        Accumulator.
    shift : In(range(64))
        Right shift, 0 to `width` - 1; without effect on RAW. Held while values are under way.
    out_format : In(OutFormat)
        Format of the result. Held likewise.
    en : In(1)
        Advance.
    o : Out(signed(64))
        Result; above the width of its format, RAW's being 64, the bits are undefined.
    saturated : Out(1)
        The result was saturated.
    """

    LATENCY = latencies.ROUNDER_LATENCY

    def __init__(self, *, width: int):
        need_number(self, "width", width, 1, 64)
        self._width = width
        super().__init__(
            {
                "i": In(signed(width)),
                "shift": In(range(64)),
                "out_format": In(OutFormat),
                "en": In(1),
                "o": Out(signed(64)),
                "saturated": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        width = self._width
        narrow = max(width, 32)

        # -- shift; one bit more below is the half, and `sticky` is whether anything lies under it
        shift = Signal.like(self.shift)
        m.d.comb += shift.eq(Mux(self.out_format == OutFormat.RAW, 0, self.shift))
        # the step by one bit is left to the second cycle; results are looked at only when values
        # have come through, so nothing here has a reset
        shifted, sticky = shift_right(m, Cat(0, self.i).as_signed(), shift, 0, first_bit=1)
        coarse = Signal(signed(width + 1), reset_less=True)
        rest = Signal(reset_less=True)
        with m.If(self.en):
            m.d.sync += [coarse.eq(shifted), rest.eq(sticky)]
        fine = Signal(signed(width + 1))
        m.d.comb += fine.eq(Mux(shift[0], coarse >> 1, coarse))
        floor, half = fine[1:].as_signed(), fine[0]
        up = half & (rest | (shift[0] & coarse[0]) | floor[0])

        # -- round and saturate; a raw value has no half, and the others need 32 bits at most
        wide = Signal(signed(narrow))
        rounded = Signal(32)
        m.d.comb += [wide.eq(floor), rounded.eq(wide[:32] + up)]
        negative = floor[-1]
        ones, zeros = wide[31:].all(), ~wide[31:].any()
        fits32 = ones | (zeros & ~rounded[31])
        fits16 = (ones & wide[15:31].all()) | (zeros & ~wide[15:31].any() & ~rounded[15])
        saturates = Signal()
        with m.Switch(self.out_format):
            with m.Case(OutFormat.INT16):
                m.d.comb += saturates.eq(~fits16)
            with m.Case(OutFormat.INT32):
                m.d.comb += saturates.eq(~fits32)
        # the largest or smallest number of the format, but for its sign that is the same bit
        low = Mux(saturates, (~negative).replicate(32), rounded)
        sign15 = negative ^ (self.out_format != OutFormat.INT16)
        result = Signal(narrow, reset_less=True)
        saturated = Signal(reset_less=True)
        with m.If(self.en):
            m.d.sync += [
                result.eq(
                    Cat(
                        low[:15],
                        Mux(saturates, sign15, rounded[15]),
                        low[16:31],
                        Mux(saturates, negative, rounded[31]),
                        wide[32:],
                    )
                ),
                saturated.eq(saturates),
            ]
        m.d.comb += [self.o.eq(result.as_signed()), self.saturated.eq(saturated)]
        return m
