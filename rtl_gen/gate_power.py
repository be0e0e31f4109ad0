"""Energy of a netlist of cells from how often its nets changed, by the library's tables.

Of each change: what charges the pins on the net, half their capacitance times the square of the
voltage; what the driving cell takes inside; and what the cells take whose inputs it is. Wires are
left out, and so are leakage, the buffers of a clock tree, and all that happens inside memories.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Mapping

from gscn.rtl_gen.cells import CellLibrary
from gscn.rtl_gen.gates import EDGE_NS, Gates, Net, Timing

CLOCK = "clock"
"""Part with what charges the clock's pins of flip-flops, what an edge of the clock takes inside
them, and all that gates in the clock take."""
INPUTS = "inputs"
"""Part with what charges the pins on nets that no cell drives: of inputs and memories."""


def energy_by_part(
    gates: Gates,
    library: CellLibrary,
    times: Timing,
    *,
    rises: Mapping[Net, int],
    falls: Mapping[Net, int],
    cycles: int,
    part: Callable[[tuple[str, ...]], str],
) -> dict[str, float]:
    """Return the energy of cells, picojoules, by part.

    Parameters
    ----------
    gates, library, times
        The netlist, its cells, and its loads.
    rises, falls
        Changes of each net; of the clock's they are not looked at.
    cycles
        Of the clock, in which they were counted.
    part
        Of the instances around a cell: the part that it counts for.
    """
    found: dict[str, float] = defaultdict(float)
    half_square = library.voltage**2 / 2
    clock = gates.clock
    driven, clocks = {clock}, gates.clocks(library)
    rises, falls = {**rises, clock: cycles}, {**falls, clock: cycles}
    for one in gates.cells:
        cell, own = library[one.kind], part(one.path)
        if cell.latch or any(one.pins[pin][0] in clocks for pin in cell.outputs if pin in one.pins):
            own = CLOCK
        for pin, edges in cell.input_energies.items():
            net = one.pins[pin][0]
            to = CLOCK if net in clocks else own
            edge = times.transitions.get(net, EDGE_NS)
            found[to] += rises.get(net, 0) * edges.rise.at(0.0, edge)
            found[to] += falls.get(net, 0) * edges.fall.at(0.0, edge)
        for pin, output in cell.outputs.items():
            if pin not in one.pins:
                continue
            net = one.pins[pin][0]
            driven.add(net)
            load = times.loads.get(net, 0.0)
            inputs = [cell.clock] if cell.clock else [*cell.loads]
            edge = statistics.fmean(
                times.transitions.get(one.pins[name][0], EDGE_NS) for name in inputs
            )
            charge = half_square * load
            up, down = rises.get(net, 0), falls.get(net, 0)
            found[own] += charge * (up + down)
            if output.energies:
                found[own] += up * statistics.fmean(
                    edges.rise.at(load, edge) for edges in output.energies
                )
                found[own] += down * statistics.fmean(
                    edges.fall.at(load, edge) for edges in output.energies
                )
    found[CLOCK] += 2 * half_square * times.loads.get(clock, 0.0) * cycles
    for net, load in times.loads.items():
        if net not in driven:
            found[INPUTS] += half_square * load * (rises.get(net, 0) + falls.get(net, 0))
    return dict(found)
