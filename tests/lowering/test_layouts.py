"""Tensors in the order in which strips hold them."""

from __future__ import annotations

import numpy as np
import pytest

from gscn.conv import ConvShape, Pass
from gscn.lowering.axes import grad_geometry, kernel_geometries
from gscn.lowering.layouts import (
    Grouping,
    gather,
    grad_input,
    grad_outputs,
    put_results,
    spread,
    stream_of,
    used_rows,
    weights_of,
)

SHAPE = ConvShape(n=2, c=3, k=4, h=6, w=5, r=3, s=3, stride=(2, 2), padding=(1, 1))
"""Output row p has input rows 2p - 1 to 2p + 1."""


@pytest.mark.parametrize("channels", [1, 15, 16, 17, 40])
@pytest.mark.parametrize(("real", "vectors"), [(16, 0), (32, 1), (5, 0), (1, 0)])
def test_groups_are_taken_apart_again(rng, channels, real, vectors):
    tensor = rng.integers(1, 9, (2, 3, channels))
    grouping = Grouping(channels, real, vectors)
    groups = spread(tensor, grouping)
    assert groups.shape == (-(-channels // real), 2, 3, 16 << vectors)
    assert groups[..., real:].sum() == 0
    np.testing.assert_array_equal(groups[0, ..., 0], tensor[..., 0])
    np.testing.assert_array_equal(groups[-1, ..., (channels - 1) % real], tensor[..., -1])
    np.testing.assert_array_equal(gather(groups, grouping), tensor)


def test_a_forward_pass_streams_phases_as_channels(rng):
    (geometry,) = kernel_geometries(SHAPE, Pass.FORWARD, 64)
    inputs = rng.integers(1, 9, SHAPE.x_shape)
    stream = stream_of(geometry, inputs).reshape(2, 4, 3, 2, 2, 3)
    # Phases 0 have the odd rows and columns behind a row of padding, phases 1 the even ones.
    np.testing.assert_array_equal(
        stream[:, 1:, 1:3, 0, 0], inputs[:, :, 1::2, 1::2].transpose(0, 2, 3, 1)
    )
    np.testing.assert_array_equal(
        stream[:, :3, :3, 1, 1], inputs[:, :, ::2, ::2].transpose(0, 2, 3, 1)
    )
    assert not stream[:, 0, :, 0].any()
    assert not stream[:, 3, :, 1].any()
    weights = rng.integers(1, 9, SHAPE.w_shape)
    turned = weights_of(geometry, weights).reshape(2, 2, 3, 2, 2, 4)
    np.testing.assert_array_equal(turned[0, 0, :, 1, 1], weights[:, :, 0, 0].T)
    np.testing.assert_array_equal(turned[0, 1, :, 0, 1], weights[:, :, 2, 1].T)
    assert np.count_nonzero(turned) == weights.size


def test_an_input_gradient_has_its_weights_as_they_are(rng):
    (geometry,) = kernel_geometries(SHAPE, Pass.INPUT_GRAD, 64)
    weights = rng.integers(1, 9, SHAPE.w_shape)
    np.testing.assert_array_equal(weights_of(geometry, weights), weights.transpose(0, 2, 3, 1))
    grads = rng.integers(1, 9, SHAPE.y_shape)
    np.testing.assert_array_equal(stream_of(geometry, grads), grads.transpose(0, 2, 3, 1))


@pytest.mark.parametrize("which", [Pass.FORWARD, Pass.INPUT_GRAD])
@pytest.mark.parametrize("most_step", [1, 64])
def test_results_of_all_passes_fill_the_whole(rng, which, most_step):
    whole = np.zeros(SHAPE.result_shape(which), dtype=np.int64)
    for geometry in kernel_geometries(SHAPE, which, most_step):
        results = rng.integers(1, 9, (2, *geometry.results, geometry.channels))
        before = np.count_nonzero(whole)
        put_results(geometry, results, whole)
        assert np.count_nonzero(whole) > before
    assert whole.all()


def test_inputs_of_a_weight_gradient_are_those_that_a_tap_uses(rng):
    shape = ConvShape(n=1, c=2, k=1, h=7, w=7, r=2, s=2, stride=(3, 3))
    used = used_rows(shape)
    assert used[0].tolist() == [True, True, False, True, True, False, False]
    rows, cols = grad_geometry(shape, 2, 2, apart=False)
    cuts = (rows.parts[0][0], cols.parts[0][0])
    inputs = rng.integers(1, 9, shape.x_shape)
    held = grad_input(inputs, cuts, used)
    assert held.shape == (1, 5, 5, 2)
    kept = np.ix_([0, 1, 3, 4], [0, 1, 3, 4])
    np.testing.assert_array_equal(held[0][kept], inputs[0].transpose(1, 2, 0)[kept])
    assert np.count_nonzero(held) == 4 * 4 * 2
    grads = rng.integers(1, 9, shape.y_shape)
    np.testing.assert_array_equal(grad_outputs(grads, cuts), grads.transpose(0, 2, 3, 1))
