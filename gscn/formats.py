"""Number formats of operands and results."""

from __future__ import annotations

from dataclasses import dataclass

from gscn.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class IntFormat:
    """A two's complement integer format."""

    name: str
    width: int
    """Bits, sign included."""

    @property
    def minimum(self) -> int:
        """Smallest value."""
        return -(1 << (self.width - 1))

    @property
    def maximum(self) -> int:
        """Largest value."""
        return (1 << (self.width - 1)) - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class FloatFormat:
    """A binary floating-point format: sign, biased exponent, fraction, from the highest bit down.

    A code whose exponent field is 0 is subnormal. The value of a finite code is
    `(-1)**sign * significand * 2**(exponent - bias - mantissa_width)`, with `exponent` the field,
    or 1 if that is 0, and `significand` the fraction with the hidden bit above it.

    Implements: IEEE 754-2008, Sec. 3.4, for fp16 and float32; bf16 is float32 cut to 16 bits; "OCP
    8-bit Floating Point Specification (OFP8)", rev. 1.0, Sec. 5, for the two of 8 bits.
    """

    name: str
    exponent_width: int
    """Bits of the exponent field."""
    mantissa_width: int
    """Bits of the fraction, without the hidden bit."""
    has_infinity: bool = True
    """Whether the highest exponent means infinity or NaN; otherwise only the code with all bits
    below the sign set is NaN, and the others of that exponent are finite."""

    @property
    def width(self) -> int:
        """Bits of a code."""
        return 1 + self.exponent_width + self.mantissa_width

    @property
    def bias(self) -> int:
        """What the exponent field exceeds the exponent by."""
        return (1 << (self.exponent_width - 1)) - 1

    @property
    def significand_width(self) -> int:
        """Bits of a significand, the hidden bit included."""
        return self.mantissa_width + 1

    @property
    def top_exponent(self) -> int:
        """Highest exponent field of a finite code."""
        return (1 << self.exponent_width) - (2 if self.has_infinity else 1)

    @property
    def nan(self) -> int:
        """The code that stands for NaN in results: quiet, positive."""
        ones = (1 << self.exponent_width) - 1
        fraction = (
            1 << (self.mantissa_width - 1) if self.has_infinity else (1 << self.mantissa_width) - 1
        )
        return ones << self.mantissa_width | fraction

    @property
    def infinity(self) -> int:
        """The code of a positive overflow: infinity, or NaN in a format that has none."""
        if not self.has_infinity:
            return self.nan
        return ((1 << self.exponent_width) - 1) << self.mantissa_width

    @property
    def largest(self) -> int:
        """The code of the largest finite number."""
        return self.infinity - 1


INT8 = IntFormat(name="int8", width=8)
INT16 = IntFormat(name="int16", width=16)
INT32 = IntFormat(name="int32", width=32)

BF16 = FloatFormat(name="bf16", exponent_width=8, mantissa_width=7)
FP16 = FloatFormat(name="fp16", exponent_width=5, mantissa_width=10)
FP8_E4M3 = FloatFormat(name="fp8_e4m3", exponent_width=4, mantissa_width=3, has_infinity=False)
FP8_E5M2 = FloatFormat(name="fp8_e5m2", exponent_width=5, mantissa_width=2)
FLOAT32 = FloatFormat(name="float32", exponent_width=8, mantissa_width=23)

OPERAND_FORMATS = {f.name: f for f in (INT8, INT16)}
FLOAT_OPERAND_FORMATS = {f.name: f for f in (BF16, FP16, FP8_E4M3, FP8_E5M2)}
NUMBER_FORMATS = (None, BF16, FP16, FP8_E4M3, FP8_E5M2)
"""Operand formats by the number that a descriptor gives; 0 is the array's integer format."""


def operand_format(name: str) -> IntFormat:
    """Return the operand format called `name`; raise `InputError` for an unknown one."""
    if name not in OPERAND_FORMATS:
        raise InputError(
            f"operand format must be one of {', '.join(sorted(OPERAND_FORMATS))}, not {name!r}"
        )
    return OPERAND_FORMATS[name]
