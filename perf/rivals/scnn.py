"""Outer-product arrays: SCNN, for training SCNN+, and the same with ANT's anticipation.

Implements: SCNN (Parashar et al., ISCA 2017), Sec. 3 and 4: PEs of 4x4 multipliers, each with a
tile of the image plane; vectors of 4 image and 4 kernel nonzeros of a channel form 16 products,
which a crossbar sends to 32 accumulator banks; PEs wait for each other at the end of a group of
result channels. ANT (Lew et al., ISCA 2022): from the least and greatest coordinates of an image
vector follow those of the kernel that can contribute; kernel nonzeros outside are not multiplied.
Assumed: kernel rows outside are not read, and 16 nonzeros of the others are scanned in a cycle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gscn.conv import Pass
from gscn.errors import InputError
from gscn.perf.rivals.cartesian import Cartesian
from gscn.perf.rivals.mapping import VECTOR, Choices, Mapping, splits
from gscn.perf.rivals.model import Resources, Rival, Task, compressed_bytes

PE_MULTIPLIERS = VECTOR * VECTOR
RUN_LENGTH_BITS = 4
"""Bits of a nonzero's distance to the one before it (SCNN, Sec. 4)."""
CANDIDATES, ANTICIPATED_CANDIDATES = 3, 8
"""Ways to split the work that are computed in full, of those that look best by counts; counts say
less if products are anticipated."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OuterProduct(Choices, Rival):
    """An SCNN-like array.

    With the defaults every choice that the publications leave open is made in the rival's favour;
    `perf.rivals.outer_products` also has the choices of a public simulator.
    """

    name: str
    title: str
    assumptions: tuple[str, ...]
    source: str

    def compute(self, task: Task) -> tuple[float, int]:
        """Return cycles and products, as `perf.rivals.model.Rival.compute` has it."""
        multipliers, shape, which = task.resources.multipliers, task.shape, task.which
        if multipliers % PE_MULTIPLIERS:
            raise InputError(
                f"{self.name}: multipliers must be a multiple of {PE_MULTIPLIERS}, "
                f"not {multipliers}"
            )
        pes = multipliers // PE_MULTIPLIERS
        forms = [Cartesian.of(shape, which, task.first, task.second)]
        if self.matrix_form and which is Pass.WEIGHT_GRAD and (shape.r, shape.s) == (1, 1):
            forms.append(Cartesian.of_pixels(shape, task.first, task.second))
        mappings = []
        for planes in forms:
            image, kernel = planes.image_nonzeros(), planes.kernel_nonzeros()
            mappings += [
                Mapping(self, planes, image, kernel, split)
                for split in splits(pes, planes, self.mappings, free=self.free_tiling)
            ]
        mappings.sort(key=Mapping.estimate)
        tried = mappings[: ANTICIPATED_CANDIDATES if self.anticipates else CANDIDATES]
        return min((mapping.cycles() for mapping in tried), key=lambda result: result[0])

    def stored_bytes(self, mask: np.ndarray, resources: Resources) -> float:
        """Return the bytes of an operand's nonzeros, each with its distance to the one before."""
        return compressed_bytes(mask, resources, index_bits_each=RUN_LENGTH_BITS)
