"""Models of other accelerators with our multipliers, clock and memory.

Each is driven by the operands themselves and is checked against what its publication or a public
simulator says (docs/rivals.md). Where a publication leaves something open, the rival gets the
choice that favours it.
"""

from collections.abc import Mapping
from types import MappingProxyType

from perf.rivals.dense import Dense
from perf.rivals.ideal import Ideal
from perf.rivals.model import Resources, Rival, RivalCost

RIVALS: Mapping[str, Rival] = MappingProxyType({rival.name: rival for rival in (Dense(), Ideal())})
"""The models by name."""

__all__ = ["RIVALS", "Resources", "Rival", "RivalCost"]
