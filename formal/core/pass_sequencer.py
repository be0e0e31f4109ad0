"""Every pass of a list is started once, in order, with its descriptor as memory has it."""

from __future__ import annotations

from amaranth.asserts import AnySeq
from amaranth.hdl import Module, Mux, Signal, Value

from formal.checker import Checker
from formal.stand_ins import Free
from gscn.hw.core.pass_checker import PassChecker
from gscn.hw.core.pass_sequencer import PassSequencer
from gscn.passes import DESCRIPTOR_BYTES


class AnyVerdict(Free):
    """A `PassChecker` that says anything about a descriptor, at any time after it was given it."""

    def __init__(self, checker: PassChecker):
        super().__init__(checker)
        self.waits = Signal()
        """A descriptor has been given and not been judged."""

    def elaborate(self, platform):
        m = Module()
        says, verdict = Signal(), Signal.like(self.error)
        m.d.comb += [says.eq(AnySeq(1)), verdict.eq(AnySeq(len(verdict)))]
        with m.If(self.start):
            m.d.sync += self.waits.eq(1)
        with m.Elif(self.waits & says):
            m.d.sync += [self.waits.eq(0), self.checked.eq(1), self.error.eq(verdict)]
        with m.If(self.forget):
            m.d.sync += [self.waits.eq(0), self.checked.eq(0)]
        return m


class PassSequencerChecker(Checker):
    """Count the passes of a list and the beats of the descriptor that is being fetched.

    Assumed: lists begin at multiples of 64; memory sends no more beats than it was asked for. What
    the `PassChecker` finds is free, and when: whether it is right is left to its tests.
    """

    CLAIMS = {
        "order": "the bursts asked for are those of the list's descriptors, each once, in order",
        "content": "`d` is the descriptor of the pass started last, from `start` to the next one",
        "none_lost": "passes started and left add up to the list's; `busy` while any is left",
        "number": "`number` is that of the pass started last in its list",
        "flow": "a pass is started in the cycle after it is found good, the one before is over and "
        "`halt` is low",
        "checked": "each descriptor is given to be checked when all of it is there, and only then",
        "refused": "an error is reported in the place of its pass, which is not started",
        "alone": "a list is taken exactly while nothing is left of the one before",
        "held": "a burst that is asked for is held until it is taken",
        "ends": "while `busy` is high, a burst is offered in every cycle, or beats of one are "
        "owed, a verdict is waited for, or a pass runs, starts or is not to start: none is stuck",
    }

    STAND_INS = {PassChecker: AnyVerdict}

    dut: PassSequencer

    def describe(self) -> None:
        """State how the component's counters hang together with those of the checker."""
        dut, m, probe, config = self.dut, self.m, self.probe, self.dut.config
        (verdict,) = self.parts[PassChecker]
        beats = DESCRIPTOR_BYTES // config.mem_bytes
        burst_beats = min(config.burst_beats, max(1, 64 // config.mem_bytes))
        unit = burst_beats * config.mem_bytes

        count, handed = Signal(32), Signal(32)
        base = Signal(config.addr_width)  # of the list
        asked, received = Signal(range(beats + 1)), Signal(range(beats + 1))  # beats
        listed, starts = Signal(), Signal()
        complete = listed & (received == beats)
        idle = ~dut.running & ~dut.start
        there = complete & verdict.checked & idle
        m.d.comb += [
            listed.eq(handed != count),
            starts.eq(there & (verdict.error == 0) & ~dut.halt),
        ]
        takes_list = dut.start_list.valid & dut.start_list.ready
        asks = dut.command.valid & dut.command.ready
        self.assume(dut.start_list.p.addr % 64 == 0)
        self.assume(~dut.data_valid | (received < asked))
        with m.If(takes_list):
            m.d.sync += [
                count.eq(dut.start_list.p.count),
                base.eq(dut.start_list.p.addr),
                handed.eq(0),
            ]
        with m.Elif(starts):
            m.d.sync += handed.eq(handed + 1)
        with m.If(takes_list | starts):
            m.d.sync += [asked.eq(0), received.eq(0)]
        with m.Else():
            m.d.sync += [
                asked.eq(asked + Mux(asks, burst_beats, 0)),
                received.eq(received + dut.data_valid),
            ]

        addr = Signal(config.addr_width)
        m.d.comb += addr.eq(base + DESCRIPTOR_BYTES * handed + config.mem_bytes * asked)
        next_burst = (
            listed
            & (asked + burst_beats <= beats)
            & (dut.command.p.addr == addr)
            & (dut.command.p.beats == burst_beats)
        )
        left = probe.signal("left")
        self.claim("order", ~dut.command.valid | next_burst)
        self.claim("none_lost", (handed + left == count) & (dut.busy == (listed | dut.start)))
        self.claim("number", dut.number == (handed - 1)[:32])
        started = self.delayed(starts, 1, name="starts")
        self.claim("flow", dut.start == started)
        self.invariant(dut.start == started)
        last = dut.data_valid & (received == beats - 1) & listed
        self.claim("checked", verdict.start == last)
        self.claim("refused", dut.error == Mux(there, verdict.error, 0))
        self.claim("alone", dut.start_list.ready == (~listed & idle))
        self.claim("held", self.held(dut.command, name="command"))

        verdicts = verdict.start | verdict.waits
        stops = there & (dut.halt | (verdict.error != 0) | starts)
        moves = dut.command.valid | (received < asked) | verdicts | ~idle | stops
        self.claim("ends", ~dut.busy | moves)
        self.invariant(~complete | verdict.waits | verdict.checked)

        bursts_left = (beats - asked)[: len(asked)] // burst_beats
        self.invariant(left == (count - handed)[:32])
        self.invariant(handed <= count)
        self.invariant((asked <= beats) & (asked % burst_beats == 0) & (received <= asked))
        self.invariant(probe.signal("asks") == Mux(listed, bursts_left, 0))
        self.invariant(~listed | (probe.signal("due") == beats - received))
        self.invariant(~listed | (probe.signal("burst") * unit == addr))
        self.invariant(~verdict.waits | (complete & ~verdict.checked))
        self.invariant(~(verdict.checked & listed) | complete)
        self.invariant((base % 64) == 0)
        self._follow_beat(listed, starts, received, beats)
        self.invariant(listed | ((asked == 0) & (received == 0)))
        self.reach(starts & (count == 2) & (handed == 1))

    def _follow_beat(self, listed: Value, starts: Value, received: Value, beats: int) -> None:
        """Claim that one beat of a descriptor, of any place, is kept; it stands for all."""
        dut, m, width = self.dut, self.m, self.dut.config.mem_width
        place = self.any_constant(len(received), name="place")
        self.assume(place < beats)
        fetched, running = Signal(width), Signal(width)
        known = Signal()  # a pass has been started
        with m.If(dut.data_valid & (received == place)):
            m.d.sync += fetched.eq(dut.data)
        with m.If(starts):
            m.d.sync += [running.eq(fetched), known.eq(1)]
        shown = dut.d.as_value().word_select(place, width)
        self.claim("content", ~known | (shown == running))
        at = (beats - received + place)[: len(received)]
        following = self.probe.signal("following").word_select(at, width)
        self.invariant(~(listed & (place < received)) | (following == fetched))
