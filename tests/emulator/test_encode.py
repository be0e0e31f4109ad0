"""Encode passes: the functional model against the law in plain Python and the golden arithmetic."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings

from gscn.array import array
from gscn.emulator.encode import run_encode
from gscn.encode import (
    CHANNEL_SUMS,
    ENCODE_DESCRIPTOR,
    ENCODE_DESCRIPTOR_BYTES,
    ENCODE_STATE,
    TENSOR_FORMATS,
    Adapt,
    EncodeError,
)
from gscn.formats import FloatFormat
from gscn.golden.oracle.encode import stepped
from gscn.strips import decode, map_bounds
from tests.encode_law import expected, number, strip_codes, sums_of
from tests.encode_passes import dense_steps, encode_passes

CONFIG = array("small").with_overrides(["float_formats=bf16"])
LISTED = (0, ENCODE_DESCRIPTOR_BYTES)


def run(memory):
    """Run the pass whose record is at the start of memory."""
    return run_encode(CONFIG, memory, 0, LISTED)


def has(f, part):
    return f[f"{part}_end"] != f[f"{part}_data" if part in "ab" else f"{part}_addr"]


def state_of(f, memory):
    return memory[f["state_addr"] : f["state_addr"] + 64].view(ENCODE_STATE.dtype)[0]


def check_dense(f, memory, part, codes, there):
    """Compare a dense result, vector by vector; what is not there is left alone."""
    groups, positions, lanes = codes.shape
    size = TENSOR_FORMATS[f["out_format"]].width // 8
    sizes = [f[f"count{n}"] for n in range(8)]
    steps, vector, _ = dense_steps(sizes, lanes // 16, size, range(8))
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
    for part, codes in (("dense", found.first), ("second", found.last)):
        if has(f, part):
            check_dense(f, after, part, codes, found.there)
    nonzero = strip_nonzero(f, found)
    if has(f, "bits"):
        bits = np.packbits(nonzero.reshape(-1, 8), axis=-1, bitorder="little").reshape(-1)
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
    overflow_in_sums = has(f, "sums")
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
