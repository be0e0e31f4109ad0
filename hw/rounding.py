"""Rounding and saturation of a drained accumulator."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.layouts import OutFormat


class Rounder(wiring.Component):
    """Scale an accumulator down and fit it into the result's format.

    Formats INT16 and INT32: `i / 2**shift`, rounded to nearest, ties to even, saturated. Format
    RAW: `i`, sign-extended.

    Golden: `golden.quantize.requantize`.

    Timing: `LATENCY` cycles in which `en` is high, throughput one per such cycle; everything holds
    while `en` is low.

    Parameters
    ----------
        width: bits of the accumulator.

    Members:
        i: accumulator.
        shift: right shift, 0 to `width` - 1; without effect on RAW. Held while values are under
            way.
        out_format: format of the result. Held likewise.
        en: advance.
        o: result, sign-extended to 64 bits.
        saturated: the result was saturated.
    """

    LATENCY = 2

    def __init__(self, *, width: int):
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

        # one bit more below: after the shift, bit 0 is the half and `rest` tells whether anything
        # lies under it
        doubled = Signal(signed(width + 1))
        shifted = Signal(signed(width + 1))
        kept = Signal(width + 1)
        shift = Signal.like(self.shift)
        m.d.comb += [
            shift.eq(Mux(self.out_format == OutFormat.RAW, 0, self.shift)),
            doubled.eq(self.i << 1),
            kept.eq((1 << shift) - 1),
        ]
        rest = Signal()
        with m.If(self.en):
            m.d.sync += [shifted.eq(doubled >> shift), rest.eq((doubled & kept).any())]

        floor = shifted >> 1
        rounded = Signal(signed(width + 1))
        m.d.comb += rounded.eq(floor + (shifted[0] & (rest | shifted[1])))
        fits16 = rounded[15:].all() | ~rounded[15:].any()
        fits32 = rounded[31:].all() | ~rounded[31:].any()
        limit16 = Mux(rounded[-1], -(1 << 15), (1 << 15) - 1)
        limit32 = Mux(rounded[-1], -(1 << 31), (1 << 31) - 1)
        with m.If(self.en), m.Switch(self.out_format):
            with m.Case(OutFormat.INT16):
                m.d.sync += [
                    self.o.eq(Mux(fits16, rounded, limit16)),
                    self.saturated.eq(~fits16),
                ]
            with m.Case(OutFormat.INT32):
                m.d.sync += [
                    self.o.eq(Mux(fits32, rounded, limit32)),
                    self.saturated.eq(~fits32),
                ]
            with m.Default():
                m.d.sync += [self.o.eq(rounded), self.saturated.eq(0)]
        return m
