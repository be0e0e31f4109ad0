"""Energy of a netlist from its changes: sums by hand, with a library written for them."""

from __future__ import annotations

import pytest

from gscn.rtl_gen.cells import Cell, CellLibrary, Edges, Output, Table
from gscn.rtl_gen.gate_power import CLOCK, INPUTS, energy_by_part
from gscn.rtl_gen.gates import Gates, timing
from tests.rtl_gen.made_gates import CLOCK as CLOCK_NET
from tests.rtl_gen.made_gates import FALLS, GATES, RISES, STATE, cell

CYCLES = 8


def constant(value):
    return Table(loads=(0.0,), transitions=(0.0,), values=((value,),))


def edges(rise, fall):
    return Edges(rise=constant(rise), fall=constant(fall))


def gate(name, loads, function, energies, **more):
    output = Output(function=function, delays=(), transitions=(), energies=energies)
    pin = "Q" if "clock" in more else "Y"
    settings = {"clock": None, "input_energies": {}} | more
    return Cell(name=name, area=1.0, loads=loads, outputs={pin: output}, **settings)


LIBRARY = CellLibrary(
    voltage=2.0,
    cells={
        one.name: one
        for one in (
            gate("BUFX1", {"A": 0.1}, "A", (edges(1.0, 2.0),)),
            gate("INVX1", {"A": 0.2}, "(~A)", (edges(10.0, 20.0),)),
            # of two related inputs: the mean
            gate(
                "NAND2X1", {"A": 0.3, "B": 0.4}, "(~(A & B))", (edges(2.0, 4.0), edges(4.0, 8.0))
            ),
            gate(
                "DFFX1", {"D": 0.5, "CLK": 0.7}, "D", (edges(0.25, 0.5),),
                clock="CLK", input_energies={"CLK": edges(3.0, 5.0), "D": edges(0.125, 0.0625)},
            ),
        )
    },
)  # fmt: skip
GATED = CellLibrary(
    voltage=2.0,
    cells=LIBRARY.cells
    | {
        one.name: one
        for one in (
            gate("ANDX1", {"A": 0.3, "B": 0.4}, "(A & B)", (edges(2.0, 4.0),)),
            gate(
                "LATX1", {"D": 0.8, "CLK": 0.6}, "D", (edges(0.75, 1.5),), clock="CLK", latch=True,
                input_energies={"CLK": edges(7.0, 9.0), "D": edges(11.0, 13.0)},
            ),
        )
    },
)  # fmt: skip


def test_energies_are_sums_over_changes():
    found = energy_by_part(
        GATES, LIBRARY, timing(GATES, LIBRARY),
        rises=RISES, falls=FALLS, cycles=CYCLES, part=lambda path: path[0] if path else "rest",
    )  # fmt: skip
    charge = 2.0**2 / 2  # times pF
    rest = (
        # the buffer charges the inverter, the inverter a pin of the gate, which charges nothing
        5 * charge * 0.2 + 2 * 1.0 + 3 * 2.0
        + 5 * charge * 0.4 + 3 * 10.0 + 2 * 20.0
        + 2 * 3.0 + 2 * 6.0
    )  # fmt: skip
    counter = (
        8 * charge * 0.2 + 4 * 0.25 + 4 * 0.5
        + 8 * charge * 0.5 + 4 * 10.0 + 4 * 20.0
        + 4 * 0.125 + 4 * 0.0625
    )  # fmt: skip
    assert found == pytest.approx(
        {
            "rest": rest,
            "counter": counter,
            CLOCK: CYCLES * (3.0 + 5.0 + 2 * charge * 0.7),
            INPUTS: 5 * charge * (0.1 + 0.3),
        }
    )


def test_what_gates_the_clock_counts_for_the_clock():
    enabled, low, held, gated = 10, 11, 12, 13
    gates = Gates(
        inputs={"clk": (CLOCK_NET,), "en": (enabled,)},
        outputs={"state": (STATE,)},
        cells=(
            cell("INVX1", A=CLOCK_NET, Y=low),
            cell("LATX1", D=enabled, CLK=low, Q=held),
            cell("ANDX1", A=CLOCK_NET, B=held, Y=gated),
            cell("DFFX1", CLK=gated, D=enabled, Q=STATE),
        ),
        memories=(),
        rams=(),
    )
    found = energy_by_part(
        gates, GATED, timing(gates, GATED),
        rises={enabled: 1, held: 1, gated: 3, low: CYCLES, STATE: 1},
        falls={held: 1, gated: 3, low: CYCLES}, cycles=CYCLES, part=lambda _: "rest",
    )  # fmt: skip
    charge = 2.0**2 / 2
    assert found == pytest.approx(
        {
            CLOCK: CYCLES * (2 * charge * (0.2 + 0.3) + 10.0 + 20.0)  # of its own pins; inverter
            + CYCLES * (2 * charge * 0.6 + 7.0 + 9.0)  # what it drives: the latch
            + 1 * 11.0  # the latch's data, and what leaves it
            + 2 * charge * 0.4 + 0.75 + 1.5
            + 3 * (2 * charge * 0.7 + 2.0 + 4.0 + 3.0 + 5.0),  # the gated clock
            "rest": 0.125 + 0.25,
            INPUTS: 1 * charge * (0.8 + 0.5),
        }
    )  # fmt: skip


def test_nothing_but_the_clock_takes_energy_where_nothing_changes():
    found = energy_by_part(
        GATES, LIBRARY, timing(GATES, LIBRARY), rises={}, falls={}, cycles=1, part=lambda _: "all"
    )
    assert found.pop(CLOCK) > 0
    assert set(found.values()) == {0.0}
