"""Strips lie one behind the other from where their range begins, and never beyond its end."""

from __future__ import annotations

from amaranth.hdl import Signal

from formal.checker import Checker
from formal.stand_ins import Free
from gscn.hw.encode.line_gatherer import HALFWORDS, LineGatherer
from gscn.hw.encode.strip_packer import StripPacker
from gscn.hw.encode.strip_writer import StripWriter
from gscn.hw.encode.unit_layouts import LINE_BYTES
from gscn.hw.fifo import StreamFIFO


class StripWriterChecker(Checker):
    """Count the beats that are packed, and look at one halfword of them, any.

    The packer packs anything, as soon as there has been a vector. Assumed: the range stays, begins
    at a multiple of 64 and ends within the addresses; a beat has 1 to 32 halfwords.
    """

    CLAIMS = {
        "inside": "no halfword outside the range is written",
        "place": "each beat is written to the line behind that of the one before, the first where "
        "the range begins, and of it as many halfwords as it has",
        "exceeded": "a beat is written exactly if all of it lies within the range; if not, it is "
        "dropped, and `exceeded` says so from then on",
    }
    STAND_INS = {StripPacker: Free, StreamFIFO: Free, LineGatherer: Free}

    dut: StripWriter

    def describe(self) -> None:
        """State where the next beat lies."""
        dut, m, width = self.dut, self.m, self.dut.config.addr_width
        (packer,) = self.parts[StripPacker]
        first = self.any_constant(len(dut.first), name="first")
        last = self.any_constant(len(dut.last), name="last")
        self.assume((dut.first == first) & (dut.last == last))
        self.assume((first % LINE_BYTES == 0) & (last <= 1 << width))
        began, passed = Signal(), Signal()
        at = Signal(width + 2)  # of the next beat, in bytes: those that do not fit may go on
        m.d.sync += began.eq(began | dut.i.valid)
        beat = packer.o
        self.assume(~beat.valid | began)
        self.assume((beat.p.count != 0) & (beat.p.count <= HALFWORDS))
        leaves = beat.valid & beat.ready
        number = self.any_constant((HALFWORDS - 1).bit_length(), name="halfword")
        line = dut.o_data.p
        fits = at + 2 * beat.p.count <= last
        with m.If(~began):
            m.d.sync += at.eq(first)
        with m.Elif(leaves & (at < 1 << (width + 1))):
            m.d.sync += at.eq(at + LINE_BYTES)
        m.d.sync += passed.eq(passed | (leaves & ~fits))
        its_bytes = line.place * LINE_BYTES + 2 * number
        strobed = line.halfwords.bit_select(number, 1)
        self.claim(
            "inside",
            ~(dut.o_data.valid & strobed) | ((its_bytes >= first) & (its_bytes + 2 <= last)),
        )
        content = line.data.word_select(number, 16)
        self.claim(
            "place",
            ~dut.o_data.valid
            | (
                (line.place * LINE_BYTES == at)
                & (strobed == (number < beat.p.count))
                & (content == beat.p.halfwords[number])
            ),
        )
        self.claim(
            "exceeded",
            (dut.exceeded == passed)
            & (dut.o_data.valid == (beat.valid & fits))
            & (leaves == (beat.valid & (dut.o_data.ready | ~fits))),
        )
        self.invariant(self.probe.signal("opened") == began)
        self.invariant(~began | (self.probe.signal("place") * LINE_BYTES == at))
        self.invariant(at % LINE_BYTES == 0)
        self.invariant(~began | (at >= first))
        # beyond all addresses it cannot come in a pass, which has fewer halfwords
        self.assume(at < 1 << (width + 1))
        self.reach(leaves & passed)
