"""What decides a training run. Without torch, so that it is quick to import."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gscn.errors import raise_problems

NETWORKS = ("digits", "resnet18")
"""`golden.resnet`'s; the first learns `golden.digits`, the second `golden.composites`."""
METHODS = ("dense", "swat", "resprop", "swat+resprop")
ARITHMETICS = ("float32", "bf16")
"""Of the convolutions' passes: torch's in float32, or bf16 operands with exact sums in a window of
48 bits, rounded once to float32 (docs/floating-point.md)."""
FIRST_CONV_RULES = ("paper", "dense", "sparse")
"""First convolution: as published (SWAT leaves it dense, ReSprop takes it), dense, or sparse."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """Everything that decides a training run.

    Raises
    ------
    InputError
        Naming every field out of range, all at once.
    """

    network: str = "digits"
    """One of `NETWORKS`; it decides the data set."""
    width: int = 64
    """resnet18: channels of the first stage; at least 1."""
    method: str = "dense"
    """One of `METHODS`."""
    sparsity: float = 0.8
    """Target sparsity of the method; at least 0 and less than 1."""
    epochs: int = 12
    """Passes over the training images; at least 1."""
    iterations_per_epoch: int | None = None
    """Mini-batches after which an epoch ends; at least 1. By default all that the images fill."""
    batch_size: int = 32
    """Images per mini-batch; at least 1. Images left over in an epoch are not used in it."""
    learning_rate: float = 0.05
    """At the start; positive. It falls to zero along a cosine."""
    momentum: float = 0.9
    """At least 0 and less than 1."""
    weight_decay: float = 5e-4
    """At least 0."""
    seed: int = 0
    """Of parameters, order of images and ReSprop's draws; at least 0."""
    refresh_period: int = 10
    """SWAT: iterations between exact thresholds; at least 1."""
    warm_up: bool = False
    """ReSprop: approach the sparsity over the first epochs (W-ReSprop)."""
    first_conv: str = "paper"
    """One of `FIRST_CONV_RULES`."""
    arithmetic: str = "float32"
    """One of `ARITHMETICS`."""

    def __post_init__(self) -> None:
        """Collect every problem and raise them together."""
        problems = [
            f"{field} must be {requirement}, not {getattr(self, field)!r}"
            for field, holds, requirement in (
                ("network", self.network in NETWORKS, f"one of {', '.join(NETWORKS)}"),
                ("width", self.width >= 1, "at least 1"),
                ("method", self.method in METHODS, f"one of {', '.join(METHODS)}"),
                ("sparsity", 0 <= self.sparsity < 1, "at least 0 and less than 1"),
                ("epochs", self.epochs >= 1, "at least 1"),
                (
                    "iterations_per_epoch",
                    self.iterations_per_epoch is None or self.iterations_per_epoch >= 1,
                    "at least 1",
                ),
                ("batch_size", self.batch_size >= 1, "at least 1"),
                ("learning_rate", 0 < self.learning_rate < math.inf, "positive and finite"),
                ("momentum", 0 <= self.momentum < 1, "at least 0 and less than 1"),
                ("weight_decay", 0 <= self.weight_decay < math.inf, "at least 0 and finite"),
                ("seed", self.seed >= 0, "at least 0"),
                ("refresh_period", self.refresh_period >= 1, "at least 1"),
                (
                    "first_conv",
                    self.first_conv in FIRST_CONV_RULES,
                    f"one of {', '.join(FIRST_CONV_RULES)}",
                ),
                (
                    "arithmetic",
                    self.arithmetic in ARITHMETICS,
                    f"one of {', '.join(ARITHMETICS)}",
                ),
            )
            if not holds
        ]
        raise_problems("recipe", problems)
