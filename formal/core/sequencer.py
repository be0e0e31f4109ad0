"""Every phase of a list is handed on once, in order, as its descriptor says."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Mux, Signal, Value
from amaranth.lib import data

from formal.checker import Checker
from gscn import records
from gscn.hw.core.sequencer import Sequencer
from gscn.hw.layouts import PHASE_DESCRIPTOR


class SequencerChecker(Checker):
    """Count the phases of a list and the beats of the descriptor that is being fetched.

    Assumed: lists begin at multiples of 64; memory sends no more beats than it was asked for.
    """

    CLAIMS = {
        "order": "the bursts asked for are those of the list's descriptors, each once, in order",
        "content": "a phase of a list is handed on as its descriptor says, when all of it is there",
        "none_lost": "phases handed on and left add up to the list's; `busy` while any is left",
        "number": "`phase` numbers the phase handed on, until the next can be",
        "flow": "a good phase is handed on as soon as its descriptor is there; none after `halt`",
        "checked": "a descriptor that breaks a rule is reported in its place, and no other",
        "alone": "a phase by itself passes unchanged; neither it nor a list is taken during a list",
        "held": "a burst that is asked for is held until it is taken",
    }

    dut: Sequencer

    def describe(self) -> None:
        """State how the component's counters hang together with those of the checker."""
        dut, m, probe = self.dut, self.m, self.probe
        config = dut.config
        size = records.PHASE_DESCRIPTOR.width // 8
        beats = size // config.mem_bytes
        burst_beats = min(beats, config.burst_beats)
        kept = len(dut.data)

        count, handed = Signal(32), Signal(32)
        base = Signal(config.addr_width)  # of the list
        asked, received = Signal(range(beats + 1)), Signal(range(beats + 1))  # beats
        content = Signal(max(beats * kept, PHASE_DESCRIPTOR.size))  # what is not used stays 0
        listed = Signal()
        m.d.comb += listed.eq(handed != count)
        takes_list = dut.start_list.valid & dut.start_list.ready
        hands_on = dut.o.valid & dut.o.ready
        asks = dut.command.valid & dut.command.ready
        self.assume(dut.start_list.p.phases_addr % size == 0)
        self.assume(~dut.data_valid | (received < asked))
        with m.If(takes_list):
            m.d.sync += [
                count.eq(dut.start_list.p.phase_count),
                base.eq(dut.start_list.p.phases_addr),
                handed.eq(0),
            ]
        with m.Elif(listed & hands_on):
            m.d.sync += handed.eq(handed + 1)
        with m.If(takes_list | (listed & hands_on)):
            m.d.sync += [asked.eq(0), received.eq(0)]
        with m.Else():
            m.d.sync += [asked.eq(asked + Mux(asks, burst_beats, 0))]
            with m.If(dut.data_valid):
                m.d.sync += [
                    received.eq(received + 1),
                    content.word_select(received, kept).eq(dut.data),
                ]

        complete = received == beats
        says = data.View(PHASE_DESCRIPTOR, content[: PHASE_DESCRIPTOR.size])
        names = ("queue_addr", "job_count", "out_addr", "out_end")
        alike = Cat(dut.o.p[name] == says[name][: len(dut.o.p[name])] for name in names).all()
        bad = self._is_bad(says)

        addr = Signal(config.addr_width)
        m.d.comb += addr.eq(base + size * handed + config.mem_bytes * asked)
        next_burst = (
            listed
            & (asked + burst_beats <= beats)
            & (dut.command.p.addr == addr)
            & (dut.command.p.beats == burst_beats)
        )
        self.claim("order", ~dut.command.valid | next_burst)
        self.claim("content", ~(listed & dut.o.valid) | (complete & alike))
        left = probe.signal("left")
        self.claim("none_lost", (handed + left == count) & (dut.busy == listed))
        own = self._numbers(handed, listed, hands_on, takes_list)
        good = complete & ~(bad & dut.o.ready) & ~dut.halt
        self.claim("flow", ~listed | (dut.o.valid == good))
        self.claim("checked", (dut.error != 0) == (listed & complete & dut.o.ready & bad))
        self.claim("alone", self._passes_alone(listed))
        self.claim("held", self.held(dut.command, name="command"))

        unit = burst_beats * config.mem_bytes
        bursts = (Cat(asked, Const(0, 8)) // burst_beats)[:8]
        here = Mux(listed, beats // burst_beats - bursts, 0)
        self.invariant(left == (count - handed)[:32])
        self.invariant(handed <= count)
        self.invariant((asked <= beats) & (asked % burst_beats == 0) & (received <= asked))
        self.invariant(probe.signal("asks") == here)
        self.invariant(~listed | (probe.signal("due") == beats - received))
        self.invariant(~listed | (probe.signal("burst") * unit == addr))
        self.invariant(~own | (probe.signal("number") == handed))
        self.invariant(~listed | own)
        self.invariant((base % size) == 0)
        self._keeps(content, ~listed, received)
        self.reach(listed & hands_on & (count == 2) & (handed == 1))

    def _numbers(self, handed: Value, listed: Value, hands_on: Value, takes_list: Value) -> Signal:
        """Claim that phases of a list are numbered; return whether the last one was of a list."""
        previous = (handed - 1)[:32]
        number = Mux(listed & self.dut.o.ready, handed, previous)
        own = Signal()
        with self.m.If(hands_on | takes_list):
            self.m.d.sync += own.eq(listed | takes_list)
        self.claim("number", ~own | (self.dut.phase == number))
        return own

    def _is_bad(self, says: data.View) -> Value:
        """Return whether a descriptor breaks a rule."""
        size = records.PHASE_DESCRIPTOR.width // 8
        limit = Const(1 << self.dut.config.addr_width, 64)
        return (
            (says.queue_addr % size != 0)
            | (says.queue_addr >= limit)
            | (says.job_count[:31] == 0)
            | (says.out_addr % size != 0)
            | (says.out_end % size != 0)
            | (says.out_addr > says.out_end)
            | (says.out_end > limit)
        )

    def _passes_alone(self, listed: Value) -> Value:
        """Return whether starts are taken, and passed on, as they should be."""
        dut = self.dut
        passes = (dut.o.valid == dut.start.valid) & (dut.start.ready == dut.o.ready)
        same = dut.o.p.as_value() == dut.start.p.as_value()
        return Mux(
            listed,
            ~dut.start.ready & ~dut.start_list.ready,
            passes & same & (dut.start_list.ready == (dut.o.ready & ~dut.start.valid)),
        )

    def _keeps(self, content: Value, unlisted: Value, received: Value) -> None:
        """State that the component has of a descriptor what has been received."""
        used, width = self.probe.signal("used"), self.dut.config.mem_width
        for beat in range(-(-len(used) // width)):
            mine = used.word_select(beat, width)
            same_beat = mine == content.word_select(beat, len(self.dut.data))[: len(mine)]
            self.invariant(unlisted | (received <= beat) | same_beat)
