"""The gradients of a training step in parts, in an order that keeps DRAM and multipliers busy.

A pass takes the longer of its time on the array and of DRAM's, and 1x1 kernels need DRAM where 3x3
ones need multipliers. Behind a buffer that works ahead (`gscn.dram.Dram.ahead_bytes`) a pass leaves
results to the one behind it, and finds lines that were read under the one before it; as many as the
buffer has room for, which is little beside a whole pass. So passes are cut into parts, input
gradients by samples, weight gradients by output channels, each a pass of the list by itself, and
parts of both kinds take turns.

The order keeps what depends on what: an input gradient comes behind that of the layer after it,
a weight gradient at any time from then on. Nothing is read ahead for a layer's first input gradient
if what makes its operand has just been computed. Forward passes have no such choice: each needs all
results of the one before. They stay as they are.

This is at most what such a buffer brings: that lines come early lets clusters of a weight gradient
drift apart, and each then reads for itself, which the closed form of bytes does not know
(`python -m benchmarks.parts` runs stretches of the list on the cycle model).

Taken for granted: each part's operand is a tensor with a table of its own, as encode passes may
write it; a driver that makes the list. Encode passes between layers are not in it, as they are not
between whole passes.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gscn.array import ArrayConfig
from gscn.conv import Pass
from gscn.dram import Dram
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.passes import VECTOR
from gscn.perf.estimate.closed_form import closed_form_costs, driver_reads
from gscn.perf.estimate.result import BACKWARD, NetworkEstimate, PassEstimate
from gscn.perf.workload.work import Work

_COUNTS = (1, 2, 4, 8)
"""Parts of a pass."""
_SLOWER = (1, 2, 4)
"""How much slower than it is a driver is told that DRAM is."""
PART_CYCLES = 1000.0
"""Cycles that a part takes longer than the closed form says: begin and end of a pass."""
_PRICES = (0.05, 0.1, 0.2, 0.3, 0.5)
"""Tried; of an idle cycle of the array (`_choose`)."""
_SAVINGS = 12
"""Steps in which it is tried from which layer on weight gradients are put in (`_ordered`)."""
_FULL = 0.8
"""Of the buffer's room, from which on parts of the other kind are put in."""
_SLICES = 4
"""Of a part, in which its reads and results are taken to be spread evenly."""


class Cost(NamedTuple):
    """What one part takes, cycles."""

    array: float
    read: float
    """Of DRAM; `write` likewise."""
    write: float

    @property
    def dram(self) -> float:
        """Both directions."""
        return self.read + self.write


class Way(NamedTuple):
    """A way to cut a pass."""

    count: int
    """Of parts that are alike."""
    cost: Cost
    works: tuple[Work, ...]
    """Convolutions of a part."""


class Part(NamedTuple):
    """One pass of the list."""

    layer: str
    which: Pass
    cost: Cost
    works: tuple[Work, ...]
    follows: bool
    """Its operand is a result of what comes right before it in time: nothing is read ahead."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StepInParts:
    """A training step with its gradients in parts."""

    forward_cycles: float
    backward_cycles: float
    dense_cycles: float
    """Of the dense array, if everything of its backward passes overlaps."""
    array_cycles: float
    """Of all parts, if nothing ever waited; `dram_cycles` likewise."""
    dram_cycles: float
    parts: tuple[Part, ...]

    @property
    def cycles(self) -> float:
        """Of the step."""
        return self.forward_cycles + self.backward_cycles

    @property
    def speedup(self) -> float:
        """Over the dense array."""
        return self.dense_cycles / self.cycles


def run_parts(parts: Sequence[Part], room: float) -> float:
    """Return the cycles of a list of parts, in order.

    Parameters
    ----------
    parts
        In order.
    room
        Cycles in which DRAM fills the part of the buffer that is for work ahead.
    """
    now = late = found = 0.0
    for part, behind in itertools.zip_longest(parts, parts[1:]):
        array, read, write = part.cost
        wanted = 0.0 if behind is None or behind.follows else behind.cost.read
        ahead = 0.0
        for _ in range(_SLICES):
            from_buffer = min(found, read / _SLICES)
            found -= from_buffer
            reading = read / _SLICES - from_buffer
            time = max(array / _SLICES, reading)
            late += write / _SLICES
            idle = time - reading
            written = min(late, idle)
            late -= written
            more = min(idle - written, room - late - found - ahead, wanted - ahead)
            ahead += max(more, 0.0)
            # results that have no room are waited for
            over = max(0.0, min(late, late + found + ahead - room))
            late -= over
            now += time + over
        found = ahead
    return now + late


def _cut(work: Work, parts: int) -> Work | None:
    """Return one of so many parts of a pass, if they are equal."""
    shape = work.shape
    if work.which is Pass.WEIGHT_GRAD:
        if shape.k % parts or (parts > 1 and shape.k // parts % VECTOR):
            return None
        return dataclasses.replace(work, shape=dataclasses.replace(shape, k=shape.k // parts))
    if shape.n % parts:
        return None
    return dataclasses.replace(work, shape=dataclasses.replace(shape, n=shape.n // parts))


def _costs(config: ArrayConfig, one: PassEstimate, dram: Dram) -> list[Way]:
    """Return ways to cut a pass.

    The array's cycles, and results, are to those of the estimate as the closed form of the part is
    to that of the whole pass. Told that DRAM is slower, a driver cuts parts so that they read less.
    """
    found = []
    wholes = closed_form_costs(config, [item.work for item in one.works], dram=one.works[0].dram)
    for count, slower in itertools.product(_COUNTS, _SLOWER):
        parts = [_cut(item.work, count) for item in one.works]
        if None in parts:
            continue
        known = Dram(bytes_per_cycle=dram.bytes_per_cycle / slower, buffer_bytes=dram.kept_bytes)
        costs = closed_form_costs(config, parts, dram=known)
        array = read = 0.0
        for item, part, whole, cost in zip(one.works, parts, wholes, costs, strict=True):
            times = driver_reads(config, part, known)
            array += cost.cycles * item.array_cycles / whole.cycles
            read += sum(n * often for n, often in zip(cost.operand_bytes, times, strict=True))
        write = sum(item.write_bytes for item in one.works) / count
        begin = PART_CYCLES * (count > 1)
        cost = Cost(array + begin, dram.cycles(read), dram.cycles(write))
        found.append(Way(count, cost, tuple(parts)))
    return found


def _choose(ways: Iterable[Way], price: float, room: float) -> Way:
    """Return the cheapest way to cut a pass.

    Time that DRAM lacks beyond the array's can be hidden by other parts, up to the buffer's `room`
    for each part, and time that it has left is worth as much to them: a cycle of either costs the
    share `1 - price`, or `price`, of one that nobody can use.
    """

    def worth(way: Way) -> float:
        count, cost, _ = way
        lacks = cost.dram - cost.array
        if lacks > 0:
            return count * (cost.dram - price * min(lacks, room))
        return count * (cost.array - (1 - price) * min(-lacks, room))

    return min(ways, key=worth)


class _Turns:
    """Puts parts in order: weight gradients where they even out what DRAM and the array do."""

    def __init__(self, room: float) -> None:
        """Begin a list."""
        self._room = 0.8 * room
        self._owed = 0.0
        """Cycles that DRAM is behind the array; negative: before it, as far as there is room."""
        self._waiting: dict[str, Way] = {}
        self.parts: list[Part] = []

    def offer(self, layer: str, way: Way) -> None:
        """Let a layer's weight gradient be put in from now on."""
        self._waiting[layer] = way

    def put(self, layer: str, which: Pass, way: Way, *, follows: bool) -> None:
        """Add a part."""
        self.parts.append(Part(layer, which, way.cost, way.works, follows))
        owed = self._owed + way.cost.dram - way.cost.array
        self._owed = min(max(owed, -self._room), self._room)

    def fill(self, *, slow: bool) -> bool:
        """Put in a part of a weight gradient that needs much of DRAM, or little if that is `slow`.

        Return whether there is one.
        """
        sign = -1 if slow else 1
        fits = {
            layer: sign * (way.cost.dram / way.cost.array - 1)
            for layer, way in self._waiting.items()
        }
        layer = max(fits, key=fits.__getitem__, default=None)
        if layer is None or fits[layer] <= 0:
            return False
        way = self._waiting.pop(layer)
        self.put(layer, Pass.WEIGHT_GRAD, way, follows=False)
        if way.count > 1:
            self._waiting[layer] = way._replace(count=way.count - 1)
        return True

    def even_out(self, cost: Cost, *, saving: bool) -> None:
        """Put weight gradients before a part of an input gradient that would leave one side idle.

        `saving` keeps those that need little of DRAM for later layers.
        """
        while True:
            owed = self._owed + cost.dram - cost.array
            late = not saving and self._owed > 0 and owed > _FULL * self._room
            early = self._owed < 0 and owed < -_FULL * self._room
            if not (late or early) or not self.fill(slow=late):
                return

    def finish(self) -> None:
        """Put all that is left."""
        while self._waiting:
            slow = self._owed > 0
            if not self.fill(slow=slow):
                self.fill(slow=not slow)


def _ordered(
    layers: Sequence[str],
    ways: Mapping[tuple[str, Pass], Way],
    room: float,
    saving: int,
) -> list[Part]:
    """Return the parts in order; `saving` layers from the last one on keep weight gradients."""
    turns = _Turns(room)
    for number, layer in enumerate(reversed(layers)):
        if (layer, Pass.WEIGHT_GRAD) in ways:
            turns.offer(layer, ways[layer, Pass.WEIGHT_GRAD])
        way = ways.get((layer, Pass.INPUT_GRAD))
        if way is None:
            continue
        for index in range(way.count):
            turns.even_out(way.cost, saving=number < saving)
            turns.put(layer, Pass.INPUT_GRAD, way, follows=index == 0)
    turns.finish()
    return turns.parts


def dense_cycles(result: NetworkEstimate) -> float:
    """Return the dense array's cycles, whose backward passes overlap without a limit."""
    backward = [one.dense for one in result.chosen(BACKWARD)]
    array = sum(max(one.compute_cycles, one.read_cycles, one.write_cycles) for one in backward)
    forward = sum(one.dense.cycles for one in result.chosen((Pass.FORWARD,)))
    return forward + max(array, sum(one.dram_cycles for one in backward))


@takes_text
def in_parts(result: NetworkEstimate, ahead_bytes: int) -> StepInParts:
    """Return the step with its gradients in parts behind a buffer that works ahead.

    Parameters
    ----------
    result
        The step by whole passes, behind a DRAM with a buffer.
    ahead_bytes
        Of that buffer, what is for work ahead in backward passes.

    Raises
    ------
    InputError
        The estimate has no DRAM, or its buffer not so many bytes.
    """
    if result.dram is None or not ahead_bytes:
        raise InputError("a DRAM, and bytes of its buffer for work ahead, must be given")
    dram = dataclasses.replace(result.dram, ahead_bytes=ahead_bytes)
    room = dram.cycles(ahead_bytes)
    backward = result.chosen(BACKWARD)
    every = {(one.layer.name, one.which): _costs(result.config, one, dram) for one in backward}
    layers = [layer.name for layer in result.network.layers]
    best: tuple[float, list[Part]] | None = None
    for price in _PRICES:
        ways = {key: _choose(found, price, room) for key, found in every.items()}
        for saving in range(0, len(layers) + 1, max(1, len(layers) // _SAVINGS)):
            parts = _ordered(layers, ways, room, saving)
            cycles = run_parts(parts, room)
            if best is None or cycles < best[0]:
                best = cycles, parts
    cycles, parts = best
    return StepInParts(
        forward_cycles=result.cycles((Pass.FORWARD,)),
        backward_cycles=cycles,
        dense_cycles=dense_cycles(result),
        array_cycles=sum(part.cost.array for part in parts),
        dram_cycles=sum(part.cost.dram for part in parts),
        parts=tuple(parts),
    )


def parts_json(step: StepInParts, ahead_bytes: int) -> dict[str, object]:
    """Return a step as JSON."""
    return {
        "ahead_bytes": ahead_bytes,
        "training_speedup_vs_dense": step.speedup,
        "training_cycles": step.cycles,
        "backward_cycles": step.backward_cycles,
        "backward_array_cycles": step.array_cycles,
        "backward_dram_cycles": step.dram_cycles,
        "dense_cycles": step.dense_cycles,
        "parts": [
            {"layer": part.layer, "pass": str(part.which), **part.cost._asdict()}
            for part in step.parts
        ],
    }
