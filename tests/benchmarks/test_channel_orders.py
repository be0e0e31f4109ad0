"""Orders of channels are permutations, and leave the products of a pass what they are."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import channel_orders
from benchmarks.channel_orders import ORDERS, alike, counted, dealt, permuted
from gscn.conv import ConvShape, Pass
from gscn.cosim.layer import PassInput
from gscn.golden.oracle.integers import conv_integers

SHAPE = ConvShape(n=2, c=5, h=6, w=5, k=7, r=3, s=3, padding=(1, 1))


def passed(which):
    rng = np.random.default_rng(2)
    first, second = (
        (rng.integers(-9, 10, size) * (rng.random(size) < 0.4)).astype(np.int16)
        for size in SHAPE.operand_shapes(which)
    )
    return PassInput(layer="a", shape=SHAPE, which=which, first=first, second=second)


def test_alike_channels_are_neighbours():
    assert list(alike(np.array([3, 9, 1, 9, 4]))) == [1, 3, 4, 0, 2]


def test_groups_are_dealt_as_much():
    nonzeros = np.arange(48)
    groups = nonzeros[dealt(nonzeros)].reshape(3, 16).sum(1)
    assert groups.max() - groups.min() <= 3


@pytest.mark.parametrize("order", ORDERS.values())
def test_orders_are_permutations(order):
    assert sorted(order(np.array([5, 1, 1, 8, 0] * 7))) == list(range(35))


@pytest.mark.parametrize("which", list(Pass))
def test_results_are_those_of_the_pass_in_the_same_order(which):
    one = passed(which)
    filters, channels = (
        np.random.default_rng(4).permutation(7),
        np.random.default_rng(5).permutation(5),
    )
    found = permuted(one, filters, channels)
    results = [conv_integers(SHAPE, which, some.first, some.second) for some in (one, found)]
    expected = {
        Pass.FORWARD: lambda right: right[:, filters],
        Pass.INPUT_GRAD: lambda right: right[:, channels],
        Pass.WEIGHT_GRAD: lambda right: right[filters][:, channels],
    }[which](results[0])
    np.testing.assert_array_equal(results[1], expected)


def test_nonzeros_are_of_maps_where_there_is_one():
    one = passed(Pass.FORWARD)
    filters, channels = counted(one)
    assert list(filters) == [np.count_nonzero(one.first[k]) for k in range(7)]
    assert list(channels) == [np.count_nonzero(one.second[:, c]) for c in range(5)]
    one = passed(Pass.INPUT_GRAD)
    filters, channels = counted(one)
    assert list(filters) == [np.count_nonzero(one.second[:, k]) for k in range(7)]
    assert list(channels) == [np.count_nonzero(one.first[:, c]) for c in range(5)]


def test_gains_are_over_channels_as_they_are():
    rows = [
        {"order": order, "pass": str(which), "cycles": cycles}
        for order, cycles in ((channel_orders.NATURAL, 100), ("alike together", 90), ("dealt", 120))
        for which in Pass
    ]
    lines = [line.strip("| ").split(" | ") for line in channel_orders.render(rows).splitlines()]
    assert lines[3] == ["alike together", "270", *["-10.0 %"] * 4]
    assert lines[4] == ["dealt", "360", *["+20.0 %"] * 4]
