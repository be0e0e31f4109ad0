"""Records of a queue begin one at a time, each when it may, and each ends once."""

from __future__ import annotations

from amaranth.hdl import Cat, Mux, Signal, Value

from formal.checker import Checker, total
from formal.stand_ins import Free
from gscn.encode import EncodeError
from gscn.hw.core.control_runner import ControlRunner
from gscn.hw.core.list_queue import ListQueue
from gscn.hw.core.list_walk import ListWalk


class ListQueueChecker(Checker):
    """Follow each record from where it is found to its end.

    The walk finds anything, and control records do anything. Assumed: a list begins while no record
    is under way and `hold` is high; the walk keeps what it has found, and skips nothing meanwhile;
    a control record has one verdict, an error's code is not 0.
    """

    CLAIMS = {
        "turn": "a record begins exactly when it is found, none is under way, `hold` is low, and, "
        "in order, all records of the other queue before it have ended",
        "offer": "a pass is offered with its address, once, until its unit takes it",
        "control": "a control record is given to be run with its address and the records before "
        "it, once, until its verdict",
        "ended": "`ended` counts each record that has ended, or is passed over, once",
        "failed": "after an error, which is that of the record, nothing is begun, and it stays",
        "busy": "`busy` is high exactly while a record is under way",
        "back": "`back` is the record given up last, else what the walk is at",
    }
    STAND_INS = {ListWalk: Free, ControlRunner: Free}

    dut: ListQueue

    def describe(self) -> None:
        """State where the record at hand is."""
        dut, m = self.dut, self.m
        (walk,), (control,) = self.parts[ListWalk], self.parts[ControlRunner]
        self._assume(walk, control)
        offered, runs, rules, failed = Signal(), Signal(), Signal(), Signal()
        error = Signal(len(dut.error))
        addr, others = Signal.like(dut.addr), Signal(32)
        gave_up, ended = Signal(), Signal(32)
        under_way = offered | runs | rules
        its_turn = ~dut.in_order | (dut.others_ended >= walk.others)
        takes = walk.found & ~under_way & ~failed & ~dut.hold & its_turn
        passes = takes & ~walk.outside & ~walk.control
        begins_control = takes & ~walk.outside & walk.control
        unit_fails = runs & (dut.unit_error != 0)
        unit_ends = runs & ~unit_fails & ~dut.unit_busy
        m.d.sync += [
            offered.eq(passes | (offered & ~dut.o_record.ready)),
            runs.eq((offered & dut.o_record.ready) | (runs & ~unit_fails & ~unit_ends)),
            rules.eq(
                begins_control | (rules & ~control.done & ~control.cancelled & ~control.failed)
            ),
        ]
        with m.If(takes):
            m.d.sync += [addr.eq(walk.addr), others.eq(walk.others)]
        with m.If((takes & walk.outside) | unit_fails | (rules & control.failed)):
            m.d.sync += [
                failed.eq(1),
                error.eq(Mux(takes, EncodeError.LIST, Mux(runs, dut.unit_error, control.error))),
            ]
        with m.If(dut.start):
            m.d.sync += [ended.eq(0), gave_up.eq(0)]
        with m.Else():
            m.d.sync += ended.eq(ended + (unit_ends | (rules & control.done) | walk.skips))
            with m.If(rules & (control.done | control.cancelled)):
                m.d.sync += gave_up.eq(control.cancelled)

        self.claim("turn", walk.take == takes)
        record = dut.o_record
        self.claim(
            "offer",
            (record.valid == offered)
            & (~offered | ((record.p.addr == addr) & (record.p.list_range == dut.list_range))),
        )
        self.claim(
            "control",
            (control.en == rules)
            & (~rules | ((control.addr == addr) & (control.others == others))),
        )
        self.claim("ended", dut.ended == ended)
        self.claim(
            "failed",
            (dut.failed == failed)
            & (~failed | ((dut.error == error) & (dut.addr == addr) & ~under_way)),
        )
        self.claim("busy", dut.busy == under_way)
        self.claim("back", dut.back == Mux(gave_up, addr, walk.addr))
        self._look_inside(offered, runs, rules, failed, error, addr, others, gave_up)
        self.reach(unit_ends & (ended == 2) & dut.in_order)

    def _assume(self, walk: Free, control: Free) -> None:
        """Assume what the walk, control records and the sequencer keep to."""
        dut = self.dut
        self.assume(~dut.start | (~dut.busy & dut.hold))
        found = Cat(walk.addr, walk.control, walk.outside, walk.others)
        waited = self.delayed(walk.found & ~walk.take & ~dut.start, 1, name="found")
        before = self.delayed(found, 1, name="what")
        self.assume(~waited | (walk.found & (found == before)))
        self.assume(~(walk.found & walk.skips))
        verdicts = [control.done, control.cancelled, control.failed]
        self.assume(total(verdicts) <= control.en)
        self.assume(control.error != 0)

    def _look_inside(
        self,
        offered: Value,
        runs: Value,
        rules: Value,
        failed: Value,
        error: Value,
        addr: Value,
        others: Value,
        gave_up: Value,
    ) -> None:
        """Say which state the queue is in, and what it keeps."""
        dut, probe = self.dut, self.probe
        states = probe.states()
        self.invariant(states["OFFER"] == offered)
        self.invariant(states["RUN"] == runs)
        self.invariant(states["CONTROL"] == rules)
        self.invariant(states["FAILED"] == failed)
        self.invariant(states["IDLE"] == ~(offered | runs | rules | failed))
        self.invariant(dut.failed == failed)
        self.invariant(~failed | ((dut.error == error) & (error != 0)))
        self.invariant(dut.addr == addr)
        self.invariant(probe.signal("others") == others)
        self.invariant(probe.signal("given_up") == gave_up)
