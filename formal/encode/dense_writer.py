"""Dense results lie where their vectors say, within their range, and nowhere else."""

from __future__ import annotations

from amaranth.hdl import Cat, Signal, Value

from formal.checker import Checker
from formal.encode.line_gatherer import seen
from formal.stand_ins import Free
from gscn.hw.encode.dense_writer import DenseWriter
from gscn.hw.encode.integer_writer import IntegerWriter
from gscn.hw.encode.layouts import CODE
from gscn.hw.encode.line_gatherer import HALFWORD, HALFWORDS, LineGatherer
from gscn.hw.encode.unit_layouts import LINE_BYTES
from gscn.passes import VECTOR


class DenseWriterChecker(Checker):
    """Look at one halfword, any, of each line that is handed on to be put together.

    What puts lines together does anything. Assumed: a vector's address is a multiple of its bytes;
    the range begins at a multiple of 64.
    """

    CLAIMS = {
        "place": "a vector is handed on to be written to its bytes, and to no others, each with "
        "what it has of it",
        "inside": "nothing is handed on to be written outside the range",
        "outside": "a vector is refused, and reported, exactly if it is written and not all of it "
        "lies within the range; others are taken as lines are",
        "ended": "all has left exactly if all lines have",
    }
    STAND_INS = {LineGatherer: Free}

    dut: DenseWriter

    def describe(self) -> None:
        """State which bytes a vector has."""
        dut = self.dut
        (gatherer,) = self.parts[LineGatherer]
        vector, piece, line = dut.i.p, gatherer.i.p, gatherer.i.p.line
        log_bytes, words = self._values()
        size = VECTOR << log_bytes
        self.assume((vector.addr & (size - 1)) == 0)
        self.assume(dut.first % LINE_BYTES == 0)
        number = self.any_constant((HALFWORDS - 1).bit_length(), name="halfword")
        given = seen(line.data, line.halfwords, number)
        at = (line.place * LINE_BYTES) + 2 * number
        own = (at >= vector.addr) & (at < vector.addr + size)
        content = words.word_select((at - vector.addr)[1 : CODE.bit_length() + 1], HALFWORD)
        hands_on = gatherer.i.valid & piece.there
        self.claim(
            "place",
            ~hands_on | ((given[-1] == own) & (~own | (given[:HALFWORD] == content))),
        )
        self.claim("inside", ~(hands_on & given[-1]) | ((at >= dut.first) & (at + 2 <= dut.last)))
        bad = vector.wanted & ((vector.addr < dut.first) | (vector.addr + size > dut.last))
        self.claim(
            "outside",
            (dut.outside == (dut.i.valid & bad))
            & (dut.i.ready == (gatherer.i.ready & ~bad))
            & (gatherer.i.valid == (dut.i.valid & ~bad))
            & (piece.there == vector.wanted)
            & (piece.last == vector.ends),
        )
        self.claim("ended", dut.ended == gatherer.ended)
        self.reach(hands_on & given[-1] & (at + 2 == dut.last))

    def _values(self) -> tuple[Value, Value]:
        """Return the log2 of the bytes of a value, and all values, one behind the other."""
        codes = self.dut.i.p.codes
        words, log_bytes = Signal(CODE * VECTOR), Signal(2)
        with self.m.If(self.dut.wide):
            self.m.d.comb += [words.eq(Cat(codes)), log_bytes.eq(2)]
        with self.m.Else():
            self.m.d.comb += [words.eq(Cat(code[CODE // 2 :] for code in codes)), log_bytes.eq(1)]
        return log_bytes, words


class IntegerWriterChecker(DenseWriterChecker):
    """Look at one halfword, any, of each line that is handed on to be put together.

    What puts lines together does anything. Assumed: a vector's address is a multiple of its bytes;
    the range begins at a multiple of 64; values have 1, 2 or 4 bytes.
    """

    dut: IntegerWriter

    def _values(self) -> tuple[Value, Value]:
        codes = self.dut.i.p.codes
        words = Signal(CODE * VECTOR)
        self.assume(self.dut.size <= 2)
        for size in range(3):
            with self.m.If(self.dut.size == size):
                self.m.d.comb += words.eq(Cat(code[: 8 << size] for code in codes))
        return self.dut.size, words
