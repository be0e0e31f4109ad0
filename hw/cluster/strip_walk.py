"""Walk over the strips of a job's stream."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.hw.array_layouts import PASS, job_layout
from gscn.hw.input_layouts import STRIP, context_layout, tile_layout
from gscn.passes import Mode


def end_strip(d: data.View, strip: Value) -> Value:
    """Return one past the last strip of a job, in each of its samples, from its first one."""
    kernel = d.mode == Mode.KERNEL
    end = strip + Mux(kernel, d.strips_before + d.strips_after, d.unit_strips)
    return Mux((kernel | d.unit_strips.any()) & (end < d.t_strips), end, d.t_strips)


def first_chunk(d: data.View, strip: Value) -> Value:
    """Return the first chunk of a sample, or tile, that a job needs."""
    some = (d.mode == Mode.CORRELATE) & (strip > d.behind)
    return Mux(some, (strip - d.behind)[:16], 0)


def end_chunk(d: data.View, strip: Value) -> Value:
    """Return one past the last chunk of a sample, or tile, that it needs."""
    end = end_strip(d, strip) + d.ahead
    return Mux((d.mode == Mode.CORRELATE) & (end < d.s_chunks), end, d.s_chunks)


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
        The pass; still while there is a job.
    job : In(job_layout(config))
        The job under way; still until its last context is taken.
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
        groups_left, samples_left = Signal(16), Signal(16)
        strip, end = Signal(16), Signal(16)
        chunk = Signal.like(self.tile.chunk)
        base, sample_offset = Signal(config.key_width), Signal(config.index_width)
        last_strip, last_sample, last_group = Signal(), Signal(), Signal()
        first = Mux(job.strip > 0, job.strip[:16], 0)
        m.d.comb += [
            last_strip.eq(strip + 1 == end),
            last_sample.eq(samples_left == 1),
            last_group.eq(groups_left == 1),
        ]

        # -- what is said of the strip
        context = self.contexts.p
        ahead, behind = Signal(signed(18)), Signal(signed(18))
        m.d.comb += [
            ahead.eq(strip + d.ahead + 1),
            behind.eq(strip - d.behind + 1),
            self.strips.p.rows.eq(Mux(strip + 1 == d.t_strips, d.t_rows_last, d.t_rows)),
            self.strips.p.ends_piece.eq(last_strip & last_sample),
            context.base.eq(base),
            context.sample_offset.eq(sample_offset),
            context.ends_sample.eq(last_strip),
            context.ends_job.eq(empty | (last_strip & last_sample & last_group)),
            context.empty.eq(empty),
            context.last_group.eq(last_group),
        ]
        with m.If(kernel):
            m.d.comb += [
                context.need.eq(chunk + 1),
                context.finished.eq(chunk + 1),
                context.marks.eq(last_strip & last_sample),
            ]
        with m.Else():
            needed = Mux(ahead < d.s_chunks, ahead, d.s_chunks)
            done = Mux(behind > 0, behind, 0)
            m.d.comb += [
                context.need.eq(chunk + needed),
                context.finished.eq(chunk + Mux(~last_strip & (done < d.s_chunks), done, needed)),
                context.marks.eq(last_strip | (behind > 0)),
            ]
        m.d.comb += [
            self.strips.valid.eq(active & ~empty & self.contexts.ready),
            self.contexts.valid.eq(active & (empty | self.strips.ready)),
        ]

        # -- the next one
        with m.If(self.start):
            m.d.sync += [
                active.eq(1),
                empty.eq(~job.streams),
                groups_left.eq(Mux(kernel, d.t_groups, 1)),
                samples_left.eq(job.samples),
                strip.eq(first),
                end.eq(end_strip(d, job.strip)),
                chunk.eq(self.tile.chunk - first_chunk(d, job.strip)),
                base.eq(self.tile.base),
                sample_offset.eq(0),
            ]
        with m.Elif(self.contexts.valid & self.contexts.ready):
            m.d.sync += strip.eq(strip + 1)
            with m.If(context.ends_job):
                m.d.sync += active.eq(0)
            with m.Elif(last_strip):
                m.d.sync += [strip.eq(first), samples_left.eq(samples_left - 1)]
                with m.If(~kernel):
                    m.d.sync += [chunk.eq(chunk + d.s_chunks), base.eq(base + self.sample_keys)]
                with m.Elif(last_sample):
                    m.d.sync += [
                        groups_left.eq(groups_left - 1),
                        samples_left.eq(job.samples),
                        chunk.eq(chunk + 1),
                        base.eq(base + d.s_keys),
                        sample_offset.eq(0),
                    ]
                with m.Else():
                    m.d.sync += sample_offset.eq(sample_offset + d.plane)
        return m
