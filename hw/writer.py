"""Write channel of a cluster: from beats to bursts."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.config import AcceleratorConfig
from hw.fifo import StreamFIFO
from hw.layouts import burst_layout, write_beat_layout


class BurstWriter(wiring.Component):
    """Write beats to consecutive addresses in bursts.

    A burst ends at a multiple of `burst_beats` beats, or with what is there when `flush` is high.
    All beats of a burst are queued before its command is offered.

    Timing: one beat per cycle.

    Parameters
    ----------
        config: port width, burst length.

    Members:
        start: take `start_addr` as the next beat's address (only while `empty`).
        start_addr: byte address, a multiple of the beat.
        i: beats.
        flush: no more beats will come for this range; write what is queued.
        empty: every beat has been handed on.
        command: bursts.
        o: beats, in the order of the commands.
    """

    def __init__(self, *, config: AcceleratorConfig):
        self.config = config
        super().__init__(
            {
                "start": In(1),
                "start_addr": In(config.addr_width),
                "i": In(stream.Signature(write_beat_layout(config))),
                "flush": In(1),
                "empty": Out(1),
                "command": Out(stream.Signature(burst_layout(config))),
                "o": Out(stream.Signature(write_beat_layout(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        burst = config.burst_beats
        beat_bits = (config.mem_bytes - 1).bit_length()
        burst_bits = burst.bit_length() - 1

        m.submodules.beats = beats = StreamFIFO(shape=write_beat_layout(config), depth=2 * burst)
        wiring.connect(m, wiring.flipped(self.i), beats.i)
        wiring.connect(m, beats.o, wiring.flipped(self.o))

        addr = Signal(config.addr_width)
        committed = Signal(range(2 * burst + 1))
        available = Signal(range(2 * burst + 1))
        to_boundary = Signal(range(burst + 1))
        length = Signal(range(burst + 1))
        m.d.comb += [
            available.eq(beats.level - committed),
            to_boundary.eq(burst - addr[beat_bits : beat_bits + burst_bits]),
            length.eq(Mux(available < to_boundary, available, to_boundary)),
            self.command.p.addr.eq(addr),
            self.command.p.beats.eq(length),
            self.command.valid.eq((available >= to_boundary) | (self.flush & (available != 0))),
            self.empty.eq(beats.level == 0),
        ]
        issued = self.command.valid & self.command.ready
        leaves = self.o.valid & self.o.ready
        m.d.sync += committed.eq(committed + Mux(issued, length, 0) - leaves)
        with m.If(self.start):
            m.d.sync += addr.eq(self.start_addr)
        with m.Elif(issued):
            m.d.sync += addr.eq(addr + (length << beat_bits))
        return m
