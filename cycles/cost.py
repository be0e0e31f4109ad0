"""The cost of a program by the cycle model, by which a lowering chooses its tiling."""

from __future__ import annotations

from collections.abc import Callable

from gscn.cycles.model import simulate
from gscn.port import READ_LATENCY
from gscn.program import Program


def cycle_cost(latency: int = READ_LATENCY) -> Callable[[Program], float]:
    """Return what `lowering.lower` takes as `cost`: the cycles that a program takes.

    The best tilings by the lowering's own estimate are then built and run through the cycle model.

    Parameters
    ----------
    latency
        Cycles from a read command to its first beat, as in `cycles.model.simulate`.
    """

    def cost(program: Program) -> float:
        return float(simulate(program, latency=latency).cycles)

    return cost
