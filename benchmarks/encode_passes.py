"""Encode passes of a step, ResNet-18, 32x32, batch 32: what each reads, writes and multiplies."""

from __future__ import annotations

import math
from dataclasses import dataclass

from benchmarks.encode_layers import BATCH, LAYERS, Layer

PORT_BYTES = 64
REFRESH = 10
"""Iterations from one exact selection to the next."""
RECTIFIED, SAVED, KEPT_WEIGHTS, KEPT_GRADS = 0.5, 0.1, 0.1, 0.15
"""Densities: behind ReLU, SWAT's of saved activations and weights, ReSprop's target."""
SELECTIONS_BF16, SELECTIONS_FLOAT32 = 2, 4
"""Passes of an exact selection: 8 bits of a magnitude each."""
ENDLESS = 1 << 30
"""Lanes of arithmetic that nothing waits for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lanes:
    """How fast the lanes of a unit are."""

    count: int = 16
    products: int = 2
    """Terms that a lane multiplies in a turn, or adds as they are."""
    plain: int = 1
    """Tensors that it adds besides, their coefficients being powers of two."""
    bias: int = 1
    """Biases that it adds besides; 0: they take the place of a tensor."""
    sums: int = 2
    """Sums of results that it adds to in a turn; 0: these take the places of tensors."""
    digits: int = 3
    """Turns of the product of a float32 value."""

    def multiplied(
        self, values: float, *, products: int, plain: int = 0, bias: int = 0, sums: int = 0
    ) -> float:
        """Return turns of all values, as bytes of a port that the lanes keep up with.

        Of two sums one is of products, which take a multiplier.
        """
        products += sums // 2
        terms = products + plain + max(0, bias - self.bias)
        if self.sums == 0:
            terms += sums - sums // 2
        turns = max(
            1,
            math.ceil(terms / (self.products + self.plain)),
            math.ceil(products / self.products),
            math.ceil(sums / self.sums) if self.sums else 0,
        )
        return values * turns * PORT_BYTES / self.count

    def updated(self, values: float, gradients: int = 1) -> float:
        """Return those of an update: two products and gradients, then a weight and a product."""
        if self.products == 1:
            plain = max(0, gradients - self.plain) + max(0, 1 - self.plain)
            turns = 3 * self.digits + plain
        else:
            turns = 2 * self.digits
        return values * turns * PORT_BYTES / self.count


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
    lanes: Lanes | None = None
    """None: arithmetic is as fast as the port."""


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
    lanes = design.lanes or Lanes(count=ENDLESS)
    found = []
    if not design.sums_at_drain:
        found.append(
            Encode(
                kind="statistics", read=2 * n, written=0,
                multiplied=lanes.multiplied(n, products=0, plain=1, sums=2),
            )
        )  # fmt: skip
    if layer.name[-1] == "s":
        # Its scale and bias are part of the sum with the block's other branch.
        return found
    sources = 2 * n * (2 if _joins(layer) else 1)
    # The dense copy is for residuals, and for the strided layers' order.
    dense = 2 * n if _joins(layer) or layer.name == "stem" else 0
    mask = n / 8 if design.mask_bits else 0
    strips = n * (strip_share(RECTIFIED) + strip_share(SAVED))
    often = SELECTIONS_BF16 / REFRESH
    taken = lanes.multiplied(n, products=1, plain=int(_joins(layer)), bias=1)
    found += [
        Encode(kind="selection", read=sources * often, written=0, multiplied=taken * often),
        Encode(kind="normalisation", read=sources, written=dense + mask + strips, multiplied=taken),
    ]
    if _is_strided(layer):
        # Phases as channels for the layer of 3x3, one phase for that of 1x1.
        found.append(
            Encode(
                kind="strided order", read=2 * n * 1.25,
                written=n * 1.25 * (strip_share(RECTIFIED) + strip_share(SAVED) / 5),
                multiplied=lanes.multiplied(1.25 * n, products=0, plain=1),
            )
        )  # fmt: skip
    # The batch's sum of what was saved, for the reused gradient's product: with samples as the
    # innermost loop, which strips do not have, so that the same is computed again.
    found.append(
        Encode(
            kind="reuse", read=sources, written=2 * n / BATCH,
            multiplied=lanes.multiplied(n, products=1, plain=2 if _joins(layer) else 1, sums=1),
        )
    )  # fmt: skip
    return found


def backward_passes(layer: Layer, design: Design) -> list[Encode]:
    """Return the passes that make a layer's output gradient of those that come in."""
    n = layer.results
    lanes = design.lanes or Lanes(count=ENDLESS)
    mask = n / 8 if design.mask_bits else n * strip_share(RECTIFIED)
    joins = _joins(layer) or layer.name == "stem"
    shortcut = layer.name[-1] == "s"
    broadcast = 2 * n / (BATCH if design.held_broadcast else 1)
    found = []
    fourth = joins and layer.name != "4.1.2" and design.fourth
    if fourth:
        # Gradients of both branches, of the reused sample, and the result.
        found.append(
            Encode(
                kind="gradient sums", read=6 * n + broadcast + mask, written=2 * n,
                multiplied=lanes.multiplied(n, products=0, plain=3, sums=2),
            )
        )  # fmt: skip
    elif joins and layer.name != "4.1.2":
        # Gradients of both branches, and of the reused sample.
        found.append(
            Encode(
                kind="branches", read=4 * n + broadcast + mask, written=2 * n,
                multiplied=lanes.multiplied(n, products=0, plain=3),
            )
        )  # fmt: skip
        mask = 0
    read = 4 * n + (0 if joins or shortcut else broadcast)
    kept = 0 if joins or shortcut else 2 * n
    read_mask = 0 if shortcut else mask
    # Of the result only the product with the gradient is needed.
    tensors = 1 if joins or shortcut else 2
    if not fourth:
        found.append(
            Encode(
                kind="gradient sums", read=read + read_mask, written=kept,
                multiplied=lanes.multiplied(n, products=0, plain=tensors, sums=2),
            )
        )  # fmt: skip
    found += [
        # Gradient, result, and the reused sample's gradient.
        Encode(
            kind="gradient", read=4 * n + broadcast, written=n * 2 * strip_share(KEPT_GRADS),
            multiplied=lanes.multiplied(n, products=2, plain=1, bias=1),
        ),
        Encode(kind="reuse", read=4 * n / BATCH, written=(2 + strip_share(1)) * n / BATCH),
    ]  # fmt: skip
    return found


def update_passes(layer: Layer, design: Design) -> list[Encode]:
    """Return the passes of a layer's weights."""
    m = layer.weights
    strips = m * strip_share(KEPT_WEIGHTS)
    gradients = 2 if design.fourth else 1
    read = (8 + 2 * gradients) * m
    taken = read + 4 * m if design.lanes is None else design.lanes.updated(m, gradients)
    if design.one_update:
        found = [Encode(kind="update", read=read, written=8 * m + strips, multiplied=taken)]
    else:
        found = [
            Encode(kind="update", read=10 * m, written=4 * m),
            Encode(kind="update", read=8 * m, written=4 * m + strips),
        ]
    taken = 0 if design.lanes is None else design.lanes.multiplied(m, products=0, plain=1)
    other = Encode(kind="other order of weights", read=4 * m, written=strips, multiplied=taken)
    chosen = Encode(kind="selection", read=4 * m * SELECTIONS_FLOAT32 / REFRESH, written=0)
    # That of the differences and that of the reused sample.
    both = Encode(
        kind="sum of weight gradients", read=4 * m, written=2 * m,
        multiplied=0 if design.lanes is None else design.lanes.multiplied(m, products=0, plain=2),
    )  # fmt: skip
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
