"""AXI4-Lite subordinate made from the register map."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gscn.hw.host.axi_ports import Response, axil_signature
from gscn.register import REGISTER_WIDTH, Access, Register, Top
from gscn.registers import registers_of


def stored_of(top: Top) -> tuple[Register, ...]:
    """Return the registers of an array or a machine that keep what is written."""
    return tuple(r for r in registers_of(top) if r.access is Access.READ_WRITE)


def driven_of(top: Top) -> tuple[Register, ...]:
    """Return those whose values come from elsewhere."""
    return tuple(r for r in registers_of(top) if r.access in (Access.READ, Access.CLEAR))


def acting_of(top: Top) -> tuple[Register, ...]:
    """Return those in which what is written acts."""
    return tuple(r for r in registers_of(top) if r.access in (Access.WRITE, Access.CLEAR))


def words(registers: tuple[Register, ...]) -> wiring.Signature:
    """Return a member per register, of its reset value."""
    return wiring.Signature({r.name: Out(REGISTER_WIDTH, init=r.reset or 0) for r in registers})


def pulses(top: Top) -> wiring.Signature:
    """Return a member of one bit per register."""
    return wiring.Signature({r.name: Out(1) for r in registers_of(top)})


class RegisterFile(wiring.Component):
    """Serve reads and writes of the registers of an array or a machine, from `gscn.registers`.

    Address and data of a write may come in any order. An offset that is no register's, or no
    multiple of 4, is answered with SLVERR. Bytes whose strobe is low are not written.

    Timing
    ------
    - Latency: `WRITE_LATENCY` from `axil.awaddr`, `axil.wdata` to `stored`, `written`, with the
      answer; `READ_LATENCY` from `axil.araddr` to `read`, when a value is sampled, to be answered
      in the next cycle.
    - Throughput: one access in two cycles and direction.
    - Combinational: `axil.rready` -> `read`.
    - Reset: no access, registers at their resets; outputs 0, but `axil.awready` = 1, `axil.wready`
      = 1 and `axil.arready` = 1.

    Parameters
    ----------
    top
        What has the registers.

    Attributes
    ----------
    axil : In(axil_signature())
        The port.
    stored : Out(words(stored_of(top)))
        Read-write registers.
    driven : In(words(driven_of(top)))
        Values of the read-only and the clearable registers.
    written : Out(words(acting_of(top)))
        Write-only and clearable registers: bits written as 1 (for one cycle).
    read : Out(pulses(top))
        Registers being sampled for a read (for one cycle).
    """

    WRITE_LATENCY = 2
    READ_LATENCY = 1

    def __init__(self, *, top: Top):
        self._top = top
        super().__init__(
            {
                "axil": In(axil_signature()),
                "stored": Out(words(stored_of(top))),
                "driven": In(words(driven_of(top))),
                "written": Out(words(acting_of(top))),
                "read": Out(pulses(top)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        axil = self.axil

        # -- writes
        write_addr, write_data = Signal.like(axil.awaddr), Signal.like(axil.wdata)
        write_strobe = Signal.like(axil.wstrb)
        has_addr, has_data, write = Signal(), Signal(), Signal()
        m.d.comb += [
            axil.awready.eq(~has_addr),
            axil.wready.eq(~has_data),
            write.eq(has_addr & has_data & (~axil.bvalid | axil.bready)),
        ]
        with m.If(axil.awvalid & axil.awready):
            m.d.sync += [has_addr.eq(1), write_addr.eq(axil.awaddr)]
        with m.If(axil.wvalid & axil.wready):
            m.d.sync += [has_data.eq(1), write_data.eq(axil.wdata), write_strobe.eq(axil.wstrb)]
        with m.If(axil.bready):
            m.d.sync += axil.bvalid.eq(0)
        m.d.sync += [
            getattr(self.written, register.name).eq(0) for register in acting_of(self._top)
        ]
        mask = Cat(bit.replicate(8) for bit in write_strobe)
        with m.If(write):
            m.d.sync += [has_addr.eq(0), has_data.eq(0), axil.bvalid.eq(1)]
            m.d.sync += axil.bresp.eq(Response.SLVERR)
            with m.Switch(write_addr):
                for register in registers_of(self._top):
                    if not register.writable:
                        continue
                    with m.Case(register.offset):
                        m.d.sync += axil.bresp.eq(Response.OKAY)
                        enabled = mask & register.mask
                        if register.access is Access.READ_WRITE:
                            value = getattr(self.stored, register.name)
                            m.d.sync += value.eq((value & ~enabled) | (write_data & enabled))
                        else:
                            m.d.sync += getattr(self.written, register.name).eq(
                                write_data & enabled
                            )

        # -- reads
        read_addr = Signal.like(axil.araddr)
        has_read, read = Signal(), Signal()
        m.d.comb += [
            axil.arready.eq(~has_read),
            read.eq(has_read & (~axil.rvalid | axil.rready)),
        ]
        with m.If(axil.arvalid & axil.arready):
            m.d.sync += [has_read.eq(1), read_addr.eq(axil.araddr)]
        with m.If(axil.rready):
            m.d.sync += axil.rvalid.eq(0)
        with m.If(read):
            m.d.sync += [has_read.eq(0), axil.rvalid.eq(1)]
            m.d.sync += [axil.rdata.eq(0), axil.rresp.eq(Response.SLVERR)]
            with m.Switch(read_addr):
                for register in registers_of(self._top):
                    if not register.readable:
                        continue
                    source = self.stored if register.access is Access.READ_WRITE else self.driven
                    with m.Case(register.offset):
                        m.d.comb += getattr(self.read, register.name).eq(1)
                        m.d.sync += [
                            axil.rdata.eq(getattr(source, register.name) & register.mask),
                            axil.rresp.eq(Response.OKAY),
                        ]
        return m
