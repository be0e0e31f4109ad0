"""The digits network trained by whole steps of the golden model, and by torch in float32.

`python -m benchmarks.encode_training` prints losses, and how much ReSprop's densities swing from
one iteration to the next: with thresholds that double and halve, and with finer steps after the
iterations in which they come up from 1e-7.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import torch

from benchmarks.encode_step import digits
from benchmarks.markdown import table
from gscn.golden.data.digits import load_digits
from gscn.golden.networks.residual import DigitsNetwork
from gscn.golden.oracle.step import GoldenStep
from gscn.golden.oracle.step_host import GoldenHost
from gscn.lowering.step.layers import Training
from gscn.lowering.step.network import step_of

ITERATIONS, BATCH, REFRESH, RISING = 100, 32, 10, 25
SWAT, RESPROP = {"density": Fraction(1, 10)}, {"reuse": (0.15, 0.15)}
WAYS = {
    "dense": ({}, 0),
    "SWAT 90 %": (SWAT, 0),
    "SWAT 90 %, ReSprop, doubling and halving": (SWAT | RESPROP, 128),
    "the same, steps of a quarter": (SWAT | RESPROP, 32),
    "the same, steps of a sixteenth": (SWAT | RESPROP, 8),
}
"""How each trains, and codes by which thresholds step; 128 are a factor of two."""


@dataclass(slots=True)
class Trained:
    """A training run."""

    losses: list[float] = field(default_factory=list)
    kept: list[list[float]] = field(default_factory=list)
    """Of each iteration in which gradients were reused: share of differences kept, by layer."""


def batches(iterations: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return images and labels, the same for all."""
    data = load_digits()
    generator = torch.Generator().manual_seed(0)
    chosen = torch.randint(len(data.train_images), (iterations, BATCH), generator=generator)
    return [(data.train_images[one], data.train_labels[one]) for one in chosen]


def weights() -> dict[str, np.ndarray]:
    """Return weights at first, by layer."""
    torch.manual_seed(0)
    named = DigitsNetwork().named_parameters()
    return {
        name.removesuffix(".weight"): value.detach().numpy()
        for name, value in named
        if value.ndim > 1
    }


def by_torch(iterations: int) -> Trained:
    """Train by torch, in float32."""
    torch.manual_seed(0)
    model, made = DigitsNetwork(), Trained()
    with torch.no_grad():
        model.classifier.bias.zero_()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for images, labels in batches(iterations):
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        made.losses.append(loss.item())
    return made


def by_steps(how: dict[str, object], codes: int, iterations: int) -> Trained:
    """Train by golden steps."""
    size = (BATCH, 1, 8, 8)
    ways = {
        (refresh, reuses): step_of(digits(), size, Training(**how, refresh=refresh, reuses=reuses))
        for refresh in (True, False)
        for reuses in ((True, False) if codes else (False,))
    }
    first = ways[True, False]
    host = GoldenHost(first.norms, 10, rate=0.1, momentum=0.9)
    run = GoldenStep(first, host)
    for step in ways.values():
        run.follow(step)
    for name, value in weights().items():
        shape = first.tensors[f"w.{name}"].shape
        run.tensors[f"w.{name}"] = value.reshape(shape).view(np.uint32)
    generator, made = np.random.default_rng(0), Trained()
    layers = [name for name, state in first.states.items() if name.startswith("sg.") and state.high]
    for number, (images, labels) in enumerate(batches(iterations)):
        if number == RISING:
            for name in layers:
                run.states[name]["step"] = codes
        reuses = bool(codes) and number > 0
        run.follow(ways[number % REFRESH == 0, reuses])
        host.batch = (images.numpy(), labels.numpy(), int(generator.integers(BATCH)))
        run.run()
        if reuses:
            states = (run.states[name] for name in layers)
            made.kept.append([one["kept_a"] / one["elements"] for one in states])
    made.losses = host.losses
    return made


def swings(made: Trained) -> np.ndarray:
    """Return by which factors densities changed from one iteration to the next, all layers."""
    kept = np.maximum(np.array(made.kept[RISING:]), 1e-4)
    change = np.abs(np.log2(kept[1:] / kept[:-1]))
    return 2**change


def text(iterations: int = ITERATIONS) -> str:
    """Return the tables."""
    found = {"torch, float32": by_torch(iterations)}
    found |= {name: by_steps(*way, iterations) for name, way in WAYS.items()}
    marks = sorted({min(n, iterations) for n in (10, 25, 50, 75, iterations)})
    rows, swung = [], []
    for name, made in found.items():
        means = [np.mean(made.losses[max(0, n - 10) : n]) for n in marks]
        rows.append([name, *(f"{loss:.4f}" for loss in means)])
        if len(made.kept) > RISING + 1:
            change, kept = swings(made), np.array(made.kept[RISING:])
            swung.append([
                name, f"{kept.mean():.3f}", f"{kept.min():.3f}", f"{kept.max():.3f}",
                f"{np.median(change):.2f}", f"{np.quantile(change, 0.95):.2f}",
            ])  # fmt: skip
    header = [f"loss, iterations to {n}" for n in marks]
    density = ["density, mean", "least", "largest", "change, median", "19 of 20 below"]
    return "\n\n".join([table(["steps", *header], rows), table(["steps", *density], swung)])


if __name__ == "__main__":
    sys.stdout.write(text() + "\n")
