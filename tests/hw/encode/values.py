"""Values of float32 and bf16 that are at borders, or close to each other, for the encode unit."""

from __future__ import annotations

import random

from gscn.encode import COEFFICIENT_BITS, TENSORS
from gscn.hw.encode.layouts import factor_fields

MAGNITUDES = (
    *(0, 1, 0x007FFFFF, 0x00800000, 0x00800001, 0x3F800000, 0x3F80FFFF, 0x3F810000, 0x7F7FFFFF),
    *(0x7F7F0000, 0x7F7F8000, 0x7F800000, 0x7F800001, 0x7FC00000, 0x7FFFFFFF, 0x00010000),
    0x00008000,
)  # fmt: skip
BORDERS = tuple(sign << 31 | one for one in MAGNITUDES for sign in (0, 1))
ONE = 0x3F800000


def code(source: random.Random, *, bf16: bool = False) -> int:
    """Return a code: any, at a border, or one whose exponent is near those of others."""
    kind = source.random()
    if kind < 0.1:
        found = source.choice(BORDERS)
    elif kind < 0.2:
        found = source.getrandbits(32)
    else:
        middle = source.choice((2, 60, 127, 127, 127, 190, 250))
        field = min(max(middle + source.randint(-18, 4), 0), 255)
        found = source.getrandbits(1) << 31 | field << 23 | source.getrandbits(23)
        if source.random() < 0.2:
            found &= ~0 << source.randint(1, 23)
    return found & 0xFFFF0000 if bf16 else found & 0xFFFFFFFF


def power(source: random.Random) -> int:
    """Return the code of a power of two, of either sign, or of 0."""
    return source.choice((0, source.getrandbits(1) << 31 | source.randint(100, 150) << 23))


def factor(one: int) -> dict[str, int]:
    """Return a coefficient taken apart."""
    return factor_fields(one, COEFFICIENT_BITS)


def odd(factors: list[dict[str, int]]) -> int:
    """Return, a bit each, which coefficients taken apart are no normal powers of two, nor 0."""
    top = 1 << COEFFICIENT_BITS - 1
    return sum((one["significand"] not in (0, top)) << n for n, one in enumerate(factors))


def term(value: int, coefficient: int) -> dict[str, object]:
    """Return a term of `term_layout`."""
    return {"code": value, "factor": factor(coefficient)}


def opposite(values: list[int], coefficients: list[int], source: random.Random) -> None:
    """Make one product the negative of another, so that most of a sum is gone."""
    first, second = source.sample(range(TENSORS), 2)
    values[second], coefficients[second] = values[first] ^ 1 << 31, coefficients[first]
