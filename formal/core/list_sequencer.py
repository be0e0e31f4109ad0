"""Lists begin and end as a whole, the host is told of one stop at a time, an error ends all."""

from __future__ import annotations

from amaranth.hdl import Cat, Mux, Signal, Value

from formal.checker import Checker
from formal.stand_ins import Free
from gscn.control import Queue
from gscn.hw.core.list_queue import ListQueue
from gscn.hw.core.list_sequencer import ListSequencer
from gscn.hw.port.arbiter import ReadArbiter
from gscn.hw.port.write_merger import WriteMerger
from gscn.passes import DESCRIPTOR_BYTES


class ListSequencerChecker(Checker):
    """Follow a list from its start, by way of stops and of errors, to its end.

    The queues do anything that is proved of `ListQueue`, and the memory port does anything.
    Assumed: a queue begins no record while held or over; it tells of a stop only while it is busy,
    of one that the host knows of until the answer, of another until it is cancelled; it stays
    failed, with an error that is not 0.
    """

    CLAIMS = {
        "busy": "a list is taken exactly while none is under way; it is over when both queues are "
        "and neither has a record, unless there was an error: then never",
        "begins": "both queues begin a list in the cycle after it is taken or after the last "
        "record ends that a new begin waits for; then no record is under way and none begins",
        "list": "both queues have the list taken last, and its order",
        "first": "a list begins at its first record; anew at the one that the host says, or at one "
        "before that had not ended",
        "hold": "no record begins after an error, nor from the host's answer to the new begin",
        "stop": "the host is told of one stop at a time, unchanged until it answers; the "
        "answer goes to whose stop it is",
        "error": "the error, and its address, is that of the queue that failed first, told when "
        "neither has a record; it stays",
        "units": "a pass goes to the unit of its queue, one at a time, with its list",
    }
    STAND_INS = {ListQueue: Free, ReadArbiter: Free, WriteMerger: Free}

    dut: ListSequencer

    def describe(self) -> None:
        """State how far a list is."""
        dut, m, probe = self.dut, self.m, self.probe
        queues = self._queues = self.parts[ListQueue]
        self._assume()
        takes = dut.start.valid & dut.start.ready
        answers = dut.answer.valid & dut.answer.ready
        idle = ~Cat(queue.busy for queue in queues).any()
        failed = Cat(queue.failed for queue in queues).any()
        over = Cat(queue.over for queue in queues).all()

        # -- the list under way
        runs, begins, waits = Signal(), Signal(), Signal()
        anew = waits & idle & ~failed
        with m.If(takes):
            m.d.sync += runs.eq(1)
        with m.Elif(over & idle & ~begins & ~waits & ~failed):
            m.d.sync += runs.eq(0)
        with m.If(answers & dut.answer.p.anew):
            m.d.sync += waits.eq(1)
        with m.Elif(anew):
            m.d.sync += waits.eq(0)
        m.d.sync += begins.eq(takes | anew)
        self.claim("busy", (dut.busy == runs) & (dut.start.ready == ~runs))
        self.claim("begins", self._both(lambda q: q.start == begins) & (~begins | idle))
        self.claim("hold", self._both(lambda q: q.hold == (begins | waits | failed)))
        self._claim_list(takes, anew, answers)
        self._claim_stops(answers, waits | failed)
        self._claim_errors(failed, idle)
        self.claim("units", self._join_units())
        self.invariant(dut.busy == runs)
        self.invariant(probe.signal("begins") == begins)
        self.invariant(probe.signal("anew") == waits)
        self.invariant(runs | ~(begins | waits | failed | ~idle))
        self.invariant(~begins | idle)
        self.invariant(~(begins & waits))
        self.reach(begins & runs & self.delayed(anew, 1, name="again"))

    def _both(self, condition) -> Value:
        """Return whether something holds of both queues."""
        return Cat(condition(queue) for queue in self._queues).all()

    def _assume(self) -> None:
        """Assume of the queues what is proved of them."""
        for number, queue in enumerate(self._queues):
            may = self.delayed(~queue.hold & ~queue.over & self.dut.busy, 1, name=f"may{number}")
            was_busy = self.delayed(queue.busy, 1, name=f"busy{number}")
            was_failed = self.delayed(queue.failed, 1, name=f"failed{number}")
            stop = self.delayed(queue.stop, 1, name=f"stop{number}")
            stays = (queue.stop != 0) & (queue.told | ~queue.cancel) & ~queue.answered
            told = self.delayed(stays, 1, name=f"told{number}")
            self.assume(~queue.busy | was_busy | may)
            self.assume(~queue.failed | was_failed | was_busy | may)
            self.assume(~was_failed | queue.failed)
            self.assume(~queue.failed | (~queue.busy & (queue.error != 0)))
            self.assume((queue.stop == 0) | queue.busy)
            self.assume(~told | (queue.stop == stop))
            error = Cat(queue.error, queue.addr)
            before = self.delayed(error, 1, name=f"error{number}")
            self.assume(~was_failed | (error == before))

    def _claim_list(self, takes: Value, anew: Value, answers: Value) -> None:
        """Claim which list the queues have, and from where on."""
        dut, m = self.dut, self.m
        start = dut.start.p
        begin, end = Signal(len(start.addr)), Signal(len(start.addr) + 1)
        in_order = Signal()
        said = Signal(len(start.first) + 1)
        with m.If(takes):
            m.d.sync += [
                begin.eq(start.addr),
                end.eq(start.addr + start.places * DESCRIPTOR_BYTES),
                in_order.eq(~start.two_queues),
            ]
        with m.If(answers & dut.answer.p.anew):
            m.d.sync += said.eq(dut.answer.p.addr)
        firsts = []
        for number, queue in enumerate(self._queues):
            first = Signal(len(said), name=f"first{number}")
            with m.If(takes):
                m.d.sync += first.eq(start.first)
            with m.Elif(anew):
                m.d.sync += first.eq(Mux(queue.back < said, queue.back, said))
            firsts.append(queue.first == first)
        self.claim(
            "list",
            self._both(
                lambda q: (
                    (q.list_range.begin == begin)
                    & (q.list_range.end == end)
                    & (q.in_order == in_order)
                )
            ),
        )
        self.claim("first", Cat(firsts).all())
        self.invariant(self.probe.signal("first") == said)

    def _claim_stops(self, answers: Value, stopping: Value) -> None:
        """Claim whose stop the host is told."""
        dut, m = self.dut, self.m
        encode, array = self._queues
        told, whose, number = Signal(), Signal(), Signal(32)
        waiting = Cat(queue.stop != 0 for queue in self._queues)
        with m.If(answers):
            m.d.sync += told.eq(0)
        with m.Elif(~told & waiting.any() & ~stopping):
            m.d.sync += [
                told.eq(1),
                whose.eq(~waiting[Queue.ENCODE]),
                number.eq(Mux(waiting[Queue.ENCODE], encode.stop, array.stop)),
            ]
        knows = [told & ~whose, told & whose]
        self.claim(
            "stop",
            (dut.stop == Mux(told, number, 0))
            & (dut.answer.ready == told)
            & Cat(
                (queue.told == one) & (queue.answered == (one & answers))
                for queue, one in zip(self._queues, knows, strict=True)
            ).all(),
        )
        self.invariant(self.probe.signal("told") == told)
        self.invariant(self.probe.signal("teller") == whose)
        at_hand = Mux(whose, array.stop, encode.stop)
        self.invariant(~told | ((number != 0) & (at_hand == number)))

    def _claim_errors(self, failed: Value, idle: Value) -> None:
        """Claim which error is told."""
        dut, m = self.dut, self.m
        encode, array = self._queues
        known, whose, tells = Signal(), Signal(), Signal()
        first = Mux(known, whose, ~encode.failed)  # of two in one cycle the encode unit's
        with m.If(failed & ~known):
            m.d.sync += [known.eq(1), whose.eq(first)]
        with m.If(failed & idle):
            m.d.sync += tells.eq(1)
        error, addr = (
            Mux(first, getattr(array, name), getattr(encode, name)) for name in ("error", "addr")
        )
        self.claim(
            "error",
            Mux(tells, (dut.error == error) & (dut.error_addr == addr), dut.error == 0),
        )
        self.invariant(self.probe.signal("known") == known)
        self.invariant(self.probe.signal("which") == whose)
        self.invariant(~known | Mux(whose, array.failed, encode.failed))
        self.invariant(~tells | (known & failed & idle))

    def _join_units(self) -> Value:
        """Return whether passes and units are joined."""
        dut = self.dut
        encode, array = self._queues
        passes = dut.start_array
        return (
            (dut.start_encode.valid == encode.o_record.valid)
            & (encode.o_record.ready == dut.start_encode.ready)
            & (dut.start_encode.p.as_value() == encode.o_record.p.as_value())
            & (passes.valid == array.o_record.valid)
            & (array.o_record.ready == passes.ready)
            & (passes.p.addr == array.o_record.p.addr)
            & (passes.p.count == 1)
            & (passes.p.list_range == array.o_record.p.list_range)
            & (encode.unit_busy == dut.encode_busy)
            & (encode.unit_error == dut.encode_error)
            & (array.unit_busy == dut.array_busy)
            & (array.unit_error == dut.array_error)
        )
