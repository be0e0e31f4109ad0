"""Arithmetic of an encode pass: values of tensors combined, rounded and summed, one by one.

Implements: "Numbers" and "Sums" of `docs/contract/encode.md`. A code of float32 stands for every
floating-point value here, since one of bf16 is the upper half of it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gscn.emulator.arithmetic import round_float, round_integer
from gscn.encode import (
    COEFFICIENT_BITS,
    LEAST_TOP,
    SLOPE_END,
    SLOPE_KNEE,
    TENSORS,
    WINDOW_WIDTH,
    Activation,
    Masked,
)
from gscn.formats import FLOAT32
from gscn.system.compiled import compiled

SATURATED, NONFINITE, OVERFLOW = 1, 2, 4
"""Bits of `flags`."""
PLUS, MINUS = 1, 2
"""Sticky bits beside a sum."""
MANTISSA = FLOAT32.mantissa_width
BIAS = FLOAT32.bias
INFINITY = FLOAT32.infinity
NAN = FLOAT32.nan
SIGN = 1 << 31
ONE = BIAS << MANTISSA
"""The code of 1."""
RELU, SLOPE = int(Activation.RELU), int(Activation.SLOPE)
MASKED_TENSOR = int(Masked.TENSOR)
SHORT_KNEE = 0x3ECD
"""The code of 0.4 in bf16."""


class Numbers(NamedTuple):
    """How a pass calculates."""

    floating: bool
    width: int
    """Bits of a result."""
    shift: int
    """Of integers."""
    acc_width: int
    """Bits of a sum."""
    activation: int
    masked: int
    product: bool
    """Whether tensor 1 is the coefficient of tensor 2."""
    second: bool
    """Whether there is a second combination."""


class Rows(NamedTuple):
    """Rows of the channels of a group (int64 vectors, one number per lane)."""

    coefficients: np.ndarray
    """(TENSORS, lanes); float32 codes, or integers."""
    bias: np.ndarray
    second: np.ndarray


@compiled
def parts(code):
    """Return significand, exponent (1 at least) and whether a float32 code is special."""
    magnitude = code & (SIGN - 1)
    exponent = magnitude >> MANTISSA
    significand = magnitude & ((1 << MANTISSA) - 1) | (np.int64(exponent > 0) << MANTISSA)
    return significand, max(exponent, 1), magnitude >= INFINITY


@compiled
def height(code, factor):
    """Return the sum of the exponents of a finite product, or 0 where nothing is added."""
    significand, exponent, special = parts(code)
    scale, power, other = parts(factor)
    if special or other or significand == 0 or scale >> (MANTISSA + 1 - COEFFICIENT_BITS) == 0:
        return np.int64(0)
    return exponent + power


@compiled
def product(code, factor, top, width):
    """Return what a value times a coefficient adds to a window, its special bits, and flags.

    `code` and `factor` are float32 codes; of the factor's significand the upper bits count.
    """
    significand, exponent, special = parts(code)
    scale, power, other = parts(factor)
    scale >>= MANTISSA + 1 - COEFFICIENT_BITS
    if significand == 0 or scale == 0:
        return np.int64(0), 0, 0
    negative = (code ^ factor) & SIGN != 0
    if code & (SIGN - 1) > INFINITY or factor & (SIGN - 1) > INFINITY:
        return np.int64(0), PLUS | MINUS, 0
    if special or other:
        return np.int64(0), MINUS if negative else PLUS, 0
    distance = top - exponent - power
    if distance < 0:
        return np.int64(0), 0, OVERFLOW
    left = width - 1 - (MANTISSA + 1 + COEFFICIENT_BITS) - distance
    added = significand * scale
    if left >= 0:
        added <<= left
    else:
        added >>= min(-left, 63)
    return (-added if negative else added), 0, 0


@compiled
def rounded(value, special, top, width, numbers):
    """Return the float32 code of a sum in a window in the pass's format, and flags."""
    if special == PLUS | MINUS:
        return np.int64(NAN), NONFINITE
    if special != 0:
        return np.int64(INFINITY | (SIGN if special == MINUS else 0)), NONFINITE
    cut = 32 - numbers.width
    lsb = top - (width - 3) - 2 * BIAS
    code, beyond = round_float(value, lsb, BIAS, MANTISSA - cut, INFINITY >> cut)
    code = code << cut | (SIGN if value < 0 else 0)
    return np.int64(code), SATURATED if beyond else 0


@compiled
def narrowed(code):
    """Return a float32 code rounded to bf16, to nearest, ties to even; and flags."""
    magnitude = code & (SIGN - 1)
    sign = (code & SIGN) >> 16
    if magnitude > INFINITY:
        return np.int64(NAN >> 16), 0
    short = (magnitude + 0x7FFF + (magnitude >> 16 & 1)) >> 16
    beyond = magnitude < INFINITY and short >= INFINITY >> 16
    return sign | short, SATURATED if beyond else 0


@compiled
def _rectified(code, numbers):
    """Return a result behind ReLU: a negative number, infinity or zero becomes +0."""
    if numbers.floating:
        return np.int64(0) if code & SIGN and code & (SIGN - 1) <= INFINITY else code
    return max(code, np.int64(0))


@compiled
def _activated(code, value, numbers):
    """Return a result behind the activation; `value` is tensor 0's."""
    if numbers.activation == RELU:
        return _rectified(code, numbers)
    if numbers.activation != SLOPE:
        return code
    magnitude = value & (SIGN - 1)
    if magnitude <= SLOPE_KNEE:
        return code
    if magnitude > SLOPE_END:
        return np.int64(0)
    return np.int64(SLOPE_KNEE if numbers.width == 32 else SHORT_KNEE << 16)


@compiled
def _first(values, lane, factors, rows, numbers):
    """Return the combination of the values of one lane, and flags."""
    if not numbers.floating:
        total = rows.bias[lane]
        for tensor in range(TENSORS):
            total += values[tensor] * factors[tensor]
        code, beyond = round_integer(total, numbers.shift, numbers.width)
        return code, SATURATED if beyond else 0
    top = max(height(rows.bias[lane], ONE), LEAST_TOP)
    for tensor in range(TENSORS):
        top = max(top, height(values[tensor], factors[tensor]))
    total, special, _ = product(rows.bias[lane], ONE, top, WINDOW_WIDTH)
    for tensor in range(TENSORS):
        added, bits, _ = product(values[tensor], factors[tensor], top, WINDOW_WIDTH)
        total += added
        special |= bits
    return rounded(total, special, top, WINDOW_WIDTH, numbers)


@compiled
def _second(value, result, lane, rows, numbers):
    """Return tensor 0's value plus the scaled result, and flags."""
    top = max(height(value, ONE), height(result, rows.second[lane]), LEAST_TOP)
    total, special, _ = product(value, ONE, top, WINDOW_WIDTH)
    added, bits, _ = product(result, rows.second[lane], top, WINDOW_WIDTH)
    return rounded(total + added, special | bits, top, WINDOW_WIDTH, numbers)


@compiled
def combine(values, there, kept, rows, numbers):
    """Combine the values of a group.

    Parameters
    ----------
    values
        int64 (TENSORS, positions, lanes): float32 codes, or integers.
    there
        bool (positions, lanes): elsewhere nothing is computed, and the result is 0.
    kept
        bool, likewise: elsewhere the first combination, or tensor 0 in it, becomes 0.
    rows
        `Rows` of the group.
    numbers
        `Numbers` of the pass.

    Returns
    -------
    tuple
        int64 (positions, lanes): the first combination and the last one, which is the first if
        there is no second; and flags.
    """
    first = np.zeros(there.shape, dtype=np.int64)
    last = np.zeros(there.shape, dtype=np.int64)
    flags = 0
    own = np.zeros(TENSORS, dtype=np.int64)
    factors = np.zeros(TENSORS, dtype=np.int64)
    for position in range(there.shape[0]):
        for lane in range(there.shape[1]):
            if not there[position, lane]:
                continue
            for tensor in range(TENSORS):
                own[tensor] = values[tensor, position, lane]
                factors[tensor] = rows.coefficients[tensor, lane]
            cleared = not kept[position, lane]
            if cleared and numbers.masked == MASKED_TENSOR:
                own[0] = 0
            if numbers.product:
                factors[2], factors[1] = own[1], 0
            code, flag = _first(own, lane, factors, rows, numbers)
            flags |= flag
            code = _activated(code, own[0], numbers)
            if cleared and numbers.masked != MASKED_TENSOR:
                code = np.int64(0)
            first[position, lane] = code
            if numbers.second:
                code, flag = _second(values[0, position, lane], code, lane, rows, numbers)
                flags |= flag
            last[position, lane] = code
    return first, last, flags


@compiled
def _accumulated(total, added, acc_width):
    """Return a sum of `acc_width` bits in two's complement, and flags."""
    half = np.int64(1) << (acc_width - 1)
    total += added
    if -half <= total < half:
        return total, 0
    return ((total + half) & (2 * half - 1)) - half, OVERFLOW


@compiled
def add_up(results, factors, there, tops, numbers):
    """Sum results, and products of results with another tensor's values, lane by lane.

    Parameters
    ----------
    results, factors
        int64 (positions, lanes), float32 codes or integers.
    there
        bool, likewise.
    tops
        Of the windows of both sums.
    numbers
        `Numbers` of the pass.

    Returns
    -------
    tuple
        int64 (2, lanes): the sums; special bits, likewise; and flags.
    """
    lanes = there.shape[1]
    sums = np.zeros((2, lanes), dtype=np.int64)
    specials = np.zeros((2, lanes), dtype=np.int64)
    flags = 0
    modulus = np.int64(1) << numbers.acc_width
    for position in range(there.shape[0]):
        for lane in range(lanes):
            if not there[position, lane]:
                continue
            result, factor = results[position, lane], factors[position, lane]
            for which in range(2):
                bits, flag = 0, 0
                if not numbers.floating:
                    # In two's complement only the lowest bits count.
                    added = (result * (factor if which else np.int64(1))) & (modulus - 1)
                    added = added - modulus if added >= modulus >> 1 else added
                elif which:
                    added, bits, flag = product(factor, result, tops[1], numbers.acc_width)
                else:
                    added, bits, flag = product(result, ONE, tops[0], numbers.acc_width)
                specials[which, lane] |= bits
                flags |= flag
                sums[which, lane], flag = _accumulated(sums[which, lane], added, numbers.acc_width)
                flags |= flag
    return sums, specials, flags
