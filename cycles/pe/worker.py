"""Cycle model of `hw.pe.worker`: look-up, walk and accumulators of one PE of an array.

Operand values are absent: time depends on how many entries the keys have.
"""

from __future__ import annotations

from gscn.cycles.state import record
from gscn.system.compiled import borrowing

BUSY, LOOKUP = range(2)
"""Causes: a product is issued; something is queued or under way, but none is."""
NOTHING = -1
"""In place of a cause: the PE has nothing queued."""
MAC, MARK, END = range(3)
"""Kinds of words, as `hw.array_layouts.WordKind`."""

WORKER = record(
    "words", "word_head",
    "row",  # of a word whose ranges are not all looked up
    # what the directory answers, and what of it is compared
    "found", "found_kind", "found_length", "found_job_end",
    "compared", "compared_kind", "compared_length", "compared_job_end",
    "fibers", "fiber_head",
    "position",  # in the fiber that is walked
    # bits follow a product, or the end of a job, from the walk to the accumulators, bit 0
    "pipe", "job_ends",
    "mark",  # the output of that name
)  # fmt: skip
WORD = record("kind", "key", "span", "rows", "job_end")
"""`key` says where its entries begin in the table of starts."""
FIBER = record("kind", "length", "job_end")


@borrowing
def is_pending(worker):
    """Return whether anything is queued or under way."""
    return worker.words or worker.found or worker.compared or worker.fibers or worker.pipe


@borrowing
def is_job_end(worker):
    """Return whether the end of a job is reported in this cycle."""
    return worker.job_ends & 1


@borrowing
def step_walk(worker, fibers, end_cycles):
    """Advance the walk of fibers and the pipeline behind it; return the cause, if it had a fiber.

    `end_cycles` are those from the end of a job that is taken to its report.
    """
    enters = 1 << end_cycles - 1
    cause = NOTHING
    pipe = worker.pipe >> 1
    job_ends = worker.job_ends >> 1
    worker.mark = 0
    if worker.fibers:
        fiber = fibers[worker.fiber_head]
        pops = True
        if fiber.kind == MAC:
            cause = BUSY
            pipe |= enters
            worker.position += 1
            if worker.position == fiber.length:
                worker.position = 0
            else:
                pops = False
        else:
            cause = LOOKUP
            worker.mark = 1
            if fiber.kind == END and fiber.job_end:
                pipe |= enters
                job_ends |= enters
        if pops:
            worker.fiber_head = (worker.fiber_head + 1) % fibers.shape[0]
            worker.fibers -= 1
    worker.pipe = pipe
    worker.job_ends = job_ends
    return cause


@borrowing
def within(key, starts):
    """Return the place of a key, less than twice round, in a ring of starts."""
    return key if key < starts.shape[0] else key - starts.shape[0]


@borrowing
def step_ranges(worker, words, fibers, starts, row_keys, room):
    """Advance the look-up; `room` is whether it may make one."""
    if worker.compared and (worker.compared_kind != MAC or worker.compared_length):
        fiber = fibers[(worker.fiber_head + worker.fibers) % fibers.shape[0]]
        fiber.kind = worker.compared_kind
        fiber.length = worker.compared_length
        fiber.job_end = worker.compared_job_end
        worker.fibers += 1
    worker.compared = worker.found
    worker.compared_kind = worker.found_kind
    worker.compared_length = worker.found_length
    worker.compared_job_end = worker.found_job_end
    worker.found = 0
    if worker.words == 0 or not room:
        return
    word = words[worker.word_head]
    worker.found = 1
    worker.found_kind = word.kind
    worker.found_job_end = word.job_end
    last = True
    if word.kind == MAC:
        key = word.key + worker.row * row_keys
        worker.found_length = starts[within(key + word.span, starts)] - starts[within(key, starts)]
        last = worker.row == word.rows
        worker.row = 0 if last else worker.row + 1
    if last:
        worker.word_head = (worker.word_head + 1) % words.shape[0]
        worker.words -= 1


@borrowing
def step_worker(worker, words, fibers, starts, row_keys, end_cycles):
    """Advance a PE by a cycle; return its cause, or `NOTHING`.

    Parameters
    ----------
    worker
        `WORKER`.
    words, fibers
        `WORD` (depth,), `FIBER` (depth,): its queues, rings.
    starts
        int64 (keys,): entries before each key, a ring; or of all keys and one more.
    row_keys
        Keys from one look-up of a word to the next.
    end_cycles
        `gscn.latencies.job_end_cycles`.
    """
    pending = is_pending(worker)
    room = worker.fibers + worker.found + worker.compared < fibers.shape[0]
    cause = step_walk(worker, fibers, end_cycles)
    if cause == NOTHING and pending:
        cause = LOOKUP
    step_ranges(worker, words, fibers, starts, row_keys, room)
    return cause


@borrowing
def push(worker, words, kind, key, span, rows, job_end):
    """Give a PE that has room a word, after its step in the same cycle."""
    word = words[(worker.word_head + worker.words) % words.shape[0]]
    word.kind = kind
    word.key = key
    word.span = span
    word.rows = rows
    word.job_end = job_end
    worker.words += 1
