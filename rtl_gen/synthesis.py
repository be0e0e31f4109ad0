"""Synthesise Verilog: cells, flip-flops, multipliers, memory bits, cell area, ECP5 resources.

The hierarchy is kept, so that figures of modules add up exactly to those of what contains them.
Memories stay out of gates, flip-flops and cell area. What those take that would not be SRAM macros
(`gscn.rtl_gen.memories`) is measured apart: each kind of memory is mapped to cells once, all its
ports used. Multipliers become modules of their own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gscn.errors import InputError
from gscn.hw.ram import PREFIX
from gscn.rtl_gen.cells import CellLibrary, read_cells
from gscn.rtl_gen.clock_gates import gate_commands, unsaid_area
from gscn.rtl_gen.liberty import check_liberty, map_commands, write_constraints
from gscn.rtl_gen.memories import Memory, MemoryGroup, Sram, grouped, read_memories
from gscn.rtl_gen.memory_cells import memory_areas
from gscn.rtl_gen.yosys import Statistics, parse_statistics, run_yosys
from gscn.system.cache import temporary_folder

_FLIP_FLOP = re.compile(r"\$_(S|A|AL|ALD|SR)?DFF(SR)?C?E?_\w*_|\$_D?FF_\w*_?")
_DELAY = re.compile(r"^ABC: .*\bDelay = *([\d.]+) ps", re.MULTILINE)

WORD_LEVEL = ("proc", "opt", "wreduce", "peepopt", "opt_clean")
FLAT_WORD_LEVEL = ("proc", "flatten", *WORD_LEVEL, "memory -nomap", "opt")
"""Commands that make one module of words of a hierarchy; memories stay cells."""
GATE_LEVEL = (
    "alumacc",
    "share",
    "opt",
    "opt -fast -full",
    "opt -undriven -fine",
    "techmap",
    "opt -fast",
    "abc",
    "opt_clean",
)
"""Commands that make generic gates of words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """Resources of one module with all that it contains; None where the flow was not run."""

    gates: int
    """Generic one- and two-input gates and multiplexers of two inputs, the multipliers' included.

    Flip-flops not included."""
    flip_flops: int
    multipliers: int
    """Products; those with a power of two are shifts and not counted."""
    memory_bits: int
    multiplier_gates: int
    """The multipliers' part of `gates`."""
    area: float | None = None
    """Square micrometres of standard cells; memories not included."""
    sequential_area: float | None = None
    """The flip-flops' part of `area`."""
    multiplier_area: float | None = None
    """The multipliers' part of `area`."""
    luts: int | None = None
    """ECP5 four-input LUTs, carry chains included; LUTs used as memory not included."""
    ecp5_flip_flops: int | None = None
    ecp5_multipliers: int | None = None
    """MULT18X18D."""
    block_rams: int | None = None
    """DP16KD: 18 Kbit each."""
    distributed_rams: int | None = None
    """TRELLIS_DPR16X4: 16 words of 4 bits each."""
    macros: int | None = None
    """Memories that would be SRAM macros."""
    macro_bits: int | None = None
    """Their part of `memory_bits`."""
    memory_area: float | None = None
    """Square micrometres of cells of all other memories; no part of `area`."""

    def area_with_memories(self, sram: Sram) -> float | None:
        """Return the square micrometres of cells and all memories; None if not measured."""
        if self.area is None or self.memory_area is None:
            return None
        assert self.macros is not None
        assert self.macro_bits is not None
        return self.area + self.memory_area + sram.area(self.macros, self.macro_bits)


@dataclass(frozen=True, kw_only=True, slots=True)
class Netlist:
    """Counts of every module of a hierarchy."""

    top: str
    modules: dict[str, Counts]
    memories: tuple[MemoryGroup, ...] = ()
    """All of the top module."""


def _is_multiplier(module: str) -> bool:
    return module.endswith("_multiplier")


def _of_multipliers(
    statistics: Statistics, module: str, figure: Callable[[str], float | int]
) -> float | int:
    """Sum a figure of a module over the multiplier modules at or below `module`."""
    if module.endswith("_multiplier"):
        return figure(module)
    return sum(
        count * _of_multipliers(statistics, kind, figure)
        for kind, count in statistics.modules[module].cells.items()
        if kind in statistics.modules
    )


def synthesize(
    verilog: str, top: str, *, liberty: Path | None = None, ecp5: bool = False
) -> Netlist:
    """Synthesise all modules below a top module, the hierarchy kept.

    Parameters
    ----------
    verilog
        Verilog text.
    top
        Name of the top module.
    liberty
        Standard cells to map to; by default only generic gates are counted.
    ecp5
        Map to ECP5 resources too.

    Returns
    -------
    Netlist
        Counts of every module, what it contains included.

    Raises
    ------
    InputError
        A tool or the liberty is missing, or the Verilog is not synthesisable.
    """
    library = None
    if liberty is not None:
        liberty = check_liberty(liberty)
        library = read_cells(liberty)
    with temporary_folder("gscn-synth-") as directory:
        (directory / "design.v").write_text(verilog, encoding="utf-8")
        commands = [
            "read_verilog design.v",
            f"hierarchy -check -top {top}",
            *WORD_LEVEL,
            "tee -q -o memories.json stat -json",
            "memory -nomap",
            "opt",
            "tee -q -o words.json stat -json",
            f"select t:$mem* t:{PREFIX}*",
            "write_json -selected memory_cells.netlist",
            "select -clear",
            # Every multiplier in a module of its own, so that its gates can be told apart; whole
            # wires become its ports, hence single bits first.
            "splitnets",
            'setattr -set submod "multiplier" t:$mul',
            "submod",
            *GATE_LEVEL,
            "tee -q -o gates.json stat -json",
        ]
        if liberty is not None:
            write_constraints(liberty, directory)
            commands += [*gate_commands(library, directory), *map_commands(liberty)]
        if ecp5:
            commands += [
                "design -reset",
                "read_verilog design.v",
                f"synth_ecp5 -noflatten -top {top}",
                "tee -q -o ecp5.json stat -json",
            ]
        run_yosys(commands, directory)
        reports = {
            path.stem: parse_statistics(path.read_text(encoding="utf-8"))
            for path in directory.glob("*.json")
        }
        found = read_memories((directory / "memory_cells.netlist").read_text(encoding="utf-8"))
    words = reports["words"]
    areas = None if liberty is None else memory_areas(set().union(*found.values()), liberty)
    return Netlist(
        top=top,
        modules={
            module: _counts(reports, module, _memories_below(words, found, module), areas, library)
            for module in words.modules
        },
        memories=grouped(found, words.instances(top), areas),
    )


def _memories_below(
    statistics: Statistics, memories: Mapping[str, Counter[Memory]], module: str
) -> Counter[Memory]:
    """Return the memories at or below a module, of all instances."""
    found: Counter[Memory] = Counter()
    for inner, count in statistics.instances(module).items():
        for memory, own in memories.get(inner, Counter()).items():
            found[memory] += count * own
    return found


def _counts(
    reports: dict[str, Statistics],
    module: str,
    memories: Counter[Memory],
    areas: Mapping[Memory, float] | None,
    library: CellLibrary | None,
) -> Counts:
    gates = reports["gates"].total_cells(module)
    flip_flops = sum(count for kind, count in gates.items() if _FLIP_FLOP.fullmatch(kind))
    memory_cells = sum(count for kind, count in gates.items() if kind.startswith("$mem"))
    macros = {memory: count for memory, count in memories.items() if memory.is_macro}
    optional: dict[str, float | int | None] = {
        "macros": sum(macros.values()),
        "macro_bits": sum(count * memory.bits for memory, count in macros.items()),
    }
    if areas is not None:
        optional["memory_area"] = float(
            sum(count * areas[memory] for memory, count in memories.items() if memory not in macros)
        )
    if library is not None:
        own = reports["cells"].modules[module]
        unsaid = unsaid_area(reports["cells"], module, library)
        optional |= {
            "area": (own.area or 0.0) + unsaid,
            "sequential_area": (own.sequential_area or 0.0) + unsaid,
            "multiplier_area": float(
                _of_multipliers(
                    reports["cells"], module, lambda name: reports["cells"].modules[name].area or 0
                )
            ),
        }
    # A module that the ECP5 flow found empty (all its logic constant) is not in its report.
    if "ecp5" in reports and module in reports["ecp5"].modules:
        cells = reports["ecp5"].total_cells(module)
        optional |= {
            "luts": cells.get("LUT4", 0) + 2 * cells.get("CCU2C", 0),
            "ecp5_flip_flops": cells.get("TRELLIS_FF", 0),
            "ecp5_multipliers": cells.get("MULT18X18D", 0),
            "block_rams": cells.get("DP16KD", 0),
            "distributed_rams": cells.get("TRELLIS_DPR16X4", 0),
        }
    return Counts(
        gates=sum(gates.values()) - flip_flops - memory_cells,
        flip_flops=flip_flops,
        multipliers=reports["words"].total_cells(module).get("$mul", 0),
        memory_bits=reports["memories"].total_memory_bits(module),
        multiplier_gates=_of_multipliers(
            reports["gates"],
            module,
            lambda name: sum(reports["gates"].total_cells(name).values()),
        ),
        **optional,
    )


def parse_delay(log: str) -> float:
    """Return the longest delay, nanoseconds, that the mapper reported in a log.

    Raises
    ------
    InputError
        The log reports no delay.
    """
    delays = [float(text) for text in _DELAY.findall(log)]
    if not delays:
        raise InputError("log must be one of `abc -liberty` with constraints: no delay in it")
    return max(delays) / 1000


def cell_delay(verilog: str, top: str, liberty: Path) -> float:
    """Return the longest delay between registers, nanoseconds, of a flattened module.

    Without wires; without the memories' access times, the flip-flops' own delay and their set-up
    time: paths begin and end at memories, flip-flops and ports.

    Parameters
    ----------
    verilog
        Verilog text.
    top
        Name of the top module.
    liberty
        Standard cells.

    Raises
    ------
    InputError
        A tool or the liberty is missing, or the module has no logic.
    """
    liberty = check_liberty(liberty)
    with temporary_folder("gscn-synth-") as directory:
        (directory / "design.v").write_text(verilog, encoding="utf-8")
        write_constraints(liberty, directory)
        log = run_yosys(
            [
                "read_verilog design.v",
                f"hierarchy -check -top {top}",
                *FLAT_WORD_LEVEL,
                *GATE_LEVEL,
                *map_commands(liberty),
            ],
            directory,
        )
    return parse_delay(log)
