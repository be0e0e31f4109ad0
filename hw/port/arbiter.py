"""Arbiters that share a memory port among the clusters' channels."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.hw.arguments import need_number
from gscn.hw.fifo import StreamFIFO
from gscn.hw.layouts import (
    burst_layout,
    slotted_beat_layout,
    write_beat_layout,
    write_slots,
)
from gscn.port import ALIGNMENT_BITS


class RoundRobin(wiring.Component):
    """Choose one of several requests; the one granted last has the lowest priority next time.

    Timing
    ------
    - Latency: `LATENCY` from `requests` to `grant`.
    - Throughput: one grant per cycle.
    - Combinational: `requests` -> `grant`.
    - Reset: the lowest number first; outputs 0.

    Parameters
    ----------
    count
        Requesters; at least 1.

    Attributes
    ----------
    requests : In(count)
        One bit per requester.
    grant : Out(range(count))
        Number of the requester chosen; meaningful if any requests.
    en : In(1)
        The grant is used; moves the priority.
    """

    LATENCY = 0

    def __init__(self, *, count: int):
        need_number(self, "count", count)
        self._count = count
        super().__init__({"requests": In(count), "grant": Out(range(count)), "en": In(1)})

    def elaborate(self, platform):
        m = Module()
        below = Signal(self._count)  # requesters that must wait for a full turn
        waiting = Signal(self._count)
        m.d.comb += waiting.eq(self.requests & ~below)
        for candidates in (self.requests, waiting):
            with m.If(candidates.any()):
                for number in reversed(range(self._count)):
                    with m.If(candidates[number]):
                        m.d.comb += self.grant.eq(number)
        with m.If(self.en):
            m.d.sync += below.eq((2 << self.grant) - 1)
        return m


class ReadArbiter(wiring.Component):
    """Merge the burst commands of several read channels and deal the returning beats out.

    Channels that offer the same burst in one cycle share it: one command, whose beats go to all of
    them.

    Timing
    ------
    - Latency: `COMMAND_LATENCY` from `channels` to `command`; `BEAT_LATENCY` from `data_valid` to
      `channel_valid`.
    - Throughput: one command per cycle; one beat per cycle.
    - Combinational: `channels.p`, `channels.valid` -> `channels.ready`; `data_valid` ->
      `channel_valid`.
    - Reset: no command, no beat due; outputs 0.

    Parameters
    ----------
    config
        Port; read bursts under way.
    count
        Read channels; at least 1.

    Attributes
    ----------
    channels : In(stream.Signature(burst_layout(config))).array(count)
        Burst commands of each channel.
    channel_valid : Out(count)
        The beat in this cycle is for this channel.
    command : Out(stream.Signature(burst_layout(config)))
        To memory.
    data_valid : In(1)
        A beat arrives from memory.
    """

    COMMAND_DEPTH = 2
    COMMAND_LATENCY = StreamFIFO.LATENCY
    BEAT_LATENCY = 0

    def __init__(self, *, config: ArrayConfig, count: int):
        self.config = config
        need_number(self, "count", count)
        self._count = count
        command = stream.Signature(burst_layout(config))
        super().__init__(
            {
                "channels": In(command).array(count),
                "channel_valid": Out(count),
                "command": Out(command),
                "data_valid": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.choice = choice = RoundRobin(count=self._count)
        owner = data.StructLayout({"channels": self._count, "beats": 8})
        m.submodules.owners = owners = StreamFIFO(shape=owner, depth=config.outstanding_bursts)
        m.submodules.commands = commands = StreamFIFO(
            shape=burst_layout(config), depth=self.COMMAND_DEPTH
        )
        wiring.connect(m, commands.o, wiring.flipped(self.command))

        chosen = Signal(burst_layout(config))
        takes = Signal()
        alike = Signal(self._count)
        m.d.comb += [
            choice.requests.eq(Cat(channel.valid for channel in self.channels)),
            choice.en.eq(takes),
            chosen.eq(Array(channel.p for channel in self.channels)[choice.grant]),
            takes.eq(choice.requests.any() & owners.i.ready & commands.i.ready),
            owners.i.valid.eq(takes),
            owners.i.p.channels.eq(alike),
            owners.i.p.beats.eq(chosen.beats),
            commands.i.valid.eq(takes),
            commands.i.p.eq(chosen),
        ]
        for number, channel in enumerate(self.channels):
            m.d.comb += [
                alike[number].eq(channel.valid & (channel.p == chosen)),
                channel.ready.eq(takes & alike[number]),
            ]

        beat = Signal(8)
        last = beat + 1 == owners.o.p.beats
        with m.If(self.data_valid):
            m.d.comb += self.channel_valid.eq(owners.o.p.channels)
            m.d.comb += owners.o.ready.eq(last)
            m.d.sync += beat.eq(Mux(last, 0, beat + 1))
        return m


class WriteArbiter(wiring.Component):
    """Merge the bursts of several write channels; the beats of a burst stay together.

    A burst outside the range that may be written is never taken, nor is any after it.

    Timing
    ------
    - Latency: `COMMAND_LATENCY` from `commands` to `command`; `BEAT_LATENCY` from `beats` to
      `data`.
    - Throughput: one beat per cycle, bursts back to back.
    - Combinational: `commands.valid`, `commands.p`, `beats.valid`, `data.ready`, `range_start`,
      `range_end` -> `commands.ready`, `issued`; `data.ready` -> `beats.ready`; `beats.valid` ->
      `data.valid`; `beats.p` -> `data.p`; `commands.valid`, `commands.p`, `range_start`,
      `range_end` -> `refused`.
    - Reset: no burst under way; outputs 0.

    Parameters
    ----------
    config
        Port.
    count
        Write channels; at least 1.

    Attributes
    ----------
    commands : In(stream.Signature(burst_layout(config))).array(count)
        Bursts of each channel, offered when all their beats are ready.
    beats : In(stream.Signature(slotted_beat_layout(config))).array(count)
        Their beats.
    command : Out(stream.Signature(burst_layout(config)))
        To memory.
    data : Out(stream.Signature(write_beat_layout(config)))
        To memory.
    issued : Out(1)
        A burst has been taken from a channel (pulse).
    range_start : In(config.addr_width - ALIGNMENT_BITS)
        Where what may be written begins, in units of 64 bytes from address 0.
    range_end : In(config.addr_width - ALIGNMENT_BITS + 1)
        Where it ends, one past the last.
    refused : Out(count)
        Per channel, its burst is not taken because it is outside (until reset).
    """

    COMMAND_DEPTH = 4
    COMMAND_LATENCY = StreamFIFO.LATENCY
    BEAT_LATENCY = 0

    def __init__(self, *, config: ArrayConfig, count: int):
        self.config = config
        need_number(self, "count", count)
        self._count = count
        command = stream.Signature(burst_layout(config))
        beat = stream.Signature(slotted_beat_layout(config))
        super().__init__(
            {
                "commands": In(command).array(count),
                "beats": In(beat).array(count),
                "command": Out(command),
                "data": Out(stream.Signature(write_beat_layout(config))),
                "issued": Out(1),
                "range_start": In(config.addr_width - ALIGNMENT_BITS),
                "range_end": In(
                    config.addr_width - ALIGNMENT_BITS + 1,
                    init=1 << (config.addr_width - ALIGNMENT_BITS),
                ),
                "refused": Out(count),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.choice = choice = RoundRobin(count=self._count)
        m.submodules.queue = queue = StreamFIFO(
            shape=burst_layout(self.config), depth=self.COMMAND_DEPTH
        )
        wiring.connect(m, queue.o, wiring.flipped(self.command))

        requests = Cat(command.valid for command in self.commands)
        chosen = Array(command.p for command in self.commands)[choice.grant]
        sender = Signal(range(self._count))
        beats_left = Signal(8)
        sent = Array(beat.p for beat in self.beats)[sender]
        slots = Signal(write_slots(self.config))
        bytes_per_slot = self.config.mem_bytes // write_slots(self.config)
        leaves = self.data.valid & self.data.ready
        # bursts do not cross a multiple of their longest length, so that their ends do not wrap
        beat_bits = (self.config.mem_bytes - 1).bit_length()
        last_addr = chosen.addr + ((chosen.beats - 1)[:8] << beat_bits)
        inside = Signal()
        m.d.comb += [
            inside.eq(
                (chosen.addr[ALIGNMENT_BITS:] >= self.range_start)
                & (last_addr[ALIGNMENT_BITS:] < self.range_end)
            ),
            self.refused.eq(Mux(requests.any() & ~inside, 1 << choice.grant, 0)),
            choice.requests.eq(requests),
            choice.en.eq(self.issued),
            self.issued.eq(
                requests.any()
                & inside
                & queue.i.ready
                & ((beats_left == 0) | ((beats_left == 1) & leaves))
            ),
            queue.i.valid.eq(self.issued),
            queue.i.p.eq(chosen),
            slots.eq(sent.slots),
            self.data.p.data.eq(sent.data),
            self.data.p.strobe.eq(Cat(bit.replicate(bytes_per_slot) for bit in slots)),
            self.data.valid.eq((beats_left != 0) & Array(b.valid for b in self.beats)[sender]),
        ]
        for number, (command, beat) in enumerate(zip(self.commands, self.beats, strict=True)):
            m.d.comb += [
                command.ready.eq(self.issued & (choice.grant == number)),
                beat.ready.eq(self.data.ready & (beats_left != 0) & (sender == number)),
            ]
        with m.If(self.issued):
            m.d.sync += [sender.eq(choice.grant), beats_left.eq(chosen.beats)]
        with m.Elif(leaves):
            m.d.sync += beats_left.eq(beats_left - 1)
        return m
