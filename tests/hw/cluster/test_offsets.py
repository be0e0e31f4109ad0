# amaranth: UnusedElaboratable=no
"""The reader of tables against the pieces that tables say."""

from __future__ import annotations

import dataclasses
import random

import pytest

from gscn.array import ARRAYS
from gscn.hw.cluster.offsets import TableReader
from gscn.passes import TABLE_ENTRY_BYTES, Mode
from tests.hw.memory import Memory
from tests.hw.passes import show_pass
from tests.hw.streams import collect, drive, in_runs, never, randomly, reused, simulate

TINY = ARRAYS["tiny"]
CONFIGS = {
    "tiny": TINY,
    "narrow": dataclasses.replace(
        TINY, drain_width=1, mem_width=64, burst_beats=2, read_fifo_beats=8
    ),
    "wide": dataclasses.replace(TINY, mem_width=512),
}

LOAD_JOB = ("s_tile", "first_sample", "samples", "strip")
SIZES = ("samples", "strips", "groups")
STREAM_JOB = ("t_group", "first_sample", "samples", "strip")


def random_table(rng, strips, groups):
    """Return rows of starts: groups follow each other, strips of a group too."""
    at, columns = 0, []
    for _ in range(groups):
        column = [at]
        for _ in range(strips):
            at += rng.randint(1, 90)
            column.append(at)
        columns.append(column)
    return [[column[row] for column in columns] for row in range(strips + 1)], at


def store(image, table):
    entries = [entry for row in table for entry in row] + [0] * 2
    return image.store([entries[n] | entries[n + 1] << 32 for n in range(0, len(entries) - 1, 2)])


class Layer:
    """Tables of both operands, and the fields of a pass that say how they are made."""

    def __init__(self, rng, config, mode, *, chained=None, wrong=None, **memory):
        self.mode = mode
        self.chained = mode == Mode.CORRELATE if chained is None else chained
        self.samples = rng.randint(1, 6)
        self.s_chunks, self.s_tiles = rng.randint(1, 9), rng.randint(1, 5)
        self.t_strips, self.t_groups = rng.randint(1, 9), rng.randint(1, 20)
        self.before, self.after = rng.randint(0, 2), rng.randint(1, 3)
        self.behind = max(rng.randint(0, 2), self.t_strips - self.s_chunks)
        self.ahead = max(rng.randint(0, 2), self.s_chunks - self.t_strips)
        self.unit_strips = rng.choice([0, 1, 2, 3]) if self.chained and not wrong else 0
        rows = self.s_chunks * (1 if mode == Mode.KERNEL else self.samples)
        self.image = Memory(config, **memory)
        self.image.reserve(64)
        self.s_table, s_halfwords = random_table(rng, rows, self.s_tiles)
        self.t_table, t_halfwords = random_table(rng, self.t_strips * self.samples, self.t_groups)
        if wrong == "descends":
            self.t_table[0][0], self.t_table[-1][0] = 5, 4
        s_addr, t_addr = store(self.image, self.s_table), store(self.image, self.t_table)
        self.image.reserve(64)
        self.fields = self.counts() | {
            "s_table": s_addr,
            "t_table": t_addr,
            "s_halfwords": s_halfwords,
            "t_halfwords": t_halfwords - (wrong == "beyond"),
        }

    def counts(self):
        """Return the fields of the pass that do not say where tables are."""
        return {
            "mode": self.mode,
            "s_chunks": self.s_chunks,
            "s_groups": self.s_tiles,
            "t_strips": self.t_strips,
            "t_groups": self.t_groups,
            "strips_before": self.before,
            "strips_after": self.after,
            "chained": self.chained,
            "ahead": self.ahead,
            "behind": self.behind,
            "unit_strips": self.unit_strips,
        }

    def jobs(self, rng, count):
        """Return jobs, each with whether it is held if it is of the tile before."""
        found = []
        for _ in range(count):
            first = rng.randrange(self.samples)
            job = {
                "s_tile": rng.choice([0, self.s_tiles - 1]),
                "t_group": rng.randrange(self.t_groups),
                "first_sample": first,
                "samples": rng.randint(1, self.samples - first),
                "strip": 0,
            }
            if self.mode == Mode.KERNEL:
                if rng.random() < 0.5:
                    job["samples"] = 1
                    least, most = 1 - self.before - self.after, self.t_strips - 1
                    job["strip"] = rng.randint(least, most)
                elif self.before + self.after < self.t_strips:
                    job["samples"] = 1
            elif not self.chained:
                job |= {"first_sample": 0, "samples": self.samples}
            elif self.unit_strips:
                job |= {"samples": 1, "strip": rng.randrange(self.t_strips)}
            found.append(job)
        return found

    def load_piece(self, job):
        rows = [0, self.s_chunks]
        if self.mode == Mode.CORRELATE:
            first, end = self.strips(job)
            last = job["first_sample"] + job["samples"] - 1
            rows = [
                job["first_sample"] * self.s_chunks + max(0, first - self.behind),
                last * self.s_chunks + min(self.s_chunks, end + self.ahead),
            ]
        return self.piece(self.s_table, rows, job["s_tile"])

    def strips(self, job):
        """Return the first strip of a job, and one past its last."""
        if self.mode == Mode.KERNEL:
            reach = self.before + self.after
        else:
            reach = self.unit_strips or self.t_strips
        return max(0, job["strip"]), min(self.t_strips, job["strip"] + reach)

    def stream_pieces(self, job):
        base = job["first_sample"] * self.t_strips
        first, end = self.strips(job)
        rows = [base + first, base + (job["samples"] - 1) * self.t_strips + end]
        columns = range(self.t_groups) if self.mode == Mode.KERNEL else [job["t_group"]]
        return [self.piece(self.t_table, rows, column) for column in columns]

    @staticmethod
    def piece(table, rows, column):
        start, end = (table[row][column] for row in rows)
        return {"first": start, "halfwords": end - start}


class Large(Layer):
    """Counts as large as fields allow; of a piece only the beats where its entries lie.

    Two of samples, strips of each and groups are large: with all of them no memory has a table.
    """

    CONFIG = dataclasses.replace(TINY, addr_width=40)
    FEW, MANY = 3, 0xFFFF

    def __init__(self, mode, few, units):
        self.mode, self.chained = mode, mode == Mode.CORRELATE
        self.samples, strips, groups = (self.FEW if one == few else self.MANY for one in SIZES)
        self.s_chunks = self.t_strips = strips
        self.s_tiles = self.t_groups = groups
        self.before, self.after = 1, 2
        self.behind = self.ahead = 1
        self.unit_strips = 3 if units else 0
        self.s_table, self.t_table = (1 << 6, self.s_tiles), (1 << 39, self.t_groups)
        self.fields = self.counts() | {"s_table": self.s_table[0], "t_table": self.t_table[0]}
        last = self.samples - 1
        self.job = {"s_tile": self.s_tiles - 1, "t_group": self.t_groups - 1}
        if units:
            self.job |= {"first_sample": last, "samples": 1, "strip": strips - 2}
        else:
            first = last // 3
            self.job |= {"first_sample": first, "samples": self.samples - first, "strip": 0}

    def piece(self, table, rows, column):
        addr, groups = table
        places = (addr + TABLE_ENTRY_BYTES * (row * groups + column) for row in rows)
        return {place - place % self.CONFIG.mem_bytes for place in places}


class Endless(Memory):
    """Zeros at all addresses."""

    def check_burst(self, addr, beats):
        assert beats == 1


def taken(job, names):
    return {name: job[name] for name in names}


def find(config, mode, seed, *, chained=None, source=never, sink=never):
    rng = random.Random(repr((seed, mode)))
    layer = Layer(rng, config, mode, chained=chained, latency=rng.randint(1, 9))
    jobs = layer.jobs(rng, 6)
    verdicts, loads, tile = [], [], None
    load_jobs = []
    for job in jobs:
        again = not layer.chained and job["s_tile"] == tile
        load_jobs.append(taken(job, LOAD_JOB) | {"again": int(again)})
        if again:
            verdicts.append(rng.randrange(2))
            if not verdicts[-1]:
                loads.append(layer.load_piece(job))
        else:
            loads.append(layer.load_piece(job))
        tile = job["s_tile"]
    streams = [piece for job in jobs for piece in layer.stream_pieces(job)]
    dut = reused(TableReader, config=config)
    got_loads, got_streams, errors = [], [], []

    async def watch(ctx):
        async for *_, error in ctx.tick().sample(dut.error):
            if error:
                errors.append(error)

    simulate(
        dut,
        show_pass(dut.d, **layer.fields),
        drive(dut.load_jobs, load_jobs, source()),
        drive(dut.stream_jobs, [taken(job, STREAM_JOB) for job in jobs], source()),
        drive(dut.verdicts, verdicts, source()),
        collect(dut.load_pieces, got_loads, len(loads), sink()),
        collect(dut.stream_pieces, got_streams, len(streams), sink()),
        background=[layer.image.serve_reads([dut.command], dut.data, dut.data_valid), watch],
        cycles=10000,
    )
    assert got_loads == loads
    assert got_streams == streams
    assert not errors
    return layer


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize(
    ("mode", "chained"), [(Mode.KERNEL, 0), (Mode.CORRELATE, 0), (Mode.CORRELATE, 1)]
)
def test_pieces_are_those_of_the_tables(config, mode, chained):
    pauses = {"source": lambda: in_runs(3), "sink": lambda: randomly(4)}
    for seed in range(6):
        find(config, mode, seed, chained=chained)
        find(config, mode, 90 + seed, chained=chained, **pauses)


def test_entries_that_lie_in_a_beat_are_read_once():
    config = CONFIGS["wide"]
    layer = find(config, Mode.KERNEL, 3)
    # far fewer beats than two for each piece
    pieces = 6 * (layer.t_groups + 1)
    assert layer.t_groups > 4
    assert len(layer.image.reads) < pieces


@pytest.mark.parametrize(
    ("mode", "few", "units"),
    [
        (Mode.KERNEL, "groups", True),
        *((Mode.CORRELATE, few, units) for few in SIZES for units in (False, True)),
    ],
)
def test_entries_of_large_tables_lie_where_the_counts_say(mode, few, units):
    layer = Large(mode, few, units)
    loads, streams = layer.load_piece(layer.job), layer.stream_pieces(layer.job)
    for names, pieces, side in ((LOAD_JOB, [loads], "load"), (STREAM_JOB, streams, "stream")):
        dut, memory, got = TableReader(config=layer.CONFIG), Endless(layer.CONFIG), []
        simulate(
            dut,
            show_pass(dut.d, **layer.fields),
            drive(getattr(dut, f"{side}_jobs"), [taken(layer.job, names)]),
            collect(getattr(dut, f"{side}_pieces"), got, len(pieces)),
            background=[memory.serve_reads([dut.command], dut.data, dut.data_valid)],
            cycles=1000,
        )
        assert {addr for addr, _ in memory.reads} == set().union(*pieces), side


@pytest.mark.parametrize("wrong", ["descends", "beyond"])
def test_a_table_that_is_wrong_is_an_error(wrong):
    rng = random.Random(5)
    layer = Layer(rng, TINY, Mode.CORRELATE, wrong=wrong)
    dut, errors = reused(TableReader, config=TINY), []
    column = 0 if wrong == "descends" else layer.t_groups - 1
    job = {"t_group": column, "first_sample": 0, "samples": layer.samples, "strip": 0}

    async def watch(ctx):
        for _ in range(200):
            _, _, error, valid = await ctx.tick().sample(dut.error, dut.stream_pieces.valid)
            assert not valid
            errors.append(error)

    simulate(
        dut,
        show_pass(dut.d, **layer.fields),
        drive(dut.stream_jobs, [job]),
        watch,
        background=[layer.image.serve_reads([dut.command], dut.data, dut.data_valid)],
        cycles=300,
    )
    assert sum(errors) == 1
