# amaranth: UnusedElaboratable=no
"""The model of a team's drains says in every cycle what the hardware says."""

from __future__ import annotations

import random

import numpy as np
import pytest

from gscn.cycles.cluster import summing as model
from gscn.cycles.core.array import ArraySizes
from gscn.cycles.descriptors import JOB, PASS, filled
from gscn.cycles.pe.worker import WORKER
from gscn.cycles.state import record
from gscn.latencies import RESULT_LATENCY, TILES_ANNOUNCED, team_sum_cycles
from gscn.system.compiled import compiled
from tests.hw.cluster.test_summing import CONFIG, KERNEL, Team
from tests.hw.streams import PAUSES, reused, simulate

BANKS = 2
SEEN = record("valid", "place", "last", "freed", "done", "draining", "room")
SIZES = ArraySizes(
    input=None,
    burst=0,
    beat_bits=0,
    row_bits=CONFIG.drain_width.bit_length() - 1,
    row_bytes=tuple(bytes_ * CONFIG.drain_width for bytes_ in (2, 4, 8)),
    sum_levels=team_sum_cycles(CONFIG.pes) - 1,
    result_cycles=RESULT_LATENCY,
    end_cycles=0,
    latency=0,
    write_latency=0,
    limit=0,
)


def some_jobs(generator, members, count):
    """Return the jobs of the members of a team, which drain tile after tile."""
    jobs = []
    for number in range(count):
        samples, rows, cols = (generator.randint(1, most) for most in (2, 2, 3))
        tile = {"samples": samples, "rows": rows, "x1": cols, "out_addr": number << 16}
        jobs.append([{**tile, "head": n == 0, "last": n == members - 1} for n in range(members)])
    return jobs


def recorded(d, jobs, members, pauses, seed):
    """Return in each cycle what is driven, by member, and what the hardware says."""
    team, generator = reused(Team, config=CONFIG, count=members), random.Random(seed)
    source, sink = pauses
    driven, seen = [], []

    async def bench(ctx):
        ctx.set(team.d, d)
        while not all(ctx.get(drain.initialized) for drain in team.drains):
            await ctx.tick()
        await ctx.tick()
        await ctx.tick()
        source_pauses, sink_pauses = source(), sink()
        announced, over = [0] * members, [0] * members
        ended = [[0] * CONFIG.pes for _ in range(members)]
        freed = [0] * members
        while min(over) < len(jobs):
            now, said = [], []
            takes = not next(sink_pauses)
            ctx.set(team.rows[0].ready, takes)
            for n, drain in enumerate(team.drains):
                fields = jobs[min(announced[n], len(jobs) - 1)][n]
                gives = (
                    announced[n] < len(jobs) and ctx.get(team.tiles[n].ready)
                    and not next(source_pauses)
                )  # fmt: skip
                tile = {name: int(fields[name]) for name in ("samples", "rows", "head", "last")}
                ctx.set(
                    team.tiles[n].p, {**tile, "cols": fields["x1"], "out_addr": fields["out_addr"]}
                )
                ctx.set(team.tiles[n].valid, gives)
                ends = 0
                for pe in range(CONFIG.pes):
                    may = ended[n][pe] < min(announced[n], freed[n] + BANKS)
                    if may and generator.random() < 0.2:
                        ended[n][pe] += 1
                        ends |= 1 << pe
                ctx.set(drain.job_end, ends)
                now.append((gives, announced[n], ends, takes))
                announced[n] += gives
                row = team.rows[n]
                valid = ctx.get(row.valid)
                said.append(
                    (valid, ctx.get(row.p.addr) if valid else 0, valid and ctx.get(row.p.last),
                     ctx.get(drain.freed), ctx.get(drain.done), ctx.get(drain.busy),
                     ctx.get(team.tiles[n].ready))
                )  # fmt: skip
                freed[n] += said[-1][3]
                over[n] += said[-1][4]
            driven.append(now)
            seen.append(said)
            await ctx.tick()

    simulate(team, bench, cycles=20000)
    return np.array(driven, np.int64), np.array(seen, np.int64)


@compiled
def follow(drains, tiles, workers, driven, jobs, d, sizes, seen):
    """Step the model through what is driven; keep what it says."""
    delay = sizes.result_cycles
    for cycle in range(driven.shape[0]):
        for n in range(drains.shape[0] - 1, -1, -1):
            now, says, drain = driven[cycle, n], seen[cycle, n], drains[n]
            says.valid = drain.results >> delay - 1 & 1
            says.freed = drain.freed
            says.done = drain.done
            says.draining = model.is_draining(drain) != 0
            says.room = model.has_tile_room(drain)
            for pe in range(workers.shape[1]):
                workers[n, pe].job_ends = now[2] >> pe & 1
            leaves, place, last = model.step_drain(
                drain, tiles[n], workers[n], drains[max(n - 1, 0)], now[3], d[0], sizes
            )
            if says.valid:
                says.place = place
                says.last = leaves and last
            if now[0]:
                model.announce(drain, tiles[n], jobs[now[1], n], False)


@pytest.mark.parametrize("pauses", PAUSES.values(), ids=PAUSES)
@pytest.mark.parametrize("members", [1, 3])
def test_outputs_equal_those_of_the_hardware_in_every_cycle(pauses, members):
    d = {**KERNEL, "out_format": 1}
    jobs = some_jobs(random.Random(members), members, 6)
    driven, hardware = recorded(d, jobs, members, pauses, members)
    seen = np.zeros(driven.shape[:2], SEEN)
    made = np.stack([filled(JOB, *tile) for tile in jobs])
    follow(
        np.zeros(members, model.DRAIN),
        np.zeros((members, TILES_ANNOUNCED), model.TILE),
        np.zeros((members, CONFIG.pes), WORKER),
        driven,
        made,
        filled(PASS, d),
        SIZES,
        seen,
    )
    for column, name in enumerate(SEEN.names):
        said = hardware[:, :, column]
        if name == "last":  # compared where the row is taken
            said = said * driven[:, :, 3]
        assert name == "last" or said.any(), f"{name} is never seen"
        assert seen[name].tolist() == said.tolist(), name
