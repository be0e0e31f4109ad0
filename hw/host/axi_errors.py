"""The first bus error among several memory ports."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.axi import DEFAULT_AXI, AxiAttributes
from gscn.hw.arguments import need_number
from gscn.hw.host.axi_ports import Response
from gscn.registers import register


def bus_error_layout(config: ArrayConfig, attributes: AxiAttributes) -> data.StructLayout:
    """Return an error as `AxiManager` reports it: whether there is one, and of which burst."""
    return data.StructLayout(
        {"error": 1, "write": 1, "resp": Response, "addr": attributes.bus_addr_width(config)},
    )


class FirstError(wiring.Component):
    """Report the error of the port that had one first; of several in one cycle, the lowest.

    Each port reports its own first error and holds it.

    Timing
    ------
    - Latency: `LATENCY` from `i` to `o`.
    - Throughput: one error, until it is cleared.
    - Combinational: `i` -> `o`, `port`.
    - Reset: no error known; outputs 0.

    Parameters
    ----------
    config
        Address width.
    count
        Ports; as many as the register of the error can tell apart, at least 1.
    attributes
        Address width of the bus.

    Attributes
    ----------
    i : In(bus_error_layout(config, attributes)).array(count)
        Errors of the ports.
    clear : In(1)
        The ports forget their errors, in the next cycle.
    o : Out(bus_error_layout(config, attributes))
        The first error.
    port : Out(register("BUS_ERROR").field("port").width)
        Number of the port that had it.
    """

    LATENCY = 0

    def __init__(self, *, config: ArrayConfig, count: int, attributes: AxiAttributes = DEFAULT_AXI):
        need_number(self, "count", count, 1, 1 << register("BUS_ERROR").field("port").width)
        self._count = count
        layout = bus_error_layout(config, attributes)
        super().__init__(
            {
                "i": In(layout).array(count),
                "clear": In(1),
                "o": Out(layout),
                "port": Out(register("BUS_ERROR").field("port").width),
            }
        )

    def elaborate(self, platform):
        m = Module()
        lowest, first = Signal(range(self._count)), Signal(range(self._count))
        known = Signal()
        for number in reversed(range(self._count)):
            with m.If(self.i[number].error):
                m.d.comb += lowest.eq(number)
        m.d.comb += [
            self.port.eq(Mux(known, first, lowest)),
            self.o.eq(Array(self.i)[Mux(known, first, lowest)]),
        ]
        with m.If(self.clear):
            m.d.sync += known.eq(0)
        with m.Elif(~known & Cat(error.error for error in self.i).any()):
            m.d.sync += [known.eq(1), first.eq(lowest)]
        return m
