"""What the registers mean: starting phases, errors, interrupts and counters."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
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


def _field(word: Value, register_name: str, field_name: str) -> Value:
    """Return the bits of a field in a register's word."""
    field = register(register_name).field(field_name)
    return word[field.low : field.low + field.width]


class _Now:
    """What happens in a cycle, as the duties of `Control` tell one another."""

    def __init__(self) -> None:
        self.clear, self.starts, self.running, self.active = Signal(), Signal(), Signal(), Signal()
        """The host clears, or starts; the core has a phase; a start is not possible."""
        self.stops, self.stopping = Signal(), Signal()
        """A phase is cut off; the core is held in reset for that, not for a clear."""
        self.accepts, self.by_list = Signal(), Signal()
        self.start_error = Signal(ERROR_WIDTH)
        bus_failed, fails = Signal(), Signal()
        self.bus_failed, self.fails = bus_failed, fails
        """There was a bus error in the cycle before; something happens that interrupts."""


class _Error:
    """The error that the host may read, in registers."""

    def __init__(self) -> None:
        self.code = Signal(ERROR_WIDTH)
        self.job = Signal(32, init=NO_JOB)
        self.phase = Signal(32, init=NO_PHASE)

    def set(self, code, job, phase):
        """Return the assignments."""
        return [self.code.eq(code), self.job.eq(job), self.phase.eq(phase)]


class Control(wiring.Component):
    """Run the core from the host: the registers of `gscn.registers` and what they do.

    A start is kept until the core takes it. A clear holds the core in reset and the manager in
    flush until no burst is under way. So does an error of the core or of a bus, and an abort; but
    then code, job and phase are kept for the host, the events of before too, and the error
    interrupts when a start is possible again. An accepted start forgets them.

    `STATUS.busy` and `clearing` rise in the cycle in which a start is offered, before the host can
    read them. The counter selected is there when the host can read it, if the core needs at most 2
    cycles to find it.

    Timing
    ------
    - Latency: `START_LATENCY` from `axil.wdata` to `start.valid`, `start_list.valid`, `clearing`;
      `INTERRUPT_LATENCY` from `accumulator_overflow` to `interrupt`, and of every other event;
      `ENABLE_LATENCY` from `axil.wdata` to `interrupt`, when the host enables it. The registers
      are as late as those of `RegisterFile`.
    - Throughput: that of `RegisterFile`; one start at a time.
    - Combinational: `busy` -> `forget`.
    - Reset: no start, no error, no event; outputs 0, but `axil.awready` = 1, `axil.wready` = 1 and
      `axil.arready` = 1.

    Parameters
    ----------
    config
        Digest, address width.

    Attributes
    ----------
    axil : In(axil_signature())
        The host's port.
    interrupt : Out(1)
        An enabled event is set.
    start : Out(stream.Signature(start_layout(config)))
        Phases, to the core.
    start_list : Out(stream.Signature(list_layout(config)))
        Lists of phases, to the core; never both.
    busy : In(1)
        Of the core.
    phase : In(32)
        Of the core.
    saturated, accumulator_overflow, nonfinite : In(1)
        Of the core.
    core_error : In(ERROR_WIDTH)
        Code of the core's error, or 0.
    core_error_job : In(32)
        Number of its job.
    core_error_phase : In(32)
        Number of its phase.
    counter_addr : Out(16)
        To the core.
    counter_data : In(COUNTER_WIDTH)
        Of the core.
    clearing : Out(1)
        Hold the core in reset and the manager in flush.
    forget : Out(1)
        The manager forgets its error.
    idle : In(1)
        No burst is under way.
    error, error_write : In(1)
        Of the manager.
    error_resp : In(Response)
        Of the manager.
    error_addr : In(config.addr_width)
        Of the manager.
    error_port : In(register("BUS_ERROR").field("port").width)
        Number of the manager's port.
    """

    START_LATENCY = RegisterFile.WRITE_LATENCY + 1
    INTERRUPT_LATENCY = 1
    ENABLE_LATENCY = RegisterFile.WRITE_LATENCY

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
        now = _Now()
        self._start(m, registers, now)
        self._stop(m, registers, now)
        done, ends = self._end(m, now)
        error = self._keep_error(m, now)
        events = self._interrupt(m, registers, now, ends)
        counter_hi = self._count(m, registers)

        def drive(register_name, **fields):
            """Drive a register from its fields; those not named are zero."""
            value = getattr(registers.driven, register_name)
            for name, source in fields.items():
                m.d.comb += _field(value, register_name, name).eq(source)

        digest = Const(int(self.config.digest(), 16), 2 * REGISTER_WIDTH)
        drive("ID", value=ID_VALUE)
        drive("VERSION", minor=VERSION_VALUE & 0xFFFF, major=VERSION_VALUE >> 16)
        drive("CONFIG_DIGEST_LO", value=digest[:REGISTER_WIDTH])
        drive("CONFIG_DIGEST_HI", value=digest[REGISTER_WIDTH:])
        flags = {flag: getattr(self, flag) for flag in STICKY_FLAGS}
        drive("STATUS", busy=now.active, done=done, bus_error=self.error, **flags)
        drive("ERROR", code=error.code)
        drive("ERROR_JOB", value=error.job)
        drive("ERROR_PHASE", value=error.phase)
        drive("PHASE", value=self.phase)
        drive("BUS_ERROR", write=self.error_write, response=self.error_resp, port=self.error_port)
        drive("BUS_ERROR_ADDR_LO", value=self.error_addr)
        drive("BUS_ERROR_ADDR_HI", value=self.error_addr >> REGISTER_WIDTH)
        drive("INTERRUPT_STATUS", done=events[0], error=events[1])
        drive("COUNTER_LO", value=self.counter_data)
        drive("COUNTER_HI", value=counter_hi)
        return m

    def _start(self, m, registers, now):
        """Check a start and hold it for the core; hold the core in reset after a clear or stop."""
        stored, control = registers.stored, registers.written.CONTROL
        queue_addr = Cat(stored.QUEUE_ADDR_LO, stored.QUEUE_ADDR_HI)
        out_addr = Cat(stored.OUTPUT_ADDR_LO, stored.OUTPUT_ADDR_HI)
        out_end = Cat(stored.OUTPUT_END_LO, stored.OUTPUT_END_HI)
        phases_addr = Cat(stored.PHASES_ADDR_LO, stored.PHASES_ADDR_HI)
        m.d.comb += [
            now.clear.eq(_field(control, "CONTROL", "clear")),
            now.by_list.eq(~_field(control, "CONTROL", "start")),
            now.starts.eq((~now.by_list | _field(control, "CONTROL", "start_list")) & ~now.clear),
            now.running.eq(self.start.valid | self.start_list.valid | self.busy),
            now.active.eq(now.running | self.clearing),
            now.accepts.eq(now.starts & ~now.active & (now.start_error == ErrorCode.NONE)),
            self.forget.eq(now.accepts | (self.clearing & ~now.stopping)),
        ]
        of_phase = phase_checks(queue_addr, stored.JOB_COUNT, out_addr, out_end, self.config)
        of_list = (
            (ErrorCode.START_ADDRESS, is_bad_address(phases_addr, self.config)),
            (ErrorCode.START_PHASES, stored.PHASE_COUNT == 0),
        )
        with m.If(now.starts):
            with m.If(now.active):
                m.d.comb += now.start_error.eq(ErrorCode.START_BUSY)
            with m.Elif(now.by_list):
                m.d.comb += now.start_error.eq(first_error(m, of_list))
            with m.Else():
                m.d.comb += now.start_error.eq(first_error(m, of_phase))
        with m.If(now.accepts):
            m.d.sync += [
                self.start.valid.eq(~now.by_list),
                self.start_list.valid.eq(now.by_list),
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
            m.d.sync += [self.clearing.eq(0), now.stopping.eq(0)]
        with m.If(now.clear | now.stops):
            m.d.sync += [self.start.valid.eq(0), self.start_list.valid.eq(0)]
            m.d.sync += [self.clearing.eq(1), now.stopping.eq(~now.clear)]

    def _stop(self, m, registers, now):
        """Say what stops a phase; a bus error is a state, of which the beginning counts."""
        aborts = _field(registers.written.CONTROL, "CONTROL", "abort") & now.running
        m.d.sync += now.bus_failed.eq(self.error)
        fails = self._core_fails | self._bus_fails(now) | aborts
        m.d.comb += now.stops.eq(fails & ~self.clearing & ~now.clear)

    @property
    def _core_fails(self):
        """Whether the core has an error."""
        return self.core_error != ErrorCode.NONE

    def _bus_fails(self, now):
        """Return whether a bus error begins."""
        return self.error & ~now.bus_failed

    def _end(self, m, now):
        """Return whether a phase is done, and ends now; what a clear or error cuts off does not."""
        was_running, done, ends = Signal(), Signal(), Signal()
        m.d.sync += was_running.eq(now.running & ~now.clear & ~now.stops & ~self.clearing)
        m.d.comb += ends.eq(was_running & ~now.running & ~now.stops & ~self.clearing)
        with m.If(ends):
            m.d.sync += done.eq(1)
        with m.If(now.clear | (now.starts & ~now.active)):
            m.d.sync += done.eq(0)
        return done, ends

    def _keep_error(self, m, now):
        """Keep the last error for the host: of the core, a bus, an abort or a start."""
        error = _Error()
        with m.If(now.clear | (self.clearing & ~now.stopping)):
            m.d.sync += error.set(ErrorCode.NONE, NO_JOB, NO_PHASE)
        with m.Elif(now.stops):
            # the core still tells of the list before until it has taken a start
            phase = Mux(self.busy, self.phase, NO_PHASE)
            m.d.sync += error.set(ErrorCode.ABORTED, NO_JOB, phase)
            with m.If(self._core_fails):
                m.d.sync += error.set(self.core_error, self.core_error_job, self.core_error_phase)
            with m.Elif(self._bus_fails(now)):
                which = Mux(self.error_write, ErrorCode.BUS_WRITE, ErrorCode.BUS_READ)
                m.d.sync += error.code.eq(which)
        with m.Elif(now.starts & (~now.active | (error.code == ErrorCode.NONE))):
            m.d.sync += error.set(now.start_error, NO_JOB, NO_PHASE)
        return error

    def _interrupt(self, m, registers, now, ends):
        """Return the events; none is lost if it is cleared in the cycle in which it happens."""
        overflow_before = Signal()
        m.d.sync += overflow_before.eq(self.accumulator_overflow)
        m.d.comb += now.fails.eq(
            (self.accumulator_overflow & ~overflow_before)
            | (now.start_error != ErrorCode.NONE)
            | (now.stopping & self.clearing & self.idle)
        )
        events = Signal(2)
        happens = Signal.like(events)
        for name, event in (("done", ends), ("error", now.fails)):
            m.d.comb += _field(happens, "INTERRUPT_STATUS", name).eq(event)
        m.d.sync += events.eq((events & ~registers.written.INTERRUPT_STATUS) | happens)
        with m.If(now.clear | (self.clearing & ~now.stopping)):
            m.d.sync += events.eq(0)
        m.d.comb += self.interrupt.eq((events & registers.stored.INTERRUPT_ENABLE).any())
        return events

    def _count(self, m, registers):
        """Return a counter's upper half, that of the moment when the lower one was read."""
        counter_hi = Signal(REGISTER_WIDTH)
        m.d.comb += self.counter_addr.eq(registers.stored.COUNTER_SELECT)
        with m.If(registers.read.COUNTER_LO):
            m.d.sync += counter_hi.eq(self.counter_data >> REGISTER_WIDTH)
        return counter_hi
