"""Figures of a block that is placed and routed: area, wires, rules, timing."""

from __future__ import annotations

import dataclasses
import logging
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gscn.errors import InputError
from gscn.rtl_gen.layout.block import Block, make_block
from gscn.rtl_gen.layout.clocking import CLOCK, Clocking
from gscn.rtl_gen.layout.def_file import Placed, read_def, read_sizes
from gscn.rtl_gen.layout.extracted import (
    FILLER,
    broken,
    changes,
    differences,
    gates_of,
    read_spice,
)
from gscn.rtl_gen.layout.flow import (
    DENSITY,
    NAME,
    SEED,
    TECHNOLOGY,
    TOP,
    NotRoutedError,
    call,
    check_flow,
    check_layout,
    lay_out,
)
from gscn.rtl_gen.layout.lost_vias import with_lost_vias
from gscn.rtl_gen.layout.parasitics import Tree, read_trees, to_spef
from gscn.rtl_gen.layout.timing import (
    NETLIST,
    SCRIPT,
    WIRES,
    LongestPath,
    Timing,
    netlist,
    read_timing,
    timing_script,
)
from gscn.rtl_gen.liberty import DEFAULT_LIBERTY
from gscn.system.cache import temporary_folder

PLACEMENTS = 8
"""That are tried: whether qrouter gets through depends on chance."""
_CLOCK_NET = re.compile(rf"{CLOCK}(_hier\d+)?(_bF\$buf\d+)?")
"""The clock's net, and those behind its buffers as `blifFanout` calls them."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """A block after place and route; lengths in micrometres, areas in square micrometres."""

    cells: int
    """Without fillers."""
    buffers: int
    """Of them, cells that were added for fan-out, those of the clock included."""
    clock_buffers: int
    """Buffers in the clock's tree."""
    cell_area: float
    synthesised_area: float
    """Of the cells before buffers were added and gates made stronger."""
    flip_flops: int
    flip_flop_area: float
    """Part of `cell_area`."""
    width: float
    """Of the die, with the ring in which its ports lie."""
    height: float
    core_area: float
    """Of all rows: cells and fillers."""
    ports: int
    macro_bits: int
    """Bits of memories whose ports are ports here."""
    wire_length: float
    clock_length: float
    """Part of `wire_length` in the clock's tree."""
    layers: dict[str, float]
    """`wire_length` by layer."""
    wire_capacitance: float
    """Picofarads."""
    vias: int
    nets: int
    lost_nets: int
    """Nets for which qrouter wrote more wire than there is (`parasitics.Tree.is_lost`)."""
    placement: int
    """How many placements it took, this one included, until one was the netlist by the rules."""
    clocking: Clocking
    before: Timing
    """Placed, without wires."""
    after: Timing
    """With the wires as routed."""

    @property
    def utilisation(self) -> float:
        """Part of the core that is cells."""
        return self.cell_area / self.core_area

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Layout:
        """Return the layout that `to_dict` made these of."""
        return cls(
            **{
                **values,
                "clocking": Clocking(**values["clocking"]),
                "before": _timing(values["before"]),
                "after": _timing(values["after"]),
            }
        )


def _timing(values: Mapping[str, Any]) -> Timing:
    paths = ("registers", "inputs", "outputs", "through")
    return Timing(
        hold_slack_ns=values["hold_slack_ns"],
        **{name: values[name] and LongestPath(**values[name]) for name in paths},
    )


def measure_layout(verilog: str, top: str, density: float = DENSITY) -> Layout:
    """Place and route a module and return its figures.

    Of the first placement, by its seed, that after routing is the netlist, by its cells and by what
    wires connect as Magic says, and violates no rule of layout.

    Parameters
    ----------
    verilog
        Verilog text.
    top
        Name of the module, whose clock is `CLOCK`.
    density
        Part of the rows that is to be cells.

    Raises
    ------
    InputError
        A tool is missing or ends with an error; the module's registers cannot be scanned; or
        there is no such placement among `PLACEMENTS`.
    """
    check_flow()
    block = make_block(verilog, top, DEFAULT_LIBERTY)
    wrong: list[str] = []
    for placement in range(1, PLACEMENTS + 1):
        with temporary_folder("gscn-layout-") as directory:
            try:
                lay_out(block, directory, density, SEED + placement - 1)
            except NotRoutedError as error:
                wrong = [str(error)]
            else:
                placed, wrong = _checked(block, directory)
                if not wrong:
                    return _measured(block, placed, directory, placement)
        logger.info("placement %d is given up: %s", placement, wrong[0])
    raise InputError(
        f"one of {PLACEMENTS} placements must be the netlist by the rules, but of the last one: "
        f"{wrong[0]}"
    )


def _checked(block: Block, directory: Path) -> tuple[Placed, list[str]]:
    """Return what is laid out, and what is wrong with it; vias that were lost are put back."""
    path = directory / "layout" / f"{TOP}.def"
    violations, extracted, placed = _extracted(directory, path)
    if nets := broken(extracted, placed.nets):
        text = path.read_text(encoding="utf-8")
        path.write_text(with_lost_vias(text, nets), encoding="utf-8")
        violations, extracted, placed = _extracted(directory, path)
    wrong = [f"{net} has no wire" for net in placed.unrouted]
    wrong += differences(extracted, placed.nets)
    wrong += changes(block.gates, gates_of(placed).values())
    if violations:
        wrong.append(f"Magic finds {violations} violations of rules")
    return placed, wrong


def _extracted(directory: Path, path: Path) -> tuple[int, dict[str, set[tuple[str, str]]], Placed]:
    """Return what Magic finds: violations, and what wires connect; and what should be."""
    violations, spice = check_layout(directory)
    return violations, read_spice(spice, TOP), read_def(path.read_text(encoding="utf-8"))


def _measured(block: Block, placed: Placed, directory: Path, placement: int) -> Layout:
    """Return the figures of a layout that is right."""
    trees = read_trees((directory / "layout" / f"{TOP}.rc").read_text(encoding="utf-8"))
    sizes = read_sizes((TECHNOLOGY / f"{NAME}_stdcells.lef").read_text(encoding="utf-8"))
    timings = _time(block, placed, trees, directory)
    return summary(block, placed, trees, sizes, placement=placement, timings=timings)


def _time(
    block: Block, placed: Placed, trees: list[Tree], directory: Path
) -> tuple[Timing, Timing]:
    """Return the delays of a block without its wires and with them."""
    # Names that SPEF and Verilog read alike: `blifFanout` has made some with a $.
    gates = {
        cell: dataclasses.replace(
            gate, pins={pin: net.replace("$", "_") for pin, net in gate.pins.items()}
        )
        for cell, gate in gates_of(placed).items()
    }
    text = netlist(gates, TOP, block.inputs, block.outputs)
    (directory / NETLIST).write_text(text, encoding="utf-8")
    renamed = [dataclasses.replace(tree, net=tree.net.replace("$", "_")) for tree in trees]
    spef = to_spef(TOP, renamed, block.inputs, block.outputs)
    (directory / WIRES).write_text(spef, encoding="utf-8")
    found = []
    for with_wires in (False, True):
        script = timing_script(TOP, DEFAULT_LIBERTY, with_wires=with_wires)
        (directory / SCRIPT).write_text(script, encoding="utf-8")
        found.append(read_timing(call(["sta", "-no_splash", "-exit", SCRIPT], directory)))
    return found[0], found[1]


def _is_flip_flop(kind: str) -> bool:
    return kind.startswith("DFF")


def summary(
    block: Block,
    placed: Placed,
    trees: list[Tree],
    sizes: Mapping[str, tuple[float, float]],
    *,
    placement: int,
    timings: tuple[Timing, Timing],
) -> Layout:
    """Return the figures of what was placed and routed.

    Parameters
    ----------
    block
        Before.
    placed
        After.
    trees
        Its wires.
    sizes
        Width and height of each kind of cell, micrometres.
    placement
        As in `Layout`.
    timings
        Without wires and with them.
    """
    areas = {kind: width * height for kind, (width, height) in sizes.items()}
    kinds = Counter(placed.cells.values())
    core_area = sum(areas[kind] * count for kind, count in kinds.items())
    del kinds[FILLER]
    clock = [net for name, net in placed.nets.items() if _CLOCK_NET.fullmatch(name)]
    drivers = {cell for net in clock for cell, pin in net.pins if pin == "Y"}
    layers = placed.wire_length()
    return Layout(
        cells=kinds.total(),
        buffers=kinds.total() - len(block.gates),
        clock_buffers=len(drivers),
        cell_area=sum(areas[kind] * count for kind, count in kinds.items()),
        synthesised_area=sum(areas[kind] * count for kind, count in block.cells().items()),
        flip_flops=sum(count for kind, count in kinds.items() if _is_flip_flop(kind)),
        flip_flop_area=sum(
            areas[kind] * count for kind, count in kinds.items() if _is_flip_flop(kind)
        ),
        width=placed.width,
        height=placed.height,
        core_area=core_area,
        ports=len(block.inputs) + len(block.outputs),
        macro_bits=sum(memory.bits for memory in block.macros),
        wire_length=sum(layers.values()),
        clock_length=sum(sum(net.length.values()) for net in clock),
        layers=layers,
        wire_capacitance=sum(tree.picofarad for tree in trees),
        vias=placed.vias,
        nets=len(placed.nets),
        lost_nets=sum(tree.is_lost for tree in trees),
        placement=placement,
        clocking=block.clocking,
        before=timings[0],
        after=timings[1],
    )
