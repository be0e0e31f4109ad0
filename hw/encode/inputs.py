"""All that the lanes of an encode pass are given, vector by vector."""

from __future__ import annotations

import dataclasses

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.encode import STREAMS, TENSOR_FORMATS, TENSORS, EncodeError
from gscn.formats import FLOAT32
from gscn.hw.arguments import need, need_number
from gscn.hw.encode.integer_judge import magnitude_of
from gscn.hw.encode.integer_reader import IntegerReader
from gscn.hw.encode.layouts import CODE
from gscn.hw.encode.loop_walk import VECTOR_BITS
from gscn.hw.encode.mask_reader import MaskReader
from gscn.hw.encode.rows import RowReader
from gscn.hw.encode.strip_reader import StripReader
from gscn.hw.encode.tensor_reader import TensorReader
from gscn.hw.encode.unit_layouts import (
    BLOCK_LOOPS,
    INTEGER,
    MARKS,
    input_layout,
    place_layout,
    settings_layout,
    size_of,
)
from gscn.hw.fifo import StreamFIFO
from gscn.hw.layouts import burst_layout, read_beats
from gscn.hw.port.arbiter import ReadArbiter
from gscn.pass_errors import PASS_ERROR_WIDTH
from gscn.passes import VECTOR

FLOAT32_NUMBER = TENSOR_FORMATS.index(FLOAT32)
_MASK = STREAMS.index("mask")
_DENSE = STREAMS.index("dense")


class Inputs(wiring.Component):
    """Bring together what is computed with, for each vector of the walk.

    Every tensor, the mask and the rows have a reader of their own, which is told of all vectors at
    once, as many as may be on the way; each reads ahead as far as it has room. A vector of which
    nothing is there is not read. After an error nothing more is asked for. `start` needs `quiet`.

    Implements: "The walk" of `docs/contract/encode.md`.
    Golden: `emulator.encode_walk.Walk`.

    Timing
    ------
    - Latency: `COMMAND_LATENCY` from `i` to `command`; `LATENCY` from `beats.valid` to `o`.
    - Throughput: one vector per cycle, two cycles for new rows; one burst per cycle.
    - Combinational: `settings` -> `o`, `i.ready`; `i` -> `i.ready`.
    - Reset: no vector; outputs 0, but `i.ready` = 1, `quiet` = 1.

    Parameters
    ----------
    config
        Port.
    depth
        Lines that each tensor has asked for or holds.
    strips
        Whether tensor 0 may be strips.
    vectors
        Vectors on the way; more than 64, a row of a block, if a tensor is transposed.
    integers
        Tensors are integers: codes are numbers of 32 bits in two's complement, or magnitudes.

    Attributes
    ----------
    settings : In(settings_layout(config))
        Of the pass; held from `start` on.
    start : In(1)
        All of the pass before is forgotten (pulse).
    halt : In(1)
        Nothing more is asked for.
    columns : In(32)
        Groups of the pass, if tensor 0 is strips: entries of a row of its table.
    i : In(stream.Signature(place_layout(config)))
        Vectors.
    o : Out(stream.Signature(input_layout(config)))
        The same with all that their results are made of.
    command : Out(stream.Signature(burst_layout(config)))
        Bursts to read.
    beats : In(read_beats(config))
        Their beats.
    error : Out(PASS_ERROR_WIDTH)
        Code of the first error of the pass, 0: none.
    quiet : Out(1)
        No beat is due.
    """

    COMMAND_LATENCY = MaskReader.COMMAND_LATENCY + ReadArbiter.COMMAND_LATENCY
    LATENCY = TensorReader.LATENCY
    MASK_LINES = 8
    """Lines of the mask: each has the bits of 32 vectors."""
    SLOTS = (9 * VECTOR, 0, 0)
    """Of each tensor, the vectors in each half of the buffer in which it is transposed, enough for
    blocks of 16 values of loop 2 and 3 x 3 taps; 0: it has none."""
    BURSTS = 128
    """Bursts that may be on the way."""

    def __init__(
        self, *, config: ArrayConfig, depth: int, strips: bool, vectors: int, integers: bool = False
    ):
        need_number(self, "depth", depth, 2)
        need_number(self, "vectors", vectors)
        need(self, "strips", strips, isinstance(strips, bool), "True or False")
        need(self, "integers", integers, isinstance(integers, bool), "True or False")
        self.config, self._depth, self._strips, self._vectors = config, depth, strips, vectors
        self._integers = integers
        super().__init__(
            {
                "settings": In(settings_layout(config)),
                "start": In(1),
                "halt": In(1),
                "columns": In(32),
                "i": In(stream.Signature(place_layout(config))),
                "o": Out(stream.Signature(input_layout(config))),
                "command": Out(stream.Signature(burst_layout(config))),
                "beats": In(read_beats(config)),
                "error": Out(PASS_ERROR_WIDTH),
                "quiet": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        sizes = {"config": self.config, "vectors": self._vectors}
        tensors = [self._reader(number, sizes) for number in range(TENSORS)]
        mask = MaskReader(depth=self.MASK_LINES, **sizes)
        rows = RowReader(config=self.config, integers=self._integers)
        for number, tensor in enumerate(tensors):
            m.submodules[f"tensor{number}"] = tensor
        m.submodules.mask, m.submodules.rows = mask, rows
        present = [self.settings[f"t{n}_format"] != 0 for n in range(TENSORS)]
        readers = [(one.i, one.o, there) for one, there in zip(tensors, present, strict=True)]
        channels = [(one.command, one.data, one.data_valid) for one in (*tensors, mask, rows)]
        if self._strips:
            strips = StripReader(**sizes, integers=self._integers)
            m.submodules.strips = strips
            packed = self.settings.t0_strips[0]
            channels += [
                (command, strips.data, strips.data_valid[n])
                for n, command in enumerate(strips.commands)
            ]
            readers[0] = (*readers[0][:2], present[0] & ~packed)
            readers.append((strips.i, strips.o, present[0] & packed))
            self._set_strips(m, strips)
        self._set(m, tensors, mask, rows)
        self._read(m, channels)
        moving = data.StructLayout(
            {
                "there": VECTOR,
                "vector": VECTOR_BITS,
                "dense_addr": self.config.addr_width,
                "marks": MARKS,
                "loads": 1,
            }
        )
        m.submodules.moving = queue = StreamFIFO(shape=moving, depth=self._vectors)
        self._fork(m, queue.i, rows.i, readers, mask)
        self._join(m, queue.o, rows, readers, mask)
        return ResetInserter(self.start)(m)

    def _reader(self, number, sizes):
        """Return the reader of a tensor."""
        if self._integers:
            return IntegerReader(depth=self._depth, **sizes)
        return TensorReader(depth=self._depth, slots=self.SLOTS[number], **sizes)

    def _set_strips(self, m, strips):
        """Tell the reader of strips where they are, and collect its errors."""
        settings = self.settings
        m.d.comb += [
            strips.start_addr.eq(settings.t0_addr),
            strips.end_addr.eq(settings.t0_end),
            strips.table_addr.eq(settings.t0_table),
            strips.columns.eq(self.columns),
            strips.narrow.eq(self._integers & (settings.t0_format == INTEGER)),
        ]
        with m.If((strips.error != 0) & (self.error == 0)):
            m.d.sync += self.error.eq(strips.error)

    def _set(self, m, tensors, mask, rows):
        """Tell the readers what the pass reads, and collect their errors."""
        settings = self.settings
        for name, reader in (*((f"t{n}", one) for n, one in enumerate(tensors)), ("mask", mask)):
            m.d.comb += [
                reader.start_addr.eq(settings[f"{name}_addr"]),
                reader.end_addr.eq(settings[f"{name}_end"]),
            ]
        for number, reader in enumerate(tensors):
            if self._integers:
                m.d.comb += reader.size.eq(size_of(settings[f"t{number}_format"]))
                continue
            turning = reader.turning
            m.d.comb += [
                reader.wide.eq(settings[f"t{number}_format"] == FLOAT32_NUMBER),
                reader.transposed.eq(settings.transposed),
                turning.vectors.eq(settings.vectors),
                turning.lane.eq(settings[f"t{number}_lane"]),
                turning.steady.eq((settings.y_step2 == 0) & (settings.x_step2 == 0)),
            ]
            for loop in range(BLOCK_LOOPS):
                m.d.comb += turning.counts[loop].eq(settings[f"count{loop}"])
        m.d.comb += [rows.addr.eq(settings.rows_addr), rows.vectors.eq(settings.vectors)]
        outside = Cat(reader.outside for reader in (*tensors, mask)).any()
        with m.If(outside & (self.error == 0)):
            m.d.sync += self.error.eq(EncodeError.RANGE)

    def _read(self, m, channels):
        """Let the readers share the port: of each its commands, and where its beats go."""
        # as many bursts on the way as hide a long latency: a line is one beat of a wide port
        config = dataclasses.replace(self.config, outstanding_bursts=self.BURSTS)
        m.submodules.arbiter = arbiter = ReadArbiter(config=config, count=len(channels))
        wiring.connect(m, arbiter.command, wiring.flipped(self.command))
        stopped = self.halt | (self.error != 0)
        due = Signal(range(self.BURSTS * (config.burst_beats + 1) * 2))
        taken = Signal(range(config.burst_beats + 1))
        m.d.comb += [
            arbiter.data_valid.eq(self.beats.valid),
            self.quiet.eq(due == 0),
        ]
        for number, (command, beat, valid) in enumerate(channels):
            channel = arbiter.channels[number]
            m.d.comb += [
                channel.p.eq(command.p),
                channel.valid.eq(command.valid & ~stopped),
                command.ready.eq(channel.ready & ~stopped),
                beat.eq(self.beats.payload),
                valid.eq(arbiter.channel_valid[number]),
            ]
            with m.If(channel.valid & channel.ready):
                m.d.comb += taken.eq(channel.p.beats)
        m.d.sync += due.eq(due + taken - self.beats.valid)

    def _fork(self, m, queue, columns, readers, mask):
        """Tell every reader of a vector, when all of them can be told."""
        place = self.i.p
        column, known, loads = Signal(16, reset_less=True), Signal(), Signal()
        targets = [
            *((i, wanted) for i, _, wanted in readers),
            (mask.i, self.settings.masked != 0), (columns, loads), (queue, 1),
        ]  # fmt: skip
        room = Cat(target.ready | ~(wanted != 0) for target, wanted in targets).all()
        m.d.comb += [
            loads.eq(
                place.marks.begins_rows & (place.vector == 0) & ~(known & (column == place.column))
            ),
            self.i.ready.eq(room),
            columns.p.eq(place.column),
            mask.i.p.addr.eq(place.addrs[_MASK]),
            mask.i.p.used.eq(place.there.any()),
            queue.p.there.eq(place.there),
            queue.p.vector.eq(place.vector),
            queue.p.dense_addr.eq(place.addrs[_DENSE]),
            queue.p.marks.eq(place.marks),
            queue.p.loads.eq(loads),
        ]
        for number, (tensor, _, _) in enumerate(readers[:TENSORS]):
            m.d.comb += [
                tensor.p.addr.eq(place.addrs[number]), tensor.p.there.eq(place.there),
            ]  # fmt: skip
        for strips, _, _ in readers[TENSORS:]:
            last = place.vector == ((1 << self.settings.vectors) - 1)[:VECTOR_BITS]
            m.d.comb += [
                strips.p.begins_group.eq(place.marks.begins_rows & (place.vector == 0)),
                strips.p.ends_strip.eq(place.marks.ends_strip_a & last),
            ]
        for target, wanted in targets:
            m.d.comb += target.valid.eq(self.i.valid & room & wanted)
        with m.If(self.i.valid & room & loads):
            m.d.sync += [known.eq(1), column.eq(place.column)]

    def _join(self, m, queue, rows, readers, mask):
        """Offer a vector when all that belongs to it is there."""
        settings, o = self.settings, self.o.p
        own = Signal(queue.p.shape(), reset_less=True)
        m.d.comb += [
            rows.i_turn.p.vector.eq(queue.p.vector),
            rows.i_turn.p.loads.eq(queue.p.loads),
            rows.i_turn.valid.eq(queue.valid),
            queue.ready.eq(rows.i_turn.ready),
        ]
        with m.If(queue.valid & queue.ready):
            m.d.sync += own.eq(queue.p)
        sources = [
            *((source, wanted) for _, source, wanted in readers),
            (mask.o, settings.masked != 0), (rows.o, 1),
        ]  # fmt: skip
        whole = Cat(source.valid | ~(wanted != 0) for source, wanted in sources).all()
        m.d.comb += self.o.valid.eq(whole)
        for source, wanted in sources:
            m.d.comb += source.ready.eq(whole & self.o.ready & wanted)
        # tensors, and strips in the place of the first one
        which = [*range(TENSORS), 0]
        for lane in range(VECTOR):
            codes = [0] * TENSORS
            for number, (_, source, wanted) in zip(which, readers, strict=False):
                # one of two sources is shown; nobody looks at what there is not
                both = number == 0 and len(readers) > TENSORS
                shown = source.p[lane] & wanted.replicate(CODE) if both else source.p[lane]
                codes[number] = codes[number] | shown
            for number, code in enumerate(codes):
                if self._integers:
                    magnitude = settings.absolute[number]
                    m.d.comb += o.codes[number][lane].eq(Mux(magnitude, magnitude_of(code), code))
                    continue
                sign = code[-1] & ~settings.absolute[number]
                m.d.comb += o.codes[number][lane].eq(Cat(code[: CODE - 1], sign))
        m.d.comb += [
            o.rows.eq(rows.o.p),
            o.odd.eq(_odd(rows.o.p, own)),
            o.kept.eq(Mux(settings.masked != 0, mask.o.p, (1 << VECTOR) - 1)),
            o.there.eq(own.there),
            o.vector.eq(own.vector),
            o.dense_addr.eq(own.dense_addr),
            o.marks.eq(own.marks),
        ]


def _odd(rows, own):
    """Return of which tensors a lane that is there has a coefficient that is to be multiplied."""
    lanes = [rows[lane].odd & own.there[lane].replicate(TENSORS) for lane in range(VECTOR)]
    return Cat(Cat(lane[tensor] for lane in lanes).any() for tensor in range(TENSORS))
