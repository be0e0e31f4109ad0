"""Strict comparison of a launch's result with its oracle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gscn.errors import InputError

MISMATCHES_LISTED = 8
"""Mismatches that a comparison describes in words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Outcome of a comparison."""

    outputs: int
    """Words compared."""
    mismatches: int
    """Words that differ from the oracle."""
    stray_bytes: int
    """Bytes written outside the ranges that may be written."""
    details: tuple[str, ...]
    """The first mismatches with their coordinates, and the first stray byte."""

    @property
    def good(self) -> bool:
        """Whether every word is right and nothing else was written."""
        return self.mismatches == 0 and self.stray_bytes == 0


def compare_arrays(result: np.ndarray, expected: np.ndarray) -> Comparison:
    """Compare two arrays word for word.

    Parameters
    ----------
    result, expected
        Arrays of equal shape and dtype.

    Raises
    ------
    InputError
        Shape or dtype differ, or there is nothing to compare.
    """
    if result.shape != expected.shape or result.dtype != expected.dtype:
        raise InputError(
            f"result must be {expected.dtype} of shape {expected.shape}, "
            f"not {result.dtype} of shape {result.shape}"
        )
    if expected.size == 0:
        raise InputError("result must have at least one word to compare")
    places = np.argwhere(result != expected)
    details = tuple(
        f"at {tuple(map(int, place))}: {result[tuple(place)]}, expected {expected[tuple(place)]}"
        for place in places[:MISMATCHES_LISTED]
    )
    return Comparison(
        outputs=int(expected.size), mismatches=len(places), stray_bytes=0, details=details
    )


def compare(
    result: np.ndarray,
    expected: np.ndarray,
    *,
    written: np.ndarray,
    output_ranges: Sequence[tuple[int, int]],
) -> Comparison:
    """Compare a result with its oracle and the bytes written with those that may be.

    Parameters
    ----------
    result, expected
        Arrays of equal shape and dtype.
    written
        bool [memory_bytes]: whether each byte of memory was written.
    output_ranges
        (first, one past the last) byte addresses that may be written.

    Raises
    ------
    InputError
        Shape or dtype differ, or there is nothing to compare.
    """
    words = compare_arrays(result, expected)
    stray = written.astype(bool)  # a copy
    for first, end in output_ranges:
        stray[first:end] = False
    strays = np.flatnonzero(stray)
    details = words.details
    if strays.size:
        details += (f"byte {int(strays[0]):#x} was written, which is no output",)
    return Comparison(
        outputs=words.outputs,
        mismatches=words.mismatches,
        stray_bytes=int(strays.size),
        details=details,
    )
