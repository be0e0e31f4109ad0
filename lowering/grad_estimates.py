"""The closed form for weight gradients (`lowering.estimates`): both operands are maps."""

from __future__ import annotations

import math
from typing import NamedTuple

from gscn.lowering.estimates import (
    CONVOY_BYTES,
    NEVER,
    SLOWDOWN,
    START_CYCLES,
    behind_dram,
    ceil_div,
    gang_size,
    load_cycles,
    most_nonzeros,
    operand_bytes,
    together,
)
from gscn.lowering.grad_dram import dram_reads
from gscn.lowering.streamed_words import word_share
from gscn.lowering.unevenness import (
    DENSE_SPREAD,
    INPUT_SPREAD,
    sample_spread,
    team_ends,
    uneven_share,
    uneven_word,
)
from gscn.passes import VECTOR
from gscn.system.compiled import compiled

ANY = -1
"""Groups may have any number of vectors."""
_JOB_WORDS, _UNIT_CYCLES, _LIGHT_CYCLES = 200.0, 80.0, 40.0
"""Cycles of a unit for its cluster's stream and multipliers; of a team's that has little."""
_TURNS, _STRIP_CYCLES = 0.1, 3.0
"""Share of what is read or loaded that is not hidden, as samples with little come in all clusters
at once; cycles that a strip of the stream costs in each tile."""
_ROW_SPREAD = 0.3
"""How much more a part of a sample may have than its share, if samples differ as much as that."""


class GradWork(NamedTuple):
    """What a plan needs of a part of a weight gradient, with one of its operands stationary."""

    samples: int
    s_channels: int
    s_rows: int
    s_cols: int
    t_channels: int
    t_rows: int
    t_cols: int
    tap_rows: int
    tap_cols: int
    least_first: int
    """Least `first_row` of the passes on these operands."""
    most_first: int
    step: int
    out_bytes: int
    value_bytes: int


class GradChoice(NamedTuple):
    """How a part of a weight gradient is cut."""

    cycles: float
    s_real: int
    s_vectors: int
    t_vectors: int
    t_split: int
    t_rows: int
    s_outer: int
    tile_samples: int
    unit_rows: int
    """Rows of the stream of one sample that a unit of a team has; 0: whole samples."""
    team: int
    """Clusters that sum up a tile together; 1: each has tiles of its own."""
    gang: int
    """Clusters that are at one stationary tile at a time, or the team."""
    s_reads: float
    """Times that DRAM delivers the stationary map, by the closed form; `t_reads`: the stream."""
    t_reads: float
    alone: float
    """Cycles if DRAM were no limit."""


@compiled
def reach(work, t_rows, s_outer):
    """Return (behind, ahead): stationary strips before and behind its own that a strip needs."""
    if s_outer >= work.s_rows and t_rows >= work.t_rows:
        return 0, 0
    behind = max(0, ceil_div(-work.least_first, s_outer))
    last = work.most_first + (t_rows - 1) * work.step + work.tap_rows - 1
    return behind, max(0, last // s_outer)


@compiled
def _band(work, real, density, level, sizes):
    """Return (rows of a streamed strip, of a stationary strip); 0, 0 if none fits.

    The largest with room for one strip more than needed, or else the smallest if it fits.
    """
    size = work.s_rows * work.s_cols
    entries = most_nonzeros(size * real, density, level, 1.6)
    if 2 * entries <= sizes.entries - 1 and 2 * size < sizes.keys:
        return work.t_rows, work.s_rows
    hard = (0, 0)
    if entries <= sizes.entries - 1 and size < sizes.keys:
        hard = (work.t_rows, work.s_rows)
    t_rows, outer = _slide(work, real, density, level, sizes, work.t_rows - 1)
    return (t_rows, outer) if t_rows else hard


@compiled
def _slide(work, real, density, level, sizes, most):
    """Return the same of strips that are not whole samples, of at most so many rows."""
    hard = (0, 0)
    t_rows = 1
    while 2 * t_rows <= most:
        t_rows *= 2
    while t_rows:
        outer = t_rows * work.step
        behind, ahead = reach(work, t_rows, outer)
        needed = min(behind + ahead + 1, ceil_div(work.s_rows, outer))
        if needed < sizes.chunks - 1 and behind < 256 and ahead < 256:
            for spare in (1, 0):
                rows = min((needed + spare) * outer, work.s_rows + outer)
                keys = (needed + spare) * outer * work.s_cols
                entries = most_nonzeros(rows * work.s_cols * real, density, level, 1.6)
                if entries <= sizes.entries - 1 and keys < sizes.keys:
                    if spare:
                        return t_rows, outer
                    hard = (t_rows, outer)
                    break
        t_rows //= 2
    return hard


@compiled
def _part(work, real, density, level, sizes, split):
    """Return the same of units that are one of so many parts of a sample, and rows of a unit.

    All 0 if there is none. Strips are small, since each unit loads whole ones of its halo.
    """
    rows = ceil_div(work.t_rows, split)
    most = max(1, rows // 8) if work.tap_rows > 1 else rows
    t_rows, s_outer = _slide(work, real, density, level, sizes, most)
    if t_rows == 0 or rows * (split - 1) >= work.t_rows or work.t_rows == 1:
        return 0, 0, 0
    some = ceil_div(work.s_rows, s_outer) + reach(work, t_rows, s_outer)[0]
    if ceil_div(work.t_rows, t_rows) > some:
        return 0, 0, 0
    return t_rows, s_outer, ceil_div(rows, t_rows) * t_rows


@compiled
def _finer(sizes, work, best, density):
    """Return a choice with as small strips as let multipliers begin early and do not cost more.

    They begin when all stationary strips are there that the first strip of the stream needs.
    """
    t_rows, s_outer = best.t_rows, best.s_outer
    lanes = VECTOR << best.s_vectors
    s_tiles = ceil_div(work.s_channels, best.s_real)
    t_tiles = ceil_div(work.t_channels, VECTOR << best.t_vectors) << best.t_split
    mine = s_tiles * t_tiles * work.samples / sizes.clusters
    filled = density * min(best.s_real, work.s_channels) / lanes
    row = load_cycles(work.s_cols * lanes, filled)
    while t_rows > 1 and best.unit_rows == 0:
        rows = 1
        while 2 * rows < t_rows:
            rows *= 2
        behind, ahead = reach(work, rows, rows * work.step)
        needed = behind + ahead + 2
        chunks = work.samples * ceil_div(work.s_rows, rows * work.step)
        if needed >= sizes.chunks - 1 or chunks >= sizes.chunks or behind > 255 or ahead > 255:
            break
        _, before = reach(work, t_rows, s_outer)
        first = min((before + 1) * s_outer, work.s_rows)
        saved = row * (first - min((ahead + 1) * rows * work.step, work.s_rows))
        more = ceil_div(work.t_rows, rows) - ceil_div(work.t_rows, t_rows)
        if saved <= _STRIP_CYCLES * more * mine:
            break
        t_rows, s_outer = rows, rows * work.step
    return GradChoice(
        best.cycles, best.s_real, best.s_vectors, best.t_vectors, best.t_split, t_rows, s_outer,
        best.tile_samples, best.unit_rows, best.team, best.gang, best.s_reads, best.t_reads,
        best.alone,
    )  # fmt: skip


@compiled
def plan_grad(sizes, work, products, s_density, t_density, level, holds_input, grouping=ANY):
    """Return the cheapest cut of a part of a weight gradient; `cycles` NEVER if none fits.

    Parameters
    ----------
    sizes, work
        `Sizes`, `GradWork`.
    products
        Expected.
    s_density, t_density
        Of the stationary and of the streamed map.
    level
        As of `plan_kernel`.
    holds_input
        The stationary map is the input.
    grouping
        log2 of the vectors that a group of the output gradient must have; `ANY`: what is cheapest.
    """
    # Long: one nest of loops over the choices, with one formula inside.
    best = GradChoice(NEVER, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.0, 0.0, NEVER)
    compute = products / (sizes.pes * sizes.clusters)
    grads, inputs = (t_density, s_density) if holds_input else (s_density, t_density)
    g_spread = sample_spread(grads)
    x_spread = INPUT_SPREAD if inputs < 0.5 else DENSE_SPREAD
    spread = math.sqrt(g_spread * g_spread + x_spread * x_spread)
    light = 1.0 - 1.0 / (1.0 + spread * spread)
    convoys = sizes.dram < NEVER and sizes.buffer >= CONVOY_BYTES * sizes.clusters
    taps = work.tap_rows * work.tap_cols
    s_map = work.samples * work.s_rows * work.s_cols
    t_map = work.samples * work.t_rows * work.t_cols
    for s_vectors in range(5):
        lanes = VECTOR << s_vectors
        if lanes >= 2 * max(VECTOR, work.s_channels) or lanes * taps > sizes.accumulators:
            break
        if grouping != ANY and not holds_input and s_vectors != grouping:
            continue
        real = lanes
        t_band, s_band = _band(work, real, s_density, level, sizes)
        while t_band == 0 and s_vectors == 0 and real > 1 and (holds_input or grouping == ANY):
            real //= 2
            t_band, s_band = _band(work, real, s_density, level, sizes)
        if t_band == 0:
            break
        two = _part(work, real, s_density, level, sizes, 2)
        four = _part(work, real, s_density, level, sizes, 4)
        parts = (two, four, _part(work, real, s_density, level, sizes, 8))
        kept = min(real, work.s_channels)
        s_tiles = ceil_div(work.s_channels, real)
        holds = s_map * kept * s_density <= 0.93 * sizes.entries and s_map < sizes.keys
        holds = holds and work.samples * ceil_div(work.s_rows, s_band) < sizes.chunks
        strips = work.samples * ceil_div(work.t_rows, t_band)
        held_spread = x_spread if holds_input else g_spread
        s_bytes = operand_bytes(
            s_map * s_tiles * lanes, s_density * work.s_channels / (s_tiles * lanes),
            work.value_bytes, strips * s_tiles,
        )  # fmt: skip
        filled = work.s_channels / (s_tiles * lanes)
        loading = load_cycles(s_map * s_tiles * lanes, s_density * filled)
        word = uneven_word(max(1.0, 0.95 * kept * taps), s_density, held_spread)
        for power in range(9):
            streamed = 1 << power
            if streamed >= 2 * max(1, work.t_channels):
                break
            if lanes * streamed * taps > sizes.accumulators:
                break
            t_vectors = max(0, power - 4) if grouping == ANY or not holds_input else grouping
            t_split = t_vectors + 4 - power
            if t_split < 0:
                break
            t_groups = ceil_div(work.t_channels, VECTOR << t_vectors)
            t_tiles = ceil_div(work.t_channels, streamed)
            tiles = s_tiles * t_tiles
            t_numbers = t_map * (t_groups * VECTOR << t_vectors)
            t_bytes = operand_bytes(
                t_numbers, t_density * t_map * work.t_channels / t_numbers, work.value_bytes,
                strips * t_groups,
            )  # fmt: skip
            words = t_map * work.t_channels * t_density * s_tiles / sizes.clusters
            write = tiles * lanes * streamed * taps * work.out_bytes
            looks = words * work.tap_rows / sizes.pes
            stream = words * min(1 << t_split, t_tiles)
            share = word_share(streamed, VECTOR << t_vectors, t_density)
            for team in range(1, sizes.clusters + 1):
                if sizes.clusters % team:
                    continue
                gang = gang_size(sizes.clusters, s_tiles) if team == 1 else team
                # 4 samples to an eighth of one a unit; gangs of 1 to all if DRAM is a limit
                others = 3 + len(parts) if team > 1 else 1
                if team == 1 and convoys:
                    others = 1 + sizes.clusters
                for other in range(others):
                    samples = work.samples if team == 1 else 1 << max(0, 2 - other)
                    t_rows, s_outer, unit_rows, halo = t_band, s_band, 0, 1.0
                    units = ceil_div(work.samples, samples)
                    if other > 2 and team > 1:
                        t_rows, s_outer, unit_rows = parts[other - 3]
                        if unit_rows == 0:
                            continue
                        split = ceil_div(work.t_rows, unit_rows)
                        units = work.samples * split
                        behind, ahead = reach(work, t_rows, s_outer)
                        halo = 1.0 + (behind + ahead) * s_outer * (split - 1) / work.s_rows
                    if team == 1 and other > 0:
                        gang = other
                    if sizes.clusters % gang:
                        continue
                    if team > units and team > 1:
                        continue
                    balance = uneven_share(tiles, team, sizes.clusters)
                    drain = lanes * streamed * taps / sizes.drain
                    drain *= ceil_div(tiles, sizes.clusters // team)
                    loads = t_tiles
                    if holds and team == 1:
                        loads = min(t_tiles, max(1, sizes.clusters // s_tiles))
                    read = s_bytes * loads * halo + t_bytes * s_tiles * min(1 << t_split, t_tiles)
                    alone = max(compute * word, looks)
                    # what is added below is for nothing if this alone takes as long
                    if SLOWDOWN * max(alone * balance, read / sizes.bytes_per_cycle) >= best.cycles:
                        continue
                    ends = 0.0
                    if team > 1:
                        more = _ROW_SPREAD * min(1.0, spread) * max(0.0, 1.0 - work.samples / units)
                        apart, rounds = spread / math.sqrt(samples), tiles * team / sizes.clusters
                        unit = alone * sizes.clusters / (tiles * units)
                        ends = (1.0 + more) * team_ends(unit, units, rounds, team, apart)
                        ends += _LIGHT_CYCLES * light * tiles * units / sizes.clusters
                    busy = alone * balance
                    s_reads, t_reads = float(loads), float(s_tiles * min(1 << t_split, t_tiles))
                    if convoys:
                        block = (sizes.clusters // gang, gang)
                        if team > 1:
                            block = (max(1, block[0] // t_tiles), min(block[0], t_tiles))
                        else:
                            # who has no stationary tile left helps others, at their own
                            rounds = ceil_div(s_tiles, block[0]) * ceil_div(t_tiles, gang)
                            busy *= max(1.0, rounds * sizes.clusters / tiles / balance)
                        s_reads, t_reads = dram_reads(
                            ((s_bytes, s_density), (t_bytes, t_density)), (s_tiles, t_tiles),
                            (kept, min(streamed, work.t_channels)), t_split, block, busy, sizes,
                        )  # fmt: skip
                    behind = s_reads * s_bytes + t_reads * t_bytes + write
                    mine = tiles * units / sizes.clusters
                    # who has no tile loads nothing, and streams nothing
                    idle = max(1.0, sizes.clusters / (tiles * team))
                    load = loading * halo * loads / sizes.clusters * idle
                    alone = together(
                        busy,
                        read / sizes.bytes_per_cycle,
                        max(write / sizes.bytes_per_cycle, drain),
                        load,
                        # members of a team wait for each other's words: none is counted out
                        stream * idle * (share if team == 1 else 1.0) + _JOB_WORDS * mine,
                    )
                    alone += ends + _UNIT_CYCLES * mine
                    alone += _TURNS * light * min(busy, max(read / sizes.bytes_per_cycle, load))
                    alone = alone * SLOWDOWN + START_CYCLES + lanes * streamed * taps / sizes.drain
                    cycles = behind_dram(alone, behind, sizes)
                    if cycles < best.cycles:
                        best = GradChoice(
                            cycles, real, s_vectors, t_vectors, t_split, t_rows, s_outer, samples,
                            unit_rows, team, gang, s_reads, t_reads, alone,
                        )  # fmt: skip
    return _finer(sizes, work, best, s_density) if best.cycles < NEVER else best
