"""PEs in standard cells, placed and routed: docs/results/layout.md.

`python -m benchmarks.layout PART...` lays out some of the parts and writes their figures as JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.markdown import percent, table
from benchmarks.pages import Page
from gscn.array import ArrayConfig, array

if TYPE_CHECKING:
    from amaranth.lib import wiring

    from gscn.rtl_gen.layout.measure import Layout

CONFIG = "tiny"
FORMAT = "int16"
PE, DENSE = "PE", "dense PE"
PARTS = (PE, DENSE)
"""On the page."""
MORE = ("PE: Lookup", "PE: Walker", "PE: Sums")
"""What else the command lays out."""

_INTRODUCTION = """\
# Layout

PEs of `{config}` in {format}, in {cells} cells of {nm} nm, placed and routed by qflow's tools,
each by itself; `make layout`. Every figure is read back from what the tools wrote.

* **What is laid out.** All logic, and as flip-flops the memories that are read at once or small.
  Memories that would be SRAM macros are left out: their address, data and enables are ports of the
  block, at its border. The {dense} is the one of `hw.dense`, for sums of the same width, which are
  in flip-flops; where the PE has them in a memory, that is in no figure here.
* **How.** Yosys and `abc` as for [area.md](area.md), flattened; `blifFanout` adds buffers, the
  clock's too, for {fanout} loads at most, and makes cells stronger; GrayWolf places at a density of
  {density}; qrouter routes in 6 metals, without its rounds of improvement; vias that it has lost
  are put back in nets that Magic finds in pieces. Nothing is optimised after placement: no cell is
  resized for the wires that it got. The layout is that of the first of {placements} seeds of the
  placer in which what follows holds; in some qrouter leaves wires that break rules.
* **Checked.** Magic finds no violation of the technology's rules of layout (cells as the LEF has
  them, without their insides), and what it extracts from the geometry connects the pins that the
  netlist connects, and no others. Placed cells are those of the netlist but for buffers and
  strength. All registers can be scanned: one edge of one clock, nothing asynchronous, no latches.
* **Timing** is OpenSTA's, typical, with resistance and capacitance of every routed wire to the
  substrate (from the LEF; not of wires to each other), and with the clock's buffers and skew.
  *Without wires* is the same netlist without them. **Register to register** bounds the clock, and
  so do paths through ports: those have no time of their own here, so that set-up and access of a
  memory at them have to be added. Of nets in which the router went round in a circle it wrote some
  wires twice: their capacitance is too high.
* **Gated**: flip-flops of enables that {gated} or more share, whose clock one gate can stop. Of the
  netlist before it is mapped; here the enables are logic, as the library has no clock gate.
* **Tools**: {versions}.
"""


def component(name: str) -> Callable[[], wiring.Component]:
    """Return what makes one of `PARTS` or `MORE`."""
    from gscn.hw.dense.dense_pe import DensePe
    from gscn.hw.pe.ranges import RangeLookup
    from gscn.hw.pe.ring import RingWalker
    from gscn.hw.pe.sums import Sums
    from gscn.hw.pe.worker import Worker

    kinds = (Worker, DensePe, RangeLookup, RingWalker, Sums)
    made = dict(zip((*PARTS, *MORE), kinds, strict=True))[name]
    return lambda: made(config=configuration())


def configuration() -> ArrayConfig:
    """Return the sizes of what is laid out."""
    return array(CONFIG).with_overrides([f"operand_format={FORMAT}"])


def lay_out(name: str) -> dict[str, Any]:
    """Lay out one of `PARTS` or `MORE`; return its figures as plain JSON values.

    Raises
    ------
    InputError
        A tool is missing or ends with an error.
    """
    from gscn.rtl_gen.layout.flow import TOP
    from gscn.rtl_gen.layout.measure import measure_layout
    from gscn.rtl_gen.verilog import to_verilog

    return measure_layout(to_verilog(component(name), TOP).text, TOP).to_dict()


def record(parts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return what the page shows of parts that are laid out.

    Raises
    ------
    InputError
        A tool is missing.
    """
    from gscn.rtl_gen.area_text import tool_versions
    from gscn.rtl_gen.layout.flow import flow_versions
    from gscn.rtl_gen.liberty import DEFAULT_LIBERTY, check_liberty

    cells = check_liberty(DEFAULT_LIBERTY)
    versions = tool_versions(cells, place=False, gated=False) | flow_versions()
    return {"versions": versions, "config_digest": configuration().digest(), "parts": parts}


def make() -> dict[str, Any]:
    """Lay out all parts; return what the page shows.

    Raises
    ------
    InputError
        A tool is missing or ends with an error.
    """
    return record({name: lay_out(name) for name in PARTS})


def layouts(data: dict[str, Any]) -> dict[str, Layout]:
    """Return the layouts that a record has, by part."""
    from gscn.rtl_gen.layout.measure import Layout

    return {name: Layout.from_dict(one) for name, one in data["parts"].items()}


def _delay(path: Any) -> str:
    return "-" if path is None else f"{path.delay_ns:.2f}"


def _all_paths_mhz(one: Layout) -> float:
    """Return the clock that paths through ports allow, too, if nothing outside takes time."""
    after = one.after
    paths = (after.registers, after.inputs, after.outputs, after.through)
    return 1e3 / max(path.delay_ns for path in paths if path is not None)


_ROWS: tuple[tuple[str, Callable[[Layout], str]], ...] = (
    ("cells", lambda one: f"{one.cells:,}"),
    ("of them added for fan-out", lambda one: f"{one.buffers:,}"),
    ("of them in the clock's tree", lambda one: f"{one.clock_buffers:,}"),
    ("flip-flops", lambda one: f"{one.flip_flops:,}"),
    ("ports", lambda one: f"{one.ports:,}"),
    ("bits of memories left out", lambda one: f"{one.macro_bits:,}"),
    ("cells as synthesised (um2)", lambda one: f"{one.synthesised_area:,.0f}"),
    ("cells as placed (um2)", lambda one: f"{one.cell_area:,.0f}"),
    ("of it flip-flops (um2)", lambda one: f"{one.flip_flop_area:,.0f}"),
    ("rows (um2)", lambda one: f"{one.core_area:,.0f}"),
    ("utilisation of the rows", lambda one: percent(one.utilisation)),
    ("die (um x um)", lambda one: f"{one.width:,.0f} x {one.height:,.0f}"),
    ("nets", lambda one: f"{one.nets:,}"),
    ("wire (mm)", lambda one: f"{one.wire_length / 1e3:,.1f}"),
    ("of it the clock's (mm)", lambda one: f"{one.clock_length / 1e3:,.1f}"),
    ("capacitance of wires (pF)", lambda one: f"{one.wire_capacitance:,.1f}"),
    ("placements until it was right", lambda one: f"{one.placement:,}"),
    ("nets of which the router wrote too much", lambda one: f"{one.lost_nets:,}"),
    ("vias", lambda one: f"{one.vias:,}"),
    ("register to register, without wires (ns)", lambda one: _delay(one.before.registers)),
    ("register to register (ns)", lambda one: _delay(one.after.registers)),
    ("**clock, register to register (MHz)**", lambda one: f"**{one.after.frequency_mhz:.0f}**"),
    ("slack of the tightest hold (ns)", lambda one: f"{one.after.hold_slack_ns:.2f}"),
    ("port to register (ns)", lambda one: _delay(one.after.inputs)),
    ("register to port (ns)", lambda one: _delay(one.after.outputs)),
    ("port to port (ns)", lambda one: _delay(one.after.through)),
    ("clock of all these paths (MHz)", lambda one: f"{_all_paths_mhz(one):.0f}"),
    ("flip-flops with an enable", lambda one: f"{one.clocking.enabled:,}"),
    ("flip-flops that can be gated", lambda one: f"{one.clocking.gateable:,}"),
    ("share of all", lambda one: percent(one.clocking.share)),
    ("clock gates for them", lambda one: f"{one.clocking.gates:,}"),
)


def render(data: dict[str, Any]) -> str:
    """Return the page of a record."""
    from gscn.rtl_gen.clock_gates import LEAST_GATED
    from gscn.rtl_gen.layout.flow import DENSITY, FANOUT, NAME
    from gscn.rtl_gen.layout.measure import PLACEMENTS
    from gscn.rtl_gen.memories import NODE_NM

    found = layouts(data)
    head = _INTRODUCTION.format(
        config=CONFIG,
        format=FORMAT,
        cells=NAME,
        nm=NODE_NM,
        dense=DENSE,
        fanout=FANOUT,
        density=DENSITY,
        placements=PLACEMENTS,
        gated=LEAST_GATED,
        versions=", ".join(f"{name} {value}" for name, value in data["versions"].items()),
    )
    rows = [[title, *(cell(one) for one in found.values())] for title, cell in _ROWS]
    paths = [
        [name, f"`{one.after.registers.start}` to `{one.after.registers.end}`"]
        for name, one in found.items()
    ]
    layers = sorted({layer for one in found.values() for layer in one.layers})
    wires = [
        [name, *(f"{one.layers.get(layer, 0) / 1e3:,.1f}" for layer in layers)]
        for name, one in found.items()
    ]
    return "\n".join(
        [
            head,
            f"Configuration {data['config_digest']}.\n",
            table(["", *found], rows),
            "\nCritical paths, cell and pin:\n",
            table(["part", "from register to register"], paths),
            "\nMillimetres of wire by layer:\n",
            table(["part", *layers], wires),
            "",
        ]
    )


def quotes(data: dict[str, Any]) -> dict[str, str]:
    """Return clocks, areas and wire lengths by part."""
    found = {}
    for name, one in layouts(data).items():
        short = name.lower().replace(": ", "-").replace(" ", "-")
        found[f"{short}-mhz"] = f"{one.after.frequency_mhz:.0f}"
        found[f"{short}-all-paths-mhz"] = f"{_all_paths_mhz(one):.0f}"
        found[f"{short}-area"] = f"{one.cell_area:,.0f}"
        found[f"{short}-wire-mm"] = f"{one.wire_length / 1e3:,.0f}"
        found[f"{short}-gated"] = percent(one.clocking.share)
    return found


PAGE = Page(
    name="layout",
    make=make,
    render=render,
    parts=("pes",),
    configs=(CONFIG,),
    quotes=quotes,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.layout", description=__doc__)
    known = (*PARTS, *MORE)
    parser.add_argument("parts", nargs="+", metavar="PART", choices=known, help=", ".join(known))
    args = parser.parse_args(arguments)
    json.dump(record({name: lay_out(name) for name in args.parts}), sys.stdout, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
