"""Which bits of a word come first, second and so on."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal, Value


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

    def one(self, number: int) -> Value:
        """Return the bit that has `number` set ones below it, alone."""
        return self.left[number] & ~self.left[number + 1]

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


def number_of(one: Value) -> Value:
    """Return the number of the only bit that is set, 0 if none is."""
    places = range(len(one))
    return Cat(
        Cat(one[place] for place in places if place >> bit & 1).any()
        for bit in range((len(one) - 1).bit_length())
    )
