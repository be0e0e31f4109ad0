"""Checks of addresses."""

from __future__ import annotations

from amaranth.hdl import Value

from gscn.array import ArrayConfig
from gscn.port import ALIGNMENT_BITS


def is_bad_address(addr: Value, config: ArrayConfig) -> Value:
    """Return whether an address (64 bits) is no multiple of 64 or beyond the memory port's."""
    return addr[:ALIGNMENT_BITS].any() | addr[config.addr_width :].any()
