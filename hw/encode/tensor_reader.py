"""A dense tensor of an encode pass, vector by vector, transposed or not."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.hw.arguments import need_number
from gscn.hw.encode.layouts import CODE
from gscn.hw.encode.line_reader import LineReader
from gscn.hw.encode.transposer import CODES, TURNING, Transposer, reach_layout
from gscn.hw.fifo import StreamFIFO
from gscn.hw.layouts import burst_layout
from gscn.passes import VECTOR

BF16_BYTES, FLOAT32_BYTES = 2, 4
LANE_BITS = (VECTOR - 1).bit_length()


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

    Lanes that are not there have any code. `outside` says that a value that is there was not in the
    tensor's range; its vector is not read.

    Implements: "Where it is" of `docs/contract/encode.md`.
    Golden: `emulator.encode_walk.Walk.values`.

    Timing
    ------
    - Latency: `LATENCY` from `data_valid` to `o`, if nothing is transposed; `COMMAND_LATENCY` from
      `i` to `command`.
    - Throughput: one vector per cycle, or one burst; if they are transposed that of `Transposer`.
    - Combinational: `wide`, `transposed` -> `o`; `start_addr`, `end_addr`, `wide`, `transposed`
      -> `outside`; `transposed` -> `i.ready`;
      `start_addr`, `end_addr`, `transposed`, `turning` -> `command`.
    - Reset: no vector; outputs 0, but `i.ready` = 1.

    Parameters
    ----------
    config
        Port.
    depth
        Lines that are asked for or held, 2 at least.
    vectors
        Vectors that are taken and not handed on.
    slots
        Of the buffer of `Transposer`; 0: there is none, and `transposed` must be 0.

    Attributes
    ----------
    start_addr : In(config.addr_width)
        Of the tensor's first byte.
    end_addr : In(config.addr_width + 1)
        One past its last byte.
    wide : In(1)
        It is of float32; else bf16.
    transposed : In(1)
        Its vectors lie across those of memory.
    turning : In(TURNING)
        How, if they do.
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
        Values.
    """

    COMMAND_LATENCY = 1 + StreamFIFO.LATENCY + LineReader.COMMAND_LATENCY
    LATENCY = LineReader.LATENCY

    def __init__(self, *, config: ArrayConfig, depth: int, vectors: int, slots: int):
        need_number(self, "depth", depth, 2)
        need_number(self, "vectors", vectors)
        self.config, self._depth, self._vectors, self._slots = config, depth, vectors, slots
        super().__init__(
            {
                "start_addr": In(config.addr_width),
                "end_addr": In(config.addr_width + 1),
                "wide": In(1),
                "transposed": In(1),
                "turning": In(TURNING),
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
        place, spot = places.o, lines.i
        found = stream.Signature(CODES).create()
        m.d.comb += [
            lines.data.eq(self.data),
            lines.data_valid.eq(self.data_valid),
            found.p.eq(codes_of(lines.o.p, self.wide)),
            found.valid.eq(lines.o.valid),
            lines.o.ready.eq(found.ready),
        ]
        if self._slots:
            turns = self.transposed
            self._turn(m, place, spot, found)
        else:
            turns = Const(0)
        with m.If(~turns):
            m.d.comb += [
                spot.p.addr.eq(place.p.addr),
                spot.p.used.eq(place.p.count != 0),
                spot.valid.eq(place.valid),
                place.ready.eq(spot.ready),
                self.o.p.eq(found.p),
                self.o.valid.eq(found.valid),
                found.ready.eq(self.o.ready),
            ]
        return m

    def _turn(self, m, place, spot, found):
        """Let the transposer ask, and hand on what it makes of what is found."""
        m.submodules.transposer = across = Transposer(config=self.config, slots=self._slots)
        m.d.comb += [
            across.start_addr.eq(self.start_addr),
            across.end_addr.eq(self.end_addr),
            across.wide.eq(self.wide),
            across.turning.eq(self.turning),
            across.i.p.eq(place.p),
            across.i_found.p.eq(found.p),
        ]
        with m.If(self.transposed):
            m.d.comb += [
                across.i.valid.eq(place.valid),
                place.ready.eq(across.i.ready),
                spot.p.eq(across.o_spot.p),
                spot.valid.eq(across.o_spot.valid),
                across.o_spot.ready.eq(spot.ready),
                across.i_found.valid.eq(found.valid),
                found.ready.eq(across.i_found.ready),
                self.o.p.eq(across.o.p),
                self.o.valid.eq(across.o.valid),
                across.o.ready.eq(self.o.ready),
            ]

    def _check(self, m, place):
        """Queue places; those that are not in the range as if nothing were there."""
        i, width = self.i, self.config.addr_width
        valid, addr = Signal(), Signal(width, reset_less=True)
        count = Signal(range(VECTOR + 1), reset_less=True)
        size = Mux(self.wide, FLOAT32_BYTES, BF16_BYTES)
        # from the first value's beginning to that of the last one that is there
        before = (count - 1)[:LANE_BITS]
        reach, known = Signal(signed(width + 2)), Signal(init=1)
        m.d.comb += reach.eq(Mux(self.wide, before << 2, before << 1))
        if self._slots:
            lanes, known = self._lanes(m, before)
            with m.If(self.transposed):
                m.d.comb += reach.eq(lanes)
        last = Signal(signed(width + 3))
        low, high = Signal.like(last), Signal.like(last)
        m.d.comb += [
            i.ready.eq(known & (~valid | place.ready)),
            last.eq(addr + reach),
            low.eq(Mux(reach[-1], last, addr)),
            high.eq(Mux(reach[-1], addr, last)),
            self.outside.eq(
                valid & (count != 0) & ((low < self.start_addr) | (high + size > self.end_addr))
            ),
            place.valid.eq(valid),
            place.p.addr.eq(addr),
            place.p.count.eq(Mux(self.outside, 0, count)),
        ]
        with m.If(~valid | place.ready):
            m.d.sync += valid.eq(i.valid & i.ready)
        with m.If(i.ready & i.valid):
            m.d.sync += [addr.eq(i.p.addr), count.eq(count_of(i.p.there))]

    def _lanes(self, m, number):
        """Return the bytes from lane 0 to a lane, and whether all are known: first of all."""
        width = self.config.addr_width + 2
        m.submodules.lanes = lanes = Memory(shape=signed(width), depth=VECTOR, init=[])
        read, write = lanes.read_port(domain="comb"), lanes.write_port()
        at, bytes_ = Signal(range(VECTOR + 1)), Signal(signed(width))
        known = at == VECTOR
        m.d.comb += [
            read.addr.eq(number),
            write.addr.eq(at),
            write.data.eq(bytes_),
            write.en.eq(self.transposed & ~known),
        ]
        with m.If(write.en):
            m.d.sync += [at.eq(at + 1), bytes_.eq(bytes_ + self.turning.lane)]
        return read.data, known | ~self.transposed


def codes_of(found: data.View, wide: Value) -> Value:
    """Return the float32 codes of a vector in its line."""
    width = 8 * BF16_BYTES * VECTOR
    half = Mux(found.offset[-1], found.line[width:], found.line[:width])
    narrow = Cat(Cat(half.word_select(n, 16) << 16)[:CODE] for n in range(VECTOR))
    return Mux(wide, found.line[: CODE * VECTOR], narrow)
