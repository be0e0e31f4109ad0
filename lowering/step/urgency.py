"""In which order a step's operations are listed: those first that most of the step waits for.

Each unit takes the records of its queue in the order of the list, so that one that waits holds all
behind it. Operations are therefore listed as two units would take them that run, of what can run,
what has the longest chain of operations behind it to the end of the step (list scheduling by
critical paths: T. C. Hu, Operations Research 9(6), 1961). Cycles are estimated by sizes alone;
wrong ones cost time, but nothing else: what waits for what is by names (`lowering.step.order`).
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from typing import NamedTuple

from gscn.array import ArrayConfig
from gscn.control import Queue
from gscn.encode import Thresholds
from gscn.lowering.step.order import Touched
from gscn.passes import VECTOR
from gscn.step import Convolve, Encode, Operation, Step, Stop

_CONTROL, _RECORD = 100, 700
"""Cycles of a control record, and of an encode pass beside its vectors."""
_WIDE_TURNS, _TURN_TURNS = 3, 4
"""Of a vector of float32; of one that is turned."""


class Piece(NamedTuple):
    """Something to be listed."""

    queue: Queue
    touches: Touched
    cycles: float


class Turn(NamedTuple):
    """Passes that put the result of a weight gradient in the order of weights."""

    op: Convolve

    @property
    def name(self) -> str:
        """Of the passes."""
        return f"{self.op.result}.turn"


def blocks_of(operations: list[Operation | Turn]) -> list[list[Operation | Turn]]:
    """Return operations in blocks: those that run again if a host goes back are in one."""
    found: list[list[Operation | Turn]] = []
    for op in operations:
        block = [op]
        if isinstance(op, Stop) and op.again:
            while block[0] is op or block[0].name != op.again:
                block = [*found.pop(), *block]
        found.append(block)
    return found


def cycles_of(op: Operation | Turn, step: Step, config: ArrayConfig) -> float:
    """Return about how long an operation takes: its turns of lanes, or its products."""
    if isinstance(op, Convolve):
        shares = math.prod(_density(name, step) for name in (op.first, op.second))
        return op.shape.dense_macs * shares / config.multipliers
    if isinstance(op, Turn):
        return _RECORD + _TURN_TURNS * math.prod(op.op.shape.w_shape) / VECTOR
    if not isinstance(op, Encode):
        return _CONTROL
    used = [step.tensors[use.name] for use in op.tensors if use is not None]
    turns = 1 + ("second" in op.results) + bool(op.fields.get("dot"))
    if any(tensor.wide for tensor in used):
        turns *= _WIDE_TURNS
    return _RECORD + turns * max(math.prod(tensor.shape) for tensor in used) / VECTOR


def _density(name: str, step: Step) -> float:
    """Return which share of an operand its thresholds are meant to keep."""
    made = next(
        (op for op in step.operations if isinstance(op, Encode) and op.results.get("a") == name),
        None,
    )
    if made is None or made.fields.get("thresholds") != Thresholds.STATE:
        return 1.0
    state = step.states[made.state]
    size = max(math.prod(step.tensors[use.name].shape) for use in made.tensors if use is not None)
    return (state.keep or state.high) / size


def by_urgency(pieces: Sequence[Piece]) -> list[int]:
    """Return the numbers of pieces in an order in which two units wait little.

    Parameters
    ----------
    pieces
        In an order in which each is behind those whose results it reads; one that must not run
        before, or with, another stays behind it.
    """
    behind = _behind(pieces)
    ahead = [0] * len(pieces)
    chains = [0.0] * len(pieces)
    for number in reversed(range(len(pieces))):
        for other in behind[number]:
            ahead[other] += 1
        chains[number] = pieces[number].cycles + max(
            (chains[other] for other in behind[number]), default=0.0
        )
    ready: dict[Queue, list[tuple[float, int]]] = {queue: [] for queue in Queue}
    running: list[tuple[float, int]] = []
    free = set(Queue)
    found: list[int] = []
    for number, piece in enumerate(pieces):
        if not ahead[number]:
            heapq.heappush(ready[piece.queue], (-chains[number], number))
    now = 0.0
    while len(found) < len(pieces) or running:
        for queue in sorted(free):
            if ready[queue]:
                _, number = heapq.heappop(ready[queue])
                found.append(number)
                free.remove(queue)
                heapq.heappush(running, (now + pieces[number].cycles, number))
        now, number = heapq.heappop(running)
        free.add(pieces[number].queue)
        for other in behind[number]:
            ahead[other] -= 1
            if not ahead[other]:
                heapq.heappush(ready[pieces[other].queue], (-chains[other], other))
    return found


def _behind(pieces: Sequence[Piece]) -> list[set[int]]:
    """Return which pieces must wait for each, those left out that wait for others which do."""
    wrote: dict[str, int] = {}
    read: dict[str, list[int]] = {}
    found: list[set[int]] = [set() for _ in pieces]
    for number, piece in enumerate(pieces):
        reads, writes = piece.touches
        earlier = {wrote[name] for name in reads | writes if name in wrote}
        for name in writes:
            earlier.update(read.pop(name, ()))
            wrote[name] = number
        for name in reads:
            read.setdefault(name, []).append(number)
        for other in earlier - {number}:
            found[other].add(number)
    return found
