"""Read channel of a cluster: from pieces of strips to a window of halfwords."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn import latencies
from gscn.array import ArrayConfig
from gscn.hw.fifo import StreamFIFO
from gscn.hw.input_layouts import PIECE, WINDOW_HALFWORDS
from gscn.hw.layouts import burst_layout

_SHOWN = 3 * WINDOW_HALFWORDS - 1
"""Halfwords behind each other: those of the window, and as many as that each cycle has as many."""


class _Group:
    """Halfwords on their way from a beat to the window."""

    def __init__(self) -> None:
        self.halfwords = Signal(16 * WINDOW_HALFWORDS, reset_less=True)
        self.count = Signal(range(WINDOW_HALFWORDS + 1))
        self.whole = Signal(init=1)
        """There are no more of the piece that was begun last."""
        self.ahead = Signal()
        """That is not the piece under way, but the one behind it."""
        self.enters = Signal()
        """In the next cycle they are there, and of the piece under way."""
        self.leaves = Signal()
        """The window takes them in this cycle."""


class PieceReader(wiring.Component):
    """Read pieces of memory in order and show their halfwords, a few at a time.

    Bursts never cross a multiple of `burst_beats` beats, and are asked for only when all their
    beats have room, so `data` needs no ready.

    The window shows the next halfwords of the piece under way, as many as `available` says; `take`
    of them, at most those, leave. It is a register of up to eleven, into which groups of four come
    as they lie in beats, from another register, whenever it has no more than seven: so what is
    taken decides only by how much is shifted. A piece, also one of 0 halfwords, is under way until
    `done`, for which nothing may be left of it; the next one is in the cycle after, and shows its
    first group, gathered meanwhile, in the one behind that. Of `REQUEST_DEPTH` pieces behind these
    two the first burst is asked for.

    Timing
    ------
    - Latency: `REQUEST_LATENCY` from `request` to `command`; `LATENCY` from `data_valid` to
      `available`, and from `data` to `window`.
    - Throughput: one burst command and `WINDOW_HALFWORDS` halfwords per cycle; a piece costs one
      cycle more.
    - Combinational: none.
    - Reset: no piece, no beat; outputs 0, but `request.ready` = 1.

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
        group = _Group()
        begins = self._gather(m, pieces.o, beats.o, group)
        self._show(m, group, begins)
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
        # of the burst that is asked for next; 0: none
        length = Signal(range(burst + 1))
        request = self.request.p
        position = request.first[: self._position_width]
        first, beats, rest = (
            Signal.like(beat_addr),
            Signal.like(beats_left),
            Signal.like(beats_left),
        )
        round_up = config.mem_bytes // 2 - 1
        last = position + request.halfwords + round_up
        m.d.comb += [
            self.command.p.addr.eq(beat_addr << beat_bits),
            self.command.p.beats.eq(length),
            self.command.valid.eq((length != 0) & (room >= length)),
            self.request.ready.eq((length == 0) & piece.ready),
            # one of 0 halfwords has no beat, wherever it lies
            piece.p.position.eq(Mux(request.halfwords == 0, 0, position)),
            piece.p.halfwords.eq(request.halfwords),
            piece.valid.eq(self.request.valid & (length == 0)),
            first.eq(self.addr[beat_bits:] + (request.first >> self._position_width)),
            beats.eq(Mux(request.halfwords == 0, 0, last >> self._position_width)),
            rest.eq(beats_left - length),
        ]

        def up_to(most, many, wanted):
            """Return how many beats a burst has, of which there is room for `most`.

            There are `wanted`, of a few bits, unless it is known to be `many`: more than any burst.
            """
            return Mux(~many & (wanted < most), wanted[: len(length)], most)

        # the low bits decide, and do not wait for carries to the others
        low_bits = len(length) + 1
        low_halfwords = request.halfwords[: low_bits + self._position_width]
        low_last = position + low_halfwords + round_up
        low_beats = Mux(low_halfwords == 0, 0, low_last >> self._position_width)
        low_rest = (beats_left[:low_bits] - length)[:low_bits]
        issued = self.command.valid & self.command.ready
        with m.If(issued):
            # it has ended at a boundary, or was the last
            m.d.sync += [
                beat_addr.eq(beat_addr + length),
                beats_left.eq(rest),
                length.eq(up_to(burst, beats_left[low_bits:].any(), low_rest)),
            ]
        with m.If(self.request.valid & self.request.ready):
            to_boundary = (burst - first[:burst_bits])[: len(length)]
            m.d.sync += [
                beat_addr.eq(first),
                beats_left.eq(beats),
                length.eq(
                    up_to(to_boundary, request.halfwords[len(low_halfwords) :].any(), low_beats)
                ),
            ]
        m.d.sync += room.eq(room - Mux(issued, length, 0) + leaves)

    def _gather(self, m, piece, beat, group):
        """Gather the halfwords of each piece, as they lie in groups in its beats.

        Return whether another piece is begun.
        """
        left, position = Signal(32), Signal(self._position_width)
        # few are left, of which only the low bits count; that there were not many more is known
        # before, so that it is the low bits that say so
        few, near, rest = Signal(), Signal(), Signal.like(left)
        lane_bits = WINDOW_HALFWORDS.bit_length() - 1
        lane, number = position[:lane_bits], position[lane_bits:]
        here, count = (
            Signal(range(WINDOW_HALFWORDS + 1), name=name) for name in ("here", "gathered")
        )
        loads, ends, begins, free = (
            Signal(name=name) for name in ("loads", "ends_group", "begins", "free")
        )
        m.d.comb += [
            here.eq(WINDOW_HALFWORDS - lane),
            ends.eq(few & (left[: len(here)] <= here)),
            rest.eq(Mux(begins, piece.p.halfwords, left - Mux(loads, count, 0))),
            count.eq(Mux(ends, left, here)),
            free.eq((group.count == 0) | group.leaves),
            loads.eq(free & ~group.whole & beat.valid),
            # the last of a beat, or of a piece
            beat.ready.eq(loads & (ends | (number == (1 << len(number)) - 1))),
            begins.eq(free & group.whole & ~group.ahead & piece.valid),
            piece.ready.eq(free & group.whole & ~group.ahead),
        ]
        there = loads | ((group.count != 0) & ~group.leaves)
        m.d.sync += [
            left.eq(rest),
            few.eq(few | (near & ~rest[len(here)])),
            near.eq(~left[len(here) + 1 :].any()),
        ]
        with m.If(begins):
            m.d.sync += [
                few.eq(~piece.p.halfwords[len(here) :].any()),
                near.eq(~piece.p.halfwords[len(here) + 1 :].any()),
            ]
        m.d.comb += group.enters.eq(there & (~group.ahead | self.done))
        with m.If(group.leaves):
            m.d.sync += group.count.eq(0)
        with m.If(loads):
            m.d.sync += [
                group.halfwords.eq(
                    (beat.p.word_select(number, len(group.halfwords)) >> (lane << 4))
                    & Cat((count > halfword).replicate(16) for halfword in range(WINDOW_HALFWORDS))
                ),
                group.count.eq(count),
                group.whole.eq(ends),
                position.eq(position + here),
            ]
        with m.If(begins):
            m.d.sync += [
                group.whole.eq(piece.p.halfwords == 0),
                position.eq(piece.p.position),
            ]
        return begins

    def _show(self, m, group, begins):
        """Show the window of the piece under way."""
        most = WINDOW_HALFWORDS
        shown = Signal(16 * _SHOWN)  # zeros behind what is there
        # how many are there, and behind how many a group enters, one bit for each number: what is
        # taken, which is known late, only chooses among them
        count, place = Signal(_SHOWN + 1, init=1), Signal(_SHOWN - most + 1)
        under_way = Signal()
        m.d.comb += [
            self.window.eq(shown[: 16 * most]),
            self.available.eq(Cat(count[1] | count[3], count[2] | count[3], ~count[:most].any())),
            self.ends.eq(
                under_way
                & count[: most + 1].any()
                & (group.ahead | (group.whole & (group.count == 0)))
            ),
        ]
        entered, after = Signal.like(count), Signal.like(count)
        with m.Switch(Mux(group.leaves, group.count, 0)):
            for number in range(most + 1):
                with m.Case(number):
                    m.d.comb += entered.eq(count << number)
        with m.Switch(self.take):
            for number in range(most + 1):
                with m.Case(number):
                    m.d.comb += after.eq(entered >> number)
        behind = shown
        for number, enters in enumerate(place):
            behind |= Mux(enters, group.halfwords << (16 * number), 0)
        # not more than stays whatever is taken: so a group, and a beat, leave whether it is or not
        fits = after[: len(place)]
        m.d.sync += [
            count.eq(after),
            place.eq(Mux(group.enters, fits, 0)),
            group.leaves.eq(group.enters & fits.any()),
            shown.eq(behind >> (self.take << 4)),
        ]

        # -- from one piece to the next
        with m.If(self.done):
            m.d.sync += [group.ahead.eq(0), under_way.eq(group.ahead | begins)]
        with m.Elif(under_way):
            m.d.sync += group.ahead.eq(group.ahead | begins)
        with m.Else():
            m.d.sync += under_way.eq(begins)
