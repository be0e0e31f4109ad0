"""A case with what was computed for it, and what bounds its cycles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gscn.array import ArrayConfig
from gscn.conv import Pass
from gscn.perf.report.data.cases import Case, Row
from gscn.perf.report.data.rows import GROUPS, PassRow, config_of, pass_rows, speedup

BOUNDS = ("multipliers", "read port", "write port")
"""What can bound a pass."""
PASS_NAMES = {
    Pass.FORWARD: "forward",
    Pass.INPUT_GRAD: "input gradient",
    Pass.WEIGHT_GRAD: "weight gradient",
}
"""The passes in words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimated:
    """A case and what was computed for it."""

    case: Case
    row: Row
    passes: tuple[PassRow, ...]
    config: ArrayConfig

    @classmethod
    def of(cls, case: Case, row: Row) -> Estimated:
        """Read the row of a case."""
        return cls(case=case, row=row, passes=pass_rows(row), config=config_of(row))

    def speedup(self, group: str, *, over: str = "dense") -> float | None:
        """Return cycles of another accelerator over ours; `group` is one of `GROUPS`."""
        return speedup(self.passes, GROUPS[group], over=over)


def product_limit(passes: Sequence[PassRow], config: ArrayConfig, group: str) -> float:
    """Return the speed-up over dense if every multiplier took a useful product in every cycle."""
    chosen = [p for p in passes if p.which in GROUPS[group]]
    ideal = sum(p.useful_products for p in chosen) / config.multipliers
    return sum(p.dense_cycles for p in chosen) / ideal


def bound_shares(
    passes: Sequence[PassRow], config: ArrayConfig, group: str = "training"
) -> dict[str, float]:
    """Return the share of our cycles that is spent in passes bound by each resource."""
    chosen = [p for p in passes if p.which in GROUPS[group]]
    total = sum(p.cycles for p in chosen)
    shares = dict.fromkeys(BOUNDS, 0.0)
    for p in chosen:
        shares[p.bound(config)] += p.cycles / total
    return shares
