"""Cycles of the program of records, instruction by instruction."""

from __future__ import annotations

from gscn.hw.encode.record_code import Kind, Op
from gscn.hw.encode.record_program import Entry, record_program
from tests.hw.encode.record_model import CONDITIONS, SIMPLE, If, decoded

DIVISION = 33
DIGIT = 4


def program_cycles(content: bytes, listed, addr_width: int, entry=Entry.CHECK, others=()):
    """Return the cycles from the start of a program that finds no error to its end."""
    code, entries = record_program()
    acc, place, words = 0, entries[entry], [0] * 16
    count = outputs = ranges = 0
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
            assert target == 0
            return cycles
        elif op == Op.APPEND:
            count += 1
        elif op == Op.ENDS and target == 0:
            outputs = count
        elif op == Op.ENDS:
            ranges = count
        elif op == Op.PAIRS and x == 0:
            cycles += 1 + sum(1 + ranges - first for first in range(outputs))
        elif op == Op.PAIRS:
            spans = count - ranges
            cycles += 1 + spans * (2 + spans)
