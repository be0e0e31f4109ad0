"""Rows of a pass: every meeting of an input row and a tap is there once, and no other."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gscn.conv import ConvShape, Pass
from gscn.errors import InputError
from gscn.lowering.axes import forget, grad_geometry, kernel_geometries, meetings


@st.composite
def rows(draw):
    """Convolutions of one column: their rows are of every kind."""
    kernel, dilation = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    padding = draw(st.sampled_from([0, 1, 2, 5, 13]))
    span = (kernel - 1) * dilation + 1
    return ConvShape(
        n=1, c=1, k=1, s=1, w=1, r=kernel, dilation=(dilation, 1), padding=(padding, 0),
        h=max(1, span - 2 * padding) + draw(st.integers(0, 20)),
        stride=(draw(st.integers(1, 5)), 1) if draw(st.booleans()) else (1, 1),
    )  # fmt: skip


def expected(shape):
    """Return (input row, tap, output row) of a convolution."""
    found = Counter()
    for out in range(shape.p):
        for tap in range(shape.r):
            row = out * shape.stride[0] + tap * shape.dilation[0] - shape.padding[0]
            if 0 <= row < shape.h:
                found[row, tap, out] += 1
    return found


def kernel_meetings(shape, geometry):
    """Return what one pass of the array computes on its rows, by the contract's law."""
    axis, found = geometry.y, Counter()
    for tap, phase, place in axis.places:
        assert 0 <= place < axis.taps
        for number in range(geometry.stream[0]):
            target = axis.first + number * axis.step + place
            if not 0 <= target < geometry.results[0]:
                continue
            inner, outer = (number, target) if geometry.forward else (target, number)
            row = (axis.low + inner) * axis.cut + axis.phases[phase] - axis.padding
            # Rows beyond an input are zeros; those beyond its gradient would cost products.
            assert geometry.forward or 0 <= row < shape.h
            if 0 <= row < shape.h:
                found[row, tap, axis.out_low + outer] += 1
    return found


@given(shape=rows(), which=st.sampled_from([Pass.FORWARD, Pass.INPUT_GRAD]))
def test_passes_with_weights_meet_every_tap_once(shape, which):
    found = Counter()
    for geometry in kernel_geometries(shape, which, 64):
        found += kernel_meetings(shape, geometry)
    assert found == expected(shape)
    assert meetings(shape) == sum(found.values())


def test_channels_of_other_groups_do_not_meet():
    shape = ConvShape(n=2, c=6, h=5, w=4, k=4, r=3, s=2, padding=(1, 0), groups=2)
    assert meetings(shape) == 2 * meetings(shape.group)


@given(shape=rows())
def test_steps_and_phases_of_an_input_gradient_are_the_same(shape):
    square = ConvShape(
        n=1, c=1, k=1, r=shape.r, h=shape.h, w=shape.h, s=shape.r,
        dilation=(shape.dilation[0],) * 2, padding=(shape.padding[0],) * 2,
        stride=(shape.stride[0],) * 2,
    )  # fmt: skip
    for most_step in (1, 64):
        found = Counter()
        for geometry in kernel_geometries(square, Pass.INPUT_GRAD, most_step):
            if (
                geometry.x.phases
                == kernel_geometries(square, Pass.INPUT_GRAD, most_step)[0].x.phases
            ):
                found += kernel_meetings(square, geometry)
        assert found == expected(shape)


@given(
    shape=rows(), most=st.integers(1, 7), apart=st.booleans(), turned=st.booleans(),
    square=st.booleans(),
)  # fmt: skip
def test_weight_gradients_meet_every_tap_once(shape, most, apart, turned, square):
    if square:
        shape = ConvShape(
            n=1, c=1, k=1, r=shape.r, h=shape.h, w=shape.h, s=shape.r,
            dilation=(shape.dilation[0],) * 2, padding=(shape.padding[0],) * 2,
            stride=(shape.stride[0],) * 2,
        )  # fmt: skip
    axis = grad_geometry(shape, most, most, apart=apart)[0]
    if turned and axis.step > 1:
        return
    found = Counter()
    for cut, runs in axis.parts:
        assert len(runs) == 1 or not apart
        for run in runs:
            length = len(run.taps)
            assert length <= most
            first = cut.out_low * axis.step + run.first - cut.low
            if turned:
                first = cut.low - (run.first + length - 1) - cut.out_low
            streamed, held = (cut.count, cut.out_count) if turned else (cut.out_count, cut.count)
            for number in range(streamed):
                for place in range(length):
                    target = first + number * axis.step + place
                    if not 0 <= target < held:
                        continue
                    inner, outer = (number, target) if turned else (target, number)
                    row = (cut.low + inner) * cut.cut + cut.phase - cut.padding
                    tap = run.taps[length - 1 - place if turned else place]
                    if 0 <= row < shape.h:
                        found[row, tap, cut.out_low + outer] += 1
    assert found == expected(shape)


def test_numbers_of_a_strided_layer_worked_out_by_hand():
    # 3x3 with stride 2 and padding 1 on 6 rows: output row p has input rows 2p - 1, 2p, 2p + 1.
    shape = ConvShape(n=1, c=1, k=1, h=6, w=6, r=3, s=3, stride=(2, 2), padding=(1, 1))
    (forward,) = kernel_geometries(shape, Pass.FORWARD, 64)
    # Phase 0 has rows -1, 1, 3, 5 and taps 0 and 2, phase 1 rows 0, 2, 4 and tap 1.
    assert forward.y.phases == (0, 1)
    assert (forward.y.low, forward.y.count, forward.y.taps, forward.y.first) == (0, 4, 2, -1)
    assert forward.y.places == ((0, 0, 1), (1, 1, 1), (2, 0, 0))
    assert forward.contracted == 4
    (backward,) = kernel_geometries(shape, Pass.INPUT_GRAD, 64)
    assert (backward.y.first, backward.y.step, backward.y.taps) == (-1, 2, 3)
    rows, _ = grad_geometry(shape, 3, 3, apart=False)
    ((cut, (run,)),) = rows.parts
    assert (rows.step, cut.low, cut.count, run.first, run.taps) == (2, 1, 6, 0, (0, 1, 2))


def test_too_many_taps_are_refused_by_name():
    shape = ConvShape(n=1, c=1, k=1, h=40, w=40, r=17, s=1)
    for which in (Pass.FORWARD, Pass.INPUT_GRAD):
        with pytest.raises(InputError, match="must be at most 16 x the stride, not 17"):
            kernel_geometries(shape, which, 64)


def test_what_is_forgotten_is_found_again():
    shape = ConvShape(n=1, c=2, k=3, h=4, w=5, r=2, s=2)
    before = kernel_geometries(shape, Pass.FORWARD, 9)
    assert kernel_geometries(shape, Pass.FORWARD, 9) is before
    forget()
    again = kernel_geometries(shape, Pass.FORWARD, 9)
    assert again is not before
    assert again == before
