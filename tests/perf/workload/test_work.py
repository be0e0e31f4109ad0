"""The convolutions of a step: each pass at the densities of the method, and their products."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gscn.conv import ConvShape, Pass
from gscn.errors import InputError
from gscn.perf.workload.flops import (
    training_reduction,
)
from gscn.perf.workload.layers import Layer
from gscn.perf.workload.networks import network
from gscn.perf.workload.sparsification import (
    Method,
    Sparsification,
)
from gscn.perf.workload.work import inner_macs, pass_work, passes

RESNET50 = network("resnet50", image_size=224, batch=32)


def swat(sparsity, **densities):
    return Sparsification(method=Method.SWAT, sparsity=sparsity, **densities)


@pytest.mark.parametrize(
    ("method", "layer", "which", "densities"),
    [
        # Main densities, then those of ReSprop's term where there is one.
        ("swat", 5, Pass.FORWARD, [(0.1, 1)]),
        ("swat", 5, Pass.INPUT_GRAD, [(0.1, 1)]),
        ("swat", 5, Pass.WEIGHT_GRAD, [(1, 0.1)]),
        ("swat", 0, Pass.WEIGHT_GRAD, [(1, 1)]),
        ("swat", -1, Pass.WEIGHT_GRAD, [(1, 0.1)]),
        ("resprop", 5, Pass.FORWARD, [(1, 1)]),
        ("resprop", 5, Pass.INPUT_GRAD, [(1, 0.15), (1, 1)]),
        ("resprop", 5, Pass.WEIGHT_GRAD, [(0.15, 1), (1, 1)]),
        ("resprop", 0, Pass.WEIGHT_GRAD, [(0.15, 1), (1, 1)]),
        ("resprop", -1, Pass.WEIGHT_GRAD, [(1, 1)]),
        ("swat+resprop", 5, Pass.INPUT_GRAD, [(0.1, 0.15), (0.1, 1)]),
        ("swat+resprop", 5, Pass.WEIGHT_GRAD, [(0.15, 0.1), (1, 1)]),
        ("dense", 5, Pass.WEIGHT_GRAD, [(1, 1)]),
    ],
)
def test_densities_are_those_of_the_method(method, layer, which, densities):
    sparsification = Sparsification(method=Method(method), sparsity=0.9)
    work = pass_work(RESNET50.layers[layer], which, sparsification)
    assert [(w.first_density, w.second_density) for w in work] == [
        pytest.approx(pair) for pair in densities
    ]
    assert [w.precomputed for w in work] == [False, True][: len(densities)]
    assert [w.shape.n for w in work] == [32, 1][: len(densities)]


def test_relu_zeros_are_not_credited_in_flops_but_are_in_products():
    layer = RESNET50.layers[5]
    half = swat(0.8, activation_density=0.5)
    assert training_reduction(RESNET50, half) == training_reduction(RESNET50, swat(0.8))
    (work,) = pass_work(layer, Pass.FORWARD, half)
    assert (work.first_density, work.second_density) == (pytest.approx(0.2), 0.5)


def test_top_k_keeps_no_more_than_relu_left():
    (work,) = pass_work(RESNET50.layers[5], Pass.WEIGHT_GRAD, swat(0.2, activation_density=0.5))
    assert work.second_density == 0.5


def test_first_layer_needs_no_input_gradient():
    assert [Pass.INPUT_GRAD in passes(layer) for layer in RESNET50.layers[:2]] == [False, True]


@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
)
def test_inner_products_equal_a_count(size, kernel, stride, padding, dilation):
    try:
        shape = ConvShape(
            n=2,
            c=3,
            h=size[0],
            w=size[1],
            k=5,
            r=kernel[0],
            s=kernel[1],
            stride=stride,
            padding=padding,
            dilation=dilation,
        )
    except InputError:
        return  # the kernel does not fit
    padded = np.zeros((shape.h + 2 * padding[0], shape.w + 2 * padding[1]), dtype=bool)
    padded[padding[0] : padding[0] + shape.h, padding[1] : padding[1] + shape.w] = True
    count = sum(
        int(padded[y * stride[0] + r * dilation[0], x * stride[1] + s * dilation[1]])
        for y, x, r, s in itertools.product(
            range(shape.p), range(shape.q), range(shape.r), range(shape.s)
        )
    )
    assert inner_macs(shape) == 2 * 3 * 5 * count


def test_a_transposed_layer_asks_for_passes_of_what_it_transposes():
    shape = ConvShape.of_transposed(n=4, c=8, h=5, w=5, k=6, r=3, s=3, stride=(2, 2))
    up = Layer(name="up", shape=shape, transposed=True)
    sparsification = Sparsification(
        method=Method.SWAT_RESPROP, sparsity=0.9, activation_density=0.5
    )
    found = {which: pass_work(up, which, sparsification) for which in passes(up)}
    assert {which: work[0].which for which, work in found.items()} == {
        which: which.of_transposed for which in Pass
    }
    assert all(one.role is which for which, work in found.items() for one in work)
    # The inputs stand where output gradients do: forward in the second place, then in the first.
    assert [
        pytest.approx((one.first_density, one.second_density))
        for which in Pass
        for one in found[which]
    ] == [(0.1, 0.5), (0.1, 0.15), (0.1, 1), (0.1, 0.15), (1, 1)]
    assert [one.shape.n for which in Pass for one in found[which]] == [4, 4, 1, 4, 1]
    assert sum(one.macs for one in found[Pass.FORWARD]) == pytest.approx(
        4 * 25 * 8 * 6 * 9 * 0.1 * 0.5
    )
