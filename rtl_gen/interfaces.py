"""Ports of a generated module by what they belong to: of one bus, one memory port, or alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gscn.rtl_gen.manifest import Port

_GROUPS = (
    (r"clk|rst", "clock, rising edge, and synchronous reset, active high"),
    (r"(s_axil)_.*", "{}: registers, an AXI4-Lite subordinate"),
    (r"(m_axi\d*)_.*", "{}: memory, an AXI4 manager"),
    (r"(mem\d*)_.*", "{}: memory, bursts"),
    (r"start.*", "start of lists"),
    (r"answer.*|stop.*", "stops of a list, and their answers"),
    (r"counter_.*", "counters"),
    (r"interrupt", "interrupt, a level"),
)
"""Patterns of names, the first that fits first, and what such ports are."""
_REST = "state"
"""What all other ports are."""


def by_interface(ports: Sequence[Port]) -> dict[str, list[Port]]:
    """Return the ports of a module by the interface that they belong to, which is said in words.

    Parameters
    ----------
    ports
        Ports of a module that `rtl_gen` writes, in the order of its signature, which they keep.
    """
    found: dict[str, list[Port]] = {}
    for port in ports:
        matches = ((re.fullmatch(pattern, port.name), text) for pattern, text in _GROUPS)
        title = next((text.format(*m.groups()) for m, text in matches if m), _REST)
        found.setdefault(title, []).append(port)
    return found
