"""The selection of a pass: what it counts, by what its record and its state say, and its choice."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.encode import MOST_BIN_BITS
from gscn.hw.encode.layouts import CODE
from gscn.hw.encode.selection import CHOICE, MAGNITUDE, Selection, magnitudes_layout

_NARROW = CODE // 2
"""Bits that a magnitude of bf16 lies above those of a float32."""


class Selector(wiring.Component):
    """Count magnitudes for a selection, and hold its choice.

    Implements: selections of "The state" in `docs/contract/encode.md`.
    Golden: `emulator.encode`.

    Timing
    ------
    - Latency: `LATENCY` from `through` to `chosen`, if the highest bin is the choice.
    - Throughput: one vector per cycle while bins are ready.
    - Combinational: none.
    - Reset: bins are emptied first; outputs 0.

    Parameters
    ----------
    count
        Lanes.
    width
        Bits of a count.
    magnitude
        Bits of a magnitude, as `Selection` has them.

    Attributes
    ----------
    start : In(1)
        A pass begins (pulse): the choice, and what was counted without one, are forgotten.
    i : In(stream.Signature(magnitudes_layout(count, magnitude)))
        Vectors.
    wide : In(1)
        Magnitudes are of float32 or integers, else of bf16.
    bin_shift : In(8)
        Bits below those of bins, in codes of the format.
    bin_bits : In(8)
        Bits that a bin has.
    prefix : In(32)
        What is found of the magnitude.
    rank : In(32)
        How many are to be kept.
    through : In(1)
        All vectors have been taken; held.
    chosen : Out(1)
        The choice is made; until `start`.
    choice : Out(CHOICE)
        It.
    """

    LATENCY = 2

    def __init__(self, *, count: int, width: int, magnitude: int = MAGNITUDE):
        self._count, self._width, self._magnitude = count, width, magnitude
        super().__init__(
            {
                "start": In(1),
                "i": In(stream.Signature(magnitudes_layout(count, magnitude))),
                "wide": In(1),
                "bin_shift": In(8),
                "bin_bits": In(8),
                "prefix": In(32),
                "rank": In(32),
                "through": In(1),
                "chosen": Out(1),
                "choice": Out(CHOICE),
            }
        )

    def elaborate(self, platform):
        m = Module()
        # Bins that have counted are emptied by a choice, or else by a reset.
        counted, chooses = Signal(), Signal()
        size = self._magnitude
        selection = Selection(count=self._count, width=self._width, magnitude=size)
        restart = Signal()
        m.d.comb += restart.eq(self.start & counted)
        m.submodules.selection = ResetInserter(restart)(selection)
        shift = Signal(range(size))
        above = Signal(range(size + 1))
        prefix = Signal(32 + size)
        m.d.comb += [
            # A record that was checked has no bits beyond those of a magnitude.
            shift.eq(self.bin_shift + Mux(self.wide, 0, _NARROW)),
            above.eq(shift + self.bin_bits),
            prefix.eq(self.prefix << above),
            selection.i.eq(self.i.p),
            # No magnitude has a prefix that is too long.
            selection.en.eq(self.i.valid & self.i.ready & ~prefix[size:].any()),
            selection.mask.eq(((1 << size) - 1) << above),
            selection.prefix.eq(prefix),
            selection.shift.eq(shift),
            selection.bin_mask.eq(~((~0 & (1 << MOST_BIN_BITS) - 1) << self.bin_bits[:4])),
            selection.rank.eq(self.rank),
            self.i.ready.eq(selection.ready),
        ]
        asked = Signal()
        m.d.comb += [
            chooses.eq(self.through & selection.ready & ~asked),
            selection.choose.eq(chooses),
        ]
        with m.If(chooses):
            m.d.sync += [asked.eq(1), counted.eq(0)]
        with m.Elif(selection.en):
            m.d.sync += counted.eq(1)
        # A choice of a pass that was given up is not this one's.
        with m.If(selection.o.valid & asked):
            m.d.sync += [
                self.chosen.eq(1),
                self.choice.rank.eq(selection.o.p.rank),
                # Bins above those that there are hold nothing, nor does a rank of 0 want more.
                self.choice.bin.eq(selection.o.p.bin & selection.bin_mask),
            ]
        with m.If(self.start):
            m.d.sync += [asked.eq(0), counted.eq(0), self.chosen.eq(0)]
        return m
