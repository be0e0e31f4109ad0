"""Merger of several write ports into one."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.hw.arguments import need_number
from gscn.hw.fifo import StreamFIFO
from gscn.hw.layouts import burst_layout, write_beat_layout
from gscn.hw.port.arbiter import RoundRobin


class WriteMerger(wiring.Component):
    """Merge several ports that write whole beats with strobes; each hears when its bursts end.

    The beats of a burst stay together, and are taken once its command has been. Bursts end in the
    order of their commands.

    Timing
    ------
    - Latency: `COMMAND_LATENCY` from `commands` to `command`; `BEAT_LATENCY` from `beats` to
      `data`; `DONE_LATENCY` from `done` to `channel_done`.
    - Throughput: one beat per cycle, bursts back to back.
    - Combinational: `commands.valid`, `data.ready`, `beats.valid` -> `commands.ready`;
      `data.ready` -> `beats.ready`; `beats.valid` -> `data.valid`; `beats.p` -> `data.p`; `done`
      -> `channel_done`.
    - Reset: no burst under way; outputs 0.

    Parameters
    ----------
    config
        Port; write bursts under way.
    count
        Ports; at least 1.

    Attributes
    ----------
    commands : In(stream.Signature(burst_layout(config))).array(count)
        Bursts of each port.
    beats : In(stream.Signature(write_beat_layout(config))).array(count)
        Their beats.
    channel_done : Out(count)
        A burst of this port is complete (pulse).
    command : Out(stream.Signature(burst_layout(config)))
        To memory.
    data : Out(stream.Signature(write_beat_layout(config)))
        To memory.
    done : In(1)
        A burst is complete (pulse).
    """

    COMMAND_DEPTH = 2
    COMMAND_LATENCY = StreamFIFO.LATENCY
    BEAT_LATENCY = 0
    DONE_LATENCY = 0

    def __init__(self, *, config: ArrayConfig, count: int):
        self.config = config
        need_number(self, "count", count)
        self._count = count
        command = stream.Signature(burst_layout(config))
        beat = stream.Signature(write_beat_layout(config))
        super().__init__(
            {
                "commands": In(command).array(count),
                "beats": In(beat).array(count),
                "channel_done": Out(count),
                "command": Out(command),
                "data": Out(beat),
                "done": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, count = self.config, self._count
        m.submodules.choice = choice = RoundRobin(count=count)
        m.submodules.queue = queue = StreamFIFO(
            shape=burst_layout(config), depth=self.COMMAND_DEPTH
        )
        m.submodules.owners = owners = StreamFIFO(
            shape=max(1, (count - 1).bit_length()), depth=config.outstanding_bursts
        )
        wiring.connect(m, queue.o, wiring.flipped(self.command))

        chosen = Array(command.p for command in self.commands)[choice.grant]
        sender = Signal(range(count))
        beats_left = Signal(8)
        leaves, takes = Signal(), Signal()
        m.d.comb += [
            choice.requests.eq(Cat(command.valid for command in self.commands)),
            choice.en.eq(takes),
            takes.eq(
                choice.requests.any()
                & queue.i.ready
                & owners.i.ready
                & ((beats_left == 0) | ((beats_left == 1) & leaves))
            ),
            queue.i.valid.eq(takes),
            queue.i.p.eq(chosen),
            owners.i.valid.eq(takes),
            owners.i.p.eq(choice.grant),
            owners.o.ready.eq(self.done),
            self.data.p.eq(Array(beat.p for beat in self.beats)[sender]),
            self.data.valid.eq((beats_left != 0) & Array(b.valid for b in self.beats)[sender]),
            leaves.eq(self.data.valid & self.data.ready),
        ]
        for number, (command, beat) in enumerate(zip(self.commands, self.beats, strict=True)):
            m.d.comb += [
                command.ready.eq(takes & (choice.grant == number)),
                beat.ready.eq(self.data.ready & (beats_left != 0) & (sender == number)),
                self.channel_done[number].eq(self.done & owners.o.valid & (owners.o.p == number)),
            ]
        with m.If(takes):
            m.d.sync += [sender.eq(choice.grant), beats_left.eq(chosen.beats)]
        with m.Elif(leaves):
            m.d.sync += beats_left.eq(beats_left - 1)
        return m
