"""The program that checks a record of an encode pass, and hands its fields to the unit."""

from __future__ import annotations

import functools

from gscn.array import array
from gscn.encode import (
    ENCODE_MODE,
    GROUP_LOOPS,
    LOOPS,
    MOST_BIN_BITS,
    MOST_MAXIMUM,
    MOST_TRANSPOSED,
    STREAMS,
    TENSORS,
    Activation,
    Adapt,
    EncodeError,
    Masked,
    Reduce,
    Thresholds,
)
from gscn.hw.encode.encode_walk import ADDRESSES, AXES, COORDINATES, COUNTS
from gscn.hw.encode.loop_walk import START, WITHIN
from gscn.hw.encode.record_code import (
    ACC,
    Code,
    If,
    Label,
    Op,
    Operand,
    Other,
    field,
    other,
    scratch,
)
from gscn.hw.encode.unit_layouts import LINE_BYTES, STATE, settings_layout

HELD = 3
"""Kind of a place that is no field of the walk: a setting, or a limit of a coordinate."""
SETTINGS = tuple(settings_layout(array("small")).members)
"""Settings by number; limits of y and x follow them."""
MOST_VECTORS = 4
_ROW_SHIFT, _TABLE_SHIFT = 5, 2
"""log2 of the bytes of a row of coefficients, or of sums, and of an entry of a table."""
_BF16, _FLOAT32 = 1, 2
(
    _POSITIONS, _GROUPS, _ELEMENTS, _LANES, _ROUNDS, _INSIDE, _UNIT, _STEP, _COUNT, _END,
) = (scratch(n) for n in range(10))  # fmt: skip
"""Words of the scratch memory. `_ROUNDS`: periods in a group; `_INSIDE`: loops that are within a
segment, if there is one dense result of it; `_UNIT`: bytes of a vector, less 1 where steps are
multiples of it; `_STEP`, `_COUNT`, `_END`: of what is being looked at."""


def place(kind: int, number: int, row: int = 0) -> int:
    """Return the number of a place: of the walk's fields, or, of `HELD`, of what is held."""
    return kind | number << 2 | row << 5


class _Checks(Code):
    """Parts of the program, in its order."""

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

    # -- FORMAT

    def formats(self) -> None:
        """Check formats, words, and what goes with what."""
        code = EncodeError.FORMAT
        for name in ("t0_format", "t1_format", "t2_format", "out_format"):
            self.most(_FLOAT32, name)
        self.fail(code, If.EQUAL, 0)
        self.most(1, "t0_strips", "transposed", "strict", "magnitudes", "kept_sums", "product")
        for name, values in (
            ("masked", Masked), ("reduce", Reduce), ("activation", Activation),
            ("thresholds", Thresholds),
        ):  # fmt: skip
            self.most(max(values), name)
        self.most(3, "adapt", "judged", "dot")
        self.most((1 << TENSORS) - 1, "absolute")
        self.load(field("shift"))
        self.fail(code, If.UNEQUAL, 0)
        self.load(field("t0_format"))
        self.put(Op.OR, field("t1_format"))
        self.put(Op.OR, field("t2_format"))
        self.fail(code, If.EQUAL, 0)
        for tensor in range(TENSORS):
            self._absent(tensor)
        self._flags()
        self._adapts()

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
        code, dense, no_product, each = EncodeError.FORMAT, Label(), Label(), Label()
        self.unless("t0_strips", dense)
        self.load(field("t0_format"))
        self.fail(code, If.UNEQUAL, _BF16)
        self.load(field("transposed"))
        self.fail(code, If.UNEQUAL, 0)
        self.here(dense)
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
        self.store(_COUNT)
        # 16 bits, or 32, of which one is the sign
        self.load(field("out_format"))
        self.put(Op.SHIFT, 4)
        self.put(Op.SUB, 1)
        self.fail(code, If.BELOW, _COUNT)
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
        for found, loops in ((_POSITIONS, range(inner)), (_GROUPS, range(inner, LOOPS))):
            self.load(field("count", loops[0]))
            for loop in loops[1:]:
                self._times(field("count", loop))
            self.store(found)
        self._times(_POSITIONS)
        self.put(Op.SHIFT, field("vectors"))
        self.put(Op.SHIFT, 4)
        self.fail(code, If.ABOVE, other(Other.MOST_COUNT))
        self.store(_ELEMENTS)
        self.load(16)
        self.put(Op.SHIFT, field("vectors"))
        self.store(_LANES)
        for name in ("a_positions", "b_positions", "segment", "period"):
            self.load(field(name))
            self.fail(code, If.EQUAL, 0)
        self.fail(code, If.BELOW, field("a_positions"))
        self.fail(code, If.BELOW, field("b_positions"))
        self.load(field("segment"))
        self.fail(code, If.ABOVE, _POSITIONS)
        self._quotient(field("period"))
        self.store(_ROUNDS)
        self.put(Op.MULTIPLY, field("period"))
        self.fail(code, If.UNEQUAL, _POSITIONS)
        self.load(field("group_channels"))
        self.fail(code, If.EQUAL, 0)
        self.fail(code, If.ABOVE, _LANES)
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

    def _quotient(self, divisor: Operand, dividend: Operand = _POSITIONS, *, up: bool = False):
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
        self.store(_INSIDE)
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
        self.store(_INSIDE)
        self.load(field("reduce"))
        self.branch(each, If.UNEQUAL, Reduce.MAXIMUM)
        self.load(field("segment"))
        self.fail(code, If.ABOVE, MOST_MAXIMUM)
        self.here(each)

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
        self.load(_LANES)
        self.put(Op.MULTIPLY, field("count5"))
        self.put(Op.SHIFT, _ROW_SHIFT)
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
        self.store(_END)
        self._range(begin, _END)

    def _table(self, begin: Operand, positions: Operand) -> None:
        """Take the range of a table of strips."""
        self._quotient(positions, field("period"), up=True)
        self.put(Op.MULTIPLY, _ROUNDS)
        self.put(Op.ADD, 1)
        self.put(Op.MULTIPLY, _GROUPS)
        self.put(Op.SHIFT, _TABLE_SHIFT)
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
            self.fail(EncodeError.ADDRESS, If.ANY, _UNIT)
            self.here(absent)
        unmasked, no_dense = Label(), Label()
        self.unless("masked", unmasked)
        self.load(1)
        self.store(_UNIT)
        self._aligned("mask", of_two=True)
        self.here(unmasked)
        self.unless_any_dense(no_dense)
        self.load(field("out_format"))
        self._aligned("dense")
        self.here(no_dense)

    def _aligned(self, stream: str, *, of_two: bool = False) -> None:
        """Check steps of a stream; the accumulator has its format, 1 or 2."""
        if not of_two:
            self.put(Op.SHIFT, 5)
            self.put(Op.SUB, 1)
            self.store(_UNIT)
        self.load(field(stream, "_first"))
        for name in ("_vector", *(f"_step{loop}" for loop in range(LOOPS))):
            self.put(Op.OR, field(stream, name))
        self.fail(EncodeError.ADDRESS, If.ANY, _UNIT)

    # -- OUTPUT_RANGE

    def outputs(self) -> None:
        """Check that results have room, and places of their own."""
        code, no_bits, no_sums = EncodeError.OUTPUT_RANGE, Label(), Label()
        self.unless_has("bits", no_bits)
        self.put(Op.SUB, field("bits_addr"))
        self.put(Op.SHIFT, 3)
        self.fail(code, If.BELOW, _ELEMENTS)
        self.here(no_bits)
        self.unless_has("sums", no_sums)
        self._quotient(field("segment"), up=True)
        self.put(Op.MULTIPLY, _GROUPS)
        self.put(Op.MULTIPLY, _LANES)
        self.put(Op.SHIFT, _ROW_SHIFT)
        self.store(_END)
        self.load(field("sums_end"))
        self.put(Op.SUB, field("sums_addr"))
        self.fail(code, If.BELOW, _END)
        self.here(no_sums)
        self._apart()
        self.put(Op.PAIRS, 0, code)

    def _apart(self) -> None:
        """Check that vectors of dense results are apart."""
        code, done = EncodeError.OUTPUT_RANGE, Label()
        self.unless_any_dense(done)
        self.load(field("out_format"))
        self.put(Op.SHIFT, 5)
        self.store(_UNIT)
        for loop in range(LOOPS):
            once = Label()
            if loop < LOOPS - GROUP_LOOPS:
                self.load(_INSIDE)
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
        self.load(_UNIT)
        self.put(Op.PAIRS, 1, code)
        self.here(done)

    def _span(self, step: Operand) -> None:
        """Append a step's magnitude, and how far it leads; the accumulator has the count."""
        self.put(Op.SUB, 1)
        self.store(_COUNT)
        self.put(Op.ABS, step)
        self.fail(EncodeError.OUTPUT_RANGE, If.BELOW, _UNIT)
        self.store(_STEP)
        self.put(Op.MULTIPLY, _COUNT)
        self.put(Op.APPEND, _STEP)

    # -- what the unit is told

    def send(self) -> None:
        """Hand out the fields of the walk, and settings."""
        for loop in range(LOOPS):
            self.put(Op.SEND, field("count", loop), place(COUNTS, 0, loop))
        present = (*(f"t{n}_format" for n in range(TENSORS)), "masked", None)
        for number, (stream, name) in enumerate(zip(STREAMS, present, strict=True)):
            absent = Label()
            if name is None:
                self.unless_any_dense(absent)
            else:
                self.unless(name, absent)
            self._send_stream(number, stream, tensor=number < TENSORS)
            self.here(absent)
        for number, axis in enumerate(AXES):
            at = functools.partial(place, COORDINATES, number)
            self.put(Op.SEND, field(axis, "_first"), at(START))
            self.put(Op.SEND, 0, at(0))
            for loop in range(LOOPS):
                self.put(Op.SEND, field(axis, "_step", loop), at(1 + loop))
            self.put(Op.SEND, field(axis, "_step2"), at(WITHIN))
            self.put(Op.SEND, field(axis, "_limit"), place(HELD, len(SETTINGS) + number))
        for number, name in enumerate(SETTINGS):
            self.put(Op.SEND, field(name), place(HELD, number))

    def _send_stream(self, number: int, stream: str, *, tensor: bool) -> None:
        """Hand out the steps of a stream; a tensor's accumulator has its format, 1 or 2."""
        at = functools.partial(place, ADDRESSES, number)
        step = field(stream, "_step2")
        if tensor:
            plain, done = Label(), Label()
            self.put(Op.SHIFT, 1)
            self.put(Op.SEND, ACC, at(WITHIN))
            self.store(_UNIT)
            self.unless("transposed", plain)
            self.load(step)
            # 15 steps are within a block: 16 less 1
            self.put(Op.ADD, _UNIT)
            self.store(_STEP)
            self.load(_UNIT)
            self.put(Op.SHIFT, 4)
            self.store(_UNIT)
            self.load(_STEP)
            self.put(Op.SUB, _UNIT)
            self.branch(done)
            self.here(plain)
            self.load(step)
            self.here(done)
            self.put(Op.SEND, ACC, at(3))
        else:
            self.put(Op.SEND, step, at(3))
            self.put(Op.SEND, step, at(WITHIN))
        for loop in range(LOOPS):
            if loop != 2:
                self.put(Op.SEND, field(stream, "_step", loop), at(1 + loop))
        self.put(Op.SEND, field(stream, "_vector"), at(0))
        self.load(field(stream, "_addr"))
        self.put(Op.ADD, field(stream, "_first"))
        self.put(Op.SEND, ACC, at(START))


@functools.cache
def record_program() -> tuple[int, ...]:
    """Return the program: checks as `emulator.encode_checks` has them, then all that is sent.

    It has no integers: their formats are errors like unknown ones. It ends with `FAIL` 0.
    """
    code = _Checks()
    code.load(field("mode"))
    code.fail(EncodeError.MODE, If.UNEQUAL, ENCODE_MODE)
    code.formats()
    code.walk()
    code.ranges()
    code.steps()
    code.outputs()
    code.send()
    code.fail(EncodeError.NONE, If.ALWAYS, 0)
    return tuple(code.words())
