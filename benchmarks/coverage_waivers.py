"""What of the generated Verilog the default tests need not cover, and why."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import NamedTuple

from gscn.cosim.coverage import Point


class Waiver(NamedTuple):
    """Points that need not be covered."""

    component: str
    """Pattern of components' paths, as of a shell."""
    kind: str
    """`line` or `toggle`."""
    place: str
    """Pattern: of a line, its text; of a bit, signal[bit]:0->1."""
    why: str

    def matches(self, point: Point) -> bool:
        """Return whether a point is one of these."""
        text = point.place if self.kind == "toggle" else point.source
        return (
            self.kind == point.kind
            and fnmatchcase(point.component, self.component)
            and fnmatchcase(text.replace("[", "("), self.place.replace("[", "("))
        )


WAIVERS: tuple[Waiver, ...] = ()
