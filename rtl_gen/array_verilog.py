"""Verilog of the array, with and without buses, and of the machine."""

from __future__ import annotations

import enum
from collections.abc import Callable

from amaranth.lib import wiring

from gscn.array import ArrayConfig
from gscn.enums import takes_text
from gscn.hw.core.array import Array
from gscn.hw.core.machine import Machine
from gscn.hw.host.top_axi import CORE_MODULE, ArrayAxi
from gscn.rtl_gen.kept import kept_verilog
from gscn.rtl_gen.verilog import VerilogModule, to_verilog

TOP_MODULE = CORE_MODULE
"""Name of the array's top module, and of the machine's."""
AXI_TOP_MODULE = "gscn_axi_top"
"""Name of the array's top module behind AXI4 and AXI4-Lite."""

CreateComponent = Callable[[ArrayConfig], wiring.Component]
"""Makes a component from a configuration."""


class Kind(enum.StrEnum):
    """What there is Verilog of."""

    ARRAY = "array"
    AXI = "array behind AXI4 and AXI4-Lite"
    MACHINE = "machine"

    @property
    def module(self) -> str:
        """Name of its top module."""
        return AXI_TOP_MODULE if self is Kind.AXI else TOP_MODULE


_COMPONENTS = {Kind.ARRAY: Array, Kind.AXI: ArrayAxi, Kind.MACHINE: Machine}


@takes_text
def array_verilog(
    config: ArrayConfig, kind: Kind = Kind.ARRAY, *, create: CreateComponent | None = None
) -> VerilogModule:
    """Return the Verilog of the array, the cluster and other shared modules once each.

    Parameters
    ----------
    config
        Sizes.
    kind
        What of.
    create
        Makes another component with the same ports, which `rtl_gen.kept` does not keep.
    """
    if create is not None:
        return to_verilog(lambda: create(config), kind.module)
    return kept_verilog(
        config,
        kind,
        lambda: to_verilog(lambda: _COMPONENTS[kind](config=config), kind.module),
    )
