"""Sums over passes that ran on the accelerator, for progress and reports."""

from __future__ import annotations

from dataclasses import dataclass, field

from gscn.array import ArrayConfig
from gscn.cosim.devices.jobs import PassRun
from gscn.counters import CLUSTER_COUNTER_NAMES


@dataclass(kw_only=True, slots=True)
class RunTotals:
    """Sums over runs; `add` is an observer of a backend."""

    config: ArrayConfig
    clock_mhz: float
    """Clock at which simulated time is told."""
    passes: int = 0
    """Launches: parts of passes count each."""
    cycles: int = 0
    """Cycles in which one accelerator would be busy: of all launches, one after the other."""
    useful_products: int = 0
    simulated_cycles: int = 0
    lowering_seconds: float = 0.0
    """CPU time of the lowering."""
    simulation_seconds: float = 0.0
    """CPU time of the simulation."""
    pe_cycles: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(CLUSTER_COUNTER_NAMES, 0)
    )
    """By cause."""
    launches_by_pass: dict[str, int] = field(default_factory=dict)
    """Launches by layer and pass; parts of passes count each."""
    last: str = ""
    """What ran last."""

    def add(self, run: PassRun) -> None:
        """Count a run."""
        self.passes += 1
        self.cycles += run.cycles
        self.useful_products += run.useful_products
        self.simulated_cycles += run.simulated_cycles
        self.lowering_seconds += run.lowering_seconds
        self.simulation_seconds += run.simulation_seconds
        for name, values in run.counters.items():
            self.pe_cycles[name] += sum(values)
        name = run.label.partition(", part ")[0]
        self.launches_by_pass[name] = self.launches_by_pass.get(name, 0) + 1
        self.last = run.label

    @property
    def simulated_seconds(self) -> float:
        """Time that the accelerator would have taken."""
        return self.cycles / (self.clock_mhz * 1e6)

    @property
    def utilization(self) -> float:
        """Useful products per multiplier and cycle; 0 before the first run."""
        return self.useful_products / max(self.cycles * self.config.multipliers, 1)

    def stalls(self) -> dict[str, float]:
        """Return the share of PE-cycles of each cause but `busy`, the largest first."""
        total = max(sum(self.pe_cycles.values()), 1)
        shares = {n: count / total for n, count in self.pe_cycles.items() if n != "busy"}
        return dict(sorted(shares.items(), key=lambda item: -item[1]))

    def text(self) -> str:
        """Return a line for progress."""
        stalls = ", ".join(f"{n} {100 * s:.0f} %" for n, s in list(self.stalls().items())[:2])
        return (
            f"{self.cycles} cycles = {1e3 * self.simulated_seconds:.2f} ms at "
            f"{self.clock_mhz:g} MHz, utilization {100 * self.utilization:.0f} %, "
            f"stalls: {stalls}; {self.last}"
        )

    def data(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "launches": self.passes,
            "launches_by_pass": self.launches_by_pass,
            "cycles": self.cycles,
            "clock_mhz": self.clock_mhz,
            "simulated_seconds": self.simulated_seconds,
            "useful_products": self.useful_products,
            "utilization": self.utilization,
            "stalls": self.stalls(),
            "simulated_cycles": self.simulated_cycles,
            "lowering_cpu_seconds": self.lowering_seconds,
            "simulation_cpu_seconds": self.simulation_seconds,
        }
