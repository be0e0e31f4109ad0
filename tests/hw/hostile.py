# amaranth: UnusedElaboratable=no
"""Memories that promise no more than macros do, to show that nothing needs more."""

from __future__ import annotations

import functools
from unittest import mock

from amaranth.hdl import Module, Signal

from gscn.hw.core.machine import Machine
from gscn.hw.ram import RamRows


class HostileRows(RamRows):
    """Rows that show inverted if read while they are written; of `broken` bits, whenever read."""

    def __init__(self, *, broken=0, **sizes):
        self.broken = broken
        super().__init__(**sizes)

    def elaborate(self, platform):
        m = Module()
        rows = RamRows(width=self.width, depth=self.depth, granularity=self.granularity)
        m.submodules.rows = rows
        inverts = Signal()
        with m.If(self.read.en):
            met = self.write.en.any() & (self.write.addr == self.read.addr)
            m.d.sync += inverts.eq(met | (self.width == self.broken))
        m.d.comb += [
            rows.read.addr.eq(self.read.addr),
            rows.read.en.eq(self.read.en),
            self.read.data.eq(rows.read.data ^ inverts.replicate(self.width)),
            rows.write.addr.eq(self.write.addr),
            rows.write.en.eq(self.write.en),
            rows.write.data.eq(self.write.data),
        ]
        return m


def hostile(*, broken=0):
    """Within this context, what is converted to Verilog has such memories."""
    return mock.patch("gscn.hw.ram.RamRows", functools.partial(HostileRows, broken=broken))


def create_machine(config):
    """Make the machine; to be called and elaborated within `hostile()`."""
    return Machine(config=config)
