"""What memories take that are no SRAM macros: each kind mapped to cells."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from pathlib import Path

from gscn.rtl_gen.cells import read_cells
from gscn.rtl_gen.clock_gates import gate_commands, unsaid_area
from gscn.rtl_gen.liberty import check_liberty, map_commands, write_constraints
from gscn.rtl_gen.memories import Memory, memory_verilog
from gscn.rtl_gen.yosys import parse_statistics, run_yosys
from gscn.system.cache import temporary_folder

SLICE_BITS = 16
"""Rows wider than two slices are measured at one and at two: every further slice adds the same."""

_known: dict[tuple[Path, Memory], float] = {}
"""Areas of memories that were mapped: most designs have the same queues."""


def memory_areas(memories: Collection[Memory], liberty: Path) -> dict[Memory, float]:
    """Return the cell area, square micrometres, of each memory that is no SRAM macro.

    A memory is mapped as the logic beside it is: flip-flops with what gates their clock, the
    decoder of rows, and the choice among rows for each port that reads; of a constant one, what is
    left. Of a wide one a slice and two slices are mapped, and its area lies on the line through
    both: all slices have the same decoder, and nothing else in common.

    Parameters
    ----------
    memories
        Kinds of memories; macros are passed over.
    liberty
        Standard cells.

    Raises
    ------
    InputError
        A tool or the liberty is missing.
    """
    liberty = check_liberty(liberty)
    in_cells = [memory for memory in memories if not memory.is_macro]
    wanted = dict.fromkeys(part for memory in in_cells for part in _measured(memory))
    new = [memory for memory in wanted if (liberty, memory) not in _known]
    if new:
        for memory, area in zip(new, _map(new, liberty), strict=True):
            _known[liberty, memory] = area
    return {
        memory: _on_line(memory, [_known[liberty, part] for part in _measured(memory)])
        for memory in in_cells
    }


def _slice_bits(memory: Memory) -> int:
    """Return the bits of a slice of a row: a part that is written by itself, if there are such."""
    return memory.width // memory.enables if memory.enables > 1 else SLICE_BITS


def _measured(memory: Memory) -> tuple[Memory, ...]:
    """Return what is mapped for a memory: itself, or a slice and two slices of it."""
    bits = _slice_bits(memory)
    if memory.contents or memory.width <= 2 * bits:
        return (memory,)
    return tuple(
        dataclasses.replace(
            memory, width=slices * bits, enables=slices if memory.enables > 1 else memory.enables
        )
        for slices in (1, 2)
    )


def _on_line(memory: Memory, areas: list[float]) -> float:
    """Return the area of a memory from those of what was mapped for it."""
    if len(areas) == 1:
        return areas[0]
    one, two = areas
    return one + (two - one) * (memory.width / _slice_bits(memory) - 1)


def _map(memories: list[Memory], liberty: Path) -> list[float]:
    """Return the cell areas of memories."""
    library = read_cells(liberty)
    text = "".join(memory_verilog(memory, f"memory{one}") for one, memory in enumerate(memories))
    with temporary_folder("gscn-synth-") as directory:
        (directory / "memories.v").write_text(text, encoding="utf-8")
        write_constraints(liberty, directory)
        run_yosys(
            [
                *("read_verilog memories.v", "proc", "memory", "opt", "techmap", "opt -fast"),
                *gate_commands(library, directory),
                *map_commands(liberty),
            ],
            directory,
        )
        mapped = parse_statistics((directory / "cells.json").read_text(encoding="utf-8"))
    names = [f"memory{one}" for one in range(len(memories))]
    return [
        (mapped.modules[name].area or 0.0) + unsaid_area(mapped, name, library) for name in names
    ]
