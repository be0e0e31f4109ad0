"""Hosts of lists that go to the simulator's process: this module must be quick to import there."""

from __future__ import annotations


class NoHost:
    """A host that nothing is asked of."""

    def begin(self, number):
        """Every list is like another."""

    def __call__(self, number, memory):
        """Fail: there is no stop."""
        raise AssertionError(f"no stop must be told, not {number}")


class Changing:
    """A host that at each stop puts bytes at an address: those of a list by its number."""

    def __init__(self, addr, contents):
        self.addr, self.contents, self.number = addr, contents, 0

    def begin(self, number):
        """Take the bytes of a list."""
        self.number = number

    def __call__(self, number, memory):
        """Put them into memory."""
        memory[self.addr] = self.contents[self.number]


class Told:
    """A host that keeps what it is told, and begins once anew."""

    def __init__(self, again):
        self.again, self.numbers = again, []

    def begin(self, number):
        """Every list is like another."""

    def __call__(self, number, memory):
        """Keep the number; at the second stop, begin anew."""
        self.numbers.append(number)
        return self.again if len(self.numbers) == 2 else None
