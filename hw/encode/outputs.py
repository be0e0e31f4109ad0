"""Outputs of the encode unit: from vectors of results to what a pass leaves in memory."""

from __future__ import annotations

from typing import NamedTuple

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.encode import Adapt, EncodeError
from gscn.hw.arguments import need
from gscn.hw.encode.dense_writer import DenseWriter
from gscn.hw.encode.integer_writer import IntegerWriter
from gscn.hw.encode.layouts import CODE
from gscn.hw.encode.line_gatherer import HALFWORD
from gscn.hw.encode.line_writer import LineWriter
from gscn.hw.encode.run_writer import RunWriter
from gscn.hw.encode.selection import CHOICE, MAGNITUDE, magnitudes_layout
from gscn.hw.encode.selector import Selector
from gscn.hw.encode.strip_writer import StripWriter
from gscn.hw.encode.unit_layouts import (
    BITS,
    INTEGER,
    LANE_SUMS,
    STATE,
    SUMS,
    VERDICTS,
    WIDE_FORMAT,
    dense_layout,
    has_result,
    settings_layout,
    size_of,
)
from gscn.hw.layouts import burst_layout, write_beat_layout
from gscn.pass_errors import PASS_ERROR_WIDTH
from gscn.passes import VECTOR


class _Part(NamedTuple):
    """What one kind of result is written by."""

    writer: wiring.Component
    has: Value
    """Whether the pass has it."""


class Outputs(wiring.Component):
    """Write what the pass has of results, and count the histogram of a selection.

    Every kind of result has a writer, which puts it together to lines; these share the port. After
    a vector outside its range nothing more is written, and all that comes is dropped. Strips that
    are too long are an error only when all else is written, so that the error that a pass has does
    not depend on what is faster.

    Implements: results, and errors under way, of `docs/contract/encode.md`.
    Golden: `emulator.encode`.

    Timing
    ------
    - Latency: `LATENCY` from `i_dense`, `i_second` to `data`, of the vector behind a line.
    - Throughput: one vector per cycle of each kind, two cycles for those that fill a packer, as
      long as the port takes a line for every line that is made.
    - Combinational: `settings`, `i_dense.p`, `halt` -> `i_dense.ready`; `settings`, `i_second.p`,
      `halt` -> `i_second.ready`; `settings`, `halt` -> `i_verdicts.ready`; `settings` ->
      `command`, `data`; `halt` -> `command.valid`, `data.valid`, `i_bits.ready`, `i_sums.ready`,
      `i_selected.ready`.
    - Reset: nothing under way; outputs 0, but `i_dense.ready` = 1, `i_second.ready` = 1 and
      `i_verdicts.ready` = 1.

    Parameters
    ----------
    config
        Port, width of addresses.
    integers
        Results are integers.

    Attributes
    ----------
    settings : In(settings_layout(config))
        Of the pass; held from `start` to its end.
    state : In(STATE)
        As the pass found it; held likewise.
    columns : In(32)
        Groups of the pass; held likewise.
    start : In(1)
        A pass begins (pulse): all of the one before is forgotten. Only while not `busy`.
    i_dense : In(stream.Signature(dense_layout(config)))
        The dense result.
    i_second : In(stream.Signature(dense_layout(config)))
        The second combination.
    i_bits : In(stream.Signature(BITS))
        Bits.
    i_verdicts : In(stream.Signature(VERDICTS))
        What strips get.
    i_sums : In(stream.Signature(LANE_SUMS))
        Sums.
    i_selected : In(stream.Signature(magnitudes_layout(VECTOR)))
        What a selection counts.
    through : In(1)
        All that the pass has has been taken.
    command : Out(stream.Signature(burst_layout(config)))
        To memory.
    data : Out(stream.Signature(write_beat_layout(config)))
        To memory.
    write_done : In(1)
        A burst is in memory.
    halt : In(1)
        Nothing more is written, and all that comes is dropped.
    busy : Out(1)
        Lines are on their way to memory.
    done : Out(1)
        All results are in memory, and the choice is made, if there is one.
    error : Out(PASS_ERROR_WIDTH)
        A code of `EncodeError`, or 0; until `start`.
    halfwords_a, halfwords_b : Out(32)
        Of strips.
    choice : Out(CHOICE)
        Of a selection.
    """

    LATENCY = DenseWriter.LATENCY + LineWriter.LATENCY
    COUNT_BITS = 28
    """Of a bin of a lane: elements of a pass, below 2**32, over 16 lanes."""

    def __init__(self, *, config: ArrayConfig, integers: bool = False):
        need(self, "integers", integers, isinstance(integers, bool), "True or False")
        self.config, self._integers = config, integers
        magnitude = CODE if integers else MAGNITUDE
        super().__init__(
            {
                "settings": In(settings_layout(config)),
                "state": In(STATE),
                "columns": In(32),
                "start": In(1),
                "i_dense": In(stream.Signature(dense_layout(config))),
                "i_second": In(stream.Signature(dense_layout(config))),
                "i_bits": In(stream.Signature(BITS)),
                "i_verdicts": In(stream.Signature(VERDICTS)),
                "i_sums": In(stream.Signature(LANE_SUMS)),
                "i_selected": In(stream.Signature(magnitudes_layout(VECTOR, magnitude))),
                "through": In(1),
                "command": Out(stream.Signature(burst_layout(config))),
                "data": Out(stream.Signature(write_beat_layout(config))),
                "write_done": In(1),
                "halt": In(1),
                "busy": Out(1),
                "done": Out(1),
                "error": Out(PASS_ERROR_WIDTH),
                "halfwords_a": Out(32),
                "halfwords_b": Out(32),
                "choice": Out(CHOICE),
            }
        )

    def elaborate(self, platform):
        m = Module()
        failed = Signal()
        m.d.comb += failed.eq((self.error != 0) | self.halt)
        dense, second = (self._dense(m, name, failed) for name in ("dense", "second"))
        bits = self._run(m, "bits", VECTOR, self.i_bits.p.bits, failed)
        sums = self._run(m, "sums", SUMS.size, self.i_sums.p.sums, failed)
        a, b = self._strips(m, failed)
        parts = [dense, second, bits, sums, a, b]
        chosen = self._select(m, failed)

        lines = [one.writer.o for one in parts[:4]]
        lines += [line for one in (a, b) for line in (one.writer.o_data, one.writer.o_table)]
        m.submodules.port = port = LineWriter(config=self.config, count=len(lines))
        for line, channel in zip(lines, port.channels, strict=True):
            wiring.connect(m, line, channel)
        wiring.connect(m, port.command, wiring.flipped(self.command))
        wiring.connect(m, port.data, wiring.flipped(self.data))
        complete = Signal()
        exceeded = (a.has & a.writer.exceeded) | (b.has & b.writer.exceeded)
        m.d.comb += [
            port.en.eq(~failed),
            port.write_done.eq(self.write_done),
            self.busy.eq(~port.idle),
            complete.eq(
                self.through
                & chosen
                & port.idle
                & ~failed
                & Cat(~one.has | one.writer.ended for one in parts).all()
            ),
            self.halfwords_a.eq(a.writer.halfwords),
            self.halfwords_b.eq(b.writer.halfwords),
        ]
        with m.If(self.start):
            m.d.sync += [self.error.eq(0), self.done.eq(0)]
        with m.Elif(~failed):
            with m.If(dense.writer.outside | second.writer.outside):
                m.d.sync += self.error.eq(EncodeError.RANGE)
            with m.Elif(complete):
                m.d.sync += [
                    self.done.eq(~exceeded),
                    self.error.eq(Mux(exceeded, EncodeError.CAPACITY, 0)),
                ]
        return m

    def _add(self, m, name, writer):
        """Add a writer that forgets what it has at the start of a pass."""
        m.submodules[name] = ResetInserter(self.start)(writer)
        return writer

    def _pass_on(self, m, i, writer, failed):
        """Give a writer what comes, until an error."""
        m.d.comb += [writer.i.valid.eq(i.valid & ~failed), i.ready.eq(writer.i.ready | failed)]

    def _dense(self, m, name, failed):
        """Write one of the dense results."""
        settings = self.settings
        kind = IntegerWriter if self._integers else DenseWriter
        writer = self._add(m, name, kind(config=self.config))
        i = getattr(self, f"i_{name}")
        self._pass_on(m, i, writer, failed)
        if self._integers:
            m.d.comb += writer.size.eq(size_of(settings.out_format))
        else:
            m.d.comb += writer.wide.eq(settings.out_format == WIDE_FORMAT)
        m.d.comb += [
            writer.i.p.eq(i.p),
            writer.first.eq(self.settings[f"{name}_addr"]),
            writer.last.eq(self.settings[f"{name}_end"]),
        ]
        return _Part(writer, has_result(m, self.settings, name))

    def _run(self, m, name, width, word, failed):
        """Write words one behind the other."""
        writer = self._add(m, name, RunWriter(config=self.config, halfwords=width // HALFWORD))
        i = getattr(self, f"i_{name}")
        self._pass_on(m, i, writer, failed)
        m.d.comb += [
            writer.i.p.word.eq(word),
            writer.i.p.ends.eq(i.p.ends),
            writer.addr.eq(self.settings[f"{name}_addr"]),
        ]
        return _Part(writer, has_result(m, self.settings, name))

    def _strips(self, m, failed):
        """Write strips A and B of the same vectors."""
        i, settings = self.i_verdicts, self.settings
        names = ("a", "b")
        parts = [
            _Part(
                self._add(m, part, StripWriter(config=self.config, integers=self._integers)),
                has_result(m, settings, part),
            )
            for part in names
        ]  # fmt: skip
        room = [one.writer.i.ready | ~one.has for one in parts]
        m.d.comb += i.ready.eq((room[0] & room[1]) | failed)
        last, marks = i.p.last_vector, i.p.marks
        for name, one, other in zip(names, parts, reversed(room), strict=True):
            to = one.writer.i
            m.d.comb += [
                one.writer.narrow.eq(self._integers & (settings.out_format == INTEGER)),
                to.valid.eq(i.valid & one.has & other & ~failed),
                to.p.codes.eq(i.p.codes),
                to.p.kept.eq(i.p[f"packed_{name}"]),
                to.p.ends_strip.eq(marks[f"ends_strip_{name}"] & last),
                to.p.ends_group.eq(marks.ends_group),
                to.p.ends.eq(marks.ends),
                one.writer.first.eq(settings[f"{name}_data"]),
                one.writer.last.eq(settings[f"{name}_end"]),
                one.writer.table.eq(settings[f"{name}_table"]),
                one.writer.columns.eq(self.columns),
            ]
        return parts

    def _select(self, m, failed):
        """Count for a selection; return whether there is none, or it has been made."""
        magnitude = CODE if self._integers else MAGNITUDE
        m.submodules.selector = selector = Selector(
            count=VECTOR, width=self.COUNT_BITS, magnitude=magnitude
        )
        settings, state = self.settings, self.state
        has, is_first = Signal(), settings.adapt == Adapt.SELECT_FIRST
        m.d.comb += [
            has.eq(settings.adapt >= Adapt.SELECT_FIRST),
            selector.start.eq(self.start),
            selector.i.valid.eq(self.i_selected.valid & ~failed),
            selector.i.p.eq(self.i_selected.p),
            self.i_selected.ready.eq(selector.i.ready | failed),
            selector.wide.eq(self._integers | (settings.out_format == WIDE_FORMAT)),
            selector.bin_shift.eq(settings.bin_shift),
            selector.bin_bits.eq(settings.bin_bits),
            selector.prefix.eq(Mux(is_first, 0, state.prefix)),
            selector.rank.eq(Mux(is_first, state.keep, state.rank)),
            selector.through.eq(self.through & has & ~failed),
            self.choice.eq(selector.choice),
        ]
        return ~has | selector.chosen
