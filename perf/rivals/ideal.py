"""The bound that no accelerator can pass: every multiplier does a useful product in every cycle."""

from __future__ import annotations

import math

import numpy as np

from gscn.conv import ConvShape, Pass
from gscn.enums import takes_text
from gscn.lowering.operands import count_useful_products
from gscn.perf.rivals.model import Resources, RivalCost, check_masks, compressed_bytes, dense_bytes


class Ideal:
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
        """Return the bound of one pass, as `perf.rivals.Rival.cost` has it."""
        first, second = check_masks(shape, which, first, second)
        useful = count_useful_products(shape, which, first, second)
        return RivalCost(
            resources=resources,
            compute_cycles=math.ceil(useful / resources.multipliers),
            read_bytes=compressed_bytes(first, resources) + compressed_bytes(second, resources),
            write_bytes=dense_bytes(math.prod(shape.result_shape(which)), resources),
            products=useful,
            useful_products=useful,
        )
