"""Control of a cluster: fetch descriptors, load stationary tiles, announce segments and drains."""

from __future__ import annotations

from amaranth.hdl import Module, Mux
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gscn import latencies
from gscn.config import CHUNK_WIDTH, AcceleratorConfig
from gscn.error_codes import ERROR_WIDTH
from gscn.hw.cluster.fetcher import Fetcher
from gscn.hw.cluster.filler import Filler
from gscn.hw.fifo import StreamFIFO
from gscn.hw.layouts import (
    LOAD_STEP,
    LOAD_WORD,
    NUMBER_MODE,
    SEGMENT_CONTEXT,
    drain_context_layout,
    entry_width,
    read_request_layout,
    tap_counts_layout,
)


class Loader(wiring.Component):
    """Execute the control part of jobs, ahead of the PEs.

    For each job: fetch its queue entry and announce how it drains. For each of its segments:
    request the stream, announce the segment with its bank, fill the bank once no segment uses it,
    and report the segment loaded. A segment whose block a bank holds uses it without loading; an
    ADD segment uses no bank.

    Timing
    ------
    - Latency: `LATENCY` from `job` to `request`; `LOAD_LATENCY` from `chunks` to `load`;
      `DESCRIPTOR_LATENCY` from `chunks` to `drain`. A job costs two memory latencies before its
      first word, those of its queue entry and of its first load block; later blocks are requested
      ahead.
    - Throughput: one chunk per cycle; load blocks cost what `Filler` says besides.
    - Combinational: `job.valid` -> `request.valid`, `busy`; `job.p` -> `request.p`; `request.ready`
      -> `job.ready`; `chunks.valid` -> `load_en`, `error`; `chunks.p` -> `load`, `error`.
    - Reset: no job, nothing known of the banks; outputs 0, but `load` meaningless.

    Parameters
    ----------
    config
        Sizes.

    Attributes
    ----------
    job : In(stream.Signature(config.addr_width))
        Byte address of a queue entry.
    request : Out(stream.Signature(read_request_layout(config)))
        To the load channel's reader.
    chunks : In(stream.Signature(CHUNK_WIDTH))
        From the load channel's reader.
    stream_request : Out(stream.Signature(read_request_layout(config)))
        To the stream channel's reader.
    segment : Out(stream.Signature(SEGMENT_CONTEXT))
        Announced segments, in order.
    drain : Out(stream.Signature(drain_context_layout(config)))
        Announced drains, in order.
    load : Out(LOAD_WORD)
        Chunk for the stationary memories.
    load_en : Out(config.pes_per_cluster)
        `load` is for this PE.
    segment_end : In(1)
        The PEs have ended the oldest segment not yet ended (pulse).
    lead : Out(16)
        The request taken last waits until so many items are left, see `hw.cluster.fetcher.Fetcher`.
    forget : In(1)
        No block loaded before may be used again (pulse, while no job is under way).
    loaded : Out(1)
        The oldest announced segment not yet reported has its tile loaded (pulse).
    busy : Out(1)
        A job is being fetched.
    entry : Out(entry_width(config))
        Queue entry of the job under way, see `hw.cluster.fetcher.Fetcher`.
    walk_count : Out(config.acc_depth.bit_length())
        Its accumulators.
    tap_counts : Out(tap_counts_layout(config))
        Taps in each stationary bank.
    error : Out(ERROR_WIDTH)
        What is wrong with a descriptor or load block of the job under way, or 0.
    mode : Out(NUMBER_MODE)
        With float formats: of the job under way, see `hw.cluster.fetcher.Fetcher`.
    """

    STEPS = latencies.LOAD_STEPS

    LATENCY = Fetcher.LATENCY
    LOAD_LATENCY = Filler.LATENCY
    DESCRIPTOR_LATENCY = Filler.LATENCY + Fetcher.DESCRIPTOR_LATENCY

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
                "load": Out(LOAD_WORD),
                "load_en": Out(config.pes_per_cluster),
                "segment_end": In(1),
                "lead": Out(16),
                "forget": In(1),
                "loaded": Out(1),
                "busy": Out(1),
                "entry": Out(entry_width(config)),
                "walk_count": Out(config.acc_depth.bit_length()),
                "tap_counts": Out(tap_counts_layout(config)),
                "error": Out(ERROR_WIDTH),
                **({"mode": Out(NUMBER_MODE)} if config.floats else {}),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.fetcher = fetcher = Fetcher(config=self.config)
        m.submodules.filler = filler = Filler(config=self.config)
        m.submodules.steps = steps = StreamFIFO(shape=LOAD_STEP, depth=self.STEPS)
        wiring.connect(m, fetcher.steps, steps.i)
        wiring.connect(m, steps.o, filler.steps)
        wiring.connect(m, filler.descriptors, fetcher.chunks)
        wiring.connect(m, wiring.flipped(self.job), fetcher.job)
        wiring.connect(m, wiring.flipped(self.chunks), filler.chunks)
        for name in ("request", "stream_request", "segment", "drain"):
            wiring.connect(m, getattr(fetcher, name), wiring.flipped(getattr(self, name)))
        m.d.comb += [
            self.load.eq(filler.load),
            self.load_en.eq(filler.load_en),
            filler.segment_end.eq(self.segment_end),
            fetcher.forget.eq(self.forget),
            self.lead.eq(fetcher.lead),
            self.loaded.eq(filler.loaded),
            self.busy.eq(fetcher.busy),
            self.entry.eq(fetcher.entry),
            self.walk_count.eq(fetcher.walk_count),
            self.tap_counts.eq(filler.tap_counts),
            self.error.eq(Mux(filler.error != 0, filler.error, fetcher.error)),
        ]
        if self.config.floats:
            m.d.comb += self.mode.eq(fetcher.mode)
        return m
