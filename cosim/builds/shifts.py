"""Shifts of wide values of which a few bits are wanted, so that no wide value is made.

Amaranth writes a table, and the choice of a word in a vector, as a shift by a multiple of the
word's width. Verilator shifts all of a value of more than 64 bits, word for word.
"""

from __future__ import annotations

import re

_WORD = 64
"""Bits that Verilator keeps in one variable."""
_WIDTH = re.compile(
    r"^  (?:wire|reg|input|output) \[(\d+):0\] (\\\S+|\w+) ?(?:=.*)?;$", re.MULTILINE
)
_PRODUCT = re.compile(r"^  assign (\S+) +?= (.*) \* \d+'h([0-9a-f]+);$", re.MULTILINE)
_FIELD = re.compile(r"(?:\\\S+|\w+) ?\[(\d+):(\d+)\]")
_TABLE = re.compile(r"^  assign (\S+) +?= \d+'h([0-9a-f]+) >> (\S+) ;$", re.MULTILINE)
_SHIFT = re.compile(r"^  assign (\S+) +?= (\\\S+|\w+) +>> (\S+) ;$", re.MULTILINE)


def without_wide_shifts(module: str) -> str:
    """Return a module with tables in words of 64 bits, and parts of vectors in place of shifts."""
    widths = {name: int(highest) + 1 for highest, name in _WIDTH.findall(module)}
    steps, most = {}, {}  # of places that are products, and how far they reach
    for name, value, factor in _PRODUCT.findall(module):
        steps[name] = int(factor, 16)
        if found := _FIELD.fullmatch(value):
            most[name] = ((2 << int(found[1]) - int(found[2])) - 1) * steps[name]

    def choice(words: list[int], place: str) -> str:
        """Return one of a power of two of words, by the bits of a place above a word's."""
        if len(words) == 1:
            return f"{_WORD}'h{words[0]:x}"
        half = len(words) // 2
        low, high = (choice(some, place) for some in (words[:half], words[half:]))
        return f"({place} [{(_WORD * half).bit_length() - 1}] ? {high} : {low})"

    def table(found: re.Match) -> str:
        target, digits, place = found.groups()
        words, rest = [], int(digits, 16)
        while rest or len(words).bit_count() != 1:
            words.append(rest & (1 << _WORD) - 1)
            rest >>= _WORD
        used, step = (_WORD * len(words)).bit_length() - 1, steps.get(place, 1)
        # no row is in two words
        whole = step.bit_count() == 1 and widths.get(target, 1) <= step <= _WORD
        if len(words) == 1 or not whole or widths.get(place, 1) < used:
            return found[0]
        word = f"{choice(words, place)} >> {place} [{_WORD.bit_length() - 2}:0]"
        if widths[place] > used:
            word = f"| {place} [{widths[place] - 1}:{used}] ? {_WORD}'h0 : {word}"
        return f"  assign {target}  = {word};"

    def part(found: re.Match) -> str:
        target, vector, place = found.groups()
        width = widths.get(target, 1)
        inside = place in most and most[place] + width <= widths.get(vector, 0)
        if not inside or width > _WORD or widths[vector] <= _WORD:
            return found[0]
        return f"  assign {target}  = {vector} [{place}  +: {width}];"

    return _SHIFT.sub(part, _TABLE.sub(table, module))
