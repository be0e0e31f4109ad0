# amaranth: UnusedElaboratable=no
"""A pass becomes the jobs of the contract, each unit once, in the order of its gang's cursor.

Also the tests of `hw.core.gangs` and `hw.core.tiles`.
"""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections import Counter

import pytest

from gscn.array import ARRAYS
from gscn.hw.core.cutter import Cutter
from gscn.hw.core.tiles import TileList
from tests.hw.streams import plain, reused, simulate

CONFIG = dataclasses.replace(ARRAYS["tiny"], clusters=6)


def kernel_tiles(d):
    """Return the tiles in their order, as the fields of a job."""
    found = []
    samples = range(0, d["samples"], d["tile_samples"])
    bands = list(enumerate(range(0, d["rows"], d["tile_rows"])))
    for s_tile, outer, inner, x in itertools.product(
        range(d["s_tiles"]),
        *((bands, samples) if d["by_rows"] else (samples, bands)),
        range(0, d["cols"], d["tile_cols"]),
    ):
        n, (band, y) = (inner, outer) if d["by_rows"] else (outer, inner)
        addr = d["out_addr"] + s_tile * d["s_tile_bytes"] + n * d["sample_bytes"]
        found.append(
            {
                "s_tile": s_tile, "t_group": 0, "lane0": 0, "first": n,
                "end": min(n + d["tile_samples"], d["samples"]),
                "strip": band * d["tile_strips"] - d["strips_before"],
                "rows": min(d["tile_rows"], d["rows"] - y),
                "x0": x, "x1": min(x + d["tile_cols"], d["cols"]),
                "out_addr": addr + y * d["row_bytes"] + x * d["pixel_bytes"],
            }
        )  # fmt: skip
    return found


def correlate_tiles(d):
    lanes = 16 << d["t_vectors"] >> d["t_split"]
    return [
        {
            "s_tile": s_tile, "t_group": j >> d["t_split"],
            "lane0": j % (1 << d["t_split"]) * lanes, "first": 0, "end": d["samples"],
            "strip": 0, "rows": d["rows"], "x0": 0, "x1": d["cols"],
            "out_addr": d["out_addr"] + s_tile * d["s_tile_bytes"] + j * d["t_tile_bytes"],
        }
        for s_tile in range(d["s_tiles"]) for j in range(d["t_tiles"])
    ]  # fmt: skip


def some_pass(seed):
    generator = random.Random(seed)
    few = lambda most: generator.randint(1, most)  # noqa: E731
    d = {
        "mode": seed % 2, "team": generator.choice((1, 2, 3, 6)), "out_addr": 64 * few(99),
        "s_tiles": few(3), "samples": few(7), "tile_samples": few(3), "rows": few(9),
        "cols": few(9),
        "s_tile_bytes": 64 * few(9), "t_tile_bytes": 64 * few(9), "sample_bytes": 64 * few(999),
        "row_bytes": 64 * few(99), "pixel_bytes": 64 * few(3), "tile_rows": few(4),
        "tile_cols": few(4), "tile_strips": few(3), "strips_before": few(4) - 1,
        "t_groups": few(3), "t_vectors": few(3) - 1, "t_strips": few(5), "strips_after": few(4) - 1,
        "chained": seed // 2 % 2 * (seed % 2), "help": few(4) - 1,
        "by_rows": generator.choice((0, 1, 2)), "unit_strips": 0,
    }  # fmt: skip
    if d["chained"] and generator.random() < 0.5:
        d |= {"unit_strips": few(4), "tile_samples": 1}
    if d["mode"]:
        d["t_split"] = generator.randint(0, 4 + d["t_vectors"])
        d["t_tiles"] = d["t_groups"] << d["t_split"]
        while d["t_tiles"] > 40:
            d["t_split"] -= 1
            d["t_tiles"] = d["t_groups"] << d["t_split"]
        d["t_tiles"] -= generator.randrange(1 << d["t_split"])
    return d


def cut(d, seed):
    """Return (cluster, job) in the order given, as clusters of random speed take them."""
    cutter = reused(Cutter, config=CONFIG)
    given, ended = [], []

    def cluster(number):
        out, generator = cutter.jobs[number], random.Random(100 * seed + number)
        speed = generator.choice((0.02, 0.1, 0.5))

        async def takes(ctx):
            queue = []
            while True:
                ctx.set(out.ready, len(queue) < 2)
                ctx.set(cutter.hungry[number], not queue)
                done = bool(queue) and generator.random() < speed
                ctx.set(cutter.done[number], bool(done and queue.pop(0)["drains"]))
                room = ctx.get(out.ready)
                _, _, valid, job = await ctx.tick().sample(out.valid, out.p)
                if valid:
                    assert room, "a job is only given to a cluster with room"
                    queue.append(plain(job))
                    given.append((number, queue[-1]))

        return takes

    async def host(ctx):
        ctx.set(cutter.d, d)
        ctx.set(cutter.empty, -1)
        ctx.set(cutter.start, 1)
        await ctx.tick()
        ctx.set(cutter.start, 0)
        await ctx.tick()
        while ctx.get(cutter.busy):
            await ctx.tick()
        ended.append(len(given))
        for _ in range(20):
            await ctx.tick()

    # the host's inputs are whole signals of which clusters set bits: they come first
    simulate(cutter, host, cycles=60000, background=[cluster(n) for n in range(CONFIG.clusters)])
    assert ended == [len(given)]
    return given


def tiles_of(d):
    return correlate_tiles(d) if d["mode"] else kernel_tiles(d)


def unit(tile, first, samples):
    """Return the fields of a job that say what it is a unit of."""
    fields = {name: value for name, value in tile.items() if name not in ("first", "end")}
    return fields | {"first_sample": first, "samples": samples}


def assert_cursors_are_followed(d, given):
    """Require that each job is the one that the contract gives its cluster at that time."""
    tiles = {}
    for tile in tiles_of(d):
        whole = unit(tile, tile["first"], tile["end"] - tile["first"])
        tiles.setdefault(tile["s_tile"], []).append(whole)
    unbegun = [tiles[s_tile] for s_tile in sorted(tiles)]
    cursors = {gang: [] for gang in range(0, CONFIG.clusters, d["team"])}
    gang_of = {number: number - number % d["team"] for number in range(CONFIG.clusters)}

    def left(gang):
        if not cursors[gang]:
            return 0
        tile = cursors[gang][0]
        if d["mode"]:
            return d["t_groups"] - tile["t_group"]
        if d["by_rows"] and any(tile["strip"] != other["strip"] for other in cursors[gang]):
            return d["samples"]
        return d["samples"] - tile["first_sample"]

    for number, job in given:
        home = gang_of[number]
        if not cursors[home] and unbegun:
            cursors[home] = unbegun.pop(0)
        if not cursors[home]:
            others = [(home + n) % CONFIG.clusters for n in range(d["team"], CONFIG.clusters)]
            able = [gang for gang in others if gang in cursors and left(gang) > d["help"]]
            assert able, "a cluster that nobody needs gets nothing"
            gang_of[number] = home = able[0]
        expected = cursors[home].pop(0)
        assert {name: job[name] for name in expected} == expected
        assert job["drains"] == job["head"] == job["last"] == 1
        end = min(job["strip"] + d["strips_before"] + d["strips_after"], d["t_strips"])
        assert job["streams"] == (d["mode"] or end > max(job["strip"], 0))
    assert not unbegun
    assert not any(cursors.values())
    return gang_of


def assert_teams_drain_together(d, given):
    """Require that members drain each tile of their team once, after their units of it."""
    for team in range(CONFIG.clusters // d["team"]):
        drained = []
        for member in range(team * d["team"], (team + 1) * d["team"]):
            own = [job for cluster, job in given if cluster == member]
            assert all(job["head"] == (member % d["team"] == 0) for job in own)
            assert all(job["last"] == ((member + 1) % d["team"] == 0) for job in own)
            ends, open_tile = [], None
            for job in own:
                if job["streams"] and open_tile is not None:
                    assert job["out_addr"] == open_tile
                open_tile = job["out_addr"] if job["streams"] else open_tile
                if job["drains"]:
                    assert open_tile in (None, job["out_addr"])
                    ends.append(job["out_addr"])
                    open_tile = None
            assert open_tile is None
            drained.append(ends)
        assert all(ends == drained[0] for ends in drained)


@pytest.mark.parametrize("seed", [seed for seed in range(20) if seed % 4 != 3])
def test_gangs_take_stationary_tiles_and_help_as_in_the_contract(seed):
    d = some_pass(seed)
    assert not d["chained"]
    assert_cursors_are_followed(d, cut(d, seed))


def test_clusters_help_who_has_more_left_than_they_may_leave_alone():
    d = some_pass(0) | {"team": 2, "s_tiles": 1, "samples": 7, "tile_samples": 1, "rows": 9}
    moved = {}
    for left in (0, 6, 7):
        given = cut(d | {"help": left}, 3)
        gang_of = assert_cursors_are_followed(d | {"help": left}, given)
        moved[left] = sum(gang != number - number % 2 for number, gang in gang_of.items())
    assert moved == {0: 4, 6: 4, 7: 0}


@pytest.mark.parametrize("seed", range(3, 40, 4))
def test_units_and_drains_of_teams_are_those_of_the_contract(seed):
    d = some_pass(seed)
    assert d["chained"]
    given = cut(d, seed)
    tiles = tiles_of(d)
    units = Counter()
    for tile in tiles:
        for first in range(tile["first"], tile["end"], d["tile_samples"]):
            samples = min(d["tile_samples"], tile["end"] - first)
            for strip in range(0, d["t_strips"], d["unit_strips"] or d["t_strips"]):
                units[tuple((unit(tile, first, samples) | {"strip": strip}).items())] += 1
    names = dict(next(iter(units)))
    streamed = [{n: job[n] for n in names} for _, job in given if job["streams"]]
    assert Counter(tuple(job.items()) for job in streamed) == units
    place = {tile["out_addr"]: number for number, tile in enumerate(tiles)}
    if len(place) == len(tiles):
        began = [
            place[job["out_addr"]] for job in streamed if job["first_sample"] == job["strip"] == 0
        ]
        assert sorted(began) == list(range(len(tiles)))
    assert_teams_drain_together(d, given)


def test_first_jobs_go_to_all_clusters():
    d = some_pass(2) | {"samples": 6, "tile_samples": 1, "s_tiles": 6}
    for team in (1, 2, 6):
        assert [cluster for cluster, _ in cut(d | {"team": team}, 2)[:6]] == list(range(6))


def test_first_tile_comes_when_it_is_said():
    tiles = reused(TileList, config=CONFIG)
    cycles = []

    async def host(ctx):
        ctx.set(tiles.d, some_pass(0))
        ctx.set(tiles.start, 1)
        await ctx.tick()
        ctx.set(tiles.start, 0)
        count = 1
        while not ctx.get(tiles.ready):
            await ctx.tick()
            count += 1
        cycles.append(count)

    simulate(tiles, host, cycles=100)
    assert cycles == [TileList.PREPARE_CYCLES]


def gaps(d):
    """Return when the first job comes, and the cycles between jobs that all clusters take."""
    cutter = reused(Cutter, config=CONFIG)
    cycles = []

    async def host(ctx):
        ctx.set(cutter.d, d)
        ctx.set(cutter.hungry, -1)
        for job in cutter.jobs:
            ctx.set(job.ready, 1)
        ctx.set(cutter.start, 1)
        await ctx.tick()
        ctx.set(cutter.start, 0)
        for cycle in range(1, 80):
            if any(ctx.get(job.valid) for job in cutter.jobs):
                cycles.append(cycle)
            await ctx.tick()

    simulate(cutter, host, cycles=100)
    return cycles[0], [after - before for before, after in itertools.pairwise(cycles)]


def test_jobs_come_as_fast_as_it_is_said():
    kernel = {"samples": 6, "tile_samples": 1, "s_tiles": 2, "rows": 1, "cols": 1, "team": 6}
    first, between = gaps(some_pass(2) | kernel)
    assert first == Cutter.FIRST_JOB_CYCLES
    # the second stationary tile is begun and its first job made, where others follow at once
    assert between == [Cutter.JOB_CYCLES if n == 5 else 1 for n in range(11)]
    correlate = {"samples": 9, "tile_samples": 1, "s_tiles": 1, "t_groups": 1, "t_split": 0}
    first, between = gaps(some_pass(3) | correlate | {"team": 6, "t_tiles": 1})
    assert first == Cutter.FIRST_JOB_CYCLES + 1
    assert between[:8] == [Cutter.JOB_CYCLES] * 8


@pytest.mark.parametrize("alone", [True, False])
def test_clusters_with_room_take_turns(alone):
    """Also after one that alone had room."""
    cutter, given = Cutter(config=CONFIG), []
    d = some_pass(2) | {"samples": 12, "tile_samples": 1, "team": 6}

    async def host(ctx):
        ctx.set(cutter.d, d)
        ctx.set(cutter.start, 1)
        await ctx.tick()
        ctx.set(cutter.start, 0)
        for cycle in range(80):
            for number, job in enumerate(cutter.jobs):
                ctx.set(job.ready, not alone or cycle > 40 or (number == 0 and not given))
            valid = [number for number, job in enumerate(cutter.jobs) if ctx.get(job.valid)]
            given.extend(valid)
            await ctx.tick()

    simulate(cutter, host, cycles=100)
    assert given[:12] == [*range(6)] * 2
