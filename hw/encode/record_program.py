"""The programs of the encode unit: what is done with a record, and with a state."""

from __future__ import annotations

import enum
import functools

from gscn.array import array
from gscn.encode import ENCODE_MODE, LOOPS, STREAMS, TENSORS, Adapt, EncodeError
from gscn.formats import BF16, FLOAT32
from gscn.hw.encode.encode_walk import ADDRESSES, AXES, COORDINATES, COUNTS
from gscn.hw.encode.loop_walk import START, WITHIN
from gscn.hw.encode.record_checks import GROUPS, INT8, INT16, INT32, NARROW, STEP, UNIT
from gscn.hw.encode.record_code import ACC, If, Label, Op, Other, field, of_state, other
from gscn.hw.encode.record_ranges import RangeChecks
from gscn.hw.encode.unit_layouts import STATE, settings_layout

HELD = 3
"""Kind of a place that is no field of the walk, but is held while the pass runs."""
SETTINGS = tuple(settings_layout(array("small")).members)
"""Settings by number."""
KEPT_OF_STATE = ("threshold_a", "threshold_b", "sum_top", "dot_top", "prefix", "rank")
"""What is held of the state. `rank` is that of a selection's pass: `keep` if it is the first."""
HELD_NAMES = (*SETTINGS, "y_limit", "x_limit", "columns", *KEPT_OF_STATE)
"""What is held, by number. `columns`: of tables of strips, the groups of a pass."""
WORD_BITS = 32


def place(kind: int, number: int, row: int = 0) -> int:
    """Return the number of a place: of the walk's fields, or, of `HELD`, of what is held."""
    return kind | number << 2 | row << 5


def word_place(name: str) -> int:
    """Return the number of the place that is the word of the state in which a field is."""
    return 1 << 9 | STATE[name].offset // WORD_BITS


class Entry(enum.IntEnum):
    """Programs, each of which ends with an error, or `NONE`."""

    CHECK = 0
    """Check the record and hand out its fields."""
    OPEN = 1
    """Hand out what is held of the state."""
    CLOSE = 2
    """Change the state as the end of a pass does."""


class _Programs(RangeChecks):
    """Instructions that hand out what the unit is told, and adapt the state."""

    def check(self) -> None:
        """Check a record as `emulator.encode_checks` does; then hand it out.

        Formats that the unit has not are errors like unknown ones.
        """
        self.load(field("mode"))
        self.fail(EncodeError.MODE, If.UNEQUAL, ENCODE_MODE)
        self.formats()
        self.walk()
        self.ranges()
        self.steps()
        self.outputs()
        self.send()

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
        self.put(Op.SEND, GROUPS, place(HELD, HELD_NAMES.index("columns")))
        for number, name in enumerate(SETTINGS):
            if not name.startswith("dense"):
                self.put(Op.SEND, field(name), place(HELD, number))
        present, done = Label(), Label()
        self.load(field("dense_end"))
        self.branch(present, If.UNEQUAL, field("dense_addr"))
        self._send_dense("second_addr", "second_addr")
        self.branch(done)
        self.here(present)
        self._send_dense("dense_addr", "dense_end")
        self.here(done)

    def _send_dense(self, first: str, end: str) -> None:
        """Hand out the range of the dense result, and where its walk begins.

        If there is only a second combination, it is that range, empty: addresses are then those
        of the second one, and lie in memory if they are in range.
        """
        for name, value in (("dense_addr", first), ("dense_end", end)):
            self.put(Op.SEND, field(value), place(HELD, SETTINGS.index(name)))
        self.load(field(first))
        self.put(Op.ADD, field("dense_first"))
        self.put(Op.SEND, ACC, place(ADDRESSES, STREAMS.index("dense"), START))

    def _send_stream(self, number: int, stream: str, *, tensor: bool) -> None:
        """Hand out the steps of a stream; a tensor's accumulator has its format.

        Integers are not transposed.
        """
        at = functools.partial(place, ADDRESSES, number)
        step = field(stream, "_step2")
        if tensor and not self.integers:
            plain, done = Label(), Label()
            self.sized(0)
            self.put(Op.SEND, ACC, at(WITHIN))
            self.store(UNIT)
            self.unless("transposed", plain)
            self.load(step)
            # 15 steps are within a block: 16 less 1
            self.put(Op.ADD, UNIT)
            self.store(STEP)
            self.load(UNIT)
            self.put(Op.SHIFT, 4)
            self.store(UNIT)
            self.load(STEP)
            self.put(Op.SUB, UNIT)
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
        if stream != "dense":
            self.load(field(stream, "_addr"))
            self.put(Op.ADD, field(stream, "_first"))
            self.put(Op.SEND, ACC, at(START))

    def open(self) -> None:
        """Hand out what is held of the state."""
        for name in KEPT_OF_STATE[:-1]:
            self.put(Op.SEND, of_state(name), place(HELD, HELD_NAMES.index(name)))
        first, done = Label(), Label()
        rank = place(HELD, HELD_NAMES.index("rank"))
        self.load(field("adapt"))
        self.branch(first, If.EQUAL, Adapt.SELECT_FIRST)
        self.put(Op.SEND, of_state("rank"), rank)
        self.branch(done)
        self.here(first)
        self.put(Op.SEND, of_state("keep"), rank)
        self.here(done)

    def close(self) -> None:
        """Adapt the state, and count in it."""
        counted, selects = Label(), Label()
        self.unless("adapt", counted)
        self.branch(selects, If.AT_LEAST, Adapt.SELECT_FIRST)
        self._step(counted)
        self.here(selects)
        self._select()
        self.here(counted)
        for what in (Other.KEPT_A, Other.KEPT_B, Other.NONZEROS, Other.ELEMENTS):
            self.put(Op.SEND, other(what), word_place(what.name.lower()))
        self.load(other(Other.FLAGS))
        self.shift(16)
        self.put(Op.OR, other(Other.LARGEST))
        self.put(Op.SEND, ACC, word_place("largest"))
        for part, what in (("a", Other.HALFWORDS_A), ("b", Other.HALFWORDS_B)):
            absent = Label()
            self.unless_has(part, absent)
            self.put(Op.SEND, other(what), word_place(f"{part}_halfwords"))
            self.here(absent)

    def shift(self, bits: int) -> None:
        """Shift by more than one instruction can."""
        while bits:
            self.put(Op.SHIFT, min(bits, 7))
            bits -= min(bits, 7)

    def _step(self, counted: Label) -> None:
        """Step the threshold down to the least normal number, or up to the largest; go on."""
        enough, sends = Label(), Label()
        self.load(other(Other.KEPT_A))
        self.branch(enough, If.AT_LEAST, of_state("low"))
        if self.integers:
            self.load(1)
            self.store(UNIT)
        else:
            self._bound(1 << BF16.mantissa_width, FLOAT32.mantissa_width - BF16.mantissa_width)
        self.load(of_state("threshold_a"))
        self.put(Op.SUB, of_state("step"))
        self.branch(sends, If.AT_LEAST, UNIT)
        self.load(UNIT)
        self.branch(sends)
        self.here(enough)
        self.branch(counted, If.AT_MOST, of_state("high"))
        if self.integers:
            self._maximum()
        else:
            self._bound(BF16.infinity >> 4, FLOAT32.width - BF16.width, 4, less=1)
        self.load(of_state("threshold_a"))
        self.put(Op.ADD, of_state("step"))
        self.branch(sends, If.AT_MOST, UNIT)
        self.load(UNIT)
        self.here(sends)
        self.put(Op.SEND, ACC, word_place("threshold_a"))
        self.branch(counted)

    def _maximum(self) -> None:
        """Keep the largest integer of the results' format."""
        done = Label()
        for number in (INT8, INT16, INT32):
            following = Label()
            self.load(field("out_format"))
            self.branch(following, If.UNEQUAL, number)
            self.load(1)
            self.shift((8 << number - INT8) - 1)
            self.branch(done)
            self.here(following)
        self.here(done)
        self.put(Op.SUB, 1)
        self.store(UNIT)

    def _bound(self, code: int, wider: int, shift: int = 0, *, less: int = 0) -> None:
        """Keep a code of bf16, or the one of float32 that has so many bits more."""
        narrow = Label()
        self.load(code)
        self.shift(shift)
        self.store(UNIT)
        self.load(field("out_format"))
        self.branch(narrow, If.EQUAL, NARROW)
        self.load(UNIT)
        self.shift(wider)
        self.store(UNIT)
        self.here(narrow)
        self.load(UNIT)
        self.put(Op.SUB, less)
        self.store(UNIT)

    def _select(self) -> None:
        """Append a bin to the prefix, and make a threshold of it."""
        first, shifted, few = Label(), Label(), Label()
        self.put(Op.SEND, other(Other.RANK), word_place("rank"))
        self.load(0)
        self.store(STEP)
        self.load(field("adapt"))
        self.branch(first, If.EQUAL, Adapt.SELECT_FIRST)
        self.load(of_state("prefix"))
        self.store(STEP)
        self.here(first)
        # one instruction shifts by 7 at most
        self.load(field("bin_bits"))
        self.branch(few, If.BELOW, 8)
        self.load(STEP)
        self.shift(8)
        self.branch(shifted)
        self.here(few)
        self.load(STEP)
        self.put(Op.SHIFT, field("bin_bits"))
        self.here(shifted)
        self.put(Op.OR, other(Other.BIN))
        self.put(Op.SEND, ACC, word_place("prefix"))
        self.put(Op.SHIFT, field("bin_shift"))
        self.store(STEP)
        for bit in (8, 16):
            clear, following = Label(), Label()
            self.load(field("bin_shift"))
            self.branch(clear, If.ANY, bit)
            self.branch(following)
            self.here(clear)
            self.load(STEP)
            self.shift(bit)
            self.store(STEP)
            self.here(following)
        self.load(STEP)
        self.put(Op.SEND, ACC, word_place("threshold_a"))


@functools.cache
def record_program(*, integers: bool = False) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the instructions, and where each `Entry` begins; of a unit of integers, or floats."""
    code = _Programs(integers=integers)
    entries = []
    for write in (code.check, code.open, code.close):
        entries.append(code.place)
        write()
        code.fail(EncodeError.NONE, If.ALWAYS, 0)
    return tuple(code.words()), tuple(entries)
