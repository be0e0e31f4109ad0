# amaranth: UnusedElaboratable=no
"""The AXI ports: their signals, and the bursts that the bus allows."""

from __future__ import annotations

import pytest
from amaranth.hdl import Module, Shape, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from gscn.array import ARRAYS
from gscn.axi import DEFAULT_AXI, AxiAttributes
from gscn.errors import InputError
from gscn.hw.host.axi_ports import (
    axi4_port,
    axil_signature,
    check_bursts,
    connect_prefixed,
    prefixed,
)
from gscn.registers import OFFSET_WIDTH

TINY = ARRAYS["tiny"]
COMMAND = "valid> ready< id>2 addr>32 len>8 size>3 burst>2 lock> cache>4 prot>3 qos>4"
AXI4 = {
    "aw": COMMAND,
    "ar": COMMAND,
    "w": "valid> ready< data>128 strb>16 last>",
    "b": "valid< ready> id<2 resp<2",
    "r": "valid< ready> id<2 data<128 resp<2 last<",
}
LITE_ADDRESS = f"valid> ready< addr>{OFFSET_WIDTH} prot>3"
AXI4_LITE = {
    "aw": LITE_ADDRESS,
    "ar": LITE_ADDRESS,
    "w": "valid> ready< data>32 strb>4",
    "b": "valid< ready> resp<2",
    "r": "valid< ready> data<32 resp<2",
}
"""Signals of each channel as the manager sees them: name, direction, width if not 1."""


def listed(channels):
    found = {}
    for channel, signals in channels.items():
        for signal in signals.split():
            sign = ">" if ">" in signal else "<"
            name, width = signal.split(sign)
            found[channel + name] = sign, int(width or 1)
    return found


def signals(signature):
    return {
        name: (">" if member.flow == Out else "<", Shape.cast(member.shape).width)
        for name, member in signature.members.items()
    }


def test_axi4_has_the_signals_of_its_five_channels():
    config = TINY.with_overrides(["axi_id_width=2"])
    assert signals(axi4_port(config, DEFAULT_AXI)) == listed(AXI4)
    wide = signals(axi4_port(config, AxiAttributes(addr_width=64)))
    assert wide == listed(AXI4) | {"awaddr": (">", 64), "araddr": (">", 64)}


def test_axi4_lite_has_the_signals_of_its_five_channels():
    assert signals(axil_signature()) == listed(AXI4_LITE)


class Inner(wiring.Component):
    """Answers each bit of its port."""

    def __init__(self):
        super().__init__({"port": In(wiring.Signature({"asks": Out(1), "answers": In(1)}))})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.port.answers.eq(~self.port.asks)
        return m


class Outer(wiring.Component):
    """Has the port of `Inner` under a prefix."""

    def __init__(self):
        self.inner = Inner()
        super().__init__(prefixed(self.inner.port.signature, "p"))

    def elaborate(self, platform):
        m = Module()
        m.submodules.inner = self.inner
        connect_prefixed(m, self, "p", self.inner.port)
        return m


def test_a_prefixed_port_is_connected_both_ways():
    dut, seen = Outer(), []
    assert {name: m.flow for name, m in dut.signature.members.items()} == {
        "p_asks": In,
        "p_answers": Out,
    }

    async def testbench(ctx):
        for bit in (0, 1):
            ctx.set(dut.p_asks, bit)
            seen.append(ctx.get(dut.p_answers))

    m = Module()
    m.submodules.dut = dut
    m.d.sync += Signal().eq(0)
    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    assert seen == [1, 0]


@pytest.mark.parametrize(
    ("beat_bytes", "burst_beats", "message"),
    [
        (64, 128, "must divide 4096 bytes, not be of 8192"),
        (64, 48, "must divide 4096 bytes, not be of 3072"),
        (8, 512, "must be at most 256, not 512"),
    ],
)
def test_bursts_that_could_cross_a_page_are_refused(beat_bytes, burst_beats, message):
    with pytest.raises(InputError, match=message):
        check_bursts(beat_bytes=beat_bytes, burst_beats=burst_beats)
