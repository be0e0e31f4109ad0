"""Streams of items: every word once, in groups that share their bases, balanced within each."""

from __future__ import annotations

import random

import numpy as np
import pytest

from gscn.errors import InputError
from gscn.lowering.stream_groups import arrange
from gscn.streams import ITEM_BYTES, expand
from tests import stream_items


def words_of(stream):
    """Return the words (value, offset, key, first tap) of a packed stream, in order."""
    rows = expand(stream.data[: ITEM_BYTES * stream.count], stream.offset_bits)
    return rows[rows[:, 3] >= 0]


def assert_same_words(stream, value, offset, key, tap_start):
    words = np.stack([value, offset, key, tap_start], axis=1)
    assert sorted(stream.order.tolist()) == list(range(value.size))
    np.testing.assert_array_equal(words_of(stream), words[stream.order])


def rebases(stream):
    return (stream.count - stream.order.size) // 2


def random_words(rng, count, key_high, offset_high, taps):
    """Return vectors of random words, some keys and offsets below zero."""
    value = rng.integers(1, 32768, count) * rng.choice([-1, 1], count)
    offset = rng.integers(-5, offset_high, count)
    key = rng.integers(-3, key_high, count)
    return value, offset, key, rng.integers(0, taps, count)


@pytest.mark.parametrize("offset_bits", range(17))
def test_expansion_undoes_the_encoding_in_plain_python(rng, offset_bits):
    words = np.stack(random_words(rng, 60, 400, 900, 3), axis=1)
    items = stream_items.encode(words.tolist(), offset_bits, random.Random(offset_bits))
    rows = expand(np.array(items, dtype="<u4").view(np.uint8), offset_bits)
    assert rows.shape == (len(items), 4)
    np.testing.assert_array_equal(rows[rows[:, 3] >= 0], words)
    assert not rows[rows[:, 3] < 0, 0].any()


@pytest.mark.parametrize(
    ("key_high", "offset_high", "taps"),
    [(1, 1, 1), (64, 1024, 1), (1024, 4096, 1), (30000, 32000, 1), (1024, 576, 9), (5, 9, 256)],
)
@pytest.mark.parametrize("balanced", [True, False])
def test_every_word_is_streamed_once(rng, key_high, offset_high, taps, balanced):
    words = random_words(rng, 700, key_high, offset_high, taps)
    balance = None
    if balanced:
        balance = (rng.integers(0, 9, (2, 40)), rng.integers(0, 40, 700))
    stream = arrange(*words, balance)
    assert_same_words(stream, *words)
    assert stream.data.size == -(-stream.count // 2) * 8


def test_known_words_become_known_items():
    """Key and offset fit one group based at zero; keys above the 3 bits of the offset."""
    stream = arrange(np.array([7, -2]), np.array([5, 0]), np.array([1, 3]), np.zeros(2, int))
    assert (stream.count, stream.offset_bits) == (2, 3)
    assert stream.data.tobytes() == bytes.fromhex("0700 0d00 feff 1800")


def test_words_of_another_tap_list_follow_a_rebase():
    stream = arrange(
        np.array([7, 9, 8]), np.array([1, 0, 1]), np.array([2, 0, 2]), np.array([3, 0, 3])
    )
    assert stream.order.tolist() == [1, 0, 2]
    # one offset bit: word 1; tap 3 with bases 0; words 0 and 2 of code 2 << 1 | 1; padding
    assert stream.count == 5
    assert stream.data.tobytes() == bytes.fromhex(
        "0900 0000 0000 0300 00000000 0700 0500 0800 0500 00000000"
    )


def test_keys_are_kept_together_where_it_costs_nothing(rng):
    """8 bits of keys and 11 of offsets: 8 groups by offset, as many as by key."""
    key, offset = (axis.ravel() for axis in np.meshgrid(np.arange(256), np.arange(2048)))
    stream = arrange(np.ones(key.size, int), offset, key, np.zeros(key.size, int))
    assert stream.offset_bits == 8
    assert rebases(stream) == 7
    assert_same_words(stream, np.ones(key.size, int), offset, key, np.zeros(key.size, int))


def test_groups_are_few_where_keys_lie_apart():
    """Two far keys with all offsets: cutting the keys needs two groups, cutting offsets many."""
    key = np.repeat([0, 30000], 2000)
    offset = np.tile(np.arange(2000), 2)
    stream = arrange(np.ones(4000, int), offset, key, np.zeros(4000, int))
    assert rebases(stream) == 1


def test_pes_stay_together_within_every_group():
    """Two keys, one of each PE: two groups by key would be fewer, but let the PEs work in turn."""
    key = np.tile(np.repeat([0, 1023], 100), 16)
    offset = np.repeat(np.arange(16) * 64, 200)
    lengths = np.zeros((2, 1024), dtype=np.int64)
    lengths[0, 0] = lengths[1, 1023] = 6
    stream = arrange(np.ones(3200, int), offset, key, np.zeros(3200, int), (lengths, key))
    assert rebases(stream) == 15
    own = lengths[:, key[stream.order]]
    assert np.abs(np.cumsum(own[0] - own[1])).max() <= 6


def test_an_empty_stream_has_no_items():
    none = np.zeros(0, dtype=np.int64)
    stream = arrange(none, none, none, none)
    assert (stream.count, stream.data.size, stream.order.size) == (0, 0, 0)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ((0, 1, 1, 1), "value of a streamed word must be nonzero"),
        ((1, 1, 1, 256), "first tap of a streamed word must be 0 to 255, not 0 to 256"),
        ((1, 1, 70000, 0), r"key of a streamed word must lie in .*, not \[1, 70000\]"),
        ((1, -40000, 1, 0), r"offset of a streamed word must lie in .*, not \[-40000, 1\]"),
        ((1, 32768, 1, 0), r"offset of a streamed word must lie in .*, not \[1, 32768\]"),
        ((40000, 1, 1, 0), "stream_item.value must lie in"),
    ],
)
def test_words_that_do_not_fit_are_refused(word, message):
    vectors = np.array([(1, 1, 1, 0), word], dtype=np.int64).T
    with pytest.raises(InputError, match=message):
        arrange(*vectors)
