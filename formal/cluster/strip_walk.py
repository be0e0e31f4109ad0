"""The strips of a job are named in order, each once, with what words of each must know."""

from __future__ import annotations

from amaranth.hdl import Cat, Mux, Signal, Value, signed

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

    Assumed: a job that streams has samples and, in each, a strip that exists; the pass has groups
    and chunks, of a part of a sample some for each strip; pass, job and the keys of a sample are
    held while there is a job, and one begins when there is none, if it streams some cycles after
    it shows.
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
        self.assume(d.s_chunks != 0)
        parts = ~kernel & d.unit_strips.any()
        self.assume(kernel | parts | (job.strip == 0))
        self.assume(~parts | (d.t_strips <= d.s_chunks + d.behind))
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
        of_pass = Cat(*(Value.cast(d[name]) for name in _FIELDS))
        pass_age = self._age(of_pass, dut.AHEAD + 1, name="pass")
        age = self._age(Cat(Value.cast(job), dut.sample_keys), dut.AHEAD, name="job")
        held = (pass_age == dut.AHEAD + 1) & (age == dut.AHEAD)
        self.assume(held | ~Mux(dut.start, job.streams, walk.under_way))
        self.assume(~alone | ((pass_age != 0) & (age != 0)))

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
        self._look_ahead(pass_age, age, first)
        self._look_inside(walk, alone, (first, end), base, chunk)
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
        # before the first two numbers lie those that strips up to this one meet, and those that no
        # later one does; before the third those that are finished
        most, past = Signal(18, name="most"), Signal(signed(18), name="past")
        self._most, self._past = most, past
        finished = Signal(width, name="chunks_finished")
        m.d.comb += [most.eq(strip + d.ahead + 1), past.eq(strip - d.behind + 1)]
        with m.If(kernel):
            m.d.comb += finished.eq(1)
        with m.Elif(ends_sample):
            m.d.comb += finished.eq(Mux(most < d.s_chunks, most, d.s_chunks))
        with m.Else():
            m.d.comb += finished.eq(Mux(past < d.s_chunks, Mux(past > 0, past, 0), d.s_chunks))
        met = number < most
        later = ~ends_sample & (number >= past)
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
            & (~walk.under_way | (context.finished == (chunk + finished)[:width])),
        )
        ends_group = ends_sample & walk.ends[1]
        self.claim(
            "marks",
            ~walk.under_way | (context.marks == Mux(kernel, ends_group, ends_sample | (past > 0))),
        )
        return chunk

    def _age(self, value: Value, most: int, *, name: str) -> Value:
        """Return for how many cycles a value has been what it is, up to `most`."""
        m = self.m
        before, age = Signal(len(value), name=f"{name}_before"), Signal(3, name=f"{name}_age")
        m.d.sync += before.eq(value)
        now = Mux(value == before, age, 0)
        m.d.sync += age.eq(Mux(now == most, most, now + 1))
        self.invariant(age <= most)
        return now

    def _look_ahead(self, pass_age: Value, age: Value, first: Value) -> None:
        """Say what is known of a job before it begins."""
        signal, d, job = self.probe.signal, self.dut.d, self.dut.job
        kernel, parts = d.mode == Mode.KERNEL, d.unit_strips.any()
        own = Mux(
            kernel,
            d.strips_before + d.strips_after,
            Mux(parts, d.unit_strips, d.t_strips),
        )
        reach = (own + Mux(job.strip < 0, job.strip, 0))[:18]
        rest = (d.t_strips - first)[:17]
        ahead, behind = job.strip + d.ahead + 1, job.strip - d.behind

        def known(cycles: int, extra: int = 0) -> Value:
            return (age >= cycles) & (pass_age >= cycles + extra)

        self.invariant((pass_age == 0) | (signal("own_reach") == own))
        self.invariant(
            ~known(1, 1) | ((signal("job_first") == first) & (signal("job_reach") == reach))
        )
        self.invariant(
            ~known(2, 1) | ((signal("some_strips") == reach) & (signal("all_strips") == rest))
        )
        self.invariant(
            ~known(3, 1)
            | (
                (signal("count") == Mux(reach < rest, reach, rest)[:16])
                & (signal("ends_operand") == (reach >= rest))
            )
        )
        self.invariant(
            ~known(1)
            | (
                (signal("behind") == behind)
                & (signal("ahead") == ahead)
                & (signal("one_sample") == (job.samples == 1))
            )
        )
        needed = Mux(kernel, 1, Mux(ahead < d.s_chunks, ahead, d.s_chunks))
        self.invariant(~known(2) | (signal("first_needed") == needed))

    def _look_inside(
        self,
        walk: Odometer,
        alone: Value,
        strips: tuple[Value, Value],
        base: tuple[Value, Value],
        chunk: Value,
    ) -> None:
        """Say what the registers have to do with it."""
        probe, dut = self.probe, self.dut
        signal, d = probe.signal, dut.d
        kernel, at = d.mode == Mode.KERNEL, walk.at[0]
        most, past = self._most, self._past
        needed = Mux(kernel, 1, Mux(most < d.s_chunks, most, d.s_chunks))
        ends_strip, ends_sample, ends_group = walk.ends
        same = (
            (signal("strips_left") == strips[1] - at)
            & (signal("last_strip") == ends_strip)
            & (signal("last_sample") == ends_sample)
            & (signal("last_group") == ends_group)
            & (signal("needed") == needed)
            & (kernel | (signal("done") == Mux(past < d.s_chunks, past, d.s_chunks)))
            & (signal("samples_left") == dut.job.samples - walk.at[1])
            & (~kernel | (signal("groups_left") == d.t_groups - walk.at[2]))
            & (signal("base") == base[0])
            & (signal("sample_offset") == base[1])
            & (signal("chunk") == chunk)
        )
        self.invariant(signal("active") == (walk.under_way | alone))
        self.invariant(~(walk.under_way & alone))
        self.invariant(~signal("active") | (signal("empty") == alone))
        self.invariant(~walk.under_way | same)
        self.invariant(
            ~walk.under_way
            | (
                (signal("count") == strips[1] - strips[0])
                & (signal("one_sample") == (dut.job.samples == 1))
            )
        )
