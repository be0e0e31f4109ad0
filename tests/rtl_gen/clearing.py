# amaranth: UnusedElaboratable=no
"""An accelerator that does not clear its accumulators after reset, to show what that is for."""

from __future__ import annotations

from unittest import mock

from amaranth.hdl import Module
from amaranth.lib import wiring

from gscn.hw.cluster.drain import Drainer
from gscn.hw.core.accelerator import Accelerator
from gscn.hw.shared import flat_ports
from gscn.rtl_gen import generate


class Uncleared(wiring.Component):
    """A drainer whose walk after reset takes its time and clears nothing."""

    def __init__(self, *, config):
        self.inner = Drainer(config=config)
        super().__init__(self.inner.signature)

    def elaborate(self, platform):
        m = Module()
        m.submodules.inner = self.inner
        inner = flat_ports(self.inner)
        for name, (outer, direction) in flat_ports(self).items():
            if direction == "i":
                m.d.comb += inner[name][0].eq(outer)
            elif name == "en":
                m.d.comb += outer.eq(inner[name][0] & self.inner.initialized)
            else:
                m.d.comb += outer.eq(inner[name][0])
        return m


def uncleared():
    """Within this context, accelerators are elaborated without the clearing."""
    return mock.patch("gscn.hw.cluster.cluster.Drainer", Uncleared)


def create(config):
    """Make the accelerator; to be called and elaborated within `uncleared()`."""
    return Accelerator(config=config)


def generate_uncleared(config, directory):
    """Write the Verilog of an accelerator that does not clear its accumulators."""
    with uncleared():
        return generate(config, directory, create=create)
