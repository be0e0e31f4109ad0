"""The strips of a job are named in order, each once, with what words of each must know."""

from __future__ import annotations

from amaranth.hdl import Cat, Mux, Signal, Value

from formal.checker import Checker
from formal.odometer import Odometer
from gscn.hw.cluster.strip_walk import StripWalker
from gscn.hw.input_layouts import CHUNK_NUMBER_WIDTH
from gscn.passes import Mode

_FIELDS = (
    "mode", "strips_before", "strips_after", "unit_strips", "t_strips", "t_groups", "t_rows",
    "t_rows_last", "s_chunks", "s_keys", "plane", "ahead", "behind",
)  # fmt: skip


class StripWalkerChecker(Checker):
    """Compare the strips of a job with counters of its groups, samples and strips.

    Assumed: a job that streams has samples and, in each, a strip that exists; the pass has groups;
    pass, job and the keys of a sample are held while there is a job, and one begins when there is
    none.
    """

    CLAIMS = {
        "together": "while there is a job a strip is offered with its context, both in the cycle "
        "in which the other side takes the other; without a stream the context alone",
        "once": "each strip of each group and sample has its turn once, until the one that ends "
        "the job, behind which there is none",
        "ends": "the last strip of a sample, of a group's samples, of the last group and of the "
        "operand are said to be such, and no other; a job without a stream ends with its context",
        "base": "keys begin at the tile's first one and those of all groups or samples before; "
        "offsets by what samples before take",
        "need": "the chunks before `need` are those that strips up to this one meet: of its group, "
        "or up to `ahead` beyond its number, which all are its sample's",
        "finished": "the chunks before `finished` are those of them that no later strip of the "
        "sample meets, from `behind` before its number on; of a group, its own",
        "marks": "a strip marks exactly if a chunk is finished with it",
    }

    dut: StripWalker

    def describe(self) -> None:
        """State which strip it is."""
        dut, m = self.dut, self.m
        d, job, context, strip = dut.d, dut.job, dut.contexts.p, dut.strips.p
        kernel = d.mode == Mode.KERNEL
        took = dut.contexts.valid & dut.contexts.ready

        # -- what strips the job has in each sample
        first, end, until = Signal(16), Signal(17), Signal(18)
        m.d.comb += [
            first.eq(Mux(job.strip > 0, job.strip, 0)),
            until.eq(
                Mux(
                    kernel,
                    Mux(
                        job.strip + d.strips_before + d.strips_after > 0,
                        job.strip + d.strips_before + d.strips_after,
                        0,
                    ),
                    Mux(d.unit_strips == 0, d.t_strips, first + d.unit_strips),
                )
            ),
            end.eq(Mux(until < d.t_strips, until, d.t_strips)),
        ]
        self.assume(~job.streams | (first < end))
        self.assume(kernel | (job.strip >= 0))
        self.assume((job.samples != 0) & (d.t_groups != 0) & (d.mode <= Mode.CORRELATE))
        groups = Mux(kernel, d.t_groups, 1)
        walk = Odometer(
            self,
            loops=[(first, end), (0, job.samples), (0, groups)],
            begin=dut.start & job.streams,
            step=took,
        )
        alone = Signal()  # a job without a stream
        m.d.sync += alone.eq(Mux(dut.start, ~job.streams, alone & ~took))
        active = walk.under_way | alone
        self.assume(~(dut.start & active))
        fields = Cat(Value.cast(job), dut.sample_keys, *(Value.cast(d[name]) for name in _FIELDS))
        before = Signal(len(fields), name="fields_before")
        m.d.sync += before.eq(fields)
        self.assume(~active | (fields == before))

        self.claim(
            "together",
            (dut.contexts.valid == (active & (alone | dut.strips.ready)))
            & (dut.strips.valid == (walk.under_way & dut.contexts.ready)),
        )
        self.claim("once", walk.each(context.ends_job) & (~took | active))
        ends_strip, ends_sample, ends_group = walk.ends
        at = walk.at[0]
        self.claim(
            "ends",
            Mux(
                alone,
                context.empty & context.ends_job,
                ~walk.under_way
                | (
                    ~context.empty
                    & (context.ends_sample == ends_strip)
                    & (strip.ends_piece == (ends_strip & ends_sample))
                    & (context.ends_job == walk.last)
                    & (context.last_group == ends_group)
                    & (strip.rows == Mux(at + 1 == d.t_strips, d.t_rows_last, d.t_rows))
                ),
            ),
        )
        base = self._base(walk, context)
        chunk = self._chunks(walk, context)
        self._look_inside(walk, alone, end, base, chunk)
        self.reach(walk.steps & walk.last & kernel & (walk.at[1] != 0) & (walk.at[2] != 0))

    def _base(self, walk: Odometer, context) -> tuple[Value, Value]:
        """Claim where keys and offsets begin; return both."""
        dut, m, d = self.dut, self.m, self.dut.d
        kernel = d.mode == Mode.KERNEL
        key_width, index_width = len(context.base), len(context.sample_offset)
        first = Signal(key_width, name="first_key")
        with m.If(dut.start):
            m.d.sync += first.eq(dut.tile.base)
        of_samples = walk.product(1, dut.sample_keys, key_width, name="keys_of_samples")
        of_groups = walk.product(2, d.s_keys, key_width, name="keys_of_groups")
        offset = walk.product(1, d.plane, index_width, name="offset_of_samples")
        base = (first + Mux(kernel, of_groups, of_samples))[:key_width]
        offset = Mux(kernel, offset, 0)
        self.claim(
            "base",
            ~walk.under_way | ((context.base == base) & (context.sample_offset == offset)),
        )
        return base, offset

    def _chunks(self, walk: Odometer, context) -> Value:
        """Claim which chunks are met and finished; return the number of the first one.

        Of any chunk of a sample it is said whether it is before `need`, and before `finished`.
        """
        dut, m, d = self.dut, self.m, self.dut.d
        kernel, width = d.mode == Mode.KERNEL, CHUNK_NUMBER_WIDTH
        first = Signal(width, name="first_chunk")
        with m.If(dut.start):
            skipped = Mux(dut.job.strip > d.behind, dut.job.strip - d.behind, 0)
            m.d.sync += first.eq(dut.tile.chunk - Mux(kernel, 0, skipped))
        of_samples = walk.product(1, d.s_chunks, width, name="chunks_of_samples")
        chunk = (first + Mux(kernel, walk.at[2], of_samples))[:width]
        number = self.any_constant(width, name="chunk")
        strip, ends_sample = walk.at[0], walk.ends[0]
        need = (context.need - chunk)[:width]
        finished = (context.finished - chunk)[:width]
        met = number <= strip + d.ahead
        later = ~ends_sample & (number + d.behind >= strip + 1)
        asked = walk.under_way & ~kernel & (number < d.s_chunks)
        self.claim(
            "need",
            (~asked | ((number < need) == met))
            & (~(walk.under_way & ~kernel) | (need <= d.s_chunks))
            & (~(walk.under_way & kernel) | (need == 1)),
        )
        self.claim(
            "finished",
            (~asked | ((number < finished) == (met & ~later)))
            & (~(walk.under_way & ~kernel) | (finished <= need))
            & (~(walk.under_way & kernel & context.marks) | (finished == 1)),
        )
        ends_group = ends_sample & walk.ends[1]
        self.claim(
            "marks",
            ~walk.under_way
            | (context.marks == Mux(kernel, ends_group, ends_sample | (strip + 1 > d.behind))),
        )
        return chunk

    def _look_inside(
        self, walk: Odometer, alone: Value, end: Value, base: tuple[Value, Value], chunk: Value
    ) -> None:
        """Say what the registers have to do with it."""
        probe, dut = self.probe, self.dut
        signal, d = probe.signal, dut.d
        kernel = d.mode == Mode.KERNEL
        same = (
            (signal("strip") == walk.at[0])
            & (signal("end") == end)
            & (signal("samples_left") == dut.job.samples - walk.at[1])
            & (signal("groups_left") == Mux(kernel, d.t_groups, 1) - walk.at[2])
            & (signal("base") == base[0])
            & (signal("sample_offset") == base[1])
            & (signal("chunk") == chunk)
        )
        self.invariant(signal("active") == (walk.under_way | alone))
        self.invariant(~(walk.under_way & alone))
        self.invariant(~signal("active") | (signal("empty") == alone))
        self.invariant(~walk.under_way | same)
