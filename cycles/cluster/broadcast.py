"""Cycle model of `hw.cluster.broadcast`: a stream's items to the PEs."""

from __future__ import annotations

from gscn.cycles.pe.pe import DRAIN, LOAD, NOTHING, SIBLING, STREAM
from gscn.cycles.port.reader import has_chunk
from gscn.cycles.state import record
from gscn.cycles.tables import ADD, END, MAC
from gscn.latencies import SEGMENTS_ANNOUNCED
from gscn.system.compiled import borrowing

FEED = record(
    "state",
    "tiles", "banks",  # loaded and not used; free accumulator banks
    "items_left", "item", "target",
    "segments",
    # what is pushed in this cycle: kind or -1, item, its segment, job's end, PE or -1 for all
    "kind", "word", "word_segment", "job_end", "pe",
    # announced segments; whether each is the first, the last of its job
    segment=SEGMENTS_ANNOUNCED, first=SEGMENTS_ANNOUNCED, last=SEGMENTS_ANNOUNCED,
)  # fmt: skip
WAIT, ITEMS, FINISH = range(3)
"""States."""


@borrowing
def announce_segment(feed, segment, first, last):
    """Queue a segment."""
    feed.segment[feed.segments] = segment
    feed.first[feed.segments] = first
    feed.last[feed.segments] = last
    feed.segments += 1


@borrowing
def near_end(feed, prefetch_words):
    """Whether a Broadcaster asks for the next job."""
    if feed.segments == 0:
        return True
    return (
        feed.segments == 1
        and feed.last[0] == 1
        and feed.state != WAIT
        and feed.items_left <= prefetch_words
    )


@borrowing
def hurries(feed, lead):
    """Whether a Broadcaster says, one cycle later, that the next load block is needed soon."""
    few_left = feed.state == WAIT or feed.items_left <= lead
    return feed.tiles == 0 and few_left


@borrowing
def begin_segment(feed, segments):
    """Begin the oldest segment, if its tile and a bank are there; return the cause."""
    if feed.segments == 0:
        return NOTHING
    if feed.tiles == 0:
        return LOAD
    if feed.first[0] and feed.banks == 0:
        return DRAIN
    feed.tiles -= 1
    if feed.first[0]:
        feed.banks -= 1
    segment = segments[feed.segment[0]]
    feed.items_left = segment.items
    feed.item = segment.first_item
    feed.target = 0
    feed.state = FINISH if feed.items_left == 0 else ITEMS
    return STREAM


@borrowing
def end_segment(feed):
    """Take the oldest segment off."""
    for index in range(SEGMENTS_ANNOUNCED - 1):
        feed.segment[index] = feed.segment[index + 1]
        feed.first[index] = feed.first[index + 1]
        feed.last[index] = feed.last[index + 1]
    feed.segments -= 1
    feed.state = WAIT


@borrowing
def step_broadcaster(feed, reader, pes, tables, fifo_depth):
    """Advance a Broadcaster; return the cause for PEs with nothing queued, or `NOTHING`.

    `reader` is that of its stream; what it pushes is in `feed`.
    """
    feed.kind = -1
    if feed.state == WAIT:
        return begin_segment(feed, tables.segments)
    segment = tables.segments[feed.segment[0]]
    adds = segment.kind == ADD
    ends = feed.state == FINISH
    if not ends and not has_chunk(reader):
        return STREAM
    to_one = adds and not ends
    # a rebase is handed to no PE
    to_none = not adds and not ends and tables.items[feed.item].first_tap < 0
    for pe in range(pes.shape[0]):
        addressed = not to_none and (not to_one or pe == feed.target)
        if addressed and pes[pe].words == fifo_depth:
            return SIBLING
    feed.word = feed.item
    feed.word_segment = feed.segment[0]
    feed.job_end = feed.last[0]
    feed.pe = feed.target if to_one else -1
    if ends:
        feed.kind = END
        end_segment(feed)
        return STREAM
    if not to_none:
        feed.kind = ADD if adds else MAC
    # of two items in a chunk the second takes it away, or the last of the segment
    second = (segment.items - feed.items_left) % 2 == 1
    if adds or second or feed.items_left == 1:
        reader.moved = 1
    feed.item += 1
    feed.target = (feed.target + 1) % pes.shape[0]
    feed.items_left -= 1
    if feed.items_left == 0:
        feed.state = FINISH
    return STREAM
