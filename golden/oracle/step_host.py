"""What the host does in a training step: scalars of channels, and the loss.

Implements: batch normalisation, softmax with cross entropy, and SGD with momentum, in float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gscn.formats import BF16, FLOAT32
from gscn.golden.oracle.encode import as_coefficients
from gscn.golden.oracle.floats import decode
from gscn.golden.oracle.step import OVERFLOW, GoldenStep, as_codes
from gscn.step import Normalised, Stop

EPSILON = 1e-5
LEAST_SHARE = 100
"""Thresholds go back to 0 where at most one weight in so many is left."""


class GoldenHost:
    """The host of a golden step.

    Parameters
    ----------
    norms
        The network's normalisations.
    classes
        Logits.
    rate, momentum, decay
        Of SGD; the decay of what the host updates. Rows have the rate at first.
    penalty
        DST's factor of the sum of exp(-t).

    Attributes
    ----------
    batch : tuple
        Images, labels, and the sample whose gradients are reused next.
    rate : float
        May be changed between steps.
    losses : list of float
        Of all steps.
    """

    def __init__(
        self, norms: dict[str, Normalised], classes: int, *, rate: float, momentum: float,
        penalty: float = 0.0, decay: float = 0.0,
    ) -> None:  # fmt: skip
        self.norms, self.rate, self.momentum, self.penalty = norms, rate, momentum, penalty
        self.decay = decay
        self.gammas = {name: np.ones(one.channels) for name, one in norms.items()}
        self.betas = {name: np.zeros(one.channels) for name, one in norms.items()}
        self.bias = np.zeros(classes)
        self.thresholds: dict[str, np.ndarray] = {}
        self.velocities: dict[str, Any] = {}
        self.found: dict[str, tuple[np.ndarray, ...]] = {}
        self.batch: tuple[np.ndarray, np.ndarray, int]
        self.losses: list[float] = []

    def __call__(self, step: GoldenStep, stop: Stop) -> bool:
        """Do what a stop asks for; return whether to go back."""
        sums = {"forward": "sums", "backward": "dsums", "thresholds": "dt"}.get(stop.what)
        if sums and step.states[f"s.{sums}.{stop.layer}"]["flags"] & OVERFLOW:
            return True
        if stop.what == "kept":
            return self._kept(step, stop.layer)
        {
            "begin": self._begin, "forward": self._forward, "backward": self._backward,
            "bias": self._bias, "moved": self._move_bias, "loss": self._loss,
            "thresholds": self._threshold_grads,
        }[stop.what](step, stop.layer)  # fmt: skip
        return False

    def _begin(self, step: GoldenStep, _: str) -> None:
        images, _, step.sample = self.batch
        step.tensors["images"] = as_codes(images, wide=False)
        step.states["s.images"]["largest"] = int(
            (step.tensors["images"] >> BF16.mantissa_width & 0xFF).max()
        )
        for name, rows in step.rows.items():
            if name.startswith("update."):
                rows["second"] = np.full(len(rows["second"]), -self.rate, dtype=np.float32)

    def _forward(self, step: GoldenStep, layer: str) -> None:
        norm, sums = self.norms[layer], step.sums[f"sums.{layer}"]
        mean = sums.values(0) / norm.values
        variance = np.maximum(sums.values(1) / norm.values - mean * mean, 0)
        slope = 1 / np.sqrt(variance + EPSILON)
        scale = _cut(self.gammas[layer] * slope)
        self.found[layer] = (mean, slope, scale, self.betas[layer] - mean * scale)
        if norm.folded:
            return
        rows, shift = step.rows[f"a.{layer}"], self.found[layer][3]
        if norm.adds:
            rows["c1"] = self.found[norm.adds][2].astype(np.float32)
            shift = shift + self.found[norm.adds][3]
        rows["c0"], rows["bias"] = scale.astype(np.float32), shift.astype(np.float32)

    def _backward(self, step: GoldenStep, layer: str) -> None:
        norm, sums = self.norms[layer], step.sums[f"dsums.{layer}"]
        mean, slope, scale, _ = self.found[layer]
        total = sums.values(0)
        by_gamma = (sums.values(1) - mean * total) * slope
        second = _cut(-scale * slope * by_gamma / norm.values)
        rows = step.rows[f"b.{layer}"]
        rows["c0"], rows["c1"] = scale.astype(np.float32), second.astype(np.float32)
        bias = -(scale * total + second * mean * norm.values) / norm.values
        rows["bias"] = bias.astype(np.float32)
        rows["c2"] = np.full(norm.channels, -1, dtype=np.float32)
        self.gammas[layer] = self._moved(f"gamma.{layer}", self.gammas[layer], by_gamma)
        self.betas[layer] = self._moved(f"beta.{layer}", self.betas[layer], total)

    def _bias(self, step: GoldenStep, layer: str) -> None:
        rows = step.rows[f"a.{layer}"]
        rows["c0"] = np.ones_like(rows["c0"])
        rows["bias"] = self.betas.setdefault(layer, np.zeros(rows["c0"].size)).astype(np.float32)

    def _move_bias(self, step: GoldenStep, layer: str) -> None:
        total = step.sums[f"dsums.{layer}"].values(0)
        self.betas[layer] = self._moved(f"beta.{layer}", self.betas[layer], total)

    def _loss(self, step: GoldenStep, layer: str) -> None:
        _, labels, _ = self.batch
        logits = decode(step.tensors[f"y.{layer}"], FLOAT32)[:, :, 0, 0] + self.bias
        shifted = logits - logits.max(axis=1, keepdims=True)
        exponentials = np.exp(shifted)
        shares = exponentials / exponentials.sum(axis=1, keepdims=True)
        right = np.arange(len(labels)), labels
        self.losses.append(float(-np.log(shares[right]).mean()))
        shares[right] -= 1
        grads = as_codes(shares / len(labels), wide=False)
        step.tensors["dlogits"] = grads[:, :, None, None]
        self.bias = self._moved("bias", self.bias, decode(grads, BF16).sum(axis=0))

    def _kept(self, step: GoldenStep, layer: str) -> bool:
        """Set thresholds, or back to 0 where they leave too few weights."""
        weights = step.tensors[f"w.{layer}"]
        rows = step.rows[f"t.{layer}"]
        if layer not in self.thresholds:
            self.thresholds[layer] = np.zeros(len(weights))
        left = step.states[f"st.{layer}"]["nonzeros"]
        blocks = step.step.blocks.get(f"blocks.{layer}")
        size = blocks.size if blocks else weights.size
        if left * LEAST_SHARE > size or not self.thresholds[layer].any():
            return False
        self.thresholds[layer] = np.zeros(len(weights))
        rows["bias"] = np.zeros(len(weights), dtype=np.float32)
        return True

    def _threshold_grads(self, step: GoldenStep, layer: str) -> None:
        now = self.thresholds[layer]
        grad = -step.sums[f"dt.{layer}"].values(0) - self.penalty * np.exp(-now)
        self.thresholds[layer] = self._moved(f"t.{layer}", now, grad)
        step.rows[f"t.{layer}"]["bias"] = (-self.thresholds[layer]).astype(np.float32)

    def _moved(self, name: str, value: np.ndarray, grad: np.ndarray) -> np.ndarray:
        decayed = grad + self.decay * value
        self.velocities[name] = self.momentum * self.velocities.get(name, 0.0) + decayed
        return value - self.rate * self.velocities[name]


def _cut(values: np.ndarray) -> np.ndarray:
    """Return numbers as the coefficients that they become."""
    return as_coefficients(values.astype(np.float32).view(np.uint32))
