"""Checks of an encode pass's descriptor, in the order and with the meaning of the contract.

Each function is one code of `gscn.encode.EncodeError`; `docs/contract/encode.md`, "Checks", is the
same in words.
"""

from __future__ import annotations

import itertools
from collections import namedtuple

import numpy as np

from gscn.array import ArrayConfig
from gscn.encode import (
    ENCODE_DESCRIPTOR,
    ENCODE_DESCRIPTOR_BYTES,
    ENCODE_MODE,
    ENCODE_STATE,
    GROUP_LOOPS,
    LOOPS,
    MOST_BIN_BITS,
    MOST_MAXIMUM,
    MOST_TRANSPOSED,
    TENSOR_FORMATS,
    TENSORS,
    Activation,
    Adapt,
    EncodeError,
    Masked,
    Reduce,
    Thresholds,
)
from gscn.formats import FLOAT32, FloatFormat, IntFormat
from gscn.passes import TABLE_ENTRY_BYTES, VECTOR
from gscn.port import ALIGNMENT_BYTES
from gscn.records import MOST_SHIFT

MOST_VECTORS = 4
"""Highest log2 of the vectors of a position."""
MOST_POSITIONS = 32
"""Bits of the number of positions of a group, and of elements in all."""
STATE_BYTES = ENCODE_STATE.width // 8
ROW_BYTES = 32

EncodeFields = namedtuple("EncodeFields", ENCODE_DESCRIPTOR.dtype.names)
"""The fields of a descriptor, as Python's integers."""


def encode_fields(descriptor: np.void) -> EncodeFields:
    """Return the fields of one `ENCODE_DESCRIPTOR`."""
    return EncodeFields(*descriptor.item())


def field_of(d: EncodeFields, *parts: object) -> int:
    """Return the field whose name is that of the parts, joined."""
    return int(getattr(d, "".join(str(part) for part in parts)))


def counts(d: EncodeFields) -> tuple[int, ...]:
    """Return the steps of the loops, innermost first."""
    return tuple(field_of(d, "count", loop) for loop in range(LOOPS))


def groups_and_positions(d: EncodeFields) -> tuple[int, int]:
    """Return groups, and positions of a group (products)."""
    steps = counts(d)
    return int(np.prod(steps[5:], dtype=object)), int(np.prod(steps[:5], dtype=object))


def segment_loops(d: EncodeFields) -> int | None:
    """Return how many of the innermost loops are a segment, None if no number is (products)."""
    steps = counts(d)
    inside = 1
    for loop in range(LOOPS - GROUP_LOOPS + 1):
        if inside == d.segment:
            return loop
        inside *= steps[loop]
    return None


def strips_of(d: EncodeFields, positions: int) -> int:
    """Return the strips of a group that are cut after so many positions of a period."""
    return groups_and_positions(d)[1] // d.period * -(-d.period // positions)


def format_of(number: int) -> IntFormat | FloatFormat | None:
    """Return the format of a tensor."""
    return TENSOR_FORMATS[number]


def strip_format(d: EncodeFields) -> int:
    """Return the number of the format of strips: bf16, or that of integer results."""
    return 1 if isinstance(format_of(d.out_format), FloatFormat) else d.out_format


def has(d: EncodeFields, part: str) -> bool:
    """Say whether a pass has a result: dense, second, bits, sums, a or b."""
    first = f"{part}_data" if part in ("a", "b") else f"{part}_addr"
    return field_of(d, f"{part}_end") != field_of(d, first)


def value_bytes(number: int) -> int:
    """Return the bytes of a value of a format."""
    fmt = format_of(number)
    return 0 if fmt is None else fmt.width // 8


def has_bad_format(d: EncodeFields, config: ArrayConfig) -> bool:
    """Say whether a format is unknown, or not one of the unit, or goes not with what is asked."""
    numbers = [field_of(d, "t", tensor, "_format") for tensor in range(TENSORS)]
    if max(*numbers, d.out_format) >= len(TENSOR_FORMATS) or d.out_format == 0 or not any(numbers):
        return True
    floating = isinstance(format_of(d.out_format), FloatFormat)
    same = all(isinstance(format_of(one), FloatFormat) == floating for one in numbers if one)
    flags = (d.t0_strips, d.transposed, d.strict, d.magnitudes, d.kept_sums, d.product)
    words = (
        (d.masked, max(Masked)), (d.reduce, max(Reduce)), (d.absolute, (1 << TENSORS) - 1),
        (d.activation, max(Activation)), (d.thresholds, max(Thresholds)), (d.adapt, max(Adapt)),
        (d.judged, TENSORS), (d.dot, TENSORS), (d.shift, 0 if floating else MOST_SHIFT),
        *((flag, 1) for flag in flags),
    )  # fmt: skip
    named = [one for one in (d.judged, d.dot) if one]
    strips = has(d, "a") or has(d, "b")
    return (
        not same
        or floating != bool(config.floats)
        or any(value > most for value, most in words)
        or any(numbers[one - 1] == 0 for one in named if one <= TENSORS)
        or (d.transposed == 1 and (not floating or any(numbers[1:])))
        or (d.t0_strips == 1 and (numbers[0] in (0, 2, 5) or d.transposed == 1))
        or (has(d, "second") and (not floating or numbers[0] == 0))
        or (strips and d.out_format == 5)
        or (d.activation == Activation.SLOPE and (not floating or numbers[0] == 0))
        or (d.product == 1 and (0 in numbers[1:] or numbers[1] == 5 or d.absolute & 2 != 0))
        or (d.reduce != Reduce.NONE and has(d, "second"))
        or (d.adapt >= Adapt.SELECT_FIRST and not _finds_bits(d))
        or (d.adapt == Adapt.STEP and d.thresholds != Thresholds.STATE)
    )


def _finds_bits(d: EncodeFields) -> bool:
    """Say whether a selection's bits are some of a magnitude's."""
    fmt = format_of(d.out_format)
    width = fmt.width - isinstance(fmt, FloatFormat)
    return 1 <= d.bin_bits <= MOST_BIN_BITS and d.bin_shift + d.bin_bits <= width


def written(d: EncodeFields) -> list[tuple[int, int]]:
    """Return the ranges of bytes that a pass writes (products)."""
    found = [
        (field_of(d, part, "_addr"), field_of(d, part, "_end"))
        for part in ("dense", "second", "bits", "sums")
        if has(d, part)
    ]
    for part in ("a", "b"):
        if has(d, part):
            table = field_of(d, part, "_table")
            strips = strips_of(d, field_of(d, part, "_positions"))
            entries = (strips + 1) * groups_and_positions(d)[0]
            found += [
                (field_of(d, part, "_data"), field_of(d, part, "_end")),
                (table, table + entries * TABLE_ENTRY_BYTES),
            ]
    return [*found, (d.state_addr, d.state_addr + STATE_BYTES)]


def rows_end(d: EncodeFields) -> int:
    """Return one past the last byte of the rows of coefficients (product)."""
    lanes = VECTOR << d.vectors
    return d.rows_addr + counts(d)[5] * lanes * ROW_BYTES


def read(d: EncodeFields) -> list[tuple[int, int]]:
    """Return the ranges of bytes that a pass reads, tensors first, without the state."""
    found = [
        (field_of(d, stream, "_addr"), field_of(d, stream, "_end"))
        for stream, present in (
            *((f"t{n}", field_of(d, "t", n, "_format") != 0) for n in range(TENSORS)),
            ("mask", d.masked != Masked.NONE),
        )
        if present
    ]
    if d.t0_strips:
        entries = (strips_of(d, d.a_positions) + 1) * groups_and_positions(d)[0]
        found.append((d.t0_table, d.t0_table + entries * TABLE_ENTRY_BYTES))
    return [*found, (d.rows_addr, rows_end(d))]


def has_bad_address(d: EncodeFields, config: ArrayConfig) -> bool:
    """Say whether a range is not aligned, or ends before it begins or beyond all addresses."""
    ranges = [*read(d), *written(d)]
    return any(
        first % ALIGNMENT_BYTES != 0 or end < first or end > 1 << config.addr_width
        for first, end in ranges
    ) or any(step % unit != 0 for step, unit in _aligned_steps(d))


def _aligned_steps(d: EncodeFields) -> list[tuple[int, int]]:
    """Return steps and firsts, each with what it must be a multiple of: a vector's bytes."""
    units = {f"t{n}": VECTOR * value_bytes(field_of(d, "t", n, "_format")) for n in range(TENSORS)}
    units["mask"] = 2 if d.masked else 0
    units["dense"] = VECTOR * value_bytes(d.out_format)
    if d.t0_strips:
        units["t0"] = 0
    if not (has(d, "dense") or has(d, "second")):
        units["dense"] = 0
    found = []
    for stream, unit in units.items():
        if not unit:
            continue
        names = ["_first", "_vector", *(f"_step{loop}" for loop in range(LOOPS))]
        found += [(field_of(d, stream, name), unit) for name in names]
        if d.transposed and stream.startswith("t"):
            found.append((field_of(d, stream, "_lane"), unit))
    return found


def has_bad_walk(d: EncodeFields) -> bool:
    """Say whether a walk has no length, or one beyond the counters, or does not fit its strips."""
    steps = counts(d)
    if 0 in steps or d.vectors > MOST_VECTORS:
        return True
    groups, positions = groups_and_positions(d)
    lanes = VECTOR << d.vectors
    if positions >> MOST_POSITIONS or (groups * positions * lanes) >> MOST_POSITIONS:
        return True
    if 0 in (d.period, d.segment, d.a_positions, d.b_positions) or positions % d.period:
        return True
    return (
        not 1 <= d.group_channels <= lanes
        or not (steps[5] - 1) * d.group_channels < d.channels <= steps[5] * d.group_channels
        or d.segment > positions
        or max(d.a_positions, d.b_positions) > d.period
        or (d.reduce != Reduce.NONE and segment_loops(d) is None)
        or (d.reduce == Reduce.MAXIMUM and d.segment > MOST_MAXIMUM)
        or (
            d.transposed == 1 and steps[1] * steps[0] << d.vectors > MOST_TRANSPOSED  # products
        )
    )


def has_bad_output_range(d: EncodeFields, listed: tuple[int, int]) -> bool:
    """Say whether results overlap, or meet what is read, or are shorter than they must be."""
    outputs = written(d)
    groups, positions = groups_and_positions(d)
    segments = -(-positions // d.segment)
    lanes = VECTOR << d.vectors
    short = (has(d, "bits") and d.bits_end - d.bits_addr < groups * positions * lanes // 8) or (
        has(d, "sums") and d.sums_end - d.sums_addr < groups * segments * lanes * ROW_BYTES
    )
    inputs = [*read(d), listed]
    places = in_place(d)
    return (
        short
        or not _are_apart(d)
        or any(_meet(one, other) for one, other in itertools.combinations(outputs, 2))
        or any(
            _meet(one, other) and (one, other) not in places for one in outputs for other in inputs
        )
    )


def _are_apart(d: EncodeFields) -> bool:
    """Say whether all vectors of dense results have places of their own (products)."""
    if not (has(d, "dense") or has(d, "second")):
        return True
    inside = 0 if d.reduce == Reduce.NONE else segment_loops(d)
    steps = [(count, field_of(d, "dense_step", loop)) for loop, count in enumerate(counts(d))]
    steps = steps[inside:]
    steps.append((1 << d.vectors, d.dense_vector))
    extent = VECTOR * value_bytes(d.out_format)
    for size, count in sorted((abs(step), count) for count, step in steps if count > 1):
        if size < extent:
            return False
        extent += (count - 1) * size
    return True


def in_place(d: EncodeFields) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return (result, tensor) of those results that are written over a tensor, value by value."""
    found = []
    names = ["_first", "_vector", *(f"_step{loop}" for loop in range(LOOPS))]
    for tensor in range(TENSORS):
        place = (field_of(d, "t", tensor, "_addr"), field_of(d, "t", tensor, "_end"))
        alike = field_of(d, "t", tensor, "_format") == d.out_format and all(
            field_of(d, "t", tensor, name) == field_of(d, "dense", name) for name in names
        )
        strips = tensor == 0 and d.t0_strips == 1
        if alike and d.transposed == 0 and d.reduce == Reduce.NONE and not strips:
            found += [
                (place, place)
                for part in ("dense", "second")
                if has(d, part) and place == (field_of(d, part, "_addr"), field_of(d, part, "_end"))
            ]
    return found


def _meet(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def check_encode(d: EncodeFields, config: ArrayConfig, listed: tuple[int, int]) -> EncodeError:
    """Return the first error of a descriptor.

    Parameters
    ----------
    d
        Its fields.
    config
        The array beside which the unit is.
    listed
        First byte of the list of passes, and one past its last.
    """
    if d.mode != ENCODE_MODE:
        return EncodeError.MODE
    if has_bad_format(d, config):
        return EncodeError.FORMAT
    if has_bad_walk(d):
        return EncodeError.WALK
    if has_bad_address(d, config):
        return EncodeError.ADDRESS
    if has_bad_output_range(d, listed):
        return EncodeError.OUTPUT_RANGE
    return EncodeError.NONE


assert FLOAT32.width == 32
assert ENCODE_DESCRIPTOR.width == 8 * ENCODE_DESCRIPTOR_BYTES
