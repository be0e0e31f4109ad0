"""Dense results that are one for each segment of a pass: sums that are rounded, and maxima."""

from __future__ import annotations

import numpy as np

from gscn.emulator.arithmetic import round_integer
from gscn.emulator.encode_arithmetic import INFINITY, SATURATED, SIGN, add_up, rounded
from gscn.system.compiled import compiled


@compiled
def _is_larger(code, other, floating):
    """Say whether a value takes the place of the largest one so far; NaN does, of any."""
    if not floating:
        return code > other
    magnitude, than = code & (SIGN - 1), other & (SIGN - 1)
    if magnitude > INFINITY:
        return True
    if than > INFINITY:
        return False
    signed = -magnitude if code & SIGN else magnitude
    return signed > (-than if other & SIGN else than)


@compiled
def maxima(results, there, segment, floating):
    """Return the largest value of each segment, and which value that is.

    Parameters
    ----------
    results
        int64 (positions, lanes): float32 codes, or integers.
    there
        bool, likewise: others are passed over.
    segment
        Positions of one; divides them.
    floating
        Whether results are codes.

    Returns
    -------
    tuple
        int64 (segments, lanes), 0 where nothing is there; bool (positions, lanes).
    """
    positions, lanes = results.shape
    found = np.zeros((positions // segment, lanes), dtype=np.int64)
    chosen = np.zeros(results.shape, dtype=np.bool_)
    for number in range(found.shape[0]):
        for lane in range(lanes):
            best = -1
            for position in range(number * segment, (number + 1) * segment):
                if not there[position, lane]:
                    continue
                code = results[position, lane]
                if best < 0 or _is_larger(code, results[best, lane], floating):
                    best = position
            if best >= 0:
                found[number, lane] = results[best, lane]
                chosen[best, lane] = True
    return found, chosen


def rounded_sums(
    results: np.ndarray, there: np.ndarray, segment: int, top: int, numbers: tuple
) -> tuple[np.ndarray, int]:
    """Return the sum of each segment in the format of results (segments, lanes), and flags.

    Parameters
    ----------
    results, there
        As for `maxima`.
    segment
        Positions of one; divides them.
    top
        Of the window.
    numbers
        `gscn.emulator.encode_arithmetic.Numbers` of the pass.
    """
    tops = np.array([top, 0], dtype=np.int64)
    nothing = np.zeros((segment, results.shape[1]), dtype=np.int64)
    found, flags = [], 0
    for start in range(0, len(results), segment):
        part = slice(start, start + segment)
        sums, specials, flag = add_up(results[part], nothing, there[part], tops, numbers)
        codes, more = _rounded_all(sums[0], specials[0], top, numbers)
        found.append(codes)
        flags |= flag | more
    return np.stack(found), flags


@compiled
def _rounded_all(sums, specials, top, numbers):
    codes = np.zeros(sums.size, dtype=np.int64)
    flags = 0
    for lane in range(sums.size):
        if numbers.floating:
            codes[lane], flag = rounded(
                sums[lane], specials[lane], np.int64(top), numbers.acc_width, numbers
            )
        else:
            codes[lane], beyond = round_integer(sums[lane], 0, numbers.width)
            flag = SATURATED if beyond else 0
        flags |= flag
    return codes, flags
