"""Cycles of the encode passes of a step: ResNet-18, 32x32, batch 32, SWAT and ReSprop 90 %.

`python -m benchmarks.encode_cost` prints what each kind of pass reads and writes, and how much of
it a step is longer for: in series, or beside convolutions, each unit with a queue in order. A pass
takes the largest of its bytes read, written and multiplied, at 64 a cycle each; a convolution has
the port first, and an encode pass beside it has what is left. Cycles of convolutions are means of
the recorded iterations 226 to 245 on the cycle model of `large`.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence

from benchmarks.encode_layers import LAYERS, Layer
from benchmarks.encode_passes import (
    Design,
    Lanes,
    backward_passes,
    forward_passes,
    passes,
    update_passes,
)
from benchmarks.markdown import percent, table

PORT_USE = {"forward": 0.298, "input": 0.330, "weight": 0.458}
"""Share of the read port that convolutions take, by pass: cycles of it over cycles of all."""


def convolution_cycles() -> int:
    """Return the cycles of all convolutions of a step."""
    return sum(one.forward + one.input + one.weight for one in LAYERS)


class Beside:
    """Two units, each in the order of its queue; encode passes have what the port has left."""

    def __init__(self, design: Design) -> None:
        self._own_port, self._width = design.own_port, design.width
        self.array = self.encode = 0.0
        self._busy: list[tuple[float, float, float]] = []
        """Beginning and end of convolutions, and their share of the port."""

    def convolve(self, cycles: float, ready: float, use: float) -> float:
        """Run a convolution when its operands are ready; return its end."""
        start = max(self.array, ready)
        self.array = start + cycles
        self._busy.append((start, self.array, 0.0 if self._own_port else use))
        return self.array

    def encoded(self, cycles: float, ready: float) -> float:
        """Run an encode pass, beside the convolutions that are queued before it."""
        now = max(self.encode, ready)
        self._busy = [one for one in self._busy if one[1] > now]
        for start, end, use in self._busy:
            done = min(cycles, max(0.0, start - now) * self._width)
            now, cycles = now + done / self._width, cycles - done
            if cycles == 0:
                break
            rate = min(self._width, 1 - use)
            done = min(cycles, (end - max(now, start)) * rate)
            now, cycles = max(now, start) + done / rate, cycles - done
            if cycles == 0:
                break
        self.encode = now + cycles / self._width
        return self.encode


def step_cycles(design: Design) -> float:
    """Return the cycles of a step."""
    if not design.beside:
        return convolution_cycles() + sum(one.cycles for one in passes(design)) / design.width
    units = Beside(design)
    parts = design.parts
    ready = [0.0] * parts
    waiting = 0.0
    ahead = {one: _update(one, design) for one in LAYERS[1:] if design.late_updates}
    for layer in LAYERS:
        made = forward_passes(layer, design)
        last = 0.0
        if layer in ahead:
            updated = units.encoded(ahead.pop(layer), 0.0)
            ready = [max(one, updated) for one in ready]
        for part in range(parts):
            last = units.convolve(layer.forward / parts, ready[part], PORT_USE["forward"])
        # Groups of the layers behind it, while this one's convolution has time for them.
        share = min(design.width, 1.0 if design.own_port else 1 - PORT_USE["forward"])
        for later in list(ahead):
            cycles = min(ahead[later], max(0.0, units.array - units.encode) * share)
            units.encoded(cycles, 0.0)
            ahead[later] -= cycles
            if ahead[later] > 0:
                break
            del ahead[later]
        if layer.name[-1] == "s":
            waiting = sum(one.cycles for one in made)
            units.encoded(waiting, last)
            continue
        # The sum over the batch of what was saved is not waited for.
        chain = [one for one in made if one.kind != "reuse"]
        whole = sum(one.cycles for one in chain if one.kind in ("statistics", "selection"))
        rest = sum(one.cycles for one in chain) - whole
        units.encoded(whole, last)
        ready = [units.encoded(rest / parts, last) for _ in range(parts)]
        units.encoded(sum(one.cycles for one in made) - whole - rest, 0.0)
    return _backward(units, max(ready), design)


def _update(layer: Layer, design: Design) -> float:
    return sum(one.cycles for one in update_passes(layer, design))


def _backward(units: Beside, ready: float, design: Design) -> float:
    """Return the end of a step whose forward pass is done at `ready`."""
    updates: list[tuple[float, float]] = []
    for layer in reversed(LAYERS):
        made = sum(one.cycles for one in backward_passes(layer, design))
        ready = units.encoded(made, ready)
        # Behind the passes that others wait for: updates of layers whose gradients are there.
        for cycles, since in updates[:-1]:
            units.encoded(cycles, since)
        del updates[:-1]
        if layer.input:
            end = units.convolve(layer.input, ready, PORT_USE["input"])
        weights = units.convolve(layer.weight, ready, PORT_USE["weight"])
        if not design.late_updates or layer is LAYERS[0]:
            updates.append((_update(layer, design), weights))
        if layer.input:
            # What comes next waits for the gradient of its results, not for that of weights.
            ready = end
    for cycles, since in updates:
        units.encoded(cycles, since)
    return max(units.encode, units.array)


DESIGNS = {
    "in series": Design(beside=False, sums_at_drain=False),
    "in series, sums at the drain": Design(beside=False),
    "the same, updates in two passes": Design(beside=False, one_update=False),
    "the same, masks from strips": Design(beside=False, mask_bits=False),
    "the same, broadcast tensors held": Design(beside=False, held_broadcast=True),
    "beside, whole batches, updates in the same step": Design(
        parts=1, sums_at_drain=False, late_updates=False
    ),
    "the same, updates beside the next forward pass": Design(parts=1, sums_at_drain=False),
    "the same, sums at the drain": Design(parts=1),
    "the same, batches in 4 parts": Design(),
    "the same, but no sums at the drain": Design(sums_at_drain=False),
    "sums at the drain, 4 parts, broadcast tensors held": Design(held_broadcast=True),
    "sums at the drain, 4 parts, a port of its own": Design(own_port=True),
    "sums at the drain, 4 parts, four tensors": Design(fourth=True),
    "sums at the drain, 4 parts, four tensors, broadcast tensors held": Design(
        fourth=True, held_broadcast=True
    ),
    "all of these but the fourth": Design(held_broadcast=True, own_port=True),
    "16 lanes, sums at the drain, 4 parts": Design(lanes=Lanes()),
    "16 lanes, held": Design(lanes=Lanes(), held_broadcast=True),
    "16 lanes, held, 8 parts": Design(lanes=Lanes(), held_broadcast=True, parts=8),
    "16 lanes, one sum a turn": Design(lanes=Lanes(sums=1)),
    "16 lanes, one sum a turn, held": Design(lanes=Lanes(sums=1), held_broadcast=True),
    "16 lanes, one sum a turn, held, 8 parts": Design(
        lanes=Lanes(sums=1), held_broadcast=True, parts=8
    ),
    "16 lanes, biases with tensors, held": Design(lanes=Lanes(bias=0), held_broadcast=True),
    "16 lanes of one product, held": Design(lanes=Lanes(products=1), held_broadcast=True),
    "8 lanes, held": Design(lanes=Lanes(count=8), held_broadcast=True),
    "32 lanes, held": Design(lanes=Lanes(count=32), held_broadcast=True),
    "32 lanes of one product, held": Design(
        lanes=Lanes(count=32, products=1, plain=0, bias=0, sums=0), held_broadcast=True
    ),
    "32 lanes of one product, biases apart, held": Design(
        lanes=Lanes(count=32, products=1, plain=0, sums=0), held_broadcast=True
    ),
    "half as wide, in series, sums at the drain": Design(beside=False, width=0.5),
    "half as wide, sums at the drain, 4 parts": Design(width=0.5),
    "half as wide, sums at the drain, 4 parts, broadcast tensors held": Design(
        width=0.5, held_broadcast=True
    ),
}


def by_kind(design: Design) -> dict[str, tuple[float, float, float]]:
    """Return bytes read, bytes written and cycles of each kind of pass."""
    found: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for one in passes(design):
        for n, value in enumerate((one.read, one.written, one.cycles)):
            found[one.kind][n] += value
    return {kind: (read, wrote, cycles) for kind, (read, wrote, cycles) in found.items()}


def text(designs: dict[str, Design]) -> str:
    """Return the tables."""
    base = convolution_cycles()
    kinds = by_kind(Design(sums_at_drain=False))
    rows: Sequence[Sequence[str]] = [
        [kind, f"{read / 1e6:.1f}", f"{wrote / 1e6:.1f}", f"{cycles / 1e3:,.0f}",
         percent(cycles / base)]
        for kind, (read, wrote, cycles) in kinds.items()
    ]  # fmt: skip
    exposed = []
    for name, design in designs.items():
        more = step_cycles(design) - base
        exposed.append([name, f"{more / 1e3:,.0f}", percent(more / (base + more))])
    return "\n\n".join([
        f"Convolutions: {base:,} cycles.",
        table(["pass", "MB read", "MB written", "thousand cycles", "of convolutions"], rows),
        table(["encode passes", "thousand cycles exposed", "of the step"], exposed),
    ])  # fmt: skip


if __name__ == "__main__":
    sys.stdout.write(text(DESIGNS) + "\n")
