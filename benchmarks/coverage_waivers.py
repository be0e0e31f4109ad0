"""What of the generated Verilog the default tests need not cover, and why."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.coverage_bits import ADDRESSES, possible_bits
from gscn.array import array
from gscn.cosim.coverage import LINE, TOGGLE, Point
from gscn.formats import FLOAT_OPERAND_FORMATS
from gscn.hw.array_layouts import PASS, job_layout, tile_layout
from gscn.hw.core.list_sequencer import list_layout
from gscn.passes import VECTOR
from gscn.port import ALIGNMENT_BYTES
from gscn.records import OUT_WIDTHS
from gscn.register import REGISTER_WIDTH, Access, Top
from gscn.registers import CONSTANT, registers_of

if TYPE_CHECKING:
    from amaranth.lib import data

ALL = ((0, 1 << 16),)
"""All bits of a signal."""
_BIT = re.compile(r"\[(\d+)\]:[01]->[01]$")


def bit_of(point: Point) -> int:
    """Return the bit of a signal that a point is of."""
    found = _BIT.search(point.place)
    return int(found[1]) if found else 0


class Waiver(NamedTuple):
    """Points that need not be covered."""

    kind: str
    """`line` or `toggle`."""
    component: str
    """Pattern of components' paths, as of a shell."""
    place: str
    """Pattern of a line's text, or of a signal; numbers behind a `$` that end its name are no
    part of it."""
    bits: tuple[tuple[int, int], ...]
    """First and last bits of the signal."""
    why: str
    width: int | None = None
    """Bits of the signal, which tells what it carries where names do not; by default any."""

    def concerns(self, point: Point, width: int | None = None) -> bool:
        """Return whether it is of a point's line, or its signal, of which `width` is the bits."""
        if self.kind != point.kind or self.width not in (None, width):
            return False
        if not fnmatchcase(point.component, self.component):
            return False
        if self.kind == LINE:
            return fnmatchcase(point.source, self.place)
        return fnmatchcase(re.sub(r"(?<=\w)(?:\$\d+)+$", "", point.source), self.place)

    def matches(self, point: Point, width: int | None = None) -> bool:
        """Return whether a point is one of these."""
        bit = bit_of(point)
        inside = any(first <= bit <= last for first, last in self.bits)
        return (inside or self.kind == LINE) and self.concerns(point, width)


HIGH = "Addresses have 32 bits; a descriptor with more is refused: no pass that runs has any."
ALIGNED = "Operands and lists lie at multiples of 64 bytes, results of 32; others are refused."
LIMITED = "The checks refuse it in every pass (`benchmarks.coverage_bits`, and its tests)."
_TILE = "A tile has at most as many vectors of results as an accumulator of a PE has room for."
_COUNT = (
    "Lists of these tests take fewer than 2^19 PE-cycles; counters of 48 bits count no further."
)
_NO_BIT = "The register has no such bit."
_NO_RECORDS = "Arrays have neither records to begin at nor two queues: zero."
_ONE_PORT = "There is one memory port, of number 0."
_BEATS = "Bursts lie at multiples of a beat of 16 bytes, and have two beats at most: constants."
_SELF = "Constant in this configuration: assigned nothing but itself, or zero."

FLOATS = replace(array("tiny"), float_formats=",".join(FLOAT_OPERAND_FORMATS))
"""With all that one of the designs has, so that nothing is waived that it could have."""
Bits = tuple[tuple[int, int], ...]
"""First and last bits."""


def bits_of(mask: int) -> Bits:
    """Return first and last bits of every run of ones in a number."""
    found = []
    for bit in range(mask.bit_length()):
        if not mask >> bit & 1:
            continue
        first = found.pop()[0] if found and found[-1][1] == bit - 1 else bit
        found.append((first, bit))
    return tuple(found)


def placed(layout: data.StructLayout, masks: Mapping[str, int]) -> Bits:
    """Return bits of fields as bits of all of a layout."""
    return bits_of(mask_of(layout, masks))


def mask_of(layout: data.StructLayout, masks: Mapping[str, int]) -> int:
    """Return bits of fields as a number of all of a layout."""
    found = 0
    for name, mask in masks.items():
        field = layout[name]
        found |= (mask & (1 << field.width) - 1) << field.offset
    return found


def _impossible_bits() -> Iterator[tuple[Bits, str]]:
    """Yield bits of a descriptor that no pass has that runs, and why."""
    possible = possible_bits(FLOATS)
    addresses, low = [*ADDRESSES, "out_end"], ALIGNMENT_BYTES - 1
    aligned = [*addresses, "s_tile_bytes"]
    yield placed(PASS, {name: ~possible[name] & ~low for name in addresses}), HIGH
    yield placed(PASS, {name: ~possible[name] & low for name in aligned}), ALIGNED
    others = {name: ~mask for name, mask in possible.items() if name not in aligned}
    yield placed(PASS, others), LIMITED


def _no_bits() -> Iterator[tuple[str, Bits]]:
    """Yield ports of the file of registers, and bits that belong to no field."""
    for one in registers_of(Top.ARRAY):
        ports = {
            Access.READ: ("driven",),
            Access.WRITE: ("written",),
            Access.READ_WRITE: ("stored",),
            Access.CLEAR: ("driven", "written"),
        }[one.access]
        bits = bits_of(~one.mask & (1 << REGISTER_WIDTH) - 1)
        if bits and one.name not in CONSTANT:
            yield from ((f"{port}__{one.name}", bits) for port in ports)


def _tile_bits() -> Iterator[tuple[Bits, str]]:
    """Yield bits that no tile of results has, and why."""
    layout, runs = tile_layout(FLOATS), FLOATS.acc_depth // VECTOR
    counts = dict.fromkeys(("samples", "rows", "cols"), -(1 << runs.bit_length()))
    yield placed(layout, {"out_addr": _RUN_BYTES - 1}), ALIGNED
    yield placed(layout, counts), _TILE


_JOB, _LIST = job_layout(FLOATS), list_layout(FLOATS)
_RUN_BYTES = VECTOR * min(OUT_WIDTHS.values()) // 8
"""Least bytes of a run of results."""
_COUNTED = ((19, 47),)
_COMMAND = ((0, 3), (34, 39))

WAIVERS: tuple[Waiver, ...] = (
    *(
        Waiver(TOGGLE, component, "d", bits, why)
        for component in ("gscn_cluster*", "top", "top.c*", "top.sequencer")
        for bits, why in _impossible_bits()
    ),
    *(
        Waiver(TOGGLE, component, place, placed(_JOB, {"out_addr": _RUN_BYTES - 1}), ALIGNED)
        for component, place in (
            ("*", "job*"),
            ("top.cutter*", "cut"),
            ("gscn_cluster.input.stream_jobs*", "*"),
        )
    ),
    *(
        Waiver(TOGGLE, component, place, bits, why)
        for component, place in (
            ("gscn_cluster*", "tile*"),
            ("gscn_cluster.drain*", "i__payload"),
            ("gscn_cluster.drain.tiles_queue*", "*"),
        )
        for bits, why in _tile_bits()
    ),
    *(
        Waiver(TOGGLE, "top*", "start_list__payload", placed(_LIST, masks), why)
        for masks, why in (
            ({"addr": ALIGNMENT_BYTES - 1}, ALIGNED),
            ({"first": -1, "two_queues": -1}, _NO_RECORDS),
        )
    ),
    Waiver(TOGGLE, "top.sequencer*", "list_range", ((32, 63), (96, 127)), HIGH),
    Waiver(TOGGLE, "top.sequencer*", "list_range", ((0, 5), (64, 69)), ALIGNED),
    Waiver(TOGGLE, "top*", "counter_value", _COUNTED, _COUNT),
    Waiver(TOGGLE, "gscn_cluster", "counter_value", _COUNTED, _COUNT),
    Waiver(TOGGLE, "gscn_cluster.tally", "value", _COUNTED, _COUNT),
    Waiver(TOGGLE, "top*", "counter_data", _COUNTED, _COUNT),
    Waiver(TOGGLE, "top", "cycles", _COUNTED, _COUNT),
    Waiver(TOGGLE, "top.control*", "driven__COUNTER_LO", ((19, 31),), _COUNT),
    Waiver(TOGGLE, "top.control*", "driven__COUNTER_HI", ((0, 15),), _COUNT),
    Waiver(TOGGLE, "top.control*", "driven__COUNTER_HI", ((16, 31),), _NO_BIT),
    Waiver(TOGGLE, "top*", "driven__BUS_ERROR", ((8, 15),), _ONE_PORT),
    Waiver(TOGGLE, "top.control*", "driven__BUS_ERROR_ADDR_HI", ALL, HIGH),
    *(Waiver(TOGGLE, "top.control*", name, bits, _NO_BIT) for name, bits in _no_bits()),
    Waiver(TOGGLE, "*", "c*s__?__payload", _COMMAND, _BEATS),
    Waiver(TOGGLE, "*", "command__payload", _COMMAND, _BEATS),
    Waiver(TOGGLE, "*", "write_command__payload", _COMMAND, _BEATS),
    Waiver(TOGGLE, "top", "*_cmd__payload", _COMMAND, _BEATS),
    Waiver(TOGGLE, "top.manager.write_queue*", "*", _COMMAND, _BEATS),
    Waiver(TOGGLE, "gscn_worker.walker.product", "partial", ALL, _SELF),
    Waiver(TOGGLE, "gscn_worker.lookup", "found", ((19, 39),), _SELF),
)
