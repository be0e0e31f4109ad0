"""Shapes of what travels in the encode unit: coefficients taken apart, values and their turns."""

from __future__ import annotations

from amaranth.hdl import Cat, Value
from amaranth.lib import data

from gscn.encode import TENSORS
from gscn.formats import FLOAT32
from gscn.hw.layouts import SPECIAL

CODE = FLOAT32.width
"""Bits of a value: a float32 code, of which one of bf16 is the upper half."""
SIGNIFICAND = FLOAT32.significand_width
MANTISSA = FLOAT32.mantissa_width
EXPONENT = FLOAT32.exponent_width
HEIGHT = EXPONENT + 1
"""Bits of the sum of two exponent fields."""
GUARD = 2
"""Bits of a sum above its window: four products at most are added."""


def factor_layout(width: int) -> data.StructLayout:
    """Return a coefficient taken apart, of whose significand the upper `width` bits count."""
    return data.StructLayout(
        {
            "significand": width,
            "exponent": EXPONENT,
            "negative": 1,
            "infinite": 1,
            "nan": 1,
        }
    )


def term_layout(width: int) -> data.StructLayout:
    """Return a value and its coefficient."""
    return data.StructLayout({"code": CODE, "factor": factor_layout(width)})


def value_layout(width: int) -> data.StructLayout:
    """Return what one lane combines: a term for each tensor, and a bias; where none is, zeros.

    `adds` says which of them count, the bias last: one bit for each is less than zeros for all.
    """
    return data.StructLayout(
        {
            "terms": data.ArrayLayout(term_layout(width), TENSORS),
            "bias": CODE,
            "adds": TENSORS + 1,
        }
    )


TOP = data.StructLayout({"height": HEIGHT, "special": SPECIAL})
"""Of a value: the largest height of its terms; infinities of either sign, both for NaN."""
SHIFT = data.StructLayout({"amount": 5, "inside": 1})
"""How far below the top a term lies; whether any of it is in the window."""


def turn_layout(digits: int) -> data.StructLayout:
    """Return what a lane multiplies and adds in a cycle.

    `digit` numbers the digits of significands, lowest first, `digits` - 1 being the highest;
    `opens` with the first one of a product. With the last one the lane `adds` its first product;
    the second one and the bias as well if `adds_others`, and the plain term if `adds_plain`.
    `starts`: the sum begins with what is added.
    """
    return data.StructLayout(
        {
            "digit": max(1, (digits - 1).bit_length()),
            "opens": 1,
            "adds": 1,
            "adds_others": 1,
            "adds_plain": 1,
            "starts": 1,
        }
    )


def significand(code: Value) -> Value:
    """Return the significand of a float32 code, its hidden bit included."""
    return Cat(code[:MANTISSA], code[MANTISSA:-1].any())


def exponent(code: Value) -> Value:
    """Return the exponent field of a float32 code, a subnormal's counted as 1."""
    field = code[MANTISSA:-1]
    return Cat(field[0] | ~field.any(), field[1:])


def factor_of(code: Value, width: int) -> Value:
    """Return a float32 code as a coefficient: `factor_layout`."""
    full, fraction = code[MANTISSA:-1].all(), code[:MANTISSA].any()
    return Cat(
        significand(code)[SIGNIFICAND - width :], exponent(code), code[-1], full & ~fraction,
        full & fraction,
    )  # fmt: skip


def factor_fields(code: int, width: int) -> dict[str, int]:
    """Return the fields of `factor_layout` of a float32 code."""
    magnitude = code & (1 << (CODE - 1)) - 1
    field = magnitude >> MANTISSA
    whole = magnitude & (1 << MANTISSA) - 1 | (field > 0) << MANTISSA
    return {
        "significand": whole >> (SIGNIFICAND - width),
        "exponent": max(field, 1),
        "negative": code >> (CODE - 1),
        "infinite": int(magnitude == FLOAT32.infinity),
        "nan": int(magnitude > FLOAT32.infinity),
    }


def reaches(magnitude: Value, least: Value, equal: Value) -> Value:
    """Return whether a magnitude is above another one, or, if `equal`, the same.

    Bit by bit from the lowest one: a carry alone is less than a difference.
    """
    for mine, its in zip(magnitude, least, strict=True):
        equal = (mine & ~its) | ((mine | ~its) & equal)
    return equal
