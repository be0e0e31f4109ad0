"""In which order a step's operations are listed: those first that most of the step waits for.

Each unit takes the records of its queue in the order of the list, so that one that waits holds all
behind it. Operations are therefore listed as two units would take them that run, of what can run,
what has the longest chain of operations behind it to the end of the step (list scheduling by
critical paths: T. C. Hu, Operations Research 9(6), 1961). A long one that little waits for may
then be in the way when the other unit is done with what a more urgent one reads; so a second list
is made by a unit that leaves such alone, and stands still if there is nothing shorter. The list
that ends first is taken. Cycles are estimated by sizes alone; wrong ones cost time, but nothing
else: what waits for what is by names (`lowering.step.order`).
"""

from __future__ import annotations

import bisect
import heapq
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gscn.array import ArrayConfig
from gscn.control import LINKS, Queue
from gscn.conv import Pass
from gscn.encode import Activation, Thresholds
from gscn.lowering.step.order import Touched
from gscn.lowering.step.shapes import of_part
from gscn.passes import VECTOR
from gscn.step import Convolve, Encode, Operation, Step, Stop, Tensor, Top, Walk

_CONTROL, _RECORD = 100, 700
"""Cycles of a control record, and of an encode pass beside its vectors."""
_WIDE_TURNS, _TURN_TURNS = 3, 4
"""Of a vector of float32; of one that is turned."""
_LINE_BYTES = 64
_CLEARED = 0.5
"""Share of a map that a ReLU is taken to leave."""


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
        return of_part(f"{self.op.result}.turn", self.op.part)


def turned_name(op: Convolve) -> str:
    """Return the name of a weight gradient that is not in the order of weights yet."""
    return of_part(f"{op.result}.turned", op.part)


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


def grouped(operations: list[Operation | Turn]) -> Iterator[list[Operation | Turn]]:
    """Yield operations, tops that follow each other together."""
    tops: list[Operation | Turn] = []
    for op in operations:
        if isinstance(op, Top) and len(tops) < LINKS:
            tops.append(op)
            continue
        if tops:
            yield tops
        tops = [op] if isinstance(op, Top) else []
        if not tops:
            yield [op]
    if tops:
        yield tops


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
    if _is_transposed(op, used[0]):
        turns = _TURN_TURNS
    elif any(tensor.wide for tensor in used):
        turns *= _WIDE_TURNS
    # Samples lie apart, so that each vector of one is a line of its own.
    lines = sum(1 if op.walk is Walk.SAMPLES else _lines(tensor.wide) for tensor in used)
    made = sum(_lines(op.wide) for part in ("dense", "second") if part in op.results)
    shapes = [op.shape] if op.walk is Walk.ONE else [tensor.shape for tensor in used]
    values = max(map(math.prod, shapes)) / (op.part.count if op.part else 1)
    return _RECORD + max(turns, lines, made) * values / VECTOR


def _lines(wide: bool) -> float:
    return VECTOR * (4 if wide else 2) / _LINE_BYTES


def _is_transposed(op: Encode, tensor: Tensor) -> bool:
    """Say whether lanes of an operand lie across those of its weights."""
    if op.operand is None or not tensor.weights:
        return False
    return tensor.by_output is not (op.operand.which is Pass.FORWARD)


def _density(name: str, step: Step) -> float:
    """Return which share of an operand is expected: what its thresholds are meant to keep."""
    made = step.makers.get(name)
    if made is None:
        return 1.0
    if made.fields.get("thresholds") != Thresholds.STATE or made.results.get("a") != name:
        source = made.results.get("dense", made.tensors[0].name if made.tensors[0] else "")
        of = step.sources.get(source)
        cleared = of is not None and of.fields.get("activation") == Activation.RELU
        return _CLEARED if cleared else 1.0
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
    return min((_listed(pieces, patient=patient) for patient in (False, True)), key=_end).order


class _Listed(NamedTuple):
    """An order, and when it ends."""

    order: list[int]
    end: float


def _end(made: _Listed) -> float:
    return made.end


def _listed(pieces: Sequence[Piece], *, patient: bool) -> _Listed:
    """List pieces as two units take them; `patient` ones begin nothing that gets in the way."""
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
            bisect.insort(ready[piece.queue], (-chains[number], number))
    now = 0.0
    while len(found) < len(pieces) or running:
        # The array first, so that it is known when what it begins now will end.
        for queue in sorted(free, reverse=True):
            soon = [
                (end, chains[other])
                for end, number in (running if patient else ())
                for other in behind[number]
                if ahead[other] == 1 and pieces[other].queue == queue
            ]
            one = _next(ready[queue], soon, now, pieces)
            if one is not None:
                ready[queue].remove(one)
                found.append(one[1])
                free.remove(queue)
                heapq.heappush(running, (now + pieces[one[1]].cycles, one[1]))
        now, number = heapq.heappop(running)
        free.add(pieces[number].queue)
        for other in behind[number]:
            ahead[other] -= 1
            if not ahead[other]:
                bisect.insort(ready[pieces[other].queue], (-chains[other], other))
    return _Listed(found, now)


def _next(
    ready: list[tuple[float, int]],
    soon: list[tuple[float, float]],
    now: float,
    pieces: Sequence[Piece],
) -> tuple[float, int] | None:
    """Return the first of what is ready that has ended when something more urgent will be.

    Parameters
    ----------
    ready
        Chains, negative, and numbers of pieces, in order.
    soon
        When pieces will be ready, and their chains.
    now, pieces
        When it would begin, and all pieces.
    """
    for one in ready:
        end = now + pieces[one[1]].cycles
        if all(end <= time or -one[0] >= chain for time, chain in soon):
            return one
    return None


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
