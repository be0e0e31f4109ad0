"""Lines of several channels reach memory whole: every byte once, and nothing beside them."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Const, Mux, Signal, Value

from formal.checker import Checker
from formal.encode.line_gatherer import seen
from formal.port.arbiter import taken_from
from formal.port.turns import Turns
from gscn.hw.encode.line_gatherer import HALFWORD, HALFWORDS
from gscn.hw.encode.line_writer import LineWriter
from gscn.hw.encode.unit_layouts import LINE_BYTES
from gscn.port import ALIGNMENT_BITS


class LineWriterChecker(Checker):
    """Keep what memory has been told and sent of a line, until a channel's line is taken.

    Of its halfwords one, any, is watched; it stands for all.

    Assumed: channels hold their lines until taken; memory answers a burst in a cycle after its
    command.
    """

    CLAIMS = {
        "whole": "when a line is taken, from one channel, memory has all of its bursts, once, at "
        "its place, and all of its beats, strobed for exactly its halfwords",
        "taken": "a line is taken as soon as all of it has gone",
        "burst": "a burst lies within its line, in order; no beat goes before those of the burst "
        "before, and no burst before the beats of the one before",
        "begins": "no line begins while `en` is low",
        "idle": "`idle` is high exactly if no line has begun that is not answered; bursts under "
        "way are never more than can be counted",
        "wait": "a channel sees at most `count` - 1 lines of others begin while it offers one",
        "held_command": "`command` is held, its payload unchanged, until it is taken",
        "held_data": "`data` is held, its payload unchanged, until it is taken",
    }

    dut: LineWriter

    def describe(self) -> None:
        """State what of a line has gone."""
        dut, m, config = self.dut, self.m, self.dut.config
        beats = LINE_BYTES // config.mem_bytes
        burst = min(beats, config.burst_beats)
        bursts = beats // burst
        for number, channel in enumerate(dut.channels):
            self.assume(self.held(channel, name=f"channel{number}"))
        taken, number, word = taken_from(m, dut.channels, name="line")
        line = dut.channels[0].p.shape()(word)
        goes = dut.command.valid & dut.command.ready
        leaves = dut.data.valid & dut.data.ready

        # -- what of the line at hand has gone, this cycle included
        told, gone = Signal(range(bursts + 1)), Signal(range(beats + 1))
        told_now, gone_now = Signal.like(told), Signal.like(gone)
        place, place_now = Signal.like(line.place), Signal.like(line.place)
        image, image_now = Signal(HALFWORD + 1), Signal(HALFWORD + 1)  # of the halfword watched
        m.d.comb += [
            told_now.eq(told + goes),
            gone_now.eq(gone + leaves),
            place_now.eq(Mux(goes, dut.command.p.addr[ALIGNMENT_BITS:], place)),
            image_now.eq(image),
        ]
        # -- its number in its line, and in its beat
        watched = self.any_constant((HALFWORDS - 1).bit_length(), name="halfword")
        some = HALFWORDS // beats
        in_beat = watched[: (some - 1).bit_length()]
        its_beat = watched[len(in_beat) :]
        sent = dut.data.p
        halves = Cat(sent.strobe[::2])
        with m.If(leaves & (gone == its_beat)):
            m.d.comb += image_now.eq(seen(sent.data, halves, in_beat))
        ends = taken != 0
        m.d.sync += [
            told.eq(Mux(ends, 0, told_now)),
            gone.eq(Mux(ends, 0, gone_now)),
            place.eq(place_now),
            image.eq(Mux(ends, 0, image_now)),
        ]
        complete = (told_now == bursts) & (gone_now == beats)
        self.claim(
            "whole",
            (taken <= 1)
            & (
                ~ends
                | (
                    complete
                    & (place_now == line.place)
                    & (image_now == seen(line.data, line.halfwords, watched))
                )
            )
            & (~leaves | (halves == Cat(sent.strobe[1::2]))),
        )
        self.claim("taken", ends == complete)
        own_place = (told == 0) | (dut.command.p.addr[ALIGNMENT_BITS:] == place)
        self.claim(
            "burst",
            (
                ~dut.command.valid
                | (
                    (told < bursts)
                    & own_place
                    & (dut.command.p.addr[:ALIGNMENT_BITS] == told * (burst * config.mem_bytes))
                    & (dut.command.p.beats == burst)
                    & (gone >= told * burst)
                )
            )
            & (~dut.data.valid | ((gone < beats) & (gone < (told + 1) * burst))),
        )
        self._claim_begins(ends, goes, (told != 0) | (gone != 0))
        self.claim("held_command", self.held(dut.command, name="o_command"))
        self.claim("held_data", self.held(dut.data, name="o_data"))
        self._look_inside(told, gone, beats, burst)
        at_hand = Array(one.p.as_value() for one in dut.channels)[self.probe.signal("sender")]
        held = line.shape()(at_hand)
        drawn = seen(held.data, held.halfwords, watched)
        self.invariant((told == 0) | (place == held.place))
        self.invariant(image == Mux(gone > its_beat, drawn, 0))
        self.reach(ends & (number == len(dut.channels) - 1) & (image_now[HALFWORD]) & ~dut.en)

    def _claim_begins(self, ends: Value, goes: Value, gone: Value) -> None:
        """Claim which lines begin, and when nothing is under way."""
        dut, m = self.dut, self.m
        shown, shows = Signal(), Signal()  # of the line at hand, before this cycle and now
        m.d.comb += shows.eq(dut.command.valid | dut.data.valid | shown)
        m.d.sync += shown.eq(shows & ~ends)
        self.claim("begins", ~(dut.command.valid | dut.data.valid) | shown | dut.en)
        self.invariant(shown == self.probe.signal("held"))
        self.invariant(shown | ~gone)
        most = dut.UNDER_WAY
        unanswered = Signal(range(2 * most))
        m.d.sync += unanswered.eq(unanswered + goes - dut.write_done)
        self.assume(~dut.write_done | (unanswered != 0))
        self.claim("idle", (dut.idle == (~shown & (unanswered == 0))) & (unanswered <= most))
        self.invariant(self.probe.signal("under_way") == unanswered)
        self.invariant(unanswered <= most)
        requests = Cat(one.valid for one in dut.channels)
        begins = shows & ~shown
        turns = Turns(
            self,
            "choice",
            requests=requests,
            grant=self.probe.signal("choice.grant"),
            en=begins,
        )
        self.claim("wait", turns.bounded)

    def _look_inside(self, told: Value, gone: Value, beats: int, burst: int) -> None:
        """Say how the component counts what has gone of the line at hand."""
        dut, probe = self.dut, self.probe
        held, sender = probe.signal("held"), probe.signal("sender")
        commanded, sent = probe.signal("commanded"), probe.signal("sent")
        beat = probe.signal("beat") if beats > 1 else Const(0, 1)
        self.invariant(sender < len(dut.channels))
        self.invariant(~held | Array(one.valid for one in dut.channels)[sender])
        self.invariant(gone == beat + sent)
        self.invariant(told == beat // burst + commanded)
        self.invariant(~sent | (beat % burst == burst - 1))
        self.invariant(~(sent & commanded))
