"""Cycle model of `hw.core.cutter`: a pass is cut into jobs, one cluster gets one after another."""

from __future__ import annotations

from gscn.cycles.core.tiles import CORRELATE, begin_tiles, next_tile, put_cut
from gscn.cycles.state import record
from gscn.system.compiled import borrowing

IDLE, CHOOSE, LOOK, GIVE = range(4)

CUTTER = record(
    "state",
    "cluster",  # for which it works
    "below",  # cluster chosen last
    "tiles_open",  # tiles begun whose last unit is not given
    "jobs",  # that drain and are not done
    "behind",  # clusters that have not got their drain of the tile before
    "bursts",  # written and not acknowledged
)  # fmt: skip
TEAM = record(
    "drained_addr",  # of the tile before
    "open",  # members that do not drain that yet
)
MEMBER = record(
    "ready", "hungry",  # takes a job in this cycle; none waits for it
    "request",  # space to work in
    "behind",  # has not got its drain of the tile before
    "waits",  # nothing for it until another one has got a job
)  # fmt: skip


@borrowing
def begin_cut(parts, d):
    """Begin a pass, in a cycle in which the cutter is idle, before its step.

    `parts`: `cycles.core.array.Core`; `d`: `cycles.descriptors.PASS`.
    """
    teams, cuts, members = parts.teams, parts.cuts, parts.members
    parts.cutters[0].state = CHOOSE
    for c in range(members.shape[0]):
        members[c].behind = members[c].waits = 0
        teams[c].drained_addr = teams[c].open = 0
        cuts[c].next = cuts[c].end = 0
    begin_tiles(parts.tile_lists[0], d)


@borrowing
def is_over(cutter, tiles, empty):
    """Return whether all of a pass is over, if all clusters are `empty`."""
    return (
        tiles.preparing == 0
        and not tiles.more
        and cutter.tiles_open == 0
        and cutter.behind == 0
        and cutter.jobs == 0
        and cutter.bursts == 0
        and empty
    )


@borrowing
def choose_cluster(cutter, members):
    """Choose a cluster that takes a job, hungry ones first; return whether there is one."""
    some = some_hungry = False
    for c in range(members.shape[0]):
        takes = members[c].ready and not members[c].waits
        members[c].request = takes
        some = some or takes
        some_hungry = some_hungry or (takes and members[c].hungry)
    if some_hungry:
        for c in range(members.shape[0]):
            members[c].request = members[c].request and members[c].hungry
    if not some:
        return False
    lowest = chosen = -1
    for c in range(members.shape[0]):
        if members[c].request:
            if lowest < 0:
                lowest = c
            if chosen < 0 and c > cutter.below:
                chosen = c
    cutter.cluster = chosen if chosen >= 0 else lowest
    return True


@borrowing
def look(parts, d):
    """Make the next job of the cluster, or take the team's next tile, or let it wait."""
    cutter, tiles, job = parts.cutters[0], parts.tile_lists[0], parts.jobs[0]
    members = parts.members
    c = cutter.cluster
    first = c - c % d.team
    team, cut, member = parts.teams[first], parts.cuts[first], members[c]
    left = cut.end - cut.next
    last_unit = left <= d.tile_samples
    closes = member.behind
    if not closes and left == 0 and tiles.more:
        put_cut(tiles, d, cut)
        next_tile(tiles, d)
        cutter.tiles_open += 1
        return
    if not closes and (left == 0 or (last_unit and team.open != 0)):
        member.waits = 1
        cutter.state = CHOOSE
        return
    # a tile whose strips all lie outside of the map has no words
    exists = (
        cut.strip + d.strips_before + d.strips_after > max(cut.strip, 0) and cut.strip < d.t_strips
    )
    samples = left if last_unit else d.tile_samples
    job.s_tile = cut.s_tile
    job.t_group = cut.t_group
    job.lane0 = cut.lane0
    job.strip = cut.strip
    job.rows = cut.rows
    job.x0 = cut.x0
    job.x1 = cut.x1
    job.first_sample = cut.next
    job.samples = samples
    job.out_addr = team.drained_addr if closes else cut.out_addr
    job.streams = not closes and (d.mode == CORRELATE or exists)
    job.drains = closes or last_unit
    job.head = c == first
    job.last = c == first + d.team - 1
    cutter.state = GIVE
    if closes:
        member.behind = 0
        cutter.behind -= 1
        team.open -= 1
        return
    cut.next += samples
    if last_unit:
        cutter.tiles_open -= 1
        team.drained_addr = cut.out_addr
        team.open = d.team - 1
        for other in range(first, first + d.team):
            if other != c:
                members[other].behind = 1
                cutter.behind += 1


@borrowing
def step_cutter(parts, empty, done, written, d):
    """Advance the Cutter, after the clusters.

    In a cycle that it begins in state `GIVE`, its job has been given to its `cluster`.

    Parameters
    ----------
    parts
        `cycles.core.array.Core`.
    empty
        All clusters have handed on all bursts of jobs that are done.
    done
        Jobs that drain and are done in this cycle.
    written
        Bursts that are written, less those that are acknowledged.
    d
        `cycles.descriptors.PASS`.
    """
    cutter, tiles, members = parts.cutters[0], parts.tile_lists[0], parts.members
    state = cutter.state
    if state == IDLE:
        return
    over = state == CHOOSE and is_over(cutter, tiles, empty)
    cutter.bursts += written
    cutter.jobs -= done
    if state == GIVE:
        cutter.jobs += parts.jobs[0].drains
        # its cluster does not see the job yet, and nobody else waits any more
        for c in range(members.shape[0]):
            members[c].waits = c == cutter.cluster
        cutter.state = CHOOSE
        if choose_cluster(cutter, members):
            cutter.below = cutter.cluster
            cutter.state = LOOK
        for c in range(members.shape[0]):
            members[c].waits = 0
    elif state == LOOK:
        look(parts, d)
    elif over:
        cutter.state = IDLE
    elif tiles.preparing == 0 and choose_cluster(cutter, members):
        cutter.below = cutter.cluster
        cutter.state = LOOK
    if tiles.preparing:
        tiles.preparing -= 1
