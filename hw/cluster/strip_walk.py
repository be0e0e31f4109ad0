"""Walk over the strips of a job's stream."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.hw.array_layouts import PASS, job_layout
from gscn.hw.input_layouts import STRIP, context_layout, tile_layout
from gscn.passes import Mode


class JobStrips:
    """Which strips of a sample a job has, or which chunks of a sample, or tile, it needs.

    Each is known in registers a cycle after what it follows from: `first` a cycle after `strip`
    came, `count` and `ends` two cycles after. What follows from the pass alone is known a cycle
    after that shows.

    Parameters
    ----------
    m
        Module to which the registers are added.
    d
        The pass.
    strip
        The job's `strip`.
    streams
        Its strips are meant, not chunks.
    most
        Strips, or chunks, of a sample.
    """

    CYCLES = 2

    def __init__(
        self, m: Module, d: data.View, strip: Value, *, streams: Value | int, most: Value
    ) -> None:
        streams = Value.cast(streams)
        kernel, units = d.mode == Mode.KERNEL, d.unit_strips.any()
        part = Signal(name="part")  # a job may need some chunks of a sample only
        own, needed = Signal(17, name="own_reach"), Signal(17, name="needed_reach")
        around = d.strips_before + d.strips_after
        m.d.sync += [
            part.eq(~kernel & units),
            own.eq(Mux(kernel, around, Mux(units, d.unit_strips, d.t_strips))),
            needed.eq(d.unit_strips + d.ahead),
        ]
        self.first = Signal(16, name="job_first")
        low = strip - Mux(streams, 0, d.behind)
        reach = Signal(18, name="job_reach")  # of a stream from its first one on
        outside = strip[-1]  # it lies before the sample
        m.d.sync += [
            self.first.eq(Mux(~low[-1] & (streams | part), low[:16], 0)),
            reach.eq(Mux(streams, own, needed) + Mux(streams & ~outside, 0, strip)),
        ]
        some, all_ = Signal(18, name="some_strips"), Signal(17, name="all_strips")
        m.d.sync += [
            some.eq(reach - Mux(streams, 0, self.first)),
            all_.eq(most - self.first),
        ]
        fewer = (streams | part) & (some < all_)
        self.count = Mux(fewer, some, all_)[:16]
        self.ends = ~fewer
        """The last one is the sample's, or tile's, last."""


class StripWalker(wiring.Component):
    """Name the strips of a job in order, and what words of each must know.

    Kernel: of every group in turn, of each of the job's samples, the strips from `strip` on, as far
    as there are such. Correlate: those of each sample, or `unit_strips` of one. A job without a
    stream is one context without a strip. A strip goes out with its context, when both are taken.

    Implements: "Tiles, units and gangs" and "The window" in `docs/contract/passes.md`.

    Timing
    ------
    - Latency: `LATENCY` from `start` to `strips`, and from `start` to `contexts`.
    - Throughput: one strip per cycle.
    - Combinational: `d` -> `strips.p`, `contexts.p`; `strips.ready` -> `contexts.valid`;
      `contexts.ready` -> `strips.valid`.
    - Reset: no job; outputs 0.

    Parameters
    ----------
    config
        Sizes.

    Attributes
    ----------
    d : In(PASS)
        The pass; still while there is a job, and `AHEAD` + 1 cycles before `start`.
    job : In(job_layout(config))
        The job under way; still until its last context is taken, and, if it has a stream, `AHEAD`
        cycles before `start`.
    tile : In(tile_layout(config))
        Its first chunk; meaningful with `start`.
    sample_keys : In(config.key_width)
        Correlate: keys from one sample to the next.
    start : In(1)
        Begin (pulse).
    strips : Out(stream.Signature(STRIP))
        To the expander.
    contexts : Out(stream.Signature(context_layout(config)))
        Of the same strips.
    """

    LATENCY = 1
    AHEAD = JobStrips.CYCLES + 1

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        super().__init__(
            {
                "d": In(PASS),
                "job": In(job_layout(config)),
                "tile": In(tile_layout(config)),
                "sample_keys": In(config.key_width),
                "start": In(1),
                "strips": Out(stream.Signature(STRIP)),
                "contexts": Out(stream.Signature(context_layout(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        d, job, config = self.d, self.job, self.config
        kernel = d.mode == Mode.KERNEL
        active, empty = Signal(), Signal()
        groups_left, samples_left, strips_left = Signal(16), Signal(16), Signal(16)
        # of the sample, or tile: its first chunk; before how many of its chunks lie those that the
        # strip needs, and those that are finished with it unless it is the last one
        chunk, needed, done = Signal.like(self.tile.chunk), Signal(16), Signal(signed(18))
        base, sample_offset = Signal(config.key_width), Signal(config.index_width)
        last_strip, last_sample, last_group = Signal(), Signal(), Signal()

        # -- what a job begins with, before it does, and each of its samples
        strips = JobStrips(m, d, job.strip, streams=1, most=d.t_strips)
        count, ends_operand, one_sample = Signal(16), Signal(), Signal()
        behind, ahead = Signal(signed(18)), Signal(signed(18))
        first_needed = Signal(16)
        m.d.sync += [
            count.eq(strips.count),
            one_sample.eq(job.samples == 1),
            ends_operand.eq(strips.ends),
            behind.eq(job.strip - d.behind),
            ahead.eq(job.strip + d.ahead + 1),
            first_needed.eq(Mux(kernel, 1, Mux(ahead < d.s_chunks, ahead, d.s_chunks))),
        ]
        skipped = Mux(kernel | behind[-1], 0, behind[:16])

        def begin_sample():
            m.d.sync += [
                strips_left.eq(count),
                last_strip.eq(count == 1),
                needed.eq(first_needed),
                done.eq(behind + 1),
            ]

        # -- what is said of the strip
        context = self.contexts.p
        all_needed, all_done = kernel | (needed == d.s_chunks), done == d.s_chunks
        some_done = done > 0
        m.d.comb += [
            self.strips.p.rows.eq(Mux(last_strip & ends_operand, d.t_rows_last, d.t_rows)),
            self.strips.p.ends_piece.eq(last_strip & last_sample),
            context.need.eq(chunk + needed),
            context.finished.eq(
                chunk + Mux(kernel | last_strip, needed, Mux(some_done, done[:16], 0))
            ),
            context.base.eq(base),
            context.sample_offset.eq(sample_offset),
            context.marks.eq(last_strip & (~kernel | last_sample) | (~kernel & some_done)),
            context.ends_sample.eq(last_strip),
            context.ends_job.eq(empty | (last_strip & last_sample & last_group)),
            context.empty.eq(empty),
            context.last_group.eq(last_group),
            self.strips.valid.eq(active & ~empty & self.contexts.ready),
            self.contexts.valid.eq(active & (empty | self.strips.ready)),
        ]

        # -- the next one
        with m.If(self.start):
            m.d.sync += [
                active.eq(1),
                empty.eq(~job.streams),
                groups_left.eq(d.t_groups),
                last_group.eq(~kernel | (d.t_groups == 1)),
                samples_left.eq(job.samples),
                last_sample.eq(one_sample),
                chunk.eq(self.tile.chunk - skipped),
                base.eq(self.tile.base),
                sample_offset.eq(0),
            ]
            begin_sample()
        with m.Elif(self.contexts.valid & self.contexts.ready):
            m.d.sync += [
                strips_left.eq(strips_left - 1),
                last_strip.eq(strips_left == 2),
                needed.eq(needed + ~all_needed),
                done.eq(done + ~all_done),
            ]
            with m.If(context.ends_job):
                m.d.sync += active.eq(0)
            with m.Elif(last_strip):
                m.d.sync += [
                    samples_left.eq(samples_left - 1),
                    last_sample.eq(samples_left == 2),
                ]
                begin_sample()
                with m.If(~kernel):
                    m.d.sync += [chunk.eq(chunk + d.s_chunks), base.eq(base + self.sample_keys)]
                with m.Elif(last_sample):
                    m.d.sync += [
                        groups_left.eq(groups_left - 1),
                        last_group.eq(groups_left == 2),
                        samples_left.eq(job.samples),
                        last_sample.eq(one_sample),
                        chunk.eq(chunk + 1),
                        base.eq(base + d.s_keys),
                        sample_offset.eq(0),
                    ]
                with m.Else():
                    m.d.sync += sample_offset.eq(sample_offset + d.plane)
        return m
