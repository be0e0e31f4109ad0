"""Write channel of the encode unit: lines of several results, as bursts of one port."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.hw.arguments import need_number
from gscn.hw.encode.line_gatherer import HALFWORD, HALFWORDS, line_layout
from gscn.hw.encode.unit_layouts import LINE, LINE_BYTES
from gscn.hw.layouts import burst_layout, write_beat_layout
from gscn.hw.port.arbiter import RoundRobin
from gscn.port import ALIGNMENT_BITS


class LineWriter(wiring.Component):
    """Write lines of several channels, in turns, and know when they are in memory.

    A line is a burst, or several if it has more beats than a burst. Beats of which nothing is
    written are sent as well, without strobes. The command and the first beat of a burst are offered
    at once.

    Timing
    ------
    - Latency: `LATENCY` from `channels` to `command` and `data`.
    - Throughput: one beat per cycle.
    - Combinational: `channels.valid`, `en`, `command.ready`, `data.ready` -> `channels.ready`;
      `channels.valid`, `en` -> `command.valid`, `data.valid`; `channels.valid`, `channels.p` ->
      `command.p`, `data.p`.
    - Reset: nothing under way; outputs 0, but `idle` = 1.

    Parameters
    ----------
    config
        Port.
    count
        Channels; at least 1.

    Attributes
    ----------
    channels : In(stream.Signature(line_layout(config))).array(count)
        Lines of each channel.
    en : In(1)
        A line may begin.
    command : Out(stream.Signature(burst_layout(config)))
        To memory.
    data : Out(stream.Signature(write_beat_layout(config)))
        To memory.
    write_done : In(1)
        A burst is in memory.
    idle : Out(1)
        No line has begun that is not in memory.
    """

    UNDER_WAY = 255
    """Bursts that are not in memory yet, at most."""
    LATENCY = 0

    def __init__(self, *, config: ArrayConfig, count: int):
        self.config = config
        need_number(self, "count", count)
        self._count = count
        super().__init__(
            {
                "channels": In(stream.Signature(line_layout(config))).array(count),
                "en": In(1),
                "command": Out(stream.Signature(burst_layout(config))),
                "data": Out(stream.Signature(write_beat_layout(config))),
                "write_done": In(1),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.choice = choice = RoundRobin(count=self._count)
        # -- the channel whose line is at hand: a line that has been shown stays
        held, sender = Signal(), Signal(range(self._count))
        at_hand, valid, line = Signal.like(sender), Signal(), Signal(line_layout(config))
        advances, ends_line = Signal(), Signal()
        m.d.comb += [
            choice.requests.eq(Cat(one.valid for one in self.channels)),
            choice.en.eq(valid & ~held),
            at_hand.eq(Mux(held, sender, choice.grant)),
            valid.eq(held | (choice.requests.any() & self.en)),
            line.eq(self._chosen(at_hand)),
            *(
                one.ready.eq(ends_line & (at_hand == number))
                for number, one in enumerate(self.channels)
            ),
        ]
        m.d.sync += [held.eq(valid & ~ends_line), sender.eq(at_hand)]

        # -- its bursts: each is through when its command and all of its beats are
        beats = LINE_BYTES // config.mem_bytes
        burst = min(beats, config.burst_beats)
        beat = Signal(range(beats))
        ends_burst = beat & (burst - 1) == burst - 1
        commanded, sent = Signal(), Signal()
        command_goes, beat_goes = Signal(), Signal()
        under_way = Signal(range(self.UNDER_WAY + 1))
        offset = ((beat & ~(burst - 1)) << config.mem_bytes.bit_length() - 1)[:ALIGNMENT_BITS]
        m.d.comb += [
            self.command.valid.eq(valid & ~commanded & (under_way != self.UNDER_WAY)),
            self.command.p.addr.eq((line.place << ALIGNMENT_BITS) | offset),
            self.command.p.beats.eq(burst),
            self.data.valid.eq(valid & ~sent),
            self.data.p.data.eq(self._part(line.data, beat, LINE // beats)),
            self.data.p.strobe.eq(
                Cat(
                    one.replicate(HALFWORD // 8)
                    for one in self._part(line.halfwords, beat, HALFWORDS // beats)
                )
            ),
            command_goes.eq(self.command.valid & self.command.ready),
            beat_goes.eq(self.data.valid & self.data.ready),
            advances.eq((commanded | command_goes) & (sent | (beat_goes & ends_burst))),
            ends_line.eq(advances & (beat == beats - 1)),
            self.idle.eq(~held & (under_way == 0)),
        ]
        m.d.sync += [
            commanded.eq((commanded | command_goes) & ~advances),
            sent.eq((sent | (beat_goes & ends_burst)) & ~advances),
            under_way.eq(under_way + command_goes - self.write_done),
        ]
        if beats > 1:
            with m.If(advances | (beat_goes & ~ends_burst)):
                m.d.sync += beat.eq(beat + 1)
        return m

    def _chosen(self, number):
        """Return the line of a channel: gates without a choice between two, which are smaller."""
        lines = [Mux(number == n, one.p.as_value(), 0) for n, one in enumerate(self.channels)]
        while len(lines) > 1:
            lines = [lines[n] | lines[n + 1] for n in range(0, len(lines) - 1, 2)] + (
                lines[-1:] if len(lines) % 2 else []
            )
        return lines[0]

    def _part(self, whole, beat, width):
        """Return a beat's part of a line."""
        return whole if len(whole) == width else whole.word_select(beat, width)
