"""What the registers mean: starting phases, errors, interrupts and counters."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.config import ALIGNMENT_BYTES, AcceleratorConfig
from gscn.counters import COUNTER_WIDTH
from gscn.error_codes import ERROR_WIDTH, NO_JOB, ErrorCode
from gscn.registers import ID_VALUE, REGISTER_WIDTH, VERSION_VALUE, register
from hw.axi_ports import Response, axil_signature
from hw.axil import RegisterFile
from hw.dispatcher import start_layout

STICKY_FLAGS = ("saturated", "accumulator_overflow", "nonfinite")
"""Flags of the core, by the names of their fields in STATUS."""


class Control(wiring.Component):
    """Run the core from the host: the registers of `gscn.registers` and what they do.

    A start is kept until the core takes it. A clear holds the core in reset and the manager in
    flush until no burst is under way. So does an error of the core or of a bus, and an abort; but
    then code and job are kept for the host, the events of before too, and the error interrupts when
    a start is possible again. An accepted start forgets them.

    Timing: as `RegisterFile`; a start is offered to the core one cycle after CONTROL was written,
    `STATUS.busy` and `clearing` rise in that cycle too, before the host can read them. The counter
    selected is there when the host can read it, if the core needs at most 2 cycles to find it. The
    interrupt follows its event by one cycle.

    Parameters
    ----------
        config: digest, address width.

    Members:
        axil: the host's port.
        interrupt: an enabled event is set.
        start: phases, to the core.
        busy, saturated, accumulator_overflow, nonfinite: of the core.
        core_error, core_error_job: of the core: code, or 0, and the job's number.
        counter_addr, counter_data: of the core.
        clearing: hold the core in reset and the manager in flush.
        forget: the manager forgets its error.
        idle: no burst is under way.
        error, error_write, error_resp, error_addr: of the manager.
    """

    def __init__(self, *, config: AcceleratorConfig):
        self.config = config
        super().__init__(
            {
                "axil": In(axil_signature()),
                "interrupt": Out(1),
                "start": Out(stream.Signature(start_layout(config))),
                "busy": In(1),
                **{flag: In(1) for flag in STICKY_FLAGS},
                "core_error": In(ERROR_WIDTH),
                "core_error_job": In(32),
                "counter_addr": Out(16),
                "counter_data": In(COUNTER_WIDTH),
                "clearing": Out(1),
                "forget": Out(1),
                "idle": In(1),
                "error": In(1),
                "error_write": In(1),
                "error_resp": In(Response),
                "error_addr": In(config.addr_width),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.registers = registers = RegisterFile()
        wiring.connect(m, wiring.flipped(self.axil), registers.axil)
        stored, written = registers.stored, registers.written

        def bit_of(word, register_name, field_name):
            field = register(register_name).field(field_name)
            return word[field.low : field.low + field.width]

        def drive(register_name, **fields):
            """Drive a register from its fields; those not named are zero."""
            value = getattr(registers.driven, register_name)
            for name, source in fields.items():
                m.d.comb += bit_of(value, register_name, name).eq(source)

        # -- start and clear
        queue_addr = Cat(stored.QUEUE_ADDR_LO, stored.QUEUE_ADDR_HI)
        out_addr = Cat(stored.OUTPUT_ADDR_LO, stored.OUTPUT_ADDR_HI)
        out_end = Cat(stored.OUTPUT_END_LO, stored.OUTPUT_END_HI)
        aligned = ALIGNMENT_BYTES.bit_length() - 1
        bad_range = (
            out_addr[:aligned].any()
            | out_end[:aligned].any()
            | (out_addr > out_end)
            | (out_end > 1 << self.config.addr_width)
        )
        clear, starts, running, active = Signal(), Signal(), Signal(), Signal()
        stops, stopping, accepts = Signal(), Signal(), Signal()
        start_error = Signal(ErrorCode)
        m.d.comb += [
            clear.eq(bit_of(written.CONTROL, "CONTROL", "clear")),
            starts.eq(bit_of(written.CONTROL, "CONTROL", "start") & ~clear),
            running.eq(self.start.valid | self.busy),
            active.eq(running | self.clearing),
            accepts.eq(starts & ~active & (start_error == ErrorCode.NONE)),
            self.forget.eq(accepts | (self.clearing & ~stopping)),
        ]
        with m.If(starts):
            with m.If(active):
                m.d.comb += start_error.eq(ErrorCode.START_BUSY)
            with m.Elif(queue_addr[:aligned].any() | queue_addr[self.config.addr_width :].any()):
                m.d.comb += start_error.eq(ErrorCode.START_ADDRESS)
            with m.Elif(stored.JOB_COUNT == 0):
                m.d.comb += start_error.eq(ErrorCode.START_JOBS)
            with m.Elif(bad_range):
                m.d.comb += start_error.eq(ErrorCode.START_RANGE)
        with m.If(accepts):
            m.d.sync += [
                self.start.valid.eq(1),
                self.start.p.queue_addr.eq(queue_addr),
                self.start.p.job_count.eq(stored.JOB_COUNT),
                self.start.p.out_addr.eq(out_addr),
                self.start.p.out_end.eq(out_end),
            ]
        with m.If(self.start.valid & self.start.ready):
            m.d.sync += self.start.valid.eq(0)
        with m.If(self.clearing & self.idle):
            m.d.sync += [self.clearing.eq(0), stopping.eq(0)]
        with m.If(clear | stops):
            m.d.sync += [self.start.valid.eq(0), self.clearing.eq(1), stopping.eq(~clear)]

        # -- what stops a phase; a bus error is a state, of which the beginning counts
        bus_failed, fails = Signal(), Signal()
        aborts = bit_of(written.CONTROL, "CONTROL", "abort") & running
        bus_fails = self.error & ~bus_failed
        core_fails = self.core_error != ErrorCode.NONE
        m.d.sync += bus_failed.eq(self.error)
        m.d.comb += stops.eq((core_fails | bus_fails | aborts) & ~self.clearing & ~clear)

        # -- end of a phase; what a clear or error cuts off has no end
        was_running, done, ends = Signal(), Signal(), Signal()
        m.d.sync += was_running.eq(running & ~clear & ~stops & ~self.clearing)
        m.d.comb += ends.eq(was_running & ~running & ~stops & ~self.clearing)
        with m.If(ends):
            m.d.sync += done.eq(1)
        with m.If(clear | (starts & ~active)):
            m.d.sync += done.eq(0)

        # -- errors
        code = Signal(ERROR_WIDTH)
        job = Signal(32, init=NO_JOB)
        with m.If(clear | (self.clearing & ~stopping)):
            m.d.sync += [code.eq(ErrorCode.NONE), job.eq(NO_JOB)]
        with m.Elif(stops):
            m.d.sync += [code.eq(ErrorCode.ABORTED), job.eq(NO_JOB)]
            with m.If(core_fails):
                m.d.sync += [code.eq(self.core_error), job.eq(self.core_error_job)]
            with m.Elif(bus_fails):
                m.d.sync += code.eq(Mux(self.error_write, ErrorCode.BUS_WRITE, ErrorCode.BUS_READ))
        with m.Elif(starts & (~active | (code == ErrorCode.NONE))):
            m.d.sync += [code.eq(start_error), job.eq(NO_JOB)]

        # -- interrupts: an event is not lost if it is cleared in the cycle in which it happens
        overflow_before = Signal()
        m.d.sync += overflow_before.eq(self.accumulator_overflow)
        m.d.comb += fails.eq(
            (self.accumulator_overflow & ~overflow_before)
            | (start_error != ErrorCode.NONE)
            | (stopping & self.clearing & self.idle)
        )
        events = Signal(2)
        event_bits = {"done": ends, "error": fails}
        happens = Signal.like(events)
        for name, event in event_bits.items():
            m.d.comb += bit_of(happens, "INTERRUPT_STATUS", name).eq(event)
        m.d.sync += events.eq((events & ~written.INTERRUPT_STATUS) | happens)
        with m.If(clear | (self.clearing & ~stopping)):
            m.d.sync += events.eq(0)
        m.d.comb += self.interrupt.eq((events & stored.INTERRUPT_ENABLE).any())

        # -- counters: the upper half is that of the moment when the lower one was read
        counter_hi = Signal(REGISTER_WIDTH)
        m.d.comb += self.counter_addr.eq(stored.COUNTER_SELECT)
        with m.If(registers.read.COUNTER_LO):
            m.d.sync += counter_hi.eq(self.counter_data >> REGISTER_WIDTH)

        digest = Const(int(self.config.digest(), 16), 2 * REGISTER_WIDTH)
        drive("ID", value=ID_VALUE)
        drive("VERSION", minor=VERSION_VALUE & 0xFFFF, major=VERSION_VALUE >> 16)
        drive("CONFIG_DIGEST_LO", value=digest[:REGISTER_WIDTH])
        drive("CONFIG_DIGEST_HI", value=digest[REGISTER_WIDTH:])
        flags = {flag: getattr(self, flag) for flag in STICKY_FLAGS}
        drive("STATUS", busy=active, done=done, bus_error=self.error, **flags)
        drive("ERROR", code=code)
        drive("ERROR_JOB", value=job)
        drive("BUS_ERROR", write=self.error_write, response=self.error_resp)
        drive("BUS_ERROR_ADDR_LO", value=self.error_addr)
        drive("BUS_ERROR_ADDR_HI", value=self.error_addr >> REGISTER_WIDTH)
        drive("INTERRUPT_STATUS", done=events[0], error=events[1])
        drive("COUNTER_LO", value=self.counter_data)
        drive("COUNTER_HI", value=counter_hi)
        return m
