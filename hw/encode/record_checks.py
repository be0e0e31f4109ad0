"""Checks of a record's formats and of its walk, as instructions."""

from __future__ import annotations

from gscn.encode import (
    GROUP_LOOPS,
    LOOPS,
    MOST_BIN_BITS,
    MOST_MAXIMUM,
    MOST_TRANSPOSED,
    TENSORS,
    Activation,
    Adapt,
    EncodeError,
    Masked,
    Reduce,
    Thresholds,
)
from gscn.hw.encode.record_code import Code, If, Label, Op, Operand, Other, field, other, scratch
from gscn.records import MOST_SHIFT

MOST_VECTORS = 4
NARROW, WIDE = 1, 2
"""Numbers of bf16 and float32."""
INT8, INT16, INT32 = 3, 4, 5
"""Numbers of integers."""
(
    POSITIONS, GROUPS, ELEMENTS, LANES, ROUNDS, INSIDE, UNIT, STEP, COUNT, END, SIZE,
) = (scratch(n) for n in range(11))  # fmt: skip
"""Words of the scratch memory. `ROUNDS`: periods in a group; `INSIDE`: loops that are within a
segment, if there is one dense result of it; `UNIT`: bytes of a vector, less 1 where steps are
multiples of it; `STEP`, `COUNT`, `END`, `SIZE`: of what is being looked at."""


class WalkChecks(Code):
    """Instructions that check formats and the walk, and keep its sizes.

    Parameters
    ----------
    integers
        The unit has integers, and no floating point.
    """

    def __init__(self, *, integers: bool) -> None:
        super().__init__()
        self.integers = integers

    def unless_has(self, part: str, label: Label) -> None:
        """Go to a label if a pass has not a result."""
        self.load(field(part, "_end"))
        self.branch(label, If.EQUAL, field(part, "_data" if part in "ab" else "_addr"))

    def unless_any_dense(self, label: Label) -> None:
        """Go to a label if a pass has no dense result."""
        some = Label()
        self.load(field("dense_end"))
        self.branch(some, If.UNEQUAL, field("dense_addr"))
        self.unless_has("second", label)
        self.here(some)

    def unless(self, name: str, label: Label) -> None:
        """Go to a label if a field is 0."""
        self.load(field(name))
        self.branch(label, If.EQUAL, 0)

    def most(self, value: int, *names: str) -> None:
        """Check that fields are at most 2^n - 1, or a single one at most a number."""
        self.load(field(names[0]))
        for name in names[1:]:
            self.put(Op.OR, field(name))
        self.fail(EncodeError.FORMAT, If.ABOVE, value)

    def sized(self, bits: int) -> None:
        """Shift the bytes of a value by so many bits; the accumulator has its format."""
        if self.integers:
            self.put(Op.SUB, INT8)
            self.store(SIZE)
            self.load(1)
            self.put(Op.SHIFT, SIZE)
            self.put(Op.SHIFT, bits)
        else:
            self.put(Op.SHIFT, bits + 1)

    # -- FORMAT

    def formats(self) -> None:
        """Check formats, words, and what goes with what."""
        code = EncodeError.FORMAT
        for name in ("t0_format", "t1_format", "t2_format", "out_format"):
            self._format(name, needed=name == "out_format")
        self.most(1, "t0_strips", "transposed", "strict", "magnitudes", "kept_sums", "product")
        for name, values in (
            ("masked", Masked), ("reduce", Reduce), ("activation", Activation),
            ("thresholds", Thresholds),
        ):  # fmt: skip
            self.most(max(values), name)
        self.most(3, "adapt", "judged", "dot")
        self.most((1 << TENSORS) - 1, "absolute")
        self.most(MOST_SHIFT if self.integers else 0, "shift")
        self.load(field("t0_format"))
        self.put(Op.OR, field("t1_format"))
        self.put(Op.OR, field("t2_format"))
        self.fail(code, If.EQUAL, 0)
        for tensor in range(TENSORS):
            self._absent(tensor)
        self._flags()
        if self.integers:
            self._only_floating()
        self._adapts()

    def _format(self, name: str, *, needed: bool) -> None:
        """Check that a format is one of the unit's, or that there is none."""
        code, none = EncodeError.FORMAT, Label()
        self.load(field(name))
        if needed:
            self.fail(code, If.EQUAL, 0)
        else:
            self.branch(none, If.EQUAL, 0)
        if self.integers:
            self.fail(code, If.BELOW, INT8)
        self.fail(code, If.ABOVE, INT32 if self.integers else WIDE)
        self.here(none)

    def _only_floating(self) -> None:
        """Check that nothing is asked for that integers have not."""
        code, narrow, no_product = EncodeError.FORMAT, Label(), Label()
        self.load(field("transposed"))
        self.fail(code, If.UNEQUAL, 0)
        self.load(field("activation"))
        self.fail(code, If.EQUAL, Activation.SLOPE)
        self.load(field("second_end"))
        self.fail(code, If.UNEQUAL, field("second_addr"))
        self.load(field("out_format"))
        self.branch(narrow, If.UNEQUAL, INT32)
        for part in "ab":
            self.load(field(part, "_end"))
            self.fail(code, If.UNEQUAL, field(part, "_data"))
        self.here(narrow)
        self.unless("product", no_product)
        self.load(field("t1_format"))
        self.fail(code, If.EQUAL, INT32)
        self.here(no_product)

    def _absent(self, tensor: int) -> None:
        """Check that a tensor that is not there is not asked for."""
        code, there = EncodeError.FORMAT, Label()
        self.load(field("t", tensor, "_format"))
        self.branch(there, If.UNEQUAL, 0)
        for name in ("judged", "dot"):
            self.load(field(name))
            self.fail(code, If.EQUAL, tensor + 1)
        if tensor == 0:
            self.load(field("activation"))
            self.fail(code, If.EQUAL, Activation.SLOPE)
            self.load(field("second_end"))
            self.fail(code, If.UNEQUAL, field("second_addr"))
        else:
            self.load(field("product"))
            self.fail(code, If.UNEQUAL, 0)
        self.here(there)

    def _flags(self) -> None:
        """Check what goes with strips as a tensor, a product, and one result for a segment."""
        code, dense, as_it_is = EncodeError.FORMAT, Label(), Label()
        no_product, each = Label(), Label()
        self.unless("t0_strips", dense)
        self.load(field("t0_format"))
        if self.integers:
            self.fail(code, If.EQUAL, 0)
            self.fail(code, If.EQUAL, INT32)
        else:
            self.fail(code, If.UNEQUAL, NARROW)
        self.load(field("transposed"))
        self.fail(code, If.UNEQUAL, 0)
        self.here(dense)
        self.unless("transposed", as_it_is)
        self.load(field("t1_format"))
        self.put(Op.OR, field("t2_format"))
        self.fail(code, If.UNEQUAL, 0)
        self.here(as_it_is)
        self.unless("product", no_product)
        self.load(field("absolute"))
        self.fail(code, If.ANY, 2)
        self.here(no_product)
        self.unless("reduce", each)
        self.load(field("second_end"))
        self.fail(code, If.UNEQUAL, field("second_addr"))
        self.here(each)

    def _adapts(self) -> None:
        """Check what goes with a step, and with a selection."""
        code, nothing, selects = EncodeError.FORMAT, Label(), Label()
        self.unless("adapt", nothing)
        self.branch(selects, If.AT_LEAST, Adapt.SELECT_FIRST)
        self.load(field("thresholds"))
        self.fail(code, If.UNEQUAL, Thresholds.STATE)
        self.branch(nothing)
        self.here(selects)
        self.load(field("bin_bits"))
        self.fail(code, If.EQUAL, 0)
        self.fail(code, If.ABOVE, MOST_BIN_BITS)
        self.put(Op.ADD, field("bin_shift"))
        self.store(COUNT)
        # all bits of an integer, or those of a code without its sign
        self.load(field("out_format"))
        self.sized(3)
        if not self.integers:
            self.put(Op.SUB, 1)
        self.fail(code, If.BELOW, COUNT)
        self.here(nothing)

    # -- WALK

    def walk(self) -> None:
        """Check counts, and what positions are cut by."""
        code = EncodeError.WALK
        for loop in range(LOOPS):
            self.load(field("count", loop))
            self.fail(code, If.EQUAL, 0)
        self.load(field("vectors"))
        self.fail(code, If.ABOVE, MOST_VECTORS)
        inner = LOOPS - GROUP_LOOPS
        for found, loops in ((POSITIONS, range(inner)), (GROUPS, range(inner, LOOPS))):
            self.load(field("count", loops[0]))
            for loop in loops[1:]:
                self._times(field("count", loop))
            self.store(found)
        self._times(POSITIONS)
        self.put(Op.SHIFT, field("vectors"))
        self.put(Op.SHIFT, 4)
        self.fail(code, If.ABOVE, other(Other.MOST_COUNT))
        self.store(ELEMENTS)
        self.load(16)
        self.put(Op.SHIFT, field("vectors"))
        self.store(LANES)
        for name in ("a_positions", "b_positions", "segment", "period"):
            self.load(field(name))
            self.fail(code, If.EQUAL, 0)
        self.fail(code, If.BELOW, field("a_positions"))
        self.fail(code, If.BELOW, field("b_positions"))
        self.load(field("segment"))
        self.fail(code, If.ABOVE, POSITIONS)
        self.quotient(field("period"))
        self.store(ROUNDS)
        self.put(Op.MULTIPLY, field("period"))
        self.fail(code, If.UNEQUAL, POSITIONS)
        self.load(field("group_channels"))
        self.fail(code, If.EQUAL, 0)
        self.fail(code, If.ABOVE, LANES)
        self.put(Op.MULTIPLY, field("count5"))
        self.fail(code, If.BELOW, field("channels"))
        self.put(Op.SUB, field("group_channels"))
        self.fail(code, If.AT_LEAST, field("channels"))
        self._segment()
        dense = Label()
        self.unless("transposed", dense)
        self.load(field("count1"))
        self.put(Op.MULTIPLY, field("count0"))
        self.put(Op.SHIFT, field("vectors"))
        self.fail(code, If.ABOVE, MOST_TRANSPOSED)
        self.here(dense)

    def _times(self, x: Operand) -> None:
        """Multiply a count, which must stay one."""
        self.put(Op.MULTIPLY, x)
        self.fail(EncodeError.WALK, If.ABOVE, other(Other.MOST_COUNT))

    def quotient(self, divisor: Operand, dividend: Operand = POSITIONS, *, up: bool = False):
        """Divide, but find 1 at once if both are alike."""
        divide, done = Label(), Label()
        self.load(dividend)
        self.branch(divide, If.UNEQUAL, divisor)
        self.load(1)
        self.branch(done)
        self.here(divide)
        if up:
            self.put(Op.SUB, 1)
        self.put(Op.DIVIDE, divisor)
        if up:
            self.put(Op.ADD, 1)
        self.here(done)

    def _segment(self) -> None:
        """Check that segments with one result are loops, and keep how many."""
        code, each, found = EncodeError.WALK, Label(), Label()
        self.load(0)
        self.store(INSIDE)
        self.unless("reduce", each)
        inner = LOOPS - GROUP_LOOPS
        founds = [Label() for _ in range(inner + 1)]
        self.load(1)
        for loop in range(inner + 1):
            self.branch(founds[loop], If.EQUAL, field("segment"))
            if loop < inner:
                self.put(Op.MULTIPLY, field("count", loop))
        self.fail(code, If.ALWAYS, 0)
        for loop in range(inner + 1):
            self.here(founds[loop])
            self.load(loop)
            self.branch(found)
        self.here(found)
        self.store(INSIDE)
        self.load(field("reduce"))
        self.branch(each, If.UNEQUAL, Reduce.MAXIMUM)
        self.load(field("segment"))
        self.fail(code, If.ABOVE, MOST_MAXIMUM)
        self.here(each)
