"""A dense tensor of integers of an encode pass, vector by vector."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.hw.arguments import need_number
from gscn.hw.encode.integer_lane import SIZE_BITS
from gscn.hw.encode.layouts import CODE
from gscn.hw.encode.line_reader import LineReader, pick
from gscn.hw.encode.tensor_reader import LANE_BITS, count_of, vector_layout
from gscn.hw.encode.transposer import CODES, reach_layout
from gscn.hw.fifo import StreamFIFO
from gscn.hw.layouts import burst_layout
from gscn.passes import VECTOR


def extended(code: Value) -> Value:
    """Return a number of fewer bits, with its sign, in 32."""
    return Cat(code, code[-1].replicate(CODE - len(code)))


class IntegerReader(wiring.Component):
    """Read the vectors of a tensor of integers, which is not transposed.

    Lanes that are not there have any code. `outside` says that a value that is there was not in the
    tensor's range; its vector is not read.

    Implements: "Where it is" of `docs/contract/encode.md`, integers.
    Golden: `emulator.encode_walk.Walk.values`.

    Timing
    ------
    - Latency: `LATENCY` from `data_valid` to `o`; `COMMAND_LATENCY` from `i` to `command`.
    - Throughput: one vector per cycle, or one burst.
    - Combinational: `size` -> `o`; `start_addr`, `end_addr`, `size` -> `outside`.
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
    size : In(SIZE_BITS)
        log2 of the bytes of a value.
    i : In(stream.Signature(vector_layout(config)))
        Vectors.
    outside : Out(1)
        One was outside the range (pulse).
    command : Out(stream.Signature(burst_layout(config)))
        Bursts to read.
    data : In(config.mem_width)
        Beats, in the order of the commands.
    data_valid : In(1)
        `data` is a beat.
    o : Out(stream.Signature(CODES))
        Values in two's complement.
    """

    COMMAND_LATENCY = 1 + StreamFIFO.LATENCY + LineReader.COMMAND_LATENCY
    LATENCY = LineReader.LATENCY

    def __init__(self, *, config: ArrayConfig, depth: int, vectors: int):
        need_number(self, "depth", depth, 2)
        need_number(self, "vectors", vectors)
        self.config, self._depth, self._vectors = config, depth, vectors
        super().__init__(
            {
                "start_addr": In(config.addr_width),
                "end_addr": In(config.addr_width + 1),
                "size": In(SIZE_BITS),
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
        m.submodules.places = places = StreamFIFO(shape=reach_layout(config), depth=self._vectors)
        m.submodules.lines = lines = LineReader(
            config=config, depth=self._depth, vectors=self._vectors
        )
        wiring.connect(m, lines.command, wiring.flipped(self.command))
        self._check(m, places.i)
        m.d.comb += [
            lines.data.eq(self.data),
            lines.data_valid.eq(self.data_valid),
            lines.i.p.addr.eq(places.o.p.addr),
            lines.i.p.used.eq(places.o.p.count != 0),
            lines.i.valid.eq(places.o.valid),
            places.o.ready.eq(lines.i.ready),
            self.o.valid.eq(lines.o.valid),
            lines.o.ready.eq(self.o.ready),
        ]
        found = lines.o.p
        with m.Switch(self.size):
            for size in range(3):
                width = 8 << size
                codes = pick(found, VECTOR * width)
                with m.Case(size) if size < 2 else m.Default():
                    m.d.comb += self.o.p.eq(
                        Cat(extended(codes.word_select(n, width)) for n in range(VECTOR))
                    )
        return m

    def _check(self, m, place):
        """Queue places; those that are not in the range as if nothing were there."""
        i, width = self.i, self.config.addr_width
        valid, addr = Signal(), Signal(width, reset_less=True)
        count = Signal(range(VECTOR + 1), reset_less=True)
        end, bytes_ = Signal(width + 1), Signal(LANE_BITS + 3)
        m.d.comb += [
            i.ready.eq(~valid | place.ready),
            bytes_.eq(count << self.size),
            end.eq(addr + bytes_),
            self.outside.eq(
                valid & (count != 0) & ((addr < self.start_addr) | (end > self.end_addr))
            ),
            place.valid.eq(valid),
            place.p.addr.eq(addr),
            place.p.count.eq(Mux(self.outside, 0, count)),
        ]
        with m.If(~valid | place.ready):
            m.d.sync += valid.eq(i.valid & i.ready)
        with m.If(i.ready & i.valid):
            m.d.sync += [addr.eq(i.p.addr), count.eq(count_of(i.p.there))]
