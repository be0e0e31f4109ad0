"""Rows of coefficients: those of a group are in a memory, and a vector's are taken apart."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.encode import CHANNEL_ROW, COEFFICIENT_BITS, TENSORS
from gscn.hw.arguments import need
from gscn.hw.encode.layouts import MANTISSA, SIGNIFICAND, exponent, factor_layout, significand
from gscn.hw.encode.line_reader import line_burst
from gscn.hw.encode.loop_walk import VECTOR_BITS
from gscn.hw.encode.unit_layouts import LINE_BYTES, ROW
from gscn.hw.layouts import burst_layout
from gscn.hw.ram import Ram
from gscn.passes import VECTOR
from gscn.port import ALIGNMENT_BITS

ROW_BYTES = CHANNEL_ROW.width // 8
VECTORS = 1 << VECTOR_BITS
"""Vectors of a position at most."""
WORD = 32
"""Bits of a field of a row."""
_FIELDS = [field.name for field in CHANNEL_ROW.fields]
_FACTORS = [_FIELDS.index(name) for name in (*(f"c{n}" for n in range(TENSORS)), "second")]
"""Fields that are coefficients."""
TURN = data.StructLayout({"vector": VECTOR_BITS, "loads": 1})
"""A vector of a position; whether it is the first one of the next rows."""


_STORED = data.ArrayLayout(WORD, ROW_BYTES * 8 // WORD)
"""A row in the memory: coefficients taken apart, each in the place of its code."""
_ODD = factor_layout(COEFFICIENT_BITS).size
"""The bit behind a coefficient that says whether it is to be multiplied."""


def apart(code: Value) -> Value:
    """Return a float32 code as a `factor_layout`, behind which bit `_ODD` is, and then zeros."""
    full, some = code[MANTISSA:-1].all(), code[:MANTISSA].any()
    counted = significand(code)[SIGNIFICAND - COEFFICIENT_BITS :]
    fields = Cat(
        counted, exponent(code), code[-1], full & ~some, full & some, counted[:-1].any()
    )  # fmt: skip
    return Cat(fields, Const(0, WORD - len(fields)))


class RowReader(wiring.Component):
    """Hold the rows of a group's channels, and take those of a vector's lanes apart.

    The next rows are read while those before are used if a position has fewer than 16 vectors: two
    halves of the memory take turns. Otherwise they are read when they are wanted.

    Implements: rows of coefficients in `docs/contract/encode.md`.
    Golden: `emulator.encode`.

    Timing
    ------
    - Latency: `COMMAND_LATENCY` from `i` to `command`; `LATENCY` from `i_turn` to `o`.
    - Throughput: one vector per cycle, and two cycles for new rows; one burst.
    - Combinational: `i_turn`, `o.ready` -> `i_turn.ready`; `vectors` -> `i.ready`.
    - Reset: no rows, no vector; outputs 0, but `i.ready` = 1.

    Parameters
    ----------
    config
        Port.
    integers
        Coefficients are integers, of 16 bits, in the place of a significand.

    Attributes
    ----------
    addr : In(config.addr_width)
        Of the first row, a multiple of 64.
    vectors : In(3)
        Log2 of the vectors of a position, 0 to 4.
    i : In(stream.Signature(16))
        Columns, in the order in which their rows are wanted.
    command : Out(stream.Signature(burst_layout(config)))
        Bursts to read.
    data : In(config.mem_width)
        Beats, in the order of the commands.
    data_valid : In(1)
        `data` is a beat.
    i_turn : In(stream.Signature(TURN))
        Vectors.
    o : Out(stream.Signature(data.ArrayLayout(ROW, VECTOR)))
        Their rows.
    """

    COMMAND_LATENCY = 1
    LATENCY = 1

    def __init__(self, *, config: ArrayConfig, integers: bool = False):
        need(self, "integers", integers, isinstance(integers, bool), "True or False")
        self.config, self._integers = config, integers
        super().__init__(
            {
                "addr": In(config.addr_width),
                "vectors": In(3),
                "i": In(stream.Signature(16)),
                "command": Out(stream.Signature(burst_layout(config))),
                "data": In(config.mem_width),
                "data_valid": In(1),
                "i_turn": In(stream.Signature(TURN)),
                "o": Out(stream.Signature(data.ArrayLayout(ROW, VECTOR))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        row_width = 8 * ROW_BYTES
        granularity = min(self.config.mem_width, row_width)
        memories = []
        for lane in range(VECTOR):
            memory = Ram(shape=row_width, depth=VECTORS, granularity=granularity)
            m.submodules[f"rows{lane}"] = memory
            memories.append(memory)
        whole, released = Signal(), Signal()
        held = Signal(2)
        begins = self._ask(m, held)
        m.d.comb += whole.eq(self._fill(m, memories))
        m.d.comb += released.eq(self._show(m, memories, whole))
        m.d.sync += held.eq(held + begins - released)
        return m

    def _row_addr(self, half, vector):
        """Return the place of a vector in the memories."""
        return Mux(self.vectors == VECTOR_BITS, vector, Cat(vector[: VECTOR_BITS - 1], half))

    def _ask(self, m, held):
        """Ask for the rows of a column when there is a half for them; return when it begins."""
        config = self.config
        beats = line_burst(config)
        step = (beats * config.mem_bytes).bit_length() - 1
        most = VECTORS * VECTOR * ROW_BYTES >> step
        addr = Signal(config.addr_width - step, reset_less=True)
        left, begins = Signal(range(most + 1)), Signal()
        free = Mux(self.vectors == VECTOR_BITS, held == 0, held != 2)
        position_bits = (VECTOR * ROW_BYTES).bit_length() - 1
        m.d.comb += [
            self.command.p.addr.eq(addr << step),
            self.command.p.beats.eq(beats),
            self.command.valid.eq(left != 0),
            self.i.ready.eq((left == 0) & free),
            begins.eq(self.i.valid & self.i.ready),
        ]
        with m.If(begins):
            m.d.sync += [
                addr.eq((self.addr + (self.i.p << (position_bits + self.vectors))) >> step),
                left.eq((VECTOR * ROW_BYTES >> step) << self.vectors),
            ]
        with m.Elif(self.command.valid & self.command.ready):
            m.d.sync += [addr.eq(addr + 1), left.eq(left - 1)]
        return begins

    def _fill(self, m, memories):
        """Store beats; return when the rows of a group are there."""
        width, row_width = self.config.mem_width, 8 * ROW_BYTES
        parts, rows = max(row_width // width, 1), max(width // row_width, 1)
        part = Signal(range(max(parts, 2)))
        lane, vector, half = Signal(range(VECTOR)), Signal(VECTOR_BITS), Signal()
        last_part, last_lane, last = Signal(), Signal(), Signal()
        m.d.comb += [
            last_part.eq(part == parts - 1),
            last_lane.eq(last_part & (lane == VECTOR - rows)),
            last.eq(last_lane & (vector == ((1 << self.vectors) - 1)[:VECTOR_BITS])),
        ]
        words = self._apart(m, part)
        for number, memory in enumerate(memories):
            write = memory.write
            bits = words.word_select(number % rows, row_width) if rows > 1 else words
            own = self.data_valid & (lane == number // rows * rows)
            m.d.comb += [
                write.addr.eq(self._row_addr(half, vector)),
                write.data.eq(bits if width >= row_width else bits.replicate(parts)),
                write.en.eq(Mux(own, 1 << part, 0)),
            ]
        with m.If(self.data_valid):
            m.d.sync += part.eq(Mux(last_part, 0, part + 1))
            with m.If(last_part):
                m.d.sync += lane.eq(Mux(last_lane, 0, lane + rows))
            with m.If(last_lane):
                m.d.sync += vector.eq(Mux(last, 0, vector + 1))
            with m.If(last):
                m.d.sync += half.eq(~half)
        return self.data_valid & last

    def _apart(self, m, part):
        """Return a beat whose coefficients are taken apart: rows, or a `part` of one."""
        count = self.config.mem_width // WORD
        words = []
        for number in range(count):
            code = self.data.word_select(number, WORD)
            word = Signal(WORD, name=f"word{number}")
            m.d.comb += word.eq(code)
            words.append(word)
            if self._integers:
                continue
            with m.Switch(part):
                for value in range(max(len(_FIELDS) // count, 1)):
                    if (value * count + number) % len(_FIELDS) in _FACTORS:
                        with m.Case(value):
                            m.d.comb += word.eq(apart(code))
        return Cat(words)

    def _show(self, m, memories, whole):
        """Show rows; return when those of a group are not wanted any more."""
        turn, o = self.i_turn, self.o
        current, entered, released, enters, goes = (Signal(name=name) for name in (
            "current", "entered", "released", "enters", "goes",
        ))  # fmt: skip
        ready = Signal(2)
        half = Signal(init=1)
        waits = Signal()
        m.d.comb += [
            waits.eq(turn.p.loads & ~entered),
            released.eq(turn.valid & waits & current),
            enters.eq(turn.valid & waits & ~current & (ready != 0)),
            goes.eq(turn.valid & ~waits & (~o.valid | o.ready)),
            turn.ready.eq(goes),
        ]
        m.d.sync += ready.eq(ready + whole - enters)
        with m.If(released):
            m.d.sync += current.eq(0)
        with m.If(enters):
            m.d.sync += [current.eq(1), entered.eq(1), half.eq(~half)]
        with m.If(goes):
            m.d.sync += entered.eq(0)
        with m.If(~o.valid | o.ready):
            m.d.sync += o.valid.eq(goes)
        for number, memory in enumerate(memories):
            read = memory.read
            row = dict(zip(_FIELDS, data.View(_STORED, read.data), strict=True))
            found = o.p[number]
            m.d.comb += [
                read.addr.eq(self._row_addr(half, turn.p.vector)),
                read.en.eq(goes),
                found.bias.eq(row["bias"]),
                found.threshold_a.eq(row["threshold_a"]),
                found.threshold_b.eq(row["threshold_b"]),
            ]
            if self._integers:
                m.d.comb += [found.factors[n].significand.eq(row[f"c{n}"]) for n in range(TENSORS)]
                continue
            m.d.comb += found.second.eq(row["second"])
            for tensor in range(TENSORS):
                word = row[f"c{tensor}"]
                m.d.comb += [found.factors[tensor].eq(word), found.odd[tensor].eq(word[_ODD])]
        return released


assert LINE_BYTES == 1 << ALIGNMENT_BITS
