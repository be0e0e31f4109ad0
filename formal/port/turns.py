"""Turns: grants are requests, and waits are bounded."""

from __future__ import annotations

from amaranth.hdl import Cat, Mux, Signal, Value

from formal.checker import Checker, total
from gscn.hw.port.arbiter import RoundRobin


class Turns:
    """The turns of a `RoundRobin`, seen by a checker: how long one requester, any, has waited.

    Parameters
    ----------
    checker
        Receives the registers, and the invariants of the priority.
    path
        Names of submodules, joined by dots, up to the `RoundRobin`; empty for the component itself.
    requests
        A bit of each requester.
    grant
        The requester whose turn it is.
    en
        It takes its turn.
    """

    def __init__(
        self, checker: Checker, path: str, *, requests: Value, grant: Value, en: Value
    ) -> None:
        m, count = checker.m, len(requests)
        self.watched = watched = checker.any_constant((count - 1).bit_length(), name="requester")
        checker.assume(watched < count)
        requested, granted = Signal(name="watched_requests"), Signal(name="watched_granted")
        m.d.comb += [requested.eq(requests.bit_select(watched, 1)), granted.eq(grant == watched)]
        # since it began to request
        self.others = others = Signal(range(count + 2), name="others_granted")
        with m.If(~requested | (en & granted)):
            m.d.sync += others.eq(0)
        with m.Elif(en):
            m.d.sync += others.eq(others + 1)
        # the grant in this cycle, if it goes to another, counts at once
        self.bounded = (others + (en & requested & ~granted)) < count
        """The requester has seen at most `count` - 1 grants to others while it requested."""
        self.longest = en & granted & (others == count - 1)
        """It is granted, after all the others."""

        below = checker.probe.signal(f"{path}.below" if path else "below")
        last, distance = Signal(range(count)), Signal(range(count))
        m.d.comb += last.eq(Mux(below == 0, count, total(list(below))) - 1)
        m.d.comb += distance.eq(Mux(watched > last, watched - last - 1, watched + count - last - 1))
        checker.invariant((below & (below + 1)[:count]) == 0)
        checker.invariant(others + distance < count)


def bounded_wait(checker: Checker, streams: list, taken: Value) -> Value:
    """Return whether a stream, any of them, waits for at most all others once until it is taken.

    The turns are those of a `RoundRobin` called `choice`.

    Parameters
    ----------
    checker
        Receives the registers.
    streams
        The streams.
    taken
        One or more of them are taken from, which are alike.
    """
    m, count = checker.m, len(streams)
    turns = Turns(
        checker,
        "choice",
        requests=Cat(s.valid for s in streams),
        grant=checker.probe.signal("choice.grant"),
        en=taken,
    )
    offers = Cat(s.valid for s in streams).bit_select(turns.watched, 1)
    served = offers & Cat(s.ready for s in streams).bit_select(turns.watched, 1)
    passed = Signal(range(count + 1), name="passed")
    with m.If(~offers | served):
        m.d.sync += passed.eq(0)
    with m.Elif(taken):
        m.d.sync += passed.eq(passed + 1)
    checker.invariant(passed <= turns.others)
    return passed + (taken & offers & ~served) < count


class RoundRobinChecker(Checker):
    """Watch one requester, any of them, until it is granted.

    Assumed: a grant is used only if there is a request.
    """

    CLAIMS = {
        "grant": "the grant is one of the requests",
        "wait": "a requester sees at most `count` - 1 grants to others while it requests",
    }

    dut: RoundRobin

    def describe(self) -> None:
        """State how far the priority is from the requester watched."""
        dut = self.dut
        count = len(dut.requests)
        self.assume(~dut.en | dut.requests.any())
        turns = Turns(self, "", requests=dut.requests, grant=dut.grant, en=dut.en)
        self.claim(
            "grant",
            ~dut.requests.any() | ((dut.grant < count) & dut.requests.bit_select(dut.grant, 1)),
        )
        self.claim("wait", turns.bounded)
        self.reach(turns.longest)
