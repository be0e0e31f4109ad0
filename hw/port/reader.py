"""Read channel of a cluster: from requests to a stream of 64-bit chunks."""

from __future__ import annotations

from functools import reduce
from operator import or_

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gscn import latencies
from gscn.config import CHUNK_WIDTH, AcceleratorConfig
from gscn.hw.fifo import StreamFIFO
from gscn.hw.layouts import SHARERS_WIDTH, burst_layout, read_request_layout


class ChunkReader(wiring.Component):
    """Read ranges of memory in order and hand them on chunk by chunk.

    Requests are taken ahead of their data; a request of 0 chunks yields nothing. Bursts never cross
    a multiple of `burst_beats` beats, and are asked for only when all their beats have room, so
    `data` needs no ready. An `urgent_room` is at most the buffer's depth, so that a reader whose
    burst is not urgent has beats to hand on, or due, after which it is.

    Timing
    ------
    - Latency: `REQUEST_LATENCY` from `request` to `command`; `LATENCY` from `data` to `o`.
    - Throughput: one burst command and one chunk per cycle.
    - Combinational: none.
    - Reset: no request, no beat; outputs 0, but `request.ready` = 1 and `urgent`, `sharers`
      undefined.

    Parameters
    ----------
    config
        Port width, burst length, buffer depth.

    Attributes
    ----------
    request : In(stream.Signature(read_request_layout(config)))
        Byte address, a multiple of the beat, and chunks.
    command : Out(stream.Signature(burst_layout(config)))
        Bursts to read.
    urgent : Out(1)
        `command`, if valid, should not wait to be shared: the buffer has at least the `urgent_room`
        of its request.
    sharers : Out(SHARERS_WIDTH)
        That of the request of `command`.
    data : In(config.mem_width)
        Beats, in the order of the commands.
    data_valid : In(1)
        `data` is a beat.
    o : Out(stream.Signature(CHUNK_WIDTH))
        Chunks.
    """

    REQUEST_DEPTH = latencies.READER_REQUESTS

    REQUEST_LATENCY = 1
    LATENCY = StreamFIFO.LATENCY

    def __init__(self, *, config: AcceleratorConfig):
        self.config = config
        super().__init__(
            {
                "request": In(stream.Signature(read_request_layout(config))),
                "command": Out(stream.Signature(burst_layout(config))),
                "urgent": Out(1),
                "sharers": Out(SHARERS_WIDTH),
                "data": In(config.mem_width),
                "data_valid": In(1),
                "o": Out(stream.Signature(CHUNK_WIDTH)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        chunks_per_beat, burst = config.chunks_per_beat, config.burst_beats
        chunk_bits = chunks_per_beat.bit_length() - 1
        beat_bits = (config.mem_bytes - 1).bit_length()
        burst_bits = burst.bit_length() - 1

        m.submodules.lengths = lengths = StreamFIFO(shape=32, depth=self.REQUEST_DEPTH)
        m.submodules.beats = beats = StreamFIFO(
            shape=config.mem_width, depth=config.read_fifo_beats
        )

        # -- bursts
        beat_addr = Signal(config.addr_width - beat_bits, reset_less=True)
        # beats left to ask for, the last of which the request need not fill; both 0 after it
        whole = Signal(32 - chunk_bits)
        partial = Signal()
        room = Signal(range(config.read_fifo_beats + 1), init=config.read_fifo_beats)
        urgent_room = Signal.like(room, reset_less=True, init=0)
        named_sharers = Signal(SHARERS_WIDTH, reset_less=True)
        to_boundary = Signal(range(burst + 1))
        length = Signal(range(burst + 1))
        few = whole[: burst_bits + 1] + partial
        ends = ~whole[burst_bits + 1 :].any() & (few <= to_boundary)
        idle = (whole == 0) & ~partial
        m.d.comb += [
            to_boundary.eq(burst - beat_addr[:burst_bits]),
            length.eq(Mux(ends, few, to_boundary)),
            self.command.p.addr.eq(beat_addr << beat_bits),
            self.command.p.beats.eq(length),
            self.command.valid.eq(~idle & (room >= length)),
            self.urgent.eq(room >= urgent_room),
            self.sharers.eq(named_sharers),
            self.request.ready.eq(idle & lengths.i.ready),
            lengths.i.p.eq(self.request.p.chunks),
            lengths.i.valid.eq(
                self.request.valid & self.request.ready & (self.request.p.chunks != 0)
            ),
        ]
        issued = self.command.valid & self.command.ready
        with m.If(issued):
            m.d.sync += [
                beat_addr.eq(beat_addr + length),
                whole.eq(Mux(ends, 0, whole - to_boundary)),
                partial.eq(partial & ~ends),
            ]
        with m.If(self.request.valid & self.request.ready):
            m.d.sync += [
                beat_addr.eq(self.request.p.addr[beat_bits:]),
                whole.eq(self.request.p.chunks >> chunk_bits),
                partial.eq(self.request.p.chunks[:chunk_bits].any()),
                urgent_room.eq(self.request.p.urgent_room),
                named_sharers.eq(self.request.p.sharers),
            ]

        # -- chunks
        taken = Signal(32)
        position = taken[:chunk_bits]
        last = taken + 1 == lengths.o.p
        moves = self.o.valid & self.o.ready
        leaves = Signal()
        m.d.comb += [
            beats.i.p.eq(self.data),
            beats.i.valid.eq(self.data_valid),
            # AND and OR of the chunks take fewer gates than a tree of multiplexers
            self.o.p.eq(
                reduce(
                    or_,
                    (
                        beats.o.p.word_select(n, CHUNK_WIDTH)
                        & (position == n).replicate(CHUNK_WIDTH)
                        for n in range(chunks_per_beat)
                    ),
                )
            ),
            self.o.valid.eq(beats.o.valid & lengths.o.valid),
            leaves.eq(moves & (last | (position == chunks_per_beat - 1))),
            beats.o.ready.eq(leaves),
            lengths.o.ready.eq(moves & last),
        ]
        with m.If(moves):
            m.d.sync += taken.eq(Mux(last, 0, taken + 1))
        m.d.sync += room.eq(room - Mux(issued, length, 0) + leaves)
        return m
