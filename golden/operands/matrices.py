"""Recorded passes as matrix products, group by group, for tools that have no convolution."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gscn.conv import ConvShape
from gscn.conv_groups import group_operands
from gscn.golden.oracle.im2col import PassMatrices, pass_matrices
from gscn.golden.traces.arrays import PassTrace


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Product:
    """A pass of one group of a layer: `left @ right` is its result, as `golden.oracle.im2col`'s.

    Forward: filters by taps, times what each output pixel meets. Input gradient: channels by taps,
    times output gradients that stand a stride apart, with zeros between. Weight gradient: filters
    by output pixels, times the inputs that they meet.
    """

    name: str
    """`layer.pass`, with `.group` behind it where there are several."""
    matrices: PassMatrices

    @property
    def rows(self) -> int:
        """Of the result: M."""
        return self.matrices.product_shape[0]

    @property
    def columns(self) -> int:
        """Of the result: N."""
        return self.matrices.product_shape[1]

    @property
    def contraction(self) -> int:
        """Products of an element of the result: K."""
        return self.matrices.left.shape[1]

    @property
    def left(self) -> np.ndarray:
        """(M, K): the first operand of the pass."""
        return self.matrices.left

    def right_rows(self) -> Iterator[np.ndarray]:
        """Yield the K rows of N elements of the second operand, which repeats what is used often.

        The matrix is up to R*S times the operand, and never in memory as a whole.
        """
        right = self.matrices.right
        for index in np.ndindex(right.shape[:3]):
            yield right[index].reshape(-1)

    def right_nonzeros(self) -> int:
        """Return the nonzeros of the right matrix."""
        return sum(int(np.count_nonzero(row)) for row in self.right_rows())


def products(name: str, shape: ConvShape, one: PassTrace) -> Iterator[Product]:
    """Yield the matrix products of a recorded pass, one for each group of channels."""
    pairs = group_operands(shape, one.which, one.first, one.second)
    for index, (first, second) in enumerate(pairs):
        yield Product(
            name=f"{name}.{one.which}" + (f".{index}" if shape.groups > 1 else ""),
            matrices=pass_matrices(shape.group, one.which, first, second),
        )
