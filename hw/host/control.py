"""What the registers mean: starting lists, their stops, errors, interrupts and counters."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from gscn.array import ArrayConfig
from gscn.axi import BASE_ALIGNMENT_BYTES, DEFAULT_AXI, AxiAttributes
from gscn.control import Queue
from gscn.counters import COUNTER_WIDTH
from gscn.hw.checks import is_bad_address
from gscn.hw.core.list_sequencer import answer_layout, list_layout
from gscn.hw.host.axi_ports import Response, axil_signature
from gscn.hw.host.axil import RegisterFile
from gscn.pass_errors import PASS_ERROR_WIDTH, PassError
from gscn.passes import DESCRIPTOR_BYTES
from gscn.register import REGISTER_WIDTH, Top
from gscn.registers import CONSTANT, NO_PASS, register, reset_values

STICKY_FLAGS = ("saturated", "accumulator_overflow", "nonfinite")
"""Flags of the array, by the names of their fields in STATUS."""
EVENTS = {Top.ARRAY: ("done", "error"), Top.MACHINE: ("done", "error", "stop")}
"""Fields of INTERRUPT_STATUS, from bit 0 on."""


def _field(word: Value, register_name: str, field_name: str) -> Value:
    """Return the bits of a field in a register's word."""
    field = register(register_name).field(field_name)
    return word[field.low : field.low + field.width]


class _Now:
    """What happens in a cycle, as the duties of `Control` tell one another."""

    def __init__(self) -> None:
        self.clear, self.starts, self.running, self.active = Signal(), Signal(), Signal(), Signal()
        """The host clears, or starts; the array has a list; a start is not possible."""
        self.stops, self.stopping = Signal(), Signal()
        """A list is cut off; the array is held in reset for that, not for a clear."""
        self.accepts = Signal()
        self.start_error = Signal(PASS_ERROR_WIDTH)
        bus_failed, fails = Signal(), Signal()
        self.bus_failed, self.fails = bus_failed, fails
        """There was a bus error in the cycle before; something happens that interrupts."""


class _Error:
    """The error that the host may read, in registers."""

    def __init__(self) -> None:
        self.code = Signal(PASS_ERROR_WIDTH)
        self.number = Signal(32, init=NO_PASS)

    def set(self, code, number):
        """Return the assignments."""
        return [self.code.eq(code), self.number.eq(number)]


class Control(wiring.Component):
    """Run array or machine from the host: the registers of `gscn.registers` and what they do.

    A start is kept until the array takes it. A clear holds the array in reset and the managers in
    flush until no burst is under way. So does an error of the array or of a bus, and an abort; but
    then code and pass are kept for the host, the events of before too, and the error interrupts
    when a start is possible again. An accepted start forgets them.

    `STATUS.busy` and `clearing` rise in the cycle in which a start is offered, before the host can
    read them. The counter selected is there when the host can read it, if the array needs at most 2
    cycles to find it.

    A machine's stop interrupts; `answer` is offered in the cycle in which the host answers. What an
    array has not, `first` and `two_queues` of a list, stops and records, is not used with one.

    Timing
    ------
    - Latency: `START_LATENCY` from `axil.wdata` to `start_list.valid`, `clearing`, and to
      `interrupt`, when the host tests it;
      `ANSWER_LATENCY` from `axil.wdata` to `answer.valid`;
      `INTERRUPT_LATENCY` from `accumulator_overflow` to `interrupt`, and of every other event;
      `ENABLE_LATENCY` from `axil.wdata` to `interrupt`, when the host enables it. The registers
      are as late as those of `RegisterFile`.
    - Throughput: that of `RegisterFile`; one start at a time.
    - Combinational: `busy` -> `forget`; `stop` -> `answer.valid`.
    - Reset: no start, no error, no event; outputs 0, but `axil.awready` = 1, `axil.wready` = 1 and
      `axil.arready` = 1.

    Parameters
    ----------
    config
        Digest and sizes that the host can read, address width.
    top
        What is run; "the array" is the machine, if that is.
    attributes
        Address width of the bus.

    Attributes
    ----------
    axil : In(axil_signature())
        The host's port.
    interrupt : Out(1)
        An enabled event is set.
    start_list : Out(stream.Signature(list_layout(config)))
        Lists, to the array.
    busy : In(1)
        Of the array.
    pass_number : In(32)
        Of the array.
    saturated, accumulator_overflow, nonfinite : In(1)
        Of the array.
    array_error : In(PASS_ERROR_WIDTH)
        Code of the array's error, or 0.
    array_error_pass : In(32)
        Number of its pass.
    stop : In(32)
        Number that the host is told; 0: none.
    memory_base : Out(attributes.bus_addr_width(config))
        Where on the bus the array's address 0 lies, from the cycle on in which a start is offered;
        0 if the bus has no more bits of address.
    answer : Out(stream.Signature(answer_layout(config)))
        Its answer, taken at once.
    record_addrs : In(config.addr_width).array(len(Queue))
        Per queue, of the record under way, or of the last one.
    counter_addr : Out(16)
        To the array.
    counter_data : In(COUNTER_WIDTH)
        Of the array.
    clearing : Out(1)
        Hold the array in reset and the managers in flush.
    forget : Out(1)
        The managers forget their errors.
    idle : In(1)
        No burst is under way.
    error, error_write : In(1)
        Of the managers.
    error_resp : In(Response)
        Of the managers.
    error_addr : In(attributes.bus_addr_width(config))
        Of the managers.
    error_port : In(register("BUS_ERROR").field("port").width)
        Number of the manager's port.
    """

    START_LATENCY = RegisterFile.WRITE_LATENCY + 1
    ANSWER_LATENCY = RegisterFile.WRITE_LATENCY
    INTERRUPT_LATENCY = 1
    ENABLE_LATENCY = RegisterFile.WRITE_LATENCY

    def __init__(self, *, config: ArrayConfig, top: Top, attributes: AxiAttributes = DEFAULT_AXI):
        self.config, self.attributes, self._top = config, attributes, top
        self._lists = top is Top.MACHINE
        super().__init__(
            {
                "axil": In(axil_signature()),
                "interrupt": Out(1),
                "start_list": Out(stream.Signature(list_layout(config))),
                "busy": In(1),
                "pass_number": In(32),
                **{flag: In(1) for flag in STICKY_FLAGS},
                "array_error": In(PASS_ERROR_WIDTH),
                "array_error_pass": In(32),
                "stop": In(32),
                "memory_base": Out(attributes.bus_addr_width(config)),
                "answer": Out(stream.Signature(answer_layout(config))),
                "record_addrs": In(config.addr_width).array(len(Queue)),
                "counter_addr": Out(16),
                "counter_data": In(COUNTER_WIDTH),
                "clearing": Out(1),
                "forget": Out(1),
                "idle": In(1),
                "error": In(1),
                "error_write": In(1),
                "error_resp": In(Response),
                "error_addr": In(attributes.bus_addr_width(config)),
                "error_port": In(register("BUS_ERROR").field("port").width),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.registers = registers = RegisterFile(top=self._top)
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

        values = reset_values(self.config, self._top, self.attributes)
        for name in CONSTANT:
            m.d.comb += getattr(registers.driven, name).eq(Const(values[name], REGISTER_WIDTH))
        flags = {flag: getattr(self, flag) for flag in STICKY_FLAGS}
        if self._lists:
            flags["stopped"] = self.stop != 0
            drive("STOP", value=self.stop)
            for queue, addr in zip(Queue, self._records(m, now), strict=True):
                drive(f"RECORD_{queue.name}_LO", value=addr)
                drive(f"RECORD_{queue.name}_HI", value=addr >> REGISTER_WIDTH)
            self._answer(m, registers, now)
        else:
            drive("PASS", value=self.pass_number)
        drive("STATUS", busy=now.active, done=done, bus_error=self.error, **flags)
        drive("ERROR", code=error.code)
        drive("ERROR_PASS", value=error.number)
        drive("BUS_ERROR", write=self.error_write, response=self.error_resp, port=self.error_port)
        drive("BUS_ERROR_ADDR_LO", value=self.error_addr)
        drive("BUS_ERROR_ADDR_HI", value=self.error_addr >> REGISTER_WIDTH)
        drive("INTERRUPT_STATUS", **dict(zip(EVENTS[self._top], events, strict=True)))
        drive("COUNTER_LO", value=self.counter_data)
        drive("COUNTER_HI", value=counter_hi)
        return m

    def _start(self, m, registers, now):
        """Check a start and hold it for the array; hold that in reset after a clear or stop."""
        stored, control = registers.stored, registers.written.CONTROL
        addr = Cat(stored.PASSES_ADDR_LO, stored.PASSES_ADDR_HI)
        count = stored.PASS_COUNT
        first, two_queues = Const(0, 2 * REGISTER_WIDTH), Const(0, 1)
        if self._lists:
            first = Cat(stored.LIST_FIRST_LO, stored.LIST_FIRST_HI)
            two_queues = _field(stored.LIST_ORDER, "LIST_ORDER", "two_queues")
        bad = (
            is_bad_address(addr, self.config)
            | is_bad_address(first, self.config)
            | self._base(m, stored, now)
        )
        end = addr[: self.config.addr_width] + count * DESCRIPTOR_BYTES
        m.d.comb += [
            now.clear.eq(_field(control, "CONTROL", "clear")),
            now.starts.eq(_field(control, "CONTROL", "start") & ~now.clear),
            now.running.eq(self.start_list.valid | self.busy),
            now.active.eq(now.running | self.clearing),
            now.accepts.eq(now.starts & ~now.active & (now.start_error == PassError.NONE)),
            self.forget.eq(now.accepts | (self.clearing & ~now.stopping)),
        ]
        with m.If(now.starts):
            with m.If(now.active):
                m.d.comb += now.start_error.eq(PassError.START_BUSY)
            with m.Elif(bad | (end > 1 << self.config.addr_width)):
                m.d.comb += now.start_error.eq(PassError.START_ADDRESS)
            with m.Elif(count == 0):
                m.d.comb += now.start_error.eq(PassError.START_PASSES)
        with m.If(now.accepts):
            m.d.sync += [
                self.start_list.valid.eq(1),
                self.start_list.p.addr.eq(addr),
                self.start_list.p.places.eq(count),
                self.start_list.p.first.eq(first),
                self.start_list.p.two_queues.eq(two_queues),
            ]
        with m.If(self.start_list.valid & self.start_list.ready):
            m.d.sync += self.start_list.valid.eq(0)
        with m.If(self.clearing & self.idle):
            m.d.sync += [self.clearing.eq(0), now.stopping.eq(0)]
        with m.If(now.clear | now.stops):
            m.d.sync += self.start_list.valid.eq(0)
            m.d.sync += [self.clearing.eq(1), now.stopping.eq(~now.clear)]

    def _base(self, m, stored, now):
        """Keep where memory begins for the list that starts; return whether it must not do so.

        All of the array's addresses must be some of the bus, so that no sum needs another bit.
        """
        base = Cat(stored.MEMORY_BASE_LO, stored.MEMORY_BASE_HI)
        own, width = self.config.addr_width, len(self.memory_base)
        if width == own:
            return base.any()
        with m.If(now.accepts):
            m.d.sync += self.memory_base.eq(base)
        in_last = base[own:width].all() & base[:own].any()
        return base[: ceil_log2(BASE_ALIGNMENT_BYTES)].any() | base[width:].any() | in_last

    def _answer(self, m, registers, now):
        """Hand on the host's answer to a stop."""
        stored, control = registers.stored, registers.written.CONTROL
        addr = Cat(stored.ANSWER_ADDR_LO, stored.ANSWER_ADDR_HI)
        answers = _field(control, "CONTROL", "answer") & (self.stop != 0) & ~now.clear
        m.d.comb += [
            self.answer.valid.eq(answers),
            self.answer.p.anew.eq(_field(control, "CONTROL", "anew")),
            self.answer.p.addr.eq(addr),
        ]
        # Beyond all addresses there is no record to begin anew at.
        with m.If(addr[self.config.addr_width :].any()):
            m.d.comb += self.answer.p.addr.eq(~0)

    def _records(self, m, now):
        """Return the record that each queue is at, or was at before an error."""
        kept = [Signal.like(addr, name=f"{queue.name.lower()}_record")
                for queue, addr in zip(Queue, self.record_addrs, strict=True)]  # fmt: skip
        for own, addr in zip(kept, self.record_addrs, strict=True):
            with m.If(now.clear | (self.clearing & ~now.stopping)):
                m.d.sync += own.eq(0)
            with m.Elif(self.busy & ~self.clearing):
                m.d.sync += own.eq(addr)
        return kept

    def _stop(self, m, registers, now):
        """Say what stops a list; a bus error is a state, of which the beginning counts."""
        aborts = _field(registers.written.CONTROL, "CONTROL", "abort") & now.running
        m.d.sync += now.bus_failed.eq(self.error)
        fails = self._array_fails | self._bus_fails(now) | aborts
        m.d.comb += now.stops.eq(fails & ~self.clearing & ~now.clear)

    @property
    def _array_fails(self):
        """Whether the array has an error."""
        return self.array_error != PassError.NONE

    def _bus_fails(self, now):
        """Return whether a bus error begins."""
        return self.error & ~now.bus_failed

    def _end(self, m, now):
        """Return whether a list is done, and ends now; what a clear or error cuts off does not."""
        was_running, done, ends = Signal(), Signal(), Signal()
        m.d.sync += was_running.eq(now.running & ~now.clear & ~now.stops & ~self.clearing)
        m.d.comb += ends.eq(was_running & ~now.running & ~now.stops & ~self.clearing)
        with m.If(ends):
            m.d.sync += done.eq(1)
        with m.If(now.clear | (now.starts & ~now.active)):
            m.d.sync += done.eq(0)
        return done, ends

    def _keep_error(self, m, now):
        """Keep the last error for the host: of the array, a bus, an abort or a start."""
        error = _Error()
        with m.If(now.clear | (self.clearing & ~now.stopping)):
            m.d.sync += error.set(PassError.NONE, NO_PASS)
        with m.Elif(now.stops):
            # the array still tells of the list before until it has taken a start
            m.d.sync += error.set(PassError.ABORTED, Mux(self.busy, self.pass_number, NO_PASS))
            with m.If(self._array_fails):
                m.d.sync += error.set(self.array_error, self.array_error_pass)
            with m.Elif(self._bus_fails(now)):
                which = Mux(self.error_write, PassError.BUS_WRITE, PassError.BUS_READ)
                m.d.sync += error.code.eq(which)
        with m.Elif(now.starts & (~now.active | (error.code == PassError.NONE))):
            m.d.sync += error.set(now.start_error, NO_PASS)
        return error

    def _interrupt(self, m, registers, now, ends):
        """Return the events; none is lost if it is cleared in the cycle in which it happens."""
        overflow_before = Signal()
        m.d.sync += overflow_before.eq(self.accumulator_overflow)
        m.d.comb += now.fails.eq(
            (self.accumulator_overflow & ~overflow_before)
            | (now.start_error != PassError.NONE)
            | (now.stopping & self.clearing & self.idle)
        )
        causes = {"done": ends, "error": now.fails}
        if self._lists:
            stopped_before = Signal()
            m.d.sync += stopped_before.eq(self.stop != 0)
            causes["stop"] = (self.stop != 0) & ~stopped_before
        events = Signal(len(causes))
        happens = Signal.like(events)
        for name, event in causes.items():
            m.d.comb += _field(happens, "INTERRUPT_STATUS", name).eq(event)
        tested = registers.written.INTERRUPT_TEST
        m.d.sync += events.eq((events & ~registers.written.INTERRUPT_STATUS) | happens | tested)
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
