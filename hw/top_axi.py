"""The core behind standard buses: AXI4 to memory, AXI4-Lite from the host."""

from __future__ import annotations

from amaranth.hdl import ClockSignal, Instance, Module, ResetInserter, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from gscn.config import AcceleratorConfig
from hw.accelerator import Accelerator
from hw.axi import AxiManager
from hw.axi_ports import axi4_signature, axil_signature, connect_prefixed, prefixed
from hw.control import STICKY_FLAGS, Control
from hw.shared import ModuleLibrary, flat_ports

CORE_MODULE = "gscn_top"
"""Name of the core's Verilog module, the same as without the buses."""


class AcceleratorAxi(wiring.Component):
    """Run phases that a host starts by registers, on a memory behind AXI4.

    The registers are described in `gscn.registers`.

    Timing: as `Accelerator`, `AxiManager` and `Control`.

    Parameters
    ----------
        config: sizes.

    Members:
        interrupt: an enabled event is set (level).
        m_axi_awvalid, m_axi_awready, m_axi_awid, m_axi_awaddr, m_axi_awlen, m_axi_awsize: memory,
            write commands;
        m_axi_awburst, m_axi_awlock, m_axi_awcache, m_axi_awprot, m_axi_awqos: constant.
        m_axi_wvalid, m_axi_wready, m_axi_wdata, m_axi_wstrb, m_axi_wlast: memory, written beats.
        m_axi_bvalid, m_axi_bready, m_axi_bid, m_axi_bresp: memory, answers to writes.
        m_axi_arvalid, m_axi_arready, m_axi_arid, m_axi_araddr, m_axi_arlen, m_axi_arsize: memory,
            read commands;
        m_axi_arburst, m_axi_arlock, m_axi_arcache, m_axi_arprot, m_axi_arqos: constant.
        m_axi_rvalid, m_axi_rready, m_axi_rid, m_axi_rdata, m_axi_rresp, m_axi_rlast: memory, beats
            read.
        s_axil_awvalid, s_axil_awready, s_axil_awaddr, s_axil_awprot: host, write addresses.
        s_axil_wvalid, s_axil_wready, s_axil_wdata, s_axil_wstrb: host, written words.
        s_axil_bvalid, s_axil_bready, s_axil_bresp: host, answers to writes.
        s_axil_arvalid, s_axil_arready, s_axil_araddr, s_axil_arprot: host, read addresses.
        s_axil_rvalid, s_axil_rready, s_axil_rdata, s_axil_rresp: host, words read.
    """

    def __init__(self, *, config: AcceleratorConfig):
        self.config = config
        memory = axi4_signature(
            addr_width=config.addr_width,
            data_width=config.mem_width,
            id_width=AxiManager.ID_WIDTH,
        )
        super().__init__(
            {
                "interrupt": Out(1),
                **prefixed(memory, "m_axi"),
                **prefixed(axil_signature().flip(), "s_axil"),
            }
        )

    def _add_core(self, m: Module, platform: object, clear: Signal) -> Accelerator:
        """Add the core as it is, reset by the domain's reset or by `clear`."""
        core = Accelerator(config=self.config)
        if isinstance(platform, ModuleLibrary):
            # The same module as without buses. Its shared clusters are instances, which an inserted
            # reset would not reach.
            platform.register(CORE_MODULE, core)
            ports = {
                f"{direction}_{name}": value
                for name, (value, direction) in flat_ports(core).items()
            }
            m.submodules.core = Instance(
                CORE_MODULE, i_clk=ClockSignal(), i_rst=ResetSignal() | clear, **ports
            )
        else:
            m.submodules.core = ResetInserter(clear)(core)
        return core

    def elaborate(self, platform):
        m = Module()
        m.submodules.control = control = Control(config=self.config)
        m.submodules.manager = manager = AxiManager(config=self.config)
        core = self._add_core(m, platform, control.clearing)

        connect_prefixed(m, self, "m_axi", manager.axi)
        connect_prefixed(m, self, "s_axil", control.axil)
        wiring.connect(m, control.start, core.start)
        wiring.connect(m, core.mem_read_cmd, manager.read_cmd)
        wiring.connect(m, manager.read_data, core.mem_read_data)
        wiring.connect(m, core.mem_write_cmd, manager.write_cmd)
        wiring.connect(m, core.mem_write_data, manager.write_data)
        m.d.comb += [
            core.mem_write_done.eq(manager.write_done),
            core.counter_addr.eq(control.counter_addr),
            control.counter_data.eq(core.counter_data),
            control.busy.eq(core.busy),
            *(getattr(control, flag).eq(getattr(core, flag)) for flag in STICKY_FLAGS),
            manager.flush.eq(control.clearing),
            control.idle.eq(manager.idle),
            control.error.eq(manager.error),
            control.error_write.eq(manager.error_write),
            control.error_resp.eq(manager.error_resp),
            control.error_addr.eq(manager.error_addr),
            self.interrupt.eq(control.interrupt),
        ]
        return m
