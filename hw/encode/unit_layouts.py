"""Shapes of what travels between the parts of the encode unit, vector by vector."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, Value, signed, unsigned
from amaranth.lib import data

from gscn.array import ArrayConfig
from gscn.encode import (
    CHANNEL_SUMS,
    COEFFICIENT_BITS,
    ENCODE_DESCRIPTOR,
    ENCODE_STATE,
    LOOPS,
    STREAMS,
    TENSOR_FORMATS,
    TENSORS,
)
from gscn.formats import FLOAT32, INT8
from gscn.hw.encode.layouts import CODE, factor_layout
from gscn.hw.encode.loop_walk import VECTOR_BITS
from gscn.hw.layouts import record_layout
from gscn.passes import VECTOR

LINE_BYTES = 64
"""What is read and written at a time: as much as the alignment of all ranges."""
LINE = 8 * LINE_BYTES
STATE = record_layout(ENCODE_STATE)
SUMS = record_layout(CHANNEL_SUMS)

BLOCK_LOOPS = 3
"""The innermost loops, within which tensors are transposed block by block: loop 2 is turned."""
_other_steps = [f"step{loop}" for loop in range(LOOPS) if loop != BLOCK_LOOPS - 1]
_WALKED = (
    *(
        f"{stream}_{part}"
        for stream in STREAMS
        for part in ("first", "vector", *(f"step{loop}" for loop in range(LOOPS)))
    ),
    *(f"count{loop}" for loop in range(BLOCK_LOOPS, LOOPS)),
    *(f"{axis}_{part}" for axis in "yx" for part in ("first", "limit", *_other_steps)),
)
"""Fields that only the walk wants, or the checks. Whoever transposes blocks counts their loops, and
asks whether what is there changes within them."""


def settings_layout(config: ArrayConfig) -> data.StructLayout:
    """Return the fields of a descriptor that parts other than the walk want, held while it runs.

    Fields of 64 bits are addresses: `addr_width` bits of them, and one more for the ends of ranges.
    """
    found = {}
    for field in ENCODE_DESCRIPTOR.fields:
        if field.name in _WALKED or field.name.startswith("reserved"):
            continue
        width = field.width
        if width == 64:
            width = config.addr_width + field.name.endswith("_end")
        found[field.name] = (signed if field.signed else unsigned)(width)
    return data.StructLayout(found)


MARKS = data.StructLayout(
    {
        "begins_rows": 1,
        "begins_segment": 1,
        "ends_segment": 1,
        "ends_strip_a": 1,
        "ends_strip_b": 1,
        "ends_group": 1,
        "ends": 1,
    }
)
"""What begins, or ends, with the *position* that a vector is of: all of its vectors have the same
marks, but `ends`, which only the very last one of a pass has. `begins_rows`: the first position of
a group."""


def place_layout(config: ArrayConfig) -> data.StructLayout:
    """Return what the walk says of a vector: where it is in each stream, and what of it there is.

    An address is that of lane 0's value, in the order of `gscn.encode.STREAMS`; of a transposed
    stream it lies within a vector. It means nothing for a stream that the pass has not, and may be
    outside its range where nothing is there.
    """
    return data.StructLayout(
        {
            "addrs": data.ArrayLayout(config.addr_width, len(STREAMS)),
            "there": VECTOR,
            "vector": VECTOR_BITS,
            "column": 16,
            "marks": MARKS,
        }
    )


ROW = data.StructLayout(
    {
        "factors": data.ArrayLayout(factor_layout(COEFFICIENT_BITS), TENSORS),
        "odd": TENSORS,
        "bias": CODE,
        "second": factor_layout(COEFFICIENT_BITS),
        "threshold_a": 32,
        "threshold_b": 32,
    }
)
"""A lane's row of coefficients, floating point, taken apart; thresholds as they are stored. `odd`:
which of the tensors' coefficients are no normal powers of two, nor 0."""


def input_layout(config: ArrayConfig) -> data.StructLayout:
    """Return a vector with all that its results are made of.

    `codes` are float32 codes, of bf16 in the upper half, and mean nothing for tensors that there
    are not and where nothing is there. `kept`: the mask's bits; ones if the pass has no mask.
    `odd`: of which tensors some lane's coefficient is no normal power of two, nor 0. `dense_addr`
    is that of stream dense.
    """
    return data.StructLayout(
        {
            "codes": data.ArrayLayout(data.ArrayLayout(CODE, VECTOR), TENSORS),
            "rows": data.ArrayLayout(ROW, VECTOR),
            "odd": TENSORS,
            "kept": VECTOR,
            "there": VECTOR,
            "vector": VECTOR_BITS,
            "dense_addr": config.addr_width,
            "marks": MARKS,
        }
    )


WIDE_FORMAT = TENSOR_FORMATS.index(FLOAT32)
"""The number of float32 among formats of tensors."""


INTEGER = TENSOR_FORMATS.index(INT8)
"""The number of the first integer format: each has twice the bytes of the one before."""


def size_of(number: Value) -> Value:
    """Return log2 of the bytes of a value of an integer format."""
    return (number - INTEGER)[:2]


def has_result(m: Module, settings: data.View, part: str) -> Signal:
    """Return whether a pass has a result: dense, second, bits, sums, a or b.

    One that is absent may be anywhere in 64 bits, of which the settings have fewer; one that there
    is ends within as many bytes as these address, as its state lies elsewhere.
    """
    found = Signal(name=f"has_{part}")
    first = settings[f"{part}_data" if part in ("a", "b") else f"{part}_addr"]
    m.d.comb += found.eq(settings[f"{part}_end"][: len(first)] != first)
    return found


def dense_layout(config: ArrayConfig) -> data.StructLayout:
    """Return a vector of a dense result: float32 codes, of bf16 in the upper half.

    `addr` is that of its first value. One that is not `wanted` is not written, and only counts as
    `ends`, which the last one of a pass has.
    """
    return data.StructLayout(
        {
            "addr": config.addr_width,
            "codes": data.ArrayLayout(CODE, VECTOR),
            "wanted": 1,
            "ends": 1,
        }
    )


BITS = data.StructLayout({"bits": VECTOR, "ends": 1})
"""A vector's bits, in the order of the walk."""
LANE_SUMS = data.StructLayout({"sums": SUMS, "ends": 1})
"""Sums of a lane over a segment, in the order in which they lie in memory."""
VERDICTS = data.StructLayout(
    {
        "codes": data.ArrayLayout(16, VECTOR),
        "packed_a": VECTOR,
        "packed_b": VECTOR,
        "marks": MARKS,
        "last_vector": 1,
    }
)
"""What strips get of a vector: codes of bf16, and which are in strips A and B. `last_vector` of its
position: where its marks count."""
TALLY = data.StructLayout(
    {
        "kept_a": 32,
        "kept_b": 32,
        "nonzeros": 32,
        "elements": 32,
        "largest": 16,
        "flags": 16,
    }
)
"""What is counted of a pass, as the state has it at its end."""
