"""Cycle model of `hw.core.cutter`: a pass is cut into jobs, one cluster gets one after another."""

from __future__ import annotations

from gscn.cycles.core.tiles import (
    CORRELATE,
    begin_tiles,
    next_tile,
    put_tile,
    take_stationary,
    units_left,
)
from gscn.cycles.state import record
from gscn.system.compiled import borrowing

IDLE, CHOOSE, LOOK, SEEK, GIVE = range(5)

CUTTER = record(
    "state",
    "cluster",  # for which it works
    "given", "ahead",  # which one gets the job; the next one is made meanwhile
    "gang",  # where it seeks: the first cluster of another one than the cluster's
    "below",  # cluster chosen last
    "tiles_open",  # tiles of teams whose last unit is not given
    "jobs",  # that drain and are not done
    "behind",  # clusters that have not got their drain of the tile before
    "bursts",  # written and not acknowledged
)  # fmt: skip
TEAM = record(
    "begun",  # there is a tile
    "s_tile", "t_group", "lane0", "next", "strip", "out_addr",
    "drained_addr",  # of the tile before
    "open",  # members that do not drain that yet
)  # fmt: skip
"""A chained team."""
MEMBER = record(
    "ready", "hungry",  # takes a job in this cycle; none waits for it
    "request",  # space to work in
    "gang",  # for which it works, by the first cluster
    "retired",  # gets nothing more in this pass
    "behind",  # has not got its drain of the tile before
    "waits",  # nothing for it until another one has got a job
)  # fmt: skip


@borrowing
def begin_cut(parts, d):
    """Begin a pass, in a cycle in which the cutter is idle, before its step.

    `parts`: `cycles.core.array.Core`; `d`: `cycles.descriptors.PASS`.
    """
    teams, cursors, members = parts.teams, parts.cursors, parts.members
    parts.cutters[0].state = CHOOSE
    for c in range(members.shape[0]):
        members[c].behind = members[c].waits = members[c].retired = 0
        members[c].gang = c - c % d.team
        teams[c].begun = teams[c].open = 0
        cursors[c].more = 0
    begin_tiles(parts.tile_lists[0], d)


@borrowing
def is_over(cutter, tiles, cursors, empty):
    """Return whether all of a pass is over, if all clusters are `empty`."""
    if tiles.preparing or tiles.more or not empty:
        return False
    if cutter.tiles_open or cutter.behind or cutter.jobs or cutter.bursts:
        return False
    left = 0
    for c in range(cursors.shape[0]):
        left += cursors[c].more
    return left == 0


@borrowing
def choose_cluster(cutter, members, given, looked_at):
    """Choose a cluster that takes a job, hungry ones first; return whether there is one.

    `given` is given one, `looked_at` is the one for which a job is made, or -1.
    """
    some = some_hungry = False
    for c in range(members.shape[0]):
        takes = members[c].ready and not members[c].retired and c not in (given, looked_at)
        # as soon as a job is given nobody waits any more
        takes = takes and (given >= 0 or not members[c].waits)
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
    cutter.cluster = cutter.below = chosen if chosen >= 0 else lowest
    return True


@borrowing
def next_gang(gang, d, clusters):
    """Return the gang behind another one, in cyclic order."""
    gang += d.team
    return 0 if gang == clusters else gang


@borrowing
def look(parts, d):
    """Make the next job of the cluster, or let its gang take a stationary tile, or seek."""
    cutter, tiles, job = parts.cutters[0], parts.tile_lists[0], parts.jobs[0]
    gang = parts.members[cutter.cluster].gang
    cursor = parts.cursors[gang]
    if not cursor.more:
        cutter.state = LOOK
        if tiles.more:
            take_stationary(tiles, cursor, d)
        else:
            cutter.gang = next_gang(gang, d, parts.members.shape[0])
            cutter.state = SEEK
        return
    looked_at, given = cutter.cluster, cutter.given if cutter.state == GIVE else -1
    cutter.ahead = choose_cluster(cutter, parts.members, given, looked_at)
    cutter.given = looked_at
    put_tile(cursor, d, job)
    next_tile(cursor, d)
    # a tile whose strips all lie outside of the map has no words
    exists = (
        job.strip + d.strips_before + d.strips_after > max(job.strip, 0) and job.strip < d.t_strips
    )
    job.streams = d.mode == CORRELATE or exists
    job.drains = job.head = job.last = 1
    cutter.state = GIVE


@borrowing
def seek(parts, d):
    """Look at the cursor of another gang: let the cluster go there, or retire, or look on."""
    cutter = parts.cutters[0]
    member = parts.members[cutter.cluster]
    if cutter.gang == member.gang:
        member.retired = 1
        cutter.state = CHOOSE
    elif units_left(parts.cursors[cutter.gang], d) > d.help:
        member.gang = cutter.gang
        cutter.state = LOOK
    else:
        cutter.gang = next_gang(cutter.gang, d, parts.members.shape[0])


@borrowing
def take_tile(parts, team, d):
    """Give a team the next tile, or go to the next stationary one; return whether there was one."""
    cutter, tiles, cursor = parts.cutters[0], parts.tile_lists[0], parts.cursors[0]
    if cursor.more:
        team.begun = 1
        team.s_tile = cursor.s_tile
        team.t_group = cursor.t_group
        team.lane0 = cursor.lane0
        team.next = team.strip = 0
        team.out_addr = cursor.out_addr
        next_tile(cursor, d)
        cutter.tiles_open += 1
        return True
    if tiles.more:
        take_stationary(tiles, cursor, d)
        return True
    return False


@borrowing
def look_chained(parts, d):
    """Make the next job of the cluster, or take its team's next tile, or let it wait."""
    cutter, job, members = parts.cutters[0], parts.jobs[0], parts.members
    c = cutter.cluster
    member, first = members[c], members[c].gang
    team = parts.teams[first]
    left = d.samples - team.next
    ends_samples = d.unit_strips == 0 or team.strip + d.unit_strips >= d.t_strips
    exhausted, last_unit = not team.begun or left == 0, left <= d.tile_samples and ends_samples
    closes = member.behind
    if not closes:
        if exhausted and take_tile(parts, team, d):
            return
        if exhausted or (last_unit and team.open != 0):
            member.waits = 1
            cutter.state = CHOOSE
            return
    job.s_tile = team.s_tile
    job.t_group = team.t_group
    job.lane0 = team.lane0
    job.strip = 0 if closes else team.strip
    job.x0 = 0
    job.rows = d.rows
    job.x1 = d.cols
    job.first_sample = team.next
    job.samples = left if last_unit else d.tile_samples
    job.out_addr = team.drained_addr if closes else team.out_addr
    job.streams = not closes
    job.drains = closes or last_unit
    job.head = c == first
    job.last = c == first + d.team - 1
    cutter.state = GIVE
    if closes:
        member.behind = 0
        cutter.behind -= 1
        team.open -= 1
        return
    team.strip = 0 if ends_samples else team.strip + d.unit_strips
    team.next += job.samples if ends_samples else 0
    if last_unit:
        cutter.tiles_open -= 1
        team.drained_addr = team.out_addr
        team.open = d.team - 1
        for other in range(first, first + d.team):
            if other != c:
                members[other].behind = 1
                cutter.behind += 1


@borrowing
def step_cutter(parts, empty, done, written, d):
    """Advance the Cutter, after the clusters.

    In a cycle that it begins in state `GIVE`, its job has been given to cluster `given`.

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
    over = state == CHOOSE and is_over(cutter, tiles, parts.cursors, empty)
    cutter.bursts += written
    cutter.jobs -= done
    if state == GIVE:
        cutter.jobs += parts.jobs[0].drains
        for c in range(members.shape[0]):
            members[c].waits = 0
        if cutter.ahead:
            cutter.ahead = 0
            look(parts, d)
        else:
            # its cluster does not see the job yet
            chosen = choose_cluster(cutter, members, cutter.given, -1)
            cutter.state = LOOK if chosen else CHOOSE
    elif state == LOOK:
        cutter.given = cutter.cluster
        if d.chained:
            look_chained(parts, d)
        else:
            look(parts, d)
    elif state == SEEK:
        seek(parts, d)
    elif over:
        cutter.state = IDLE
    elif tiles.preparing == 0 and choose_cluster(cutter, members, -1, -1):
        cutter.state = LOOK
    if tiles.preparing:
        tiles.preparing -= 1
