"""The machine behind standard buses: AXI4 to memory, AXI4-Lite from the host."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.utils import exact_log2

from gscn.counters import COUNTER_WIDTH, COUNTERS_PER_CLUSTER
from gscn.hw.core.machine import Machine
from gscn.hw.host.control import Control
from gscn.hw.host.top_axi import ArrayAxi
from gscn.passes import DESCRIPTOR_BYTES
from gscn.register import Top
from gscn.registers import NO_PASS


class MachineAxi(ArrayAxi):
    """Run lists of both kinds of passes that a host starts by registers, on a memory behind AXI4.

    As `ArrayAxi` runs lists of passes; besides, the host is told of stops and answers them, and one
    more counter has the cycles in which the machine is busy.

    Implements: `docs/contract/lists.md`.
    Golden: `emulator.lists`.

    Timing
    ------
    - Latency: `ENABLE_LATENCY` from `s_axil_wdata` to `interrupt`, when the host enables it. Of the
      rest that of `Machine`, `AxiManager` and `Control`, one after the other.
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
    """

    _TOP = Top.MACHINE
    _CORE = Machine

    def _connect_core(self, m: Module, control: Control, core: wiring.Component) -> None:
        """Connect lists, their stops, and what failed in them, by its place in the list."""
        wiring.connect(m, control.start_list, core.start)
        wiring.connect(m, control.answer, core.answer)
        busy_cycles = Signal(COUNTER_WIDTH)
        # A clear and an error end the counts of the array, too.
        with m.If(control.clearing):
            m.d.sync += busy_cycles.eq(0)
        with m.Elif(core.busy):
            m.d.sync += busy_cycles.eq(busy_cycles + 1)
        own = control.counter_addr == self.config.clusters * COUNTERS_PER_CLUSTER + 1
        # `start_list.p` stays what it was when the list was taken.
        place = (core.error_addr - control.start_list.p.addr)[: self.config.addr_width]
        m.d.comb += [
            control.counter_data.eq(Mux(own, busy_cycles, core.counter_data)),
            control.array_error.eq(core.error),
            control.array_error_pass.eq(place[exact_log2(DESCRIPTOR_BYTES) :]),
            # of no pass alone: a machine may be at a record of either queue
            control.pass_number.eq(NO_PASS),
            control.stop.eq(core.stop),
            *(
                own_addr.eq(addr)
                for own_addr, addr in zip(control.record_addrs, core.record_addrs, strict=True)
            ),
        ]
