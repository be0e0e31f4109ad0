"""The array of `perf.dense_array` as a rival: it multiplies zeros like everything else."""

from __future__ import annotations

import numpy as np

from gscn.perf.dense_array import best_arrangement
from gscn.perf.rivals.model import Resources, Rival, Task, dense_bytes


class Dense(Rival):
    """A matrix unit whose multipliers are arranged anew for each pass, to waste least."""

    name = "dense"
    title = "dense array"
    source = "no particular machine; as favourable as a dense one can be"
    assumptions = (
        (
            "The pass is a matrix product of three dimensions. The multipliers take any "
            "factorisation of their number over the three, the best for each layer and pass; the "
            "rest of an edge tile is idle."
        ),
        "A new tile starts in every cycle: no time to fill, to drain or to load weights.",
        (
            "Operands are read once, zeros included, and results written once: a whole layer is on "
            "chip."
        ),
        (
            "The zeros that a strided input gradient inserts cost nothing; zeros of the padding "
            "are multiplied."
        ),
        (
            "A grouped convolution is a matrix product for each group; the multipliers are shared "
            "out over groups as over the three dimensions."
        ),
    )
    takes_groups = True

    def compute(self, task: Task) -> tuple[float, int]:
        """Return cycles and products, as `perf.rivals.model.Rival.compute` has it."""
        _, cycles = best_arrangement(task.resources.multipliers, task.shape, task.which)
        return cycles, task.shape.dense_macs

    def stored_bytes(self, mask: np.ndarray, resources: Resources) -> float:
        """Return the bytes of an operand, zeros included."""
        return dense_bytes(mask.size, resources)
