"""Training with normalisation, ReLU, residual sums and updates in an encode unit's arithmetic.

`python -m benchmarks.encode_numerics` trains a small residual network on the digits: in float32;
with activations and gradients stored in bf16; and so with every elementwise operation by the law of
`docs/contract/encode.md`, with coefficients and windows of several widths. Printed are losses,
accuracies, and how far each operation's results are from exact ones of the same operands, as a root
mean square of errors relative to that of the results. Convolutions have operands and results in
bf16, and are float32 inside, in all but the first: what differs is elementwise work alone.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.markdown import table
from gscn.golden.data.digits import load_digits

WIDTHS = ((8, 32), (16, 24), (16, 32), (16, 48), (24, 48))
"""Bits of coefficients, and of the window, that are compared."""
ITERATIONS, SEEDS, BATCH = 150, (0, 1, 2), 64
RATE, MOMENTUM, DECAY = 0.05, 0.9, 5e-4
CHANNELS = (16, 32)
EPSILON = 1e-5


class Term(NamedTuple):
    """A tensor and its coefficient, of each channel or of all."""

    values: Tensor
    coefficient: Tensor


@dataclass(slots=True)
class Arithmetic:
    """How elementwise operations are done."""

    widths: tuple[int, int] | None
    """Bits of coefficients and of the window; None: in float32, as torch does."""
    storage: torch.dtype
    """Of activations and gradients."""
    errors: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def stored(self, values: Tensor) -> Tensor:
        """Return values as they come back from memory."""
        return values.to(self.storage).to(values.dtype)

    def coefficient(self, values: Tensor) -> Tensor:
        """Round coefficients, as whoever prepares them does."""
        if self.widths is None:
            return values
        fractions, exponents = torch.frexp(values.double())
        unit = 2.0 ** self.widths[0]
        return torch.ldexp(torch.round(fractions * unit) / unit, exponents)

    def combine(self, name: str, terms: Sequence[Term], bias: Tensor, out: torch.dtype) -> Tensor:
        """Return a combination as it is stored, and note its error."""
        exact = bias.double() + sum(one.values.double() * one.coefficient.double() for one in terms)
        if self.widths is None:
            found = bias + sum(one.values * one.coefficient.float() for one in terms)
        else:
            found = windowed(terms, bias, self.widths[1])
        found = found.to(out).float()
        size = exact.square().mean().sqrt()
        if size > 0:
            self.errors[name].append(float((found - exact).square().mean().sqrt() / size))
        return found


def windowed(terms: Sequence[Term], bias: Tensor, width: int) -> Tensor:
    """Return sums of products that are truncated to a window below the largest one."""
    # The bias has all bits of a tensor's value, times 1.
    every = [*terms, Term(bias.float(), torch.ones(()))]
    pairs = [(one.values.double(), one.coefficient.double()) for one in every]
    heights = [
        torch.where((one != 0) & (other != 0), _exponent(one) + _exponent(other), -1000)
        for one, other in pairs
    ]
    top = torch.stack(torch.broadcast_tensors(*heights)).amax(0)
    # Significands are below 2, and their product below 4 = 2**2; one bit is the sign.
    unit = torch.ldexp(torch.ones_like(top, dtype=torch.float64), top + 2 - (width - 1))
    return sum(torch.trunc(one * other / unit) * unit for one, other in pairs)


def _exponent(values: Tensor) -> Tensor:
    return torch.frexp(values).exponent - 1


class Stored(torch.autograd.Function):
    """Rounds activations on their way forward, and gradients on their way back."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, arithmetic: Arithmetic) -> Tensor:
        """Return the activations as stored."""
        ctx.arithmetic = arithmetic
        return arithmetic.stored(values)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        """Return the gradients as stored."""
        return ctx.arithmetic.stored(grad), None


class Normalised(torch.autograd.Function):
    """ReLU of normalised activations and, if there is one, of a residual added to them."""

    @staticmethod
    def forward(
        ctx: Any, y: Tensor, gamma: Tensor, beta: Tensor, added: Tensor, arithmetic: Arithmetic
    ) -> Tensor:
        """Return what the next layer reads."""
        # Sums are of integers, exact; scalars of a channel are the driver's.
        mean = y.double().mean((0, 2, 3), keepdim=True)
        square = y.double().square().mean((0, 2, 3), keepdim=True)
        rate = (square - mean.square() + EPSILON).rsqrt()
        scale = arithmetic.coefficient(gamma.view(1, -1, 1, 1) * rate)
        bias = (beta.view(1, -1, 1, 1) - mean * scale).float()
        terms = [Term(y, scale)] + ([Term(added, torch.ones(()))] if added.numel() else [])
        out = arithmetic.combine("normalisation, forward", terms, bias, arithmetic.storage).relu()
        ctx.save_for_backward(y, out > 0, mean, rate, gamma)
        ctx.arithmetic, ctx.adds = arithmetic, bool(added.numel())
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients."""
        y, mask, mean, rate, gamma = ctx.saved_tensors
        arithmetic = ctx.arithmetic
        kept = torch.where(mask, grad, 0)
        count = y.numel() // y.shape[1]
        total = kept.double().sum((0, 2, 3), keepdim=True)
        dot = (kept.double() * y.double()).sum((0, 2, 3), keepdim=True)
        by_gamma = (dot - mean * total) * rate
        first = arithmetic.coefficient(gamma.view(1, -1, 1, 1) * rate)
        second = arithmetic.coefficient(-first.double() * rate * by_gamma / count)
        # The bias makes up for what was rounded: gradients of a channel sum up to zero.
        bias = (-(first.double() * total + second.double() * mean * count) / count).float()
        grad_y = arithmetic.combine(
            "normalisation, backward", [Term(kept, first), Term(y, second)], bias,
            arithmetic.storage,
        )  # fmt: skip
        added = arithmetic.stored(kept) if ctx.adds else None
        return grad_y, by_gamma.flatten().float(), total.flatten().float(), added, None


class Network:
    """A convolution, and in two widths a residual block of two; then a linear layer."""

    def __init__(self, seed: int, arithmetic: Arithmetic) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.arithmetic = arithmetic
        self.weights: list[Tensor] = []
        self.norms: list[tuple[Tensor, Tensor]] = []
        before = 1
        for channels in CHANNELS:
            for contracted in (before, channels, channels):
                size = (channels, contracted, 3, 3)
                drawn = torch.randn(size, generator=generator) * (2 / (9 * contracted)) ** 0.5
                self.weights.append(drawn.requires_grad_())
                self.norms.append((torch.ones(channels), torch.zeros(channels)))
                for one in self.norms[-1]:
                    one.requires_grad_()
            before = channels
        self.last = (torch.randn(10, before, generator=generator) * before**-0.5).requires_grad_()
        self.parameters = [*self.weights, *(p for pair in self.norms for p in pair), self.last]
        self.momenta = [torch.zeros_like(one) for one in self.parameters]

    def __call__(self, images: Tensor) -> Tensor:
        """Return the logits."""
        keep = self.arithmetic
        x, none = Stored.apply(images, keep), torch.empty(0)
        for stage in range(len(CHANNELS)):
            x = self._layer(3 * stage, x, none, 1 + stage)
            inner = self._layer(3 * stage + 1, x, none, 1)
            x = self._layer(3 * stage + 2, inner, x, 1)
        return x.mean((2, 3)) @ self.last.T

    def _layer(self, number: int, x: Tensor, added: Tensor, stride: int) -> Tensor:
        weights = Stored.apply(self.weights[number], self.arithmetic)
        y = Stored.apply(functional.conv2d(x, weights, stride=stride, padding=1), self.arithmetic)
        return Normalised.apply(y, *self.norms[number], added, self.arithmetic)

    def update(self) -> None:
        """Take a step of SGD with momentum and weight decay."""
        keep = self.arithmetic
        decay, momentum, rate = (
            keep.coefficient(torch.tensor(value)) for value in (DECAY, MOMENTUM, -RATE)
        )
        one, none = torch.ones(()), torch.zeros(())
        for number, weights in enumerate(self.parameters):
            old = weights.detach()
            terms = [Term(weights.grad, one), Term(self.momenta[number], momentum)]
            new = keep.combine("momentum", [*terms, Term(old, decay)], none, torch.float32)
            self.momenta[number] = new
            changed = keep.combine(
                "weights", [Term(old, one), Term(new, rate)], none, torch.float32
            )
            weights.data.copy_(changed)
            weights.grad = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """A training run."""

    losses: list[float]
    accuracy: float
    errors: dict[str, float]
    """Root mean square of relative errors, by operation, over all iterations."""


def ways(
    widths: Sequence[tuple[int, int]] = WIDTHS,
) -> dict[str, tuple[tuple[int, int] | None, torch.dtype]]:
    """Return what is compared: widths, and the type of what is stored."""
    return {
        "float32": (None, torch.float32),
        "float32, stored in bf16": (None, torch.bfloat16),
        **{
            f"coefficients of {one[0]} bits, window of {one[1]}": (one, torch.bfloat16)
            for one in widths
        },
    }


def train(way: tuple[tuple[int, int] | None, torch.dtype], seed: int, iterations: int) -> Trained:
    """Train one network; batches are the same for all ways."""
    data = load_digits()
    arithmetic = Arithmetic(*way)
    network = Network(seed, arithmetic)
    generator = torch.Generator().manual_seed(1000 + seed)
    losses = []
    for _ in range(iterations):
        chosen = torch.randint(len(data.train_images), (BATCH,), generator=generator)
        loss = functional.cross_entropy(
            network(data.train_images[chosen]), data.train_labels[chosen]
        )
        loss.backward()
        network.update()
        losses.append(loss.item())
    with torch.no_grad():
        right = network(data.test_images).argmax(1) == data.test_labels
    errors = {
        name: float(torch.tensor(found).square().mean().sqrt())
        for name, found in arithmetic.errors.items()
    }
    return Trained(losses=losses, accuracy=right.float().mean().item(), errors=errors)


def compute(
    iterations: int = ITERATIONS,
    seeds: Sequence[int] = SEEDS,
    widths: Sequence[tuple[int, int]] = WIDTHS,
) -> dict[str, list[Trained]]:
    """Train by all ways from all seeds."""
    return {
        name: [train(way, seed, iterations) for seed in seeds] for name, way in ways(widths).items()
    }


def text(found: dict[str, list[Trained]]) -> str:
    """Return tables of losses and errors."""
    names = sorted({name for runs in found.values() for run in runs for name in run.errors})
    iterations = len(next(iter(found.values()))[0].losses)
    marks = sorted({min(n, iterations) for n in (10, 25, 50, 100, iterations)})
    rows, errors = [], []
    for way, runs in found.items():
        losses = torch.tensor([run.losses for run in runs])
        smooth = [losses[:, max(0, n - 10) : n].mean().item() for n in marks]
        accuracy = sum(run.accuracy for run in runs) / len(runs)
        rows.append([way, *(f"{loss:.4f}" for loss in smooth), f"{100 * accuracy:.2f} %"])
        errors.append([way, *(f"{max(run.errors[name] for run in runs):.1e}" for name in names)])
    header = [f"loss, iterations to {n}" for n in marks]
    return "\n\n".join([
        table(["elementwise operations", *header, "accuracy"], rows),
        table(["relative error", *names], errors),
    ])  # fmt: skip


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.stdout.write(text(compute()) + "\n")
