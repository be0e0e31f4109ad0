"""Numbers on the command line: what everything behind an option can hold, or an error at once.

The types here bound what is given; what a number means is checked where it is used, which names all
problems together.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

MOST = (1 << 31) - 1
MOST_PROCESSES = 1024
MOST_LATENCY = 100_000
"""Cycles: a memory so slow is none."""
_MOST_REAL = 1e15


def whole(low: int = -MOST, high: int = MOST) -> Callable[[str], int]:
    """Return the type of a whole number from `low` to `high`, for `argparse`."""

    def parse(text: str) -> int:
        try:
            value = int(text) if len(text) < 40 else None
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            wanted = f"at least {low}" if value is not None and value < low else f"at most {high}"
            if value is None:
                wanted = f"a whole number from {low} to {high}"
            raise argparse.ArgumentTypeError(f"must be {wanted}, not {text[:40]!r}")
        return value

    return parse


def real(text: str) -> float:
    """Return a finite number, for `argparse`."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) <= _MOST_REAL:
        raise argparse.ArgumentTypeError(f"must be a finite number, not {text[:40]!r}")
    return value


def number_or_text(text: str) -> float | str:
    """Return a number if it is one, for `argparse`; what either may be is for others to say."""
    try:
        return float(text)
    except ValueError:
        return text
