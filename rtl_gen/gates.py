"""A component as a netlist of library cells: mapped, timed, and written as Verilog with delays."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from gscn.errors import InputError
from gscn.hw.ram import PREFIX
from gscn.rtl_gen.cells import CellLibrary, read_cells
from gscn.rtl_gen.clock_gates import gate_commands
from gscn.rtl_gen.liberty import check_liberty, map_commands, write_constraints
from gscn.rtl_gen.rams import RamModule, ram_modules
from gscn.rtl_gen.synthesis import GATE_LEVEL, WORD_LEVEL
from gscn.rtl_gen.yosys import run_yosys
from gscn.system.cache import temporary_folder

Net = int | str
"""Number of a net, or a constant bit: "0", "1", or "x" for one that does not matter."""
MULTIPLIER, ADDER = "multiplier", "adder"
"""Parts of their own, wherever they stand: products, and sums of `ADDER_BITS` or more."""
ADDER_BITS = 40
EDGE_NS = 0.1
"""Transition of whatever no cell drives: inputs and clock."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Instance:
    """A cell, or a memory."""

    path: tuple[str, ...]
    """Instances around it, from the top."""
    kind: str
    """Name of the cell, or of the memory's module."""
    pins: Mapping[str, tuple[Net, ...]]
    """Nets of each pin; of a cell's one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Gates:
    """A flat netlist."""

    inputs: Mapping[str, tuple[Net, ...]]
    """Nets of each port, the lowest bit first; `clk` is one of them."""
    outputs: Mapping[str, tuple[Net, ...]]
    cells: tuple[Instance, ...]
    memories: tuple[Instance, ...]
    """Instances of `hw.ram.RamRows`."""
    rams: tuple[RamModule, ...]
    """Their modules."""

    @property
    def clock(self) -> Net:
        """The net of the clock."""
        (net,) = self.inputs["clk"]
        return net

    def clocks(self, library: CellLibrary) -> set[Net]:
        """Return the clock and what gates make of it, as far as registers are clocked by that."""
        gates = {net: one for one, _, net in _outputs(self, library) if not library[one.kind].clock}
        found, behind = {self.clock}, []
        for one in self.cells:
            behind += one.pins.get(library[one.kind].clock, ())
        while behind:
            net = behind.pop()
            if net in gates and net not in found:
                found.add(net)
                behind += _input_nets(gates[net], library)
        return found


def map_to_gates(verilog: str, top: str, liberty: Path) -> Gates:
    """Map a module to cells; memories that are modules stay what they are.

    Each module is mapped by itself, as `gscn.rtl_gen.synthesis` does, and so is each multiplier and
    wide adder, so that energy can be told apart. All other memories become flip-flops. Where
    many of a module's flip-flops have one enable, it gates their clock
    (`gscn.rtl_gen.clock_gates`).

    Parameters
    ----------
    verilog
        As `gscn.rtl_gen.verilog` writes it.
    top
        Name of the module.
    liberty
        Standard cells.

    Raises
    ------
    InputError
        A tool or the liberty is missing, or the Verilog is not synthesisable.
    """
    liberty = check_liberty(liberty)
    with temporary_folder("gscn-synth-") as directory:
        (directory / "design.v").write_text(verilog, encoding="utf-8")
        write_constraints(liberty, directory)
        run_yosys(
            [
                "read_verilog design.v",
                f"hierarchy -check -top {top}",
                f"blackbox {PREFIX}*",
                *WORD_LEVEL,
                "memory",
                "opt",
                "splitnets",
                f'setattr -set submod "{MULTIPLIER}" t:$mul',
                f'setattr -set submod "{ADDER}" t:$add r:Y_WIDTH>={ADDER_BITS} %i',
                "submod",
                *GATE_LEVEL,
                *gate_commands(read_cells(liberty), directory),
                *map_commands(liberty),
                "flatten",
                "opt_clean",
                f'read_liberty -lib -ignore_miss_func "{liberty}"',
                "check -assert",
                "write_json netlist.json",
            ],
            directory,
        )
        text = (directory / "netlist.json").read_text(encoding="utf-8")
    return read_gates(text, top, ram_modules(verilog))


def read_gates(text: str, top: str, rams: tuple[RamModule, ...] = ()) -> Gates:
    """Return the netlist that Yosys' `write_json` wrote of a flat module.

    Parameters
    ----------
    text
        The JSON text.
    top
        Name of the module.
    rams
        Modules of memories.

    Raises
    ------
    InputError
        The text is no such netlist.
    """
    known = {one.module for one in rams}
    try:
        module = json.loads(text)["modules"][top]
        ports = {
            direction: {
                name: tuple(one["bits"])
                for name, one in module["ports"].items()
                if one["direction"] == direction
            }
            for direction in ("input", "output")
        }
        instances = [
            Instance(
                path=_path(name),
                kind=cell["type"],
                pins={pin: tuple(bits) for pin, bits in cell["connections"].items()},
            )
            for name, cell in module["cells"].items()
            if cell["type"] != "$scopeinfo"
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"netlist must be what `write_json` writes: {error!r}") from error
    return Gates(
        inputs=ports["input"],
        outputs=ports["output"],
        cells=tuple(one for one in instances if one.kind not in known),
        memories=tuple(one for one in instances if one.kind in known),
        rams=rams,
    )


def _path(name: str) -> tuple[str, ...]:
    """Return the instances around a cell from its name in a flattened module."""
    plain = name.removeprefix("$flatten").replace("\\", "")
    steps = []
    for step in plain.split("."):
        if step.startswith("$"):
            break
        steps.append(step)
    else:
        steps.pop()
    return tuple(steps)


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """Loads and delays of a netlist without wires."""

    loads: Mapping[Net, float]
    """Picofarads of the pins on each net."""
    transitions: Mapping[Net, float]
    """Nanoseconds, the mean of both edges."""
    delays: Mapping[Net, tuple[float, float]]
    """Nanoseconds to a rising and to a falling edge of each net that a cell drives: the mean of its
    driver's inputs; of a flip-flop, from the clock. None in the clock, gated or not."""


def _outputs(gates: Gates, library: CellLibrary) -> Iterator[tuple[Instance, str, Net]]:
    """Yield each output of each cell, and its net."""
    for one in gates.cells:
        for pin in library[one.kind].outputs:
            if pin in one.pins:
                yield one, pin, one.pins[pin][0]


def timing(gates: Gates, library: CellLibrary) -> Timing:
    """Return loads, transitions and delays by the library's tables.

    Transitions go from drivers to what they drive; those of inputs and clock are `EDGE_NS`, of the
    gated clock too, as if a tree drove it. Pins of memories and outputs load nothing: what they are
    made of is not known here.

    Raises
    ------
    InputError
        A cell is not in the library, or the netlist has a loop.
    """
    loads: dict[Net, float] = defaultdict(float)
    for one in gates.cells:
        for pin, load in library[one.kind].loads.items():
            loads[one.pins[pin][0]] += load
    drivers = {net: (one, pin) for one, pin, net in _outputs(gates, library)}
    order = TopologicalSorter(
        {
            net: [] if library[one.kind].clock else _input_nets(one, library)
            for net, (one, _) in drivers.items()
        }
    )
    transitions: dict[Net, float] = {}
    delays = {}
    clocks = gates.clocks(library)
    try:
        for net in order.static_order():
            if net not in drivers:
                transitions[net] = EDGE_NS
                continue
            if net in clocks:
                transitions[net], delays[net] = EDGE_NS, (0.0, 0.0)
                continue
            one, pin = drivers[net]
            cell = library[one.kind]
            inputs = [one.pins[cell.clock][0]] if cell.clock else _input_nets(one, library)
            edge = _mean(transitions.get(source, EDGE_NS) for source in inputs)
            load, own = loads[net], cell.outputs[pin]
            delays[net] = (
                _mean(edges.rise.at(load, edge) for edges in own.delays),
                _mean(edges.fall.at(load, edge) for edges in own.delays),
            )
            transitions[net] = _mean(
                table.at(load, edge)
                for edges in own.transitions
                for table in (edges.rise, edges.fall)
            )
    except CycleError as error:
        raise InputError("netlist must have no loop through gates alone") from error
    return Timing(loads=dict(loads), transitions=transitions, delays=delays)


def _input_nets(one: Instance, library: CellLibrary) -> list[Net]:
    return [one.pins[pin][0] for pin in library[one.kind].loads]


def _mean(values: Iterable[float]) -> float:
    """Return the mean, 0 of nothing: a library may leave tables out."""
    found = [*values]
    return statistics.fmean(found) if found else 0.0
