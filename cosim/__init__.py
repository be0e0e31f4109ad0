"""Co-simulation of the generated Verilog with Verilator, compared with the golden models.

Differs from the usual cocotb arrangement in that memory and sequencing are in C++ behind one call
per clock cycle, so that Python runs once per launch.

The names below are imported when first used: the testbenches inside a simulator need few of them,
and the backends need torch, which is slow to import.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gscn.cosim.conditions import Conditions
    from gscn.cosim.devices.backends import CycleModelBackend, RtlBackend
    from gscn.cosim.devices.device import Device, DeviceSettings, record_waves
    from gscn.cosim.devices.jobs import PassJob, PassRun
    from gscn.cosim.devices.pool import DevicePool
    from gscn.cosim.errors import DeviceLost, SimulationError, SimulationTimeout
    from gscn.cosim.launch import run
    from gscn.cosim.scoreboard import Comparison, compare
    from gscn.cosim.simulation import RunResult

__all__ = [
    "Comparison",
    "Conditions",
    "CycleModelBackend",
    "Device",
    "DeviceLost",
    "DevicePool",
    "DeviceSettings",
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

_MODULES = {
    "conditions": ("Conditions",),
    "devices.backends": ("CycleModelBackend", "RtlBackend"),
    "devices.device": ("Device", "DeviceSettings", "record_waves"),
    "devices.jobs": ("PassJob", "PassRun"),
    "devices.pool": ("DevicePool",),
    "errors": ("DeviceLost", "SimulationError", "SimulationTimeout"),
    "launch": ("run",),
    "simulation": ("RunResult",),
    "scoreboard": ("Comparison", "compare"),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(f"gscn.cosim.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
