"""What is proved of one component: its sizes, its checker, and the depth of the proof."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from amaranth.lib.wiring import Component

from formal.checker import Checker
from gscn.array import ARRAYS, ArrayConfig

WIDE = {"mem_width": 512, "burst_beats": 4, "read_fifo_beats": 8}
"""The memory port of the larger presets; a burst is longer than `ALIGNMENT_BYTES`."""
WIDEST = {"mem_width": 512, "burst_beats": 16, "read_fifo_beats": 32}
NARROWEST = {"mem_width": 64, "burst_beats": 16, "read_fifo_beats": 32}
PORT = "64 to 512 bits x 1 to 16 beats"
"""Legal memory ports."""


def config(**fields: int | str) -> ArrayConfig:
    """Return an array whose addresses, queues and memories are small."""
    small = {"clusters": 3, "drain_width": 1, "addr_width": 20, "outstanding_bursts": 4}
    return dataclasses.replace(ARRAYS["tiny"], **{**small, **fields})


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """A component of certain sizes, with its checker."""

    component: type[Component]
    sizes: str
    """The parameters, in words."""
    parameters: dict[str, object]
    """Of the component."""
    checker: type[Checker]
    options: dict[str, object] = dataclasses.field(default_factory=dict)
    """Of the checker, besides the claim."""
    depth: int
    """Length k of the induction in cycles; also of the base case, from reset on."""
    reach_depth: int
    """Cycles within which the checker's surroundings can bring about what it wants to reach."""
    together: bool = False
    """Prove all claims in one run: of sizes after the first, whose claims fail one by one there."""

    @property
    def name(self) -> str:
        """Component and sizes."""
        return f"{self.component.__name__} ({self.sizes})"

    def build(self, *claims: str, with_invariants: bool = True) -> Checker:
        """Return a checker for some claims."""
        dut = self.component(**self.parameters)
        return self.checker(dut, claims=claims, with_invariants=with_invariants, **self.options)

    @property
    def runs(self) -> tuple[tuple[str, ...], ...]:
        """The claims of each run of the prover; of the last one none: it shows reachability."""
        claims, bounded = self.checker.CLAIMS, self.checker.BOUNDED
        if not self.together:
            return (*((claim,) for claim in claims), ())
        induced = tuple(claim for claim in claims if claim not in bounded)
        return (induced, *((claim,) for claim in bounded), ())


def bursts(size: ArrayConfig) -> str:
    """Return the sizes of a memory port, in words."""
    return f"{size.mem_width} bits x {size.burst_beats} beats"


def of_presets(sizes: Callable[..., str], legal: str) -> str:
    """Return the sizes of the presets, each once, and the legal range."""
    found = dict.fromkeys(sizes(one) for one in ARRAYS.values())
    return f"presets: {'; '.join(found)}. Legal: {legal}"
