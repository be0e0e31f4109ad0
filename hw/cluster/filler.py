"""Chunks of a cluster's load channel: descriptors to the fetcher, load blocks into the banks."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn import latencies
from gscn.config import BANKS, CHUNK_WIDTH, AcceleratorConfig
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


class _Block:
    """How far a load block has come.

    Parameters
    ----------
    m
        Module to which the registers are added.
    pes
        PEs of the cluster, each of which has a tile in the block.
    chunks
        Of the whole block, as its step says; gives the width of the count.
    """

    def __init__(self, m: Module, pes: int, chunks: Value) -> None:
        self.pe = Signal(range(pes))
        """Whose tile is filled."""
        self.row, self.rows_left, self.a_count = Signal(16), Signal(16), Signal(16)
        """Rows of the target taken (while descriptors pass, chunks of them), and left; entries."""
        self.chunks_left = Signal(len(chunks))
        self.takes = Signal()
        """A chunk of the block is taken."""
        with m.If(self.takes):
            m.d.sync += self.chunks_left.eq(self.chunks_left - 1)


class Filler(wiring.Component):
    """Carry out load steps in order: pass descriptors on, fill banks that no segment uses.

    A FILL step waits until every segment reported before that uses its bank has ended, fills the
    bank and reports the segment loaded. HELD and NONE steps report at once. At most `SEGMENTS`
    segments are reported and not ended; further ones wait. No chunk is awaited that a FILL step
    does not count. Directories leave decoded, whatever their format. What is wrong with a load
    block is reported with the chunk that shows it.

    Timing
    ------
    - Latency: `LATENCY` from `chunks` to `load`, and from `chunks` to `descriptors`.
    - Throughput: one chunk per cycle; a HELD or NONE step takes one cycle. A FILL step takes one
      cycle more for the step itself, one for the end of the taps, and two per PE, for the ends of
      its directory and of its entries.
    - Combinational: `steps.valid`, `steps.p` -> `steps.ready`, `chunks.ready`, `descriptors.valid`,
      `load_en`, `loaded`, `error`; `steps.p` -> `load`; `chunks.valid` -> `steps.ready`,
      `descriptors.valid`, `load_en`, `error`; `chunks.p` -> `descriptors.p`, `load`, `error`;
      `descriptors.ready` -> `steps.ready`, `chunks.ready`, `load_en`, `error`.
    - Reset: no step begun, no bank used; outputs 0, but `load` meaningless.

    Parameters
    ----------
    config
        Sizes.

    Attributes
    ----------
    steps : In(stream.Signature(LOAD_STEP))
        What the next chunks are for.
    chunks : In(stream.Signature(CHUNK_WIDTH))
        From the load channel's reader.
    descriptors : Out(stream.Signature(CHUNK_WIDTH))
        Chunks of descriptors.
    load : Out(LOAD_WORD)
        Chunk for the stationary memories.
    load_en : Out(config.pes_per_cluster)
        `load` is for this PE.
    segment_end : In(1)
        The PEs have ended the oldest segment reported and not ended (pulse).
    loaded : Out(1)
        The oldest announced segment not yet reported has its tile loaded (pulse).
    tap_counts : Out(tap_counts_layout(config))
        Taps in each bank.
    error : Out(ERROR_WIDTH)
        What is wrong with the load block, or 0; what follows it means nothing.
    """

    SEGMENTS = latencies.SEGMENTS_LOADED

    LATENCY = DirectoryDecoder.LATENCY

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
        under_way, users = self._count_users(m)
        block = _Block(m, pes, self.steps.p.chunks)
        m.submodules.directory = directory = DirectoryDecoder(config=self.config)
        m.d.comb += [
            directory.chunk.eq(self.chunks.p),
            directory.number.eq(block.row),
            directory.a_count.eq(block.a_count),
            self.load.bank.eq(self.steps.p.bank),
            self.load.row.eq(block.row),
            self.load.chunk.eq(self.chunks.p),
            self.load.pairs.eq(directory.pairs),
            self.load.fibers.eq(directory.fibers),
            self.descriptors.p.eq(self.chunks.p),
        ]
        tap = data.View(TAP, self.chunks.p)
        with m.FSM():
            with m.State("STEP"), m.If(self.steps.valid):
                self._begin_step(m, block, under_way.i.ready, users)
            with m.State("TAPS"):
                with m.If(self._fill(m, block, LoadTarget.TAP, ~0)):
                    m.next = "HEADER"
                self._report(
                    m, ErrorCode.LOAD_TAPS, block.takes & (block.rows_left == 1) & ~tap.last[0]
                )
            with m.State("HEADER"):
                self._take_header(m, block, directory)
            with m.State("DIRECTORY"):
                m.d.comb += [self.load.row.eq(directory.row), directory.en.eq(block.takes)]
                with m.If(self._fill(m, block, LoadTarget.DIRECTORY, 1 << block.pe)):
                    m.d.sync += [block.row.eq(0), block.rows_left.eq((block.a_count + 1) >> 1)]
                    m.next = "A"
                self._report(m, ErrorCode.LOAD_FIBER, block.takes & directory.beyond)
            with m.State("A"), m.If(self._fill(m, block, LoadTarget.A, 1 << block.pe)):
                with m.If(block.pe == pes - 1):
                    self._report(m, ErrorCode.LOAD_LENGTH, block.chunks_left != 0)
                    m.d.sync += block.pe.eq(0)
                    self._finish_segment(m, block)
                    m.next = "STEP"
                with m.Else():
                    m.d.sync += block.pe.eq(block.pe + 1)
                    m.next = "HEADER"
        return m

    def _count_users(self, m):
        """Return the segments reported and not ended, and how many of them use each bank."""
        m.submodules.under_way = under_way = StreamFIFO(
            shape=data.StructLayout({"uses": 1, "bank": 1}), depth=self.SEGMENTS
        )
        users = Signal(data.ArrayLayout(range(self.SEGMENTS + 1), BANKS))
        step = self.steps.p
        m.d.comb += [
            under_way.i.p.uses.eq(step.kind != StepKind.NONE),
            under_way.i.p.bank.eq(step.bank),
            under_way.i.valid.eq(self.loaded),
            under_way.o.ready.eq(self.segment_end),
        ]
        for bank in range(BANKS):
            begins = self.loaded & under_way.i.p.uses & (under_way.i.p.bank == bank)
            ends = self.segment_end & under_way.o.p.uses & (under_way.o.p.bank == bank)
            m.d.sync += users[bank].eq(users[bank] + begins - ends)
        return under_way, users

    def _begin_step(self, m, block, has_room, users):
        """Pass descriptors on; report a segment that loads nothing; begin a block for a free bank.

        A segment is reported only while `has_room`.
        """
        step = self.steps.p
        with m.If(step.kind == StepKind.DESCRIPTOR):
            m.d.comb += [
                self.descriptors.valid.eq(self.chunks.valid),
                self.chunks.ready.eq(self.descriptors.ready),
            ]
            with m.If(self.chunks.valid & self.chunks.ready):
                m.d.comb += self.steps.ready.eq(block.row + 1 == step.count)
                m.d.sync += block.row.eq(Mux(self.steps.ready, 0, block.row + 1))
        with m.Elif(has_room):
            fills = step.kind == StepKind.FILL
            with m.If(~fills):
                self._finish_segment(m, block)
            with m.Elif(users[step.bank] == 0):
                m.d.sync += [
                    block.rows_left.eq(step.count),
                    block.chunks_left.eq(step.chunks),
                    self.tap_counts[step.bank].eq(step.count),
                ]
                m.next = "TAPS"

    def _take_header(self, m, block, directory):
        """Take the header of a PE's tile, which says how much of it there is."""
        header = data.View(TILE_HEADER, self.chunks.p)
        m.d.comb += self.load.target.eq(LoadTarget.HEADER)
        self._take(m, block)
        with m.If(block.takes):
            m.d.comb += [self.load_en.eq(1 << block.pe), directory.begins.eq(1)]
            m.d.sync += [
                block.row.eq(0),
                block.rows_left.eq(directory.chunk_count),
                block.a_count.eq(header.a_count),
            ]
            # of several errors the last one named here is reported
            self._report(m, ErrorCode.LOAD_FORMAT, header.directory_format > DIRECTORY_LENGTHS)
            self._report(m, ErrorCode.LOAD_ENTRIES, header.a_count > self.config.a_depth)
            self._report(
                m,
                ErrorCode.LOAD_DIRECTORY,
                header.directory_count > self.config.directory_depth,
            )
            m.next = "DIRECTORY"

    def _finish_segment(self, m, block):
        """Report the segment loaded."""
        m.d.comb += [self.loaded.eq(1), self.steps.ready.eq(1)]
        m.d.sync += block.row.eq(0)

    def _fill(self, m, block, target, enable):
        """Take rows until none is left; return whether none is."""
        m.d.comb += self.load.target.eq(target)
        with m.If(block.rows_left != 0):
            self._take(m, block)
            with m.If(block.takes):
                m.d.comb += self.load_en.eq(enable)
                m.d.sync += [
                    block.row.eq(block.row + 1),
                    block.rows_left.eq(block.rows_left - 1),
                ]
        return block.rows_left == 0

    def _take(self, m, block):
        """Take a chunk of the load block, if it has any left."""
        m.d.comb += [
            self.chunks.ready.eq(block.chunks_left != 0),
            block.takes.eq(self.chunks.valid & self.chunks.ready),
        ]
        self._report(m, ErrorCode.LOAD_LENGTH, block.chunks_left == 0)

    def _report(self, m, code, condition):
        """Report an error of the load block."""
        with m.If(condition):
            m.d.comb += self.error.eq(code)
