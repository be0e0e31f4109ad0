# amaranth: UnusedElaboratable=no
"""Sums of PEs and of a team become results in memory (also `hw.cluster.results` and `.walk`)."""

from __future__ import annotations

import dataclasses
import random
from dataclasses import dataclass

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ARRAYS
from gscn.formats import INT16
from gscn.golden.oracle.quantize import requantize
from gscn.hw.array_layouts import PASS, result_row_layout, sum_rows, tile_layout
from gscn.hw.cluster.results import Results
from gscn.hw.cluster.summing import SummingDrain
from gscn.passes import VECTOR
from tests.hw.streams import PAUSES, plain, reused, simulate

CONFIG = dataclasses.replace(ARRAYS["tiny"], acc_depth=288)
MOST = 1 << CONFIG.acc_width


class Team(wiring.Component):
    """Drains of some clusters, chained, and the results of each."""

    def __init__(self, config, count):
        self.drains = [SummingDrain(config=config) for _ in range(count)]
        self.results = [Results(config=config) for _ in range(count)]
        self.count = count
        row = stream.Signature(result_row_layout(config))
        super().__init__(
            {
                "d": In(PASS),
                "tiles": In(stream.Signature(tile_layout(config))).array(count),
                "rows": Out(row).array(count),
            }
        )

    def elaborate(self, platform):
        m = Module()
        for number, (drain, results) in enumerate(zip(self.drains, self.results, strict=True)):
            m.submodules[f"drain{number}"] = drain
            m.submodules[f"results{number}"] = results
            wiring.connect(m, drain.o, results.i)
            wiring.connect(m, wiring.flipped(self.tiles[number]), drain.tiles)
            wiring.connect(m, results.o, wiring.flipped(self.rows[number]))
            m.d.comb += [
                drain.d.eq(self.d),
                results.d.eq(self.d),
                results.tile.eq(drain.tile),
                results.begin.eq(drain.begin),
                drain.written.eq(results.written),
            ]
            if number + 1 < self.count:
                wiring.connect(m, self.drains[number + 1].chain_o, drain.chain_i)
        return m


@dataclass
class Tile:
    """A tile, and per member of the team and PE the sums of its accumulators."""

    counts: tuple[int, int, int]
    out_addr: int
    sums: list[list[dict[int, int]]]


def accumulator_places(d, counts):
    samples, rows, cols = counts
    return [
        (n * d["plane"] + y * d["y_step"] + x * d["x_step"] + k,
         n * d["sample_bytes"] + y * d["row_bytes"] + x * d["pixel_bytes"], k)
        for n in range(samples) for y in range(rows) for x in range(cols) for k in range(d["run"])
    ]  # fmt: skip


def some_tiles(generator, d, members, count, most):
    tiles = []
    for number in range(count):
        counts = tuple(generator.randint(1, full) for full in (2, 2, 3))
        places = [place for place, _, _ in accumulator_places(d, counts)]
        sums = [
            [{p: generator.randint(-most, most) for p in places} for _ in range(CONFIG.pes)]
            for _ in range(members)
        ]
        tiles.append(Tile(counts, 64 * generator.randint(0, 99) + (number << 16), sums))
    return tiles


def expected_rows(d, tile, size):
    """Return (address, result) of all results, in order."""
    found = []
    for place, offset, k in accumulator_places(d, tile.counts):
        total = sum(pe[place] for member in tile.sums for pe in member)
        if d["out_format"] == 2:
            result = (total + MOST // 2) % MOST - MOST // 2
        else:
            result = int(requantize(np.array([total]), d["shift"], INT16)[0][0])
        found.append((tile.out_addr + offset + k * size, result % (1 << 8 * size)))
    return found


class Member:
    """The PEs of a cluster: job ends, at most two ahead of the drain, and answers to its reads."""

    def __init__(self, team, number, tiles, pauses, seed):
        self.drain, self.tiles, self.number = team.drains[number], tiles, number
        self.port, self.is_last = team.tiles[number], number == team.count - 1
        self.pauses, self.generator = pauses, random.Random(seed + number)
        self.banks = [[{}, {}] for _ in range(CONFIG.pes)]
        self.ended = [0] * CONFIG.pes
        self.announced, self.freed = 0, -2  # two banks are cleared first
        self.overflows = self.done = self.cleared = 0

    def announce(self, ctx):
        """Offer the next tile."""
        ctx.set(self.port.valid, 0)
        if self.announced < len(self.tiles) and not next(self.pauses):
            tile = self.tiles[self.announced]
            samples, rows, cols = tile.counts
            ctx.set(self.port.valid, 1)
            ctx.set(
                self.port.p,
                {"samples": samples, "rows": rows, "cols": cols, "out_addr": tile.out_addr,
                 "head": int(self.number == 0), "last": int(self.is_last)},
            )  # fmt: skip

    def end_jobs(self, ctx, initialized):
        """Let some PEs end a job: its sums are in a bank then."""
        ends = 0
        for pe in range(CONFIG.pes):
            may = initialized and self.ended[pe] < min(self.announced, self.freed + 2)
            if may and self.generator.random() < 0.2:
                sums = self.tiles[self.ended[pe]].sums[self.number][pe]
                self.banks[pe][self.ended[pe] % 2] = dict(sums)
                self.ended[pe] += 1
                ends |= 1 << pe
        ctx.set(self.drain.job_end, ends)

    def answer(self, ctx, asked):
        """Show a row, and clear it."""
        first = int(asked.row) * CONFIG.drain_width
        for pe in range(CONFIG.pes):
            bank = self.banks[pe][int(asked.bank)]
            row = [{"sum": bank.pop(first + place)} for place in range(CONFIG.drain_width)]
            ctx.set(self.drain.sums[pe], row)

    async def run(self, ctx):
        drain, initialized = self.drain, 0
        while True:
            self.announce(ctx)
            self.end_jobs(ctx, initialized)
            (_, _, asked, taken, freed, overflow, done, initialized) = await ctx.tick().sample(
                drain.drain,
                self.port.valid & self.port.ready,
                drain.freed, drain.overflow, drain.done, drain.initialized,
            )  # fmt: skip
            self.announced += taken
            self.freed += freed
            self.overflows += overflow
            self.done += done
            if freed:  # a job that uses the bank reads sums of it
                anything = [{"sum": self.generator.randint(-9, 9)}] * CONFIG.drain_width
                for sums in drain.sums:
                    ctx.set(sums, anything)
            if asked.en and initialized:
                self.answer(ctx, asked)
            elif asked.en:
                self.cleared += 1
            assert not initialized or self.cleared == 2 * sum_rows(CONFIG)


def run_team(d, tiles, count, source_pauses, sink_pauses, seed=0):
    """Return the rows that the head wrote, and its members."""
    team = reused(Team, config=CONFIG, count=count)
    members = [Member(team, n, tiles, source_pauses(), seed) for n in range(count)]
    due = sum(s * r * c * d["run"] // CONFIG.drain_width for s, r, c in (t.counts for t in tiles))
    rows = []

    async def sink(ctx):
        ctx.set(team.d, d)
        pauses = sink_pauses()
        while len(rows) < due:
            pause = next(pauses)
            ctx.set(team.rows[0].ready, not pause)
            _, _, valid, row = await ctx.tick().sample(team.rows[0].valid, team.rows[0].p)
            if valid and not pause:
                rows.append(plain(row))
        for _ in range(20):
            await ctx.tick()
            assert not ctx.get(team.rows[0].valid)

    simulate(team, sink, cycles=1000 + 40 * due, background=[one.run for one in members])
    return rows, members


def check(d, tiles, members, pauses, size):
    rows, found_members = run_team(d, tiles, members, *pauses)
    found, ends = [], []
    for row in rows:
        for number, result in enumerate(row["results"]):
            found.append((row["addr"] + number * size, result % (1 << 8 * size)))
        ends.append(row["last"])
    expected = [one for tile in tiles for one in expected_rows(d, tile, size)]
    assert found == expected
    assert sum(ends) == len(tiles)
    assert [member.done for member in found_members] == [len(tiles)] * members
    return [member.overflows for member in found_members]


KERNEL = {
    "mode": 0, "run": VECTOR, "x_step": 16, "y_step": 48, "plane": 112,
    "pixel_bytes": 96, "row_bytes": 1024, "sample_bytes": 4096,
}  # fmt: skip


@pytest.mark.parametrize("pauses", PAUSES.values(), ids=PAUSES)
@pytest.mark.parametrize("members", [1, 3])
def test_sums_of_a_team_are_rounded_and_placed(pauses, members):
    d = {**KERNEL, "out_format": 0, "shift": 5}
    tiles = some_tiles(random.Random(members), d, members, 6, 1 << 18)
    assert check(d, tiles, members, pauses, 2) == [0] * members


def test_raw_sums_wrap_and_say_so():
    d = {**KERNEL, "out_format": 2, "shift": 0, "pixel_bytes": 128}
    tiles = some_tiles(random.Random(7), d, 2, 4, MOST // 2 - 1)
    overflows = check(d, tiles, 2, PAUSES["both"], 8)
    assert min(overflows) > 0
