"""Control: what a clear, an error and a start do, as the host sees it and as the bus does."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Mux, Signal, Value

from formal.checker import Checker
from formal.stand_ins import Free
from gscn.axi import BASE_ALIGNMENT_BYTES
from gscn.hw.host.axil import RegisterFile
from gscn.hw.host.control import Control
from gscn.pass_errors import PassError
from gscn.passes import DESCRIPTOR_BYTES
from gscn.port import ALIGNMENT_BYTES
from gscn.register import REGISTER_WIDTH, Top
from gscn.registers import NO_PASS, register


class ControlChecker(Checker):
    """Follow lists from the start that the host writes to their end, and what cuts them off.

    The host writes anything into any register, and array and managers do anything, at any time.
    A list is cut off by an error of the array or of a bus, and by an abort.
    """

    CLAIMS = {
        "clears": "`clearing` rises in the cycle after a clear or a cut, and falls in the one "
        "after the first in which `idle` is high: then and not before `STATUS.busy` can fall",
        "busy": "`STATUS.busy` is high exactly while a list is offered, the array has one, or "
        "`clearing` is high",
        "starts": "a list is offered, as the registers have it, from the cycle after its start "
        "until it is taken or cut off, and none otherwise; so none from a clear on until a start",
        "forgets": "bus errors are forgotten with a start that is taken, and while a clear is "
        "under way, not with a cut",
        "error": "the error is that of the last cut, or else of the first wrong start, until a "
        "start that is taken; none after a clear",
        "done": "`STATUS.done` rises when a list that was neither cleared nor cut off is over, and "
        "falls with a clear or a start",
        "events": "events stay until the host clears them, but for those that happen meanwhile, "
        "and until a clear; a cut is one when it is over; the interrupt is high with enabled ones",
    }
    STAND_INS = {RegisterFile: Free}

    dut: Control

    def __init__(self, dut: Control, *, top: Top, **options) -> None:
        super().__init__(dut, **options)
        self._top = top

    def describe(self) -> None:
        """State what the host's writes and the array's answers make of the last cycle."""
        dut, m = self.dut, self.m
        (self._registers,) = self.parts[RegisterFile]
        clear, abort, start = (self._written(name) for name in ("clear", "abort", "start"))
        offered, clearing, by_host, bus_error = Signal(), Signal(), Signal(), Signal()
        m.d.sync += bus_error.eq(dut.error)
        busy = offered | dut.busy | clearing
        fails = (dut.array_error != PassError.NONE) | (dut.error & ~bus_error)
        cuts = (fails | (abort & (offered | dut.busy))) & ~clear & ~clearing
        over = clearing & dut.idle
        m.d.sync += [
            clearing.eq(clear | cuts | (clearing & ~dut.idle)),
            by_host.eq(clear | (by_host & ~over)),
        ]
        self.claim("clears", dut.clearing == clearing)
        self.invariant((dut.clearing == clearing) & (clearing | ~by_host))
        self.invariant(self.probe.register_of(dut.error) == bus_error)
        self.claim("busy", self._status("busy") == busy)
        tries = start & ~clear
        wrong, listed = self._list(busy)
        takes = tries & (wrong == PassError.NONE)
        self._starts(takes, listed, offered, clear | cuts)
        clears = clear | (clearing & by_host)
        forgets = dut.forget == (takes | (clearing & by_host))
        self.claim("forgets", forgets)
        self.invariant(forgets)
        self._error(clears, cuts, tries & ~busy, tries, wrong)
        done = self._done(clear, cuts, busy, clearing, tries, offered)
        self._events(clears, done, tries & (wrong != PassError.NONE), over & ~by_host)
        self.reach(over & by_host & bus_error & (dut.start_list.p.addr != 0))

    def _written(self, name: str) -> Value:
        field = register("CONTROL").field(name)
        return self._registers.written.CONTROL[field.low]

    def _status(self, name: str) -> Value:
        return self._registers.driven.STATUS[register("STATUS").field(name).low]

    def _list(self, busy: Value) -> tuple[Value, Value]:
        """Return what is wrong with a start, if it is one, and the list that it starts."""
        width, stored = self.dut.config.addr_width, self._registers.stored
        addr, count = Cat(stored.PASSES_ADDR_LO, stored.PASSES_ADDR_HI), stored.PASS_COUNT
        first, sides = Const(0, 2 * REGISTER_WIDTH), Const(0, 1)
        if self._top is Top.MACHINE:
            first = Cat(stored.LIST_FIRST_LO, stored.LIST_FIRST_HI)
            sides = stored.LIST_ORDER[register("LIST_ORDER").field("two_queues").low]
        base, bus = Cat(stored.MEMORY_BASE_LO, stored.MEMORY_BASE_HI), len(self.dut.memory_base)
        misplaced = Cat(
            base % BASE_ALIGNMENT_BYTES != 0,
            base + (1 << width) > 1 << bus,  # all that the array can address lies on the bus
            (addr % ALIGNMENT_BYTES != 0) | (first % ALIGNMENT_BYTES != 0),
            addr + count * DESCRIPTOR_BYTES > 1 << width,
            (addr >> width != 0) | (first >> width != 0),
        ).any()
        wrong = Mux(
            busy,
            PassError.START_BUSY,
            Mux(misplaced, PassError.START_ADDRESS, Mux(count == 0, PassError.START_PASSES, 0)),
        )
        shape = self.dut.start_list.p.shape()
        listed = Signal(shape, name="listed_now")
        self.m.d.comb += [
            listed.addr.eq(addr),
            listed.places.eq(count),
            listed.first.eq(first),
            listed.two_queues.eq(sides),
        ]
        return wrong, listed

    def _starts(self, takes: Value, listed: Value, offered: Signal, ends: Value) -> None:
        """State what is offered to the array."""
        dut, m = self.dut, self.m
        kept = Signal.like(listed, name="listed")
        stored, base = self._registers.stored, Signal.like(dut.memory_base, name="base")
        m.d.sync += offered.eq((takes | (offered & ~dut.start_list.ready)) & ~ends)
        with m.If(takes):
            m.d.sync += [
                kept.eq(listed),
                base.eq(Cat(stored.MEMORY_BASE_LO, stored.MEMORY_BASE_HI)),
            ]
        same = (Value.cast(dut.start_list.p) == Value.cast(kept)) & (dut.memory_base == base)
        self.claim("starts", (dut.start_list.valid == offered) & (~offered | same))
        self.invariant((dut.start_list.valid == offered) & (~offered | same))

    def _error(self, clears: Value, cuts: Value, first: Value, tries: Value, wrong: Value) -> None:
        """State what `ERROR` and `ERROR_PASS` tell."""
        dut, m = self.dut, self.m
        code, number = Signal(len(dut.array_error)), Signal(REGISTER_WIDTH, init=NO_PASS)
        bus_error = self.probe.register_of(dut.error)
        reached = Mux(dut.busy, dut.pass_number, NO_PASS)
        of_bus = Mux(dut.error_write, PassError.BUS_WRITE, PassError.BUS_READ)
        with m.If(clears):
            m.d.sync += [code.eq(PassError.NONE), number.eq(NO_PASS)]
        with m.Elif(cuts & (dut.array_error != PassError.NONE)):
            m.d.sync += [code.eq(dut.array_error), number.eq(dut.array_error_pass)]
        with m.Elif(cuts):
            m.d.sync += [
                code.eq(Mux(dut.error & ~bus_error, of_bus, PassError.ABORTED)),
                number.eq(reached),
            ]
        with m.Elif(first | (tries & (code == PassError.NONE))):
            m.d.sync += [code.eq(wrong), number.eq(NO_PASS)]
        driven = self._registers.driven
        self.claim("error", (code == driven.ERROR) & (number == driven.ERROR_PASS))

    def _done(
        self,
        clear: Value,
        cuts: Value,
        busy: Value,
        clearing: Signal,
        tries: Value,
        offered: Signal,
    ) -> Value:
        """State what `STATUS.done` tells; return whether a list is over in this cycle."""
        dut, m = self.dut, self.m
        has_list, had_list, done = offered | dut.busy, Signal(), Signal()
        m.d.sync += had_list.eq(has_list & ~clear & ~cuts & ~clearing)
        over = had_list & ~busy & ~cuts
        m.d.sync += done.eq((done | over) & ~clear & ~(tries & ~busy))
        self.invariant(self.probe.signal("was_running") == had_list)
        self.claim("done", self._status("done") == done)
        return over

    def _events(self, clears: Value, done: Value, refused: Value, cut: Value) -> None:
        """State what interrupts."""
        dut, m, registers = self.dut, self.m, self._registers
        overflow, stop = Signal(), Signal()
        m.d.sync += [overflow.eq(dut.accumulator_overflow), stop.eq(dut.stop != 0)]
        happens = {
            "done": done,
            "error": refused | cut | (dut.accumulator_overflow & ~overflow),
        }
        if self._top is Top.MACHINE:
            happens["stop"] = (dut.stop != 0) & ~stop
            self.invariant(self.probe.signal("stopped_before") == stop)
        self.invariant(self.probe.signal("overflow_before") == overflow)
        told, enabled = [], []
        for name, event in happens.items():
            place = register("INTERRUPT_STATUS").field(name).low
            there = Signal(name=f"{name}_there")
            cleared = registers.written.INTERRUPT_STATUS[place]
            tested = registers.written.INTERRUPT_TEST[place]
            m.d.sync += there.eq(((there & ~cleared) | event | tested) & ~clears)
            told.append(registers.driven.INTERRUPT_STATUS[place] == there)
            enabled.append(there & registers.stored.INTERRUPT_ENABLE[place])
        self.claim("events", Cat(told).all() & (dut.interrupt == Cat(enabled).any()))
