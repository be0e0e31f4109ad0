"""Properties of AXI4-Lite that others wrote, bound to what is behind AXI.

The modules `faxil_slave` and `faxil_master` of the repository ZipCPU/wb2axip, whose assertions are
about the port that they are given, and whose assumptions about the other side of it.
"""

from __future__ import annotations

from typing import ClassVar

from amaranth.hdl import ClockSignal, Instance, ResetSignal, Signal, Value

from formal.checker import Checker
from formal.host.axi import AxiManagerChecker
from formal.host.axil import RegisterFileChecker

COUNT_WIDTH = 6
"""Of their counters of what is under way, so that no limit of theirs is reached."""
CHANNELS = {
    "aw": ("valid", "ready", "addr", "prot"),
    "w": ("valid", "ready", "data", "strb"),
    "b": ("valid", "ready", "resp"),
    "ar": ("valid", "ready", "addr", "prot"),
    "r": ("valid", "ready", "data", "resp"),
}


def bind(checker: Checker, module: str, port: object) -> dict[str, Signal]:
    """Add their module to a checker, at a port; return its counters of what is under way."""
    counts = {name: Signal(COUNT_WIDTH, name=f"public_{name}") for name in ("awr", "wr", "rd")}
    inputs = {
        f"i_i_axi_{channel}{field}": Value.cast(getattr(port, channel + field))
        for channel, fields in CHANNELS.items()
        for field in fields
    }
    checker.m.submodules.public = Instance(
        module,
        p_C_AXI_DATA_WIDTH=len(port.wdata),
        p_C_AXI_ADDR_WIDTH=len(port.awaddr),
        p_F_LGDEPTH=COUNT_WIDTH,
        p_F_OPT_ASSUME_RESET=1,  # it comes from outside
        p_F_OPT_NO_RESET=1,  # for a cycle or longer
        i_i_clk=ClockSignal(),
        i_i_axi_reset_n=~ResetSignal(),
        **inputs,
        **{f"o_f_axi_{name}_outstanding": count for name, count in counts.items()},
    )
    return counts


class PublicRegisters(RegisterFileChecker):
    """`faxil_slave` at the port of a `RegisterFile`."""

    RESETS: ClassVar[bool] = True
    MODULE: ClassVar[str] = "faxil_slave"

    def describe(self) -> None:
        """Relate their counters to what the register file holds."""
        super().describe()
        axil, has = self.dut.axil, self.probe.signal
        counts = bind(self, self.MODULE, axil)
        self.invariant(counts["awr"] == has("has_addr") + axil.bvalid)
        self.invariant(counts["wr"] == has("has_data") + axil.bvalid)
        self.invariant(counts["rd"] == has("has_read") + axil.rvalid)


class PublicManager(AxiManagerChecker):
    """`faxil_master` at the port of an `AxiManager` of bursts of one beat.

    Such bursts obey the rules of AXI4-Lite; what AXI4 has besides is constant, but `rlast` and
    `wlast`, which are always high. Assumed of memory is what their module assumes, and no more.
    """

    RESETS: ClassVar[bool] = True
    MODULE: ClassVar[str] = "faxil_master"

    def describe(self) -> None:
        """Relate their counters to the manager's queues."""
        super().describe()
        counts = bind(self, self.MODULE, self.dut.axi)
        for name, count in counts.items():
            self.invariant(count == self.at_port[name])
