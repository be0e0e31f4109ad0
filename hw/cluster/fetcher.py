"""Descriptors of a cluster: fetch them, request what they name, announce segments and drains."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn import records
from gscn.config import ALIGNMENT_BITS, CHUNK_WIDTH, AcceleratorConfig
from gscn.error_codes import ERROR_WIDTH
from gscn.hw.checks import first_error, job_checks, segment_checks
from gscn.hw.layouts import (
    JOB_DESCRIPTOR,
    LOAD_STEP,
    NUMBER_MODE,
    SEGMENT_CONTEXT,
    SEGMENT_DESCRIPTOR,
    StepKind,
    drain_context_layout,
    entry_width,
    read_request_layout,
)

DESCRIPTOR_CHUNKS = records.JOB_DESCRIPTOR.width // CHUNK_WIDTH
ENTRY_CHUNKS = records.QUEUE_ENTRY.itemsize * 8 // CHUNK_WIDTH


class Fetcher(wiring.Component):
    """Walk the jobs' segments, ahead of the banks that are filled for them.

    For each job: fetch its queue entry and announce how it drains. For each of its segments:
    request the stream, announce the segment, request the next segment's descriptor, then the load
    block. The next descriptor is thus there before the block, and the next block is requested right
    behind this one. For every request, and for a segment that loads nothing in place of one, a
    step says what the chunks are for. A descriptor that `hw.checks` finds bad is reported.

    A segment whose load block has the address of the block last given to one of the two stationary
    banks uses that bank again; any other block goes to the bank not used last. An ADD segment uses
    no bank.

    Timing: one request per state; a descriptor is collected at one chunk per cycle, while the load
    block of the segment before it is being requested. `request.valid` and `segment.valid` depend
    combinationally on `steps.ready`, `steps.valid` on `request.ready`.

    Parameters
    ----------
        config: sizes.

    Members:
        job: byte address of a queue entry.
        request: to the load channel's reader; of a load block with its `load_sharers`.
        chunks: chunks of descriptors.
        stream_request: to the stream channel's reader, with its `stream_wait` as `urgent_room` and
            its `stream_sharers`.
        segment: announced segments, in order.
        drain: announced drains, in order.
        steps: what the chunks requested are for, in order.
        lead: `load_lead` of the request taken last, if that was a load block; else `AT_ONCE`.
        forget: no block given to a bank before may be used again (pulse, while `busy` is low).
        busy: a job is being fetched.
        entry: queue entry of the job taken last.
        walk_count: accumulators of the job announced last.
        error: what is wrong with the descriptor, or 0; what follows it means nothing.
        mode: with float formats: how the job announced last calculates.
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
                "drain": Out(stream.Signature(drain_context_layout(config))),
                "steps": Out(stream.Signature(LOAD_STEP)),
                "lead": Out(16),
                "forget": In(1),
                "busy": Out(1),
                "entry": Out(entry_width(config)),
                "walk_count": Out(config.acc_depth.bit_length()),
                "error": Out(ERROR_WIDTH),
                **({"mode": Out(NUMBER_MODE)} if config.floats else {}),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        descriptor = Signal(records.JOB_DESCRIPTOR.width)
        job = data.View(JOB_DESCRIPTOR, descriptor)
        segment = data.View(SEGMENT_DESCRIPTOR, descriptor)

        # -- one descriptor at a time, released once everything in it has been used or copied
        taken = Signal(range(DESCRIPTOR_CHUNKS))
        collected = Signal()
        m.d.comb += self.chunks.ready.eq(~collected)
        with m.If(self.chunks.valid & self.chunks.ready):
            m.d.sync += [
                descriptor.eq(Cat(descriptor[CHUNK_WIDTH:], self.chunks.p)),
                taken.eq(taken + 1),
                collected.eq(taken == DESCRIPTOR_CHUNKS - 1),
            ]

        segment_addr = Signal(config.addr_width)
        segments_left = Signal(32)
        first = Signal()
        loads = Signal()
        load = Signal(read_request_layout(config))
        load_lead = Signal(16, reset_less=True)
        fill = Signal(LOAD_STEP)
        is_add = segment.kind == records.KIND_ADD

        # -- what the banks hold, or will once the steps before are carried out
        block = segment.load_addr[ALIGNMENT_BITS : config.addr_width]
        tags = [Signal(len(block), name=f"tag{number}") for number in range(2)]
        tag_valid = Signal(2)
        last_bank = Signal()
        hits = Signal(2)
        bank = Signal()
        loads_nothing = Signal()
        m.d.comb += [
            hits.eq(Cat(tag == block for tag in tags) & tag_valid),
            bank.eq(Mux(hits.any(), hits[1], ~last_bank)),
            loads_nothing.eq(is_add | hits.any()),
            self.segment.p.bank.eq(bank),
        ]
        m.d.comb += [
            self.segment.p.stream_count.eq(segment.stream_count),
            self.segment.p.offset_bits.eq(segment.offset_bits),
            self.segment.p.add.eq(is_add),
            self.segment.p.first.eq(first),
            self.segment.p.last.eq(segments_left == 1),
            self.stream_request.p.addr.eq(segment.stream_addr),
            # two items per chunk, or one partial sum
            self.stream_request.p.chunks.eq(
                Mux(is_add, segment.stream_count, (segment.stream_count + 1) >> 1)
            ),
            # a wait for more beats than the buffer has is none
            self.stream_request.p.urgent_room.eq(
                Mux(
                    (segment.stream_wait == records.AT_ONCE)
                    | (segment.stream_wait > config.read_fifo_beats),
                    0,
                    config.read_fifo_beats + 1 - segment.stream_wait,
                )
            ),
            self.stream_request.p.sharers.eq(segment.stream_sharers),
            self.drain.p.out_format.eq(job.out_format),
        ]
        m.d.comb += [
            self.drain.p[name].eq(job[name])
            for name in (
                "out_addr", "shift", "pitch", "guard_cols", "plane_rows", "guard_rows",
                "planes", "walk_count",
            )
        ]  # fmt: skip
        if config.floats:
            m.d.comb += [self.drain.p.mode[name].eq(job[name]) for name, _ in NUMBER_MODE]

        def ask(wanted=1, lead=records.AT_ONCE):
            """Hand on a request and its step together; return whether both are taken."""
            m.d.comb += [
                self.request.valid.eq(self.steps.ready & wanted),
                self.steps.valid.eq(self.request.ready & wanted),
            ]
            taken = self.request.ready & self.steps.ready & wanted
            with m.If(taken):
                m.d.sync += self.lead.eq(lead)
            return taken

        def ask_descriptors(addr, chunks, wanted=1):
            m.d.comb += [
                self.request.p.addr.eq(addr),
                self.request.p.chunks.eq(chunks),
                self.steps.p.kind.eq(StepKind.DESCRIPTOR),
                self.steps.p.count.eq(chunks),
            ]
            return ask(wanted)

        with m.FSM():
            m.d.comb += self.busy.eq(1)
            with m.State("IDLE"):
                m.d.comb += [
                    self.busy.eq(self.job.valid),
                    self.job.ready.eq(self.request.ready & self.steps.ready),
                ]
                with m.If(ask_descriptors(self.job.p, ENTRY_CHUNKS, self.job.valid)):
                    m.d.sync += self.entry.eq(self.job.p[-len(self.entry) :])
                    m.next = "JOB"
            with m.State("JOB"):
                m.d.comb += self.drain.valid.eq(collected)
                with m.If(collected):
                    m.d.comb += self.error.eq(first_error(m, job_checks(job, config)))
                with m.If(collected & self.drain.ready):
                    m.d.sync += [
                        collected.eq(0),
                        segment_addr.eq(job.segment_addr),
                        segments_left.eq(job.segment_count),
                        self.walk_count.eq(job.walk_count),
                        first.eq(1),
                    ]
                    if config.floats:
                        m.d.sync += self.mode.eq(self.drain.p.mode)
                    m.next = "STREAM"
            with m.State("STREAM"):
                m.d.comb += self.stream_request.valid.eq(collected)
                with m.If(collected):
                    checks = segment_checks(segment, self.walk_count, config)
                    m.d.comb += self.error.eq(first_error(m, checks))
                with m.If(collected & self.stream_request.ready):
                    m.next = "SEGMENT"
            with m.State("SEGMENT"):
                m.d.comb += [
                    self.segment.valid.eq(~loads_nothing | self.steps.ready),
                    self.steps.valid.eq(loads_nothing & self.segment.ready),
                    self.steps.p.kind.eq(Mux(is_add, StepKind.NONE, StepKind.HELD)),
                    self.steps.p.bank.eq(bank),
                ]
                with m.If(self.segment.valid & self.segment.ready):
                    m.d.sync += [
                        collected.eq(0),
                        segments_left.eq(segments_left - 1),
                        first.eq(0),
                        loads.eq(~loads_nothing),
                        load.addr.eq(segment.load_addr),
                        load.chunks.eq(segment.load_chunks),
                        load.sharers.eq(segment.load_sharers),
                        load_lead.eq(segment.load_lead),
                        fill.kind.eq(StepKind.FILL),
                        fill.bank.eq(bank),
                        fill.count.eq(segment.tap_count),
                        fill.chunks.eq(segment.load_chunks),
                    ]
                    with m.If(~is_add):
                        m.d.sync += [last_bank.eq(bank), tag_valid.bit_select(bank, 1).eq(1)]
                        for number, tag in enumerate(tags):
                            with m.If(bank == number):
                                m.d.sync += tag.eq(block)
                    with m.If(~self.segment.p.last):
                        m.next = "NEXT"
                    with m.Elif(loads_nothing):
                        m.next = "IDLE"
                    with m.Else():
                        m.next = "LOAD"
            with m.State("NEXT"), m.If(ask_descriptors(segment_addr, DESCRIPTOR_CHUNKS)):
                m.d.sync += segment_addr.eq(segment_addr + records.SEGMENT_DESCRIPTOR.width // 8)
                m.next = "STREAM"
                with m.If(loads):
                    m.next = "LOAD"
            with m.State("LOAD"):
                # the block is fetched while the bank is still in use; its chunks wait in the reader
                m.d.comb += [self.request.p.eq(load), self.steps.p.eq(fill)]
                with m.If(ask(lead=load_lead)):
                    m.next = "STREAM"
                    with m.If(segments_left == 0):
                        m.next = "IDLE"
        with m.If(self.forget):
            m.d.sync += tag_valid.eq(0)
        return m
