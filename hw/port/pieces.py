"""Read channel of a cluster: from pieces of strips to a window of halfwords."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn import latencies
from gscn.array import ArrayConfig
from gscn.hw.fifo import StreamFIFO
from gscn.hw.input_layouts import PIECE, WINDOW_HALFWORDS
from gscn.hw.layouts import burst_layout


class PieceReader(wiring.Component):
    """Read pieces of memory in order and show their halfwords, a few at a time.

    Bursts never cross a multiple of `burst_beats` beats, and are asked for only when all their
    beats have room, so `data` needs no ready.

    The window shows the next halfwords of the piece under way, as many as `available` says; `take`
    of them, at most those, leave. They come from a tail of up to three halfwords and then from the
    oldest beat, which leaves for the tail as soon as that is empty and the beat has no more than
    three left. A piece, also one of 0 halfwords, is under way until `done`, for which nothing may
    be left of it; the next one is in the cycle after. Of `REQUEST_DEPTH` pieces whose first burst
    is asked for, one is under way.

    Timing
    ------
    - Latency: `REQUEST_LATENCY` from `request` to `command`; `LATENCY` from `data_valid` to
      `available`, and from `data` to `window`.
    - Throughput: one burst command and `WINDOW_HALFWORDS` halfwords per cycle; a piece costs one
      cycle more.
    - Combinational: none.
    - Reset: no piece, no beat; outputs 0, but `request.ready` = 1 and `window` undefined.

    Parameters
    ----------
    config
        Port width, burst length, buffer depth.

    Attributes
    ----------
    addr : In(config.addr_width)
        Byte address at which the operand's data begins, a multiple of 64.
    request : In(stream.Signature(PIECE))
        Pieces.
    command : Out(stream.Signature(burst_layout(config)))
        Bursts to read.
    data : In(config.mem_width)
        Beats, in the order of the commands.
    data_valid : In(1)
        `data` is a beat.
    window : Out(data.ArrayLayout(16, WINDOW_HALFWORDS))
        The next halfwords.
    available : Out(range(WINDOW_HALFWORDS + 1))
        How many of them are there.
    ends : Out(1)
        A piece is under way that has no others.
    take : In(range(WINDOW_HALFWORDS + 1))
        How many are taken.
    done : In(1)
        The piece under way is done with (pulse).
    """

    REQUEST_DEPTH = latencies.PIECES_REQUESTED

    REQUEST_LATENCY = 1
    LATENCY = latencies.PIECE_LATENCY

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        super().__init__(
            {
                "addr": In(config.addr_width),
                "request": In(stream.Signature(PIECE)),
                "command": Out(stream.Signature(burst_layout(config))),
                "data": In(config.mem_width),
                "data_valid": In(1),
                "window": Out(data.ArrayLayout(16, WINDOW_HALFWORDS)),
                "available": Out(range(WINDOW_HALFWORDS + 1)),
                "ends": Out(1),
                "take": In(range(WINDOW_HALFWORDS + 1)),
                "done": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.beats = beats = StreamFIFO(
            shape=config.mem_width, depth=config.read_fifo_beats
        )
        place = data.StructLayout({"position": self._position_width, "halfwords": 32})
        m.submodules.pieces = pieces = StreamFIFO(shape=place, depth=self.REQUEST_DEPTH)
        m.d.comb += [beats.i.p.eq(self.data), beats.i.valid.eq(self.data_valid)]
        self._ask(m, pieces.i, beats.o.valid & beats.o.ready)
        self._show(m, pieces.o, beats.o)
        return m

    @property
    def _position_width(self) -> int:
        """Bits of the place of a halfword in its beat."""
        return (self.config.mem_bytes // 2).bit_length() - 1

    def _ask(self, m, piece, leaves):
        """Ask for the bursts of each request, and hand its place on; a beat `leaves` the buffer."""
        config, burst = self.config, self.config.burst_beats
        beat_bits = config.mem_bytes.bit_length() - 1
        burst_bits = burst.bit_length() - 1
        beat_addr = Signal(config.addr_width - beat_bits, reset_less=True)
        beats_left = Signal(32)
        room = Signal(range(config.read_fifo_beats + 1), init=config.read_fifo_beats)
        to_boundary = Signal(range(burst + 1))
        length = Signal(range(burst + 1))
        ends = beats_left <= to_boundary
        request = self.request.p
        position = request.first[: self._position_width]
        m.d.comb += [
            to_boundary.eq(burst - beat_addr[:burst_bits]),
            length.eq(Mux(ends, beats_left[: burst_bits + 1], to_boundary)),
            self.command.p.addr.eq(beat_addr << beat_bits),
            self.command.p.beats.eq(length),
            self.command.valid.eq((beats_left != 0) & (room >= length)),
            self.request.ready.eq((beats_left == 0) & piece.ready),
            # one of 0 halfwords has no beat, wherever it lies
            piece.p.position.eq(Mux(request.halfwords == 0, 0, position)),
            piece.p.halfwords.eq(request.halfwords),
            piece.valid.eq(self.request.valid & (beats_left == 0)),
        ]
        issued = self.command.valid & self.command.ready
        with m.If(issued):
            m.d.sync += [beat_addr.eq(beat_addr + length), beats_left.eq(beats_left - length)]
        with m.If(self.request.valid & self.request.ready):
            last = position + request.halfwords + (config.mem_bytes // 2 - 1)
            m.d.sync += [
                beat_addr.eq(self.addr[beat_bits:] + (request.first >> self._position_width)),
                beats_left.eq(Mux(request.halfwords == 0, 0, last >> self._position_width)),
            ]
        m.d.sync += room.eq(room - Mux(issued, length, 0) + leaves)

    def _show(self, m, piece, beat):
        """Show the window of the piece under way."""
        beat_halfwords = self.config.mem_bytes // 2
        most = WINDOW_HALFWORDS
        under_way = Signal()
        left = Signal(32)
        position = Signal(self._position_width)
        tail = Signal(16 * (most - 1), reset_less=True)
        tail_count = Signal(range(most))
        # what the oldest beat holds from `position` on
        rest = Signal(range(beat_halfwords + 1))
        shown = Signal(16 * most)
        present = Signal(range(beat_halfwords + most))
        tail_bits = tail & ((1 << (tail_count << 4)) - 1)[: len(tail)]
        m.d.comb += [
            rest.eq(beat_halfwords - position),
            shown.eq((beat.p >> (position << 4))[: 16 * most]),
            self.window.eq((tail_bits | (shown << (tail_count << 4)))[: 16 * most]),
            present.eq(tail_count + Mux(beat.valid, rest, 0)),
        ]
        few = Mux(present < most, present, most)
        with m.If(under_way):
            m.d.comb += [
                self.available.eq(Mux(left < few, left, few)),
                self.ends.eq(left == self.available),
            ]

        # -- what the tail and the beat hold after the cycle
        from_tail = Mux(self.take < tail_count, self.take, tail_count)
        next_position = Signal(range(beat_halfwords + 1))
        next_rest = Signal(range(beat_halfwords + 1))
        tail_empty = Signal()
        absorbs = Signal()
        m.d.comb += [
            tail_empty.eq(self.take >= tail_count),
            next_position.eq(position + (self.take - from_tail)[: len(self.take)]),
            next_rest.eq(beat_halfwords - next_position),
            absorbs.eq(under_way & (left != 0) & beat.valid & tail_empty & (next_rest < most)),
        ]
        with m.If(absorbs):
            m.d.comb += beat.ready.eq(1)
            m.d.sync += [
                tail.eq(beat.p >> (next_position << 4)),
                tail_count.eq(next_rest),
                position.eq(0),
            ]
        with m.Else():
            m.d.sync += [
                tail.eq(tail >> (from_tail << 4)),
                tail_count.eq(tail_count - from_tail),
                position.eq(next_position),
            ]
        m.d.sync += left.eq(left - self.take)

        # -- from one piece to the next
        begins = ~under_way | self.done
        m.d.comb += piece.ready.eq(begins)
        with m.If(self.done):
            # the beat of the last halfword, unless the tail has taken the rest of it
            m.d.comb += beat.ready.eq(position != 0)
        with m.If(begins):
            m.d.sync += [
                under_way.eq(piece.valid),
                left.eq(piece.p.halfwords),
                position.eq(piece.p.position),
                tail_count.eq(0),
            ]
