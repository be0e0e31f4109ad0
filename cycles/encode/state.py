"""State of the cycle model of the encode unit: a record for each of its parts."""

from __future__ import annotations

import numpy as np

from gscn.cycles.state import record
from gscn.encode import LOOPS, MOST_TRANSPOSED, STREAMS, TENSORS
from gscn.passes import VECTOR
from gscn.system.compiled import compiled

calling = compiled(_nrt=False)
"""Compile a function that only works on the arrays that it is given, as `borrowing` does, but not
into its callers: what is large, or seldom wanted, is called."""

RING = 256
"""Vectors under way at most, of which something is kept: more than all queues together hold."""
VECTORS = 128
"""`EncodeUnit.VECTORS`."""
MASK_LINES, TABLE_LINES, STRIP_LINES = 8, 4, 8
"""Lines that readers have asked for or hold."""
BURSTS = 128
"""`Inputs.BURSTS`."""
T0, T1, T2, MASK, TABLE, STRIPS = range(6)
"""Readers of lines."""
READERS = 6
ROWS_CHANNEL = 4
CHANNELS = 7
"""Read channels in the order of `Inputs`: tensors, mask, rows, table, strips."""
DENSE, SECOND, BITS, SUMS, A_DATA, A_TABLE, B_DATA, B_TABLE = range(8)
"""Write channels in the order of `Outputs`."""
WRITE_CHANNELS = 8
OUTPUT_QUEUES = 6
"""Of dense, second, bits and sums, then of verdicts and of what a selection counts."""

SETTINGS = record(
    "masked", "packed", "transposed", "product", "out_wide", "second_wide",
    "has_dense", "has_second", "has_bits", "has_sums", "has_a", "has_b",
    "sums", "sums_dense", "maximum", "has_dot", "dot_wide", "idle", "selects", "steady",
    "vectors", "columns", "segment", "period", "a_positions", "b_positions",
    "channels", "group_channels", "y_limit", "x_limit",
    "dense_addr", "second_addr", "all_vectors", "rows_addr", "t0_table",
    "t0_addr", "t0_end", "t0_lane", "addr_mask", "odd_all",
    "a_table", "b_table",
    "bursts", "beats",  # of a line, and of one of these
    "latency", "write_latency", "write_lag", "limit",
    "begin", "bins_ready", "chosen_bin",
    present=TENSORS, wide=TENSORS, counts=LOOPS, has=WRITE_CHANNELS, known=4, densities=4,
)  # fmt: skip
"""What a pass is told, in `hw.encode.unit_layouts.settings_layout` and around."""
LEVELS = LOOPS + 1
PLACES = len(STREAMS) + 2
"""Sums that a walk keeps: of streams, and of both coordinates."""
WALK = record(
    "made", "group_left", "column", "vector", "number",
    "segment", "period", "a", "b", "begins_rows", "begins_segment", "inside_strip",
    left=LEVELS,
)  # fmt: skip
PLACE = record("vector_step", at=LEVELS, steps=LEVELS, within=1)
"""A sum as it was when each level stepped last, and the steps of the levels."""
ITEM = record(
    "mask", "dense", "there", "vector", "last_vector", "column", "loads", "third", "wide",
    "begins_rows", "begins_segment", "ends_segment", "ends_a", "ends_b", "ends_group", "ends",
    "begins_strip", "ends_strip", "a", "b", "number",
    places=TENSORS,
)  # fmt: skip
"""A vector: what the parts behind the walk want to know of it."""
READER = record(
    "staged", "placed", "gone",  # vectors: checked, in the queue of places, taken from it
    "asked", "shown", "valid",  # tickets, and the line that is shown
    "before", "room", "filled", "held", "burst", "beat",
    # of this cycle
    "address", "fresh", "asks", "leaves", "place_room", "granted", "line",
)  # fmt: skip
ARBITER = record("below", "head", "level", "beat", "taken", "beats")
ROWS = record(
    "left", "addr", "held", "ready", "current", "entered", "valid", "shown", "beat", "room",
)  # fmt: skip
INPUTS = record(
    "forked", "joined", "column", "known_column", "queue_room", "known",
    "whole", "moves",
)  # fmt: skip
TRANSPOSER = record(
    "vector", "inner", "outer", "turned", "rows_left", "number", "collected",
    "first", "rows", "last", "log",
    "asking", "lane", "row_at", "begun",
    "asked", "asked_head", "filled", "filled_head", "fill_lane", "fill_number", "second",
    "show_row", "show_number", "there", "upper", "lows", "highs",
)  # fmt: skip
DECODER = record(
    "arrived", "second", "row", "column", "kinds", "kind_head",
    "spans", "span_head", "lengths", "length_head", "begun", "at",
    "next_number", "next_vector", "next_position",
    "entered", "left", "end", "known", "bits", "index", "masked", "rest", "whole", "taken",
    # of this cycle
    "arrives", "opens", "asks", "table_addr", "shows_entry", "shows_halfword", "room",
)  # fmt: skip
SPAN = record("first", "halfwords", "vectors")
LANES = record(
    "ready", "turn", "again", "under_way", "due",
    "queue", "queue_head", "flight", "seconds", "results", "result_head",
    "entered", "returned", "finished", "taken", "tags_room",
)  # fmt: skip
"""`entered`, `returned`, `finished`, `taken`: vectors that came, came back, whose results are
judged, and whose results outputs took."""
COMBINED = record("second", "wide", "third")
OUTPUTS = record("ended", "done", "selected", "chosen_at", "asked", "complete")
WAITING = record("level", "head", "tail", "room")
"""A queue of two of an output."""
QUEUED = record("addr", "there", "ends")
SEGMENTS = record(
    "bank", "out", "vector", "lane", "flight", "last", "level",
    "place_addr", "place_there", "place_ends",
    full=2, settled=2, ends=2,
)  # fmt: skip
MAXIMA = record(
    "bank", "position", "out", "vector", "at", full=2, lasts=2, ends=2,
)  # fmt: skip
ROW = record("addr", "there")
GATHERER = record("begun", "ending", "place", "level", "depth", "ready", "opened", "at", "words")
PACKER = record(
    "vectors", "taken", "blocks", "block_head", "strips", "header", "second", "number", "position",
    "flushing", "level", "last_level", "count", "marks", "mark_head",
    "opened", "waits", "again", "ending", "at", "column", "place", "ended", "ready", "offers",
)  # fmt: skip
PACKED = record("vectors", "ends_strip", "ends")
MARK = record("ends_group", "ends")
WRITER = record(
    "held", "sender", "commanded", "sent", "beat", "under_way", "below", "expected",
    "head", "level", "beats", "bursts_sent",
)  # fmt: skip


UNIT = np.dtype(
    [
        ("settings", SETTINGS),
        ("walk", WALK),
        ("places", PLACE, (PLACES,)),
        ("items", ITEM, (RING,)),
        ("readers", READER, (READERS,)),
        ("fresh", np.int64, (READERS, RING)),  # of tickets, whether their line is another one
        ("arbiter", ARBITER),
        ("due", np.int64, (BURSTS,)),  # the cycle of a burst's first beat
        ("owners", np.int64, (BURSTS,)),  # channels of a burst
        ("rows", ROWS),
        ("inputs", INPUTS),
        ("transposer", TRANSPOSER),
        ("blocks", np.int64, (2, 2)),  # rows of blocks that are asked for, and filled: rings
        ("turned", np.int64, (MOST_TRANSPOSED, 2)),  # places of a row, and how many lanes are there
        ("decoder", DECODER),
        ("kinds", np.int64, (RING,)),
        ("spans", SPAN, (2,)),
        ("lengths", SPAN, (4,)),
        ("lanes", LANES),
        ("combined", COMBINED, (2,)),  # vectors that wait for the lanes
        ("results", np.int64, (8,)),  # whether a result is of a second combination
        ("outputs", OUTPUTS),
        ("queues", WAITING, (OUTPUT_QUEUES,)),
        ("queued", QUEUED, (OUTPUT_QUEUES, 2)),
        ("segments", SEGMENTS),
        ("maxima", MAXIMA),
        ("segment_rows", ROW, (2 * VECTOR,)),
        ("maxima_rows", ROW, (2 * VECTOR,)),
        ("rounded", QUEUED, (3,)),  # vectors of sums that are rounded
        ("gatherers", GATHERER, (WRITE_CHANNELS,)),
        ("packers", PACKER, (2,)),
        ("packed", PACKED, (2, 4)),
        ("marks", MARK, (2, 8)),
        ("writer", WRITER),
        ("acknowledged", np.int64, (RING,)),  # cycles in which bursts are in memory
    ]
)
"""All parts of the unit."""
MASKS = 4
"""What may be known of each vector: odd, kept_0, kept_a, kept_b."""

LANES_ALL = (1 << VECTOR) - 1
