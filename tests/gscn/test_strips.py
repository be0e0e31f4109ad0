"""gscn.strips: what is encoded is decoded, halfword for halfword as the contract says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gscn.errors import InputError
from gscn.formats import BF16, FLOAT_OPERAND_FORMATS, FP8_E4M3, INT8, INT16, OPERAND_FORMATS
from gscn.pass_errors import PassError
from gscn.strips import (
    StripsError,
    decode,
    decode_map,
    encode,
    encode_map,
    map_bounds,
    weight_bounds,
)

FORMATS = {**OPERAND_FORMATS, **FLOAT_OPERAND_FORMATS}


def slow_strip(vectors, narrow):
    """Encode one strip of (vectors, 16) codes in the obvious way."""
    words = []
    for block in range(0, len(vectors), 16):
        chunk = vectors[block : block + 16]
        words.append(sum(1 << i for i, vector in enumerate(chunk) if any(vector)))
        for vector in chunk:
            values = [int(value) for value in vector if value]
            if not values:
                continue
            words.append(sum(1 << lane for lane, value in enumerate(vector) if value))
            if narrow:
                values.append(0)
                values = [values[i] | values[i + 1] << 8 for i in range(0, len(values) - 1, 2)]
            words += values
    return words


@st.composite
def operands(draw):
    """Codes (groups, samples, rows, cols, channels), a band and a format."""
    fmt = FORMATS[draw(st.sampled_from(sorted(FORMATS)))]
    shape = (
        draw(st.integers(1, 3)),
        draw(st.integers(1, 3)),
        draw(st.integers(1, 7)),
        draw(st.integers(1, 7)),
        16 << draw(st.integers(0, 4)),
    )
    band = draw(st.integers(1, shape[2]))
    density = draw(st.sampled_from([0, 0.01, 0.1, 0.5, 0.95, 1]))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    codes = rng.integers(1, 1 << (fmt.width - 1), shape) * (rng.random(shape) < density)
    codes |= (
        rng.integers(0, 2, shape) << (fmt.width - 1) if fmt.name in FLOAT_OPERAND_FORMATS else 0
    )
    real = draw(st.integers(1, shape[4]))
    codes[..., real:] = 0
    return codes.astype(np.uint8 if fmt.width == 8 else np.uint16), band, fmt


@given(operands())
def test_what_is_encoded_is_decoded(operand):
    codes, band, fmt = operand
    strips = encode_map(codes, band, fmt)
    again = decode_map(strips.data, strips.table, codes.shape, band, fmt)
    magnitude = (1 << (fmt.width - (fmt.name in FLOAT_OPERAND_FORMATS))) - 1
    expected = np.where(codes & magnitude, codes, 0)
    np.testing.assert_array_equal(again, expected)
    assert strips.nonzeros.sum() == np.count_nonzero(expected)


@given(operands())
def test_halfwords_are_those_of_the_contract(operand):
    codes, band, fmt = operand
    strips = encode_map(codes, band, fmt)
    magnitude = (1 << (fmt.width - (fmt.name in FLOAT_OPERAND_FORMATS))) - 1
    codes = np.where(codes & magnitude, codes, 0)
    words, begins = [], []
    for group in codes:
        for sample in group:
            for row in range(0, codes.shape[2], band):
                begins.append(len(words))
                words += slow_strip(sample[row : row + band].reshape(-1, 16), fmt.width == 8)
    assert strips.data.view("<u2")[: len(words)].tolist() == words
    assert strips.halfwords == len(words)
    assert strips.data.size % 64 == 0
    assert not strips.data[2 * len(words) :].any()
    per_group = np.array(begins).reshape(codes.shape[0], -1)
    np.testing.assert_array_equal(strips.table[:-1], per_group.T)
    np.testing.assert_array_equal(strips.table[-1], [*per_group[1:, 0], len(words)])
    assert strips.table.dtype == np.dtype("<u4")


def test_bits_of_a_strip_worked_out_by_hand():
    codes = np.zeros((1, 17, 16), dtype=np.int16)
    codes[0, 1, [0, 15]] = [-2, 7]
    codes[0, 16, 3] = 9
    strips = encode(codes, np.array([0, 17]), INT16)
    assert strips.data.view("<u2")[:8].tolist() == [2, 0x8001, 0xFFFE, 7, 1, 8, 9, 0]
    assert strips.table.tolist() == [[0], [7]]
    narrow = encode(codes.astype(np.int8), np.array([0, 17]), INT8)
    assert narrow.data.view("<u2")[:6].tolist() == [2, 0x8001, 0x07FE, 1, 8, 9]
    assert narrow.most_strip_nonzeros == 3


def test_negative_zero_is_zero_in_floating_point_only():
    codes = np.full((1, 1, 16), 0x8000, dtype=np.uint16)
    assert encode(codes, np.array([0, 1]), BF16).most_strip_nonzeros == 0
    assert encode(codes, np.array([0, 1]), INT16).most_strip_nonzeros == 16


def test_bounds_have_the_last_band_and_the_last_channels_as_they_are():
    assert map_bounds(2, 3, 4, 2).tolist() == [0, 8, 12, 20, 24]
    assert weight_bounds(5, 2, 9).tolist() == [0, 18, 36, 45]


@pytest.mark.parametrize(
    ("words", "table", "error", "message"),
    [
        ([1, 1, 5], [[1], [0]], PassError.TABLE, "descend"),
        ([1, 1, 5], [[0], [5]], PassError.TABLE, "beyond the data"),
        ([1, 1, 5, 0], [[0], [4]], PassError.STRIP, "before its data"),
        ([1, 1, 5, 0], [[0], [2]], PassError.STRIP, "behind its data"),
        ([1, 1, 5, 0], [[0], [1]], PassError.STRIP, "behind its data"),
        ([1, 1, 5, 0], [[0], [0]], PassError.STRIP, "behind its data"),
        ([1, 0, 0, 0], [[0], [2]], PassError.STRIP, "must have a lane"),
        ([4, 1, 5, 0], [[0], [3]], PassError.STRIP, "beyond its strip"),
    ],
)
def test_malformed_strips_are_refused_by_name(words, table, error, message):
    data = np.array(words, dtype="<u2").view(np.uint8)
    with pytest.raises(StripsError, match=message) as caught:
        decode(data, np.array(table), np.array([0, 2]), 16, INT16)
    assert caught.value.error is error


@pytest.mark.parametrize(
    ("codes", "bounds", "message"),
    [
        (np.zeros((1, 2, 16), np.int8), [0, 2], "codes must be integers of 16 bits"),
        (np.zeros((1, 2, 12), np.int16), [0, 2], "channels one of"),
        (np.zeros((1, 2, 16), np.int16), [0, 3], "bounds must end at 2"),
        (np.zeros((1, 2, 16), np.int16), [0, 0, 2], "bounds must begin with 0 and increase"),
    ],
)
def test_wrong_arguments_of_the_encoder_are_refused_by_name(codes, bounds, message):
    with pytest.raises(InputError, match=message):
        encode(codes, np.array(bounds), INT16)


@pytest.mark.parametrize(
    ("channels", "rows", "message"),
    [(12, 2, "channels of a group must be"), (16, 3, "table must have 2 rows")],
)
def test_wrong_arguments_of_the_decoder_are_refused_by_name(channels, rows, message):
    data = np.zeros(64, np.uint8)
    with pytest.raises(InputError, match=message):
        decode(data, np.zeros((rows, 1), np.int64), np.array([0, 2]), channels, FP8_E4M3)
