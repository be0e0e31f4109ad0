"""What dense sums and maxima of segments are for: pooling that overlaps, structured sparsity."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gscn.array import array
from gscn.emulator.encode import run_encode
from gscn.encode import (
    CHANNEL_ROW,
    ENCODE_DESCRIPTOR_BYTES,
    ENCODE_MODE,
    ENCODE_STATE,
    Adapt,
    EncodeError,
    Reduce,
)
from gscn.formats import BF16
from gscn.strips import decode, map_bounds
from tests.encode_passes import Places

CONFIG = array("small").with_overrides(["float_formats=bf16"])


def run(places, fields):
    """Run a pass whose record is at the start of memory, and keep what it leaves."""
    after = run_encode(CONFIG, places.memory(fields), 0, (0, ENCODE_DESCRIPTOR_BYTES))
    assert after.error == EncodeError.NONE
    places.content = after.memory


def common(places, counts, **state):
    """Return fields of a pass of 16 channels that copies tensor 0."""
    rows = np.zeros(16, dtype=CHANNEL_ROW.dtype)
    rows["c0"] = np.float32(1).view(np.uint32)
    record = np.zeros(1, dtype=ENCODE_STATE.dtype)
    for name, value in state.items():
        record[name] = value
    counts = [*counts, *[1] * (8 - len(counts))]
    positions = int(np.prod(counts))
    return {f"count{n}": count for n, count in enumerate(counts)} | {
        "mode": ENCODE_MODE, "t0_format": 1, "out_format": 1, "channels": 16, "group_channels": 16,
        "y_limit": 1, "x_limit": 1, "period": positions, "a_positions": positions,
        "b_positions": 1, "segment": positions, "rows_addr": places.put(rows),
        "state_addr": places.put(record),
    }  # fmt: skip


def place(places, stream, content):
    """Put a tensor of 2 bytes for each value into memory; return its fields."""
    start = places.put(content)
    size = content if isinstance(content, int) else content.nbytes
    return {f"{stream}_addr": start, f"{stream}_end": start + size}


def codes_of(values):
    """Return codes of bf16 of numbers that have no more bits."""
    return (values.astype(np.float32).view(np.uint32) >> 16).astype("<u2")


def values_of(codes):
    return (codes.astype(np.uint32) << 16).view(np.float32)


def overlapping(n, h, w):
    """Return how windows of 3x3 in steps of 2 lie on a map with a border of 1."""
    row, sample = 32 * w, 32 * w * h
    p, q = (h + 1) // 2, (w + 1) // 2
    return p, q, {
        "y_first": -1, "y_limit": h, "y_step1": 1, "y_step3": 2,
        "x_first": -1, "x_limit": w, "x_step0": 1, "x_step2": 2,
        "t0_first": -row - 32, "t0_step0": 32, "t0_step1": row, "t0_step2": 64,
        "t0_step3": 2 * row, "t0_step4": sample, "t0_vector": 32,
        "dense_step2": 32, "dense_step3": 32 * q, "dense_step4": 32 * q * p, "dense_vector": 32,
        "segment": 9,
    }  # fmt: skip


@settings(deadline=None, max_examples=15)
@given(st.integers(1, 2), st.integers(1, 3), st.integers(1, 3), st.integers(0, 999))
def test_overlapping_maximum_pooling_and_its_gradient_are_those_of_torch(n, half_h, half_w, seed):
    h, w = 2 * half_h, 2 * half_w
    generator = np.random.default_rng(seed)
    # Few different numbers, so that windows have ties, and gradients whose sums are exact.
    inputs = generator.integers(-3, 4, (n, 16, h, w)).astype(np.float32)
    p, q, walk = overlapping(n, h, w)
    places = Places()
    fields = common(places, (3, 3, q, p, n)) | walk | {"reduce": int(Reduce.MAXIMUM)}
    fields |= place(places, "t0", codes_of(inputs.transpose(0, 2, 3, 1)))
    fields |= place(places, "dense", n * p * q * 32)
    fields |= place(places, "bits", n * p * q * 9 * 2)
    run(places, fields)
    tensor = torch.from_numpy(inputs).requires_grad_()
    pooled = torch.nn.functional.max_pool2d(tensor, 3, 2, 1)
    got = values_of(places.content[fields["dense_addr"] : fields["dense_end"]].view("<u2"))
    assert np.array_equal(got.reshape(n, p, q, 16).transpose(0, 3, 1, 2), pooled.detach().numpy())
    grads = generator.integers(-8, 9, pooled.shape).astype(np.float32)
    pooled.backward(torch.from_numpy(grads))
    made = place(places, "dense", n * h * w * 32)
    source = place(places, "t0", codes_of(grads.transpose(0, 2, 3, 1)))
    for a in range(2):
        for b in range(2):
            run(places, common(places, (1 + b, 1 + a, half_w, half_h, n), sum_top=262) | source | {
                "reduce": int(Reduce.SUM), "masked": 1, "segment": (1 + a) * (1 + b), **made,
                "mask_addr": fields["bits_addr"], "mask_end": fields["bits_end"],
                **backward_walk((a, b), (h, w), (p, q)),
            })  # fmt: skip
    got = values_of(places.content[made["dense_addr"] : made["dense_end"]].view("<u2"))
    assert np.array_equal(got.reshape(n, h, w, 16).transpose(0, 3, 1, 2), tensor.grad.numpy())


def backward_walk(phases, size, pooled):
    """Return the walk of every second row and column: taps innermost, each a window it is in."""
    (a, b), (h, w), (p, q) = phases, size, pooled
    # Row 2 i + 1 is row 0 of window i + 1 and row 2 of window i, row 2 i is row 1 of window i.
    rows, cols = 9 * q * 2, 9 * 2
    return {
        "y_first": a, "y_limit": p, "y_step3": 1, "y_step1": -1,
        "x_first": b, "x_limit": q, "x_step2": 1, "x_step0": -1,
        "t0_first": 32 * (a * q + b), "t0_step0": -32, "t0_step1": -32 * q, "t0_step2": 32,
        "t0_step3": 32 * q, "t0_step4": 32 * p * q, "t0_vector": 32,
        "mask_first": a * rows + b * cols + (0 if a else 3 * 2) + (0 if b else 2),
        "mask_step0": 2 * 2 - cols, "mask_step1": 2 * 3 * 2 - rows, "mask_step2": cols,
        "mask_step3": rows, "mask_step4": rows * p, "mask_vector": 2,
        "dense_first": 32 * (a * w + b), "dense_step2": 64, "dense_step3": 64 * w,
        "dense_step4": 32 * w * h, "dense_vector": 32,
    }  # fmt: skip


@settings(deadline=None, max_examples=15)
@given(st.integers(1, 6), st.integers(1, 96), st.integers(0, 999))
def test_kernels_are_kept_by_the_sums_of_their_magnitudes(channels, keep, seed):
    keep = min(keep, 16 * channels)
    generator = np.random.default_rng(seed)
    weights = generator.integers(-9, 10, (16, channels, 3, 3)).astype(np.float32)
    places = Places()
    content = codes_of(weights.transpose(1, 2, 3, 0))
    steps = {"t0_step0": 32, "t0_step1": 96, "t0_step2": 288, "t0_vector": 32}
    fields = common(places, (3, 3, channels), sum_top=266) | steps
    source = place(places, "t0", content)
    scores = place(places, "dense", 32 * channels)
    run(places, fields | source | scores | {
        "reduce": int(Reduce.SUM), "segment": 9, "magnitudes": 1, "dense_step2": 32,
        "dense_vector": 32,
    })  # fmt: skip
    wanted = np.abs(weights).sum((2, 3))
    got = values_of(places.content[scores["dense_addr"] : scores["dense_end"]].view("<u2"))
    assert np.array_equal(got.reshape(channels, 16).T, wanted)
    score = {"addr": scores["dense_addr"], "end": scores["dense_end"]}
    chosen = common(places, (channels,), keep=keep) | {
        "t0_addr": score["addr"], "t0_end": score["end"], "t0_step0": 32, "t0_vector": 32,
    }  # fmt: skip
    for adapt, shift, bits in ((Adapt.SELECT_FIRST, 7, 8), (Adapt.SELECT_NEXT, 0, 7)):
        run(places, chosen | {"adapt": int(adapt), "bin_shift": shift, "bin_bits": bits})
    table = places.put(8)
    room = places.put(40 * 9 * channels + 64)
    run(places, fields | source | {
        "state_addr": chosen["state_addr"], "thresholds": 1, "judged": 2, "t1_format": 1,
        "t1_addr": score["addr"], "t1_end": score["end"], "t1_step2": 32, "t1_vector": 32,
        "a_data": room, "a_end": room + 40 * 9 * channels + 64, "a_table": table,
    })  # fmt: skip
    limit = torch.kthvalue(torch.from_numpy(wanted).flatten(), wanted.size - keep + 1).values
    kept = np.where((wanted >= limit.item())[:, :, None, None], weights, 0)
    positions = 9 * channels
    rows = places.content[table : table + 8].view("<u4").reshape(2, 1)
    bounds = map_bounds(1, positions, 1, positions)
    found = decode(places.content[room:], rows, bounds, 16, BF16)
    assert np.array_equal(values_of(found).reshape(channels, 3, 3, 16).transpose(3, 0, 1, 2), kept)
