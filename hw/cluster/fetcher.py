"""Descriptors of a cluster: fetch them, request what they name, announce segments and drains."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn import records
from gscn.config import ALIGNMENT_BITS, BANKS, CHUNK_WIDTH, AcceleratorConfig
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
from gscn.latencies import DESCRIPTOR_CHUNKS, ENTRY_CHUNKS


class _Descriptor:
    """One descriptor at a time, released once everything in it has been used or copied.

    Parameters
    ----------
    m
        Module to which the registers are added.
    chunks
        Where it comes from.
    """

    def __init__(self, m: Module, chunks: stream.Interface) -> None:
        descriptor = Signal(records.JOB_DESCRIPTOR.width)
        taken = Signal(range(DESCRIPTOR_CHUNKS))
        self.job = data.View(JOB_DESCRIPTOR, descriptor)
        self.segment = data.View(SEGMENT_DESCRIPTOR, descriptor)
        self.collected = Signal()
        """All of it is there; lowered to release it."""
        m.d.comb += chunks.ready.eq(~self.collected)
        with m.If(chunks.valid & chunks.ready):
            m.d.sync += [
                descriptor.eq(Cat(descriptor[CHUNK_WIDTH:], chunks.p)),
                taken.eq(taken + 1),
                self.collected.eq(taken == DESCRIPTOR_CHUNKS - 1),
            ]


class _Banks:
    """What the stationary banks hold, or will once the steps before are carried out.

    Parameters
    ----------
    m
        Module to which the registers are added.
    segment
        Descriptor of the segment to be given a bank.
    config
        Sizes.
    """

    def __init__(self, m: Module, segment: data.View, config: AcceleratorConfig) -> None:
        self.is_add = segment.kind == records.KIND_ADD
        self._block = segment.load_addr[ALIGNMENT_BITS : config.addr_width]
        self._tags = [Signal(len(self._block), name=f"tag{number}") for number in range(BANKS)]
        self._valid = Signal(BANKS, name="tag_valid")
        self._last = Signal(name="last_bank")
        self.bank = Signal()
        """The segment's."""
        self.loads_nothing = Signal()
        hits = Signal(BANKS)
        m.d.comb += [
            hits.eq(Cat(tag == self._block for tag in self._tags) & self._valid),
            self.bank.eq(Mux(hits.any(), hits[1], ~self._last)),
            self.loads_nothing.eq(self.is_add | hits.any()),
        ]

    def give(self, m: Module) -> None:
        """Give the segment its bank."""
        with m.If(~self.is_add):
            m.d.sync += [
                self._last.eq(self.bank),
                self._valid.bit_select(self.bank, 1).eq(1),
            ]
            for number, tag in enumerate(self._tags):
                with m.If(self.bank == number):
                    m.d.sync += tag.eq(self._block)

    def forget(self, m: Module, condition: Value) -> None:
        """Forget what the banks hold."""
        with m.If(condition):
            m.d.sync += self._valid.eq(0)


class _Work:
    """What is kept of a job and its segment while the next descriptor comes in.

    Parameters
    ----------
    config
        Sizes.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.segment_addr = Signal(config.addr_width)
        self.segments_left = Signal(32)
        self.first = Signal()
        """The segment is its job's first."""
        self.loads = Signal()
        self.load = Signal(read_request_layout(config))
        self.load_lead = Signal(16, reset_less=True)
        self.fill = Signal(LOAD_STEP)
        """The step of `load`."""

    def keep_load(self, m: Module, segment: data.View, banks: _Banks) -> None:
        """Keep what a segment loads, and into which bank."""
        m.d.sync += [
            self.loads.eq(~banks.loads_nothing),
            self.load.addr.eq(segment.load_addr),
            self.load.chunks.eq(segment.load_chunks),
            self.load.sharers.eq(segment.load_sharers),
            self.load_lead.eq(segment.load_lead),
            self.fill.kind.eq(StepKind.FILL),
            self.fill.bank.eq(banks.bank),
            self.fill.count.eq(segment.tap_count),
            self.fill.chunks.eq(segment.load_chunks),
        ]


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

    Timing
    ------
    - Latency: `LATENCY` from `job` to `request`; `DESCRIPTOR_LATENCY` from `chunks` to `drain`, of
      the last chunk of a queue entry.
    - Throughput: one request per state; a descriptor is collected at one chunk per cycle, while the
      load block of the segment before it is being requested.
    - Combinational: `job.valid` -> `request.valid`, `steps.valid`, `busy`; `job.p` -> `request.p`;
      `request.ready` -> `job.ready`, `steps.valid`; `steps.ready` -> `job.ready`, `request.valid`,
      `segment.valid`; `segment.ready` -> `steps.valid`.
    - Reset: no job, nothing known of the banks; outputs 0, but `chunks.ready` = 1.

    Parameters
    ----------
    config
        Sizes.

    Attributes
    ----------
    job : In(stream.Signature(config.addr_width))
        Byte address of a queue entry.
    request : Out(stream.Signature(read_request_layout(config)))
        To the load channel's reader; of a load block with its `load_sharers`.
    chunks : In(stream.Signature(CHUNK_WIDTH))
        Chunks of descriptors.
    stream_request : Out(stream.Signature(read_request_layout(config)))
        To the stream channel's reader, with its `stream_wait` as `urgent_room` and its
        `stream_sharers`.
    segment : Out(stream.Signature(SEGMENT_CONTEXT))
        Announced segments, in order.
    drain : Out(stream.Signature(drain_context_layout(config)))
        Announced drains, in order.
    steps : Out(stream.Signature(LOAD_STEP))
        What the chunks requested are for, in order.
    lead : Out(16)
        `load_lead` of the request taken last, if that was a load block; else `AT_ONCE`.
    forget : In(1)
        No block given to a bank before may be used again (pulse, while `busy` is low).
    busy : Out(1)
        A job is being fetched.
    entry : Out(entry_width(config))
        Queue entry of the job taken last.
    walk_count : Out(config.acc_depth.bit_length())
        Accumulators of the job announced last.
    error : Out(ERROR_WIDTH)
        What is wrong with the descriptor, or 0; what follows it means nothing.
    mode : Out(NUMBER_MODE)
        With float formats: how the job announced last calculates.
    """

    LATENCY = 0
    DESCRIPTOR_LATENCY = 1

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
        descriptor = _Descriptor(m, self.chunks)
        work = _Work(self.config)
        banks = _Banks(m, descriptor.segment, self.config)
        self._say_what(m, descriptor, banks, work)
        with m.FSM():
            m.d.comb += self.busy.eq(1)
            with m.State("IDLE"):
                self._take_job(m)
            with m.State("JOB"):
                self._announce_drain(m, descriptor, work)
            with m.State("STREAM"):
                self._request_stream(m, descriptor)
            with m.State("SEGMENT"):
                self._announce_segment(m, descriptor, banks, work)
            with m.State("NEXT"):
                self._request_next(m, work)
            with m.State("LOAD"):
                self._request_load(m, work)
        banks.forget(m, self.forget)
        return m

    def _say_what(self, m, descriptor, banks, work):
        """Drive what is said of streams, segments and drains whenever they are offered."""
        config, segment, job = self.config, descriptor.segment, descriptor.job
        is_add = banks.is_add
        m.d.comb += [
            self.segment.p.bank.eq(banks.bank),
            self.segment.p.stream_count.eq(segment.stream_count),
            self.segment.p.offset_bits.eq(segment.offset_bits),
            self.segment.p.add.eq(is_add),
            self.segment.p.first.eq(work.first),
            self.segment.p.last.eq(work.segments_left == 1),
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

    def _ask(self, m, wanted=1, lead=records.AT_ONCE):
        """Hand on a request and its step together; return whether both are taken."""
        m.d.comb += [
            self.request.valid.eq(self.steps.ready & wanted),
            self.steps.valid.eq(self.request.ready & wanted),
        ]
        taken = self.request.ready & self.steps.ready & wanted
        with m.If(taken):
            m.d.sync += self.lead.eq(lead)
        return taken

    def _ask_descriptors(self, m, addr, chunks, wanted=1):
        """Ask for chunks of descriptors; return whether the request is taken."""
        m.d.comb += [
            self.request.p.addr.eq(addr),
            self.request.p.chunks.eq(chunks),
            self.steps.p.kind.eq(StepKind.DESCRIPTOR),
            self.steps.p.count.eq(chunks),
        ]
        return self._ask(m, wanted)

    def _take_job(self, m):
        """Take a job, and request its queue entry in the same cycle."""
        m.d.comb += [
            self.busy.eq(self.job.valid),
            self.job.ready.eq(self.request.ready & self.steps.ready),
        ]
        with m.If(self._ask_descriptors(m, self.job.p, ENTRY_CHUNKS, self.job.valid)):
            m.d.sync += self.entry.eq(self.job.p[-len(self.entry) :])
            m.next = "JOB"

    def _announce_drain(self, m, descriptor, work):
        """Check the queue entry, announce the drain; behind the entry follows a segment."""
        job = descriptor.job
        m.d.comb += self.drain.valid.eq(descriptor.collected)
        with m.If(descriptor.collected):
            m.d.comb += self.error.eq(first_error(m, job_checks(job, self.config)))
        with m.If(descriptor.collected & self.drain.ready):
            m.d.sync += [
                descriptor.collected.eq(0),
                work.segment_addr.eq(job.segment_addr),
                work.segments_left.eq(job.segment_count),
                self.walk_count.eq(job.walk_count),
                work.first.eq(1),
            ]
            if self.config.floats:
                m.d.sync += self.mode.eq(self.drain.p.mode)
            m.next = "STREAM"

    def _request_stream(self, m, descriptor):
        """Check the descriptor of a segment, request its stream."""
        m.d.comb += self.stream_request.valid.eq(descriptor.collected)
        with m.If(descriptor.collected):
            checks = segment_checks(descriptor.segment, self.walk_count, self.config)
            m.d.comb += self.error.eq(first_error(m, checks))
        with m.If(descriptor.collected & self.stream_request.ready):
            m.next = "SEGMENT"

    def _announce_segment(self, m, descriptor, banks, work):
        """Announce a segment, and if it loads nothing its step; keep what its load needs."""
        loads_nothing = banks.loads_nothing
        m.d.comb += [
            self.segment.valid.eq(~loads_nothing | self.steps.ready),
            self.steps.valid.eq(loads_nothing & self.segment.ready),
            self.steps.p.kind.eq(Mux(banks.is_add, StepKind.NONE, StepKind.HELD)),
            self.steps.p.bank.eq(banks.bank),
        ]
        with m.If(self.segment.valid & self.segment.ready):
            m.d.sync += [
                descriptor.collected.eq(0),
                work.segments_left.eq(work.segments_left - 1),
                work.first.eq(0),
            ]
            work.keep_load(m, descriptor.segment, banks)
            banks.give(m)
            with m.If(~self.segment.p.last):
                m.next = "NEXT"
            with m.Elif(loads_nothing):
                m.next = "IDLE"
            with m.Else():
                m.next = "LOAD"

    def _request_next(self, m, work):
        """Request the descriptor of the next segment, ahead of the load block of this one."""
        with m.If(self._ask_descriptors(m, work.segment_addr, DESCRIPTOR_CHUNKS)):
            size = records.SEGMENT_DESCRIPTOR.width // 8
            m.d.sync += work.segment_addr.eq(work.segment_addr + size)
            m.next = "STREAM"
            with m.If(work.loads):
                m.next = "LOAD"

    def _request_load(self, m, work):
        """Request a load block while its bank is still in use; its chunks wait in the reader."""
        m.d.comb += [self.request.p.eq(work.load), self.steps.p.eq(work.fill)]
        with m.If(self._ask(m, lead=work.load_lead)):
            m.next = "STREAM"
            with m.If(work.segments_left == 0):
                m.next = "IDLE"
