"""What of the generated Verilog the default tests need not cover, and why."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import NamedTuple

from gscn.cosim.coverage import LINE, TOGGLE, Point

ALL = ((0, 1 << 16),)
"""All bits of a signal."""
_BIT = re.compile(r"\[(\d+)\]:[01]->[01]$")


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

    def matches(self, point: Point) -> bool:
        """Return whether a point is one of these."""
        if self.kind != point.kind or not fnmatchcase(point.component, self.component):
            return False
        if self.kind == LINE:
            return fnmatchcase(point.source, self.place)
        found = _BIT.search(point.place)
        bit = int(found[1]) if found else 0
        plain = re.sub(r"(?<=\w)(?:\$\d+)+$", "", point.source)
        inside = any(first <= bit <= last for first, last in self.bits)
        return inside and fnmatchcase(plain, self.place)


_HIGH = "Addresses have 32 bits; a descriptor with more is refused: no pass that runs has any."
_ALIGNED = "Operands, results and lists lie at multiples of 64 bytes; others are refused."
_LIMITED = (
    "Modes, formats, shifts, windows, teams and chains beyond those that there are are refused."
)
_COUNT = "Lists of these tests take fewer than 2^17 cycles; counters of 48 bits count no further."
_NO_BIT = "The register has no such bit."
_BEATS = "Bursts lie at multiples of a beat of 16 bytes, and have two beats at most: constants."
_SELF = "Constant in this configuration: assigned nothing but itself, or zero."

_WORDS = tuple((first, first + 31) for first in range(32, 384, 64))
_LOW = tuple((first, first + 5) for first in range(0, 320, 64))
_CHOICES = ((593, 599), (603, 607), (610, 615), (622, 623), (634, 639), (642, 647), (649, 655))
_COUNTED = ((15, 47),)
_COMMAND = ((0, 3), (34, 39))

WAIVERS: tuple[Waiver, ...] = (
    *(
        Waiver(TOGGLE, component, "d", bits, why)
        for component in ("gscn_cluster*", "top", "top.c*", "top.sequencer")
        for bits, why in ((_WORDS, _HIGH), (_LOW, _ALIGNED), (_CHOICES, _LIMITED))
    ),
    Waiver(TOGGLE, "top.sequencer*", "list_range", ((32, 63), (96, 127)), _HIGH),
    Waiver(TOGGLE, "top.sequencer*", "list_range", ((0, 5), (64, 69)), _ALIGNED),
    Waiver(TOGGLE, "top*", "counter_value", _COUNTED, _COUNT),
    Waiver(TOGGLE, "gscn_cluster", "counter_value", _COUNTED, _COUNT),
    Waiver(TOGGLE, "gscn_cluster.tally", "value", _COUNTED, _COUNT),
    Waiver(TOGGLE, "top*", "counter_data", _COUNTED, _COUNT),
    Waiver(TOGGLE, "top", "cycles", _COUNTED, _COUNT),
    Waiver(TOGGLE, "top.control*", "driven__COUNTER_HI", ((0, 15),), _COUNT),
    Waiver(TOGGLE, "top.control*", "driven__COUNTER_HI", ((16, 31),), _NO_BIT),
    Waiver(TOGGLE, "top.control*", "driven__BUS_ERROR_ADDR_HI", ALL, _HIGH),
    *(
        Waiver(TOGGLE, "top.control*", name, ((first, 31),), _NO_BIT)
        for name, first in (
            ("written__CONTROL", 3),
            ("written__INTERRUPT_STATUS", 2),
            ("written__INTERRUPT_TEST", 2),
            ("stored__INTERRUPT_ENABLE", 2),
            ("stored__COUNTER_SELECT", 16),
            ("driven__INTERRUPT_STATUS", 2),
            ("driven__STATUS", 12),
            ("driven__ERROR", 5),
        )
    ),
    Waiver(TOGGLE, "*", "c*s__?__payload", _COMMAND, _BEATS),
    Waiver(TOGGLE, "*", "command__payload", _COMMAND, _BEATS),
    Waiver(TOGGLE, "*", "write_command__payload", _COMMAND, _BEATS),
    Waiver(TOGGLE, "top", "*_cmd__payload", _COMMAND, _BEATS),
    Waiver(TOGGLE, "top.manager.write_queue*", "*", _COMMAND, _BEATS),
    Waiver(TOGGLE, "gscn_worker.walker.product", "partial", ALL, _SELF),
    Waiver(TOGGLE, "gscn_worker.lookup", "found", ((19, 39),), _SELF),
)
