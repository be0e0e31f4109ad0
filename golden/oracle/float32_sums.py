"""Sums of exact products in float32, as other hardware forms them: to compare their error.

Products of two operands of at most 12 significant bits are exact in float32. What is rounded is
their sum: product by product, or in blocks as in matrix units.
"""

from __future__ import annotations

import numpy as np

from gscn.conv import ConvShape, Pass
from gscn.enums import takes_text
from gscn.golden.oracle.im2col import Block, NonzeroRows, add_up_pass
from gscn.golden.oracle.integers import check_operands
from gscn.system.compiled import compiled
from gscn.window import contraction_length

BLOCK_LENGTH = 16
"""Products that a matrix unit adds at once."""


@takes_text
def conv_random_order(
    shape: ConvShape,
    which: Pass,
    first: np.ndarray,
    second: np.ndarray,
    generator: np.random.Generator,
) -> np.ndarray:
    """Compute one pass with a float32 accumulator to which products are added in random order.

    Products of a zero are left out: adding zero changes no sum.

    Parameters
    ----------
    shape
        The convolution.
    which
        The pass.
    first, second
        float64 values of a format of operands, as in `ConvShape.operand_shapes`.
    generator
        Draws the order, anew for every channel of the results.

    Returns
    -------
    numpy.ndarray
        float32, of shape `ConvShape.result_shape`.

    Raises
    ------
    InputError
        Operands of another shape.
    """
    check_operands(shape, which, first, second)
    length = contraction_length(shape, which)
    order = generator.permutation(length) if which is Pass.WEIGHT_GRAD else None

    def add(block: Block, part: np.ndarray) -> None:
        left = _shuffled(block.left, generator)
        _add_each(left.starts, left.columns, left.values, block.right, part)

    return add_up_pass(shape, which, first, second, np.float32, add, order)


def _shuffled(rows: NonzeroRows, generator: np.random.Generator) -> NonzeroRows:
    """Return the same nonzeros, each row in random order."""
    row = np.repeat(np.arange(rows.starts.size - 1), np.diff(rows.starts))
    order = np.lexsort((generator.random(row.size), row))
    return NonzeroRows(starts=rows.starts, columns=rows.columns[order], values=rows.values[order])


@takes_text
def conv_in_blocks(
    shape: ConvShape, which: Pass, first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """Compute one pass as matrix units do: blocks of products, added to a float32 accumulator.

    The `BLOCK_LENGTH` products of neighbours in the contraction are added in double precision, and
    their sum with the accumulator is rounded to float32, to nearest. Matrix units in use are no
    more exact than that: they keep fewer bits of the products of a block, and truncate (Fasi et
    al., "Numerical behavior of NVIDIA tensor cores", PeerJ Computer Science 2021).

    Parameters
    ----------
    shape, which, first, second
        As of `conv_random_order`.

    Returns
    -------
    numpy.ndarray
        float32, of shape `ConvShape.result_shape`.

    Raises
    ------
    InputError
        Operands of another shape.
    """
    check_operands(shape, which, first, second)

    def add(block: Block, part: np.ndarray) -> None:
        left = block.left
        _add_blocks(left.starts, left.columns, left.values, block.right, BLOCK_LENGTH, part)

    return add_up_pass(shape, which, first, second, np.float32, add)


@compiled
def _add_each(starts, columns, values, right, sums):
    for row in range(sums.shape[0]):
        target = sums[row]
        for index in range(starts[row], starts[row + 1]):
            value = np.float32(values[index])
            source = right[columns[index]]
            for column in range(target.size):
                # Two roundings in name: the product is exact.
                target[column] += value * np.float32(source[column])


@compiled
def _add_blocks(starts, columns, values, right, length, sums):
    block_sums = np.empty(sums.shape[1], np.float64)
    for row in range(sums.shape[0]):
        target = sums[row]
        index, end = starts[row], starts[row + 1]
        while index < end:
            block = columns[index] // length
            block_sums[:] = 0
            while index < end and columns[index] // length == block:
                value = values[index]
                source = right[columns[index]]
                for column in range(target.size):
                    block_sums[column] += value * source[column]
                index += 1
            for column in range(target.size):
                target[column] = np.float32(np.float64(target[column]) + block_sums[column])
