"""Cycle model of `hw.encode.line_gatherer` and of `run_writer`, which has one."""

from __future__ import annotations

from gscn.system.compiled import borrowing


@borrowing
def gatherer_ready(gatherer):
    """Return whether a gatherer takes a piece; of registers as they are when a cycle begins."""
    return not gatherer.ending and (not gatherer.begun or gatherer.level != gatherer.depth - 1)


@borrowing
def gatherer_ended(gatherer):
    """Return whether the last piece has come, and all lines have left."""
    return gatherer.ending and not gatherer.begun and gatherer.level == 0


@borrowing
def gather(gatherer, valid, there, last, place, popped):
    """Take a piece if one is there and there is room; return whether it is taken."""
    room = gatherer.level != gatherer.depth - 1
    taken = valid and not gatherer.ending and (not gatherer.begun or room)
    enters = taken and there
    other = gatherer.begun and gatherer.place != place
    completes = (enters and other) or (gatherer.ending and gatherer.begun and room)
    if enters:
        gatherer.begun = 1
        gatherer.place = place
    elif completes:
        gatherer.begun = 0
    if taken and last:
        gatherer.ending = 1
    gatherer.level += completes - popped
    return taken


@borrowing
def gather_run(gatherer, valid, last, addr, popped):
    """Take a word of a run, the first one a cycle later; `addr` is the run's in words."""
    opened = gatherer.opened
    place = gatherer.at // gatherer.words
    taken = gather(gatherer, opened and valid, 1, last, place, popped)
    if valid and not opened:
        gatherer.opened = 1
        gatherer.at = addr
    elif taken:
        gatherer.at += 1
    return taken
