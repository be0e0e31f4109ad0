"""Cycle model of `hw.cluster.summing` and `hw.cluster.results`: rows of sums on their way out.

Sums are absent: time depends on how many rows there are.
"""

from __future__ import annotations

from gscn.cycles.cluster.marks import MOST_PES
from gscn.cycles.pe.worker import is_job_end
from gscn.cycles.state import record
from gscn.latencies import TILES_ANNOUNCED
from gscn.system.compiled import borrowing

CHAIN_DEPTH = 2
"""`hw.cluster.summing.SummingDrain.CHAIN_DEPTH`: rows of the rest of the team that wait."""
WAIT, WALK, FINISH = range(3)
"""States of the drain, once its banks are cleared."""

DRAIN = record(
    "state",
    "tiles", "tile_head",  # jobs that drain, taken and not over
    "some",  # PEs have finished a job that is not over
    "rows_left",  # of the job, to be asked for
    "reads",  # one of them is read
    # bits are rows under way, bit 0 the one asked for last; a row is kept beside the oldest one
    "flight", "kept",
    "total",  # a row waits to be taken
    "chain", "chain_arrives",  # rows from the next cluster; another one comes in this cycle
    "freed", "done",  # the outputs of these names
    # of the results: rows under way; where the walk is, and of its loops
    "results", "place", "run", "col", "row", "sample", "col_base", "row_base", "sample_base",
    ends=MOST_PES,  # of each PE: jobs finished that are not over
)  # fmt: skip
TILE = record("samples", "rows", "cols", "out_addr", "head", "last")
"""A job, as of `hw.array_layouts.tile_layout`."""


@borrowing
def has_tile_room(drain):
    """Return whether another job that drains can be announced."""
    return drain.tiles < TILES_ANNOUNCED


@borrowing
def is_draining(drain):
    """Return whether a finished job is not over."""
    return drain.state != WAIT or drain.some


@borrowing
def announce(drain, tiles, job, correlate):
    """Announce a job that drains, after the step of the cycle in which it is given."""
    tile = tiles[(drain.tile_head + drain.tiles) % TILES_ANNOUNCED]
    tile.samples = 1 if correlate else job.samples
    tile.rows = 1 if correlate else job.rows
    tile.cols = 1 if correlate else job.x1 - job.x0
    tile.out_addr = job.out_addr
    tile.head = job.head
    tile.last = job.last
    drain.tiles += 1


@borrowing
def begin_results(drain, tile):
    """Go to the first row of results of a job."""
    drain.place = drain.col_base = drain.row_base = drain.sample_base = tile.out_addr
    drain.run = drain.col = drain.row = drain.sample = 0


@borrowing
def is_last_result(drain, tile, run_rows):
    """Return whether the walk over results is at its last row."""
    return (
        drain.run + 1 == run_rows
        and drain.col + 1 == tile.cols
        and drain.row + 1 == tile.rows
        and drain.sample + 1 == tile.samples
    )


@borrowing
def next_result(drain, tile, run_rows, row_bytes, d):
    """Go to the next row of results."""
    if drain.run + 1 != run_rows:
        drain.run += 1
        drain.place += row_bytes
        return
    if drain.col + 1 != tile.cols:
        drain.run = 0
        drain.col += 1
        drain.col_base += d.pixel_bytes
        drain.place = drain.col_base
        return
    if drain.row + 1 != tile.rows:
        drain.run = drain.col = 0
        drain.row += 1
        drain.row_base += d.row_bytes
        drain.place = drain.col_base = drain.row_base
        return
    if drain.sample + 1 != tile.samples:
        drain.run = drain.col = drain.row = 0
        drain.sample += 1
        drain.sample_base += d.sample_bytes
        drain.place = drain.col_base = drain.row_base = drain.sample_base


@borrowing
def count_ends(drain, workers, ended):
    """Take note of the PEs that finish a job, and of a job that is over.

    Return whether all had finished one.
    """
    pes = workers.shape[0]
    finished = True
    some = 0
    for pe in range(pes):
        if drain.ends[pe] == 0:
            finished = False
        drain.ends[pe] += is_job_end(workers[pe]) - ended
        some |= drain.ends[pe]
    drain.some = some
    return finished


@borrowing
def step_jobs(drain, tile, workers, ended, walked, run_rows):
    """Begin the drain of a job that all PEs have finished; its rows are all asked for, or it ends.

    `tile` is the oldest one, `ended` and `walked` what happens to it in this cycle.
    """
    state = drain.state
    finished = count_ends(drain, workers, ended)
    if state == WAIT:
        if finished:
            drain.rows_left = run_rows * tile.cols * tile.rows * tile.samples
            begin_results(drain, tile)
            drain.state = WALK
    elif state == WALK:
        if walked:
            drain.state = FINISH
    elif ended:
        drain.tile_head = (drain.tile_head + 1) % TILES_ANNOUNCED
        drain.tiles -= 1
        drain.state = WAIT


@borrowing
def step_drain(drain, tiles, workers, before, writes, d, sizes):
    """Advance a SummingDrain and its Results, before its PEs.

    Return whether a row is handed to the ResultWriter, where, and whether it is the job's last.

    Parameters
    ----------
    drain
        `DRAIN`.
    tiles
        `TILE` (`TILES_ANNOUNCED`,).
    workers
        `cycles.pe.worker.WORKER` (pes,), not yet stepped.
    before
        `DRAIN` of the cluster before, not yet stepped, or of the same if it is the first.
    writes
        The ResultWriter takes a row, if there is one.
    d
        `cycles.descriptors.PASS`.
    sizes
        `cycles.core.array.ArraySizes`.
    """
    tile = tiles[drain.tile_head]
    levels, delay = sizes.sum_levels, sizes.result_cycles
    state = drain.state
    out = drain.results >> delay - 1 & 1
    leaves = out and writes
    advance = not out or writes
    there = drain.total
    if tile.head:
        total_leaves = there and advance
    else:
        total_leaves = there and before.chain < CHAIN_DEPTH
        if total_leaves:
            before.chain_arrives = 1
    top = drain.flight >> levels & 1
    comes = top or drain.kept
    enters = comes and (tile.last or drain.chain > 0) and (not there or total_leaves)
    moves = not top or not drain.kept
    run_rows = d.run >> sizes.row_bits

    # -- results, before the total that they take
    place, last = drain.place, False
    if leaves:
        last = is_last_result(drain, tile, run_rows)
        next_result(drain, tile, run_rows, sizes.row_bytes[d.out_format], d)
    if advance:
        drain.results = (drain.results << 1 | (there and tile.head)) & (1 << delay) - 1

    # -- rows under way
    last_leaves = total_leaves and not drain.kept and drain.flight == 0
    ended = state == FINISH and (last if tile.head else last_leaves)
    drain.freed = state == FINISH and moves and drain.flight & 1
    drain.done = ended
    drain.total = enters or (there and not total_leaves)
    drain.kept = comes and not enters
    drain.chain += drain.chain_arrives - (enters and not tile.last)
    drain.chain_arrives = 0
    asks = state == WALK
    drain.reads = moves and asks
    walked = drain.reads and drain.rows_left == 1
    if moves:
        drain.flight = (drain.flight << 1 | asks) & (2 << levels) - 1
        drain.rows_left -= asks

    step_jobs(drain, tile, workers, ended, walked, run_rows)
    return leaves, place, last
