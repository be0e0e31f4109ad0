"""What memories take, as tables of an area report."""

from __future__ import annotations

from collections.abc import Sequence

from gscn.rtl_gen.memories import MOST_SMALL_BITS, NODE_NM, SRAMS, Memory, MemoryGroup
from gscn.rtl_gen.synthesis import Counts

LIKELY = SRAMS[1]
"""What components' areas with memories are of."""

INTRODUCTION = (
    f"""\
## With memories

Memories of more than {MOST_SMALL_BITS} bits, with one port to write and one that reads a cycle
later, are **macros** of SRAM. All others are **memories in cells**: each kind is mapped to cells
once, as logic is, with its flip-flops, their enables, the decoder of rows and the choice among rows
for every port that reads. Macros are counted at three densities of {NODE_NM} nm:

| macros | um2 each | um2 a bit | of |
|---|---:|---:|---|
"""
    + "".join(
        f"| {one.name} | {one.each:,.0f} | {one.per_bit:.2f} | {one.source} |\n" for one in SRAMS
    )
    + """
The first is a bound: nothing is around the bits, and they have one port. The second is what a
public compiler makes for a read and a write in a cycle, as memories here need; tables with one
density have this one. Areas of other nodes grow with the square of the node.

"""
)

SUMMARY_HEADER = (
    *("configuration", "cells (mm2)", "memories in cells", "bits", "mm2", "macros", "bits"),
    *(f"all, {one.name} (mm2)" for one in SRAMS),
)
INVENTORY_HEADER = (
    *("memory", "words x bits", "ports", "instances", "bits in all", "counted as"),
    "mm2 in all",
)


def summary_row(
    name: str, whole: Counts, memories: Sequence[MemoryGroup]
) -> tuple[object, ...] | None:
    """Return a row of `SUMMARY_HEADER`; None if memories were not measured.

    Parameters
    ----------
    name
        Its name.
    whole
        Counts of a module.
    memories
        All memories of it.
    """
    areas = [whole.area_with_memories(one) for one in SRAMS]
    if areas[0] is None:
        return None
    assert whole.area is not None
    assert whole.memory_area is not None
    assert whole.macro_bits is not None
    in_cells = [group for group in memories if not group.memory.is_macro]
    return (
        name,
        _mm2(whole.area),
        sum(group.count for group in in_cells),
        whole.memory_bits - whole.macro_bits,
        _mm2(whole.memory_area),
        whole.macros,
        whole.macro_bits,
        *(_mm2(area) for area in areas),
    )


def ports(memory: Memory) -> str:
    """Return the ports of a memory in words."""
    if not memory.writes:
        return "constant"
    when = "at once" if memory.combinational else "a cycle later"
    written = f"{memory.writes} write" if memory.writes > 1 else "write"
    parts = f" in {memory.enables} parts" if memory.enables > 1 else ""
    return f"{written}{parts}, {memory.reads} read {when}"


def group_area(group: MemoryGroup) -> float | None:
    """Return the square micrometres of all memories of a group; None if not measured."""
    if group.memory.is_macro:
        return LIKELY.area(group.count, group.count * group.memory.bits)
    return None if group.area is None else group.count * group.area


def inventory_rows(memories: Sequence[MemoryGroup]) -> Sequence[tuple[object, ...]]:
    """Return a row of `INVENTORY_HEADER` for each kind of memory, in the places where it is."""
    rows = []
    for group in memories:
        memory = group.memory
        rows.append(
            (
                group.place,
                f"{memory.depth} x {memory.width}",
                ports(memory),
                group.count,
                group.count * memory.bits,
                "macros" if memory.is_macro else "cells",
                _mm2(group_area(group)),
            )
        )
    return rows


def _mm2(area: float | None) -> str:
    return "-" if area is None else f"{area / 1e6:.3f}"
