"""Memories of a netlist: which are SRAM macros, which are flip-flops, and what macros take.

A memory that is read in the same cycle, small, or of more ports than macros have, is flip-flops and
multiplexers, wherever it stands: `gscn.rtl_gen.memory_cells` maps it. All others are macros
of one of `SRAMS`, whose areas are of published layouts, at the cells' 180 nm.
"""

from __future__ import annotations

import json
import re
import statistics
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from gscn.errors import InputError
from gscn.hw.forwarding_memory import SMALL_BITS
from gscn.hw.ram import PREFIX

MOST_SMALL_BITS = SMALL_BITS
"""A memory of no more bits is never a macro: what surrounds the bits would be most of it."""

_NUMBERS = re.compile(r"\$\d+|(?<=[a-z])\d+(?=\.|$)")
"""What tells modules of one kind apart: the converter's numbers, and those of lanes and ports."""

NODE_NM = 180
"""Node of the cells (`gscn.rtl_gen.liberty.DEFAULT_LIBERTY`), to which areas are scaled."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """A kind of memory: all that its area depends on."""

    depth: int
    width: int
    reads: int
    """Read ports."""
    writes: int
    """Write ports; none if the contents are constant."""
    combinational: bool
    """Some port reads in the cycle of its address."""
    enables: int = 1
    """Parts of a row that are written separately."""
    contents: str = ""
    """Bits of a constant memory, row 0 last."""

    @property
    def bits(self) -> int:
        """Bits stored."""
        return self.depth * self.width

    @property
    def is_macro(self) -> bool:
        """Whether it is an SRAM macro: large, one port each way at most, read a cycle later."""
        ports = self.reads <= 1 and self.writes == 1
        return ports and not self.combinational and self.bits > MOST_SMALL_BITS


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryGroup:
    """Memories of one kind in modules of one kind."""

    place: str
    """Path of the modules, without what numbers them."""
    memory: Memory
    count: int
    """How many there are in the top module."""
    area: float | None = None
    """Square micrometres of cells of one; None for a macro, or without a liberty."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sram:
    """Areas of SRAM macros: a part for each macro, and a part for each bit."""

    name: str
    each: float
    """Square micrometres of a macro without bits: decoders, amplifiers, control."""
    per_bit: float
    """Square micrometres."""
    source: str
    """What the areas are of."""

    def area(self, macros: float, bits: float) -> float:
        """Return the square micrometres of macros with so many bits together."""
        return macros * self.each + bits * self.per_bit


def fitted(name: str, areas: Mapping[int, float], *, node_nm: int, source: str) -> Sram:
    """Return a line through areas of published macros, scaled to the cells' node.

    Parameters
    ----------
    name
        Name of the macros in reports.
    areas
        Bits of a macro to its area, square micrometres; two at least.
    node_nm
        Node of the macros, nanometres: areas grow with its square.
    source
        What the areas are of.
    """
    scale = (NODE_NM / node_nm) ** 2
    per_bit, each = statistics.linear_regression([*areas], [*areas.values()])
    return Sram(name=name, each=scale * each, per_bit=scale * per_bit, source=source)


SRAMS = (
    Sram(
        name="bit cells alone",
        each=0.0,
        per_bit=1.200 * 1.580 * (NODE_NM / 130) ** 2,
        # SIZE in openram_sp_cell/*.lef of google/skywater-pdk-libs-sky130_fd_bd_sram, 2f8ebee.
        source="SKY130, `openram_sp_cell`, 130 nm",
    ),
    fitted(
        "macros of two ports",
        # SIZE in the LEF files of efabless/sky130_sram_macros_old: 1 and 2 KB at 76689cf, 4 KB at
        # 30b3ead, 8 KB at 33994aa. The line is within 0.4 % of each.
        {
            8192: 456.66 * 379.82,
            16384: 659.98 * 398.18,
            32768: 670.86 * 651.14,
            65536: 1093.82 * 720.50,
        },
        node_nm=130,
        source="OpenRAM, four `sky130_sram_*_1rw1r_32x*_8`, 130 nm",
    ),
    fitted(
        "macros of one port",
        # `area` in *__tt_025C_1v80.lib of google/globalfoundries-pdk-ip-gf180mcu_fd_ip_sram,
        # 9c41192.
        {512: 100571.5568, 1024: 116118.5168, 2048: 147212.4368, 4096: 209400.2768},
        node_nm=180,
        source="GF180MCU, four `gf180mcu_fd_ip_sram__sram*x8m8wm1`, 180 nm, cells of 5 V",
    ),
)
"""The first has nothing around the bits and one port where memories here have two, so that it is a
bound and no macro; the second is what a public compiler makes for a read and a write in a cycle;
the third is of the cells' own node."""


def read_memories(text: str) -> dict[str, Counter[Memory]]:
    """Return the memories of each module itself, from what `write_json` wrote.

    A memory that is a module of its own (`hw.ram`) counts where there is an instance of that: one
    module has all memories of a size, wherever they are.

    Parameters
    ----------
    text
        The JSON text, of a netlist with memories as cells.

    Raises
    ------
    InputError
        The text is no such netlist.
    """
    try:
        cells = {name: one["cells"].values() for name, one in json.loads(text)["modules"].items()}
        own = {
            name: Counter(memory_of(cell) for cell in inside if cell["type"].startswith("$mem"))
            for name, inside in cells.items()
        }
        rams = {name for name in own if name.startswith(PREFIX)}
        found = {name: Counter() if name in rams else own[name].copy() for name in own}
        for name, inside in cells.items():
            for cell in inside:
                if cell["type"] in rams:
                    found[name].update(own[cell["type"]])
        return found
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"netlist must be what `write_json` writes: {error!r}") from error


def kind_of(module: str) -> str:
    """Return a module's path without the numbers that tell it from others of its kind."""
    return _NUMBERS.sub("", module)


def grouped(
    memories: Mapping[str, Counter[Memory]],
    instances: Mapping[str, int],
    areas: Mapping[Memory, float] | None,
) -> tuple[MemoryGroup, ...]:
    """Return all memories of a netlist, those of one kind together, by their places.

    Parameters
    ----------
    memories
        Memories of each module itself.
    instances
        How many there are of each module; those that are not named have none.
    areas
        Cell area of each memory that is no macro; None without a liberty.
    """
    counts: Counter[tuple[str, Memory]] = Counter()
    for module, own in memories.items():
        for memory, count in own.items():
            counts[kind_of(module), memory] += count * instances.get(module, 0)
    return tuple(
        MemoryGroup(
            place=place,
            memory=memory,
            count=count,
            area=None if areas is None or memory.is_macro else areas[memory],
        )
        for (place, memory), count in sorted(
            counts.items(), key=lambda one: (one[0][0], one[0][1].depth, one[0][1].width)
        )
        if count
    )


def memory_of(cell: Mapping[str, Mapping[str, str]]) -> Memory:
    """Return what a memory is, from its cell as `write_json` writes it."""
    parameters = cell["parameters"]
    depth, width, reads, writes = (
        int(parameters[name], 2) for name in ("SIZE", "WIDTH", "RD_PORTS", "WR_PORTS")
    )
    clocked = parameters["RD_CLK_ENABLE"][-reads:] if reads else ""
    return Memory(
        depth=depth,
        width=width,
        reads=reads,
        writes=writes,
        combinational="0" in clocked,
        enables=len(set(cell["connections"]["WR_EN"])) // writes if writes else 0,
        contents="" if writes else parameters["INIT"],
    )


def memory_verilog(memory: Memory, name: str) -> str:
    """Return a module that is a memory and nothing else, all ports its own.

    Parameters
    ----------
    memory
        The memory.
    name
        Name of the module.
    """
    address = max(memory.depth - 1, 1).bit_length()
    lines = [f"reg [{memory.width - 1}:0] rows [0:{memory.depth - 1}];"]
    ports = ["input clk"]
    for port in range(memory.writes):
        ports += [
            f"input [{address - 1}:0] write_row{port}",
            f"input [{memory.width - 1}:0] write_data{port}",
            f"input [{memory.enables - 1}:0] enable{port}",
        ]
        lines.append("always @(posedge clk) begin")
        for part in range(memory.enables):
            low, high = (memory.width * one // memory.enables for one in (part, part + 1))
            bits = f"[{high - 1}:{low}]"
            lines.append(
                f"if (enable{port}[{part}]) rows[write_row{port}]{bits} <= write_data{port}{bits};"
            )
        lines.append("end")
    for port in range(memory.reads):
        ports.append(f"input [{address - 1}:0] read_row{port}")
        row = f"rows[read_row{port}]"
        if memory.combinational:
            ports.append(f"output [{memory.width - 1}:0] read_data{port}")
            lines.append(f"assign read_data{port} = {row};")
        else:
            ports += [f"input read{port}", f"output reg [{memory.width - 1}:0] read_data{port}"]
            lines.append(f"always @(posedge clk) if (read{port}) read_data{port} <= {row};")
    if memory.contents:
        lines.append("initial begin")
        for row in range(memory.depth):
            end = len(memory.contents) - row * memory.width
            bits = memory.contents[end - memory.width : end]
            lines.append(f"rows[{row}] = {memory.width}'b{bits};")
        lines.append("end")
    return "\n".join([f"module {name}({', '.join(ports)});", *lines, "endmodule\n"])
