"""A tensor of an encode pass that is strips, vector by vector."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.encode import EncodeError
from gscn.hw.arguments import need, need_number
from gscn.hw.encode.line_reader import LineReader, pick
from gscn.hw.encode.transposer import CODES, HALF
from gscn.hw.fifo import StreamFIFO
from gscn.hw.layouts import burst_layout
from gscn.pass_errors import PASS_ERROR_WIDTH
from gscn.passes import TABLE_ENTRY_BYTES, VECTOR

ENTRY = 8 * TABLE_ENTRY_BYTES
STRIP_VECTOR = data.StructLayout({"begins_group": 1, "ends_strip": 1})
"""A vector of the walk: whether it is the first of its group, or the last of its strip."""
_TICKET = data.StructLayout({"begins_group": 1, "begins": 1, "ends": 1})
_LENGTH = data.StructLayout({"halfwords": ENTRY, "bad": 1})
_SPAN = data.StructLayout({"first": ENTRY, "length": _LENGTH})
"""A strip: its first halfword, and how many it has; none if its entries are `bad`."""


class _Decoder:
    """Where in a strip the reader is."""

    def __init__(self) -> None:
        self.entered = Signal()
        """The length of the strip is known."""
        self.left = Signal(ENTRY)
        """Halfwords of the strip."""
        self.known = Signal()
        """The block's halfword is taken."""
        self.bits = Signal(VECTOR)
        """Vectors of the block from this one on that have values."""
        self.index = Signal(range(VECTOR))
        """Of this vector in its block."""
        self.masked = Signal()
        """Its mask is taken."""
        self.mask, self.rest = Signal(VECTOR), Signal(VECTOR)
        """Its lanes, and those whose values are not taken."""


class StripReader(wiring.Component):
    """Read the vectors of strips, a halfword at a time.

    The table's entries are asked for as vectors come, and the halfwords of a strip as soon as its
    two entries are there. After an error nothing comes any more.

    Implements: "Strips as a tensor" of `docs/contract/encode.md`, codes of 16 bits, or integers.
    Golden: `gscn.strips.decode`.

    Timing
    ------
    - Latency: `COMMAND_LATENCY` from `i` to `commands`; `LATENCY` from `data_valid` to `o`.
    - Throughput: one halfword per cycle; a vector without values takes a cycle too, and so does the
      beginning of a strip.
    - Combinational: `start_addr`, `table_addr`, `columns` -> `commands`.
    - Reset: no vector; outputs 0, but `i.ready` = 1.

    Parameters
    ----------
    config
        Port.
    vectors
        Vectors that are taken and not handed on.
    integers
        Codes are integers, of 16 bits or of 8, two in a halfword.

    Attributes
    ----------
    narrow : In(1)
        Codes have 8 bits. Held while there are vectors.
    start_addr : In(config.addr_width)
        Of the first halfword.
    end_addr : In(config.addr_width + 1)
        One past the last byte.
    table_addr : In(config.addr_width)
        Of the table.
    columns : In(32)
        Entries of a row of the table: groups.
    i : In(stream.Signature(STRIP_VECTOR))
        Vectors, in the order of the walk.
    commands : Out(stream.Signature(burst_layout(config))).array(2)
        Bursts to read: of the table, of the strips.
    data : In(config.mem_width)
        Beats of either, in the order of its commands.
    data_valid : In(2)
        `data` is a beat of it.
    o : Out(stream.Signature(CODES))
        Values.
    error : Out(PASS_ERROR_WIDTH)
        TABLE or STRIP, if any is malformed.
    """

    COMMAND_LATENCY = 1
    LATENCY = 3
    TABLE_LINES = 4
    LINES = 8
    OUT_DEPTH = 4
    """Vectors that are whole and not handed on."""

    def __init__(self, *, config: ArrayConfig, vectors: int, integers: bool = False):
        need_number(self, "vectors", vectors)
        need(self, "integers", integers, isinstance(integers, bool), "True or False")
        self.config, self._vectors, self._integers = config, vectors, integers
        super().__init__(
            {
                "narrow": In(1),
                "start_addr": In(config.addr_width),
                "end_addr": In(config.addr_width + 1),
                "table_addr": In(config.addr_width),
                "columns": In(32),
                "i": In(stream.Signature(STRIP_VECTOR)),
                "commands": Out(stream.Signature(burst_layout(config))).array(2),
                "data": In(config.mem_width),
                "data_valid": In(2),
                "o": Out(stream.Signature(CODES)),
                "error": Out(PASS_ERROR_WIDTH),
            }
        )

    def elaborate(self, platform):
        m = Module()
        sizes = {"config": self.config, "vectors": self._vectors}
        m.submodules.table = table = LineReader(depth=self.TABLE_LINES, **sizes)
        m.submodules.lines = lines = LineReader(depth=self.LINES, **sizes)
        for number, reader in enumerate((table, lines)):
            wiring.connect(m, reader.command, wiring.flipped(self.commands[number]))
            m.d.comb += [
                reader.data.eq(self.data),
                reader.data_valid.eq(self.data_valid[number]),
            ]
        queues = {}
        for name, shape, depth in (
            ("arrivals", _TICKET, self._vectors), ("tickets", _TICKET, self._vectors),
            ("kinds", 1, self._vectors + 2), ("spans", _SPAN, 2), ("lengths", _LENGTH, 4),
        ):  # fmt: skip
            queues[name] = m.submodules[name] = StreamFIFO(shape=shape, depth=depth)
        first = Signal(init=1)
        arrival = queues["arrivals"].i
        m.d.comb += [
            arrival.p.begins_group.eq(self.i.p.begins_group),
            arrival.p.begins.eq(first),
            arrival.p.ends.eq(self.i.p.ends_strip),
            arrival.valid.eq(self.i.valid),
            self.i.ready.eq(arrival.ready),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += first.eq(self.i.p.ends_strip)
        self._ask(m, queues["arrivals"].o, queues["tickets"].i, queues["kinds"].i, table.i)
        self._measure(m, table.o, queues["kinds"].o, queues["spans"].i)
        self._read(m, queues["spans"].o, queues["lengths"].i, lines.i)
        self._decode(m, queues["tickets"].o, queues["lengths"].o, lines.o)
        return m

    def _ask(self, m, arrival, ticket, kind, spot):
        """Ask for the table's entry behind each strip that begins, and for a group's first one."""
        width = self.config.addr_width
        column, row, second, asks = Signal(width), Signal(width), Signal(), Signal()
        opens = Signal()
        m.d.comb += [
            opens.eq(arrival.p.begins & arrival.p.begins_group & ~second),
            asks.eq(arrival.valid & arrival.p.begins & ticket.ready & kind.ready),
            spot.valid.eq(asks),
            spot.p.used.eq(1),
            spot.p.addr.eq(Mux(opens, self.table_addr + column, row + (self.columns << 2)[:width])),
            kind.p.eq(opens),
            kind.valid.eq(asks & spot.ready),
            arrival.ready.eq(ticket.ready & Mux(arrival.p.begins, kind.valid & ~opens, 1)),
            ticket.valid.eq(arrival.valid & arrival.ready),
            ticket.p.eq(arrival.p),
        ]
        with m.If(kind.valid):
            m.d.sync += [row.eq(spot.p.addr), second.eq(opens)]
            with m.If(opens):
                m.d.sync += column.eq(column + TABLE_ENTRY_BYTES)

    def _measure(self, m, entry, kind, span):
        """Make spans of entries of the table."""
        before, number = Signal(ENTRY, reset_less=True), Signal(ENTRY)
        bad = Signal()
        halfwords = (self.end_addr - self.start_addr) >> 1
        m.d.comb += [
            number.eq(pick(entry.p, ENTRY)),
            bad.eq((number < before) | (number > halfwords)),
            span.p.first.eq(before),
            span.p.length.halfwords.eq(Mux(bad, 0, number - before)),
            span.p.length.bad.eq(bad),
            span.valid.eq(entry.valid & kind.valid & ~kind.p),
            entry.ready.eq(kind.valid & (kind.p | span.ready)),
            kind.ready.eq(entry.valid & entry.ready),
        ]
        with m.If(entry.valid & entry.ready):
            m.d.sync += before.eq(number)

    def _read(self, m, span, length, spot):
        """Ask for each halfword of the spans, and hand on how many they have."""
        at, begun = Signal(ENTRY), Signal()
        halfwords = span.p.length.halfwords
        last = at + 1 == halfwords
        m.d.comb += [
            length.p.eq(span.p.length),
            length.valid.eq(span.valid & ~begun),
            spot.p.addr.eq(self.start_addr + ((span.p.first + at) << 1)),
            spot.p.used.eq(1),
            spot.valid.eq(span.valid & begun & (halfwords != 0)),
            span.ready.eq(begun & ((halfwords == 0) | (spot.ready & last))),
        ]
        with m.If(length.valid & length.ready):
            m.d.sync += begun.eq(1)
        with m.If(spot.valid & spot.ready):
            m.d.sync += at.eq(at + 1)
        with m.If(span.valid & span.ready):
            m.d.sync += [at.eq(0), begun.eq(0)]

    def _decode(self, m, ticket, length, halfword):
        """Make a vector for each ticket."""
        state = _Decoder()
        m.submodules.whole = whole = StreamFIFO(shape=VECTOR, depth=self.OUT_DEPTH)
        enters, takes, wants, goes, ends, bad = (Signal(name=name) for name in (
            "enters", "takes", "wants", "goes", "ends", "bad",
        ))  # fmt: skip
        kind = Signal(2)
        code = Signal(HALF)
        # lanes whose values are not taken, but for the lowest, and those behind this halfword
        others, after = Signal(VECTOR), Signal(VECTOR)
        runs = ticket.valid & whole.i.ready & (self.error == 0)
        m.d.comb += [
            code.eq(pick(halfword.p, HALF)),
            others.eq(state.rest & (state.rest - 1)),
            after.eq(others),
            enters.eq(runs & ticket.p.begins & ~state.entered),
            length.ready.eq(enters),
            goes.eq(runs & (~ticket.p.begins | state.entered)),
            wants.eq(goes & (~state.known | state.bits[0])),
            takes.eq(wants & (state.left != 0) & halfword.valid),
            halfword.ready.eq(takes),
        ]
        with m.If(~state.known):
            m.d.comb += kind.eq(0)
        with m.Elif(~state.masked):
            m.d.comb += kind.eq(1)
        with m.Else():
            m.d.comb += kind.eq(2)
        left = Signal(ENTRY)
        m.d.comb += [
            left.eq(state.left - takes),
            # the last of its values, or none
            ends.eq(Mux(wants, takes & (kind == 2) & (after == 0), goes)),
            bad.eq(
                (wants & (state.left == 0))
                | (takes & (kind == 1) & (code == 0))
                | (ends & ticket.p.ends & ((left != 0) | state.bits[1:].any()))
            ),
            whole.i.p.eq(Mux(wants, state.mask, 0)),
            whole.i.valid.eq(ends & ~bad),
            ticket.ready.eq(ends & ~bad),
        ]
        with m.If(bad):
            m.d.sync += self.error.eq(EncodeError.STRIP)
        with m.If(enters & length.valid):
            m.d.sync += [state.entered.eq(1), state.left.eq(length.p.halfwords)]
            # an error of the table comes in its turn: behind all strips before it
            with m.If(length.p.bad):
                m.d.sync += self.error.eq(EncodeError.TABLE)
        with m.If(takes):
            m.d.sync += state.left.eq(left)
            with m.Switch(kind):
                with m.Case(0):
                    m.d.sync += [state.known.eq(1), state.bits.eq(code)]
                with m.Case(1):
                    m.d.sync += [state.masked.eq(1), state.mask.eq(code), state.rest.eq(code)]
                with m.Default():
                    m.d.sync += state.rest.eq(after)
        with m.If(ends):
            last = ticket.p.ends | (state.index == VECTOR - 1)
            m.d.sync += [
                state.masked.eq(0),
                state.bits.eq(state.bits >> 1),
                state.known.eq(~last),
                state.index.eq(Mux(last, 0, state.index + 1)),
                state.entered.eq(~ticket.p.ends),
            ]
        if self._integers:
            with m.If(self.narrow):
                m.d.comb += after.eq(others & (others - 1))
        self._collect(m, whole, state.rest, others, takes & (kind == 2), code)

    def _collect(self, m, whole, rest, others, stores, code):
        """Keep the values of vectors, each lane in a memory of its own, and show the oldest."""
        write_at, read_at = (Signal(range(self.OUT_DEPTH), name=name) for name in ("to", "of"))
        # the lowest of the lanes whose values are not taken
        own = rest & ~(rest - 1)
        upper = others & ~(others - 1) & self.narrow.replicate(VECTOR)
        for number in range(VECTOR):
            memory = Memory(shape=HALF, depth=self.OUT_DEPTH, init=[])
            m.submodules[f"lane{number}"] = memory
            write, read = memory.write_port(), memory.read_port(domain="comb")
            value = Mux(whole.o.p[number], read.data, 0)
            m.d.comb += [
                write.addr.eq(write_at),
                write.data.eq(code),
                write.en.eq(stores & own[number]),
                read.addr.eq(read_at),
                self.o.p[number].eq(Cat(Const(0, HALF), value)),
            ]
            if self._integers:
                byte = Mux(own[number], code[: HALF // 2], code[HALF // 2 :])
                m.d.comb += [
                    write.data.eq(Mux(self.narrow, byte.as_signed(), code)),
                    write.en.eq(stores & (own[number] | upper[number])),
                    self.o.p[number].eq(value.as_signed()),
                ]
        m.d.comb += [self.o.valid.eq(whole.o.valid), whole.o.ready.eq(self.o.ready)]
        with m.If(whole.i.valid):
            m.d.sync += write_at.eq(write_at + 1)
        with m.If(whole.o.valid & whole.o.ready):
            m.d.sync += read_at.eq(read_at + 1)
