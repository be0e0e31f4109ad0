"""The program of records in plain Python, and records to try it on."""

from __future__ import annotations

import random
from typing import NamedTuple

from gscn.encode import ENCODE_DESCRIPTOR
from gscn.hw.encode.record_code import WIDTHS, If, Kind, Op
from gscn.hw.encode.record_program import Entry, record_program

CONDITIONS = {
    If.ALWAYS: lambda _acc, _x: True,
    If.EQUAL: lambda acc, x: acc == x,
    If.UNEQUAL: lambda acc, x: acc != x,
    If.BELOW: lambda acc, x: acc < x,
    If.AT_LEAST: lambda acc, x: acc >= x,
    If.ABOVE: lambda acc, x: acc > x,
    If.AT_MOST: lambda acc, x: acc <= x,
    If.ANY: lambda acc, x: acc & x != 0,
}
SIMPLE = {
    Op.LOAD: lambda _, x: x,
    Op.ADD: lambda acc, x: acc + x,
    Op.SUB: lambda acc, x: acc - x,
    Op.OR: lambda acc, x: acc | x,
    Op.ABS: lambda _, x: abs(x),
    Op.SHIFT: lambda acc, x: acc << x,
    Op.MULTIPLY: lambda acc, x: acc * x,
    Op.DIVIDE: lambda acc, x: acc // x,
}


DIVISION, DIGIT = 33, 4
"""Cycles of a division; bits that a multiplication takes in a cycle."""


class Ended(NamedTuple):
    """How a program ended."""

    error: int
    sent: list[tuple[int, int]]
    """Place and value."""
    cycles: int
    """From its start, if there is no error."""


def decoded(word):
    """Return the parts of an instruction."""
    found = {}
    for name, width in WIDTHS.items():
        found[name] = word & ((1 << width) - 1)
        word >>= width
    return found


def ranges_meet(pairs, outputs, ranges):
    """Say whether an output meets another range."""
    for i, (begin, end, marked) in enumerate(pairs[:outputs]):
        for j in range(i + 1, ranges):
            first, last, _ = pairs[j]
            same = (first, last) == (begin, end) and marked and j >= outputs
            if begin < last and first < end and not same:
                return True
    return False


def run_program(
    content: bytes,
    listed: tuple[int, int],
    addr_width: int,
    entry: Entry = Entry.CHECK,
    others=(),
    *,
    integers: bool = False,
) -> Ended:
    """Return how a program ends.

    `content` is a record, and a state behind it; `others` are operands from `HALFWORDS_A` on.
    """
    code, entries = record_program(integers=integers)
    acc, place, words = 0, entries[entry], [0] * 16
    pairs, flags, outputs, ranges, sent = [], [False] * 2, 0, 0, []
    cycles = 2
    while True:
        one = decoded(code[place])
        place += 1
        cycles += 1
        op, where, target = Op(one["op"]), one["where"], one["target"]
        if one["kind"] == Kind.FIELD:
            at, size = where & 1023, 1 << (where >> 10 & 3)
            x = int.from_bytes(content[at : at + size], "little", signed=bool(where >> 12))
        elif one["kind"] == Kind.CONSTANT:
            x = where
        elif one["kind"] == Kind.SCRATCH:
            x = words[where]
        else:
            x = [acc, *listed, 1 << addr_width, (1 << 32) - 1, *others][where]
        holds = CONDITIONS[If(one["condition"])](acc, x)
        if op in SIMPLE:
            acc = SIMPLE[op](acc, x)
            acc = (acc + (1 << 65)) % (1 << 66) - (1 << 65)
        if op == Op.MULTIPLY:
            cycles += max(1, -(-x.bit_length() // DIGIT))
        elif op == Op.DIVIDE:
            cycles += DIVISION - 1
        elif op == Op.STORE:
            words[target] = acc
        elif op == Op.BRANCH and holds:
            place = target
            cycles += 1
        elif op == Op.FAIL and holds:
            return Ended(target, sent, cycles)
        elif op == Op.FLAG:
            flags[target] = True
        elif op == Op.APPEND:
            pairs.append((x, acc, target != 0 and flags[target - 1]))
        elif op == Op.ENDS and target == 0:
            outputs = len(pairs)
        elif op == Op.ENDS:
            ranges = len(pairs)
        elif op == Op.PAIRS and x == 0:
            cycles += 1 + sum(1 + ranges - first for first in range(outputs))
            if ranges_meet(pairs, outputs, ranges):
                return Ended(target, sent, cycles)
        elif op == Op.PAIRS:
            spans = pairs[ranges:]
            cycles += 1 + len(spans) * (2 + len(spans))
            for i, (step, _, _) in enumerate(spans):
                rest = (n for j, (s, n, _) in enumerate(spans) if j != i and s <= step)
                if acc + sum(rest) > step:
                    return Ended(target, sent, cycles)
        elif op == Op.SEND:
            sent.append((target, x))


SMALL = [one for one in ENCODE_DESCRIPTOR.fields if one.width == 8]


def damaged(f: dict[str, int], source: random.Random) -> dict[str, int]:
    """Return fields of which some are others: small numbers, those of others, bits, extremes."""
    after = dict.fromkeys((one.name for one in ENCODE_DESCRIPTOR.fields), 0) | f
    for _ in range(source.choice((1, 1, 1, 2))):
        fields = SMALL if source.random() < 0.3 else ENCODE_DESCRIPTOR.fields
        one = source.choice([one for one in fields if not one.name.startswith("reserved")])
        low = -(1 << one.width - 1) if one.signed else 0
        most = low + (1 << one.width) - 1
        alike = [b.name for b in ENCODE_DESCRIPTOR.fields if b.width == one.width]
        value = after[one.name]
        choices = [
            value + source.choice((-64, -32, -2, -1, 1, 2, 32, 64)), source.randint(0, 6), -value,
            after[source.choice(alike)], value * 2, source.choice((low, most, most & ~63)),
            value ^ 1 << source.randrange(one.width - one.signed),
        ]  # fmt: skip
        after[one.name] = min(max(source.choice(choices), low), most)
    return after
