"""What of the generated Verilog the default tests need not cover, and why."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import NamedTuple

from gscn.cosim.coverage import LINE, TOGGLE, Point

ALL = (0, 1 << 16)
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
    bits: tuple[int, int]
    """First and last bit of the signal."""
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
        return fnmatchcase(plain, self.place) and self.bits[0] <= bit <= self.bits[1]


def _bits(component: str, places: str, bits: tuple[int, int], why: str) -> tuple[Waiver, ...]:
    """Return waivers of bits of several signals for one reason."""
    return tuple(Waiver(TOGGLE, component, place, bits, why) for place in places.split())


WAIVERS: tuple[Waiver, ...] = ()
