"""Counters of nested loops, as a model of what walks through them."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Cat, Mux, Signal, Value

from formal.checker import Checker


class Odometer:
    """Nested loops: the first one is innermost; at a loop's end the next one goes on by one.

    Parameters
    ----------
    checker
        Receives the counters, and the invariant that each is within its loop.
    loops
        Of each loop the first value and the end; still while a walk is under way.
    begin
        A walk begins with the first value of each loop in the next cycle.
    step
        The present values have had their turn; means nothing while no walk is under way.
    """

    def __init__(
        self,
        checker: Checker,
        *,
        loops: Sequence[tuple[Value | int, Value]],
        begin: Value,
        step: Value,
    ) -> None:
        m = checker.m
        self._checker, self._loops, self._begin = checker, loops, begin
        self.under_way = Signal(name="walk_under_way")
        self.at = [Signal(16, name=f"at{number}") for number in range(len(loops))]
        """The present values."""
        self.ends = [at + 1 == end for at, (_, end) in zip(self.at, loops, strict=True)]
        """Whether each is its loop's last."""
        self.last = Cat(self.ends).all()
        self.steps = Signal(name="walk_steps")
        m.d.comb += self.steps.eq(self.under_way & step)
        self._moves = []
        inner = self.steps
        for number, (at, end) in enumerate(zip(self.at, self.ends, strict=True)):
            self._moves.append(inner & ~end)
            with m.If(begin | (inner & end)):
                m.d.sync += at.eq(loops[number][0])
            with m.Elif(inner):
                m.d.sync += at.eq(at + 1)
            inner = inner & end
        self._over = inner
        m.d.sync += self.under_way.eq(begin | (self.under_way & ~inner))
        for at, (first, end) in zip(self.at, loops, strict=True):
            checker.invariant(~self.under_way | ((at >= first) & (at < end)))

    def product(self, number: int, factor: Value, width: int, *, name: str) -> Signal:
        """Return how often a loop, which begins at 0, has gone on, times a factor that is still.

        Parameters
        ----------
        number
            Which loop.
        factor, width, name
            The factor; bits and name of the product.
        """
        m, product = self._checker.m, Signal(width, name=name)
        with m.If(self._begin | (self.steps & Cat(self.ends[: number + 1]).all())):
            m.d.sync += product.eq(0)
        with m.Elif(self._moves[number]):
            m.d.sync += product.eq(product + factor)
        return product

    def each(self, over: Value) -> Value:
        """Return whether one set of values, any, has just one turn up to the step that is `over`.

        Parameters
        ----------
        over
            What takes its turn now is said to be the last.
        """
        checker, m = self._checker, self._checker.m
        chosen = [checker.any_constant(16, name=f"turn{n}") for n in range(len(self.at))]
        inside = here = Value.cast(1)
        before = Value.cast(0)  # from the innermost loop on: it comes before what has its turn
        for one, at, (first, end) in zip(chosen, self.at, self._loops, strict=True):
            inside &= (one >= first) & (one < end)
            here &= one == at
            before = (one < at) | ((one == at) & before)
        had = Signal(name="turn_had")
        with m.If(self._begin):
            m.d.sync += had.eq(0)
        with m.Elif(self.steps):
            m.d.sync += had.eq(had | here)
        checker.invariant(~(self.under_way & inside) | (had == before))
        return ~(self.steps & inside) | Mux(here, ~had, ~over | had)
