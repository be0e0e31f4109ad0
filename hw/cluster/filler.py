"""Chunks of a cluster's load channel: descriptors to the fetcher, load blocks into the banks."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.config import CHUNK_WIDTH, AcceleratorConfig
from gscn.directories import DIRECTORY_LENGTHS
from gscn.error_codes import ERROR_WIDTH, ErrorCode
from gscn.hw.cluster.directory import DirectoryDecoder
from gscn.hw.fifo import StreamFIFO
from gscn.hw.layouts import (
    LOAD_STEP,
    LOAD_WORD,
    TAP,
    TILE_HEADER,
    LoadTarget,
    StepKind,
    tap_counts_layout,
)


class Filler(wiring.Component):
    """Carry out load steps in order: pass descriptors on, fill banks that no segment uses.

    A FILL step waits until every segment reported before that uses its bank has ended, fills the
    bank and reports the segment loaded. HELD and NONE steps report at once. At most `SEGMENTS`
    segments are reported and not ended; further ones wait. No chunk is awaited that a FILL step
    does not count. Directories leave decoded, whatever their format. What is wrong with a load
    block is reported with the chunk that shows it.

    Timing: one chunk per cycle; a HELD or NONE step takes one cycle. A FILL step takes one cycle
    more for the step itself, one for the end of the taps, and two per PE, for the ends of its
    directory and of its entries.
    `chunks.ready` depends combinationally on `steps` and `descriptors.ready`, `error` on `chunks`.

    Parameters
    ----------
        config: sizes.

    Members:
        steps: what the next chunks are for.
        chunks: from the load channel's reader.
        descriptors: chunks of descriptors.
        load, load_en: chunk for the stationary memories; one enable per PE.
        segment_end: the PEs have ended the oldest segment reported and not ended (pulse).
        loaded: the oldest announced segment not yet reported has its tile loaded (pulse).
        tap_counts: taps in each bank.
        error: what is wrong with the load block, or 0; what follows it means nothing.
    """

    SEGMENTS = 8

    def __init__(self, *, config: AcceleratorConfig):
        self.config = config
        super().__init__(
            {
                "steps": In(stream.Signature(LOAD_STEP)),
                "chunks": In(stream.Signature(CHUNK_WIDTH)),
                "descriptors": Out(stream.Signature(CHUNK_WIDTH)),
                "load": Out(LOAD_WORD),
                "load_en": Out(config.pes_per_cluster),
                "segment_end": In(1),
                "loaded": Out(1),
                "tap_counts": Out(tap_counts_layout(config)),
                "error": Out(ERROR_WIDTH),
            }
        )

    def elaborate(self, platform):
        m = Module()
        pes = self.config.pes_per_cluster
        header = data.View(TILE_HEADER, self.chunks.p)
        step = self.steps.p

        # -- segments reported and not ended, and how many of them use each bank
        m.submodules.under_way = under_way = StreamFIFO(
            shape=data.StructLayout({"uses": 1, "bank": 1}), depth=self.SEGMENTS
        )
        users = Signal(data.ArrayLayout(range(self.SEGMENTS + 1), 2))
        m.d.comb += [
            under_way.i.p.uses.eq(step.kind != StepKind.NONE),
            under_way.i.p.bank.eq(step.bank),
            under_way.i.valid.eq(self.loaded),
            under_way.o.ready.eq(self.segment_end),
        ]
        for bank in range(2):
            begins = self.loaded & under_way.i.p.uses & (under_way.i.p.bank == bank)
            ends = self.segment_end & under_way.o.p.uses & (under_way.o.p.bank == bank)
            m.d.sync += users[bank].eq(users[bank] + begins - ends)

        pe = Signal(range(pes))
        row, rows_left, a_count = Signal(16), Signal(16), Signal(16)
        chunks_left = Signal(len(step.chunks))  # of the load block
        takes = Signal()  # a chunk of a load block
        with m.If(takes):
            m.d.sync += chunks_left.eq(chunks_left - 1)
        tap = data.View(TAP, self.chunks.p)
        m.submodules.directory = directory = DirectoryDecoder(config=self.config)
        m.d.comb += [
            directory.chunk.eq(self.chunks.p),
            directory.number.eq(row),
            directory.a_count.eq(a_count),
            self.load.bank.eq(step.bank),
            self.load.row.eq(row),
            self.load.chunk.eq(self.chunks.p),
            self.load.pairs.eq(directory.pairs),
            self.load.fibers.eq(directory.fibers),
            self.descriptors.p.eq(self.chunks.p),
        ]

        def finish_segment():
            m.d.comb += [self.loaded.eq(1), self.steps.ready.eq(1)]
            m.d.sync += row.eq(0)

        def fill(target, enable):
            """Take rows until none is left; return whether none is."""
            m.d.comb += self.load.target.eq(target)
            with m.If(rows_left != 0):
                take()
                with m.If(takes):
                    m.d.comb += self.load_en.eq(enable)
                    m.d.sync += [row.eq(row + 1), rows_left.eq(rows_left - 1)]
            return rows_left == 0

        def take():
            """Take a chunk of the load block, if it has any left."""
            m.d.comb += [
                self.chunks.ready.eq(chunks_left != 0),
                takes.eq(self.chunks.valid & self.chunks.ready),
            ]
            report(ErrorCode.LOAD_LENGTH, chunks_left == 0)

        def report(code, condition):
            with m.If(condition):
                m.d.comb += self.error.eq(code)

        with m.FSM():
            with m.State("STEP"), m.If(self.steps.valid):
                with m.If(step.kind == StepKind.DESCRIPTOR):
                    m.d.comb += [
                        self.descriptors.valid.eq(self.chunks.valid),
                        self.chunks.ready.eq(self.descriptors.ready),
                    ]
                    with m.If(self.chunks.valid & self.chunks.ready):
                        m.d.comb += self.steps.ready.eq(row + 1 == step.count)
                        m.d.sync += row.eq(Mux(self.steps.ready, 0, row + 1))
                with m.Elif(under_way.i.ready):
                    fills = step.kind == StepKind.FILL
                    with m.If(~fills):
                        finish_segment()
                    with m.Elif(users[step.bank] == 0):
                        m.d.sync += [
                            rows_left.eq(step.count),
                            chunks_left.eq(step.chunks),
                            self.tap_counts[step.bank].eq(step.count),
                        ]
                        m.next = "TAPS"
            with m.State("TAPS"):
                with m.If(fill(LoadTarget.TAP, ~0)):
                    m.next = "HEADER"
                report(ErrorCode.LOAD_TAPS, takes & (rows_left == 1) & ~tap.last[0])
            with m.State("HEADER"):
                m.d.comb += self.load.target.eq(LoadTarget.HEADER)
                take()
                with m.If(takes):
                    m.d.comb += [self.load_en.eq(1 << pe), directory.begins.eq(1)]
                    m.d.sync += [
                        row.eq(0),
                        rows_left.eq(directory.chunk_count),
                        a_count.eq(header.a_count),
                    ]
                    # of several errors the last one named here is reported
                    report(ErrorCode.LOAD_FORMAT, header.directory_format > DIRECTORY_LENGTHS)
                    report(ErrorCode.LOAD_ENTRIES, header.a_count > self.config.a_depth)
                    report(
                        ErrorCode.LOAD_DIRECTORY,
                        header.directory_count > self.config.directory_depth,
                    )
                    m.next = "DIRECTORY"
            with m.State("DIRECTORY"):
                m.d.comb += [self.load.row.eq(directory.row), directory.en.eq(takes)]
                with m.If(fill(LoadTarget.DIRECTORY, 1 << pe)):
                    m.d.sync += [row.eq(0), rows_left.eq((a_count + 1) >> 1)]
                    m.next = "A"
                report(ErrorCode.LOAD_FIBER, takes & directory.beyond)
            with m.State("A"), m.If(fill(LoadTarget.A, 1 << pe)):
                with m.If(pe == pes - 1):
                    report(ErrorCode.LOAD_LENGTH, chunks_left != 0)
                    m.d.sync += pe.eq(0)
                    finish_segment()
                    m.next = "STEP"
                with m.Else():
                    m.d.sync += pe.eq(pe + 1)
                    m.next = "HEADER"
        return m
