"""What every rival is asked: operands of the right shape, and resources that there can be."""

from __future__ import annotations

import numpy as np
import pytest

from gscn.conv import ConvShape, Pass
from gscn.errors import InputError
from gscn.perf.rivals import Resources, Rival
from gscn.perf.rivals.model import Task, compressed_bytes
from tests.perf.rivals.shapes import masks

SHAPE = ConvShape(n=2, c=3, h=5, w=4, k=2, r=3, s=3, padding=(1, 1))
RESOURCES = Resources(multipliers=4, port_bytes_per_cycle=8, value_bits=16)


class Counting(Rival):
    """Takes a cycle for each nonzero of the first operand."""

    name = title = source = "counting"
    assumptions = ()

    def compute(self, task: Task) -> tuple[float, int]:
        return int(task.first.sum()), task.useful_products


@pytest.mark.parametrize("which", Pass)
def test_a_rival_says_how_it_computes_and_the_rest_follows(which):
    first, second = (3 * mask for mask in masks(SHAPE, which, (0.5, 0.4)))
    cost = Counting().cost(RESOURCES, SHAPE, which, first, second)
    nonzeros = [int(np.count_nonzero(operand)) for operand in (first, second)]
    assert cost.compute_cycles == nonzeros[0]
    # Two bytes for each nonzero and a bit for each element; results are written whole.
    assert cost.read_bytes == 2 * sum(nonzeros) + (first.size + second.size) / 8
    assert cost.write_bytes == 2 * np.prod(SHAPE.result_shape(which))
    assert cost.products == cost.useful_products > 0


def test_operands_of_another_shape_are_named():
    first, second = masks(SHAPE, Pass.FORWARD, (0.5, 0.4))
    with pytest.raises(InputError, match=r"second operand of forward must have the shape \(2, 3"):
        Counting().cost(RESOURCES, SHAPE, Pass.FORWARD, first, second[:1])


def test_distances_take_bits_beside_each_nonzero():
    mask = np.array([True, False, True, True])
    assert compressed_bytes(mask, RESOURCES, index_bits_each=4) == 3 * 20 / 8
