"""Lines of memory for places in order: each line is asked for ahead, and once for neighbours."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.hw.arguments import need_number
from gscn.hw.encode.unit_layouts import LINE, LINE_BYTES
from gscn.hw.fifo import StreamFIFO
from gscn.hw.layouts import burst_layout
from gscn.hw.ram import Ram
from gscn.port import ALIGNMENT_BITS

OFFSET = ALIGNMENT_BITS - 1
"""Bits of the number of a halfword in its line."""
FOUND = data.StructLayout({"line": LINE, "offset": OFFSET, "used": 1})
"""The line of a place, and the halfword in it; nothing if the place is not `used`."""


def spot_layout(config: ArrayConfig) -> data.StructLayout:
    """Return a place, an even byte address; whether it is `used`: others are not read."""
    return data.StructLayout({"addr": config.addr_width, "used": 1})


def line_burst(config: ArrayConfig) -> int:
    """Return the beats of a burst that reads a line, or a part of one."""
    return min(config.burst_beats, LINE_BYTES // config.mem_bytes)


def pick(found: data.View, width: int) -> Value:
    """Return what begins at the place, 16 bits or twice, four times, ... as many."""
    bits = found.line
    for bit in reversed(found.offset):
        if len(bits) > width:
            bits = Mux(bit, bits[len(bits) // 2 :], bits[: len(bits) // 2])
    return bits


class LineReader(wiring.Component):
    """Find the line of each place.

    A line is asked for when there is room for it, however far its place is behind. Places that are
    used one behind the other and lie in the same line share it.

    Timing
    ------
    - Latency: `COMMAND_LATENCY` from `i` to `command`; `LATENCY` from `data_valid` to `o`.
    - Throughput: one place per cycle, or one burst.
    - Combinational: `i`, `command.ready` -> `i.ready`; `i` -> `command`.
    - Reset: no place; outputs 0, but `i.ready` = 1.

    Parameters
    ----------
    config
        Port.
    depth
        Lines that are asked for or held, 2 at least.
    vectors
        Places whose lines may be asked for before they are taken.

    Attributes
    ----------
    i : In(stream.Signature(spot_layout(config)))
        Places.
    command : Out(stream.Signature(burst_layout(config)))
        Bursts to read.
    data : In(config.mem_width)
        Beats, in the order of the commands.
    data_valid : In(1)
        `data` is a beat.
    o : Out(stream.Signature(FOUND))
        Lines of all places, in order.
    """

    COMMAND_LATENCY = 0
    LATENCY = 2

    def __init__(self, *, config: ArrayConfig, depth: int, vectors: int):
        need_number(self, "depth", depth, 2)
        need_number(self, "vectors", vectors)
        self.config, self._depth, self._vectors = config, depth, vectors
        super().__init__(
            {
                "i": In(stream.Signature(spot_layout(config))),
                "command": Out(stream.Signature(burst_layout(config))),
                "data": In(config.mem_width),
                "data_valid": In(1),
                "o": Out(stream.Signature(FOUND)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        ticket = data.StructLayout({"offset": OFFSET, "used": 1, "fresh": 1})
        m.submodules.tickets = tickets = StreamFIFO(shape=ticket, depth=self._vectors)
        m.submodules.held_lines = lines = Ram(
            shape=LINE, depth=self._depth, granularity=self.config.mem_width
        )
        asked, freed = self._ask(m, tickets.i), Signal()
        room = Signal(range(self._depth + 1), init=self._depth)
        m.d.comb += self._has_room.eq(room != 0)
        m.d.sync += room.eq(room - asked + freed)
        m.d.comb += freed.eq(self._show(m, tickets.o, lines, self._fill(m, lines)))
        return m

    def _ask(self, m, ticket):
        """Ask for the line of each place that is not in the one before; return when one is."""
        config = self.config
        beats = line_burst(config)
        bursts = LINE_BYTES // config.mem_bytes // beats
        place = self.i.p
        line = Signal(config.addr_width - ALIGNMENT_BITS)
        before = Signal.like(line, reset_less=True)
        known, fresh, leaves = Signal(), Signal(), Signal()
        self._has_room = Signal()
        burst = Signal(range(max(bursts, 2)))
        last = Signal()
        step = (beats * config.mem_bytes).bit_length() - 1
        m.d.comb += [
            line.eq(place.addr[ALIGNMENT_BITS:]),
            fresh.eq(place.used & ~(known & (before == line))),
            last.eq(burst == bursts - 1),
            self.command.p.addr.eq((line << ALIGNMENT_BITS) | (burst << step)),
            self.command.p.beats.eq(beats),
            self.command.valid.eq(self.i.valid & fresh & self._has_room & ticket.ready),
            leaves.eq(
                self.i.valid
                & ticket.ready
                & (~fresh | (self.command.valid & self.command.ready & last))
            ),
            self.i.ready.eq(Mux(self.i.valid, leaves, ticket.ready)),
            ticket.valid.eq(leaves),
            ticket.p.offset.eq(place.addr[1:ALIGNMENT_BITS]),
            ticket.p.used.eq(place.used),
            ticket.p.fresh.eq(fresh),
        ]
        with m.If(self.command.valid & self.command.ready):
            m.d.sync += burst.eq(Mux(last, 0, burst + 1))
        with m.If(leaves & fresh):
            m.d.sync += [before.eq(line), known.eq(1)]
        return leaves & fresh

    def _fill(self, m, lines):
        """Store beats; return when a line is whole."""
        width = self.config.mem_width
        beats = LINE // width
        write = lines.write
        at, beat, whole = Signal(range(self._depth)), Signal(range(max(beats, 2))), Signal()
        m.d.comb += [
            write.addr.eq(at),
            write.data.eq(Cat(self.data for _ in range(beats))),
            write.en.eq(Mux(self.data_valid, 1 << beat, 0)),
            whole.eq(self.data_valid & (beat == beats - 1)),
        ]
        with m.If(self.data_valid):
            m.d.sync += beat.eq(Mux(whole, 0, beat + 1))
        with m.If(whole):
            m.d.sync += at.eq(Mux(at == self._depth - 1, 0, at + 1))
        return whole

    def _show(self, m, ticket, lines, whole):
        """Show the line of each place; return when the place of one is free again."""
        read = lines.read
        filled = Signal(range(self._depth + 1))
        own, after = Signal(range(self._depth)), Signal(range(self._depth))
        held, goes, turns = Signal(), Signal(), Signal()
        o = self.o
        m.d.comb += [
            goes.eq(ticket.valid & (~ticket.p.fresh | (filled != 0)) & (~o.valid | o.ready)),
            turns.eq(goes & ticket.p.fresh),
            ticket.ready.eq(goes),
            read.addr.eq(Mux(ticket.p.fresh, after, own)),
            read.en.eq(goes),
            o.p.line.eq(read.data),
        ]
        m.d.sync += filled.eq(filled + whole - turns)
        with m.If(~o.valid | o.ready):
            m.d.sync += o.valid.eq(goes)
        with m.If(goes):
            m.d.sync += [o.p.offset.eq(ticket.p.offset), o.p.used.eq(ticket.p.used)]
        with m.If(turns):
            m.d.sync += [
                own.eq(after), after.eq(Mux(after == self._depth - 1, 0, after + 1)), held.eq(1),
            ]  # fmt: skip
        return turns & held
