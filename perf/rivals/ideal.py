"""The bound that no accelerator can pass: every multiplier does a useful product in every cycle."""

from __future__ import annotations

import math

import numpy as np

from gscn.perf.rivals.model import Resources, Rival, Task, compressed_bytes


class Ideal(Rival):
    """Useful products divided by the multipliers, and only nonzeros in memory."""

    name = "ideal"
    title = "ideal bound"
    source = "arithmetic"
    assumptions = (
        "Every multiplier does a product of two nonzeros that reaches a result, in every cycle.",
        (
            "Nonzeros are read once, without anything that says where they are; results are "
            "written once."
        ),
        "Groups, as all else, never leave a multiplier without a product.",
    )
    takes_groups = True

    def compute(self, task: Task) -> tuple[float, int]:
        """Return cycles and products, as `perf.rivals.model.Rival.compute` has it."""
        useful = task.useful_products
        return math.ceil(useful / task.resources.multipliers), useful

    def stored_bytes(self, mask: np.ndarray, resources: Resources) -> float:
        """Return the bytes of an operand's nonzeros."""
        return compressed_bytes(mask, resources)
