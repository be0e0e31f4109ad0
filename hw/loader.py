"""Control of a cluster: fetch descriptors, load stationary tiles, announce segments and drains."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn import records
from gscn.config import CHUNK_WIDTH, AcceleratorConfig
from hw.layouts import (
    DRAIN_CONTEXT,
    JOB_DESCRIPTOR,
    LOAD_WORD,
    SEGMENT_CONTEXT,
    SEGMENT_DESCRIPTOR,
    TILE_HEADER,
    LoadTarget,
    read_request_layout,
)

DESCRIPTOR_CHUNKS = records.JOB_DESCRIPTOR.width // CHUNK_WIDTH


class Loader(wiring.Component):
    """Execute the control part of jobs, ahead of the PEs.

    For each job: fetch its descriptor and announce how it drains. For each of its segments: fetch
    the descriptor, request the stream, announce the segment, wait for a free stationary bank, fill
    it, and report it loaded. An ADD segment takes a bank but loads nothing.

    Timing: descriptors cost one memory latency each, load blocks one chunk per cycle.

    Parameters
    ----------
        config: sizes.

    Members:
        job: byte address of a job descriptor.
        request: to the load channel's reader.
        chunks: from the load channel's reader.
        stream_request: to the stream channel's reader.
        segment: announced segments, in order.
        drain: announced drains, in order.
        load, load_en: chunk for the stationary memories; one enable per PE.
        bank_free: a stationary bank has become free (pulse).
        loaded: the oldest announced segment not yet reported has its tile loaded (pulse).
        busy: a job is being fetched.
    """

    def __init__(self, *, config: AcceleratorConfig):
        self.config = config
        super().__init__(
            {
                "job": In(stream.Signature(config.addr_width)),
                "request": Out(stream.Signature(read_request_layout(config))),
                "chunks": In(stream.Signature(CHUNK_WIDTH)),
                "stream_request": Out(stream.Signature(read_request_layout(config))),
                "segment": Out(stream.Signature(SEGMENT_CONTEXT)),
                "drain": Out(stream.Signature(DRAIN_CONTEXT)),
                "load": Out(LOAD_WORD),
                "load_en": Out(config.pes_per_cluster),
                "bank_free": In(1),
                "loaded": Out(1),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        descriptor = Signal(records.JOB_DESCRIPTOR.width)
        job = data.View(JOB_DESCRIPTOR, descriptor)
        segment = data.View(SEGMENT_DESCRIPTOR, descriptor)
        header = data.View(TILE_HEADER, self.chunks.p)

        segment_addr = Signal(config.addr_width)
        segments_left = Signal(32)
        first = Signal()
        bank = Signal()
        banks_free = Signal(range(3), init=2)
        takes_bank = Signal()
        taken = Signal(range(DESCRIPTOR_CHUNKS + 1))
        pe = Signal(range(config.pes_per_cluster))
        row, rows_left, a_rows = Signal(16), Signal(16), Signal(16)
        directory_rows = Signal(16)
        m.d.comb += [
            directory_rows.eq((header.directory_count + 1) >> 1),
            self.load.bank.eq(bank),
            self.load.row.eq(row),
            self.load.chunk.eq(self.chunks.p),
            self.segment.p.stream_count.eq(segment.stream_count),
            self.segment.p.offset_bits.eq(segment.offset_bits),
            self.segment.p.add.eq(segment.kind == records.KIND_ADD),
            self.segment.p.first.eq(first),
            self.segment.p.last.eq(segments_left == 1),
            self.stream_request.p.addr.eq(segment.stream_addr),
            # two items per chunk, or one partial sum
            self.stream_request.p.chunks.eq(
                Mux(
                    segment.kind == records.KIND_ADD,
                    segment.stream_count,
                    (segment.stream_count + 1) >> 1,
                )
            ),
        ]
        m.d.comb += [
            self.drain.p[name].eq(job[name])
            for name in (
                "out_addr", "shift", "pitch", "guard_cols", "plane_rows", "guard_rows",
                "planes", "walk_count",
            )
        ]  # fmt: skip
        m.d.comb += self.drain.p.out_format.eq(job.out_format)
        m.d.sync += banks_free.eq(banks_free + self.bank_free - takes_bank)

        def collect(next_state):
            m.d.comb += self.chunks.ready.eq(1)
            with m.If(self.chunks.valid):
                m.d.sync += [
                    descriptor.eq(Cat(descriptor[CHUNK_WIDTH:], self.chunks.p)),
                    taken.eq(Mux(taken == DESCRIPTOR_CHUNKS - 1, 0, taken + 1)),
                ]
                with m.If(taken == DESCRIPTOR_CHUNKS - 1):
                    m.next = next_state

        def finish_tile():
            """Go on to the next PE's tile, or report the segment loaded."""
            with m.If(pe == config.pes_per_cluster - 1):
                m.d.sync += pe.eq(0)
                finish_segment()
            with m.Else():
                m.d.sync += pe.eq(pe + 1)
                m.next = "HEADER"

        def finish_segment():
            m.d.comb += self.loaded.eq(1)
            m.d.sync += [bank.eq(~bank), segments_left.eq(segments_left - 1), first.eq(0)]
            m.next = "SEGMENT"
            with m.If(segments_left == 1):
                m.next = "IDLE"

        with m.FSM():
            m.d.comb += self.busy.eq(1)
            with m.State("IDLE"):
                m.d.comb += [
                    self.busy.eq(self.job.valid),
                    self.request.valid.eq(self.job.valid),
                    self.request.p.addr.eq(self.job.p),
                    self.request.p.chunks.eq(DESCRIPTOR_CHUNKS),
                    self.job.ready.eq(self.request.ready),
                ]
                with m.If(self.job.valid & self.job.ready):
                    m.next = "JOB"
            with m.State("JOB"):
                collect("ANNOUNCE-DRAIN")
            with m.State("ANNOUNCE-DRAIN"):
                m.d.comb += self.drain.valid.eq(1)
                with m.If(self.drain.ready):
                    m.d.sync += [
                        segment_addr.eq(job.segment_addr),
                        segments_left.eq(job.segment_count),
                        first.eq(1),
                    ]
                    m.next = "SEGMENT"
            with m.State("SEGMENT"):
                m.d.comb += [
                    self.request.valid.eq(1),
                    self.request.p.addr.eq(segment_addr),
                    self.request.p.chunks.eq(DESCRIPTOR_CHUNKS),
                ]
                with m.If(self.request.ready):
                    m.d.sync += segment_addr.eq(
                        segment_addr + records.SEGMENT_DESCRIPTOR.width // 8
                    )
                    m.next = "DESCRIPTOR"
            with m.State("DESCRIPTOR"):
                collect("REQUEST-STREAM")
            with m.State("REQUEST-STREAM"):
                m.d.comb += self.stream_request.valid.eq(1)
                with m.If(self.stream_request.ready):
                    m.next = "ANNOUNCE-SEGMENT"
            with m.State("ANNOUNCE-SEGMENT"):
                m.d.comb += self.segment.valid.eq(1)
                with m.If(self.segment.ready):
                    m.next = "REQUEST-LOAD"
            with m.State("REQUEST-LOAD"):
                # the block is fetched while the bank is still in use; its chunks wait in the reader
                m.d.comb += [
                    self.request.valid.eq(1),
                    self.request.p.addr.eq(segment.load_addr),
                    self.request.p.chunks.eq(segment.load_chunks),
                ]
                with m.If(self.request.ready):
                    m.next = "BANK"
            with m.State("BANK"), m.If(banks_free != 0):
                m.d.comb += takes_bank.eq(1)
                m.d.sync += [row.eq(0), rows_left.eq(segment.tap_count)]
                with m.If(segment.kind == records.KIND_ADD):
                    finish_segment()
                with m.Else():
                    m.next = "TAPS"
            with m.State("TAPS"):
                m.d.comb += self.load.target.eq(LoadTarget.TAP)
                with m.If(rows_left == 0):
                    m.next = "HEADER"
                with m.Else():
                    m.d.comb += self.chunks.ready.eq(1)
                    with m.If(self.chunks.valid):
                        m.d.comb += self.load_en.eq(~0)
                        m.d.sync += [row.eq(row + 1), rows_left.eq(rows_left - 1)]
            with m.State("HEADER"):
                m.d.comb += [self.load.target.eq(LoadTarget.HEADER), self.chunks.ready.eq(1)]
                with m.If(self.chunks.valid):
                    m.d.comb += self.load_en.eq(1 << pe)
                    m.d.sync += [
                        row.eq(0),
                        rows_left.eq(directory_rows),
                        a_rows.eq((header.a_count + 1) >> 1),
                    ]
                    m.next = "DIRECTORY"
            with m.State("DIRECTORY"):
                m.d.comb += self.load.target.eq(LoadTarget.DIRECTORY)
                with m.If(rows_left == 0):
                    m.d.sync += [row.eq(0), rows_left.eq(a_rows)]
                    m.next = "A"
                with m.Else():
                    m.d.comb += self.chunks.ready.eq(1)
                    with m.If(self.chunks.valid):
                        m.d.comb += self.load_en.eq(1 << pe)
                        m.d.sync += [row.eq(row + 1), rows_left.eq(rows_left - 1)]
            with m.State("A"):
                m.d.comb += self.load.target.eq(LoadTarget.A)
                with m.If(rows_left == 0):
                    finish_tile()
                with m.Else():
                    m.d.comb += self.chunks.ready.eq(1)
                    with m.If(self.chunks.valid):
                        m.d.comb += self.load_en.eq(1 << pe)
                        m.d.sync += [row.eq(row + 1), rows_left.eq(rows_left - 1)]
        return m
