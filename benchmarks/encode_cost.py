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
from dataclasses import dataclass

from benchmarks.encode_layers import BATCH, LAYERS, Layer
from benchmarks.markdown import percent, table

PORT_BYTES = 64
REFRESH = 10
"""Iterations from one exact selection to the next."""
RECTIFIED, SAVED, KEPT_WEIGHTS, KEPT_GRADS = 0.5, 0.1, 0.1, 0.15
"""Densities: behind ReLU, SWAT's of saved activations and weights, ReSprop's target."""
SELECTIONS_BF16, SELECTIONS_FLOAT32 = 2, 4
"""Passes of an exact selection: 8 bits of a magnitude each."""
PORT_USE = {"forward": 0.298, "input": 0.330, "weight": 0.458}
"""Share of the read port that convolutions take, by pass: cycles of it over cycles of all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Design:
    """What is varied."""

    sums_at_drain: bool = True
    """The forward sums of normalisation are formed where convolutions write their results."""
    one_update: bool = True
    """Momenta and weights are updated in one pass, not in two."""
    mask_bits: bool = True
    """ReLU's mask is a bit per value, not the strips of what it kept."""
    beside: bool = True
    """Encode passes run beside convolutions of other tensors."""
    parts: int = 4
    """Parts of a batch by which a normalisation, and the convolution behind it, are handed on."""
    held_broadcast: bool = False
    """A tensor that is added to every sample is read once, and held for a group of channels."""
    late_updates: bool = True
    """Updates run beside the next step's forward pass, each before its layer is needed."""
    own_port: bool = False
    """The unit has a port of its own."""
    width: float = 1.0
    """Of the unit, as a share of the port's."""
    fourth: bool = False
    """A pass combines four tensors."""
    lean: bool = False
    """A quarter of the lanes has multipliers for float32, and sums take turns with products."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Encode:
    """An encode pass, on the average of iterations."""

    kind: str
    read: float
    written: float
    multiplied: float = 0.0
    """Bytes of values that take a multiplier, which are as wide as the port; 0: what is read."""

    @property
    def cycles(self) -> float:
        """At the rate of port and multipliers."""
        return max(self.read, self.written, self.multiplied) / PORT_BYTES


def strip_share(density: float) -> float:
    """Return the bytes of a value of 16 bits in strips, nonzeros being independent."""
    return 2 * density + (1 - (1 - density) ** 16) / 8 + 1 / 128


def _joins(layer: Layer) -> bool:
    """Say whether a residual is added to what a layer normalises."""
    return layer.name[-1] == "2"


def _is_strided(layer: Layer) -> bool:
    """Say whether layers of stride 2 read what a layer's normalisation gives."""
    return layer.name in ("1.1.2", "2.1.2", "3.1.2")


def forward_passes(layer: Layer, design: Design) -> list[Encode]:
    """Return the passes that make the next layer's inputs of a layer's results."""
    n = layer.results
    found = []
    if not design.sums_at_drain:
        found.append(Encode(kind="statistics", read=2 * n, written=0))
    if layer.name[-1] == "s":
        # Its scale and bias are part of the sum with the block's other branch.
        return found
    sources = 2 * n * (2 if _joins(layer) else 1)
    # The dense copy is for residuals, and for the strided layers' order.
    dense = 2 * n if _joins(layer) or layer.name == "stem" else 0
    mask = n / 8 if design.mask_bits else 0
    strips = n * (strip_share(RECTIFIED) + strip_share(SAVED))
    found += [
        Encode(kind="selection", read=sources * SELECTIONS_BF16 / REFRESH, written=0),
        Encode(kind="normalisation", read=sources, written=dense + mask + strips),
    ]
    if _is_strided(layer):
        # Phases as channels for the layer of 3x3, one phase for that of 1x1.
        found.append(
            Encode(
                kind="strided order", read=2 * n * 1.25,
                written=n * 1.25 * (strip_share(RECTIFIED) + strip_share(SAVED) / 5),
            )
        )  # fmt: skip
    # The batch's sum of what was saved, for the reused gradient's product: with samples as the
    # innermost loop, which strips do not have, so that the same is computed again.
    found.append(Encode(kind="reuse", read=sources, written=2 * n / BATCH))
    return found


def backward_passes(layer: Layer, design: Design) -> list[Encode]:
    """Return the passes that make a layer's output gradient of those that come in."""
    n = layer.results
    mask = n / 8 if design.mask_bits else n * strip_share(RECTIFIED)
    joins = _joins(layer) or layer.name == "stem"
    shortcut = layer.name[-1] == "s"
    broadcast = 2 * n / (BATCH if design.held_broadcast else 1)
    found = []
    if joins and layer.name != "4.1.2" and design.fourth:
        # Gradients of both branches, of the reused sample, and the result.
        found.append(Encode(kind="gradient sums", read=6 * n + broadcast + mask, written=2 * n))
    elif joins and layer.name != "4.1.2":
        # Gradients of both branches, and of the reused sample.
        found.append(Encode(kind="branches", read=4 * n + broadcast + mask, written=2 * n))
        mask = 0
    read = 4 * n + (0 if joins or shortcut else broadcast)
    kept = 0 if joins or shortcut else 2 * n
    read_mask = 0 if shortcut else mask
    # Gradient, and reused sample's, sum and sum of products take turns.
    turns = 6 * n + (0 if joins or shortcut else 2 * n) if design.lean else 0
    if not any(one.kind == "gradient sums" for one in found):
        found.append(
            Encode(kind="gradient sums", read=read + read_mask, written=kept, multiplied=turns)
        )
    found += [
        # Gradient, result, and the reused sample's gradient.
        Encode(kind="gradient", read=4 * n + broadcast, written=n * 2 * strip_share(KEPT_GRADS)),
        Encode(kind="reuse", read=4 * n / BATCH, written=(2 + strip_share(1)) * n / BATCH),
    ]
    return found


def update_passes(layer: Layer, design: Design) -> list[Encode]:
    """Return the passes of a layer's weights."""
    m = layer.weights
    strips = m * strip_share(KEPT_WEIGHTS)
    slow = 2 if design.lean else 1
    if design.one_update and design.fourth:
        found = [
            Encode(kind="update", read=12 * m, written=8 * m + strips, multiplied=16 * m * slow)
        ]
    elif design.one_update:
        found = [
            Encode(kind="update", read=10 * m, written=8 * m + strips, multiplied=14 * m * slow)
        ]
    else:
        found = [
            Encode(kind="update", read=10 * m, written=4 * m),
            Encode(kind="update", read=8 * m, written=4 * m + strips),
        ]
    other = Encode(
        kind="other order of weights", read=4 * m, written=strips, multiplied=4 * m * slow
    )
    chosen = Encode(kind="selection", read=4 * m * SELECTIONS_FLOAT32 / REFRESH, written=0)
    # That of the differences and that of the reused sample.
    both = Encode(kind="sum of weight gradients", read=4 * m, written=2 * m)
    return [
        *([] if design.fourth else [both]), *found, chosen,
        *([other] if layer.name != "stem" else []),
    ]  # fmt: skip


def passes(design: Design) -> list[Encode]:
    """Return all encode passes of a step."""
    return [
        one
        for layer in LAYERS
        for made in (forward_passes, backward_passes, update_passes)
        for one in made(layer, design)
    ]


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
    "lean, sums at the drain, 4 parts": Design(lean=True),
    "lean, sums at the drain, 4 parts, broadcast tensors held": Design(
        lean=True, held_broadcast=True
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
