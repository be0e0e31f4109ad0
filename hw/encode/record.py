"""The record of an encode pass and its state: read once, kept in a memory, read field by field."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.encode import ENCODE_DESCRIPTOR_BYTES
from gscn.hw.encode.unit_layouts import LINE_BYTES, STATE
from gscn.hw.layouts import burst_layout, write_beat_layout
from gscn.hw.ram import Ram
from gscn.port import ALIGNMENT_BITS

FIELD = 64
"""Bits of the widest field."""
BYTES = ENCODE_DESCRIPTOR_BYTES + LINE_BYTES
"""The state lies behind the record."""
FIELD_PLACE = data.StructLayout({"byte": (BYTES - 1).bit_length(), "size": 2, "signed": 1})
"""A field: its first byte, a multiple of its bytes, whose log2 is `size`; whether it has a sign."""
WORD = 32
STATE_WORD = data.StructLayout({"number": range(LINE_BYTES * 8 // WORD), "value": WORD})
"""A word of the state."""


class EncodeRecord(wiring.Component):
    """Read a record, and a state, give their fields, one at a time, and write the state.

    Timing
    ------
    - Latency: `LATENCY` from `place` to `value`; `SEND_LATENCY` from `send` to `write_data`. A
      value stays until `en`.
    - Throughput: one field per cycle; bursts of at most 64 bytes; one beat to write per cycle.
    - Combinational: none.
    - Reset: no record; outputs 0, but `value` meaningless.

    Parameters
    ----------
    config
        Port.

    Attributes
    ----------
    addr : In(config.addr_width)
        Of a record or a state, a multiple of 64.
    start : In(1)
        Read it (pulse); only while nothing is read or written.
    of_state : In(1)
        With `start`: it is a state.
    command : Out(stream.Signature(burst_layout(config)))
        Bursts to read.
    data : In(config.mem_width)
        Their beats.
    data_valid : In(1)
        `data` is a beat.
    filled : Out(1)
        All of it is there, until `start`.
    place : In(FIELD_PLACE)
        A field that is wanted.
    en : In(1)
        Take `place`; not from `send` to `written`.
    value : Out(signed(FIELD + 1))
        The field.
    word : In(STATE_WORD)
        A word of the state that is changed.
    word_en : In(1)
        Change it; only while nothing is read or written.
    send : In(1)
        Write the state to where it was read (pulse).
    write_command : Out(stream.Signature(burst_layout(config)))
        Bursts to write.
    write_data : Out(stream.Signature(write_beat_layout(config)))
        Their beats.
    write_done : In(1)
        A burst of these is in memory (pulse).
    written : Out(1)
        The state is in memory, until `start`.
    """

    LATENCY = 1
    SEND_LATENCY = 2

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        command = stream.Signature(burst_layout(config))
        super().__init__(
            {
                "addr": In(config.addr_width),
                "start": In(1),
                "of_state": In(1),
                "command": Out(command),
                "data": In(config.mem_width),
                "data_valid": In(1),
                "filled": Out(1),
                "place": In(FIELD_PLACE),
                "en": In(1),
                "value": Out(signed(FIELD + 1)),
                "word": In(STATE_WORD),
                "word_en": In(1),
                "send": In(1),
                "write_command": Out(command),
                "write_data": Out(stream.Signature(write_beat_layout(config))),
                "write_done": In(1),
                "written": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        size = config.mem_bytes
        records, lines = ENCODE_DESCRIPTOR_BYTES // size, LINE_BYTES // size
        burst_beats = min(config.burst_beats, lines)
        unit = (burst_beats * size).bit_length() - 1
        # bursts still to be asked for and to be written, beats still to come and to go
        asks, tells = Signal(range(records // burst_beats + 1)), Signal(range(lines + 1))
        due, goes = Signal(range(records + 1)), Signal(range(lines + 1))
        acknowledged = Signal.like(tells)
        at = Signal(config.addr_width - ALIGNMENT_BITS + max(0, ALIGNMENT_BITS - unit))
        first = Signal(config.addr_width - ALIGNMENT_BITS, reset_less=True)
        row = Signal(range(records + lines), reset_less=True)
        filled, written, taken = Signal(), Signal(), Signal(FIELD_PLACE, reset_less=True)
        m.d.comb += [
            self.command.valid.eq(asks != 0),
            self.command.p.addr.eq(at << unit),
            self.command.p.beats.eq(burst_beats),
            self.write_command.valid.eq(tells != 0),
            self.write_command.p.addr.eq(at << unit),
            self.write_command.p.beats.eq(burst_beats),
            self.filled.eq(filled),
            self.written.eq(written),
        ]
        asked = self.command.valid & self.command.ready
        told = self.write_command.valid & self.write_command.ready
        with m.If(asked):
            m.d.sync += asks.eq(asks - 1)
        with m.If(told):
            m.d.sync += tells.eq(tells - 1)
        with m.If(asked | told):
            m.d.sync += at.eq(at + 1)
        with m.If(self.data_valid):
            m.d.sync += [due.eq(due - 1), row.eq(row + 1), filled.eq(due == 1)]
        with m.If(self.write_done):
            m.d.sync += [acknowledged.eq(acknowledged - 1), written.eq(acknowledged == 1)]

        m.submodules.rows = rows = Ram(
            shape=config.mem_width, depth=records + lines, granularity=WORD
        )
        write, read = rows.write, rows.read
        byte_bits = (size - 1).bit_length()
        per_row = config.mem_width // WORD
        word_row = Const(0, 1) if per_row == 16 else self.word.number[per_row.bit_length() - 1 :]
        beat = self.write_data
        leaves = beat.valid & beat.ready
        m.d.comb += [
            write.addr.eq(Mux(self.word_en, records + word_row, row)),
            write.data.eq(Mux(self.word_en, self.word.value.replicate(per_row), self.data)),
            write.en.eq(
                Mux(
                    self.word_en,
                    1 << self.word.number[: per_row.bit_length() - 1],
                    self.data_valid.replicate(per_row),
                )
            ),
            read.addr.eq(self.place.byte[byte_bits:]),
            read.en.eq(self.en),
            beat.p.data.eq(read.data),
            beat.p.strobe.eq(~0),
        ]
        with m.If(self.en):
            m.d.sync += taken.eq(self.place)
        # beats are read one ahead
        with m.If((goes != 0) & (~beat.valid | leaves)):
            m.d.comb += [read.addr.eq(row), read.en.eq(1)]
            m.d.sync += [row.eq(row + 1), goes.eq(goes - 1), beat.valid.eq(1)]
        with m.Elif(leaves):
            m.d.sync += beat.valid.eq(0)
        with m.If(self.start):
            m.d.sync += [
                filled.eq(0),
                written.eq(0),
                first.eq(self.addr[ALIGNMENT_BITS:]),
                at.eq(self.addr >> unit),
                asks.eq(Mux(self.of_state, lines // burst_beats, records // burst_beats)),
                due.eq(Mux(self.of_state, lines, records)),
                row.eq(Mux(self.of_state, records, 0)),
            ]
        with m.If(self.send):
            m.d.sync += [
                at.eq(first << (ALIGNMENT_BITS - unit)),
                row.eq(records),
                tells.eq(lines // burst_beats),
                goes.eq(lines),
                acknowledged.eq(lines // burst_beats),
            ]
        chunk, upper = Signal(FIELD), Signal(FIELD)
        m.d.comb += [
            chunk.eq(read.data.word_select(taken.byte[3:byte_bits], FIELD)),
            upper.eq(chunk >> (taken.byte[:3] << 3)),
        ]
        values = []
        for log in range(4):
            width = 8 << log
            sign = taken.signed & upper[width - 1]
            values.append(Cat(upper[:width], sign.replicate(FIELD + 1 - width)))
        m.d.comb += self.value.eq(Array(values)[taken.size])
        return m


assert STATE.size == LINE_BYTES * 8
