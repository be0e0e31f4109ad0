"""Which bits of a word come first, second and so on, and how many there are.

Trees, and small tables instead of adders: sums one after the other would wait for their carries.
"""

from __future__ import annotations

from collections.abc import Callable

from amaranth.hdl import Cat, Module, Signal, Value

NIBBLE = 4
"""Bits that are looked up at once."""


class Ranks:
    """Which bits come first, second and so on; combinational.

    As a tree, which numbers all bits at once: one after the other they would take as many sums.

    Parameters
    ----------
    m
        Module to which the logic is added.
    bits
        As many as a power of two.
    most
        Counts go no further.
    """

    def __init__(self, m: Module, bits: Value, most: int) -> None:
        self._m, self._most = m, most
        self._bits = [bits[place] for place in range(len(bits))]
        below, total = self._count(self._bits)
        self.left = []
        """Bits that have at least `n` set ones below them, for each n up to `most`."""
        for number in range(most + 1):
            left = Signal(len(bits))
            m.d.comb += left.eq(
                Cat(
                    bit & ones[number - 1] if 0 < number <= len(ones) else bit & (number == 0)
                    for bit, ones in zip(self._bits, below, strict=True)
                )
            )
            self.left.append(left)
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
            sum_ = Signal()
            ways = [
                first[one - 1] & second[number - one - 1]
                for one in range(1, number)
                if one <= len(first) and number - one <= len(second)
            ]
            ways += [ones[number - 1] for ones in (first, second) if number <= len(ones)]
            self._m.d.comb += sum_.eq(Cat(ways).any())
            sums.append(sum_)
        return sums


def count_up_to(m: Module, bits: Value, most: int) -> Value:
    """Return how many bits are set, `most` if more are; of 4, 8, 16 and so on."""
    starts = range(0, len(bits), NIBBLE)
    counts = [
        _look_up(m, bits[start : start + NIBBLE], int.bit_count, most=most) for start in starts
    ]
    return add_up_to(m, counts, most)


def add_up_to(m: Module, counts: list[Value], most: int) -> Value:
    """Return the sum of counts up to `most`, `most` if it is more; of as many as a power of two."""
    if len(counts) == 1:
        return counts[0]
    half = len(counts) // 2
    first, second = (add_up_to(m, some, most) for some in (counts[:half], counts[half:]))
    width = len(first)
    return _look_up(
        m,
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
    numbers = [Signal(range(len(bits))) for _ in range(most)]
    if len(bits) == NIBBLE:
        with m.Switch(bits):
            for word in range(1 << NIBBLE):
                places = [place for place in range(NIBBLE) if word >> place & 1]
                with m.Case(word):
                    m.d.comb += [
                        number.eq(place) for number, place in zip(numbers, places, strict=False)
                    ]
        return count_up_to(m, bits, most), numbers
    half = len(bits) // 2
    (low, lows), (high, highs) = (
        _count_and_numbers(m, some, most) for some in (bits[:half], bits[half:])
    )
    with m.Switch(low):
        for count in range(most + 1):
            found = [*(Cat(one, 0) for one in lows[:count]), *(Cat(one, 1) for one in highs)]
            with m.Case(count):
                m.d.comb += [number.eq(one) for number, one in zip(numbers, found, strict=False)]
    return add_up_to(m, [low, high], most), numbers


def _look_up(m: Module, key: Value, function: Callable[[int], int], *, most: int) -> Value:
    """Return the value of a function of a few bits, at most `most`."""
    found = Signal(range(most + 1))
    with m.Switch(key):
        for number in range(1 << len(key)):
            with m.Case(number):
                m.d.comb += found.eq(min(function(number), most))
    return found
