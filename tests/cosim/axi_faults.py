# amaranth: UnusedElaboratable=no
"""The array behind AXI with faults at its ports: it tests the AXI testbench itself.

The upper 8 bits of the address of a list select a fault, one of those that must be found.
"""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from gscn.array import ArrayConfig
from gscn.hw.host.axi_ports import Response
from gscn.hw.host.top_axi import ArrayAxi
from gscn.registers import register

FAULT_SHIFT = 24
"""Within the upper half of the address."""
FAULTS = (
    "none",
    "unaligned",
    "narrow",
    "fixed",
    "locked",
    "page",
    "oversize",
    "outside",
    "changed",
    "withdrawn",
    "strobe",
    "early last",
    "no last",
    "mute",
    "refused",
    "uncalled",
    "no interrupt",
    "bad answer",
    "early end",
    "noise",
    "still busy",
    "not done",
    "no pass",
)
"""Faults by their number."""


class FaultyAxi(wiring.Component):
    """Pass everything on, but for the fault that was selected last."""

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        super().__init__(ArrayAxi(config=config).signature)

    def elaborate(self, platform):
        m = Module()
        m.submodules.inner = inner = ArrayAxi(config=self.config)
        for name, member in self.signature.members.items():
            outside, inside = getattr(self, name), getattr(inner, name)
            m.d.comb += inside.eq(outside) if member.flow == In else outside.eq(inside)

        fault, beat = Signal(8), Signal()
        m.d.sync += beat.eq(~beat)
        selects = self.s_axil_awaddr == register("PASSES_ADDR_HI").offset
        with m.If(self.s_axil_awvalid & self.s_axil_wvalid & selects):
            m.d.sync += fault.eq(self.s_axil_wdata >> FAULT_SHIFT)
            m.d.comb += inner.s_axil_wdata.eq(self.s_axil_wdata[:FAULT_SHIFT])
        reads_status, reads_pass = Signal(), Signal()
        with m.If(self.s_axil_arvalid & self.s_axil_arready):
            m.d.sync += [
                reads_status.eq(self.s_axil_araddr == register("STATUS").offset),
                reads_pass.eq(self.s_axil_araddr == register("PASS").offset),
            ]

        def has(name):
            return m.If(fault == FAULTS.index(name))

        with has("unaligned"):
            m.d.comb += self.m_axi_araddr.eq(inner.m_axi_araddr | 1)
        with has("narrow"):
            m.d.comb += self.m_axi_arsize.eq(0)
        with has("fixed"):
            m.d.comb += self.m_axi_awburst.eq(0)
        with has("locked"):
            m.d.comb += self.m_axi_arlock.eq(1)
        with has("page"):
            m.d.comb += [
                self.m_axi_araddr.eq(4096 - self.config.mem_bytes),
                self.m_axi_arlen.eq(1),
            ]
        with has("oversize"):
            m.d.comb += [self.m_axi_araddr.eq(0), self.m_axi_arlen.eq(self.config.burst_beats)]
        with has("outside"):
            m.d.comb += self.m_axi_awaddr.eq(inner.m_axi_awaddr | 1 << 31)
        with has("changed"):
            m.d.comb += self.m_axi_araddr.eq(inner.m_axi_araddr ^ (beat << 6))
        with has("withdrawn"):
            m.d.comb += [
                self.m_axi_awvalid.eq(inner.m_axi_awvalid & beat),
                inner.m_axi_awready.eq(self.m_axi_awready & beat),
            ]
        with has("strobe"):
            m.d.comb += self.m_axi_wstrb.eq(inner.m_axi_wstrb ^ beat)
        with has("early last"):
            m.d.comb += self.m_axi_wlast.eq(1)
        with has("no last"):
            m.d.comb += self.m_axi_wlast.eq(0)
        with has("mute"):
            m.d.comb += self.s_axil_rvalid.eq(0)
        with has("refused"):
            m.d.comb += self.s_axil_bresp.eq(Response.SLVERR)
        with has("uncalled"):
            m.d.comb += self.s_axil_rvalid.eq(1)
        with has("no interrupt"):
            m.d.comb += self.interrupt.eq(0)
        with has("bad answer"):
            m.d.comb += inner.m_axi_rresp.eq(Response.SLVERR)
        with has("early end"):
            # every burst counts as written when its last beat leaves
            m.d.comb += inner.m_axi_bvalid.eq(
                self.m_axi_wvalid & self.m_axi_wready & self.m_axi_wlast
            )
        with has("noise"), m.If(reads_pass):
            m.d.comb += self.m_axi_arvalid.eq(1)
        with has("still busy"), m.If(reads_status):
            m.d.comb += self.s_axil_rdata.eq(inner.s_axil_rdata | 1)
        with has("not done"), m.If(reads_status):
            done = register("STATUS").field("done").mask
            m.d.comb += self.s_axil_rdata.eq(inner.s_axil_rdata & ~done)
        with has("no pass"), m.If(reads_pass):
            m.d.comb += self.s_axil_rdata.eq(0)
        return m
