"""The descriptor of an encode pass: all that the encode unit is told to make tensors of tensors.

An encode pass walks up to three tensors in one order, combines them channel by channel, and writes
the result dense, as strips, as a bit per value, or as sums. `docs/contract/encode.md` says what the
fields do. Its record stands in the list of passes like that of a convolution, and takes two places.
"""

from __future__ import annotations

import enum

from gscn.formats import BF16, FLOAT32, INT8, INT16, INT32, FloatFormat, IntFormat
from gscn.passes import DESCRIPTOR_BYTES
from gscn.records import Field, Record, signed, unsigned

ENCODE_MODE = 2
"""Value of `mode` that says that a record is an encode pass; those of `gscn.passes.Mode` follow."""
ENCODE_DESCRIPTOR_BYTES = 2 * DESCRIPTOR_BYTES
TENSORS = 3
"""Tensors that a pass combines at most."""
LOOPS = 8
"""Counters of a walk, the innermost is number 0."""
GROUP_LOOPS = 3
"""Of these, the outermost ones: they number groups, the others positions of a group."""
COEFFICIENT_BITS = 16
"""Bits of a coefficient's significand that are used, and of an integer coefficient."""
WINDOW_WIDTH = 32
"""Bits of the window in which a value's products are added, the sign included."""
LEAST_TOP = 125
"""The lowest top of such a window: its sums, 33 bits long, then begin at the least normal number or
above, and need no shift to the right."""
MOST_TRANSPOSED = 64
"""Vectors in a row of a transposed block: those of the two innermost loops and of a position."""
MOST_BIN_BITS = 8
"""Bits of a magnitude that one pass of a selection finds."""
MOST_MAXIMUM = 64
"""Positions of a segment of which the maximum is taken: a window of 8x8."""
SLOPE_KNEE, SLOPE_END = 0x3ECCCCCD, 0x3F800000
"""float32 codes of 0.4 and 1: between these magnitudes the slope is 0.4, beyond them 0."""
BITS_BYTES = 2
"""Bytes of the bits of a vector."""
TENSOR_FORMATS: tuple[IntFormat | FloatFormat | None, ...] = (
    None, BF16, FLOAT32, INT8, INT16, INT32,
)  # fmt: skip
"""Formats of tensors by the number that a descriptor gives; 0: there is no such tensor."""


class Activation(enum.IntEnum):
    """What is done to a combination."""

    NONE = 0
    RELU = 1
    SLOPE = 2
    """The slope that stands for a step's, of tensor 0's magnitude: DST's."""


class Masked(enum.IntEnum):
    """What bits of another tensor clear."""

    NONE = 0
    RESULT = 1
    TENSOR = 2
    """Tensor 0, as the first combination sees it."""


class Reduce(enum.IntEnum):
    """What the dense result is."""

    NONE = 0
    """Each value."""
    SUM = 1
    """The sum of each segment."""
    MAXIMUM = 2
    """The largest value of each segment."""


class Thresholds(enum.IntEnum):
    """Where thresholds come from."""

    NONE = 0
    STATE = 1
    ROWS = 2


class Adapt(enum.IntEnum):
    """What the end of a pass does to the thresholds of its state."""

    NONE = 0
    STEP = 1
    SELECT_FIRST = 2
    SELECT_NEXT = 3


class EncodeError(enum.IntEnum):
    """What an encode pass can report; the first ones are those of `gscn.pass_errors`."""

    NONE = 0
    BUS_READ = 1
    BUS_WRITE = 2
    MODE = 7
    FORMAT = 8
    ADDRESS = 9
    WALK = 14
    OUTPUT_RANGE = 16
    TABLE = 17
    STRIP = 18
    RANGE = 21
    CAPACITY = 22
    ORDER = 23
    LIST = 24


LISTED_ERROR_MEANINGS = {
    EncodeError.RANGE: "encode pass: a vector that is there lies outside its stream's range",
    EncodeError.CAPACITY: "encode pass: strips are longer than their range",
    EncodeError.ORDER: "control record: fewer records of the other queue than wait says are before "
    "it in the list",
    EncodeError.LIST: "encode pass: its second place is beyond the list",
}
"""Of the errors that a machine reports and an array cannot."""


def _steps(stream: str, meaning: str) -> tuple[Field, ...]:
    """Return the steps of a stream of vectors."""
    return (
        *(
            signed(f"{stream}_step{loop}", 32, f"{meaning}: bytes per step of loop {loop}")
            for loop in range(LOOPS)
        ),
        signed(f"{stream}_vector", 32, f"{meaning}: bytes from one vector of a position to the "
                "next"),
    )  # fmt: skip


STREAMS = ("t0", "t1", "t2", "mask", "dense")
"""What is walked, by the beginnings of its fields' names."""

_FIELDS = (
    *(
        one
        for tensor in range(TENSORS)
        for one in (
            unsigned(f"t{tensor}_addr", 64, f"first byte of tensor {tensor}"),
            unsigned(f"t{tensor}_end", 64, "one past its last byte"),
        )
    ),
    unsigned("t0_table", 64, "byte address of the table of tensor 0, if that is strips"),
    unsigned("mask_addr", 64, "first byte of the bits that say what is kept"),
    unsigned("mask_end", 64, "one past their last byte"),
    unsigned("channels", 16, "channels of all groups that loop 5 counts"),
    unsigned("mode", 8, "2; at the place of a pass's mode"),
    unsigned("t0_format", 8, "format of tensor 0: 0 none, 1 bf16, 2 float32, 3 int8, 4 int16, "
              "5 int32"),
    unsigned("t1_format", 8, "of tensor 1"),
    unsigned("t2_format", 8, "of tensor 2"),
    unsigned("out_format", 8, "of the result"),
    unsigned("t0_strips", 8, "1 if tensor 0 is strips"),
    unsigned("dense_addr", 64, "first byte of the dense result"),
    unsigned("dense_end", 64, "one past its last byte; dense_addr: there is none"),
    unsigned("second_addr", 64, "first byte of the second combination"),
    unsigned("second_end", 64, "one past its last byte; second_addr: there is none"),
    unsigned("bits_addr", 64, "first byte of the bits of the result"),
    unsigned("bits_end", 64, "one past their last byte; bits_addr: there are none"),
    unsigned("sums_addr", 64, "first byte of the sums"),
    unsigned("sums_end", 64, "one past their last byte; sums_addr: there are none"),
    unsigned("a_data", 64, "first byte of strips A"),
    unsigned("a_end", 64, "one past the last byte that they may fill; a_data: there are none"),
    unsigned("a_table", 64, "byte address of their table"),
    unsigned("b_data", 64, "first byte of strips B"),
    unsigned("b_end", 64, "one past the last byte that they may fill; b_data: there are none"),
    unsigned("b_table", 64, "byte address of their table"),
    unsigned("rows_addr", 64, "byte address of the rows of coefficients"),
    unsigned("state_addr", 64, "byte address of the state"),
    *(
        signed(f"{stream}_first", 32, f"bytes from {stream}_addr to its vector at the walk's "
                  "start")
        for stream in STREAMS
    ),
    unsigned("a_positions", 32, "positions of a strip, of A and of a tensor 0 that is strips"),
    unsigned("b_positions", 32, "the same of B"),
    unsigned("period", 32, "positions after which strips begin anew: a sample's"),
    unsigned("segment", 32, "positions of a sum"),
    *(one for stream in STREAMS for one in _steps(stream, f"stream {stream}")),
    *(
        signed(f"t{tensor}_lane", 32, "transposed: bytes from lane to lane; the step of loop 2 "
                "is per 16 steps then")
        for tensor in range(TENSORS)
    ),
    *(unsigned(f"count{loop}", 16, f"steps of loop {loop}") for loop in range(LOOPS)),
    *(
        one
        for axis in "yx"
        for one in (
            signed(f"{axis}_first", 16, f"coordinate {axis} at the walk's start"),
            unsigned(f"{axis}_limit", 16, "what it must be below"),
            *(
                signed(f"{axis}_step{loop}", 8, f"its change per step of loop {loop}")
                for loop in range(LOOPS)
            ),
        )
    ),
    unsigned("group_channels", 16, "channels of a group, the others of its lanes are zeros"),
    unsigned("vectors", 8, "log2 of the vectors of a position"),
    unsigned("transposed", 8, "1 if loop 2 runs within vectors in memory, and lanes across them"),
    unsigned("activation", 8, "0 none, 1 ReLU, 2 slope of tensor 0"),
    unsigned("masked", 8, "bits say: 0 nothing, 1 which results are kept, 2 which of tensor 0"),
    unsigned("thresholds", 8, "0 none, 1 of the state, 2 of the rows"),
    unsigned("strict", 8, "1 if a magnitude must be above its threshold, 0 if it may equal it"),
    unsigned("judged", 8, "whose magnitude is compared: 0 the result's, 1 to 3 tensor 0 to 2's"),
    unsigned("dot", 8, "1 to 3: sum also the result times tensor 0 to 2; 0: do not"),
    unsigned("magnitudes", 8, "1 if sums are of magnitudes"),
    unsigned("adapt", 8, "0 nothing, 1 step the threshold, 2 first pass of a selection, 3 next"),
    unsigned("bin_shift", 8, "selection: bits below those that this pass finds"),
    unsigned("bin_bits", 8, "selection: bits that it finds, 1 to 8"),
    unsigned("shift", 8, "integers: right shift before rounding"),
    unsigned("reduce", 8, "the dense result is: 0 each value, 1 a segment's sum, 2 its maximum"),
    unsigned("kept_sums", 8, "1 if sums are of what strips A keep"),
    unsigned("absolute", 8, "bit n: tensor n is taken by its magnitude"),
    unsigned("product", 8, "1 if tensor 2's coefficient is tensor 1's value"),
)  # fmt: skip

_SIZE = sum(one.width for one in _FIELDS) // 8
ENCODE_DESCRIPTOR = Record(
    "encode_descriptor",
    (
        *_FIELDS,
        *(unsigned(f"reserved{n}", 8, "zero") for n in range(ENCODE_DESCRIPTOR_BYTES - _SIZE)),
    ),
)
"""One encode pass."""

CHANNEL_ROW = Record(
    "channel_row",
    (
        *(unsigned(f"c{n}", 32, f"coefficient of tensor {n}") for n in range(TENSORS)),
        unsigned("bias", 32, "added to the combination"),
        unsigned("second", 32, "coefficient of the result in the second combination"),
        unsigned("threshold_a", 32, "magnitude for strips A"),
        unsigned("threshold_b", 32, "magnitude for strips B"),
        unsigned("reserved", 32, "zero"),
    ),
)
"""What a channel is combined with; float32 codes, or two's complement of 32 bits."""

ENCODE_STATE = Record(
    "encode_state",
    (
        unsigned("threshold_a", 32, "magnitude for strips A; adapted at the end of a pass"),
        unsigned("threshold_b", 32, "magnitude for strips B"),
        unsigned("keep", 32, "selection: elements to keep"),
        unsigned("low", 32, "step: the threshold falls if A keeps fewer"),
        unsigned("high", 32, "step: it rises if A keeps more"),
        unsigned("step", 32, "step: by so many codes"),
        unsigned("sum_top", 16, "floating point: top of the window of sums"),
        unsigned("dot_top", 16, "the same of sums of products"),
        unsigned("prefix", 32, "selection: bits of the magnitude found so far"),
        unsigned("rank", 32, "selection: how many are to be kept of those with these bits"),
        unsigned("kept_a", 32, "written: values of strips A"),
        unsigned("kept_b", 32, "written: values of strips B"),
        unsigned("nonzeros", 32, "written: of the result"),
        unsigned("elements", 32, "written: of the result"),
        unsigned("largest", 16, "written: largest exponent field of finite nonzero results, or 0"),
        unsigned("flags", 16, "written: bit 0 saturated, 1 not finite, 2 overflow"),
        unsigned("a_halfwords", 32, "written: halfwords of strips A"),
        unsigned("b_halfwords", 32, "written: halfwords of strips B"),
    ),
)
"""What a pass takes from the one before on the same tensor, and leaves to the next; 64 bytes."""

CHANNEL_SUMS = Record(
    "channel_sums",
    (
        unsigned("sum", 64, "of results, like a raw result of a convolution"),
        unsigned("dot", 64, "of results times a tensor's values, likewise"),
        unsigned("nonzeros", 32, "of the result"),
        unsigned("kept_a", 32, "values of strips A"),
        unsigned("largest", 32, "largest exponent field of finite nonzero results, or 0"),
        unsigned("reserved", 32, "zero"),
    ),
)
"""Sums of a channel over a segment; 32 bytes."""
