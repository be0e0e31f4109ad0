"""A pass begins only after its record was found good, and its state is written only if told so."""

from __future__ import annotations

from amaranth.hdl import Signal

from formal.checker import Checker
from formal.stand_ins import Free
from gscn.hw.encode.encode_walk import EncodeWalk
from gscn.hw.encode.front import EncodeFront
from gscn.hw.encode.record import EncodeRecord
from gscn.hw.encode.record_machine import RecordMachine
from gscn.hw.encode.record_program import Entry


class EncodeFrontChecker(Checker):
    """Follow a record through all that is done with it.

    The memory of the record, the machine that looks at it and the walk do anything, at any time.
    Assumed: a pass is not told to finish and to be given up at once.
    """

    CLAIMS = {
        "taken": "a record is taken exactly while there is none, and there is one until it is "
        "found bad, given up, or its state is in memory",
        "read": "a record is read once, where it lies, then its state where it says, and that "
        "only of a good one",
        "looked": "the machine looks at what is there, once: at the record when all of it is, at "
        "the state likewise, and at its end when the pass is finished",
        "begin": "a pass begins once, when its record was found good and its state was read",
        "send": "the state is written once, of a finished pass, when all of it is made",
        "error": "the error is what the machine finds in the record, until the next one",
        "walk": "the walk starts with the pass",
    }
    STAND_INS = {EncodeRecord: Free, RecordMachine: Free, EncodeWalk: Free}

    STAGES = ("IDLE", "RECORD", "CHECK", "STATE", "OPEN", "PASS", "CLOSE", "SEND")

    dut: EncodeFront

    def describe(self) -> None:
        """State at which stage a pass is."""
        dut, m = self.dut, self.m
        (record,), (machine,) = self.parts[EncodeRecord], self.parts[RecordMachine]
        (walk,) = self.parts[EncodeWalk]
        self.assume(~(dut.finish & dut.give_up))
        stage = Signal(range(len(self.STAGES)))
        at = {name: stage == number for number, name in enumerate(self.STAGES)}
        goes = {
            "IDLE": dut.start.valid,
            "RECORD": record.filled,
            "CHECK": machine.done,
            "STATE": record.filled,
            "OPEN": machine.done,
            "PASS": dut.finish,
            "CLOSE": machine.done,
            "SEND": record.written,
        }
        bad = at["CHECK"] & machine.done & (machine.error != 0)
        ends = bad | (at["PASS"] & dut.give_up)
        moves = Signal()
        for name, condition in goes.items():
            with m.If(at[name]):
                m.d.comb += moves.eq(condition)
        with m.If(ends):
            m.d.sync += stage.eq(0)
        with m.Elif(moves):
            m.d.sync += stage.eq(stage + 1)
        error = Signal.like(dut.error)
        with m.If(at["IDLE"] & dut.start.valid):
            m.d.sync += error.eq(0)
        with m.Elif(bad):
            m.d.sync += error.eq(machine.error)
        good = at["CHECK"] & machine.done & (machine.error == 0)
        takes = at["IDLE"] & dut.start.valid
        self.claim("taken", (dut.start.ready == at["IDLE"]) & (dut.busy == ~at["IDLE"]))
        self.claim(
            "read",
            (record.start == (takes | good))
            & (~takes | ((record.addr == dut.start.p.addr) & ~record.of_state))
            & (~good | ((record.addr == dut.settings.state_addr) & record.of_state)),
        )
        entry = [
            (at["RECORD"] & record.filled, Entry.CHECK),
            (at["STATE"] & record.filled, Entry.OPEN),
            (at["PASS"] & dut.finish, Entry.CLOSE),
        ]
        looks = entry[0][0] | entry[1][0] | entry[2][0]
        right = [~condition | (machine.entry == name) for condition, name in entry]
        self.claim("looked", (machine.start == looks) & right[0] & right[1] & right[2])
        self.claim("begin", dut.begin == (at["OPEN"] & machine.done))
        self.claim("send", record.send == (at["CLOSE"] & machine.done))
        self.claim("error", dut.error == error)
        self.claim("walk", walk.start == dut.begin)
        for name, condition in self.probe.states().items():
            self.invariant(condition == at[name])
        self.invariant(at["IDLE"] | (error == 0))
        self.reach(at["SEND"] & record.written & (error == 0))
