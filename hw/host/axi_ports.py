"""Signatures of the AXI4 and AXI4-Lite ports, and their names in Verilog."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.axi import AxiAttributes
from gscn.errors import InputError
from gscn.register import REGISTER_WIDTH
from gscn.registers import OFFSET_WIDTH

BURST_BOUNDARY_BYTES = 4096
"""No burst may cross a multiple of this."""
MAX_BURST_BEATS = 256
"""Longest incrementing burst."""


class Response(enum.Enum, shape=2):
    """How a transfer ended."""

    OKAY = 0
    EXOKAY = 1
    SLVERR = 2
    DECERR = 3


def check_bursts(*, beat_bytes: int, burst_beats: int) -> None:
    """Require bursts that AXI4 allows, given that each ends at a multiple of the longest.

    Parameters
    ----------
    beat_bytes, burst_beats
        Bytes of a beat, beats of the longest burst.

    Raises
    ------
    InputError
        A burst has too many beats, or could cross a multiple of 4096 bytes.
    """
    if burst_beats > MAX_BURST_BEATS:
        raise InputError(
            f"AXI4 port: burst_beats must be at most {MAX_BURST_BEATS}, not {burst_beats}"
        )
    burst_bytes = beat_bytes * burst_beats
    if BURST_BOUNDARY_BYTES % burst_bytes:
        raise InputError(
            f"AXI4 port: the longest burst must divide {BURST_BOUNDARY_BYTES} bytes, "
            f"not be of {burst_bytes}"
        )


def check_id(number: int, width: int) -> None:
    """Raise `InputError` if an ID needs more bits than a port has for it."""
    if number >> width:
        raise InputError(
            f"AXI4 port: id must be below {1 << width}, as axi_id_width is {width}, not {number}"
        )


def axi4_signature(*, addr_width: int, data_width: int, id_width: int) -> wiring.Signature:
    """Return an AXI4 port as its manager sees it; widths in bits."""
    members = {}
    for channel in ("aw", "ar"):
        members |= {
            f"{channel}valid": Out(1),
            f"{channel}ready": In(1),
            f"{channel}id": Out(id_width),
            f"{channel}addr": Out(addr_width),
            f"{channel}len": Out(8),
            f"{channel}size": Out(3),
            f"{channel}burst": Out(2),
            f"{channel}lock": Out(1),
            f"{channel}cache": Out(4),
            f"{channel}prot": Out(3),
            f"{channel}qos": Out(4),
        }
    members |= {
        "wvalid": Out(1),
        "wready": In(1),
        "wdata": Out(data_width),
        "wstrb": Out(data_width // 8),
        "wlast": Out(1),
        "bvalid": In(1),
        "bready": Out(1),
        "bid": In(id_width),
        "bresp": In(Response),
        "rvalid": In(1),
        "rready": Out(1),
        "rid": In(id_width),
        "rdata": In(data_width),
        "rresp": In(Response),
        "rlast": In(1),
    }
    return wiring.Signature(members)


def bus_burst_layout(config: ArrayConfig, attributes: AxiAttributes) -> data.StructLayout:
    """Return a memory command as the bus knows it: byte address of the first beat, and beats."""
    return data.StructLayout({"addr": attributes.bus_addr_width(config), "beats": 8})


def axi4_port(config: ArrayConfig, attributes: AxiAttributes) -> wiring.Signature:
    """Return the AXI4 port of an array's memory as its manager sees it."""
    return axi4_signature(
        addr_width=attributes.bus_addr_width(config),
        data_width=config.mem_width,
        id_width=config.axi_id_width,
    )


def axil_signature() -> wiring.Signature:
    """Return the AXI4-Lite port of the registers as its manager sees it."""
    members = {}
    for channel in ("aw", "ar"):
        members |= {
            f"{channel}valid": Out(1),
            f"{channel}ready": In(1),
            f"{channel}addr": Out(OFFSET_WIDTH),
            f"{channel}prot": Out(3),
        }
    members |= {
        "wvalid": Out(1),
        "wready": In(1),
        "wdata": Out(REGISTER_WIDTH),
        "wstrb": Out(REGISTER_WIDTH // 8),
        "bvalid": In(1),
        "bready": Out(1),
        "bresp": In(Response),
        "rvalid": In(1),
        "rready": Out(1),
        "rdata": In(REGISTER_WIDTH),
        "rresp": In(Response),
    }
    return wiring.Signature(members)


def prefixed(signature: wiring.Signature, prefix: str) -> dict[str, wiring.Member]:
    """Return a port's members as members of a component, with the prefix that tools look for.

    A nested port would be flattened with double underscores.
    """
    return {f"{prefix}_{name}": member for name, member in signature.members.items()}


def connect_prefixed(
    m: Module, component: wiring.Component, prefix: str, port: wiring.PureInterface
) -> None:
    """Connect the prefixed members of a component to the same port of one of its submodules.

    Parameters
    ----------
    m
        The component's module.
    component
        A component with `prefixed` members.
    prefix
        Their prefix.
    port
        The submodule's port, in the same direction as the prefixed members.
    """
    for name, member in port.signature.members.items():
        outer, inner = getattr(component, f"{prefix}_{name}"), getattr(port, name)
        m.d.comb += outer.eq(inner) if member.flow == Out else inner.eq(outer)
