"""Places of streamed nonzeros: from items of strips to words with keys and offsets."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn import latencies
from gscn.array import ArrayConfig
from gscn.hw.array_layouts import PASS, WordKind, job_layout, word_layout
from gscn.hw.fifo import StreamFIFO
from gscn.hw.input_layouts import (
    REPORT,
    context_layout,
    item_layout,
    product_width,
    steps_layout,
)
from gscn.passes import VECTOR, Mode

PLACE_WIDTH = 18
"""Bits of a signed row or column; from 2 ** 16 on it stays where it is, outside of everything."""


class _Rows:
    """A row that the stream counts for, and what it adds to keys and offsets.

    Parameters
    ----------
    config
        Sizes.
    name
        Of the registers.
    """

    def __init__(self, config: ArrayConfig, name: str) -> None:
        width = product_width(config)
        self.row = Signal(signed(PLACE_WIDTH), name=f"{name}_row")
        self.above, self.below = (
            Signal(signed(PLACE_WIDTH), name=f"{name}_{side}") for side in ("above", "below")
        )
        """Rows from it to the job's first one, and to the one behind its last."""
        self.keys = Signal(width, name=f"{name}_keys")
        """Row x `row_keys`."""
        self.offset = Signal(width, name=f"{name}_offset")
        """Row x `y_step` (kernel) or `row_step` (correlate)."""

    def all(self) -> Cat:
        """Return all of it as one value."""
        return Cat(self.row, self.above, self.below, self.keys, self.offset)


class _Multiplied:
    """First stage: an item, multiplied by steps.

    Parameters
    ----------
    config
        Sizes.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.valid = Signal()
        self.columns = Signal(13)
        """Columns between this item and the one before."""
        self.column_offset = Signal(product_width(config))
        """What they add to the offset."""
        self.lane_part = Signal(product_width(config))
        """What its channel adds: kernel to the key, correlate to the offset."""
        self.wanted = Signal()
        """It is a nonzero."""
        self.beyond, self.beyond_last = Signal(), Signal()
        """It is one of a channel that no chunk has, or that a tile's last chunk lacks."""
        self.value = Signal(signed(config.value_width), reset_less=True)
        self.ends_row = Signal()
        self.ends_strip = Signal()


class WordPlacer(wiring.Component):
    """Turn the items of a job's strips into words, and say with marks which chunks are finished.

    A nonzero whose row or column meets nothing of the job is dropped; each other one is a
    word that meets `span` keys in each of its look-ups, one per tap row inside. In kernel mode all
    of them are one look-up if all tap columns are inside and tap rows follow each other without a
    gap. A strip's first item waits for the chunks that the strip needs. After the last item of a
    strip that `marks`, a MARK goes out, at a job's end an END, which is made `job_end` by `drains`;
    its report goes out in the same cycle. In kernel mode a nonzero is an error, dropped or not, if
    its chunk lacks its channel.

    Two stages: products of an item; then its place, into a queue of words. Products: `step` x
    `t_step`, `step` x the offset of a column, channel x `lane_step`, and, behind that queue, tap
    rows x tap columns for words that are one look-up; 5 bits times 8, 5 times those of an index or
    key, 8 times those, and 5 times 5.

    Implements: "Keys, offsets, indices" in `docs/contract/passes.md`.

    Timing
    ------
    - Latency: `LATENCY` from `items` to `o`.
    - Throughput: one item per cycle, a word each or none; a MARK or END takes a cycle.
    - Combinational: `loaded`, `bank` -> `items.ready`; `loaded`, `bank`, `contexts.valid`,
      `contexts.p` -> `contexts.ready`; `reports.ready` -> `o.valid`; `o.ready` -> `reports.valid`;
      `loaded`, `contexts.valid`, `contexts.p` -> `waits`; `contexts.valid`, `contexts.p` ->
      `present`.
    - Reset: no item; outputs 0, but `items.ready` = 1.

    Parameters
    ----------
    config
        Sizes.

    Attributes
    ----------
    d : In(PASS)
        The pass; still while there is a job, and in the two cycles before its `start`.
    job : In(job_layout(config))
        The job under way; still from `start` until its END is taken, and, if it has a stream, in
        the cycle before.
    steps : In(steps_layout(config))
        Of the job.
    start : In(1)
        Begin a job (pulse).
    bank : In(1)
        There are accumulators for the job's words.
    loaded : In(1)
        The oldest context is that of a strip whose chunks are loaded.
    contexts : In(stream.Signature(context_layout(config)))
        Of each strip.
    items : In(stream.Signature(item_layout(config, 1)))
        Of the same strips.
    o : Out(stream.Signature(word_layout(config)))
        Words.
    reports : Out(stream.Signature(REPORT))
        Of each MARK and END, in the cycle in which it is taken.
    waits : Out(1)
        An item waits for chunks, and no word or mark waits to be taken.
    present : Out(1)
        There is an item, or a mark to be made.
    error : Out(1)
        A nonzero has a channel that its chunk lacks (pulse).
    """

    WORDS = latencies.WORDS_QUEUED

    LATENCY = latencies.PLACER_LATENCY

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        super().__init__(
            {
                "d": In(PASS),
                "job": In(job_layout(config)),
                "steps": In(steps_layout(config)),
                "start": In(1),
                "bank": In(1),
                "loaded": In(1),
                "contexts": In(stream.Signature(context_layout(config))),
                "items": In(stream.Signature(item_layout(config, 1))),
                "o": Out(stream.Signature(word_layout(config))),
                "reports": Out(stream.Signature(REPORT)),
                "waits": Out(1),
                "present": Out(1),
                "error": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        item, rows = _Multiplied(self.config), _Rows(self.config, "present")
        consumes = Signal()
        placed = Signal()  # the row of the job's first strip is known
        mark_due = Signal()
        report = Signal(REPORT)
        context = self.contexts.p
        word, joined, is_word = self._place(m, item, rows, consumes)
        queued = data.StructLayout({"word": word.shape(), "factor": len(joined), "report": REPORT})
        m.submodules.words = words = StreamFIFO(shape=queued, depth=self.WORDS)

        here = self.contexts.valid & placed & ~mark_due
        closes = here & context.empty & self.bank
        m.d.comb += [
            self.present.eq(item.valid | mark_due | (here & context.empty)),
            # whether it makes a word or not: that is known late
            consumes.eq(item.valid & self.loaded & placed & ~mark_due & self.bank & words.i.ready),
            self.items.ready.eq(~item.valid | consumes),
            self.contexts.ready.eq(closes | (consumes & item.ends_strip)),
        ]
        lacks = item.beyond | (item.beyond_last & context.last_group)
        m.d.sync += self.error.eq(consumes & lacks)
        self._multiply(m, item)
        self._move(m, item, rows, consumes, placed)

        # -- words
        new, first = words.i.p, words.o.p
        is_mark = first.word.kind != WordKind.MAC
        m.d.comb += [
            words.i.valid.eq(mark_due | (consumes & is_word)),
            new.word.eq(word),
            new.factor.eq(joined),
            new.report.eq(report),
            # a mark that is not taken may yet give the chunks room
            self.waits.eq(item.valid & here & ~context.empty & ~self.loaded & ~words.o.valid),
            self.o.p.eq(first.word),
            self.o.p.span.eq(first.word.span * first.factor),
            self.o.valid.eq(words.o.valid & (~is_mark | self.reports.ready)),
            self.reports.p.eq(first.report),
            self.reports.valid.eq(words.o.valid & is_mark & self.o.ready),
            words.o.ready.eq(self.o.valid & self.o.ready),
        ]
        with m.If(mark_due):
            m.d.comb += [
                new.word.kind.eq(Mux(report.ends_job, WordKind.END, WordKind.MARK)),
                new.word.job_end.eq(report.ends_job & self.job.drains),
                new.report.ends_job.eq(report.ends_job & report.uses),
            ]
            with m.If(words.i.ready):
                m.d.sync += mark_due.eq(0)
        with m.If(closes | (consumes & item.ends_strip & (context.marks | context.ends_job))):
            m.d.sync += [
                mark_due.eq(1),
                report.finished.eq(context.finished),
                report.uses.eq(~context.empty),
                report.ends_job.eq(context.ends_job),
            ]
        return m

    def _multiply(self, m, item):
        """First stage: take an item and multiply."""
        d, job, new = self.d, self.job, self.items.p
        channel, relative, lane0 = Signal(8), Signal(8), Signal(8)
        m.d.sync += lane0.eq(Mux(d.mode == Mode.KERNEL, 0, job.lane0))
        m.d.comb += [
            channel.eq(new.vector * VECTOR + new.lanes[0]),
            # correlate: the expander leaves only channels of the job
            relative.eq(channel - lane0),
        ]
        counts = (d.mode == Mode.KERNEL) & (new.count != 0)
        with m.If(self.items.ready):
            m.d.sync += [
                item.valid.eq(self.items.valid),
                item.columns.eq(new.step * d.t_step),
                item.column_offset.eq(new.step * self.steps.column),
                item.lane_part.eq(relative * d.lane_step[: len(item.lane_part)]),
                item.wanted.eq(new.count != 0),
                item.beyond.eq(counts & (channel >= d.s_outer)),
                item.beyond_last.eq(counts & (channel >= d.s_outer_last)),
                item.value.eq(new["values"][0]),
                item.ends_row.eq(new.ends_row),
                item.ends_strip.eq(new.ends_strip),
            ]

    def _origins(self, m):
        """Return what a row's column, and what it is compared with, begin with: in registers.

        Columns are kept with what lies between them and others that they are compared with, so that
        no sum is compared that waits for another one.
        """
        d, job = self.d, self.job
        outermost = Signal(signed(PLACE_WIDTH))
        m.d.sync += outermost.eq(d.first_col + d.taps_x)
        starts = {
            "before": job.x0 - d.first_col,
            "behind": job.x1 - d.first_col,
            "outside": job.x0 - outermost,
            "left": job.x1 + ~d.first_col,  # one less than `behind`
        }
        origins = {name: Signal.like(outermost, name=f"origin_{name}") for name in starts}
        m.d.sync += [origins[name].eq(start) for name, start in starts.items()]
        return {"column": d.first_col} | origins

    def _place(self, m, item, rows, consumes):
        """Second stage: return the word that an item makes, a factor, and whether it makes one.

        Its span is that of one tap row: the factor returned besides says of how many it is to be.
        """
        d, job, steps = self.d, self.job, self.steps
        context = self.contexts.p
        kernel = d.mode == Mode.KERNEL
        width = product_width(self.config)
        place = signed(PLACE_WIDTH)
        origins = self._origins(m)
        bases = {name: Signal(place, name=f"base_{name}") for name in origins}
        here = {name: Signal(place, name=name) for name in origins}
        column, before, behind, outside, left = here.values()
        base_offset, offset = Signal(width), Signal(width)
        m.d.comb += offset.eq(base_offset + item.column_offset)
        for name, base in bases.items():
            sum_ = base + item.columns if name == "column" else base - item.columns
            m.d.comb += here[name].eq(sum_)
            with m.If(self.start | (consumes & item.ends_row)):
                m.d.sync += base.eq(origins[name])
            # one that has come so far stays there, less than a step behind
            with m.Elif(consumes & (bases["column"][16:] != 1)):
                m.d.sync += base.eq(here[name])
        with m.If(self.start | (consumes & item.ends_row)):
            m.d.sync += base_offset.eq(steps.first_column)
        with m.Elif(consumes):
            m.d.sync += base_offset.eq(offset)

        # -- taps whose targets are inside: those from the first on, before the end
        above, below = rows.above, rows.below
        first_tap, columns, first_row, tap_rows = Signal(4), Signal(5), Signal(4), Signal(5)
        is_before, all_behind = before > 0, behind >= d.taps_x
        m.d.comb += [
            first_tap.eq(Mux(is_before, before, 0)),
            columns.eq(Mux(all_behind, d.taps_x, behind) - first_tap),
            first_row.eq(Mux(rows.row < 0, above, 0)),
            tap_rows.eq(Mux(below < d.taps_y, below, d.taps_y) - first_row),
        ]
        inside_x = (outside < 0) & (left >= 0)
        inside = inside_x & (above < d.taps_y) & (below > 0)
        joins = kernel & ~is_before & all_behind & (d.row_keys == d.taps_x)

        word = Signal(word_layout(self.config))
        joined = Signal(range(VECTOR + 1))
        starts_above = rows.row < 0
        early_key, late_key, row_offset = Signal(width), Signal(width), Signal(width)
        # what is known of the row, and what only of the column
        with m.If(kernel):
            m.d.comb += [
                early_key.eq((context.base + item.lane_part) - Mux(starts_above, rows.keys, 0)),
                late_key.eq(first_tap),
                row_offset.eq(rows.offset + context.sample_offset),
            ]
        with m.Else():
            m.d.comb += [
                early_key.eq(context.base + Mux(starts_above, 0, rows.keys)),
                late_key.eq(Mux(is_before, job.x0, column)),  # the first tap's
                row_offset.eq(Mux(starts_above, -rows.offset, 0) + item.lane_part),
            ]
        m.d.comb += [
            word.kind.eq(WordKind.MAC),
            word.value.eq(item.value),
            word.key.eq(early_key + late_key),
            word.offset.eq(row_offset + offset),
            word.span.eq(columns),
            word.rows.eq(Mux(joins, 0, tap_rows - 1)),
            joined.eq(Mux(joins, tap_rows, 1)),
        ]
        return word, joined, item.wanted & inside

    def _move(self, m, item, rows, consumes, placed):
        """Go from row to row, also over those of strips that are not there, or not the job's."""
        d, job, steps = self.d, self.job, self.steps
        first = _Rows(self.config, "first")
        kernel = d.mode == Mode.KERNEL
        strips_left, rows_left = Signal(16), Signal(16)
        skips = Signal()
        following, step = _Rows(self.config, "following"), Signal.like(d.t_step)
        # with what a job begins
        above, below = (Signal(signed(PLACE_WIDTH), name=f"origin_{n}") for n in ("above", "below"))
        absent = Signal(16)  # strips
        m.d.sync += [
            above.eq(-d.first_row),
            below.eq(job.rows - d.first_row),
            absent.eq(Mux(kernel, Mux(job.strip < 0, -job.strip, 0), job.strip)),
        ]
        m.d.comb += [
            step.eq(Mux(rows.row[16:] == 1, 0, d.t_step)),
            following.row.eq(rows.row + step),
            following.above.eq(rows.above - step),
            following.below.eq(rows.below - step),
            following.keys.eq(rows.keys + steps.keys),
            following.offset.eq(rows.offset + steps.offset),
            placed.eq(~skips),
        ]
        with m.If(self.start):
            m.d.sync += [
                rows.row.eq(d.first_row),
                rows.above.eq(above),
                rows.below.eq(below),
                rows.keys.eq(steps.first_keys),
                rows.offset.eq(steps.first_offset),
                strips_left.eq(absent),
                rows_left.eq(d.t_rows),
                skips.eq(job.streams),
            ]
        with m.Elif(skips):
            with m.If(strips_left == 0):
                m.d.sync += [skips.eq(0), first.all().eq(rows.all())]
            with m.Else():
                m.d.sync += [
                    rows.row.eq(following.row),
                    rows.above.eq(following.above),
                    rows.below.eq(following.below),
                    rows.offset.eq(following.offset),
                    rows_left.eq(rows_left - 1),
                ]
                # keys begin with the first chunk that the job has
                with m.If(kernel | (strips_left <= d.behind)):
                    m.d.sync += rows.keys.eq(following.keys)
                with m.If(rows_left == 1):
                    m.d.sync += [strips_left.eq(strips_left - 1), rows_left.eq(d.t_rows)]
        with m.Elif(consumes & item.ends_strip & self.contexts.p.ends_sample):
            m.d.sync += rows.all().eq(first.all())
        with m.Elif(consumes & item.ends_row):
            m.d.sync += rows.all().eq(following.all())
