"""Pickles read as data: what they hold and what they would have made, without making any of it.

A pickle is a program. Here only those of its steps run that make containers, text, bytes and
numbers; names and calls stay what they are, and whoever asked looks at them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Name:
    """A function or a class that a pickle names."""

    module: str
    name: str


@dataclass(slots=True, eq=False)
class Call:
    """An object that a pickle asks to be made."""

    function: Name
    arguments: tuple
    items: dict = field(default_factory=dict)
    """Put into it."""
    state: object = None
    """Given to it at last."""


@dataclass(slots=True, eq=False)
class Reference:
    """Something that is kept beside the pickle (a persistent ID)."""

    key: object


_MARK = object()
_Key = str | bytes | int


class _Reader:
    def __init__(self, content: bytes) -> None:
        self.rest = memoryview(content)
        self.encodable = len(content)
        """Characters that may still become bytes: no text need do so twice."""
        self.stack: list[object] = []
        self.memo: dict[int, object] = {}

    def take(self, count: int) -> memoryview:
        if count > len(self.rest):
            raise ValueError("it ends early")
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def number(self, code: str) -> int | float:
        (value,) = struct.unpack(code, self.take(struct.calcsize(code)))
        return value

    def line(self) -> str:
        # Names are short: a long one is no name.
        end = bytes(self.rest[:256]).find(b"\n")
        if end < 0:
            raise ValueError("a name must end in its line")
        return str(self.take(end + 1)[:-1], "ascii")

    def pop(self) -> object:
        if not self.stack or self.stack[-1] is _MARK:
            raise ValueError("a step lacks its operand")
        return self.stack.pop()

    def since_mark(self) -> list[object]:
        for index in range(len(self.stack) - 1, -1, -1):
            if self.stack[index] is _MARK:
                found = self.stack[index + 1 :]
                del self.stack[index:]
                return found
        raise ValueError("a step lacks its operands")

    def top(self, kind: type) -> object:
        if not self.stack or not isinstance(self.stack[-1], kind):
            raise ValueError(f"a step needs a {kind.__name__.lower()}")
        return self.stack[-1]

    def set_items(self, flat: list[object]) -> None:
        if not self.stack or len(flat) % 2:
            raise ValueError("a step needs pairs")
        target = self.stack[-1]
        if isinstance(target, Call):
            target = target.items
        if not isinstance(target, dict):
            raise ValueError("a step needs a dict")
        for key, value in zip(flat[::2], flat[1::2], strict=True):
            if not isinstance(key, _Key):
                raise ValueError("keys must be text, bytes or numbers")
            target[key] = value

    def tuple_of(self, count: int) -> None:
        items = [self.pop() for _ in range(count)]
        self.stack.append(tuple(reversed(items)))

    def long(self, count: int) -> None:
        if count > 16:
            raise ValueError("whole numbers must have at most 16 bytes")
        self.stack.append(int.from_bytes(self.take(count), "little", signed=True))

    def put(self, index: int) -> None:
        if not self.stack:
            raise ValueError("a step lacks its operand")
        self.memo[index] = self.stack[-1]

    def get(self, index: int) -> None:
        if index not in self.memo:
            raise ValueError("a step refers to nothing")
        self.stack.append(self.memo[index])

    def global_of(self, module: object, name: object) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise ValueError("names must be text")
        self.stack.append(Name(module, name))

    def reduce(self) -> None:
        arguments, function = self.pop(), self.pop()
        if not isinstance(function, Name) or not isinstance(arguments, tuple):
            raise ValueError("a call needs a name and its arguments")
        if function == Name("_codecs", "encode"):
            # Bytes, as Python 3 writes them into old pickles.
            if len(arguments) != 2 or not isinstance(arguments[0], str) or arguments[1] != "latin1":
                raise ValueError("bytes must be encoded in latin1")
            self.encodable -= len(arguments[0])
            if self.encodable < 0:
                raise ValueError("a text must become bytes once")
            self.stack.append(arguments[0].encode("latin1"))
        else:
            self.stack.append(Call(function, arguments))

    def build(self) -> None:
        state = self.pop()
        made = self.top(Call)
        if made.state is not None:
            raise ValueError("an object must be given its state once")
        made.state = state

    def append(self, items: list[object]) -> None:
        self.top(list).extend(items)

    def dict_of(self, flat: list[object]) -> None:
        self.stack.append({})
        self.set_items(flat)


def _text(reader: _Reader, code: str) -> None:
    reader.stack.append(str(reader.take(reader.number(code)), "utf-8"))


def _bytes(reader: _Reader, code: str) -> None:
    reader.stack.append(bytes(reader.take(reader.number(code))))


_STEPS: dict[int, Callable[[_Reader], object]] = {
    ord(letter): step
    for letter, step in {
        "\x80": lambda r: r.take(1),  # protocol
        "\x95": lambda r: r.take(8),  # frame
        "(": lambda r: r.stack.append(_MARK),
        "0": lambda r: r.pop(),
        "N": lambda r: r.stack.append(None),
        "\x88": lambda r: r.stack.append(True),
        "\x89": lambda r: r.stack.append(False),
        "J": lambda r: r.stack.append(r.number("<i")),
        "K": lambda r: r.stack.append(r.number("<B")),
        "M": lambda r: r.stack.append(r.number("<H")),
        "\x8a": lambda r: r.long(r.number("<B")),
        "G": lambda r: r.stack.append(r.number(">d")),
        "X": lambda r: _text(r, "<I"),
        "\x8c": lambda r: _text(r, "<B"),
        "\x8d": lambda r: _text(r, "<Q"),
        "T": lambda r: _bytes(r, "<I"),
        "U": lambda r: _bytes(r, "<B"),
        "B": lambda r: _bytes(r, "<I"),
        "C": lambda r: _bytes(r, "<B"),
        "\x8e": lambda r: _bytes(r, "<Q"),
        ")": lambda r: r.stack.append(()),
        "t": lambda r: r.stack.append(tuple(r.since_mark())),
        "\x85": lambda r: r.tuple_of(1),
        "\x86": lambda r: r.tuple_of(2),
        "\x87": lambda r: r.tuple_of(3),
        "]": lambda r: r.stack.append([]),
        "l": lambda r: r.stack.append(r.since_mark()),
        "a": lambda r: r.append([r.pop()]),
        "e": lambda r: r.append(r.since_mark()),
        "}": lambda r: r.stack.append({}),
        "d": lambda r: r.dict_of(r.since_mark()),
        "s": lambda r: r.set_items([r.pop(), r.pop()][::-1]),
        "u": lambda r: r.set_items(r.since_mark()),
        "q": lambda r: r.put(r.number("<B")),
        "r": lambda r: r.put(r.number("<I")),
        "\x94": lambda r: r.put(len(r.memo)),
        "h": lambda r: r.get(r.number("<B")),
        "j": lambda r: r.get(r.number("<I")),
        "c": lambda r: r.global_of(r.line(), r.line()),
        "\x93": lambda r: r.global_of(*[r.pop(), r.pop()][::-1]),
        "R": lambda r: r.reduce(),
        "b": lambda r: r.build(),
        "Q": lambda r: r.stack.append(Reference(r.pop())),
    }.items()
}
"""By their letters in the format; all others (objects made by `NEWOBJ`, extensions, buffers, the
texts of protocol 0) are refused."""


def decode(content: bytes, *, most_steps: int) -> object:
    """Return what a pickle holds; what it would have called is a `Call`.

    Parameters
    ----------
    content
        The pickle.
    most_steps
        Steps that it may take.

    Raises
    ------
    ValueError
        It is damaged, or has steps that data does not need, or too many.
    """
    reader = _Reader(content)
    for _ in range(most_steps):
        (letter,) = reader.take(1)
        if letter == ord("."):
            return reader.pop()
        if letter not in _STEPS:
            raise ValueError(f"step {bytes([letter])!r} must be one that makes data")
        _STEPS[letter](reader)
    raise ValueError(f"steps must be at most {most_steps}")
