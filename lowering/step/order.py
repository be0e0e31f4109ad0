"""What of a step's operations waits for what, by the names of what they read and write."""

from __future__ import annotations

from typing import NamedTuple

from gscn.control import Queue
from gscn.enums import takes_text
from gscn.step import Convolve, Encode, Operation, Stop, Top, Walk

BEGUN = "what the host does first"


class Touched(NamedTuple):
    """Names that an operation reads, and those that it writes."""

    reads: frozenset[str]
    writes: frozenset[str]

    def meets(self, other: Touched) -> bool:
        """Say whether one of two operations must wait for the other."""
        return bool(self.writes & (other.reads | other.writes) or self.reads & other.writes)


def joined(touches: list[Touched]) -> Touched:
    """Return what several operations touch."""
    return Touched(
        frozenset().union(*(one.reads for one in touches)),
        frozenset().union(*(one.writes for one in touches)),
    )


def touched(op: Operation) -> Touched:
    """Return what an operation reads and writes: tensors, strips, bits, sums, rows, states.

    A convolution also reads the top of its window.
    """
    if isinstance(op, Encode):
        reads = {use.name for use in op.tensors if use is not None}
        reads |= {op.state, op.rows, *([op.mask] if op.mask else [])}
        if op.walk is Walk.ONE:
            reads.add(op.name)
        return Touched(frozenset(reads), frozenset({*op.results.values(), op.state}))
    if isinstance(op, Convolve):
        return Touched(frozenset({op.first, op.second, top_of(op.name)}), frozenset({op.result}))
    if isinstance(op, Top):
        target = top_of(op.target) if op.which == "window" else op.target
        return Touched(frozenset(op.states), frozenset({target}))
    return _of_stop(op)


def top_of(name: str) -> str:
    """Return the name of the top of a convolution's window."""
    return f"top of {name}"


NOTHING = Touched(frozenset(), frozenset())


def _of_stop(op: Stop) -> Touched:
    """Return what the host reads and writes, its own scalars of layers among it."""
    own, scalars, learned = op.layer, f"scalars of {op.layer}", f"parameters of {op.layer}"
    reads, writes = {
        "begin": ([], [BEGUN, "images", "s.images"]),
        "loss": ([f"y.{own}"], ["dlogits"]),
        "forward": (
            [f"sums.{own}", f"s.sums.{own}", learned, f"scalars of {op.after}"],
            [f"a.{own}", scalars],
        ),
        "backward": ([f"dsums.{own}", f"s.dsums.{own}", scalars], [f"b.{own}", learned]),
        "bias": ([learned], [f"a.{own}"]),
        "moved": ([f"dsums.{own}", f"s.dsums.{own}"], [learned]),
        "kept": ([f"st.{own}"], [f"t.{own}"]),
        "thresholds": ([f"dt.{own}", f"s.dt.{own}"], [f"t.{own}"]),
    }[op.what]
    return Touched(frozenset(reads), frozenset(writes))


class Order:
    """Records of both queues, in the order of the list, and what they have waited for."""

    def __init__(self) -> None:
        self._queues: dict[Queue, list[Touched]] = {queue: [] for queue in Queue}
        self._awaited = dict.fromkeys(Queue, 0)

    @takes_text
    def wait(self, queue: Queue, own: Touched) -> int:
        """Return how many records of the other queue the next record of a queue must find ended.

        0 if it waits for nothing that records before it in its own queue have not waited for.
        """
        others = self._queues[Queue(1 - queue)]
        for number in range(len(others) - 1, self._awaited[queue] - 1, -1):
            if own.meets(others[number]):
                self._awaited[queue] = number + 1
                return number + 1
        return 0

    @takes_text
    def add(self, queue: Queue, own: Touched) -> None:
        """Add the next record of a queue."""
        self._queues[queue].append(own)
