"""Cycle model of `hw.cluster.cluster_input`: from jobs and three read channels to words for PEs.

A cycle of a cluster goes as follows. `Inputs.channels` hold the bursts offered in this cycle and
`is_ready` says whether a job is taken: both are left by the step before. The arbiter sets `granted`
of the channels whose burst it takes, and `arrived` of those that a beat is for; the cutter calls
`give_job` for a cluster that is ready; the drain's pulse is an argument. Then `step_input`, before
any PE of the cluster is stepped: it looks at their levels and marks. Then the PEs are stepped, and
`deal` gives them the word that the step has left. In the cycle in which a pass begins, `begin_pass`
comes after the step.

Operands are read from the image of the memory when their beats have arrived; values never are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gscn.array import ArrayConfig
from gscn.cycles.cluster.dealer import ALL_PES, DEALER, NO_PE, NO_REASON, hand_over
from gscn.cycles.cluster.jobs import (
    JOB_QUEUES,
    QUEUES,
    STREAM_JOBS,
    WINDOW_JOBS,
    have_room,
    pop_job,
    push_job,
    put_job,
)
from gscn.cycles.cluster.marks import MARKS, is_reporting, step_marks
from gscn.cycles.cluster.offsets import (
    NO_BEAT,
    TABLE_READER,
    forget_tables,
    offer_beat,
    request_pieces,
    step_tables,
)
from gscn.cycles.cluster.placer import PLACER
from gscn.cycles.cluster.portions import PORTION_READER
from gscn.cycles.cluster.streamer import (
    RUN,
    STREAMER,
    WAIT,
    keep_banks,
    say_why,
    start_job,
    step_placer,
)
from gscn.cycles.cluster.strip_walk import WALKER, has_room, pop_strip, step_walk
from gscn.cycles.cluster.vectors import EXPANDER, show_job, show_pass, step_expander
from gscn.cycles.cluster.window import (
    WINDOW,
    ask,
    decide,
    decides,
    forget_window,
    load,
    pop_asked,
    take_report,
    wants_strip,
)
from gscn.cycles.descriptors import JOB
from gscn.cycles.pe.worker import END, push
from gscn.cycles.port.channel import CHANNEL, CHANNELS, LOAD, STREAM, TABLE
from gscn.cycles.port.pieces import (
    PIECE_READER,
    can_request,
    offer_burst,
    step_pieces,
)
from gscn.cycles.state import record
from gscn.formats import NUMBER_FORMATS
from gscn.pass_errors import PassError
from gscn.passes import HALFWORD_BYTES, TABLE_ENTRY_BYTES
from gscn.system.compiled import borrowing

NO_ERROR, TABLE_ERROR, STRIP_ERROR, WINDOW_ERROR = (
    int(one) for one in (PassError.NONE, PassError.TABLE, PassError.STRIP, PassError.WINDOW)
)

CLUSTER_INPUT = record(
    "ready",  # a job can be given in this cycle
    "given",  # one is
    # the word that leaves in this cycle: for which PE, `NO_PE` or `ALL_PES`; as in
    # `cycles.pe.worker.WORD`, the key modulo the directory
    "pe", "kind", "key", "span", "rows", "job_end",
    "ends_job",  # it is an END with `job_end`
    "state",  # why no word leaves: a value of `hw.input_layouts.InputState`
    "error",  # of `gscn.pass_errors.PassError`, in the cycle that follows
)  # fmt: skip


class InputSizes(NamedTuple):
    """What a configuration decides."""

    burst: int
    """Longest burst, in beats."""
    beat_bytes: int
    entries: int
    """Of the ring."""
    narrow_formats: int
    """Bit n: values of number format n have 8 bits."""


class Image(NamedTuple):
    """The memory, twice the same bytes."""

    halfwords: np.ndarray
    """uint16 (bytes / 2,)."""
    entries: np.ndarray
    """uint32 (bytes / 4,)."""


class Inputs(NamedTuple):
    """The inputs of all clusters, one record or more for each."""

    inputs: np.ndarray
    """`CLUSTER_INPUT` (clusters,)."""
    channels: np.ndarray
    """`cycles.port.channel.CHANNEL` (clusters, 3)."""
    queues: np.ndarray
    """`cycles.cluster.jobs.JOB_QUEUES` (clusters,)."""
    jobs: np.ndarray
    """`cycles.descriptors.JOB` (clusters, queues, depth)."""
    tables: np.ndarray
    """`cycles.cluster.offsets.TABLE_READER` (clusters,)."""
    readers: np.ndarray
    """`cycles.port.pieces.PIECE_READER` (clusters, 2): to load and of the stream."""
    portions: np.ndarray
    """`cycles.cluster.portions.PORTION_READER` (clusters, 2), likewise."""
    expanders: np.ndarray
    """`cycles.cluster.vectors.EXPANDER` (clusters, 2), likewise."""
    windows: np.ndarray
    """`cycles.cluster.window.WINDOW` (clusters,)."""
    ends: np.ndarray
    """int64 (clusters, chunks): entries before the ends of chunks, a ring."""
    starts: np.ndarray
    """int64 (clusters, directory): entries before each key, keys modulo the directory; differences
    are exact."""
    streamers: np.ndarray
    """`cycles.cluster.streamer.STREAMER` (clusters,)."""
    walkers: np.ndarray
    """`cycles.cluster.strip_walk.WALKER` (clusters,)."""
    placers: np.ndarray
    """`cycles.cluster.placer.PLACER` (clusters,)."""
    dealers: np.ndarray
    """`cycles.cluster.dealer.DEALER` (clusters,)."""
    marks: np.ndarray
    """`cycles.cluster.marks.MARKS` (clusters,)."""


def new_inputs(config: ArrayConfig) -> Inputs:
    """Return inputs after reset."""
    count = config.clusters
    made = Inputs(
        inputs=np.zeros(count, CLUSTER_INPUT),
        channels=np.zeros((count, len(CHANNELS)), CHANNEL),
        queues=np.zeros(count, JOB_QUEUES),
        jobs=np.zeros((count, len(QUEUES), config.job_depth), JOB),
        tables=np.zeros(count, TABLE_READER),
        readers=np.zeros((count, 2), PIECE_READER),
        portions=np.zeros((count, 2), PORTION_READER),
        expanders=np.zeros((count, 2), EXPANDER),
        windows=np.zeros(count, WINDOW),
        ends=np.zeros((count, config.chunks_depth), np.int64),
        starts=np.zeros((count, config.directory_depth), np.int64),
        streamers=np.zeros(count, STREAMER),
        walkers=np.zeros(count, WALKER),
        placers=np.zeros(count, PLACER),
        dealers=np.zeros(count, DEALER),
        marks=np.zeros(count, MARKS),
    )
    made.inputs["ready"] = 1
    made.inputs["pe"] = NO_PE
    made.readers["room"] = config.read_fifo_beats
    made.tables["start_beat"] = made.tables["end_beat"] = NO_BEAT
    return made


def input_sizes(config: ArrayConfig) -> InputSizes:
    """Return what `step_input` must know of a configuration."""
    widths = [config.format.width, *(fmt.width for fmt in NUMBER_FORMATS[1:])]
    return InputSizes(
        burst=config.burst_beats,
        beat_bytes=config.mem_bytes,
        entries=config.stationary_depth,
        narrow_formats=sum((width == 8) << number for number, width in enumerate(widths)),
    )


@borrowing
def is_ready(inputs, c):
    """Return whether cluster `c` takes a job in this cycle."""
    return inputs.inputs[c].ready


@borrowing
def give_job(inputs, c, job):
    """Give cluster `c`, which is ready, a job (`cycles.descriptors.JOB`); before its step."""
    inputs.inputs[c].given = 1
    put_job(inputs.queues[c], inputs.jobs[c], job)


@borrowing
def begin_pass(inputs, c):
    """Forget what is known of the pass before; after the step of a cycle without a job."""
    forget_tables(inputs.tables[c])
    forget_window(inputs.windows[c])
    inputs.streamers[c].known = 0


@borrowing
def step_words(inputs, c, workers, word_depth, bank_cleared, d):
    """Advance what makes words and hands them to PEs; return whether the stream's item is taken."""
    me, streamer, placer = inputs.inputs[c], inputs.streamers[c], inputs.placers[c]
    window, walker, marks = inputs.windows[c], inputs.walkers[c], inputs.marks[c]
    expander, queues, jobs = inputs.expanders[c, STREAM], inputs.queues[c], inputs.jobs[c]
    job = jobs[STREAM_JOBS, queues.head[STREAM_JOBS]]
    has_job = queues.level[STREAM_JOBS] > 0
    state, bank = streamer.state, streamer.bank
    me.pe = NO_PE
    reason = NO_REASON
    if placer.kept:
        reason = hand_over(inputs.dealers[c], me, placer, marks, workers, word_depth)
    placer.leaves = me.pe != NO_PE
    ends = placer.leaves and me.kind == END
    me.ends_job = ends and me.job_end
    takes = step_placer(streamer, placer, walker, expander, job, d, inputs.starts.shape[1])
    streamer.loaded = window.loaded
    if reason == NO_REASON:
        needs_tile = state != RUN and job.streams and window.tiles == 0
        arrived = inputs.portions[c, STREAM].level or inputs.readers[c, STREAM].available
        busy = state != RUN or expander.items or arrived > 0
        reason = say_why(streamer, has_job, needs_tile, bank, busy)
    me.state = reason
    keep_banks(streamer, has_job, bank_cleared, me.ends_job)
    if ends:
        streamer.state = WAIT
        pop_job(queues, jobs, STREAM_JOBS)
    elif has_job and state != RUN:
        start_job(streamer, walker, placer, window, job, d)
        show_job(expander, job, d)
    return takes


@borrowing
def step_stream(inputs, c, takes_item, halfwords, beat_halfwords):
    """Advance the stream's reader and expander, whose item is taken or not."""
    expander, reader = inputs.expanders[c, STREAM], inputs.readers[c, STREAM]
    portions, walker = inputs.portions[c, STREAM], inputs.walkers[c]
    take, done = 0, False
    if expander.active or expander.items or expander.closing or walker.strips or reader.under_way:
        head = walker.strip_head
        rows = walker.rows[head] if walker.strips > 0 else 0
        take, done, taken = step_expander(
            expander, portions, reader, halfwords, takes_item, False, rows, walker.ends_piece[head]
        )
        if taken:
            pop_strip(walker)
    step_pieces(reader, inputs.channels[c, STREAM], take, done, beat_halfwords)


@borrowing
def step_loading(inputs, c, idle, reports, d, halfwords, sizes):
    """Advance the window with its reader and expander; return whether the stream waits for ever.

    `idle` and `reports` are what the marks said at the beginning of the cycle.
    """
    window, marks, queues = inputs.windows[c], inputs.marks[c], inputs.queues[c]
    expander, reader = inputs.expanders[c, LOAD], inputs.readers[c, LOAD]
    wants = wants_strip(window)
    can_decide = decides(window) and queues.level[WINDOW_JOBS] > 0
    takes_item = load(window, expander, inputs.starts[c], inputs.ends[c], d, sizes.entries)
    fails = window.blocked and idle and not reports and inputs.streamers[c].waits
    if reports:
        head = marks.head
        take_report(window, marks.finished[head], marks.uses[head], marks.ends_job[head])
    elif can_decide:
        decide(window, inputs.jobs[c, WINDOW_JOBS, queues.head[WINDOW_JOBS]], d)
        pop_job(queues, inputs.jobs[c], WINDOW_JOBS)
    take, done = 0, False
    if expander.active or expander.items or expander.closing or window.strips or reader.under_way:
        take, done, taken = step_expander(
            expander, inputs.portions[c, LOAD], reader, halfwords, takes_item, True,
            window.rows[window.strip_head], window.ends_piece[window.strip_head],
        )  # fmt: skip
        if taken:
            pop_asked(window)
    if wants:
        ask(window, d)
    step_pieces(reader, inputs.channels[c, LOAD], take, done, sizes.beat_bytes // HALFWORD_BYTES)
    return fails


@borrowing
def offer_bursts(inputs, c, sizes):
    """Leave what the channels offer in the next cycle."""
    channels = inputs.channels[c]
    load, stream, table = channels[LOAD], channels[STREAM], channels[TABLE]
    offer_burst(inputs.readers[c, LOAD], load, sizes.burst)
    offer_burst(inputs.readers[c, STREAM], stream, sizes.burst)
    offer_beat(inputs.tables[c], table, sizes.beat_bytes // TABLE_ENTRY_BYTES)
    for channel in CHANNELS:
        channels[channel].granted = 0
        channels[channel].arrived = 0


@borrowing
def step_input(inputs, c, workers, word_depth, bank_cleared, d, image, sizes):
    """Advance the input of cluster `c` by a cycle.

    What a part sees of another is what that held at the beginning of the cycle. So each is stepped
    before those whose words it takes: PEs are given a word, then the placer's is taken, the
    expander's item, the reader's halfwords. Where a part is stepped after one that it gives
    something to, what it needs is noted first.

    Parameters
    ----------
    inputs
        `Inputs`.
    workers
        `cycles.pe.worker.WORKER` (pes,): the cluster's, not yet stepped.
    word_depth
        Words that each of them can queue.
    bank_cleared
        Another accumulator bank is free.
    d
        `cycles.descriptors.PASS`.
    image
        `Image`.
    sizes
        `InputSizes`.
    """
    me, tables, walker = inputs.inputs[c], inputs.tables[c], inputs.walkers[c]
    marks, queues, jobs = inputs.marks[c], inputs.queues[c], inputs.jobs[c]
    readers, expanders = inputs.readers[c], inputs.expanders[c]
    me.ready = have_room(queues, jobs.shape[1]) and not me.given
    idle = marks.reports == 0
    reports = is_reporting(marks, workers.shape[0])
    names = walker.active and has_room(walker)
    loads = tables.load_valid and can_request(readers[LOAD])
    streams = tables.stream_valid and can_request(readers[STREAM])
    tables.has_verdict = inputs.windows[c].verdicts > 0
    table_error = tables.error
    strip_error = expanders[LOAD].error or expanders[STREAM].error or inputs.placers[c].error
    show_pass(expanders[LOAD], expanders[STREAM], d)
    narrow = (sizes.narrow_formats >> d.number_format) & 1
    inputs.portions[c, LOAD].narrow = inputs.portions[c, STREAM].narrow = narrow

    takes_item = step_words(inputs, c, workers, word_depth, bank_cleared, d)
    step_stream(inputs, c, takes_item, image.halfwords, sizes.beat_bytes // HALFWORD_BYTES)
    if names:
        # the job is the one under way: it ends later than its walk
        job = jobs[STREAM_JOBS, queues.head[STREAM_JOBS]]
        step_walk(walker, job, d, d.s_keys * d.s_chunks, inputs.starts.shape[1])
    fails = step_loading(inputs, c, idle, reports, d, image.halfwords, sizes)
    step_tables(
        tables, inputs.channels[c, TABLE], inputs.windows[c], queues, jobs, image.entries, d,
        sizes.beat_bytes // TABLE_ENTRY_BYTES,
    )  # fmt: skip
    request_pieces(tables, readers[LOAD], readers[STREAM], loads, streams, d, sizes.beat_bytes)
    step_marks(marks, workers, reports)

    me.error = NO_ERROR
    if table_error:
        me.error = TABLE_ERROR
    elif strip_error:
        me.error = STRIP_ERROR
    elif fails:
        me.error = WINDOW_ERROR
    if me.given:
        me.given = 0
        push_job(queues, jobs)
    offer_bursts(inputs, c, sizes)


@borrowing
def deal(inputs, c, workers, words):
    """Give the PEs of cluster `c`, after their step, the word that leaves in this cycle.

    Parameters
    ----------
    inputs
        `Inputs`.
    workers
        `cycles.pe.worker.WORKER` (pes,).
    words
        `cycles.pe.worker.WORD` (pes, depth).
    """
    me = inputs.inputs[c]
    if me.pe == NO_PE:
        return
    first, end = me.pe, me.pe + 1
    if me.pe == ALL_PES:
        first, end = 0, workers.shape[0]
    for pe in range(first, end):
        push(workers[pe], words[pe], me.kind, me.key, me.span, me.rows, me.job_end)
