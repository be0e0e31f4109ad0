"""Shapes of a convolution against torch."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from gscn.conv import ConvShape, Pass
from gscn.errors import InputError

pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@given(
    sizes=st.tuples(*[st.integers(1, 4)] * 3, *[st.integers(1, 12)] * 2, *[st.integers(1, 5)] * 2),
    stride=pairs,
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    dilation=pairs,
    groups=st.integers(1, 3),
)
def test_output_size_is_that_of_torch(sizes, stride, padding, dilation, groups):
    n, c, k, h, w, r, s = sizes
    geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    x = torch.empty((n, c * groups, h, w), device="meta")
    weights = torch.empty((k * groups, c, r, s), device="meta")
    try:
        expected = functional.conv2d(x, weights, **geometry).shape
    except RuntimeError:
        with pytest.raises(InputError, match="must fit the padded input"):
            ConvShape(n=n, c=c * groups, h=h, w=w, k=k * groups, r=r, s=s, **geometry)
        return
    shape = ConvShape(n=n, c=c * groups, h=h, w=w, k=k * groups, r=r, s=s, **geometry)
    assert shape.y_shape == tuple(expected)
    assert (shape.x_shape, shape.w_shape) == (tuple(x.shape), tuple(weights.shape))
    # Each output is a sum over one window of weights.
    assert shape.dense_macs == expected.numel() * weights[0].numel()


def test_operands_and_results_of_the_passes():
    shape = ConvShape(n=2, c=3, h=8, w=9, k=5, r=3, s=2, stride=(2, 1))
    x, w, y = (2, 3, 8, 9), (5, 3, 3, 2), (2, 5, 3, 8)
    assert [(shape.operand_shapes(p), shape.result_shape(p)) for p in Pass] == [
        ((w, x), y),
        ((w, y), x),
        ((y, x), w),
    ]


def test_a_group_is_a_convolution_of_its_own():
    shape = ConvShape(n=2, c=6, h=8, w=9, k=4, r=3, s=2, dilation=(2, 1), groups=2)
    assert shape.group == ConvShape(n=2, c=3, h=8, w=9, k=2, r=3, s=2, dilation=(2, 1))
    assert shape.group.group == shape.group
    assert shape.dense_macs == 2 * shape.group.dense_macs
    shape.group.require_one_group("anything")
    with pytest.raises(InputError, match="groups must be 1 in a test, not 2"):
        shape.require_one_group("a test")


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (0, "groups must be a whole number of at least 1, not 0"),
        (1.0, "groups must be a whole number of at least 1, not 1.0"),
        (4, r"groups must divide both c \(6\) and k \(4\), not be 4"),
        (3, r"groups must divide both c \(6\) and k \(4\), not be 3"),
    ],
)
def test_groups_that_are_none(groups, message):
    with pytest.raises(InputError, match=message):
        ConvShape(n=1, c=6, h=4, w=4, k=4, r=1, s=1, groups=groups)


def test_every_problem_is_named_at_once():
    with pytest.raises(InputError) as caught:
        ConvShape(n=0, c=3, h=8, w=8, k=-1, r=3, s=3, stride=(0, 1), padding=(-1, 0), groups=-3)
    for problem in (
        "n must be at least 1, not 0",
        "k must be at least 1, not -1",
        "stride must be two numbers of at least 1, not (0, 1)",
        "padding must be two numbers of at least 0, not (-1, 0)",
        "groups must be a whole number of at least 1, not -3",
    ):
        assert problem in str(caught.value)


@given(
    sizes=st.tuples(*[st.integers(1, 4)] * 3, *[st.integers(1, 9)] * 2, *[st.integers(1, 4)] * 2),
    groups=st.integers(1, 3),
    stride=pairs,
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    dilation=pairs,
    more=st.tuples(st.integers(0, 2), st.integers(0, 2)),
)
def test_what_a_transposed_convolution_transposes(sizes, groups, stride, padding, dilation, more):
    n, c, k, h, w, r, s = sizes
    c, k = c * groups, k * groups
    x = torch.empty((n, c, h, w), device="meta")
    weights = torch.empty((c, k // groups, r, s), device="meta")
    kernel = {"r": r, "s": s, "stride": stride, "padding": padding, "dilation": dilation}

    def make():
        return ConvShape.of_transposed(
            n=n, c=c, h=h, w=w, k=k, **kernel, groups=groups, output_padding=more
        )

    if not all(one < by for one, by in zip(more, stride, strict=True)):
        with pytest.raises(InputError, match="output_padding must be two numbers, each less"):
            make()
        return
    sizes = [
        (size - 1) * by - 2 * pad + step * (taps - 1) + 1 + extra
        for size, by, pad, step, taps, extra in zip(
            (h, w), stride, padding, dilation, (r, s), more, strict=True
        )
    ]
    if min(sizes) < 1:
        with pytest.raises(InputError, match="outputs must be 1x1 to"):
            make()
        return
    y = functional.conv_transpose2d(x, weights, None, stride, padding, more, groups, dilation)
    shape = make()
    assert (shape.x_shape, shape.w_shape, shape.y_shape) == (y.shape, weights.shape, x.shape)
    assert shape.output_padding == more
    assert shape.dense_macs == x.numel() * weights[0].numel()


def test_passes_of_a_transposed_convolution_change_places():
    assert [which.of_transposed for which in Pass] == [
        Pass.INPUT_GRAD, Pass.FORWARD, Pass.WEIGHT_GRAD
    ]  # fmt: skip
    with pytest.raises(InputError, match=r"groups must divide both c \(3\) and k \(4\)"):
        ConvShape.of_transposed(n=1, c=3, h=2, w=2, k=4, r=1, s=1, groups=3)
    with pytest.raises(InputError, match=r"h must be from 1 to .*, not 0"):
        ConvShape.of_transposed(n=1, c=3, h=0, w=2, k=4, r=1, s=1)
