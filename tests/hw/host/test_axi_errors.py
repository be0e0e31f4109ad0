# amaranth: UnusedElaboratable=no
"""The first bus error among several ports is the one that is reported."""

from __future__ import annotations

from gscn.array import ARRAYS
from gscn.hw.host.axi_errors import FirstError
from gscn.hw.host.axi_ports import Response
from tests.hw.streams import plain, reused, simulate

NONE = {"error": 0, "write": 0, "resp": Response.OKAY, "addr": 0}


def error(addr, *, write=0):
    return {"error": 1, "write": write, "resp": Response(2 + write), "addr": addr}


def reported(steps):
    """Return what is reported in each cycle; a step is (errors by port, clear)."""
    dut = reused(FirstError, config=ARRAYS["tiny"], count=3)
    seen = []
    ports = []

    async def testbench(ctx):
        for errors, clear in steps:
            for port in range(3):
                ctx.set(dut.i[port], errors.get(port, NONE))
            ctx.set(dut.clear, clear)
            seen.append(plain(ctx.get(dut.o)))
            ports.append(ctx.get(dut.port))
            await ctx.tick()

    simulate(dut, testbench, cycles=40)
    # the port is that of the error reported, whose address tells errors apart
    for (errors, _), error, port in zip(steps, seen, ports, strict=True):
        assert errors.get(port, NONE) == error
    return seen


def test_nothing_is_reported_without_an_error():
    assert reported([({}, 0)] * 3) == [NONE] * 3


def test_the_first_error_is_kept_when_a_lower_port_fails_later():
    first, later = error(0x40, write=1), error(0x80)
    steps = [({}, 0), ({2: first}, 0), ({2: first, 0: later}, 0), ({2: first, 0: later}, 0)]
    assert reported(steps) == [NONE, first, first, first]


def test_of_errors_in_one_cycle_the_lowest_port_is_reported_and_kept():
    one, two = error(0x100), error(0x200, write=1)
    steps = [({1: one, 2: two}, 0), ({1: one, 2: two}, 0)]
    assert reported(steps) == [one, one]


def test_after_a_clear_the_next_error_is_the_first():
    old, new = error(0x40), error(0xC0, write=1)
    steps = [({1: old}, 0), ({1: old}, 1), ({}, 1), ({}, 0), ({2: new}, 0), ({0: old, 2: new}, 0)]
    assert reported(steps) == [old, old, NONE, NONE, new, new]
