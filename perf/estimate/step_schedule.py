"""When the records of a list run: two queues that wait for each other and share a memory port.

Each unit takes the records of its queue one after the other; a control record waits for records of
the other queue (`docs/contract/lists.md`). A pass says how long it takes alone and which share of
each way to memory it then uses. While both units run and want more of a way than there is, they
take turns at it, as the arbiters of `hw.core.listed_array` do, or the array has it first; what a
unit wants and does not get makes its pass so much slower.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import NamedTuple

from gscn.control import Queue
from gscn.enums import takes_text
from gscn.errors import InputError

CONTROL = "control"
"""Kind of records that are no pass."""
WAITING = "waiting"
_ROUNDING = 1e-9
"""Cycles below which nothing is left of a pass."""


class Turns(enum.StrEnum):
    """Who has a way to memory that both units want whole."""

    EQUAL = "equal"
    """Each has half of it, and what the other leaves."""
    ARRAY = "array"
    """The array has what it wants."""


class Ways(NamedTuple):
    """Shares of the ways to memory that a pass uses while it runs alone."""

    read: float = 0.0
    """Of the port's read channel."""
    write: float = 0.0
    dram: float = 0.0
    """Of what is behind the port."""


class Queued(NamedTuple):
    """A record in its queue."""

    name: str
    kind: str
    queue: Queue
    cycles: float
    """Alone, from its turn to that of the next one of its queue."""
    ways: Ways = Ways()
    wait: int = 0
    """Records of the other queue that must have ended."""


class Span(NamedTuple):
    """When a record runs, in cycles from the start of the list."""

    begin: float
    end: float


class Schedule(NamedTuple):
    """When the records of a list run."""

    records: tuple[Queued, ...]
    spans: tuple[Span, ...]

    @property
    def cycles(self) -> float:
        """Of the whole list."""
        return max((span.end for span in self.spans), default=0.0)

    @takes_text
    def busy(self, queue: Queue) -> float:
        """Return the cycles in which a queue runs records that are passes of its unit."""
        return sum(
            span.end - span.begin
            for one, span in zip(self.records, self.spans, strict=True)
            if one.queue == queue and one.kind != CONTROL
        )

    def exposed(self) -> dict[str, float]:
        """Return the cycles in which the array has no pass, by the kind that the unit beside runs.

        Those in which neither has a record are under `WAITING`.
        """
        array = [
            span
            for one, span in zip(self.records, self.spans, strict=True)
            if one.queue == Queue.ARRAY and one.kind != CONTROL
        ]
        idle = [
            Span(before.end, after.begin)
            for before, after in zip(
                [Span(0.0, 0.0), *array], [*array, Span(self.cycles, self.cycles)], strict=True
            )
            if after.begin > before.end
        ]
        found: dict[str, float] = {}
        left = sum(span.end - span.begin for span in idle)
        at = 0
        for one, span in zip(self.records, self.spans, strict=True):
            if one.queue == Queue.ARRAY:
                continue
            while at < len(idle) and idle[at].end <= span.begin:
                at += 1
            for gap in idle[at:]:
                if gap.begin >= span.end:
                    break
                shared = min(gap.end, span.end) - max(gap.begin, span.begin)
                if shared > 0:
                    found[one.kind] = found.get(one.kind, 0.0) + shared
                    left -= shared
        if left > _ROUNDING * max(1.0, self.cycles):
            found[WAITING] = left
        return found


@takes_text
def schedule(records: Sequence[Queued], turns: Turns = Turns.EQUAL) -> Schedule:
    """Run records in two queues.

    Parameters
    ----------
    records
        In the order of the list.
    turns
        Who has a way that both units want.

    Raises
    ------
    InputError
        A record waits for what is not before it.
    """
    queues = {queue: [n for n, one in enumerate(records) if one.queue == queue] for queue in Queue}
    _check(records)
    spans: list[Span] = [Span(0.0, 0.0)] * len(records)
    ended = dict.fromkeys(Queue, 0)
    running: dict[Queue, float] = {}
    begun: dict[Queue, float] = {}
    now = 0.0
    while sum(ended.values()) < len(records):
        for queue in Queue:
            if queue in running or ended[queue] == len(queues[queue]):
                continue
            one = records[queues[queue][ended[queue]]]
            if one.wait <= ended[Queue(1 - queue)]:
                running[queue], begun[queue] = one.cycles, now
        ways = {queue: records[queues[queue][ended[queue]]].ways for queue in running}
        rates = _rates(ways, turns)
        step = min(left / rates[queue] for queue, left in running.items() if rates[queue])
        now += step
        for queue in tuple(running):
            running[queue] -= step * rates[queue]
            if running[queue] <= _ROUNDING:
                spans[queues[queue][ended[queue]]] = Span(begun[queue], now)
                ended[queue] += 1
                del running[queue]
    return Schedule(tuple(records), tuple(spans))


def in_order(records: Sequence[Queued]) -> Schedule:
    """Run records one after the other, in the order of the list."""
    spans, now = [], 0.0
    for one in records:
        spans.append(Span(now, now + one.cycles))
        now += one.cycles
    return Schedule(tuple(records), tuple(spans))


def _check(records: Sequence[Queued]) -> None:
    before = dict.fromkeys(Queue, 0)
    for one in records:
        if one.wait > before[Queue(1 - one.queue)]:
            raise InputError(
                f"{one.name}: must wait for at most {before[Queue(1 - one.queue)]} records before "
                f"it in the other queue, not {one.wait}"
            )
        before[one.queue] += 1


def _rates(ways: dict[Queue, Ways], turns: Turns) -> dict[Queue, float]:
    """Return how fast passes run beside each other, 1 being their speed alone."""
    rates = dict.fromkeys(ways, 1.0)
    if len(ways) < len(Queue):
        return rates
    for encode, array in zip(ways[Queue.ENCODE], ways[Queue.ARRAY], strict=True):
        if encode + array <= 1:
            continue
        least = {Queue.ENCODE: 0.5, Queue.ARRAY: 0.5}
        if turns is Turns.ARRAY:
            least = {Queue.ENCODE: 0.0, Queue.ARRAY: 1.0}
        for queue, own, other in ((Queue.ENCODE, encode, array), (Queue.ARRAY, array, encode)):
            got = min(own, max(least[queue], 1 - other))
            rates[queue] = min(rates[queue], got / own)
    return rates
