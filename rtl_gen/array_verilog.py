"""Verilog of the array and of the machine, with and without buses."""

from __future__ import annotations

import enum
from collections.abc import Callable

from amaranth.lib import wiring

from gscn.array import ArrayConfig
from gscn.axi import DEFAULT_AXI, AxiAttributes
from gscn.enums import takes_text
from gscn.hw.core.array import Array
from gscn.hw.core.machine import Machine
from gscn.hw.host.machine_axi import MachineAxi
from gscn.hw.host.top_axi import CORE_MODULE, ArrayAxi
from gscn.register import Top
from gscn.rtl_gen.kept import kept_verilog
from gscn.rtl_gen.verilog import VerilogModule, to_verilog

TOP_MODULE = CORE_MODULE
"""Name of the array's top module, and of the machine's."""
AXI_TOP_MODULE = "gscn_axi_top"
"""Name of the array's top module behind AXI4 and AXI4-Lite, and of the machine's."""

CreateComponent = Callable[[ArrayConfig], wiring.Component]
"""Makes a component from a configuration."""


class Kind(enum.StrEnum):
    """What there is Verilog of."""

    ARRAY = "array"
    AXI = "array behind AXI4 and AXI4-Lite"
    MACHINE = "machine"
    MACHINE_AXI = "machine behind AXI4 and AXI4-Lite"

    @classmethod
    def of(cls, *, axi: bool, lists: bool) -> Kind:
        """Return the array's or, with `lists`, the machine's; with buses or without."""
        return {
            (False, False): cls.ARRAY,
            (True, False): cls.AXI,
            (False, True): cls.MACHINE,
            (True, True): cls.MACHINE_AXI,
        }[axi, lists]

    @property
    def top(self) -> Top:
        """What is in it."""
        return Top.MACHINE if self in (Kind.MACHINE, Kind.MACHINE_AXI) else Top.ARRAY

    @property
    def module(self) -> str:
        """Name of its top module."""
        return AXI_TOP_MODULE if self in (Kind.AXI, Kind.MACHINE_AXI) else TOP_MODULE


_COMPONENTS = {
    Kind.ARRAY: Array,
    Kind.AXI: ArrayAxi,
    Kind.MACHINE: Machine,
    Kind.MACHINE_AXI: MachineAxi,
}
_CORES = {Kind.AXI: Kind.ARRAY, Kind.MACHINE_AXI: Kind.MACHINE}
"""What is behind buses."""


@takes_text
def array_verilog(
    config: ArrayConfig,
    kind: Kind = Kind.ARRAY,
    *,
    attributes: AxiAttributes = DEFAULT_AXI,
    create: CreateComponent | None = None,
) -> VerilogModule:
    """Return the Verilog of the array, the cluster and other shared modules once each.

    Parameters
    ----------
    config
        Sizes.
    kind
        What of.
    attributes
        Constants of every burst behind AXI.
    create
        Makes another component with the same ports, which `rtl_gen.kept` does not keep.
    """
    if create is not None:
        return to_verilog(lambda: create(config), kind.module)
    return kept_verilog(
        config, kept_name(kind, attributes), lambda: _converted(config, kind, attributes)
    )


@takes_text
def kept_name(kind: Kind, attributes: AxiAttributes) -> str:
    """Return what tells Verilog of one configuration apart."""
    return kind if attributes == DEFAULT_AXI else f"{kind}, {attributes.to_dict()}"


def _converted(config: ArrayConfig, kind: Kind, attributes: AxiAttributes) -> VerilogModule:
    """Convert a component; the core of one with buses is the one without."""
    if kind in _CORES:
        core = array_verilog(config, _CORES[kind]).text
        return to_verilog(
            lambda: _COMPONENTS[kind](config=config, attributes=attributes),
            kind.module,
            {CORE_MODULE: core},
        )
    return to_verilog(lambda: _COMPONENTS[kind](config=config), kind.module)
