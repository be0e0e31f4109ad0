"""Checks of a record's ranges and steps, as instructions."""

from __future__ import annotations

from gscn.encode import GROUP_LOOPS, LOOPS, TENSORS, EncodeError
from gscn.hw.encode.record_checks import (
    COUNT,
    ELEMENTS,
    END,
    GROUPS,
    INSIDE,
    LANES,
    ROUNDS,
    STEP,
    UNIT,
    WalkChecks,
)
from gscn.hw.encode.record_code import ACC, If, Label, Op, Operand, Other, field, other
from gscn.hw.encode.unit_layouts import LINE_BYTES, STATE

ROW_SHIFT, TABLE_SHIFT = 5, 2
"""log2 of the bytes of a row of coefficients, or of sums, and of an entry of a table."""


class RangeChecks(WalkChecks):
    """Instructions that check ranges, steps, and that results are apart."""

    # -- ADDRESS, and the ranges

    def ranges(self) -> None:
        """Check all ranges, and append them to the pairs: those that are written, then others."""
        self._find_placed()
        for flag, part in enumerate(("dense", "second", "bits", "sums"), start=1):
            absent = Label()
            self.unless_has(part, absent)
            self._range(field(part, "_addr"), field(part, "_end"), flag if flag <= 2 else 0)
            self.here(absent)
        for part in "ab":
            absent = Label()
            self.unless_has(part, absent)
            self._range(field(part, "_data"), field(part, "_end"))
            self._table(field(part, "_table"), field(part, "_positions"))
            self.here(absent)
        self._sized(field("state_addr"), STATE.size // 8)
        self.put(Op.ENDS, 0, 0)
        for stream, name in (*((f"t{n}", f"t{n}_format") for n in range(TENSORS)),
                             ("mask", "masked")):  # fmt: skip
            absent = Label()
            self.unless(name, absent)
            self._range(field(stream, "_addr"), field(stream, "_end"))
            self.here(absent)
        dense = Label()
        self.unless("t0_strips", dense)
        self._table(field("t0_table"), field("a_positions"))
        self.here(dense)
        self.load(LANES)
        self.put(Op.MULTIPLY, field("count5"))
        self.put(Op.SHIFT, ROW_SHIFT)
        self._sized(field("rows_addr"), ACC)
        # the list is nothing that a record says, and not checked
        self.load(other(Other.LIST_END))
        self.put(Op.APPEND, other(Other.LIST_BEGIN))
        self.put(Op.ENDS, 0, 1)

    def _range(self, begin: Operand, end: Operand, flag: int = 0) -> None:
        code = EncodeError.ADDRESS
        self.load(begin)
        self.fail(code, If.ANY, LINE_BYTES - 1)
        self.load(end)
        self.fail(code, If.BELOW, begin)
        self.fail(code, If.ABOVE, other(Other.MEMORY_END))
        self.put(Op.APPEND, begin, flag)

    def _sized(self, begin: Operand, size: Operand | int) -> None:
        """Take a range of so many bytes."""
        if size is not ACC:
            self.load(size)
        self.put(Op.ADD, begin)
        self.store(END)
        self._range(begin, END)

    def _table(self, begin: Operand, positions: Operand) -> None:
        """Take the range of a table of strips."""
        self.quotient(positions, field("period"), up=True)
        self.put(Op.MULTIPLY, ROUNDS)
        self.put(Op.ADD, 1)
        self.put(Op.MULTIPLY, GROUPS)
        self.put(Op.SHIFT, TABLE_SHIFT)
        self._sized(begin, ACC)

    def _find_placed(self) -> None:
        """Flag dense results that have the place of a tensor."""
        done = Label()
        self.load(field("transposed"))
        self.put(Op.OR, field("reduce"))
        self.branch(done, If.UNEQUAL, 0)
        self.unless_any_dense(done)
        names = ["_first", "_vector", *(f"_step{loop}" for loop in range(LOOPS))]
        for tensor in range(TENSORS):
            following, alike = Label(), Label()
            self.load(field("t", tensor, "_format"))
            self.branch(following, If.UNEQUAL, field("out_format"))
            if tensor == 0:
                self.load(field("t0_strips"))
                self.branch(following, If.UNEQUAL, 0)
            self.load(field("t", tensor, "_addr"))
            self.branch(alike, If.EQUAL, field("dense_addr"))
            self.branch(following, If.UNEQUAL, field("second_addr"))
            self.here(alike)
            for name in names:
                self.load(field("t", tensor, name))
                self.branch(following, If.UNEQUAL, field("dense", name))
            for flag, part in enumerate(("dense", "second")):
                apart = Label()
                for name in ("_addr", "_end"):
                    self.load(field("t", tensor, name))
                    self.branch(apart, If.UNEQUAL, field(part, name))
                self.put(Op.FLAG, 0, flag)
                self.here(apart)
            self.here(following)
        self.here(done)

    def steps(self) -> None:
        """Check that steps are multiples of vectors."""
        for tensor in range(TENSORS):
            absent = Label()
            if tensor == 0:
                self.load(field("t0_strips"))
                self.branch(absent, If.UNEQUAL, 0)
            self.unless(f"t{tensor}_format", absent)
            self._aligned(f"t{tensor}")
            self.unless("transposed", absent)
            self.load(field("t", tensor, "_lane"))
            self.fail(EncodeError.ADDRESS, If.ANY, UNIT)
            self.here(absent)
        unmasked, no_dense = Label(), Label()
        self.unless("masked", unmasked)
        self.load(1)
        self.store(UNIT)
        self._aligned("mask", of_two=True)
        self.here(unmasked)
        self.unless_any_dense(no_dense)
        self.load(field("out_format"))
        self._aligned("dense")
        self.here(no_dense)

    def _aligned(self, stream: str, *, of_two: bool = False) -> None:
        """Check steps of a stream; the accumulator has its format."""
        if not of_two:
            self.sized(4)
            self.put(Op.SUB, 1)
            self.store(UNIT)
        self.load(field(stream, "_first"))
        for name in ("_vector", *(f"_step{loop}" for loop in range(LOOPS))):
            self.put(Op.OR, field(stream, name))
        self.fail(EncodeError.ADDRESS, If.ANY, UNIT)

    # -- OUTPUT_RANGE

    def outputs(self) -> None:
        """Check that results have room, and places of their own."""
        code, no_bits, no_sums = EncodeError.OUTPUT_RANGE, Label(), Label()
        self.unless_has("bits", no_bits)
        self.put(Op.SUB, field("bits_addr"))
        self.put(Op.SHIFT, 3)
        self.fail(code, If.BELOW, ELEMENTS)
        self.here(no_bits)
        self.unless_has("sums", no_sums)
        self.quotient(field("segment"), up=True)
        self.put(Op.MULTIPLY, GROUPS)
        self.put(Op.MULTIPLY, LANES)
        self.put(Op.SHIFT, ROW_SHIFT)
        self.store(END)
        self.load(field("sums_end"))
        self.put(Op.SUB, field("sums_addr"))
        self.fail(code, If.BELOW, END)
        self.here(no_sums)
        self._apart()
        self.put(Op.PAIRS, 0, code)

    def _apart(self) -> None:
        """Check that vectors of dense results are apart."""
        code, done = EncodeError.OUTPUT_RANGE, Label()
        self.unless_any_dense(done)
        self.load(field("out_format"))
        self.sized(4)
        self.store(UNIT)
        for loop in range(LOOPS):
            once = Label()
            if loop < LOOPS - GROUP_LOOPS:
                self.load(INSIDE)
                self.branch(once, If.ABOVE, loop)
            self.load(field("count", loop))
            self.branch(once, If.EQUAL, 1)
            self._span(field("dense_step", loop))
            self.here(once)
        one = Label()
        self.unless("vectors", one)
        self.load(1)
        self.put(Op.SHIFT, field("vectors"))
        self._span(field("dense_vector"))
        self.here(one)
        self.load(UNIT)
        self.put(Op.PAIRS, 1, code)
        self.here(done)

    def _span(self, step: Operand) -> None:
        """Append a step's magnitude, and how far it leads; the accumulator has the count."""
        self.put(Op.SUB, 1)
        self.store(COUNT)
        self.put(Op.ABS, step)
        self.fail(EncodeError.OUTPUT_RANGE, If.BELOW, UNIT)
        self.store(STEP)
        self.put(Op.MULTIPLY, COUNT)
        self.put(Op.APPEND, STEP)
