"""Walk over the strips of a job's stream."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Signal, Value, signed
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
        kernel, units = d.mode == Mode.KERNEL, d.unit_strips.any()

        def register(width, name, value):
            """Return a register that has what `value` was."""
            one = Signal(width, name=name)
            m.d.sync += one.eq(value)
            return one

        def choose(of_strips, of_chunks):
            """Return what holds for what is meant; only that is made, if it is always the same."""
            if isinstance(streams, int):
                return (of_strips if streams else of_chunks)()
            return Mux(streams, of_strips(), of_chunks())

        # some of a sample may be meant: so many from the first one on, or up to behind `strip`
        around = d.strips_before + d.strips_after
        own = Mux(kernel, around, Mux(units, d.unit_strips, d.t_strips))
        part = choose(lambda: Const(1), lambda: register(1, "part", ~kernel & units))
        reach = choose(
            lambda: register(17, "own_reach", own) + Mux(strip < 0, strip, 0),
            lambda: register(17, "needed_reach", d.unit_strips + d.ahead) + strip,
        )
        low = strip - choose(lambda: Const(0), lambda: d.behind)
        self.first = register(16, "job_first", Mux(~low[-1] & part, low[:16], 0))
        reach = register(18, "job_reach", reach)
        before = choose(lambda: Const(0), lambda: self.first)
        some = register(18, "some_strips", reach - before)
        rest = register(17, "all_strips", most - self.first)
        fewer = part & (some < rest)
        self.count = Mux(fewer, some, rest)[:16]
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
                m.d.sync += [samples_left.eq(samples_left - 1), last_sample.eq(samples_left == 2)]
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
