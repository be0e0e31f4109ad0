"""A dense tensor of an encode pass, vector by vector."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.hw.arguments import need_number
from gscn.hw.encode.layouts import CODE
from gscn.hw.encode.line_reader import LineReader, spot_layout
from gscn.hw.fifo import StreamFIFO
from gscn.hw.layouts import burst_layout
from gscn.passes import VECTOR

CODES = data.ArrayLayout(CODE, VECTOR)
"""Values of a vector: float32 codes."""
BF16_BYTES, FLOAT32_BYTES = 2, 4


def vector_layout(config: ArrayConfig) -> data.StructLayout:
    """Return the address of lane 0's value, and which lanes are there: the lowest, or none."""
    return data.StructLayout({"addr": config.addr_width, "there": VECTOR})


def count_of(there: Value) -> Value:
    """Return how many lanes there are up to the highest of those that are there."""
    found = 0
    for lane in range(VECTOR):
        found = Mux(there[lane], lane + 1, found)
    return found


class TensorReader(wiring.Component):
    """Read the vectors of a tensor.

    Lanes that are not there have any code. `outside` says that one that is there is not in the
    tensor's range; it is not read.

    Implements: "Where it is" of `docs/contract/encode.md`.
    Golden: `emulator.encode_walk.Walk.values`.

    Timing
    ------
    - Latency: `LATENCY` from `data_valid` to `o`; `COMMAND_LATENCY` from `i` to `command`.
    - Throughput: one vector per cycle, or one burst.
    - Combinational: `wide` -> `o`; `i`, `start_addr`, `end_addr`, `wide` -> `outside`.
    - Reset: no vector; outputs 0, but `i.ready` = 1.

    Parameters
    ----------
    config
        Port.
    depth
        Lines that are asked for or held, 2 at least.
    vectors
        Vectors that are taken and not handed on.

    Attributes
    ----------
    start_addr : In(config.addr_width)
        Of the tensor's first byte.
    end_addr : In(config.addr_width + 1)
        One past its last byte.
    wide : In(1)
        It is of float32; else bf16.
    i : In(stream.Signature(vector_layout(config)))
        Vectors.
    outside : Out(1)
        That of `i` is outside the range.
    command : Out(stream.Signature(burst_layout(config)))
        Bursts to read.
    data : In(config.mem_width)
        Beats, in the order of the commands.
    data_valid : In(1)
        `data` is a beat.
    o : Out(stream.Signature(CODES))
        Values.
    """

    COMMAND_LATENCY = StreamFIFO.LATENCY + LineReader.COMMAND_LATENCY
    LATENCY = LineReader.LATENCY

    def __init__(self, *, config: ArrayConfig, depth: int, vectors: int):
        need_number(self, "depth", depth, 2)
        need_number(self, "vectors", vectors)
        self.config, self._depth, self._vectors = config, depth, vectors
        super().__init__(
            {
                "start_addr": In(config.addr_width),
                "end_addr": In(config.addr_width + 1),
                "wide": In(1),
                "i": In(stream.Signature(vector_layout(config))),
                "outside": Out(1),
                "command": Out(stream.Signature(burst_layout(config))),
                "data": In(config.mem_width),
                "data_valid": In(1),
                "o": Out(stream.Signature(CODES)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.places = places = StreamFIFO(shape=spot_layout(config), depth=self._vectors)
        m.submodules.lines = lines = LineReader(
            config=config, depth=self._depth, vectors=self._vectors
        )
        i, count, end = self.i, Signal(range(VECTOR + 1)), Signal(config.addr_width + 2)
        m.d.comb += [
            count.eq(count_of(i.p.there)),
            end.eq(i.p.addr + Mux(self.wide, count << 2, count << 1)),
            self.outside.eq(
                i.valid & (count != 0) & ((i.p.addr < self.start_addr) | (end > self.end_addr))
            ),
            places.i.valid.eq(i.valid),
            i.ready.eq(places.i.ready),
            places.i.p.addr.eq(i.p.addr),
            places.i.p.used.eq((count != 0) & ~self.outside),
            lines.data.eq(self.data),
            lines.data_valid.eq(self.data_valid),
            self.o.valid.eq(lines.o.valid),
            lines.o.ready.eq(self.o.ready),
            self.o.p.eq(codes_of(lines.o.p, self.wide)),
        ]
        wiring.connect(m, places.o, lines.i)
        wiring.connect(m, lines.command, wiring.flipped(self.command))
        return m


def codes_of(found: data.View, wide: Value) -> Value:
    """Return the float32 codes of a vector in its line."""
    half = found.line.word_select(found.offset[-1], 8 * BF16_BYTES * VECTOR)
    narrow = Cat(Cat(half.word_select(n, 16) << 16)[:CODE] for n in range(VECTOR))
    return Mux(wide, found.line[: CODE * VECTOR], narrow)
