"""Verilog of the array, with and without buses."""

from __future__ import annotations

from collections.abc import Callable

from amaranth.lib import wiring

from gscn.array import ArrayConfig
from gscn.hw.core.array import Array
from gscn.hw.host.top_axi import CORE_MODULE, ArrayAxi
from gscn.rtl_gen.verilog import VerilogModule, to_verilog

TOP_MODULE = CORE_MODULE
"""Name of its top module."""
AXI_TOP_MODULE = "gscn_axi_top"
"""Name of its top module behind AXI4 and AXI4-Lite."""

CreateComponent = Callable[[ArrayConfig], wiring.Component]
"""Makes a component from a configuration."""


def array_verilog(
    config: ArrayConfig, *, axi: bool = False, create: CreateComponent | None = None
) -> VerilogModule:
    """Return the Verilog of the array, the cluster and other shared modules once each.

    Parameters
    ----------
    config
        Sizes.
    axi
        Whether the array is behind AXI4 and AXI4-Lite.
    create
        Makes another component with the same ports.
    """
    component = ArrayAxi if axi else Array
    return to_verilog(
        lambda: component(config=config) if create is None else create(config),
        AXI_TOP_MODULE if axi else TOP_MODULE,
    )
