"""Write channel of a cluster of an array: from rows of results to bursts."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gscn import latencies
from gscn.array import ArrayConfig
from gscn.hw.array_layouts import result_row_layout
from gscn.hw.fifo import StreamFIFO
from gscn.hw.layouts import OutFormat, burst_layout, slotted_beat_layout, write_slots
from gscn.hw.ram import Ram

RESULT_SLOTS = {OutFormat.INT16: 1, OutFormat.INT32: 2, OutFormat.RAW: 4}
"""Slots of a row of results, `drain_width` 16-bit results each."""
FLOAT_RESULT_SLOTS = {OutFormat.BF16: 1}
"""The same of the format that only an array with float formats has."""


class ResultWriter(wiring.Component):
    """Put rows of results together to beats, and write these in bursts.

    Rows that follow one another in one beat share it; what no row has written is not strobed. Beats
    at consecutive addresses share a burst, as far as a multiple of `burst_beats` beats. A beat is
    complete when a row of another one comes, or after the last row of a job; a burst is offered,
    when all its beats are complete, as soon as a beat comes that is not of it, or after the last
    row of a job.

    Timing
    ------
    - Latency: `LATENCY` from `i` to `o`; `COMMAND_LATENCY` from `i` to `command`.
    - Throughput: one row and one beat per cycle; two cycles between jobs.
    - Combinational: none.
    - Reset: no beat; outputs 0, but `i.ready` = 1 and `empty` = 1.

    Parameters
    ----------
    config
        Port width, burst length, results of a row.

    Attributes
    ----------
    i : In(stream.Signature(result_row_layout(config)))
        Rows of results.
    out_format : In(OutFormat)
        Format of the results; held while there are any.
    empty : Out(1)
        All beats have been handed on.
    command : Out(stream.Signature(burst_layout(config)))
        Bursts.
    o : Out(stream.Signature(slotted_beat_layout(config)))
        Beats, in the order of the commands.
    """

    LATENCY = latencies.WRITER_BEAT_LATENCY
    COMMAND_LATENCY = latencies.WRITER_COMMAND_LATENCY

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        super().__init__(
            {
                "i": In(stream.Signature(result_row_layout(config))),
                "out_format": In(OutFormat),
                "empty": Out(1),
                "command": Out(stream.Signature(burst_layout(config))),
                "o": Out(stream.Signature(slotted_beat_layout(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        beat_bits = (config.mem_bytes - 1).bit_length()
        depth = 2 * config.burst_beats  # complete beats, and one that is being put together
        place = self.i.p.addr[beat_bits:]

        # -- the beat that is being put together
        begun = Signal()
        flushing = Signal()
        open_place = Signal.like(place, reset_less=True)
        follows = Signal()  # it is the next one of the burst of the beat before
        level = Signal(range(depth + 1))
        full = Signal()
        room = Signal(init=1)  # neither of these two: what waits for it is far away
        fresh = ~begun | self.i.p.turns
        enters, completes, ends = Signal(), Signal(), Signal()
        leaves = self.o.valid & self.o.ready
        fills, flushes = Signal(), Signal()
        m.d.comb += [
            # whether the row begins a beat or not: so what it waits for is in registers
            self.i.ready.eq(room),
            enters.eq(self.i.valid & room),
            completes.eq(begun & ~full & (flushing | (self.i.valid & self.i.p.turns))),
            ends.eq(flushing & ~begun),
            self.empty.eq((level == 0) & ~begun),
            fills.eq((full | (completes & (level == depth - 1))) & ~leaves),
            flushes.eq(Mux(enters, self.i.p.last, flushing & ~ends)),
        ]
        with m.If(enters):
            m.d.sync += [begun.eq(1), open_place.eq(place)]
            with m.If(fresh):
                m.d.sync += follows.eq(self.i.p.follows)
        with m.Elif(completes):
            m.d.sync += begun.eq(0)
        m.d.sync += [
            level.eq(level + completes - leaves),
            full.eq(fills),
            flushing.eq(flushes),
            room.eq(~fills & ~flushes),
        ]
        self._keep(m, depth, fresh=fresh, enters=enters, completes=completes)
        m.d.comb += self.o.valid.eq(level != 0)

        # -- bursts
        m.submodules.commands = commands = StreamFIFO(shape=burst_layout(config), depth=depth)
        wiring.connect(m, commands.o, wiring.flipped(self.command))
        first = Signal.like(place, reset_less=True)
        beats = Signal(range(config.burst_beats + 1))  # 0: no burst begun
        m.d.comb += [
            # it has room: no more bursts than beats
            commands.i.valid.eq((beats != 0) & ((completes & ~follows) | ends)),
            commands.i.p.addr.eq(first << beat_bits),
            commands.i.p.beats.eq(beats),
        ]
        with m.If(completes):
            m.d.sync += beats.eq(Mux(follows & (beats != 0), beats + 1, 1))
            with m.If(commands.i.valid | (beats == 0)):
                m.d.sync += first.eq(open_place)
        with m.Elif(ends):
            m.d.sync += beats.eq(0)
        return m

    def _keep(self, m, depth, *, fresh, enters, completes):
        """Store rows in the slots of queued beats; the first one clears those of the beat."""
        config = self.config
        slots = write_slots(config)
        slot_bits = config.mem_width // slots
        m.submodules.beats = beats = Ram(
            shape=config.mem_width, depth=depth + 1, granularity=slot_bits
        )
        m.submodules.strobes = strobes = Memory(shape=slots, depth=depth + 1, init=[])
        write_data, read_data = beats.write, beats.read
        write_strobe, read_strobe = (
            strobes.write_port(granularity=1),
            strobes.read_port(domain="comb"),
        )

        row, mask = Signal(4 * slot_bits), Signal(slots)
        position = self.i.p.addr[(slot_bits // 8).bit_length() - 1 :][: slots.bit_length() - 1]
        formats = RESULT_SLOTS | (FLOAT_RESULT_SLOTS if config.floats else {})
        with m.Switch(self.out_format):
            for out_format, taken in formats.items():
                with m.Case(out_format):
                    results = Cat(result[: 16 * taken] for result in self.i.p.results)
                    m.d.comb += row.eq(results.replicate(4 // taken))
                    m.d.comb += mask.eq(
                        Cat(position | (taken - 1) == slot | (taken - 1) for slot in range(slots))
                    )
        produce = Signal(range(depth + 1))
        consume = Signal(range(depth + 1))
        after, first = Signal.like(produce), Signal.like(consume)
        at = Mux(completes, after, produce)  # a row that completes a beat begins the next one
        m.d.comb += [
            after.eq(Mux(produce == depth, 0, produce + 1)),
            write_data.addr.eq(at),
            write_data.data.eq(row.replicate(slots // 4)),
            write_data.en.eq(Mux(enters, mask, 0)),
            write_strobe.addr.eq(at),
            write_strobe.data.eq(mask),
            write_strobe.en.eq(Mux(enters, mask | fresh.replicate(slots), 0)),
            first.eq(consume),
            # The beat that is first in the next cycle; it is complete, so that nothing writes it.
            read_data.addr.eq(first),
            read_strobe.addr.eq(consume),
            self.o.p.data.eq(read_data.data),
            self.o.p.slots.eq(read_strobe.data),
        ]
        with m.If(completes):
            m.d.sync += produce.eq(after)
        with m.If(self.o.valid & self.o.ready):
            m.d.comb += first.eq(Mux(consume == depth, 0, consume + 1))
        m.d.sync += consume.eq(first)
