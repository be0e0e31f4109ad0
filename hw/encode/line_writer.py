"""Write channel of the encode unit: lines of several results, as bursts of one port."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.hw.arguments import need_number
from gscn.hw.encode.line_gatherer import HALFWORD, HALFWORDS, line_layout
from gscn.hw.encode.unit_layouts import LINE, LINE_BYTES
from gscn.hw.fifo import StreamFIFO
from gscn.hw.layouts import burst_layout, write_beat_layout
from gscn.hw.port.arbiter import RoundRobin
from gscn.port import ALIGNMENT_BITS


class LineWriter(wiring.Component):
    """Write lines of several channels, in turns, and know when they are in memory.

    A line is a burst, or several if it has more beats than a burst. Beats of which nothing is
    written are sent as well, without strobes. A burst's command is offered before, or with, its
    first beat.

    Timing
    ------
    - Latency: `LATENCY` from `channels` to `data`, and one cycle more to `command`.
    - Throughput: one beat per cycle.
    - Combinational: `channels.valid`, `en` -> `channels.ready`.
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
        Lines are taken.
    command : Out(stream.Signature(burst_layout(config)))
        To memory.
    data : Out(stream.Signature(write_beat_layout(config)))
        To memory.
    write_done : In(1)
        A burst is in memory.
    idle : Out(1)
        All lines that were taken are in memory.
    """

    DEPTH = 2
    COMMAND_DEPTH = 4
    UNDER_WAY = 255
    """Bursts that are not in memory yet, at most."""
    LATENCY = StreamFIFO.LATENCY

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
        m.submodules.lines = lines = StreamFIFO(shape=line_layout(config), depth=self.DEPTH)
        m.submodules.commands = commands = StreamFIFO(
            shape=burst_layout(config), depth=self.COMMAND_DEPTH
        )
        wiring.connect(m, commands.o, wiring.flipped(self.command))
        takes = Signal()
        m.d.comb += [
            choice.requests.eq(Cat(one.valid for one in self.channels)),
            takes.eq(choice.requests.any() & lines.i.ready & self.en),
            choice.en.eq(takes),
            lines.i.valid.eq(takes),
            lines.i.p.eq(Array(one.p for one in self.channels)[choice.grant]),
            *(
                one.ready.eq(takes & (choice.grant == number))
                for number, one in enumerate(self.channels)
            ),
        ]

        # -- beats of the line at hand
        beats = LINE_BYTES // config.mem_bytes
        burst = min(beats, config.burst_beats)
        line = lines.o.p
        beat = Signal(range(beats))
        opened, may_open = Signal(), Signal()
        ends_burst = beat & (burst - 1) == burst - 1
        leaves, opens = Signal(), Signal()
        under_way = Signal(range(self.UNDER_WAY + 1))
        beat_bits = config.mem_bytes.bit_length() - 1
        at = Cat(0 for _ in range(beat_bits))
        if beats > 1:
            at = Cat(at, beat)
        m.d.comb += [
            may_open.eq(commands.i.ready & (under_way != self.UNDER_WAY)),
            self.data.valid.eq(lines.o.valid & (opened | may_open)),
            opens.eq(lines.o.valid & ~opened & may_open),
            commands.i.valid.eq(opens),
            commands.i.p.addr.eq(Cat(at, line.place)),
            commands.i.p.beats.eq(burst),
            leaves.eq(self.data.valid & self.data.ready),
            lines.o.ready.eq(leaves & (beat == beats - 1)),
            self.data.p.data.eq(self._part(line.data, beat, LINE // beats)),
            self.data.p.strobe.eq(
                Cat(
                    one.replicate(HALFWORD // 8)
                    for one in self._part(line.halfwords, beat, HALFWORDS // beats)
                )
            ),
            self.idle.eq(~lines.o.valid & (under_way == 0)),
        ]
        assert len(commands.i.p.addr) == ALIGNMENT_BITS + len(line.place)
        m.d.sync += [
            opened.eq((opened | opens) & ~(leaves & ends_burst)),
            under_way.eq(under_way + opens - self.write_done),
        ]
        if beats > 1:
            with m.If(leaves):
                m.d.sync += beat.eq(beat + 1)
        return m

    def _part(self, whole, beat, width):
        """Return a beat's part of a line."""
        return whole if len(whole) == width else whole.word_select(beat, width)
