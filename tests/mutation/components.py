"""The proved components, and the unit tests of each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A component whose source is changed."""

    component: str
    module: str
    tests: tuple[str, ...]
    """Arguments of pytest that select its unit tests."""


def _target(component: str, module: str, test: str, only: str = "") -> Target:
    tests = (f"tests/hw/test_{test}.py", *(["-k", only] if only else []))
    return Target(component=component, module=f"hw.{module}", tests=tests)


TARGETS = {
    target.component: target
    for target in (
        _target("StreamFIFO", "fifo", "fifo"),
        _target("Accumulator", "accumulator", "accumulator"),
        _target("RoundRobin", "arbiter", "arbiter", "round_robin"),
        _target(
            "ReadArbiter",
            "arbiter",
            "arbiter",
            "not round_robin and not bursts_inside and not write_bursts",
        ),
        _target("WriteArbiter", "arbiter", "arbiter", "bursts_inside or write_bursts"),
        _target("Dispatcher", "dispatcher", "dispatcher"),
        _target("Sequencer", "sequencer", "sequencer"),
        _target("ChunkReader", "reader", "reader"),
        _target("BurstWriter", "writer", "writer"),
    )
}
