"""A pass of a convolution as a matrix product: rows of nonzeros times an im2col matrix.

Each group of channels is a product of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from gscn.conv import ConvShape, Pass
from gscn.conv_groups import group_operands, join_groups
from gscn.enums import takes_text

_BLOCK_ELEMENTS = 1 << 18
"""Elements of a block at most, if one row of pixels has no more: 2 MiB stay in a core's cache."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class NonzeroRows:
    """Nonzeros of a matrix row by row, each row in the order of its columns."""

    starts: np.ndarray
    """Where each row starts, and the end of the last: one more than there are rows."""
    columns: np.ndarray
    values: np.ndarray
    """Of each nonzero."""

    @classmethod
    def of(cls, matrix: np.ndarray) -> NonzeroRows:
        """Return the nonzeros of a matrix."""
        rows, columns = np.nonzero(matrix)
        starts = np.searchsorted(rows, np.arange(matrix.shape[0] + 1))
        return cls(starts=starts, columns=columns, values=matrix[rows, columns])


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Block:
    """A part of the product: `product[:, columns] += left @ right`."""

    left: NonzeroRows
    """Some columns of the left matrix."""
    right: np.ndarray
    """As many rows of the right matrix, of the columns named; contiguous."""
    columns: slice


@takes_text
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PassMatrices:
    """A pass as `product = left @ right`."""

    shape: ConvShape
    which: Pass
    left: np.ndarray
    """(results' channels, contraction): the first operand."""
    right: np.ndarray
    """The second operand as a view of six dimensions: three of the contraction, three of columns.

    One pixel of the operand occurs as often as it meets a kernel position.
    """

    @property
    def product_shape(self) -> tuple[int, int]:
        """Rows and columns of the product."""
        return self.left.shape[0], int(np.prod(self.right.shape[3:]))

    def blocks(self, order: np.ndarray | None = None) -> Iterator[Block]:
        """Yield the parts of the product.

        Each column of a forward pass or an input gradient is in one part, with the whole
        contraction; parts of a weight gradient have all columns, and add up.

        Parameters
        ----------
        order
            Weight gradient: the contraction's indices in the order in which parts take them; by
            default as they are.
        """
        if self.which is Pass.WEIGHT_GRAD:
            length, width = self.left.shape[1], self.product_shape[1]
            order = np.arange(length) if order is None else order
            step = max(1, _BLOCK_ELEMENTS // width)
            for start in range(0, length, step):
                chosen = order[start : start + step]
                pixels = np.unravel_index(chosen, self.right.shape[:3])
                yield Block(
                    left=NonzeroRows.of(self.left[:, chosen]),
                    right=self.right[pixels].reshape(-1, width),
                    columns=slice(0, width),
                )
            return
        left = NonzeroRows.of(self.left)
        length = self.left.shape[1]
        _, height, width = self.right.shape[3:]
        for images, rows in _runs(self.right.shape[3:], length):
            part = self.right[:, :, :, images, rows].reshape(length, -1)
            start = (images.start * height + rows.start) * width
            yield Block(left=left, right=part, columns=slice(start, start + part.shape[1]))

    def add_up(
        self,
        dtype: type[np.generic],
        add: Callable[[Block, np.ndarray], None],
        order: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return the pass's result, from 0, to whose columns `add` adds each block in place.

        Parameters
        ----------
        dtype
            Of the result.
        add
            Called with a block and the contiguous columns that it adds to.
        order
            As of `blocks`.
        """
        sums = np.zeros(self.product_shape, dtype)
        for block in self.blocks(order):
            part = np.ascontiguousarray(sums[:, block.columns])
            add(block, part)
            sums[:, block.columns] = part
        return self.result(sums)

    def result(self, product: np.ndarray) -> np.ndarray:
        """Return a matrix of the product's shape in the shape of the pass's result."""
        tensor = product.reshape(product.shape[0], *self.right.shape[3:])
        order = (0, 3, 1, 2) if self.which is Pass.WEIGHT_GRAD else (1, 0, 2, 3)
        return np.ascontiguousarray(tensor.transpose(order))


def _runs(pixels: tuple[int, int, int], depth: int) -> Iterator[tuple[slice, slice]]:
    """Yield (images, rows) that cover all pixels (N, height, width) in runs of pixels."""
    n, height, width = pixels
    rows = max(1, _BLOCK_ELEMENTS // (depth * width))
    if rows < height:
        for image in range(n):
            for row in range(0, height, rows):
                yield slice(image, image + 1), slice(row, min(row + rows, height))
        return
    images = rows // height
    for image in range(0, n, images):
        yield slice(image, min(image + images, n)), slice(0, height)


@takes_text
def add_up_pass(
    shape: ConvShape,
    which: Pass,
    first: np.ndarray,
    second: np.ndarray,
    dtype: type[np.generic],
    add: Callable[[Block, np.ndarray], None],
    order: np.ndarray | None = None,
) -> np.ndarray:
    """Return a pass's result as `PassMatrices.add_up` does that of each group.

    Parameters
    ----------
    shape
        The convolution.
    which
        The pass.
    first, second
        Operands of any numeric type, of the shapes `ConvShape.operand_shapes`.
    dtype, add, order
        As of `PassMatrices.add_up`.
    """
    return join_groups(
        which,
        [
            pass_matrices(shape.group, which, *pair).add_up(dtype, add, order)
            for pair in group_operands(shape, which, first, second)
        ],
    )


@takes_text
def pass_matrices(
    shape: ConvShape, which: Pass, first: np.ndarray, second: np.ndarray
) -> PassMatrices:
    """Return a pass as a product of matrices.

    Parameters
    ----------
    shape
        The convolution, of one group.
    which
        The pass.
    first, second
        Operands of any numeric type, of the shapes `ConvShape.operand_shapes`.
    """
    kernel = (shape.r, shape.s)
    if which is Pass.INPUT_GRAD:
        # Input pixel y meets output pixel p under kernel row r if y + padding - r * dilation is
        # p * stride: windows over a canvas in which the output pixels stand so far apart.
        reach = [d * (size - 1) for d, size in zip(shape.dilation, kernel, strict=True)]
        height, width = (
            size + 2 * padding + more
            for size, padding, more in zip((shape.h, shape.w), shape.padding, reach, strict=True)
        )
        canvas = np.zeros((shape.n, shape.k, height, width), second.dtype)
        canvas[
            :,
            :,
            reach[0] : reach[0] + (shape.p - 1) * shape.stride[0] + 1 : shape.stride[0],
            reach[1] : reach[1] + (shape.q - 1) * shape.stride[1] + 1 : shape.stride[1],
        ] = second
        canvas = canvas[:, :, shape.padding[0] :, shape.padding[1] :]
        view = _windows(canvas, kernel, (shape.h, shape.w), (1, 1), shape.dilation)
        # Rows of the canvas go up where those of the kernel go down.
        view = view[:, :, :, :, ::-1, ::-1].transpose(1, 4, 5, 0, 2, 3)
        left = first.transpose(1, 0, 2, 3)
    else:
        vertical, horizontal = shape.padding
        padded = np.pad(
            second.transpose(0, 2, 3, 1),
            ((0, 0), (vertical, vertical), (horizontal, horizontal), (0, 0)),
        ).transpose(0, 3, 1, 2)
        view = _windows(padded, kernel, (shape.p, shape.q), shape.stride, shape.dilation)
        if which is Pass.FORWARD:
            view = view.transpose(1, 4, 5, 0, 2, 3)
            left = first
        else:
            view = view.transpose(0, 2, 3, 4, 5, 1)
            left = first.transpose(1, 0, 2, 3)
    return PassMatrices(shape=shape, which=which, left=left.reshape(left.shape[0], -1), right=view)


def _windows(
    images: np.ndarray,
    kernel: tuple[int, int],
    size: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> np.ndarray:
    """Return the view (N, C, height, width, R, S) of what each kernel position meets."""
    n, c, row, column = images.strides
    return np.lib.stride_tricks.as_strided(
        images,
        (*images.shape[:2], *size, *kernel),
        (
            n,
            c,
            row * stride[0],
            column * stride[1],
            row * dilation[0],
            column * dilation[1],
        ),
        writeable=False,
    )
