"""Encode passes: the functional model against the law in plain Python and the golden arithmetic."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from gscn.array import array
from gscn.emulator.encode import run_encode
from gscn.encode import (
    CHANNEL_ROW,
    CHANNEL_SUMS,
    ENCODE_DESCRIPTOR,
    ENCODE_DESCRIPTOR_BYTES,
    ENCODE_MODE,
    ENCODE_STATE,
    TENSOR_FORMATS,
    Adapt,
    EncodeError,
    Reduce,
)
from gscn.formats import BF16, FLOAT32, FloatFormat
from gscn.golden.methods.resprop import GradientReuse
from gscn.golden.methods.selection import magnitude_threshold
from gscn.golden.oracle.encode import kth_magnitude, stepped
from gscn.strips import decode, encode, map_bounds
from tests.encode_law import expected, number, shape_of, strip_codes, sums_of
from tests.encode_passes import Places, dense_sizes, dense_steps, encode_passes

INTEGERS = array("small")
CONFIG = INTEGERS.with_overrides(["float_formats=bf16"])
LISTED = (0, ENCODE_DESCRIPTOR_BYTES)


def run(memory):
    """Run the pass whose record is at the start of memory, beside an array that has its formats."""
    out_format = ENCODE_DESCRIPTOR.unpack(memory[:ENCODE_DESCRIPTOR_BYTES])[0]["out_format"]
    return run_encode(INTEGERS if 3 <= out_format <= 5 else CONFIG, memory, 0, LISTED)


def has(f, part):
    return f[f"{part}_end"] != f[f"{part}_data" if part in "ab" else f"{part}_addr"]


def state_of(f, memory):
    return memory[f["state_addr"] : f["state_addr"] + 64].view(ENCODE_STATE.dtype)[0]


def check_dense(f, memory, part, codes, there):
    """Compare a dense result, vector by vector; what is not there is left alone."""
    groups, positions, lanes = codes.shape
    size = TENSOR_FORMATS[f["out_format"]].width // 8
    steps, vector, _ = dense_steps(dense_sizes(f), lanes // 16, size, range(8))
    there = there.reshape(groups, positions, -1, lanes).any(axis=2)
    whole = codes & ((1 << 8 * size) - 1)
    for group in range(groups):
        for position in range(positions):
            index = group * positions + position
            start = f[f"{part}_addr"] + index * lanes * size
            for first in range(0, lanes, 16):
                some = there[group, position, first : first + 16].any()
                got = [number(memory, start + (first + n) * size, size) for n in range(16)]
                wanted = whole[group, position, first : first + 16] if some else np.zeros(16, int)
                assert got == wanted.tolist()
    assert vector == 16 * size
    assert steps


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(encode_passes())
def test_any_pass_does_what_the_law_says(drawn):
    f, memory = drawn
    f = dict.fromkeys(ENCODE_DESCRIPTOR.dtype.names, 0) | f
    found = expected(f, memory)
    result = run(memory)
    assert result.error == EncodeError.NONE
    after = result.memory
    before, state = state_of(f, memory), state_of(f, after)
    for part, codes in (("dense", found.dense), ("second", found.last)):
        if has(f, part):
            check_dense(f, after, part, codes, found.there)
    nonzero = strip_nonzero(f, found)
    marked = found.chosen if f["reduce"] == Reduce.MAXIMUM else nonzero
    if has(f, "bits"):
        bits = np.packbits(marked.reshape(-1, 8), axis=-1, bitorder="little").reshape(-1)
        assert np.array_equal(after[f["bits_addr"] : f["bits_end"]], bits)
    if has(f, "sums"):
        got = after[f["sums_addr"] : f["sums_end"]].view(CHANNEL_SUMS.dtype)
        wanted = sums_of(f, memory, found).reshape(-1)
        for name in CHANNEL_SUMS.dtype.names:
            assert np.array_equal(got[name], wanted[name]), name
    for part in "ab":
        if has(f, part):
            check_strips(f, after, part, strip_codes(f, found, part), found.last.shape)
    assert state["kept_a"] == found.kept[0].sum()
    assert state["kept_b"] == found.kept[1].sum()
    assert state["nonzeros"] == nonzero.sum()
    assert state["elements"] == found.there.sum()
    overflow_in_sums = has(f, "sums") or f["reduce"] == Reduce.SUM
    assert result.flags == state["flags"]
    assert (result.flags | 5) == (found.flags | 5)
    assert result.flags & found.flags == found.flags
    if not overflow_in_sums and not (has(f, "a") or has(f, "b")):
        assert result.flags == found.flags
    if f["adapt"] == Adapt.STEP:
        fmt = TENSOR_FORMATS[f["out_format"]]
        bounds = (int(before["low"]), int(before["high"]))
        assert state["threshold_a"] == stepped(
            int(before["threshold_a"]), int(found.kept[0].sum()), bounds, int(before["step"]), fmt
        )
    elif f["adapt"] == Adapt.NONE:
        assert state["threshold_a"] == before["threshold_a"]


def strip_nonzero(f, found):
    fmt = TENSOR_FORMATS[f["out_format"]]
    mask = (1 << (fmt.width - 1)) - 1 if isinstance(fmt, FloatFormat) else -1
    return (found.last & mask) != 0


def check_strips(f, memory, part, codes, shape):
    """Take strips apart and compare them."""
    groups, positions, lanes = shape
    bounds = map_bounds(positions // f["period"], f["period"], 1, f[f"{part}_positions"])
    size = len(bounds) * groups * 4
    table = memory[f[f"{part}_table"] : f[f"{part}_table"] + size].view("<u4")
    table = table.reshape(len(bounds), groups)
    data = memory[f[f"{part}_data"] : f[f"{part}_data"] + 2 * int(table[-1, -1])]
    fmt = TENSOR_FORMATS[f["out_format"]]
    fmt = TENSOR_FORMATS[1] if isinstance(fmt, FloatFormat) else fmt
    got = decode(data, table, bounds, lanes, fmt).astype(np.int64)
    magnitude = 0x7FFF if isinstance(fmt, FloatFormat) else -1
    assert np.array_equal(got, np.where(codes & magnitude, codes, 0))
    assert state_of(f, memory)[f"{part}_halfwords"] == table[-1, -1]


def copied(codes, number_format, **more):
    """Return fields and memory of a pass that reads one dense tensor of 16 channels."""
    places = Places()
    rows = np.zeros(16, dtype=CHANNEL_ROW.dtype)
    rows["c0"] = np.float32(1).view(np.uint32)
    start = places.put(codes)
    positions = codes.size // 16
    size = codes.dtype.itemsize
    fields = {f"count{n}": 1 for n in range(8)} | {
        "mode": ENCODE_MODE, "count0": positions, "t0_addr": start,
        "t0_end": start + codes.nbytes, "t0_format": number_format, "t0_step0": 16 * size,
        "t0_vector": 16 * size, "out_format": number_format, "channels": 16, "group_channels": 16,
        "y_limit": 1, "x_limit": 1, "period": positions, "a_positions": positions,
        "b_positions": positions, "segment": positions, "rows_addr": places.put(rows),
    }  # fmt: skip
    state = np.zeros(1, dtype=ENCODE_STATE.dtype)
    for name, value in more.pop("state", {}).items():
        state[name] = value
    fields["state_addr"] = places.put(state)
    for part in ("dense", "second", "bits", "sums"):
        fields[f"{part}_addr"] = fields[f"{part}_end"] = places.put(64)
    for part in "ab":
        fields[f"{part}_data"] = places.put(40 * positions + 64)
        fields[f"{part}_end"] = fields[f"{part}_data"] + 40 * positions + 64
        fields[f"{part}_table"] = places.put(64)
    return fields | more, places


def with_fields(memory, fields):
    """Return memory with another record."""
    after = memory.copy()
    after[:ENCODE_DESCRIPTOR_BYTES] = ENCODE_DESCRIPTOR.pack(**fields).view(np.uint8)
    return after


LEVELS = {1: ((7, 8), (0, 7)), 2: ((23, 8), (15, 8), (7, 8), (0, 7))}
"""Of a selection: bits below, and bits found, of each pass; by the number of the format."""


@settings(deadline=None, max_examples=30)
@given(st.sampled_from([1, 2]), st.integers(0, 2**32 - 1), st.data())
def test_a_selection_finds_the_threshold_of_torch_and_keeps_ties(number_format, seed, data):
    generator = np.random.default_rng(seed)
    # Few different numbers, so that there are ties, and some zeros.
    count = 16 * data.draw(st.integers(1, 20))
    values = generator.integers(-9, 10, count) * 2.0 ** generator.integers(-3, 3, count)
    codes = values.astype(np.float32).view(np.uint32)
    codes = (codes >> 16).astype("<u2") if number_format == 1 else codes
    keep = data.draw(st.integers(1, count))
    fields, places = copied(codes, number_format, thresholds=1, state={"keep": keep})
    memory = places.memory(fields)
    for level, (shift, bits) in enumerate(LEVELS[number_format]):
        adapt = Adapt.SELECT_NEXT if level else Adapt.SELECT_FIRST
        chosen = fields | {"adapt": int(adapt), "bin_shift": shift, "bin_bits": bits}
        result = run(with_fields(memory, chosen))
        assert result.error == EncodeError.NONE
        memory = result.memory
    found = int(state_of(fields, memory)["threshold_a"])
    fmt = TENSOR_FORMATS[number_format]
    assert found == kth_magnitude(codes, keep, fmt)
    tensor = torch.from_numpy(values)
    assert (np.abs(values) >= magnitude_threshold(tensor, keep).item()).sum() == (
        codes & ((1 << (fmt.width - 1)) - 1) >= found
    ).sum()
    after = state_of(fields, run(with_fields(memory, fields)).memory)
    wanted = np.abs(values) >= torch.kthvalue(tensor.abs(), count - keep + 1).values.item()
    assert after["kept_a"] == (wanted & (values != 0)).sum()


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_a_threshold_that_steps_is_that_of_resprop(seed):
    generator = torch.Generator().manual_seed(seed)
    reuse = GradientReuse(0.9, generator)
    grads = torch.randn(40, 2, 16, 1, 1, generator=generator) * 1e-5
    reuse(grads[0])
    count = grads[0].numel()
    step = 1 << FLOAT32.mantissa_width
    threshold = int(np.float32(reuse.threshold.item()).view(np.uint32))
    bounds = {"low": math.ceil(reuse.target * count), "high": math.floor(reuse.target * count)}
    for grad in grads[1:]:
        codes = (grad - reuse.reused_grad).numpy().reshape(-1).view(np.uint32)
        fields, places = copied(
            codes, 2, thresholds=1, strict=1, adapt=int(Adapt.STEP), b_end=0, b_data=0,
            state={"threshold_a": threshold, "step": step, **bounds},
        )  # fmt: skip
        kept, _ = reuse(grad)
        state = state_of(fields, run(places.memory(fields)).memory)
        assert state["kept_a"] == reuse.nonzeros == torch.count_nonzero(kept)
        threshold = int(state["threshold_a"])
        assert threshold == np.float32(reuse.threshold.item()).view(np.uint32)


def test_all_is_kept_or_nothing_and_zeros_never():
    codes = np.array([0, 0x8000, 1, 0x8001, 0x7F80, 0xFF80, 0x7FC0, 0x3F80] * 2, dtype="<u2")
    for threshold, kept in ((0, 12), (1, 12), (0x3F80, 8), (0x7FC0, 2), (0x7FC1, 0)):
        state = {"threshold_a": threshold, "threshold_b": 0}
        fields, places = copied(codes, 1, thresholds=1, state=state)
        found = state_of(fields, run(places.memory(fields)).memory)
        assert found["kept_b"] == 12
        assert found["kept_a"] == kept


BAD = {
    EncodeError.MODE: ({"mode": 1}, {"mode": 3}),
    EncodeError.FORMAT: (
        {"t0_format": 6}, {"t0_format": 3}, {"out_format": 0}, {"t0_format": 0}, {"shift": 1},
        {"activation": 3}, {"dot": 2}, {"judged": 4}, {"t0_strips": 1, "t0_format": 2},
        {"adapt": 2, "bin_bits": 9}, {"adapt": 2, "bin_bits": 8, "bin_shift": 8}, {"adapt": 1},
        {"masked": 3}, {"out_format": 5, "t0_format": 5}, {"reduce": 3}, {"kept_sums": 2},
        {"absolute": 8}, {"product": 1}, {"product": 1, "t1_format": 1}, {"product": 2},
        {"product": 1, "t1_format": 1, "t2_format": 1, "absolute": 2},
        {"activation": 2, "t0_format": 0, "t1_format": 1}, {"reduce": 1, "second_end": None},
        {"activation": 2, "t0_format": 3, "out_format": 3}, {"transposed": 1, "t1_format": 1},
        {"transposed": 1, "t2_format": 2}, {"transposed": 1, "t0_format": 3, "out_format": 3},
    ),
    EncodeError.WALK: (
        {"count3": 0}, {"vectors": 5}, {"period": 3}, {"period": 0}, {"segment": 0},
        {"segment": 9}, {"a_positions": 9}, {"group_channels": 17}, {"channels": 17},
        {"channels": 0}, {"reduce": 1, "segment": 4}, {"reduce": 1, "segment": 3, "count1": 2},
        {"reduce": 2, "segment": 80, "count0": 80, "period": 80},
        {"transposed": 1, "count0": 2, "count1": 65, "count2": 2},
        {"count7": 65535, "count6": 65535},
    ),
    EncodeError.ADDRESS: (
        {"t0_addr": 1}, {"t0_end": 0}, {"t0_step0": 16}, {"t0_vector": 2}, {"rows_addr": 8},
        {"state_addr": 1 << 60}, {"a_table": 4}, {"dense_end": 1 << 50, "dense_step0": 32},
    ),
    EncodeError.OUTPUT_RANGE: (
        {"a_data": 0}, {"b_data": 1024, "b_end": 1088, "a_data": 1024, "a_end": 1088},
        {"bits_end": None}, {"sums_end": None}, {"dense_end": None},
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("error", "fields"), [(error, fields) for error, many in BAD.items() for fields in many]
)
def test_every_bad_field_is_refused_by_its_code(error, fields):
    own, places = copied(np.zeros(128, dtype="<u2"), 1)
    own |= {
        name: own[name.replace("_end", "_addr")] + 1 if value is None else value
        for name, value in fields.items()
    }
    memory = places.memory(own)
    result = run(memory)
    assert result.error == error
    assert result.memory is memory


def test_a_unit_refuses_what_its_array_was_not_made_for():
    for fmt, known, other in ((1, CONFIG, INTEGERS), (4, INTEGERS, CONFIG)):
        own, places = copied(np.zeros(128, dtype="<u2"), fmt)
        memory = places.memory(own)
        assert run_encode(known, memory, 0, LISTED).error == EncodeError.NONE
        assert run_encode(other, memory, 0, LISTED).error == EncodeError.FORMAT


def test_what_goes_wrong_under_way_has_its_code():
    codes = np.full(128, 0x3F80, dtype="<u2")
    own, places = copied(codes, 1)
    memory = places.memory(own)
    assert run(memory).error == EncodeError.NONE
    assert run(places.memory(own | {"t0_end": own["t0_end"] - 64})).error == EncodeError.RANGE
    assert run(places.memory(own | {"t0_first": -32})).error == EncodeError.RANGE
    assert run(places.memory(own | {"a_end": own["a_data"] + 64})).error == EncodeError.CAPACITY
    high = memory.size + -memory.size % 64 + 64
    beyond = {"t0_addr": high, "t0_end": high + 4096}
    assert run(places.memory(own | beyond)).error == EncodeError.BUS_READ
    assert run(places.memory(own | {"rows_addr": high})).error == EncodeError.BUS_READ
    beyond = {"a_data": high, "a_end": high + 4096}
    assert run(places.memory(own | beyond)).error == EncodeError.BUS_WRITE
    assert run_encode(CONFIG, memory[:500], 0, LISTED).error == EncodeError.BUS_READ


def test_strips_that_are_malformed_have_their_codes():
    codes = np.full((1, 8, 16), 0x3F80, dtype="<u2")
    found = encode(codes, map_bounds(1, 8, 1, 8), BF16)
    for table, change, error in (
        ((0, 500), None, EncodeError.TABLE),
        ((9, 0), None, EncodeError.TABLE),
        (None, (1, 0), EncodeError.STRIP),
        (None, (0, 0xFFFF), EncodeError.STRIP),
    ):
        data = found.data.view("<u2").copy()
        if change is not None:
            data[change[0]] = change[1]
        own, places = copied(np.zeros(128, dtype="<u2"), 1)
        start = places.put(data)
        rows = found.table.astype("<u4") if table is None else np.array(table, dtype="<u4")
        own |= {
            "t0_strips": 1, "t0_addr": start, "t0_end": start + 2 * found.halfwords,
            "t0_table": places.put(rows),
        }  # fmt: skip
        assert run(places.memory(own)).error == error


def test_a_result_may_replace_the_tensor_that_it_is_made_of():
    codes = np.arange(0x3F00, 0x3F80, dtype="<u2")
    own, places = copied(codes, 1, activation=0)
    own |= {"dense_addr": own["t0_addr"], "dense_end": own["t0_end"], "dense_vector": 32}
    assert run(places.memory(own | {"dense_step0": 64})).error == EncodeError.OUTPUT_RANGE
    result = run(places.memory(own | {"dense_step0": 32}))
    assert result.error == EncodeError.NONE
    assert (result.memory[own["t0_addr"] : own["t0_end"]].view("<u2") == codes).all()


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(encode_passes(), st.data())
def test_damaged_records_write_nothing_outside_their_ranges(drawn, data):
    f, memory = drawn
    f = dict.fromkeys(ENCODE_DESCRIPTOR.dtype.names, 0) | f
    for _ in range(data.draw(st.integers(1, 3))):
        name = data.draw(st.sampled_from(ENCODE_DESCRIPTOR.dtype.names))
        limits = np.iinfo(ENCODE_DESCRIPTOR.dtype[name])
        near = [f[name] + step for step in (-64, -32, -1, 1, 32, 64)]
        value = data.draw(st.sampled_from([0, 1, 2, *near]))
        f[name] = int(np.clip(value, limits.min, limits.max))
    # A walk of many positions is well defined, but takes long here.
    assume(math.prod(f[f"count{n}"] for n in range(8)) < 1 << 12)
    after = run(with_fields(memory, f)).memory
    changed = np.flatnonzero(after != with_fields(memory, f))
    allowed = np.zeros(memory.size, dtype=bool)
    for part in ("dense", "second", "bits", "sums"):
        allowed[f[f"{part}_addr"] : f[f"{part}_end"]] = True
    groups, positions, _ = shape_of(f)
    for part in "ab":
        allowed[f[f"{part}_data"] : f[f"{part}_end"]] = True
        strips = (
            positions // max(1, f["period"]) * -(-f["period"] // max(1, f[f"{part}_positions"]))
        )
        start = f[f"{part}_table"]
        allowed[start : start + 4 * (strips + 1) * groups] = True
    allowed[f["state_addr"] : f["state_addr"] + 64] = True
    assert allowed[changed].all()
