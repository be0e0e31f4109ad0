"""Arithmetic of the functional model: products, sums and drains, in integers and floating point.

Implements: the law and the drain of `docs/contract/execution.md`, the contract of
`docs/contract/floating-point.md`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gscn.config import AcceleratorConfig
from gscn.emulator.record_checks import written_cells
from gscn.enums import takes_text
from gscn.formats import BF16, FLOAT32, NUMBER_FORMATS, FloatFormat
from gscn.records import MINUS_BIT, OUT_BF16, OUT_FLOAT32, OUT_RAW, OUT_WIDTHS, PLUS_BIT
from gscn.system.compiled import compiled
from gscn.window import lsb_exponent

FINITE, INFINITE, NOT_A_NUMBER = range(3)
"""Kinds of an operand; integers are finite."""
PLUS, MINUS = 1, 2
"""Sticky bits beside a sum."""
_VALUE, _EXPONENT, _NEGATIVE, _KIND = range(4)


@takes_text
@dataclass(frozen=True, kw_only=True, slots=True)
class Arithmetic:
    """How a job calculates."""

    fmt: FloatFormat | None
    """Of both operands; None for the core's integers."""
    top: int
    """Of the window, if `fmt` is not None."""
    acc_width: int
    """Bits of an accumulator."""
    integer_width: int
    """Bits of an integer operand."""

    @classmethod
    def of(cls, job: np.void, config: AcceleratorConfig) -> Arithmetic:
        """Return what a `JOB_DESCRIPTOR` without errors asks for."""
        return cls(
            fmt=NUMBER_FORMATS[int(job["number_format"])],
            top=int(job["window"]),
            acc_width=config.acc_width,
            integer_width=config.format.width,
        )

    @property
    def numbers(self) -> tuple[bool, int, int, int]:
        """Whether floating point, `top`, left shift of products before alignment, `acc_width`."""
        if self.fmt is None:
            return False, 0, 0, self.acc_width
        justify = self.acc_width - 1 - 2 * self.fmt.significand_width
        return True, self.top, justify, self.acc_width

    def decode(self, values: np.ndarray) -> np.ndarray:
        """Return value (or significand), exponent, sign and kind of operands.

        Parameters
        ----------
        values
            Integers (count,), of which the format's low bits count.

        Returns
        -------
        numpy.ndarray
            int64 (count, 4).
        """
        decoded = np.zeros((values.size, 4), dtype=np.int64)
        if self.fmt is None:
            half = 1 << (self.integer_width - 1)
            decoded[:, _VALUE] = ((values.astype(np.int64) + half) & (2 * half - 1)) - half
            return decoded
        fmt = self.fmt
        codes = values.astype(np.int64) & ((1 << fmt.width) - 1)
        magnitudes = codes & ((1 << (fmt.width - 1)) - 1)
        exponents = magnitudes >> fmt.mantissa_width
        fraction = magnitudes & ((1 << fmt.mantissa_width) - 1)
        decoded[:, _VALUE] = fraction | (exponents != 0).astype(np.int64) << fmt.mantissa_width
        decoded[:, _EXPONENT] = np.maximum(exponents, 1)
        decoded[:, _NEGATIVE] = codes >> (fmt.width - 1)
        if fmt.has_infinity:
            special = exponents > fmt.top_exponent
            decoded[:, _KIND] = special * np.where(fraction == 0, INFINITE, NOT_A_NUMBER)
        else:
            decoded[:, _KIND] = (magnitudes == fmt.nan) * NOT_A_NUMBER
        return decoded


class Taps(NamedTuple):
    """The taps of a load block, each an int64 array."""

    key_delta: np.ndarray
    offset_delta: np.ndarray
    last: np.ndarray
    """Whether a list of taps ends here."""


class Held(NamedTuple):
    """The tile that one PE holds."""

    start: np.ndarray
    length: np.ndarray
    """Fiber of each key: its first entry, and how many."""
    numbers: np.ndarray
    """Values of the entries, as `Arithmetic.decode` returns them."""
    offset: np.ndarray
    """Of the entries."""


class DrainWalk(NamedTuple):
    """The cells that a job drains, as its descriptor says."""

    pitch: int
    guard_cols: int
    rows: int
    guard_rows: int
    planes: int
    count: int


class ResultNumbers(NamedTuple):
    """What rounding must know of the results' format; zeros for integers."""

    floating: bool = False
    lsb: int = 0
    """Power of two of an accumulator's lowest bit."""
    bias: int = 0
    mantissa_width: int = 0
    infinity: int = 0
    nan: int = 0
    sign: int = 0
    """Codes, and the bit of the sign in them."""


@compiled(inline="always")
def _wrap(value, half):
    """Return the low bits of an accumulator, sign-extended."""
    return ((value + half) & (2 * half - 1)) - half


@compiled
def pe_products(
    taps: Taps,
    held: Held,
    streamed: np.ndarray,
    words: np.ndarray,
    numbers: tuple[bool, int, int, int],
    sums: np.ndarray,
    specials: np.ndarray,
    trace: np.ndarray,
) -> tuple[int, int, int, bool, bool]:
    """Stream words past one PE; return products, look-ups, hits, overflow, address error.

    `words` is int64 (count, 4): value, offset, key, tap_start; `streamed` their decoded values, as
    `Arithmetic.decode` returns them, `numbers` as `Arithmetic.numbers`. If `trace` is not empty,
    its rows are filled with (address, addend).
    """
    floating, top, justify, acc_width = numbers
    products, lookups, hits = 0, 0, 0
    overflow, outside = False, False
    half = 1 << (acc_width - 1)
    for i in range(words.shape[0]):
        offset, key, tap = words[i, 1], words[i, 2], words[i, 3]
        while True:
            target = key + taps.key_delta[tap]
            lookups += 1
            if 0 <= target < held.start.size and held.length[target] > 0:
                hits += 1
                base = offset + taps.offset_delta[tap]
                begin = held.start[target]
                for entry in range(begin, begin + held.length[target]):
                    index = base + held.offset[entry]
                    addend = streamed[i, 0] * held.numbers[entry, 0]
                    special, beyond = 0, False
                    if floating and addend != 0:
                        negative = streamed[i, 2] != held.numbers[entry, 2]
                        kind = max(streamed[i, 3], held.numbers[entry, 3])
                        distance = top - streamed[i, 1] - held.numbers[entry, 1]
                        if kind == NOT_A_NUMBER:
                            addend, special = 0, PLUS | MINUS
                        elif kind == INFINITE:
                            addend, special = 0, MINUS if negative else PLUS
                        elif distance < 0:
                            addend, beyond = 0, True
                        else:
                            addend = (addend << justify) >> min(distance, 63)
                            addend = -addend if negative else addend
                    if trace.shape[0] > 0:
                        trace[products, 0] = index
                        trace[products, 1] = addend
                    products += 1
                    overflow |= beyond
                    if 0 <= index < sums.size:
                        total = sums[index] + addend
                        wrapped = _wrap(total, half)
                        overflow |= wrapped != total
                        sums[index] = wrapped
                        specials[index] |= special
                    else:
                        outside = True
            if taps.last[tap]:
                break
            tap += 1
    return products, lookups, hits, overflow, outside


@compiled
def add_partials(
    sums: np.ndarray, specials: np.ndarray, partials: np.ndarray, floating: bool, acc_width: int
) -> bool:
    """Add record i to accumulator i // pes of PE i % pes; return whether a sum overflowed.

    `sums` is int64 (pes, depth), `specials` alike, `partials` int64 (count,).
    """
    pes = sums.shape[0]
    half = 1 << (acc_width - 1)
    overflow = False
    for i in range(partials.size):
        pe, index = i % pes, i // pes
        total = sums[pe, index] + _wrap(partials[i], half)
        wrapped = _wrap(total, half)
        overflow |= wrapped != total
        sums[pe, index] = wrapped
        if floating:
            specials[pe, index] |= partials[i] >> PLUS_BIT & 3
    return overflow


@compiled
def _round_integer(value, shift, width):
    """Return a sum divided by 2**shift, ties to even, and whether it was saturated."""
    high = (1 << (width - 1)) - 1
    if shift > 0:
        floor = value >> shift
        rest = value - (floor << shift)
        middle = 1 << (shift - 1)
        value = floor + (rest > middle or (rest == middle and floor & 1 == 1))
    if width < 64:
        if value > high:
            return high, True
        if value < -high - 1:
            return -high - 1, True
    return value, False


@compiled
def _round_float(value, lsb, bias, mantissa_width, infinity):
    """Return the code of the magnitude of `value * 2**lsb`, and whether it was saturated."""
    magnitude = abs(value)
    if magnitude == 0:
        return 0, False
    length = 0
    while magnitude >> length > 1:
        length += 1
    # power of two of the leading place, that of the smallest normal number at least
    place = max(length + lsb, 1 - bias)
    shift = place - mantissa_width - lsb
    if shift <= 0:
        significand = magnitude << -shift
    elif shift > 62:
        significand = 0
    else:
        significand = magnitude >> shift
        rest = magnitude - (significand << shift)
        middle = 1 << (shift - 1)
        significand += rest > middle or (rest == middle and significand & 1 == 1)
    # the hidden bit and a carry out of the fraction count up the exponent field
    code = ((place + bias - 1) << mantissa_width) + significand
    return (infinity, True) if code >= infinity else (code, False)


@compiled
def _drain(
    sums: np.ndarray,
    specials: np.ndarray,
    walk: DrainWalk,
    shift: int,
    width: int,
    target: ResultNumbers,
) -> tuple[np.ndarray, bool, bool]:
    """Read and clear; return the results in order of writing, and if any saturated, was not finite.

    `width` is the bits of a result, `shift` that of integers.
    """
    pitch, guard_cols, rows, guard_rows, planes, walk_count = walk
    floating, lsb, bias, mantissa_width, infinity, nan, sign = target
    pes = sums.shape[0]
    cells = written_cells(pitch, guard_cols, rows, guard_rows, planes, walk_count)
    results = np.empty(cells * pes, dtype=np.int64)
    used, saturated, nonfinite = 0, False, False
    row = col = plane = 0
    for cell in range(walk_count):
        if col >= guard_cols and row >= guard_rows and plane < planes:
            for pe in range(pes):
                value, special = sums[pe, cell], np.int64(specials[pe, cell])
                if not floating:
                    result, beyond = _round_integer(value, shift, width)
                elif width == 64:
                    result, beyond = (value & ((1 << PLUS_BIT) - 1)) | special << PLUS_BIT, False
                elif special != 0:
                    result, beyond = (nan if special == PLUS | MINUS else infinity), False
                    nonfinite = True
                    if special == MINUS and infinity != nan:
                        result |= sign
                else:
                    result, beyond = _round_float(value, lsb, bias, mantissa_width, infinity)
                    if value < 0:
                        result |= sign
                results[used] = result
                saturated |= beyond
                used += 1
        for pe in range(pes):
            sums[pe, cell] = 0
            specials[pe, cell] = 0
        col += 1
        if col == pitch:
            col = 0
            row += 1
            if row == rows:
                row = 0
                plane += 1
    return results, saturated, nonfinite


@takes_text
def result_format(fmt: FloatFormat, out_format: int) -> FloatFormat:
    """Return the format of the results of a floating-point job; raw results have none.

    Parameters
    ----------
    fmt
        Of the operands.
    out_format
        Of the job's descriptor, not `OUT_RAW`.
    """
    return {OUT_FLOAT32: FLOAT32, OUT_BF16: BF16}.get(out_format, fmt)


def drain(
    sums: np.ndarray, specials: np.ndarray, job: np.void, arithmetic: Arithmetic
) -> tuple[np.ndarray, bool, bool]:
    """Drain accumulators as a job's descriptor says, and clear them.

    Parameters
    ----------
    sums
        int64 (pes, depth).
    specials
        Sticky bits `PLUS` and `MINUS`, uint8 (pes, depth).
    job
        A `JOB_DESCRIPTOR` without errors.
    arithmetic
        How the job calculates.

    Returns
    -------
    tuple
        Results (int64) in order of writing; whether one was saturated; whether one is not finite.
    """
    field = {name: int(job[name]) for name in job.dtype.names}
    out_format, target = field["out_format"], ResultNumbers()
    if arithmetic.fmt is not None:
        fmt = result_format(arithmetic.fmt, out_format)
        target = ResultNumbers(
            floating=True,
            lsb=lsb_exponent(arithmetic.top, arithmetic.fmt, arithmetic.acc_width),
            bias=fmt.bias,
            mantissa_width=fmt.mantissa_width,
            infinity=fmt.infinity,
            nan=fmt.nan,
            sign=1 << (fmt.width - 1),
        )
    assert (MINUS_BIT, OUT_WIDTHS[OUT_RAW]) == (PLUS_BIT + 1, 64)
    walk = DrainWalk(
        pitch=field["pitch"],
        guard_cols=field["guard_cols"],
        rows=field["plane_rows"],
        guard_rows=field["guard_rows"],
        planes=field["planes"],
        count=field["walk_count"],
    )
    return _drain(sums, specials, walk, field["shift"], OUT_WIDTHS[out_format], target)
