# amaranth: UnusedElaboratable=no
"""A small machine that acts on orders, behind the buses and registers of the real one."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring

from gscn.encode import EncodeError
from gscn.hw.core.machine import Machine
from gscn.hw.host.machine_axi import MachineAxi

END, STOP, FAIL = range(3)
"""Orders."""


class Obeying(wiring.Component):
    """A machine that does what the first beat of its list says, and writes an answer behind it.

    Byte 0 is an order, bytes 4 to 7 its number: to end, to stop with that number, or to fail at
    that place of the list. Counters tell their index.
    """

    def __init__(self, *, config):
        self.config = config
        super().__init__(Machine(config=config).signature)

    def elaborate(self, platform):
        m = Module()
        given = Signal.like(self.start.p.as_value())
        number, answer = Signal(32), Signal(self.config.addr_width + 1)
        start = type(self.start.p)(self.start.p.shape(), given)
        m.d.comb += [
            self.mem_read_cmd.p.addr.eq(start.addr),
            self.mem_read_cmd.p.beats.eq(1),
            self.mem_write_cmd.p.addr.eq(start.addr + 64),
            self.mem_write_cmd.p.beats.eq(1),
            self.mem_write_data.p.data.eq(answer),
            self.mem_write_data.p.strobe.eq(~0),
            self.record_addrs[0].eq(start.first),
            self.record_addrs[1].eq(start.addr + start.two_queues),
        ]
        m.d.sync += self.counter_data.eq(self.counter_addr)
        with m.FSM() as fsm:
            with m.State("IDLE"):
                m.d.comb += self.start.ready.eq(1)
                with m.If(self.start.valid):
                    m.d.sync += given.eq(self.start.p)
                    m.next = "READ"
            with m.State("READ"):
                m.d.comb += self.mem_read_cmd.valid.eq(1)
                with m.If(self.mem_read_cmd.ready):
                    m.next = "OBEY"
            with m.State("OBEY"), m.If(self.mem_read_data.valid):
                m.d.sync += number.eq(self.mem_read_data.payload[32:64])
                with m.Switch(self.mem_read_data.payload[:8]):
                    with m.Case(END):
                        m.next = "WRITE"
                    with m.Case(STOP):
                        m.next = "STOP"
                    with m.Case(FAIL):
                        m.next = "FAIL"
            with m.State("STOP"):
                m.d.comb += [self.stop.eq(number), self.answer.ready.eq(1)]
                with m.If(self.answer.valid):
                    m.d.sync += answer.eq(self.answer.p.as_value())
                    m.next = "WRITE"
            with m.State("WRITE"):
                m.d.comb += self.mem_write_cmd.valid.eq(1)
                with m.If(self.mem_write_cmd.ready):
                    m.next = "SEND"
            with m.State("SEND"):
                m.d.comb += self.mem_write_data.valid.eq(1)
                with m.If(self.mem_write_data.ready):
                    m.next = "WRITTEN"
            with m.State("WRITTEN"), m.If(self.mem_write_done):
                m.next = "IDLE"
            with m.State("FAIL"):
                m.d.comb += [
                    self.error.eq(EncodeError.ORDER),
                    self.error_addr.eq(start.addr + 256 * number),
                ]
        m.d.comb += self.busy.eq(~fsm.ongoing("IDLE"))
        return m


class ObeyingAxi(MachineAxi):
    """Buses and registers around it."""

    _CORE = Obeying
