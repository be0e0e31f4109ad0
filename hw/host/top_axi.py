"""The array behind standard buses: AXI4 to memory, AXI4-Lite from the host."""

from __future__ import annotations

from amaranth.hdl import Cat, ClockSignal, Instance, Module, ResetInserter, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from gscn.array import ArrayConfig
from gscn.axi import DEFAULT_AXI, AxiAttributes
from gscn.hw.core.array import Array
from gscn.hw.host.axi import AxiManager
from gscn.hw.host.axi_errors import FirstError
from gscn.hw.host.axi_ports import axi4_port, axil_signature, connect_prefixed, prefixed
from gscn.hw.host.control import STICKY_FLAGS, Control
from gscn.hw.shared import ModuleLibrary, flat_ports
from gscn.port import port_names
from gscn.register import Top

CORE_MODULE = "gscn_top"
"""Name of the array's Verilog module, and of the machine's, the same as without the buses."""


class ArrayAxi(wiring.Component):
    """Run lists of passes that a host starts by registers, on a memory behind AXI4.

    If the bus has more bits of address than the array, its memory begins where the register
    `MEMORY_BASE` says; the registers are described in `gscn.registers`. With several memory ports
    the members `m_axi_*` are `m_axi0_*`, `m_axi1_*` and so on; of their errors the first is
    reported.

    Timing
    ------
    - Latency: `ENABLE_LATENCY` from `s_axil_wdata` to `interrupt`, when the host enables it. Of the
      rest that of `Array`, `AxiManager` and `Control`, one after the other.
    - Throughput: that of its parts.
    - Combinational: none.
    - Reset: no list, no burst, registers at their resets; outputs 0, but `s_axil_awready` = 1,
      `s_axil_wready` = 1, `s_axil_arready` = 1, `m_axi_rready` = 1 and `m_axi_bready` = 1.

    Parameters
    ----------
    config
        Sizes.
    attributes
        Constants of every burst.

    Attributes
    ----------
    interrupt : Out(1)
        An enabled event is set (level).
    m_axi_* : Out(axi4_port(config, attributes))
        Memory: an AXI4 manager. `m_axi_aw*` and `m_axi_w*` are commands and beats written,
        `m_axi_b*` their answers, `m_axi_ar*` and `m_axi_r*` commands and beats read; IDs,
        burst type, lock, cache, prot and qos are constant.
    s_axil_* : In(axil_signature())
        Host: an AXI4-Lite subordinate.
    """

    ENABLE_LATENCY = Control.ENABLE_LATENCY
    _TOP = Top.ARRAY
    _CORE = Array

    def __init__(self, *, config: ArrayConfig, attributes: AxiAttributes = DEFAULT_AXI):
        self.config, self.attributes = config, attributes
        ports = {}
        for name in port_names("m_axi", config.ports):
            ports |= prefixed(axi4_port(config, attributes), name)
        super().__init__(
            {
                "interrupt": Out(1),
                **ports,
                **prefixed(axil_signature().flip(), "s_axil"),
            }
        )

    def _add_core(self, m: Module, platform: object, clear: Signal) -> wiring.Component:
        """Add the array as it is, reset by the domain's reset or by `clear`."""
        core = self._CORE(config=self.config)
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
        ports = self.config.ports
        m.submodules.control = control = Control(
            config=self.config, top=self._TOP, attributes=self.attributes
        )
        m.submodules.errors = errors = FirstError(
            config=self.config, count=ports, attributes=self.attributes
        )
        core = self._add_core(m, platform, control.clearing)
        managers = []
        for number in range(ports):
            manager = AxiManager(config=self.config, attributes=self.attributes)
            m.submodules[port_names("manager", ports)[number]] = manager
            self._connect_port(m, number, core, manager, control.memory_base)
            m.d.comb += [
                manager.flush.eq(control.clearing),
                manager.forget.eq(control.forget),
                errors.i[number].error.eq(manager.error),
                errors.i[number].write.eq(manager.error_write),
                errors.i[number].resp.eq(manager.error_resp),
                errors.i[number].addr.eq(manager.error_addr),
            ]
            managers.append(manager)

        connect_prefixed(m, self, "s_axil", control.axil)
        self._connect_core(m, control, core)
        m.d.comb += [
            core.counter_addr.eq(control.counter_addr),
            control.busy.eq(core.busy),
            *(getattr(control, flag).eq(getattr(core, flag)) for flag in STICKY_FLAGS),
            control.idle.eq(Cat(manager.idle for manager in managers).all()),
            errors.clear.eq(control.forget),
            control.error.eq(errors.o.error),
            control.error_write.eq(errors.o.write),
            control.error_resp.eq(errors.o.resp),
            control.error_addr.eq(errors.o.addr),
            control.error_port.eq(errors.port),
            self.interrupt.eq(control.interrupt),
        ]
        return m

    def _connect_core(self, m: Module, control: Control, core: wiring.Component) -> None:
        """Connect what an array has and a machine has not: lists of passes, their numbers."""
        start = control.start_list
        m.d.comb += [
            core.start_list.valid.eq(start.valid),
            core.start_list.p.addr.eq(start.p.addr),
            core.start_list.p.count.eq(start.p.places),
            start.ready.eq(core.start_list.ready),
            control.counter_data.eq(core.counter_data),
            control.array_error.eq(core.error_code),
            control.array_error_pass.eq(core.error_pass),
            control.pass_number.eq(core.pass_number),
        ]

    def _connect_port(
        self,
        m: Module,
        number: int,
        core: wiring.Component,
        manager: AxiManager,
        memory_base: Signal,
    ) -> None:
        """Put a manager between a memory port of the array and the bus.

        The base is added before the manager's queue: the bus sees what comes from registers.
        """
        ports = self.config.ports
        name = port_names("mem", ports)[number]
        connect_prefixed(m, self, port_names("m_axi", ports)[number], manager.axi)
        relocates = len(memory_base) > self.config.addr_width
        for way in ("read", "write"):
            inner, outer = getattr(core, f"{name}_{way}_cmd"), getattr(manager, f"{way}_cmd")
            m.d.comb += [
                outer.valid.eq(inner.valid),
                outer.p.addr.eq(memory_base + inner.p.addr if relocates else inner.p.addr),
                outer.p.beats.eq(inner.p.beats),
                inner.ready.eq(outer.ready),
            ]
        wiring.connect(m, manager.read_data, getattr(core, f"{name}_read_data"))
        wiring.connect(m, getattr(core, f"{name}_write_data"), manager.write_data)
        m.d.comb += getattr(core, f"{name}_write_done").eq(manager.write_done)
