"""Instructions by which a record of an encode pass is checked and taken apart, and their writer."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from gscn.encode import ENCODE_DESCRIPTOR, ENCODE_DESCRIPTOR_BYTES, ENCODE_STATE
from gscn.hw.arguments import need_number
from gscn.records import Record


class Op(enum.IntEnum):
    """What an instruction does with the accumulator, `acc`, and its operand, `x`."""

    LOAD = 0
    """acc = x."""
    ADD = 1
    SUB = 2
    """acc = acc - x."""
    OR = 3
    ABS = 4
    """acc = |x|."""
    SHIFT = 5
    """acc = acc << x, x below 8."""
    MULTIPLY = 6
    """acc = acc * x, x from 0 to 2^32 - 1."""
    DIVIDE = 7
    """acc = acc div x, both from 0 to 2^32 - 1."""
    STORE = 8
    """Word `target` of the scratch memory = acc."""
    BRANCH = 9
    """Go on at `target` if the condition holds."""
    FAIL = 10
    """End with error `target` if the condition holds."""
    FLAG = 11
    """Set flag `target`."""
    APPEND = 12
    """Append (x, acc) to the pairs, marked if flag `target` - 1 is set; 0: it is not marked."""
    ENDS = 13
    """What has been appended are outputs (`target` 0), or all ranges (1)."""
    PAIRS = 14
    """Compare pairs with each other, end with error `target` if that finds one. x = 0: of ranges,
    whether one of outputs meets one behind it; but a marked one not those that are the same. x = 1:
    of what follows the ranges, (step, length), whether acc + the lengths of all others whose step
    is not larger is more than a step."""
    SEND = 15
    """x goes to place `target`."""


class If(enum.IntEnum):
    """Conditions."""

    ALWAYS = 0
    EQUAL = 1
    UNEQUAL = 2
    BELOW = 3
    """acc < x."""
    AT_LEAST = 4
    ABOVE = 5
    AT_MOST = 6
    ANY = 7
    """Some bit is set in both."""


class Kind(enum.IntEnum):
    """What an operand is."""

    FIELD = 0
    """A field of the record."""
    CONSTANT = 1
    """`where` itself."""
    SCRATCH = 2
    """A word of the scratch memory."""
    OTHER = 3
    """One of `Other`."""


class Other(enum.IntEnum):
    """Operands that are neither fields nor numbers."""

    ACC = 0
    LIST_BEGIN = 1
    LIST_END = 2
    MEMORY_END = 3
    """One past the last address."""
    MOST_COUNT = 4
    """2^32 - 1."""
    HALFWORDS_A = 5
    HALFWORDS_B = 6
    """Of strips that the pass has written."""
    BIN = 7
    RANK = 8
    """The choice of a selection."""
    KEPT_A = 9
    KEPT_B = 10
    NONZEROS = 11
    ELEMENTS = 12
    LARGEST = 13
    FLAGS = 14
    """What was counted, in the order of `unit_layouts.TALLY`."""


WIDTHS = {"op": 4, "condition": 3, "kind": 2, "where": 13, "target": 11}
"""Parts of an instruction, the lowest first."""
INSTRUCTION_WIDTH = sum(WIDTHS.values())
SCRATCH_DEPTH = 16
PAIRS_DEPTH = 32
WIDTH = 66
"""Bits of the accumulator, in two's complement: addresses of 64 bits, and sums of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Operand:
    """Where an operand comes from.

    Of a field, `where` has its first byte (10 bits; those of the state follow the record's), the
    log2 of its bytes (2), and its sign (1).
    """

    kind: Kind
    where: int


def _placed(record: Record, name: str, first: int) -> Operand:
    place = first
    for one in record.fields:
        if one.name == name:
            size = (one.width // 8).bit_length() - 1
            where = place // 8 | size << 10 | int(one.signed) << 12
            return Operand(kind=Kind.FIELD, where=where)
        place += one.width
    raise KeyError(name)


def field(*parts: object) -> Operand:
    """Return the operand that is a field of the record; its name is that of the parts, joined."""
    return _placed(ENCODE_DESCRIPTOR, "".join(str(part) for part in parts), 0)


def of_state(name: str) -> Operand:
    """Return the operand that is a field of the state."""
    return _placed(ENCODE_STATE, name, ENCODE_DESCRIPTOR.width)


def constant(value: int) -> Operand:
    """Return an operand that is a number, small enough for an instruction."""
    assert 0 <= value < 1 << WIDTHS["where"]
    return Operand(kind=Kind.CONSTANT, where=value)


def scratch(number: int) -> Operand:
    """Return an operand that is a word of the scratch memory."""
    assert 0 <= number < SCRATCH_DEPTH
    return Operand(kind=Kind.SCRATCH, where=number)


def other(what: Other) -> Operand:
    """Return one of the other operands."""
    return Operand(kind=Kind.OTHER, where=int(what))


ACC = other(Other.ACC)


class Label:
    """A place in a program, to be given by `Code.here`."""

    def __init__(self) -> None:
        self.place: int | None = None


class Code:
    """A program that is being written: instructions in the order of calls."""

    def __init__(self) -> None:
        self._lines: list[tuple[Op, If, Operand, int | Label]] = []

    @property
    def place(self) -> int:
        """Where the next instruction will be."""
        return len(self._lines)

    def put(
        self,
        op: Op,
        x: Operand | int = 0,
        target: int | Label = 0,
        *,
        condition: If = If.ALWAYS,
    ) -> None:
        """Append an instruction; an operand that is an int is a constant."""
        operand = constant(x) if isinstance(x, int) else x
        self._lines.append((op, condition, operand, target))

    def load(self, x: Operand | int) -> None:
        """Append acc = x."""
        self.put(Op.LOAD, x)

    def store(self, word: Operand) -> None:
        """Append a store to the scratch memory."""
        self.put(Op.STORE, 0, word.where)

    def branch(self, label: Label, condition: If = If.ALWAYS, x: Operand | int = 0) -> None:
        """Append a branch."""
        self.put(Op.BRANCH, x, label, condition=condition)

    def fail(self, code: int, condition: If, x: Operand | int) -> None:
        """Append a check."""
        self.put(Op.FAIL, x, code, condition=condition)

    def here(self, *labels: Label) -> None:
        """Give labels their place: the next instruction."""
        for label in labels:
            label.place = self.place

    def words(self) -> list[int]:
        """Return the instructions as numbers."""
        found = []
        for op, condition, x, target in self._lines:
            place = target.place if isinstance(target, Label) else target
            assert place is not None
            parts = (int(op), int(condition), int(x.kind), x.where, place)
            word, shift = 0, 0
            for value, width in zip(parts, WIDTHS.values(), strict=True):
                assert 0 <= value < 1 << width
                word |= value << shift
                shift += width
            found.append(word)
        need_number(self, "instructions", len(found), 1, 1 << WIDTHS["target"])
        return found


assert ENCODE_DESCRIPTOR_BYTES == 1 << 9
