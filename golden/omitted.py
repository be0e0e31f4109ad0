"""What a list of layers leaves out of a network, named. Without torch."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Omitted:
    """Products of a network that are in none of the layers listed."""

    name: str
    """Of the module that computes them."""
    kind: str
    """What they are, in words."""
    macs: int | None
    """Multiply-accumulates of a forward pass; None if there is no formula."""
    share: float | None
    """Of all counted multiply-accumulates of the network's forward pass."""

    @classmethod
    def of(cls, fields: object) -> Omitted:
        """Return what JSON describes.

        Raises
        ------
        ValueError
            Naming what is none.
        """
        if not isinstance(fields, dict) or fields.keys() != {"name", "kind", "macs", "share"}:
            raise ValueError(f"must have name, kind, macs and share, not {fields!r:.100}")
        name, kind, macs, share = (fields[key] for key in ("name", "kind", "macs", "share"))
        if not (isinstance(name, str) and isinstance(kind, str)):
            raise ValueError(f"name and kind must be text, not {name!r} and {kind!r}")
        if macs is not None and (type(macs) is not int or macs < 0):
            raise ValueError(f"macs must be a whole number of at least 0, not {macs!r}")
        if share is not None and not (type(share) in (int, float) and 0 <= share <= 1):
            raise ValueError(f"share must be from 0 to 1, not {share!r}")
        return cls(name=name, kind=kind, macs=macs, share=share)

    def __str__(self) -> str:
        share = "unknown share" if self.share is None else f"{100 * self.share:.2f} %"
        return f"{self.name} ({self.kind}): {share}"


def covered_share(omitted: Iterable[Omitted]) -> float:
    """Return the share of the counted multiply-accumulates that is not omitted."""
    return max(0.0, 1 - math.fsum(one.share or 0.0 for one in omitted))
