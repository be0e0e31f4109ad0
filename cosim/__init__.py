"""Co-simulation of the generated Verilog with Verilator, compared with the golden models.

Differs from the usual cocotb arrangement in that memory and sequencing are in C++ behind one call
per clock cycle, so that Python runs once per launch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cosim.device import Device, record_waves
from cosim.device_jobs import PassJob, PassRun
from cosim.device_pool import DevicePool
from cosim.errors import DeviceLost, SimulationError, SimulationTimeout
from cosim.launch import run
from cosim.program import RunResult
from cosim.scoreboard import Comparison, compare

if TYPE_CHECKING:
    from cosim.backends import CycleModelBackend, RtlBackend

__all__ = [
    "Comparison",
    "CycleModelBackend",
    "Device",
    "DeviceLost",
    "DevicePool",
    "PassJob",
    "PassRun",
    "RtlBackend",
    "RunResult",
    "SimulationError",
    "SimulationTimeout",
    "compare",
    "record_waves",
    "run",
]


def __getattr__(name: str) -> Any:
    # The backends are PyTorch's, which is slow to import and which the others do without.
    if name in ("CycleModelBackend", "RtlBackend"):
        import cosim.backends

        return getattr(cosim.backends, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
