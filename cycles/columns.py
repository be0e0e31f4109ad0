"""Names of the columns of the cycle model's tables and registers.

State lives in int64 arrays, one row per instance of a component of `hw/`.
"""

from gscn.counters import CLUSTER_COUNTER_NAMES

# -- columns of tables (cycles.tables)
JOB_FIRST, JOB_SEGMENTS, JOB_RESULT, JOB_PITCH, JOB_GUARD_COLS = range(5)
"""JOB_RESULT: a result has 16 << JOB_RESULT bits."""
JOB_ROWS, JOB_GUARD_ROWS, JOB_PLANES, JOB_WALK, JOB_OUT = range(5, 10)
(
    SEG_KIND, SEG_LOAD, SEG_CHUNKS, SEG_TAPS, SEG_STREAM, SEG_ITEMS, SEG_ITEM0, SEG_TAP0,
    SEG_STREAM_CHUNKS, SEG_LEAD, SEG_URGENT_ROOM, SEG_LOAD_SHARERS, SEG_STREAM_SHARERS,
) = range(13)  # fmt: skip
TILE_DIRECTORY_ROWS, TILE_A_ROWS, TILE_ENTRY0, TILE_ENTRIES = range(4)

MAC, ADD, END = range(3)
(BUSY, ADDS, LOOKUP, SIBLING, STREAM, LOAD, DRAIN, TAIL, IDLE) = range(len(CLUSTER_COUNTER_NAMES))

# -- hw.port.reader.ChunkReader
READER_COLUMNS = 12
R_BEAT, R_LEFT, R_ROOM, R_LEVEL, R_TAKEN, R_LENGTHS, R_LENGTH0 = range(7)
"""R_LENGTH0 and the three columns after it queue the chunks of requests."""
R_URGENT_ROOM, R_SHARERS = 10, 11
R_REQUEST_DEPTH = 4
# what happens to it in this cycle
R_REQUESTED, R_MOVED, R_ISSUED, R_ARRIVED = 0, 1, 2, 3
R_REQUEST_BEAT, R_REQUEST_CHUNKS, R_REQUEST_URGENT_ROOM, R_REQUEST_SHARERS = 4, 5, 6, 7
EVENT_COLUMNS = 8

# -- hw.cluster.loader.Loader: hw.cluster.fetcher.Fetcher, the steps between the two,
# hw.cluster.filler.Filler
LOADER_COLUMNS = 48
(
    L_STATE, L_JOB, L_SEGMENT, L_SEGMENTS_LEFT, L_FIRST, L_TAKEN, L_COLLECTED, L_REQUESTS,
) = range(8)  # fmt: skip
L_REQUEST = 8
"""L_REQUEST and the column after it queue segments whose streams are to be requested."""
L_STEPS, L_STEP = 10, 11
"""L_STEP and the columns after it queue (kind, chunks or segment, bank), LOAD_STEPS at most."""
L_TAGS, L_LAST_BANK, L_LOADS, L_BANK = 23, 25, 26, 27
"""L_TAGS and the column after it hold beat addresses of load blocks, -1 for none."""
L_FILL, L_PE, L_ROWS = range(28, 31)
L_USERS, L_UNDER_WAY, L_ENDS = 31, 33, 34
"""L_ENDS and the columns after it queue the banks, -1 for none, of L_UNDER_WAY segments."""
SEGMENTS_UNDER_WAY = 8
L_LEAD, L_HURRY = 42, 43
STREAM_REQUESTS = 2
LOAD_STEPS = 4
L_IDLE, L_READ_JOB, L_STREAM, L_ANNOUNCE, L_NEXT, L_LOAD = range(6)
STEP_DESCRIPTOR, STEP_FILL, STEP_HELD, STEP_NONE = range(4)
FILL_STEP, FILL_TAPS, FILL_HEADER, FILL_DIRECTORY, FILL_A = range(5)
DESCRIPTOR_CHUNKS, ENTRY_CHUNKS = 8, 16

# -- hw.cluster.broadcast.Broadcaster
FEED_COLUMNS = 24
F_STATE, F_TILES, F_BANKS, F_ITEMS_LEFT, F_TARGET, F_LEVEL, F_ITEM, F_QUEUE = range(8)
"""F_QUEUE and the columns after it queue (segment, first, last) triples, 4 at most."""
F_WAIT, F_STREAM, F_END = range(3)
F_DEPTH = 4

# -- hw.pe.pe.PE
PE_COLUMNS = 24
(
    P_WORDS, P_WORD_HEAD, P_FOUND, P_FOUND_KIND, P_FOUND_LENGTH, P_FOUND_JOB_END, P_RESUMED, P_TAP,
    P_FIBERS, P_FIBER_HEAD, P_POSITION, P_PIPE, P_ENDS, P_JOB_ENDS, P_SEGMENT_ENDS, P_DRAIN_ENDS,
) = range(16)  # fmt: skip
"""P_PIPE, P_ENDS, P_JOB_ENDS: bits follow an addend from the walker to its stored sum, bit 0."""
Q_KIND, Q_WORD, Q_SEGMENT, Q_JOB_END = range(4)

# -- hw.cluster.drain.Drainer, Packer, hw.port.writer.BurstWriter
DRAIN_COLUMNS = 24
(
    D_STATE, D_LEFT, D_COL, D_ROW, D_PLANE, D_FLIGHT, D_SETTLING, D_SLOT, D_JOBS, D_QUEUE,
) = range(10)  # fmt: skip
"""D_QUEUE and the three columns after it queue jobs."""
D_WRITER_LEVEL, D_WRITER_COMMITTED, D_WRITER_BEAT = 14, 15, 16
D_WAIT, D_WALK, D_SETTLE, D_FLUSH = range(4)

# -- hw.port.arbiter.ReadArbiter, WriteArbiter: one row per memory port
PORT_COLUMNS = 8
(
    A_HEAD, A_LEVEL, A_READ_BEAT, A_READ_BELOW, A_WRITE_BELOW, A_SENDER, A_BEATS_LEFT, A_COMPLETE,
) = range(8)  # fmt: skip
"""A_HEAD, A_LEVEL: the ring of read bursts under way; A_READ_BEAT: next beat of the first.
A_COMPLETE: 1 more than the channel whose waiting burst had its sharers a cycle before, or 0."""

# -- hw.core.sequencer.Sequencer
LIST_COLUMNS = 3
S_ASKS, S_DUE, S_BURST = range(LIST_COLUMNS)
"""Bursts of a phase's descriptor to ask for, beats of it that are due, beats of a burst."""
