"""The scoreboard finds every difference."""

import numpy as np
import pytest

from gscn.cosim.scoreboard import MISMATCHES_LISTED, compare, compare_arrays
from gscn.errors import InputError


def test_equal_arrays_have_no_mismatch():
    array = np.arange(6).reshape(2, 3)
    comparison = compare_arrays(array, array.copy())
    assert comparison.good
    assert (comparison.outputs, comparison.mismatches, comparison.details) == (6, 0, ())


def test_one_wrong_word_is_found_with_its_coordinates():
    expected = np.arange(24).reshape(2, 3, 4)
    result = expected.copy()
    result[1, 2, 0] = -5
    comparison = compare_arrays(result, expected)
    assert not comparison.good
    assert comparison.mismatches == 1
    assert comparison.details == ("at (1, 2, 0): -5, expected 20",)


def test_all_mismatches_are_counted_and_the_first_listed():
    comparison = compare_arrays(np.ones(100, dtype=int), np.zeros(100, dtype=int))
    assert comparison.mismatches == 100
    assert len(comparison.details) == MISMATCHES_LISTED


@pytest.mark.parametrize(
    "result",
    [np.zeros(5, np.int64), np.zeros((4, 1), np.int64), np.zeros(4, np.int32)],
)
def test_other_shapes_and_types_are_refused(result):
    with pytest.raises(InputError, match="result must be int64 of shape"):
        compare_arrays(result, np.zeros(4, np.int64))


def test_nothing_to_compare_is_refused():
    with pytest.raises(InputError, match="at least one word"):
        compare_arrays(np.zeros(0, np.int64), np.zeros(0, np.int64))


def test_bytes_outside_the_ranges_are_stray():
    array = np.zeros(4, np.int64)
    written = np.zeros(64, dtype=bool)
    written[[8, 15, 16, 40]] = True
    comparison = compare(array, array, written=written, output_ranges=[(8, 16), (40, 48)])
    assert (comparison.mismatches, comparison.stray_bytes) == (0, 1)
    assert not comparison.good
    assert comparison.details == ("byte 0x10 was written, which is no output",)
    assert written.sum() == 4  # left as it was
