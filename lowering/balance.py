"""Load balance: packing channels, cutting strips, ordering streams, and the cost of a queue."""

# Long: as it is until lowering is rewritten for streams that the chip cuts itself.

from __future__ import annotations

import numpy as np

from gscn.config import AcceleratorConfig
from gscn.system.compiled import compiled


@compiled
def _pack(order: np.ndarray, work: np.ndarray, bins: int, capacity: int) -> np.ndarray:
    chosen = np.empty(work.size, dtype=np.int64)
    load = np.zeros(bins)
    held = np.zeros(bins, dtype=np.int64)
    for item in order:
        best = -1
        for i in range(bins):
            if held[i] < capacity and (best < 0 or load[i] < load[best]):
                best = i
        chosen[item] = best
        load[best] += work[item]
        held[best] += 1
    return chosen


def pack(work: np.ndarray, bins: int, capacity: int, *, balance: bool = True) -> list[np.ndarray]:
    """Deal items into bins of equal work, longest processing time first.

    Parameters
    ----------
    work
        float64 work of each item.
    bins
        Number of bins; `bins * capacity` must be at least the number of items.
    capacity
        Most items in a bin.
    balance
        False deals by index instead.

    Returns
    -------
    list[numpy.ndarray]
        Item numbers of each bin, the bins in descending order of work.
    """
    work = np.ascontiguousarray(work, dtype=np.float64)
    if not balance:
        return [np.arange(i * capacity, min((i + 1) * capacity, work.size)) for i in range(bins)]
    chosen = _pack(np.argsort(-work, kind="stable"), work, bins, capacity)
    loads = np.bincount(chosen, weights=work, minlength=bins)
    return [np.flatnonzero(chosen == i) for i in np.argsort(-loads, kind="stable")]


def bin_of_item(bins: list[np.ndarray], items: int) -> np.ndarray:
    """Return the number of each item's bin (int64), 0 for items in none."""
    chosen = np.zeros(items, dtype=np.int64)
    for number, members in enumerate(bins):
        chosen[members] = number
    return chosen


@compiled
def _pack_vectors(order: np.ndarray, work: np.ndarray, bins: int, capacity: int) -> np.ndarray:
    chosen = np.empty(work.shape[0], dtype=np.int64)
    load = np.zeros((bins, work.shape[1]))
    held = np.zeros(bins, dtype=np.int64)
    for item in order:
        best, least = -1, np.inf
        for i in range(bins):
            if held[i] < capacity:
                # growth of the sum of squares, less what is the same for every bin
                growth = (load[i] * work[item]).sum()
                if growth < least:
                    best, least = i, growth
        chosen[item] = best
        load[best] += work[item]
        held[best] += 1
    return chosen


def pack_pairs(
    work: np.ndarray, rows: tuple[int, int], cols: tuple[int, int], *, balance: bool = True
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Deal the rows and the columns of matrices into bins so that all blocks have equal sums.

    Equal sums of whole rows and columns are not enough: rows that have much in common with the
    same columns would meet in one block. The rows are dealt by their sums, then the columns by
    their sums over each bin of rows, then the rows again by theirs over each bin of columns: each
    to the bin where the sum of the blocks' squares, in all matrices, grows least.

    Parameters
    ----------
    work
        float64 (matrices, rows, columns), not negative: work at successive times.
    rows, cols
        Number of bins, and most members of a bin; together at least the number of rows or columns.
    balance
        False deals by index instead.

    Returns
    -------
    tuple of list[numpy.ndarray]
        Members of each bin of rows, and of columns, both in descending order of work.
    """
    row_bins = pack(work.sum(axis=(0, 2)), *rows, balance=balance)
    if not balance:
        return row_bins, pack(work.sum(axis=(0, 1)), *cols, balance=False)

    def deal(items: np.ndarray, others: list[np.ndarray], bins: tuple[int, int]) -> list:
        sums = np.stack([items[:, :, members].sum(axis=2) for members in others])
        vectors = np.ascontiguousarray(sums.transpose(2, 0, 1).reshape(items.shape[1], -1))
        totals = vectors.sum(axis=1)
        chosen = _pack_vectors(np.argsort(-totals, kind="stable"), vectors, *bins)
        loads = np.bincount(chosen, weights=totals, minlength=bins[0])
        return [np.flatnonzero(chosen == i) for i in np.argsort(-loads, kind="stable")]

    col_bins = deal(work.transpose(0, 2, 1), row_bins, cols)
    row_bins = deal(work, col_bins, rows)
    return row_bins, deal(work.transpose(0, 2, 1), row_bins, cols)


@compiled
def cut(work: np.ndarray, parts: int, longest: int) -> np.ndarray:
    """Cut a sequence into runs of about equal work.

    Parameters
    ----------
    work
        float64 work of each element.
    parts
        Number of runs aimed at.
    longest
        Most elements in a run.

    Returns
    -------
    numpy.ndarray
        int64 boundaries, from 0 to `work.size`, of nonempty runs.
    """
    count = work.size
    remaining = work.sum()
    bounds = [0]
    position = 0
    left = max(parts, (count + longest - 1) // longest)
    while position < count:
        target = remaining / max(left, 1)
        total = 0.0
        end = position
        while end < count and end - position < longest:
            # Stop where the run is closest to its share; keep enough elements for later runs.
            if end > position and (total + work[end] / 2 > target or count - end < left):
                break
            total += work[end]
            end += 1
        if left <= 1 and end < count and end - position < longest:
            end = min(count, position + longest)
            total = work[position:end].sum()
        remaining -= total
        left -= 1
        position = end
        bounds.append(end)
    return np.array(bounds, dtype=np.int64)


@compiled
def interleave(lengths: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Order words so that every PE's share of its products advances at the same pace.

    The PEs of a cluster share one broadcast and drift apart by no more than their word queues.
    Each word belongs to the PE for which it is the largest share; the next word is taken from the
    PE that is furthest behind.

    Parameters
    ----------
    lengths
        int64 (pes, keys) products that a word of each key makes in each PE.
    key
        int64 key of each word.

    Returns
    -------
    numpy.ndarray
        int64 permutation of the words.
    """
    pes = lengths.shape[0]
    words = key.size
    total = np.zeros(pes)
    for i in range(words):
        for pe in range(pes):
            total[pe] += lengths[pe, key[i]]
    scale = np.zeros(pes)
    for pe in range(pes):
        if total[pe] > 0:
            scale[pe] = 1.0 / total[pe]
    owner = np.empty(words, dtype=np.int64)
    count = np.zeros(pes + 1, dtype=np.int64)
    for i in range(words):
        best = 0
        for pe in range(1, pes):
            if lengths[pe, key[i]] * scale[pe] > lengths[best, key[i]] * scale[best]:
                best = pe
        owner[i] = best
        count[best + 1] += 1
    start = np.cumsum(count)
    slot = start[:pes].copy()
    queue = np.empty(words, dtype=np.int64)
    for i in range(words):
        queue[slot[owner[i]]] = i
        slot[owner[i]] += 1
    taken = start[:pes].copy()
    order = np.empty(words, dtype=np.int64)
    share = np.zeros(pes)
    for position in range(words):
        best = -1
        for pe in range(pes):
            if taken[pe] < start[pe + 1] and (best < 0 or share[pe] < share[best]):
                best = pe
        word = queue[taken[best]]
        taken[best] += 1
        order[position] = word
        for pe in range(pes):
            share[pe] += lengths[pe, key[word]] * scale[pe]
    return order


@compiled
def schedule(
    job_start: np.ndarray,
    load: np.ndarray,
    block: np.ndarray,
    compute: np.ndarray,
    ahead: np.ndarray,
    walk: np.ndarray,
    clusters: int,
) -> tuple[float, float]:
    """Estimate the cycles of one phase: jobs in queue order to the first free cluster.

    Each cluster loads at one chunk per cycle into one of two banks while it computes from the
    other, and drains one of two accumulator banks while it fills the other. `load_lead`
    says when a load may begin.

    Parameters
    ----------
    job_start
        int64 (jobs + 1) first segment of each job.
    load
        float64 load chunks of each segment.
    block
        int64 number of each segment's load block.
    compute
        float64 cycles of each segment in its slowest PE.
    ahead
        float64 cycles before the end of each segment at which the next load may begin.
    walk
        float64 accumulators drained by each job.
    clusters
        Number of clusters.

    Returns
    -------
    tuple[float, float]
        Cycles until the last drain ends, and chunks loaded.
    """
    loaded = np.zeros(clusters)
    computed = np.zeros(clusters)
    computed_before = np.zeros(clusters)
    drained = np.zeros(clusters)
    drained_before = np.zeros(clusters)
    lead = np.zeros(clusters)
    banks = np.full((clusters, 2), -1)
    chunks = 0.0
    for job in range(walk.size):
        free = 0
        for i in range(1, clusters):
            if computed[i] - lead[i] < computed[free] - lead[free]:
                free = i
        for segment in range(job_start[job], job_start[job + 1]):
            begin = max(loaded[free], computed_before[free], computed[free] - lead[free])
            loaded[free] = begin
            if banks[free, 0] != block[segment]:
                loaded[free] += load[segment]
                chunks += load[segment]
            banks[free, 0] = banks[free, 1]
            banks[free, 1] = block[segment]
            lead[free] = ahead[segment]
            begin = max(loaded[free], computed[free])
            if segment == job_start[job]:
                begin = max(begin, drained_before[free])
            computed_before[free] = computed[free]
            computed[free] = begin + compute[segment]
        drained_before[free] = drained[free]
        drained[free] = max(computed[free], drained[free]) + walk[job]
    return drained.max(), chunks


@compiled
def schedule_jobs(
    compute: np.ndarray,
    loading: np.ndarray,
    load: np.ndarray,
    tile: np.ndarray,
    kept: bool,
    head: np.ndarray,
    walk: np.ndarray,
    clusters: int,
) -> tuple[float, float]:
    """Estimate the cycles of jobs that are given in order to the first free cluster.

    Coarser than `schedule`: the load of a job runs beside its own products, and only that of a
    cluster's first job is exposed, and of that only the beginning.

    Parameters
    ----------
    compute, loading
        float64 cycles of each job, if its cluster holds its tile already and if it loads it.
    load
        float64 load chunks of each job.
    tile
        int64 number of what each job holds.
    kept
        Whether a job whose cluster held the same before loads nothing.
    head
        float64 cycles from the start of a cluster's first job to its first product.
    walk
        float64 accumulators drained by each job.
    clusters
        Number of clusters.

    Returns
    -------
    tuple[float, float]
        Cycles until the last drain ends, and chunks loaded.
    """
    computed = np.zeros(clusters)
    drained = np.zeros(clusters)
    drained_before = np.zeros(clusters)
    last = np.full(clusters, -1)
    loaded = 0.0
    for job in range(compute.size):
        free = 0
        for i in range(1, clusters):
            if computed[i] < computed[free]:
                free = i
        chunks, cycles = load[job], loading[job]
        begin = max(computed[free], drained_before[free])
        if last[free] < 0:
            begin += head[job]
        elif kept and last[free] == tile[job]:
            chunks, cycles = 0.0, compute[job]
        last[free] = tile[job]
        loaded += chunks
        computed[free] = begin + cycles
        drained_before[free] = drained[free]
        drained[free] = max(computed[free], drained[free]) + walk[job]
    return drained.max(), loaded


@compiled
def grade(
    work: np.ndarray, ahead: float, clusters: float, share: float, longest: int
) -> np.ndarray:
    """Cut a sequence into runs that become shorter, so that clusters end together.

    Guided self-scheduling: each run takes `1 / (share * clusters)` of the work that is left.

    Parameters
    ----------
    work
        float64 work of each element.
    ahead
        Work that is still to be given out after these elements.
    clusters
        Clusters that take runs.
    share
        More makes smaller runs.
    longest
        Most elements in a run.

    Returns
    -------
    numpy.ndarray
        int64 boundaries, from 0 to `work.size`, of nonempty runs.
    """
    bounds = [0]
    left = work.sum() + ahead
    position = 0
    while position < work.size:
        target = left / (share * clusters)
        total = work[position]
        end = position + 1
        while end < work.size and end - position < longest and total + work[end] / 2 <= target:
            total += work[end]
            end += 1
        left -= total
        position = end
        bounds.append(end)
    return np.array(bounds, dtype=np.int64)


JOB_LATENCY = 100.0
"""Cycles to fetch a job's and a segment's descriptors and the first beat of a load block, about."""


def compute_cycles(products: np.ndarray, lookups: np.ndarray) -> np.ndarray:
    """Estimate the cycles of a PE from its products and look-ups.

    At least the larger of the two. Look-ups run only a few fibers ahead of products, so that runs
    of empty fibers cost something even where products prevail: a power mean, whose exponent was
    chosen by eye to follow the cycle model on a few 3x3 layers.
    """
    return (np.abs(products) ** 3.5 + np.abs(lookups) ** 3.5) ** (1 / 3.5)


def load_lead(
    compute: np.ndarray, words: np.ndarray, last: np.ndarray, config: AcceleratorConfig
) -> np.ndarray:
    """Estimate how many cycles before the end of a segment the next load may begin.

    Within a job as soon as a bank is free; after the job's last segment when the cluster asks for
    its next job, with at most `prefetch_words` words still to come.

    Parameters
    ----------
    compute, words
        float64 cycles and streamed words of each segment.
    last
        bool, whether the segment is the last one of its job.
    config
        Accelerator.
    """
    left = float(config.prefetch_words + config.b_fifo_depth)
    return compute * np.where(last, np.minimum(1.0, left / np.maximum(words, 1.0)), 1.0)
