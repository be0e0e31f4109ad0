"""Memories of an elaborated component."""

from __future__ import annotations

from amaranth.hdl import Fragment, Shape
from amaranth.hdl._mem import MemoryInstance  # there is no public way
from amaranth.lib import wiring


def memories_of(component: wiring.Component) -> list[tuple[str, int, int, int, list[str]]]:
    """Return (name, rows, bits, write ports, domains of read ports) of each, by name."""
    found = []

    def visit(fragment, path):
        for inner, name, *_ in fragment.subfragments:
            inner_path = ".".join(filter(None, (path, name)))
            if not isinstance(inner, MemoryInstance):
                visit(inner, inner_path)
                continue
            data = inner._data
            width = Shape.cast(data.shape).width
            domains = [port._domain for port in inner._read_ports]
            found.append((inner_path, data.depth, width, len(inner._write_ports), domains))

    visit(Fragment.get(component, None), "")
    return sorted(found)
