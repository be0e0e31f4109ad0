"""What a training iteration is given, and what it came to."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """One training iteration done."""

    iteration: int
    """Iterations done so far."""
    iterations: int
    """Iterations in the whole recipe."""
    epoch: int
    """Epoch of this iteration, from 0."""
    loss: float
    """Cross-entropy of its mini-batch before the update, in nats."""
    accuracy: float
    """Share of its mini-batch classified correctly before the update."""
    dense_iteration: bool
    """Whether ReSprop's schedule made it dense."""
    stepped: bool
    """Whether weights were updated; not if scaled gradients were beyond their format."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Minibatch:
    """What an iteration trains on."""

    images: torch.Tensor
    labels: torch.Tensor
    epoch: int
    dense: bool
    """Whether ReSprop's schedule makes the iteration dense."""
    learning_rate: float
