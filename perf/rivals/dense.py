"""The array of `perf.dense_array` as a rival: it multiplies zeros like everything else."""

from __future__ import annotations

import math

import numpy as np

from gscn.conv import ConvShape, Pass
from gscn.enums import takes_text
from gscn.lowering.operands import count_useful_products
from gscn.perf.dense_array import arrangements, matrix_dimensions
from gscn.perf.rivals.model import Resources, RivalCost, check_masks, dense_bytes


class Dense:
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
    )

    @takes_text
    def cost(
        self,
        resources: Resources,
        shape: ConvShape,
        which: Pass,
        first: np.ndarray,
        second: np.ndarray,
    ) -> RivalCost:
        """Return the cost of one pass, as `perf.rivals.Rival.cost` has it."""
        first, second = check_masks(shape, which, first, second)
        dimensions = matrix_dimensions(shape, which)
        return RivalCost(
            resources=resources,
            compute_cycles=min(
                math.prod(-(-size // lanes) for size, lanes in zip(dimensions, lanes3, strict=True))
                for lanes3 in arrangements(resources.multipliers)
            ),
            read_bytes=dense_bytes(first.size + second.size, resources),
            write_bytes=dense_bytes(math.prod(shape.result_shape(which)), resources),
            products=shape.dense_macs,
            useful_products=count_useful_products(shape, which, first, second),
        )
