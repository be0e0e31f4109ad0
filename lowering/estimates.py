"""The closed form by which passes are planned: tiles, windows and cycles, in plain numbers.

Everything here is arithmetic on whole numbers and densities, compiled, as a driver does it. A plan
is the cheapest of a few dozen by the largest of what its parts need on their own: multipliers times
imbalance, the read port, the write port, loading, words, drains.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from gscn.passes import VECTOR
from gscn.system.compiled import compiled

DENSE = 3
"""Level of caution at which stationary strips are taken to be dense."""
NEVER = 1e30
"""Cycles of what does not fit."""
START_CYCLES, SLOWDOWN = 300.0, 1.02
_JOB_CYCLES, _JOB_WORDS = 30.0, 70.0
"""Cycles that a job costs its cluster's multipliers, and its stream."""
CONVOY_BYTES = 4096
"""Of a buffer, for each cluster, with which those that stream the same data read it once.

DRAM holds up who is ahead, and the others find in the buffer what that one has read.
"""
KEPT = 0.6
"""Of a buffer, what counts: clusters are at different places, of the next tiles already too."""
_GROUP_CYCLES = 12.0
"""Cycles that a group of the stream costs in each job."""
_BY_ROWS_DENSITY, _BY_ROWS_BYTES = 0.08, 1 << 19
"""Streams that are at most so dense, and small enough for a buffer behind the ports, are gone
through by rows: halos of a sample are read again after all others."""
_TAIL_JOBS = 1.0
"""Jobs, by how unlike samples are, for which clusters wait at the end."""
_DROP_CYCLES = 0.5
"""Cycles that the multipliers lose by a word that is outside of a tile."""


class Sizes(NamedTuple):
    """What a plan needs of an `ArrayConfig`."""

    accumulators: int
    entries: int
    keys: int
    chunks: int
    clusters: int
    pes: int
    drain: int
    bytes_per_cycle: int
    dram: float = math.inf
    """Bytes per cycle of what is behind the ports; `buffer`: bytes of a buffer before it."""
    buffer: int = 0


class KernelWork(NamedTuple):
    """What a plan needs of a forward pass or an input gradient (`lowering.axes`)."""

    samples: int
    channels: int
    contracted: int
    rows: int
    cols: int
    stream_rows: int
    stream_cols: int
    taps: int
    tap_rows: int
    first_row: int
    step: int
    out_bytes: int
    value_bytes: int


class KernelChoice(NamedTuple):
    """How a forward pass or an input gradient is cut."""

    cycles: float
    """By the closed form."""
    s_real: int
    s_vectors: int
    t_real: int
    t_vectors: int
    t_rows: int
    tile_samples: int
    tile_rows: int
    tile_cols: int
    tile_strips: int
    by_rows: int
    """1: tiles of the same rows of all samples one after the other."""
    s_reads: float
    """Times that DRAM delivers the weights, by the closed form; `t_reads`: the stream."""
    t_reads: float
    alone: float
    """Cycles if DRAM were no limit."""


@compiled
def ceil_div(a, b):
    """Return a / b, rounded up."""
    return -(-a // b)


@compiled
def most_nonzeros(size, density, level, spread):
    """Return how many nonzeros are taken to be in `size` numbers, by the level of caution."""
    mean = size * density
    if level >= DENSE:
        return float(size)
    slack = spread * (1.0 + 0.25 * level + 0.25 * level * level)
    return min(float(size), slack * mean + (4.0 + 4.0 * level) * math.sqrt(mean) + 8.0)


@compiled
def operand_bytes(numbers, density, value_bytes, strips):
    """Return bytes of an operand as strips: values, masks, headers and table."""
    vectors = numbers / VECTOR
    occupied = 1.0 - (1.0 - density) ** VECTOR
    return numbers * density * value_bytes + vectors * (2 * occupied + 0.125) + 6.0 * strips


@compiled
def gang_size(clusters, s_tiles):
    """Return the clusters of a gang: as many as let all stationary tiles begin at once."""
    size = max(1, clusters // s_tiles)
    while clusters % size:
        size -= 1
    return size


@compiled
def sweeps_read(sweeps, apart, sizes):
    """Return how often DRAM delivers an operand that the array goes through so many times.

    Once if the buffer holds the `apart` bytes that are read from one time on to the next.
    """
    return 1.0 if apart <= KEPT * sizes.buffer else float(sweeps)


@compiled
def together(compute, read, write, load, words):
    """Return cycles of what goes on at the same time, from what each alone would take.

    The longest, and a little more the closer the others come to it: they wait for one another.
    """
    longest = max(compute, read, write, load, words)
    shares = 0.0
    for one in (compute, read, write, load, words):
        shares += (one / longest) ** 8
    return longest * shares**0.125


@compiled
def behind_dram(alone, moved, sizes):
    """Return the cycles of a pass for which DRAM moves so many bytes.

    Parameters
    ----------
    alone
        Cycles if DRAM were no limit.
    moved
        Bytes.
    sizes
        `Sizes`.
    """
    longest = max(alone, moved / sizes.dram)
    other = min(alone, moved / sizes.dram)
    return longest * (1.0 + (other / longest) ** 8) ** 0.125


@compiled
def load_cycles(numbers, density):
    """Return cycles in which strips of so many numbers are loaded.

    A vector takes one for every two nonzeros, and at least one; a block one more.
    """
    odd = (1.0 - (1.0 - 2.0 * density) ** VECTOR) / 2.0
    vector = (VECTOR * density + odd) / 2.0 + (1.0 - density) ** VECTOR
    return numbers / VECTOR * (vector + 1.0 / VECTOR)


@compiled
def word_cycles(entries, density):
    """Return cycles per product of a word that meets so many places: it takes one at least."""
    mean = entries * density
    return 1.0 + (1.0 - density) ** entries / mean if mean > 0 else 1.0


@compiled
def _swing(density):
    """Return how unlike samples are: deviation over mean. Sparse gradients differ most.

    Gangs go through the same samples at about the same time, so that the multipliers wait for the
    write port after one that has little, and it for them in one that has much; by rows, clusters
    are at different samples.
    """
    return 1.1 * min(1.0, max(0.2, 1.0 - density / 0.3))


@compiled
def _imbalance(tiles, jobs, clusters):
    """Return how much longer jobs take than if all work were dealt evenly.

    Samples differ up to tenfold. Gangs that have a stationary tile each go through the same ones;
    who has none in the last round helps another.
    """
    if jobs < clusters:
        return clusters / jobs + 0.15
    if tiles < clusters:
        return 1.0 + 1.0 * clusters / jobs
    rounds = tiles / clusters
    return 1.0 + 0.5 * clusters / jobs + 0.3 * (math.ceil(rounds) / rounds - 1.0)


@compiled
def _chunk(contracted, taps, run, density, level, sizes):
    """Return (real channels, log2 of vectors) of a group of the stream; 0 if none fits.

    The largest of which two chunks fit, so that one is loaded while the other is used; or else the
    largest of which one does.
    """
    hard = (0, 0)
    for power in range(8, -1, -1):
        real = 1 << power
        if power > 4 and real >= 2 * contracted:
            continue
        if real * taps >= sizes.keys:
            continue
        channels = min(real, contracted)
        entries = most_nonzeros(channels * taps * run, density, level, 1.25)
        if entries > sizes.entries - 1:
            continue
        vectors = max(0, power - 4)
        both = 2 * entries <= sizes.entries - 1 and 2 * real * taps < sizes.keys
        if both or real >= contracted:
            return real, vectors
        if hard[0] == 0:
            hard = (real, vectors)
    return hard


@compiled
def _kernel_tile(pixels, work):
    """Return (samples, rows, columns, rows of a strip, strips) of a tile of so many pixels at most.

    0 samples if there is none. Tiles are alike: as many as needed, and then as small as possible.
    """
    if pixels >= work.rows * work.cols:
        samples = min(work.samples, pixels // (work.rows * work.cols))
        samples = ceil_div(work.samples, ceil_div(work.samples, samples))
        return samples, work.rows, work.cols, work.stream_rows, 1
    t_rows = 1
    while True:
        unit = t_rows * work.step
        if pixels < unit:
            return 0, 0, 0, 0, 0
        cols = min(work.cols, pixels // unit)
        cols = ceil_div(work.cols, ceil_div(work.cols, cols))
        rows = min(pixels // cols // unit, ceil_div(work.rows, unit))
        rows = ceil_div(ceil_div(work.rows, unit), ceil_div(ceil_div(work.rows, unit), rows))
        if rows * unit >= work.rows:
            return 1, work.rows, cols, work.stream_rows, 1
        # Counts of strips have 8 bits.
        reach = rows * unit + abs(work.first_row) + work.tap_rows
        if reach <= 200 * unit:
            return 1, rows * unit, cols, t_rows, rows
        t_rows *= 2


@compiled
def _first_chunk(t_real, t_vectors, load, groups, most_halves):
    """Return (real channels, log2 of vectors) of a group of the stream, and cycles saved.

    The multipliers begin when the first chunk is there, which takes `load` cycles: halves save some
    where jobs, of `groups` groups in all, are few.
    """
    saved = 0.0
    while most_halves and t_real > VECTOR and load / 2.0 > _GROUP_CYCLES * groups:
        most_halves -= 1
        load /= 2.0
        saved += load - _GROUP_CYCLES * groups
        groups *= 2.0
        t_real //= 2
        t_vectors -= 1
    return t_real, t_vectors, saved


@compiled
def _tile_strips(work, tile, whole):
    """Return strips that a tile streams, those of its halo included."""
    unit = tile[3] * work.step
    if whole:
        return 1.0
    low = (-work.first_row - work.tap_rows + 1) // unit
    high = (tile[1] - 1 - work.first_row) // unit
    return float(max(1, high - low + 1))


@compiled
def plan_kernel(sizes, work, products, s_density, t_density, level):
    """Return the cheapest cut of a forward pass or input gradient; `cycles` NEVER if none fits.

    Parameters
    ----------
    sizes, work
        `Sizes`, `KernelWork`.
    products
        Expected.
    s_density, t_density
        Of the weights with zeros for taps that there are not, and of the stream.
    level
        0 to 2: strips have more than their share of nonzeros, but not much; `DENSE`: any number.
    """
    # Long: one nest of loops over the choices, with one formula inside.
    best = KernelChoice(NEVER, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.0, 0.0, NEVER)
    compute = products / (sizes.pes * sizes.clusters)
    numbers = work.samples * work.contracted * work.stream_rows * work.stream_cols
    pixels = work.samples * work.rows * work.cols
    for s_vectors in range(5):
        lanes = VECTOR << s_vectors
        if lanes >= 2 * max(VECTOR, work.channels) or lanes > sizes.accumulators:
            break
        real = lanes
        t_real, t_vectors = _chunk(work.contracted, work.taps, real, s_density, level, sizes)
        while t_real == 0 and s_vectors == 0 and real > 1:
            real //= 2
            t_real, t_vectors = _chunk(work.contracted, work.taps, real, s_density, level, sizes)
        if t_real == 0:
            break
        tiles = ceil_div(work.channels, real)
        chunks = ceil_div(work.contracted, t_real)
        kept = min(real, work.channels)
        entries = kept * work.contracted * work.taps * s_density
        holds = entries <= 0.95 * sizes.entries and chunks * t_real * work.taps < sizes.keys
        holds = holds and chunks < sizes.chunks
        halves = int(math.log2(max(1.0, (sizes.chunks - 1) / chunks)))
        filled = work.channels / (tiles * lanes)
        s_numbers = tiles * lanes * work.contracted * work.taps
        s_bytes = operand_bytes(s_numbers, s_density * filled, work.value_bytes, tiles * chunks)
        word = word_cycles(max(1.0, 0.95 * kept * work.taps), s_density)
        loading = chunks + load_cycles(s_numbers / tiles, s_density * filled)
        write = work.samples * work.rows * work.cols * tiles * lanes * work.out_bytes
        for shrink in range(4):
            tile = _kernel_tile((sizes.accumulators // lanes) >> shrink, work)
            if tile[0] == 0:
                break
            whole = tile[1] >= work.rows
            blocks_y = ceil_div(work.rows, tile[1])
            blocks_x = ceil_div(work.cols, tile[2])
            jobs = tiles * ceil_div(work.samples, tile[0]) * blocks_y * blocks_x
            strips = ceil_div(work.stream_rows, tile[3])
            halo = max(1.0, _tile_strips(work, tile, whole) * blocks_y / strips) * blocks_x
            t_bytes = operand_bytes(
                numbers, t_density, work.value_bytes, work.samples * strips * chunks
            )
            words = numbers * t_density * tiles * halo / sizes.clusters
            used = words / blocks_x
            drain = jobs * lanes * tile[0] * tile[1] * tile[2] / sizes.drain / sizes.clusters
            balance = _imbalance(tiles, jobs, sizes.clusters)
            loads = min(jobs, tiles * max(1, sizes.clusters // tiles)) if holds else jobs
            read = loads * s_bytes / tiles + t_bytes * tiles * halo
            s_reads, t_reads = loads / tiles, tiles * halo
            if sizes.buffer >= CONVOY_BYTES * sizes.clusters:
                gangs = sizes.clusters // gang_size(sizes.clusters, tiles)
                held = s_bytes * min(1.0, gangs / tiles)
                # a map tile of all groups is read between two times that weights are
                step = t_bytes * tile[0] * tile[1] * tile[2] / pixels
                if held + step <= sizes.buffer or s_reads < 1.0:
                    s_reads = 1.0
                t_reads = sweeps_read(ceil_div(tiles, gangs), held + t_bytes, sizes)
            mine = jobs / sizes.clusters
            busy = compute * word * balance + _JOB_CYCLES * mine + _DROP_CYCLES * (words - used)
            written = max(write / sizes.bytes_per_cycle, drain)
            alone = together(
                busy,
                read / sizes.bytes_per_cycle,
                written,
                loads * loading / sizes.clusters,
                words + _JOB_WORDS * mine,
            )
            by_rows = not whole and t_density < _BY_ROWS_DENSITY and t_bytes <= _BY_ROWS_BYTES
            swing = 0.25 if by_rows else 0.4
            alone += swing * _swing(t_density) / math.sqrt(tile[0]) * min(busy, written)
            # at the end clusters wait for a job of a sample that has much
            alone += _TAIL_JOBS * _swing(t_density) / math.sqrt(tile[0]) * busy / mine
            chunk, vectors, saved = _first_chunk(
                t_real, t_vectors, loading / chunks, chunks * mine, halves
            )
            # the first tile of a cluster waits for each chunk in turn
            alone += loading / chunks - saved + max(0.0, loading - loading / chunks - busy / mine)
            alone = alone * SLOWDOWN + START_CYCLES
            cycles = behind_dram(alone, s_reads * s_bytes + t_reads * t_bytes + write, sizes)
            if cycles < best.cycles:
                best = KernelChoice(
                    cycles, real, s_vectors, chunk, vectors, tile[3], tile[0], tile[1],
                    tile[2], tile[4], 1 if by_rows else 0, s_reads, t_reads, alone,
                )  # fmt: skip
    return best
