"""The training steps whose operands are published: what is trained, and for how long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gscn.golden.recipe import Recipe

METHODS = ("swat", "resprop", "dst")
"""Of each network, as in their publications but for the length of training."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One training step: all convolutions of one iteration, in all three passes."""

    recipe: Recipe
    iterations: int
    """Training iterations before it."""

    @property
    def name(self) -> str:
        """Network and method: also of the folder of its trace."""
        return f"{self.recipe.network}-{self.recipe.method}"

    @property
    def images_seen(self) -> int:
        """Training images before it, repetitions counted."""
        return self.iterations * self.recipe.batch_size


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """How a network is trained, whatever the method."""

    batch_size: int
    iterations: int


TRAININGS: Mapping[str, Training] = MappingProxyType(
    {
        "digits": Training(batch_size=32, iterations=410),
        "resnet20": Training(batch_size=16, iterations=100),
        "resnet18": Training(batch_size=8, iterations=40),
        "vgg16": Training(batch_size=8, iterations=40),
        "densenet121": Training(batch_size=4, iterations=40),
    }
)
"""Networks of the papers in their forms for images of 32x32 pixels, and the digits' of 8x8. They
are as long as a machine of two cores trains in minutes; ReSprop's thresholds, which double from
1e-7, have settled by then."""
SPARSITY = 0.9
"""SWAT's and ReSprop's aim."""
DST_ALPHA = 0.015
"""DST's penalty: a thousand times that of its publication, as training is that much shorter."""
LEARNING_RATE = 0.01


def _step(network: str, method: str) -> Step:
    training = TRAININGS[network]
    aim = {"dst_alpha": DST_ALPHA} if method == "dst" else {"sparsity": SPARSITY}
    recipe = Recipe(
        network=network,
        method=method,
        batch_size=training.batch_size,
        learning_rate=LEARNING_RATE,
        **aim,
    )
    return Step(recipe=recipe, iterations=training.iterations)


STEPS: Mapping[str, Step] = MappingProxyType(
    {
        step.name: step
        for step in (_step(network, method) for network in TRAININGS for method in METHODS)
    }
)
"""By name. A step is in the midst of an epoch, so that ReSprop's gradients are sparse in it."""
