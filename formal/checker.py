"""What the checkers have in common: free inputs, claims, invariants, queues looked into."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import ClassVar
from unittest import mock

from amaranth.asserts import AnyConst, AnySeq
from amaranth.hdl import (
    Assert,
    Assume,
    Cat,
    Const,
    Cover,
    Elaboratable,
    Module,
    Mux,
    ResetSignal,
    Signal,
    Value,
)
from amaranth.lib import stream
from amaranth.lib.wiring import Component, In

from formal.probe import Probe
from formal.stand_ins import StandIn
from gscn.errors import InputError
from gscn.hw.fifo import reads_ahead
from gscn.hw.forwarding_memory import PIECE


def joined(source: stream.Interface, sink: stream.Interface) -> Value:
    """Return whether a stream is connected to another one, as `wiring.connect` does it."""
    return (
        (sink.valid == source.valid)
        & (Value.cast(sink.p) == Value.cast(source.p))
        & (source.ready == sink.ready)
    )


_PATCHING = threading.Lock()
"""Held while names of a module stand for something else: proofs run side by side."""


def total(values: list[Value]) -> Value:
    """Return the sum of values, wide enough not to wrap."""
    result = Value.cast(0)
    for value in values:
        result = result + value
    return result


class Ring:
    """A queue in a ring of rows of memory, seen by a checker.

    Parameters
    ----------
    checker
        Receives the invariants of the pointers.
    name
        Prefix of names of what is added.
    rows
        Rows of the memory.
    most
        Words that it holds at most.
    level
        Words that it holds.
    produce, consume
        Rows of the next word that enters, and of the next one that leaves.
    read
        Returns the contents of a row: of its address, and of a name.
    """

    def __init__(
        self,
        checker: Checker,
        *,
        name: str,
        rows: int,
        most: int,
        level: Signal,
        produce: Signal,
        consume: Signal,
        read: Callable[[Signal, str], Value],
    ) -> None:
        self.level = level
        self._checker, self._name, self._rows = checker, name, rows
        self._produce, self._consume, self._read = produce, consume, read
        self._looks = 0
        checker.invariant(
            (produce < rows)
            & (consume < rows)
            & (level <= most)
            & (produce == self._wrapped(consume + level))
        )

    def _wrapped(self, position: Value) -> Value:
        return Mux(position >= self._rows, position - self._rows, position)

    def row(self, place: Value | int) -> Value:
        """Return the word that leaves after `place` others; meaningful if `place < level`."""
        return self._at(self.address(place))

    def address(self, place: Value | int) -> Value:
        """Return the row of the word that leaves after `place` others."""
        return self._wrapped(self._consume + place)

    def _at(self, position: Value) -> Value:
        self._looks += 1
        name = f"{self._name}_row{self._looks}"
        addr = Signal((self._rows - 1).bit_length(), name=f"{name}_addr")
        self._checker.m.d.comb += addr.eq(position)
        return self._read(addr, f"{name}_word")

    def next_row(self) -> Value:
        """Return the row of the next word that enters, as it is now."""
        return self._at(self._produce)

    def follow(self, *, enters: Value, word: Value, leaves: Value) -> Follower:
        """Return a follower of one word, of any value, that enters at any time.

        Parameters
        ----------
        enters, word
            A word enters, and which.
        leaves
            A word leaves.
        """
        follower = Follower(
            self._checker,
            name=self._name,
            enters=enters,
            word=word,
            ahead=self.level,
            leaves=leaves,
        )
        self._checker.invariant(
            ~follower.inside
            | ((follower.ahead < self.level) & (self.row(follower.ahead) == follower.word))
        )
        return follower


class Queue(Ring):
    """A `StreamFIFO` inside a component, seen by a checker.

    Parameters
    ----------
    checker
        Receives the invariants of the queue's pointers.
    path
        Names of submodules, joined by dots, up to the `StreamFIFO`; empty for the component itself.
    depth
        Its depth in words.
    width
        Bits of a word.
    """

    def __init__(self, checker: Checker, path: str, *, depth: int, width: int) -> None:
        probe, large, starts = checker.probe, reads_ahead(width, depth), range(0, width, PIECE)
        within = f"{path}." if path else ""

        def read(addr: Signal, name: str) -> Value:
            memory = "rows.piece{}" if large else "rows{}"
            return Cat(
                probe.row(
                    within + memory.format(start if large else start or ""),
                    addr, min(PIECE, width - start), name=f"{name}_piece{start}",
                )
                for start in starts
            )  # fmt: skip

        super().__init__(
            checker,
            name=path.replace(".", "_") or "queue",
            rows=depth,
            most=depth,
            **{name: probe.signal(within + name) for name in ("level", "produce", "consume")},
            read=read,
        )
        checker.invariant(probe.signal(f"{within}room") == (self.level != depth))
        checker.invariant(probe.signal(f"{within}there") == (self.level != 0))
        if large:
            word = probe.signal(f"{within}rows.data")
            checker.invariant((self.level == 0) | (word == self.row(0)))


class Follower:
    """One word on its way through a queue: chosen freely, so it stands for all of them.

    Parameters
    ----------
    checker
        Receives the registers.
    name
        Prefix of their names.
    enters, word
        A word enters, and which.
    ahead
        Words that are to leave before it (this cycle's not deducted).
    leaves
        A word leaves.
    """

    def __init__(
        self,
        checker: Checker,
        *,
        name: str,
        enters: Value,
        word: Value,
        ahead: Value,
        leaves: Value,
    ) -> None:
        m = checker.m
        word, ahead = Value.cast(word), Value.cast(ahead)
        self.inside = Signal(name=f"{name}_inside")
        self.word = Signal(len(word), name=f"{name}_followed")
        self.ahead = Signal(len(ahead), name=f"{name}_ahead")
        chosen = checker.any_value(1, name=f"{name}_chosen")
        self.enters = Signal(name=f"{name}_enters")
        """The word followed enters."""
        self.is_next = Signal(name=f"{name}_is_next")
        """The word followed is the next to leave."""
        m.d.comb += [
            self.enters.eq(enters & chosen & ~self.inside),
            self.is_next.eq(self.inside & (self.ahead == 0)),
        ]
        with m.If(self.enters):
            m.d.sync += [self.inside.eq(1), self.word.eq(word), self.ahead.eq(ahead - leaves)]
        with m.Elif(leaves & self.inside):
            m.d.sync += self.ahead.eq(self.ahead - 1)
            with m.If(self.is_next):
                m.d.sync += [self.inside.eq(0), self.ahead.eq(0)]


class Checker(Elaboratable):
    """A component with free inputs, assumptions on its surroundings, and claims about it.

    Subclasses name their claims in `CLAIMS` and state them in `describe`.

    Parameters
    ----------
    dut
        The component to be proved.
    claims
        Names of the claims to be asserted.
    with_invariants
        Assert the invariants as well: needed by induction, left out when only the claim itself is
        to be refuted.
    """

    CLAIMS: ClassVar[dict[str, str]] = {}
    """Name of each claim, and what it says."""

    BOUNDED: ClassVar[dict[str, int]] = {}
    """Claims that induction does not reach, and the cycles from reset on for which they are
    shown."""

    RESETS: ClassVar[bool] = False
    """The claims hold, too, when a reset comes at any time; its own registers are reset with it."""

    STAND_INS: ClassVar[dict[type[Component], type[Component]]] = {}
    """Parts of the component that it is proved without, and what is in their place, such as `Free`;
    `parts` has them."""

    def __init__(
        self, dut: Component, *, claims: Iterable[str], with_invariants: bool = True
    ) -> None:
        self.dut = dut
        self._claims = tuple(claims)
        for claim in self._claims:
            if claim not in self.CLAIMS:
                raise InputError(f"claim must be one of {', '.join(self.CLAIMS)}, not {claim!r}")
        self._with_invariants = with_invariants
        self._stated: list[str] = []

    def elaborate(self, platform: object) -> Module:
        self.m = m = Module()
        self._stated.clear()
        self.parts: dict[type[Component], list[Component]] = {kind: [] for kind in self.STAND_INS}
        with _PATCHING, mock.patch.dict(type(self.dut).elaborate.__globals__, self._stand_ins()):
            self.probe = Probe(self.dut)
        m.submodules.dut = self.probe.fragment
        if not self.RESETS:
            m.d.comb += Assume(~ResetSignal("sync"))
        for path, member, value in self.dut.signature.flatten(self.dut):
            value = Value.cast(value)  # a constant where a sink is always ready
            if member.flow == In and len(value) and not isinstance(value, Const):
                m.d.comb += value.eq(self.any_value(len(value), name="__".join(map(str, path))))
        self.describe()
        if sorted(self._stated) != sorted(self.CLAIMS):
            raise InputError(
                f"{type(self).__name__} must state each of {sorted(self.CLAIMS)} once, "
                f"not {sorted(self._stated)}"
            )
        return m

    def _stand_ins(self) -> dict[str, StandIn]:
        """Return what makes the parts that stand in, by the names of those that they stand for."""
        return {
            kind.__name__: StandIn(kind, other, self.parts[kind])
            for kind, other in self.STAND_INS.items()
        }

    def describe(self) -> None:
        """State assumptions, invariants and claims."""
        raise NotImplementedError

    def any_value(self, shape: int, *, name: str) -> Signal:
        """Return a signal that may have another value in every cycle."""
        signal = Signal(shape, name=f"any_{name}")
        self.m.d.comb += signal.eq(AnySeq(shape))
        return signal

    def any_constant(self, shape: int, *, name: str) -> Signal:
        """Return a signal that may have any value, the same in every cycle."""
        signal = Signal(shape, name=f"constant_{name}")
        self.m.d.comb += signal.eq(AnyConst(shape))
        return signal

    def assume(self, condition: Value, *, only: str | None = None) -> None:
        """Consider only surroundings for which the condition holds; `only` for this claim."""
        if only in (None, *self._claims):
            self.m.d.comb += Assume(condition, src_loc_at=1)

    def invariant(self, condition: Value, *, only: str | None = None) -> None:
        """Assert what induction has to know of the component's registers; `only` for this claim."""
        if self._with_invariants and only in (None, *self._claims):
            self.m.d.comb += Assert(condition, src_loc_at=1)

    def claim(self, name: str, condition: Value) -> None:
        """State the claim called `name`: asserted if it is one of those to be proved."""
        self._stated.append(name)
        if name in self._claims:
            self.m.d.comb += Assert(condition, src_loc_at=1)

    def reach(self, condition: Value) -> None:
        """Demand that the surroundings assumed can bring the condition about."""
        self.m.d.comb += Cover(condition)

    def held(self, o: stream.Interface, *, name: str) -> Value:
        """Return whether a word that was offered and not taken is still offered, unchanged."""
        waited = Signal(name=f"{name}_waited")
        word = Value.cast(o.p)
        before = Signal(len(word), name=f"{name}_before")
        self.m.d.sync += [waited.eq(o.valid & ~o.ready), before.eq(word)]
        return ~waited | (o.valid & (word == before))

    def delayed(self, value: Value, cycles: int, *, name: str) -> Value:
        """Return a value as it was `cycles` cycles ago; 0 before the first."""
        for cycle in range(cycles):
            register = Signal(len(value), name=f"{name}_delayed{cycle + 1}")
            self.m.d.sync += register.eq(value)
            value = register
        return value
