"""The record of an encode pass: read from memory once, kept there, and read field by field."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.encode import ENCODE_DESCRIPTOR_BYTES
from gscn.hw.layouts import burst_layout
from gscn.port import ALIGNMENT_BITS, ALIGNMENT_BYTES

FIELD = 64
"""Bits of the widest field."""
FIELD_PLACE = data.StructLayout(
    {"byte": (ENCODE_DESCRIPTOR_BYTES - 1).bit_length(), "size": 2, "signed": 1}
)
"""A field: its first byte, a multiple of its bytes, whose log2 is `size`; whether it has a sign."""


class EncodeRecord(wiring.Component):
    """Read a record, and give its fields, one at a time.

    Timing
    ------
    - Latency: `LATENCY` from `place` with `en` to `value`, which stays until `en`.
    - Throughput: one field per cycle; a record is asked for in bursts of at most 64 bytes.
    - Combinational: none.
    - Reset: no record; outputs 0.

    Parameters
    ----------
    config
        Port.

    Attributes
    ----------
    addr : In(config.addr_width)
        Of a record, a multiple of 64.
    start : In(1)
        Read it (pulse); only while none is being read.
    command : Out(stream.Signature(burst_layout(config)))
        Bursts to read.
    data : In(config.mem_width)
        Their beats.
    data_valid : In(1)
        `data` is a beat.
    filled : Out(1)
        All of the record is there, until `start`.
    place : In(FIELD_PLACE)
        A field that is wanted.
    en : In(1)
        Take `place`.
    value : Out(signed(FIELD + 1))
        The field.
    """

    LATENCY = 1

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        super().__init__(
            {
                "addr": In(config.addr_width),
                "start": In(1),
                "command": Out(stream.Signature(burst_layout(config))),
                "data": In(config.mem_width),
                "data_valid": In(1),
                "filled": Out(1),
                "place": In(FIELD_PLACE),
                "en": In(1),
                "value": Out(signed(FIELD + 1)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        beats = ENCODE_DESCRIPTOR_BYTES // config.mem_bytes
        burst_beats = min(config.burst_beats, max(1, ALIGNMENT_BYTES // config.mem_bytes))
        bursts = beats // burst_beats
        unit = (burst_beats * config.mem_bytes).bit_length() - 1
        asked, came = Signal(range(bursts + 1), init=bursts), Signal(range(beats + 1))
        first = Signal(config.addr_width - ALIGNMENT_BITS, reset_less=True)
        m.d.comb += [
            self.command.valid.eq(asked != bursts),
            self.command.p.addr.eq((first << ALIGNMENT_BITS) + (asked << unit)),
            self.command.p.beats.eq(burst_beats),
            self.filled.eq(came == beats),
        ]
        with m.If(self.command.valid & self.command.ready):
            m.d.sync += asked.eq(asked + 1)
        with m.If(self.data_valid):
            m.d.sync += came.eq(came + 1)
        with m.If(self.start):
            m.d.sync += [asked.eq(0), came.eq(0), first.eq(self.addr[ALIGNMENT_BITS:])]

        m.submodules.rows = rows = Memory(shape=config.mem_width, depth=beats, init=[])
        write, read = rows.write_port(), rows.read_port()
        byte_bits = (config.mem_bytes - 1).bit_length()
        taken = Signal(FIELD_PLACE, reset_less=True)
        m.d.comb += [
            write.addr.eq(came),
            write.data.eq(self.data),
            write.en.eq(self.data_valid),
            read.addr.eq(self.place.byte[byte_bits:]),
            read.en.eq(self.en),
        ]
        with m.If(self.en):
            m.d.sync += taken.eq(self.place)
        chunk, upper = Signal(FIELD), Signal(FIELD)
        m.d.comb += chunk.eq(read.data.word_select(taken.byte[3:byte_bits], FIELD))
        m.d.comb += upper.eq(chunk >> (taken.byte[:3] << 3))
        values = []
        for size in range(4):
            width = 8 << size
            sign = taken.signed & upper[width - 1]
            values.append(Cat(upper[:width], sign.replicate(FIELD + 1 - width)))
        m.d.comb += self.value.eq(Array(values)[taken.size])
        return m
