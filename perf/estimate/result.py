"""What an estimate of a training step holds: cycles and bytes of every pass of every layer."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gscn.array import ArrayConfig
from gscn.conv import Pass
from gscn.enums import takes_text
from gscn.graph import Graph
from gscn.perf.dense_array import DenseCost
from gscn.perf.estimate.memory import Dram
from gscn.perf.estimate.pass_cost import Measurement
from gscn.perf.estimate.sampling import Sample
from gscn.perf.workload.layers import Layer, Network
from gscn.perf.workload.sparsification import Sparsification
from gscn.perf.workload.work import Work

BACKWARD = (Pass.INPUT_GRAD, Pass.WEIGHT_GRAD)
CLOCK_HZ = 1e9
"""At which cycles are told as seconds, unless another clock is given."""


class Mode(enum.StrEnum):
    """How cycles are found."""

    TRACE = "trace"
    """Every recorded pass as a whole on the cycle model."""
    STATISTICAL = "statistical"
    """Samples with operands drawn by fitted statistics on the cycle model, brought to the size of
    their layers by the closed form."""
    ANALYTIC = "analytic"
    """The closed form alone."""
    UNIFORM = "uniform"
    """Samples with uniformly random operands on the cycle model, whose utilisation is taken for
    that of their layers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkEstimate:
    """One convolution of a pass: what it is expected to cost."""

    work: Work
    useful_products: float
    """Of the whole convolution, as expected or, of a trace, counted."""
    array_cycles: float
    """Clock cycles on the accelerator, if memory behind the ports is no limit."""
    multipliers: int
    port_bytes: int
    """Bytes of the memory port in a cycle, each way."""
    read_bytes: float = 0.0
    write_bytes: float = 0.0
    dram_read_bytes: Mapping[int, float] = field(default_factory=dict)
    """That DRAM delivers, by the capacity of a buffer behind the ports."""
    operand_bytes: float = 0.0
    """Of the operands in memory, compressed."""
    dram: Dram | None = None
    """What is behind the ports; None: no limit."""
    sample: Sample | None = None
    """What was run on the cycle model for it, if anything was."""
    measurement: Measurement | None = None
    rivals: Mapping[str, float] = field(default_factory=dict)
    """Cycles of other accelerators, by name."""

    @property
    def dram_cycles(self) -> float:
        """Cycles in which DRAM delivers what is read and takes results; 0 if it is no limit."""
        if self.dram is None:
            return 0.0
        read = self.dram_read_bytes[self.dram.buffer_bytes]
        return self.dram.cycles(read + self.write_bytes)

    @property
    def cycles(self) -> float:
        """Clock cycles: of the array or of DRAM, whichever takes longer."""
        return max(self.array_cycles, self.dram_cycles)

    @property
    def utilization(self) -> float:
        """Useful products per multiplier and cycle."""
        return self.useful_products / (self.cycles * self.multipliers)


@takes_text
@dataclass(frozen=True, kw_only=True, slots=True)
class PassEstimate:
    """One pass of one layer."""

    layer: Layer
    which: Pass
    works: tuple[WorkEstimate, ...]
    dense: DenseCost

    @property
    def cycles(self) -> float:
        """Expected clock cycles on the accelerator."""
        return sum(work.cycles for work in self.works)

    @property
    def busy(self) -> dict[str, float]:
        """Cycles that the multipliers, each direction of the port, and DRAM need by themselves.

        DRAM is among them if it is a limit.
        """
        port = self.works[0].port_bytes
        behind = {}
        if self.works[0].dram is not None:
            behind["DRAM"] = sum(work.dram_cycles for work in self.works)
        return {
            "multipliers": sum(work.useful_products / work.multipliers for work in self.works),
            "read port": sum(work.read_bytes for work in self.works) / port,
            "write port": sum(work.write_bytes for work in self.works) / port,
            **behind,
        }

    @property
    def bound(self) -> str:
        """The busiest: "multipliers", "read port", "write port" or "DRAM"."""
        busy = self.busy
        return max(busy, key=busy.__getitem__)

    @property
    def rivals(self) -> dict[str, float]:
        """Cycles of other accelerators, by name."""
        names = self.works[0].rivals
        return {name: sum(work.rivals[name] for work in self.works) for name in names}


@takes_text
@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkEstimate:
    """A training step of a network: every pass of every layer."""

    network: Network
    config: ArrayConfig
    sparsification: Sparsification
    mode: Mode
    sample_products: int
    passes: tuple[PassEstimate, ...]
    clock_hz: float = CLOCK_HZ
    dram: Dram | None = None
    """Behind the memory ports, of the accelerator and of the dense array; None: no limit."""
    graph: Graph | None = None
    """All that the network computes; None: only its layers are known."""
    unknown: str = "its source has layers alone"
    """Without a graph: why, in words."""

    @takes_text
    def speedup(self, which: Iterable[Pass] = tuple(Pass), *, layer: str | None = None) -> float:
        """Return cycles of the dense array over ours, for some passes of all layers or of one."""
        chosen = self.chosen(which, layer=layer)
        return sum(p.dense.cycles for p in chosen) / sum(p.cycles for p in chosen)

    @takes_text
    def cycles(self, which: Iterable[Pass] = tuple(Pass)) -> float:
        """Return our clock cycles, for some passes of all layers."""
        return sum(p.cycles for p in self.chosen(which))

    @takes_text
    def rival_cycles(self, which: Iterable[Pass] = tuple(Pass)) -> dict[str, float]:
        """Return the cycles of other accelerators, by name, for some passes of all layers."""
        totals: dict[str, float] = {}
        for estimated in self.chosen(which):
            for name, cycles in estimated.rivals.items():
                totals[name] = totals.get(name, 0.0) + cycles
        return totals

    @takes_text
    def chosen(self, which: Iterable[Pass], *, layer: str | None = None) -> list[PassEstimate]:
        """Return some passes of all layers or of one."""
        wanted = set(which)
        return [p for p in self.passes if p.which in wanted and layer in (None, p.layer.name)]


def works_of(result: NetworkEstimate) -> list[WorkEstimate]:
    """Return the convolutions of all passes of an estimate."""
    return [work for one in result.passes for work in one.works]
