# amaranth: UnusedElaboratable=no
"""An array that does not clear its accumulators after reset, to show what that is for."""

from __future__ import annotations

from unittest import mock

from amaranth.hdl import Module
from amaranth.lib import wiring

from gscn.hw.cluster.summing import SummingDrain
from gscn.hw.core.array import Array
from gscn.hw.shared import flat_ports
from gscn.rtl_gen import generate


class Uncleared(wiring.Component):
    """A drain whose walk after reset takes its time and clears nothing."""

    def __init__(self, *, config):
        self.inner = SummingDrain(config=config)
        super().__init__(self.inner.signature)

    def elaborate(self, platform):
        m = Module()
        m.submodules.inner = self.inner
        inner = flat_ports(self.inner)
        for name, (outer, direction) in flat_ports(self).items():
            if direction == "i":
                m.d.comb += inner[name][0].eq(outer)
            else:
                m.d.comb += outer.eq(inner[name][0])
        m.d.comb += self.drain.en.eq(self.inner.drain.en & self.inner.initialized)
        return m


def uncleared():
    """Within this context, arrays are elaborated without the clearing."""
    return mock.patch("gscn.hw.cluster.worker_cluster.SummingDrain", Uncleared)


def create(config):
    """Make the array; to be called and elaborated within what changes it, as `uncleared()`."""
    return Array(config=config)


def generate_uncleared(config, directory):
    """Write the Verilog of an array that does not clear its accumulators."""
    with uncleared():
        return generate(config, directory, create=create)
