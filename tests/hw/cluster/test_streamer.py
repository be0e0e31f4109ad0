# amaranth: UnusedElaboratable=no
"""Words of jobs, one by one, and when they come."""

from __future__ import annotations

import dataclasses
import random

import pytest

from gscn.array import ARRAYS
from gscn.hw.array_layouts import WordKind
from gscn.hw.cluster.streamer import StepMultiplier, Streamer
from gscn.hw.input_layouts import InputState
from gscn.passes import Mode
from tests.hw.cluster.stream_model import dense, items_of, strips_of, wanted, words_of
from tests.hw.memory import Memory
from tests.hw.passes import PASS_FIELDS, random_correlate, random_kernel, show_pass
from tests.hw.streams import drive, in_runs, never, plain, randomly, reused, simulate

CONFIG = dataclasses.replace(
    ARRAYS["tiny"], acc_depth=2304, directory_depth=1024, stationary_depth=1024
)
MAKERS = {Mode.KERNEL: random_kernel, Mode.CORRELATE: random_correlate}


class Stream:
    """What a streamer is given for some passes, and what must come out."""

    def __init__(self, passes, rng):
        self.passes, self.rng = passes, rng
        self.tiles, self.items, self.strips = [], [], []
        self.needs = []
        """Of each word: the chunks that must be there."""
        self.words, self.reports = [], []
        chunk = base = 0
        for made in passes:
            for job in made.jobs:
                self.add(made, job, chunk, base)
                d = made.fields
                count = d["s_chunks"] * (1 if d["mode"] == Mode.KERNEL else job["samples"])
                if job["streams"]:
                    chunk = (chunk + count) % (1 << 16)
                    base = (base + count * d["s_keys"]) % CONFIG.directory_depth
        self.last = chunk

    def add(self, made, job, chunk, base):
        if job["streams"]:
            self.tiles.append({"chunk": chunk, "base": base})
            for strip in strips_of(made, job, chunk, base):
                self.strips.append({"rows": strip.rows, "ends_piece": int(strip.ends_piece)})
                block = wanted(made, job, dense(made, job, strip))
                self.items.append(items_of(block, self.rng))
                own = words_of(made, job, strip)
                self.words += [{"kind": WordKind.MAC} | word for word in own]
                self.needs += [strip.need] * len(own)
                if strip.marks and not strip.ends_job:
                    self.words.append({"kind": WordKind.MARK})
                    self.needs.append(strip.need)
                    self.reports.append({"finished": strip.finished, "uses": 1, "ends_job": 0})
                if strip.ends_job:
                    report = {"finished": strip.finished, "uses": 1, "ends_job": 1}
        else:
            report = {"uses": 0, "ends_job": 0}
        self.words.append({"kind": WordKind.END, "job_end": job["drains"]})
        self.needs.append(None)
        self.reports.append(report)


class Bench:
    """A streamer with its jobs, chunks, banks and the PEs that take its words."""

    def __init__(self, dut, wanted):
        self.dut, self.wanted = dut, wanted
        self.words, self.reports, self.states = [], [], set()
        self.loaded = 0
        self.banks_given = self.banks_used = 0
        self.open_job = False

    async def core(self, ctx):
        for made in self.wanted.passes:
            ctx.set(self.dut.d, dict.fromkeys(PASS_FIELDS, 0) | made.fields)
            ctx.set(self.dut.forget, 1)
            await ctx.tick()
            ctx.set(self.dut.forget, 0)
            await drive(self.dut.jobs, made.jobs)(ctx)

    def load(self, pauses):
        async def testbench(ctx):
            while self.loaded != self.wanted.last:
                await ctx.tick()
                if not next(pauses):
                    self.loaded = (self.loaded + 1) % (1 << 16)
                    ctx.set(self.dut.chunks, self.loaded)

        return testbench

    async def clear(self, ctx):
        while True:
            ready = self.banks_given < 2 + self.banks_used
            ctx.set(self.dut.bank_cleared, ready)
            self.banks_given += ready
            await ctx.tick()
            ctx.set(self.dut.bank_cleared, 0)
            for _ in range(20):
                await ctx.tick()

    def take(self, pauses, report_pauses):
        dut = self.dut

        async def testbench(ctx):
            while len(self.words) < len(self.wanted.words):
                ctx.set(dut.o.ready, not next(pauses))
                ctx.set(dut.reports.ready, not next(report_pauses))
                sampled = await ctx.tick().sample(
                    dut.state, dut.o.valid & dut.o.ready, dut.o.p, dut.ends_job,
                    dut.reports.valid & dut.reports.ready, dut.reports.p, dut.waits & dut.o.valid,
                )  # fmt: skip
                _, _, state, moves, word, ends, reports, report, waits = sampled
                self.states.add(state)
                # a mark that is not taken may yet give room to the chunks
                assert not (waits and plain(word)["kind"] != WordKind.MAC)
                assert (state == InputState.MOVING) == bool(moves)
                if moves:
                    self.look(plain(word))
                marks = moves and self.words[-1]["kind"] != WordKind.MAC
                assert bool(reports) == marks
                if reports:
                    self.reports.append(plain(report))
                closes = marks and self.words[-1]["kind"] == WordKind.END
                assert bool(ends) == bool(closes and self.words[-1]["job_end"])
                self.banks_used += ends
                self.open_job &= not ends

        return testbench

    def look(self, word):
        """Require the chunks and the bank that a word needs."""
        need = self.wanted.needs[len(self.words)]
        if word["kind"] == WordKind.MAC:
            assert (self.loaded - need) % (1 << 16) < 1 << 15
        if not self.open_job:
            self.open_job = True
            assert self.banks_given > self.banks_used
        self.words.append(word)


def run(passes, rng, *, source=never, sink=never, chunk_pauses=never):
    dut = reused(Streamer, config=CONFIG)
    wanted = Stream(passes, rng)
    bench = Bench(dut, wanted)
    simulate(
        dut,
        bench.core,
        bench.load(chunk_pauses()),
        drive(dut.tiles, wanted.tiles, source()),
        expand(dut, wanted, source()),
        bench.take(sink(), sink()),
        background=[bench.clear],
        cycles=4000 + 200 * len(wanted.reports) + 30 * sum(map(len, wanted.items)),
    )
    for got, right in ((bench.words, wanted.words), (bench.reports, wanted.reports)):
        assert [
            {name: one[name] for name in best} for one, best in zip(got, right, strict=True)
        ] == right
    return bench.words, bench.states


def expand(dut, wanted, pauses):
    """Return a testbench that takes each strip, which must be the next one, and gives its items."""

    async def testbench(ctx):
        for strip, items in zip(wanted.strips, wanted.items, strict=True):
            ctx.set(dut.strips.ready, 1)
            valid = False
            while not valid:
                _, _, valid, got = await ctx.tick().sample(dut.strips.valid, dut.strips.p)
            assert plain(got) == strip
            ctx.set(dut.strips.ready, 0)
            await drive(dut.items, items, pauses)(ctx)

    return testbench


@pytest.mark.parametrize("mode", Mode)
def test_words_marks_and_reports_of_random_passes(mode):
    states, words = set(), []
    for seed in range(7):
        rng = random.Random(repr((seed, mode)))
        image = Memory(CONFIG)
        passes = [MAKERS[mode](rng, CONFIG, image, samples=2) for _ in range(2)]
        for made in passes:
            made.jobs = made.jobs[:4]
        pauses = {"source": lambda: in_runs(1), "sink": lambda: randomly(2)} if seed % 2 else {}
        chunk_pauses = (lambda: randomly(3, 0.97)) if seed % 3 == 0 else never
        found, seen = run(passes, rng, chunk_pauses=chunk_pauses, **pauses)
        words += found
        states |= seen
    assert {word["kind"] for word in words} == set(WordKind)
    assert sum(word["kind"] == WordKind.MAC for word in words) > 100
    assert states >= {InputState.LOAD, InputState.EXPAND, InputState.FULL, InputState.MOVING}


def test_look_ups_are_joined_where_tap_rows_follow_each_other():
    rng = random.Random(1)
    made = random_kernel(
        rng, CONFIG, Memory(CONFIG), taps_y=3, taps_x=3, t_step=1, height=6, width=8, density=0.5,
        cuts_columns=False, whole_samples=True,
    )  # fmt: skip
    made.jobs = made.jobs[:1]
    words, _ = run([made], rng)
    spans = {(word["span"], word["rows"]) for word in words if word["kind"] == WordKind.MAC}
    assert (9, 0) in spans


@pytest.mark.parametrize("lane", [11, 12])
@pytest.mark.parametrize("group", [0, 1])
@pytest.mark.parametrize("inside", [True, False])
def test_a_channel_that_its_chunk_lacks_is_an_error_even_if_the_word_is_dropped(
    lane, group, inside
):
    """Chunks of 12 channels, the last one of 5; the rows of a job, or none of them."""
    made = random_kernel(
        random.Random(5), CONFIG, Memory(CONFIG), contracted=20, outputs=16, t_vectors=0,
        samples=1, height=1, t_rows=1, whole_samples=True, cuts_columns=False,
    )  # fmt: skip
    made.fields |= {"s_outer": 12, "s_outer_last": 5, "first_row": 0 if inside else 1000}
    dut, errors, words = reused(Streamer, config=CONFIG), [], []
    closing = {"ends_position": 1, "ends_row": 1, "ends_strip": 1}

    async def watch(ctx):
        ctx.set(dut.chunks, 2)
        ctx.set(dut.o.ready, 1)
        ctx.set(dut.reports.ready, 1)
        ctx.set(dut.bank_cleared, 1)
        async for *_, error, moves, word in ctx.tick().sample(
            dut.error, dut.o.valid & dut.o.ready, dut.o.p
        ):
            errors.append(error)
            if moves:
                words.append(plain(word)["kind"])

    async def expand_strips(ctx):
        ctx.set(dut.strips.ready, 1)
        for number in range(2):
            # a strip without nonzeros has an item that says a channel, too
            one = {"step": 0, "count": number == group, "lanes": [lane]} | closing
            await drive(dut.items, [one])(ctx)
        await ctx.tick().repeat(8)

    simulate(
        dut,
        show_pass(dut.d, **made.fields),
        drive(dut.jobs, [made.jobs[0] | {"drains": 1}]),
        drive(dut.tiles, [{"chunk": 0, "base": 0}]),
        expand_strips,
        background=[watch],
        cycles=500,
    )
    assert sum(errors) == (lane >= (12, 5)[group])
    assert words.count(WordKind.MAC) == inside


@pytest.mark.parametrize("mode", Mode)
def test_steps_are_products(mode):
    rng = random.Random(int(mode))
    for _ in range(5):
        fields = {
            "mode": mode, "row_keys": rng.randrange(1 << 16), "first_row": rng.randint(-40, 40),
            "t_step": rng.randint(1, 255), "y_step": rng.randint(-999, 999),
            "row_step": rng.randrange(1 << 16), "x_step": rng.randint(-999, 999),
            "s_keys": rng.randrange(1, 512), "s_chunks": rng.randrange(1, 512),
            "first_col": rng.randint(-32768, 32767),
        }  # fmt: skip
        x0 = rng.randrange(1 << 16)
        step = fields["y_step"] if mode == Mode.KERNEL else fields["row_step"]
        expected = {
            "first_keys": fields["row_keys"] * fields["first_row"],
            "keys": fields["row_keys"] * fields["t_step"],
            "first_offset": step * fields["first_row"],
            "offset": step * fields["t_step"],
            "column": fields["x_step"] * fields["t_step"],
            "sample_keys": fields["s_keys"] * fields["s_chunks"],
            "first_column": fields["x_step"] * (fields["first_col"] - x0),
        }
        dut, cycles, got = reused(StepMultiplier, config=CONFIG), [], {}

        async def bench(ctx, dut=dut, x0=x0, cycles=cycles, got=got):
            for _ in range(2):
                ctx.set(dut.x0, x0)
                ctx.set(dut.start, 1)
                await ctx.tick()
                ctx.set(dut.start, 0)
                count = 1
                while not ctx.get(dut.done):
                    await ctx.tick()
                    count += 1
                cycles.append(count)
                got |= plain(ctx.get(dut.steps))

        simulate(dut, show_pass(dut.d, **fields), bench, cycles=1000)
        assert got == {name: value % (1 << 12) for name, value in expected.items()}
        # those of the pass are known the second time
        assert cycles[1] == abs(fields["first_col"] - x0).bit_length() + 3 < cycles[0]


@pytest.mark.parametrize(
    ("mode", "t_vectors", "t_split", "lane0", "lanes", "vectors"),
    [
        (Mode.KERNEL, 1, 0, 0, 0xFFFF, {0, 1}),
        (Mode.CORRELATE, 0, 0, 0, 0xFFFF, {0}),
        (Mode.CORRELATE, 0, 2, 8, 0x0F00, {0}),
        (Mode.CORRELATE, 0, 4, 13, 0x2000, {0}),
        (Mode.CORRELATE, 2, 1, 32, 0xFFFF, {2, 3}),
        (Mode.CORRELATE, 3, 4, 120, 0xFF00, {7}),
        (Mode.CORRELATE, 4, 0, 0, 0xFFFF, set(range(16))),
        (Mode.CORRELATE, 4, 8, 255, 0x8000, {15}),
    ],
)
def test_a_tile_wants_its_own_part_of_a_group(mode, t_vectors, t_split, lane0, lanes, vectors):
    dut, found = reused(Streamer, config=CONFIG), []

    async def bench(ctx):
        ctx.set(dut.jobs.p, {"lane0": lane0, "streams": 1})
        ctx.set(dut.jobs.valid, 1)
        await ctx.tick()
        found.append(plain(ctx.get(dut.wanted)))

    fields = {"mode": mode, "t_vectors": t_vectors, "t_split": t_split}
    simulate(dut, show_pass(dut.d, **fields), bench, cycles=10)
    assert found[0]["lanes"] == lanes
    chosen = {n for n in range(1 << t_vectors) if (n ^ found[0]["vector"]) & found[0]["care"] == 0}
    assert chosen == vectors
