"""A netlist of seven cells whose changes are counted by hand, and what it is given."""

from __future__ import annotations

from gscn.rtl_gen.gates import Gates, Instance

CLOCK, A, LATE, NOT, PULSE, STATE, NEXT = 2, 3, 4, 5, 6, 7, 8


def cell(kind, path=(), **pins):
    return Instance(path=path, kind=kind, pins={pin: (net,) for pin, net in pins.items()})


GATES = Gates(
    inputs={"a": (A,), "clk": (CLOCK,)},
    outputs={"pulse": (PULSE,), "state": (STATE,)},
    cells=(
        cell("BUFX1", A=A, Y=LATE),
        cell("INVX1", A=LATE, Y=NOT),
        # low for the two nanoseconds after a rise of `a`
        cell("NAND2X1", A=A, B=NOT, Y=PULSE),
        # changes in every cycle
        cell("DFFX1", path=("counter",), CLK=CLOCK, D=NEXT, Q=STATE),
        cell("INVX1", path=("counter",), A=STATE, Y=NEXT),
    ),
    memories=(),
    rams=(),
)
INPUTS = (0, 1, 1, 0, 1, 0, 0, 1, 1, 0)
"""Of `a`; the first change that is counted is the fall from the third cycle to the fourth."""
FIRST = 2
OUTPUTS = tuple(1 | cycle % 2 << 1 for cycle in range(len(INPUTS)))
"""At the ends of the cycles."""
RISES = {A: 2, LATE: 2, NOT: 3, PULSE: 2, STATE: 4, NEXT: 4}
FALLS = {A: 3, LATE: 3, NOT: 2, PULSE: 2, STATE: 4, NEXT: 4}
"""From the third cycle on."""
