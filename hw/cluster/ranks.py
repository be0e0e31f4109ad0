"""Which bits of a word come first, second and so on, and how many there are.

Trees, and small tables instead of adders: sums one after the other would wait for their carries.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from amaranth.hdl import Cat, Const, Module, Signal, Value

NIBBLE = 4
"""Bits that are looked up at once."""


class Ranks:
    """Which bits come first, second and so on; combinational.

    As a tree, which numbers all bits at once: one after the other they would take as many sums.

    Parameters
    ----------
    bits
        As many as a power of two.
    most
        Counts go no further.
    """

    def __init__(self, bits: Value, most: int) -> None:
        self._most = most
        self._bits = [bits[place] for place in range(len(bits))]
        below, total = self._count(self._bits)
        self.left = [
            Cat(
                bit & ones[number - 1] if 0 < number <= len(ones) else bit & (number == 0)
                for bit, ones in zip(self._bits, below, strict=True)
            )
            for number in range(most + 1)
        ]
        """Bits that have at least `n` set ones below them, for each n up to `most`."""
        self.there = total
        """Whether more than n bits are set, for each n below `most`."""

    def _count(self, bits: list[Value]) -> tuple[list[list[Value]], list[Value]]:
        """Return of each bit, and of all, whether 1, 2, ... bits are set below it, or of them."""
        if len(bits) == 1:
            return [[]], bits
        half = len(bits) // 2
        low, low_total = self._count(bits[:half])
        high, high_total = self._count(bits[half:])
        return [*low, *(self._add(low_total, ones) for ones in high)], self._add(
            low_total, high_total
        )

    def _add(self, first: list[Value], second: list[Value]) -> list[Value]:
        """Add two counts."""
        sums = []
        for number in range(1, min(len(first) + len(second), self._most) + 1):
            ways = [
                first[one - 1] & second[number - one - 1]
                for one in range(1, number)
                if one <= len(first) and number - one <= len(second)
            ]
            ways += [ones[number - 1] for ones in (first, second) if number <= len(ones)]
            sums.append(Cat(ways).any())
        return sums


def count_up_to(bits: Value, most: int) -> Value:
    """Return how many bits are set, `most` if more are; of 4, 8, 16 and so on."""
    starts = range(0, len(bits), NIBBLE)
    counts = [_look_up(bits[start : start + NIBBLE], int.bit_count, most=most) for start in starts]
    return add_up_to(counts, most)


def add_up_to(counts: list[Value], most: int) -> Value:
    """Return the sum of counts up to `most`, `most` if it is more; of as many as a power of two."""
    if len(counts) == 1:
        return counts[0]
    half = len(counts) // 2
    first, second = (add_up_to(some, most) for some in (counts[:half], counts[half:]))
    width = len(first)
    return _look_up(
        Cat(first, second),
        lambda key: (key & (1 << width) - 1) + (key >> width),
        most=most,
    )


def first_numbers(m: Module, bits: Value, most: int) -> list[Value]:
    """Return the numbers of the first, second, ... bit that is set, of 4, 8, 16 and so on.

    Where there is none, any number.
    """
    return _count_and_numbers(m, bits, most)[1]


def _count_and_numbers(m: Module, bits: Value, most: int) -> tuple[Value, list[Value]]:
    """Return how many bits are set, at most `most`, and their numbers."""
    if len(bits) == NIBBLE:
        return count_up_to(bits, most), [
            _look_up(bits, functools.partial(_place, number=number), most=NIBBLE - 1)
            for number in range(most)
        ]
    numbers = [Signal(range(len(bits))) for _ in range(most)]
    half = len(bits) // 2
    (low, lows), (high, highs) = (
        _count_and_numbers(m, some, most) for some in (bits[:half], bits[half:])
    )
    with m.Switch(low):
        for count in range(most + 1):
            found = [*(Cat(one, 0) for one in lows[:count]), *(Cat(one, 1) for one in highs)]
            with m.Case(count):
                m.d.comb += [number.eq(one) for number, one in zip(numbers, found, strict=False)]
    return add_up_to([low, high], most), numbers


def _place(word: int, number: int) -> int:
    """Return the place of a bit that is set, 0 if there are not so many."""
    places = [place for place in range(NIBBLE) if word >> place & 1]
    return places[number] if number < len(places) else 0


def _look_up(key: Value, function: Callable[[int], int], *, most: int) -> Value:
    """Return the value of a function of a few bits, at most `most`."""
    width = most.bit_length()
    stride = 1 << (width - 1).bit_length()  # a power of two: the key needs no sum
    rows = [min(function(number), most) << stride * number for number in range(1 << len(key))]
    return Const(sum(rows), stride << len(key)).word_select(key, stride)[:width]
