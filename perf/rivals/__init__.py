"""Models of other accelerators with our multipliers, clock and memory.

Each is driven by the operands themselves and is checked against what its publication or a public
simulator says (docs/results/rivals.md). Where a publication leaves something open, the rival gets
the choice that favours it.
"""

from collections.abc import Mapping
from types import MappingProxyType

from gscn.perf.rivals.dense import Dense
from gscn.perf.rivals.ideal import Ideal
from gscn.perf.rivals.model import Resources, Rival, RivalCost
from gscn.perf.rivals.outer_products import ANT, DNNSIM_SCNN, MATCHED, PLANE_PAIRS, SCNN_PLUS
from gscn.perf.rivals.sigma import STONNE_SIGMA, Sigma
from gscn.perf.rivals.tensordash import TensorDash

RIVALS: Mapping[str, Rival] = MappingProxyType(
    {rival.name: rival for rival in (Dense(), SCNN_PLUS, ANT, TensorDash(), Sigma(), Ideal())}
)
"""The models by name."""

VARIANTS: Mapping[str, Rival] = MappingProxyType(
    {rival.name: rival for rival in (*PLANE_PAIRS, MATCHED, DNNSIM_SCNN, STONNE_SIGMA)}
)
"""Other forms of some of them by name: those by which ANT's publication and public simulators are
met, and one that no publication has."""

__all__ = ["RIVALS", "VARIANTS", "Resources", "Rival", "RivalCost"]
