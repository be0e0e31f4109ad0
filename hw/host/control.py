"""What the registers mean: starting phases, errors, interrupts and counters."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.config import AcceleratorConfig
from gscn.counters import COUNTER_WIDTH
from gscn.error_codes import ERROR_WIDTH, NO_JOB, NO_PHASE, ErrorCode
from gscn.hw.checks import first_error, is_bad_address
from gscn.hw.core.dispatcher import start_layout
from gscn.hw.core.sequencer import list_layout, phase_checks
from gscn.hw.host.axi_ports import Response, axil_signature
from gscn.hw.host.axil import RegisterFile
from gscn.registers import ID_VALUE, REGISTER_WIDTH, VERSION_VALUE, register

STICKY_FLAGS = ("saturated", "accumulator_overflow", "nonfinite")
"""Flags of the core, by the names of their fields in STATUS."""


class Control(wiring.Component):
    """Run the core from the host: the registers of `gscn.registers` and what they do.

    A start is kept until the core takes it. A clear holds the core in reset and the manager in
    flush until no burst is under way. So does an error of the core or of a bus, and an abort; but
    then code, job and phase are kept for the host, the events of before too, and the error
    interrupts when a start is possible again. An accepted start forgets them.

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
        start_list: lists of phases, to the core; never both.
        busy, phase, saturated, accumulator_overflow, nonfinite: of the core.
        core_error, core_error_job, core_error_phase: of the core: code, or 0, and the numbers of
            job and phase.
        counter_addr, counter_data: of the core.
        clearing: hold the core in reset and the manager in flush.
        forget: the manager forgets its error.
        idle: no burst is under way.
        error, error_write, error_resp, error_addr: of the manager.
        error_port: number of the manager's port.
    """

    def __init__(self, *, config: AcceleratorConfig):
        self.config = config
        super().__init__(
            {
                "axil": In(axil_signature()),
                "interrupt": Out(1),
                "start": Out(stream.Signature(start_layout(config))),
                "start_list": Out(stream.Signature(list_layout(config))),
                "busy": In(1),
                "phase": In(32),
                **{flag: In(1) for flag in STICKY_FLAGS},
                "core_error": In(ERROR_WIDTH),
                "core_error_job": In(32),
                "core_error_phase": In(32),
                "counter_addr": Out(16),
                "counter_data": In(COUNTER_WIDTH),
                "clearing": Out(1),
                "forget": Out(1),
                "idle": In(1),
                "error": In(1),
                "error_write": In(1),
                "error_resp": In(Response),
                "error_addr": In(config.addr_width),
                "error_port": In(register("BUS_ERROR").field("port").width),
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
        phases_addr = Cat(stored.PHASES_ADDR_LO, stored.PHASES_ADDR_HI)
        clear, starts, running, active = Signal(), Signal(), Signal(), Signal()
        stops, stopping, accepts, by_list = Signal(), Signal(), Signal(), Signal()
        start_error = Signal(ERROR_WIDTH)
        m.d.comb += [
            clear.eq(bit_of(written.CONTROL, "CONTROL", "clear")),
            by_list.eq(~bit_of(written.CONTROL, "CONTROL", "start")),
            starts.eq((~by_list | bit_of(written.CONTROL, "CONTROL", "start_list")) & ~clear),
            running.eq(self.start.valid | self.start_list.valid | self.busy),
            active.eq(running | self.clearing),
            accepts.eq(starts & ~active & (start_error == ErrorCode.NONE)),
            self.forget.eq(accepts | (self.clearing & ~stopping)),
        ]
        of_phase = phase_checks(queue_addr, stored.JOB_COUNT, out_addr, out_end, self.config)
        of_list = (
            (ErrorCode.START_ADDRESS, is_bad_address(phases_addr, self.config)),
            (ErrorCode.START_PHASES, stored.PHASE_COUNT == 0),
        )
        with m.If(starts):
            with m.If(active):
                m.d.comb += start_error.eq(ErrorCode.START_BUSY)
            with m.Elif(by_list):
                m.d.comb += start_error.eq(first_error(m, of_list))
            with m.Else():
                m.d.comb += start_error.eq(first_error(m, of_phase))
        with m.If(accepts):
            m.d.sync += [
                self.start.valid.eq(~by_list),
                self.start_list.valid.eq(by_list),
                self.start_list.p.phases_addr.eq(phases_addr),
                self.start_list.p.phase_count.eq(stored.PHASE_COUNT),
                self.start.p.queue_addr.eq(queue_addr),
                self.start.p.job_count.eq(stored.JOB_COUNT),
                self.start.p.out_addr.eq(out_addr),
                self.start.p.out_end.eq(out_end),
            ]
        with m.If(self.start.valid & self.start.ready):
            m.d.sync += self.start.valid.eq(0)
        with m.If(self.start_list.valid & self.start_list.ready):
            m.d.sync += self.start_list.valid.eq(0)
        with m.If(self.clearing & self.idle):
            m.d.sync += [self.clearing.eq(0), stopping.eq(0)]
        with m.If(clear | stops):
            m.d.sync += [self.start.valid.eq(0), self.start_list.valid.eq(0)]
            m.d.sync += [self.clearing.eq(1), stopping.eq(~clear)]

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
        phase = Signal(32, init=NO_PHASE)
        with m.If(clear | (self.clearing & ~stopping)):
            m.d.sync += [code.eq(ErrorCode.NONE), job.eq(NO_JOB), phase.eq(NO_PHASE)]
        with m.Elif(stops):
            m.d.sync += [code.eq(ErrorCode.ABORTED), job.eq(NO_JOB)]
            # the core still tells of the list before until it has taken a start
            m.d.sync += phase.eq(Mux(self.busy, self.phase, NO_PHASE))
            with m.If(core_fails):
                m.d.sync += [code.eq(self.core_error), job.eq(self.core_error_job)]
                m.d.sync += phase.eq(self.core_error_phase)
            with m.Elif(bus_fails):
                m.d.sync += code.eq(Mux(self.error_write, ErrorCode.BUS_WRITE, ErrorCode.BUS_READ))
        with m.Elif(starts & (~active | (code == ErrorCode.NONE))):
            m.d.sync += [code.eq(start_error), job.eq(NO_JOB), phase.eq(NO_PHASE)]

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
        drive("ERROR_PHASE", value=phase)
        drive("PHASE", value=self.phase)
        drive("BUS_ERROR", write=self.error_write, response=self.error_resp, port=self.error_port)
        drive("BUS_ERROR_ADDR_LO", value=self.error_addr)
        drive("BUS_ERROR_ADDR_HI", value=self.error_addr >> REGISTER_WIDTH)
        drive("INTERRUPT_STATUS", done=events[0], error=events[1])
        drive("COUNTER_LO", value=self.counter_data)
        drive("COUNTER_HI", value=counter_hi)
        return m
