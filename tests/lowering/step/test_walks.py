"""Walks of encode passes: one dense tensor becomes the operands of all three passes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gscn.array import array
from gscn.conv import ConvShape, Pass
from gscn.emulator.encode import run_encode
from gscn.encode import CHANNEL_ROW, ENCODE_DESCRIPTOR_BYTES, ENCODE_MODE, EncodeError
from gscn.errors import InputError
from gscn.formats import BF16
from gscn.lowering.axes import MOST_STEP, grad_geometry, kernel_geometries
from gscn.lowering.layouts import (
    Grouping,
    grad_input,
    grad_outputs,
    spread,
    stream_of,
    used_rows,
    weights_of,
)
from gscn.lowering.step.walks import (
    DenseTensor,
    axis_rows,
    cut_rows,
    map_walk,
    output_rows,
    weight_walk,
)
from gscn.strips import decode, map_bounds
from tests.encode_passes import Places

CONFIG = array("small").with_overrides(["float_formats=bf16"])
GROUPINGS = st.sampled_from([(16, 0), (32, 1), (10, 0)])


@st.composite
def layers(draw):
    """Return a convolution."""
    stride = draw(st.integers(1, 2))
    taps = draw(st.integers(1, 3))
    size = draw(st.integers(3, 7))
    return ConvShape(
        n=draw(st.integers(1, 2)), c=draw(st.sampled_from([3, 16, 32, 48])), h=size,
        w=draw(st.integers(3, 7)), k=draw(st.sampled_from([5, 16, 32, 48])), r=taps, s=taps,
        stride=(stride, stride), padding=(draw(st.integers(0, taps // 2)),) * 2,
    )  # fmt: skip


def grouped(channels, drawn):
    real, vectors = drawn
    return Grouping(channels, channels if channels <= 16 else max(real, 16), vectors)


def dense_bytes(tensor, lanes):
    """Return (outer, channels, rows, cols) as it lies in memory."""
    outer, channels, rows, cols = tensor.shape
    groups = -(-channels // lanes)
    filled = np.zeros((outer, groups * lanes, rows, cols), dtype=np.uint16)
    filled[:, :channels] = tensor
    cut = filled.reshape(outer, groups, lanes, rows, cols)
    return np.ascontiguousarray(cut.transpose(1, 0, 3, 4, 2))


def encoded(walk, content):
    """Run a pass that copies a tensor into strips; return the codes (groups, positions, lanes)."""
    places = Places()
    lanes = 16 << walk["vectors"]
    groups = walk["count5"] * walk["count6"] * walk["count7"]
    positions = int(np.prod([walk[f"count{n}"] for n in range(5)]))
    rows = np.zeros(walk["count5"] * lanes, dtype=CHANNEL_ROW.dtype)
    rows["c0"] = np.float32(1).view(np.uint32)
    start = places.put(content)
    room = groups * positions * lanes * 4 + 4096
    fields = walk | {
        "mode": ENCODE_MODE, "t0_addr": start, "t0_end": start + content.nbytes, "t0_format": 1,
        "out_format": 1, "a_positions": min(5, walk["period"]), "b_positions": 1,
        "segment": positions, "rows_addr": places.put(rows), "state_addr": places.put(64),
    }  # fmt: skip
    fields["a_data"] = places.put(room)
    fields["a_end"] = fields["a_data"] + room
    bounds = map_bounds(positions // walk["period"], walk["period"], 1, fields["a_positions"])
    fields["a_table"] = places.put(4 * groups * len(bounds))
    memory = places.memory(fields)
    result = run_encode(CONFIG, memory, 0, (0, ENCODE_DESCRIPTOR_BYTES))
    assert result.error == EncodeError.NONE
    after = result.memory
    table = after[fields["a_table"] : fields["a_table"] + 4 * groups * len(bounds)].view("<u4")
    data = after[fields["a_data"] : fields["a_end"]]
    return decode(data, table.reshape(-1, groups), bounds, lanes, BF16)


def drawn_codes(seed, shape):
    generator = np.random.default_rng(seed)
    return generator.integers(1, 0x7F00, shape).astype(np.uint16)


@settings(deadline=None, max_examples=60)
@given(layers(), GROUPINGS, st.sampled_from([16, 32, 64]), st.integers(0, 99))
def test_maps_become_streams_and_stationary_maps(shape, drawn, lanes, seed):
    inputs, grads = drawn_codes(seed, shape.x_shape), drawn_codes(seed + 1, shape.y_shape)
    used = [int(np.flatnonzero(rows)[-1]) + 1 for rows in used_rows(shape)]
    grouping = grouped(shape.c, drawn)
    dense = DenseTensor(shape.n, shape.h, shape.w, shape.c, lanes, 2)
    geometry = kernel_geometries(shape, Pass.FORWARD, MOST_STEP)[0]
    phases = len(geometry.y.phases) * len(geometry.x.phases)
    try:
        walk = map_walk(
            dense, axis_rows(geometry.y, used[0]), axis_rows(geometry.x, used[1]), grouping
        )
    except InputError:
        assume(False)
    stream = stream_of(geometry, inputs)
    by_phase = stream.reshape(*stream.shape[:3], phases, shape.c)
    wanted = np.concatenate([spread(by_phase[..., n, :], grouping) for n in range(phases)])
    got = encoded(walk, dense_bytes(inputs, lanes))
    assert np.array_equal(got, wanted.reshape(got.shape))
    for cuts in [(y, x) for y, _ in _parts(shape, 0) for x, _ in _parts(shape, 1)]:
        walk = map_walk(dense, cut_rows(cuts[0], used[0]), cut_rows(cuts[1], used[1]), grouping)
        got = encoded(walk, dense_bytes(inputs, lanes))
        wanted = spread(grad_input(inputs, cuts, used_rows(shape)), grouping)
        if min(shape.r, shape.s) >= shape.stride[0] or cuts[0].cut > 1:
            assert np.array_equal(got, wanted.reshape(got.shape))
        grad_grouping = grouped(shape.k, drawn)
        dense_grads = DenseTensor(shape.n, shape.p, shape.q, shape.k, 16, 2)
        walk = map_walk(dense_grads, output_rows(cuts[0]), output_rows(cuts[1]), grad_grouping)
        got = encoded(walk, dense_bytes(grads, 16))
        wanted = spread(grad_outputs(grads, cuts), grad_grouping)
        assert np.array_equal(got, wanted.reshape(got.shape))


def _parts(shape, axis):
    return grad_geometry(shape, 16, 16, apart=False)[axis].parts


@settings(deadline=None, max_examples=60)
@given(
    layers(), GROUPINGS, st.sampled_from([16, 32]), st.booleans(), st.sampled_from(list(Pass)[:2]),
    st.integers(0, 99),
)  # fmt: skip
def test_weights_become_both_stationary_operands(shape, drawn, lanes, by_output, which, seed):
    weights = drawn_codes(seed, shape.w_shape)
    major = weights.transpose(1, 0, 2, 3) if by_output else weights
    dense = DenseTensor(*(major.shape[n] for n in (0, 2, 3, 1)), lanes, 2)
    for geometry in kernel_geometries(shape, which, MOST_STEP):
        grouping = grouped(geometry.channels, drawn)
        try:
            walk = weight_walk(dense, geometry, grouping, by_output=by_output)
        except InputError:
            continue
        got = encoded(walk, dense_bytes(major, lanes))
        wanted = spread(weights_of(geometry, weights), grouping)
        assert np.array_equal(got, wanted.reshape(got.shape))


def test_what_no_walk_makes_is_refused_by_name():
    shape = ConvShape(n=1, c=64, h=9, w=9, k=64, r=3, s=3, dilation=(2, 2))
    dense = DenseTensor(1, 9, 9, 64, 32, 2)
    geometry = kernel_geometries(shape, Pass.FORWARD, MOST_STEP)[0]
    rows = axis_rows(geometry.y, 9)
    with pytest.raises(InputError, match="must be of 32 channels as in memory, not 16"):
        map_walk(dense, rows, rows, Grouping(64, 16, 0))
    with pytest.raises(InputError, match="multiple of 16 channels, not 10"):
        map_walk(dense, rows, rows, Grouping(64, 10, 0))
    weights = DenseTensor(64, 3, 3, 64, 16, 2)
    with pytest.raises(InputError, match="taps of weights must be equally far apart"):
        weight_walk(weights, geometry, Grouping(64, 16, 0), by_output=True)
