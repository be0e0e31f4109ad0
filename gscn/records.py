"""Layouts of every record that crosses memory: one definition for RTL, drivers and models.

All records are little-endian and made of byte-aligned fields. Clusters consume memory in chunks of
64 bits; a 32-bit record fills half a chunk, the first in the low half.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gscn.errors import InputError


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record."""

    name: str
    width: int
    """Bits: 8, 16, 32 or 64."""
    signed: bool
    meaning: str


@dataclass(frozen=True, slots=True)
class Record:
    """A named sequence of fields, the first in the lowest bits."""

    name: str
    fields: tuple[Field, ...]
    dtype: np.dtype = field(init=False, repr=False, compare=False)
    """The record as a packed little-endian numpy structure."""
    _ranges: dict[str, tuple[int, int]] = field(init=False, repr=False, compare=False)
    """Least and greatest value of each field."""

    def __post_init__(self) -> None:
        """Derive once what packing needs: small records are packed very often."""
        types = [(f.name, f"<{'i' if f.signed else 'u'}{f.width // 8}") for f in self.fields]
        ranges = {name: np.iinfo(code) for name, code in types}
        object.__setattr__(self, "dtype", np.dtype(types))
        object.__setattr__(
            self, "_ranges", {name: (info.min, info.max) for name, info in ranges.items()}
        )

    @property
    def width(self) -> int:
        """Bits in all."""
        return sum(one.width for one in self.fields)

    def pack(self, count: int | None = None, /, **values: np.ndarray | int) -> np.ndarray:
        """Return a structured array of `count` records; fields not named are zero.

        Parameters
        ----------
        count
            Number of records; by default the length of the array values, or 1.
        **values
            Array (count,) or number per field, checked against the field's range.

        Raises
        ------
        InputError
            A value does not fit its field, or the field is unknown.
        """
        arrays = {name: np.asarray(value) for name, value in values.items()}
        if count is None:
            count = (
                max((a.size for a in arrays.values()), default=1)
                if any(a.ndim for a in arrays.values())
                else 1
            )
        packed = np.zeros(count, dtype=self.dtype)
        for name, array in arrays.items():
            if name not in self._ranges:
                raise InputError(f"record {self.name} has no field {name!r}")
            low, high = self._ranges[name]
            if array.size and (array.min() < low or array.max() > high):
                raise InputError(
                    f"{self.name}.{name} must lie in [{low}, {high}], "
                    f"not [{array.min()}, {array.max()}]"
                )
            packed[name] = array
        return packed

    def unpack(self, data: np.ndarray) -> np.ndarray:
        """View bytes (uint8, any length that is a multiple of the record) as records."""
        return np.ascontiguousarray(data).view(self.dtype)


def _signed(name: str, width: int, meaning: str) -> Field:
    return Field(name, width, True, meaning)


def _unsigned(name: str, width: int, meaning: str) -> Field:
    return Field(name, width, False, meaning)


A_ENTRY = Record(
    "a_entry",
    (
        _signed("value", 16, "operand value"),
        _signed("offset", 16, "part of the accumulator's index"),
    ),
)
"""One nonzero of the stationary operand; its key is implied by the directory."""

DIRECTORY_ENTRY = Record(
    "directory_entry",
    (
        _unsigned("start", 16, "index of the fiber's first stationary entry"),
        _unsigned("length", 16, "entries in the fiber; 0 if the key holds none"),
    ),
)
"""Fiber of one key; ranges may overlap. Directory format 0."""

STREAM_ITEM = Record(
    "stream_item",
    (
        _signed("value", 16, "operand value; 0 marks a rebase"),
        _unsigned(
            "code",
            16,
            "offset in the low `offset_bits`, key above, both relative to the bases; of a rebase "
            "the index of the first tap of the lists to come",
        ),
    ),
)
"""One nonzero of the streamed operand; or, with value 0, the first half of a rebase."""

STREAM_BASES = Record(
    "stream_bases",
    (
        _signed("key_base", 16, "added to the keys of the words to come"),
        _signed("offset_base", 16, "added to their offsets"),
    ),
)
"""The second half of a rebase: the item after one of value 0."""

TAP = Record(
    "tap",
    (
        _signed("key_delta", 16, "added to the streamed key"),
        _signed("offset_delta", 16, "added to the accumulator's index"),
        _unsigned("last", 8, "1 on the last tap of a list, else 0"),
        _unsigned("reserved0", 8, "zero"),
        _unsigned("reserved1", 16, "zero"),
    ),
)
"""One tap; lists are contiguous and end at the tap with `last` set."""

TILE_HEADER = Record(
    "tile_header",
    (
        _unsigned("directory_count", 16, "directory entries that follow"),
        _unsigned("a_count", 16, "stationary entries that follow the directory"),
        _unsigned("directory_format", 16, "0: 32-bit entries, 1: 16-bit, 2: 8-bit lengths"),
        _unsigned("reserved", 16, "zero"),
    ),
)
"""Opens the tile of one PE in a load block."""

PARTIAL = Record("partial", (_signed("value", 64, "accumulator, sign-extended"),))
"""A raw partial sum."""

SEGMENT_DESCRIPTOR = Record(
    "segment_descriptor",
    (
        _unsigned("load_addr", 64, "byte address of the load block"),
        _unsigned("stream_addr", 64, "byte address of the stream"),
        _unsigned("load_chunks", 32, "64-bit chunks in the load block"),
        _unsigned("tap_count", 16, "taps at the head of the load block"),
        _unsigned("kind", 16, "0 multiply-accumulate, 1 add partial sums"),
        _unsigned("stream_count", 32, "32-bit items in the stream, or 64-bit partial sums to add"),
        _unsigned("offset_bits", 16, "low bits of an item's code that hold the offset; 0 to 16"),
        _unsigned(
            "load_lead",
            16,
            "the load block waits to be shared until so many items of the segment before are left; "
            "0: it is asked for at once",
        ),
        _unsigned(
            "stream_wait",
            16,
            "the stream's bursts wait to be shared while so many beats of the channel's buffer are "
            "taken; 0: they are asked for at once",
        ),
        _unsigned(
            "load_sharers",
            8,
            "a waiting burst of the load block is taken as soon as so many channels offer it; 0: "
            "it waits until it is urgent",
        ),
        _unsigned(
            "stream_sharers",
            8,
            "a waiting burst of the stream is taken as soon as so many channels offer it; 0: it "
            "waits until it is urgent",
        ),
        _unsigned("reserved0", 32, "zero"),
        _unsigned("reserved1", 64, "zero"),
        _unsigned("reserved2", 64, "zero"),
        _unsigned("reserved3", 64, "zero"),
    ),
)
"""One segment of a job: a stationary tile per PE and a stream, added into the accumulators."""

JOB_DESCRIPTOR = Record(
    "job_descriptor",
    (
        _unsigned("segment_addr", 64, "byte address of the descriptors of segments 2 to n"),
        _unsigned("out_addr", 64, "byte address of the job's results"),
        _unsigned("segment_count", 32, "segments, at least 1"),
        _unsigned(
            "out_format",
            16,
            "0: 16-bit, 1: 32-bit, 2: raw 64-bit partial sums, 3: bf16; in a floating-point job 0 "
            "is the operands' own format and 1 float32",
        ),
        _unsigned("shift", 16, "right shift before rounding; 0 for raw results and floating point"),
        _unsigned("pitch", 16, "accumulators per row, guard cells included"),
        _unsigned("guard_cols", 16, "guard cells at the head of each row"),
        _unsigned("plane_rows", 16, "rows per plane, guard rows included"),
        _unsigned("guard_rows", 16, "guard rows at the head of each plane"),
        _unsigned("planes", 32, "planes to write out"),
        _unsigned("walk_count", 32, "accumulators to read and clear, from 0"),
        _unsigned(
            "number_format",
            16,
            "0: the core's integer format, else a floating-point format by its number",
        ),
        _unsigned("window", 16, "floating point: top of the window of the sums, at most 1023"),
        _unsigned("reserved0", 32, "zero"),
        _unsigned("reserved1", 64, "zero"),
        _unsigned("reserved2", 64, "zero"),
    ),
)
"""One job: its segments, and how the accumulators are drained."""

PHASE_DESCRIPTOR = Record(
    "phase_descriptor",
    (
        _unsigned("queue_addr", 64, "byte address of the phase's queue"),
        _unsigned("out_addr", 64, "first byte address that the phase may write"),
        _unsigned("out_end", 64, "one past the last byte address that the phase may write"),
        _unsigned(
            "job_count",
            32,
            "jobs of the phase, at least 1, and in bit 31 whether clusters take them in turn",
        ),
        _unsigned("reserved0", 32, "zero"),
        _unsigned("reserved1", 64, "zero"),
        _unsigned("reserved2", 64, "zero"),
        _unsigned("reserved3", 64, "zero"),
        _unsigned("reserved4", 64, "zero"),
    ),
)
"""One phase of a launch that is started as a list; the addresses are multiples of 64."""

IN_TURN = 1 << 31
"""Flag in the `job_count` of a phase: job j is for cluster j mod clusters; the number of jobs is in
the bits below."""

QUEUE_ENTRY = np.dtype([("job", JOB_DESCRIPTOR.dtype), ("segment", SEGMENT_DESCRIPTOR.dtype)])
"""One place in a phase's queue: a job's descriptor, followed by that of its first segment."""


def split_job_count(word: int) -> tuple[int, bool]:
    """Return the number of jobs of a phase, and whether clusters take them in turn.

    Parameters
    ----------
    word
        `job_count` of a `PHASE_DESCRIPTOR`, not negative.
    """
    return word & (IN_TURN - 1), bool(word & IN_TURN)


def queue_entries(image: np.ndarray, queue_addr: int, job_count: int) -> np.ndarray:
    """View the queue of a phase in a memory image.

    Parameters
    ----------
    image
        uint8.
    queue_addr
        Byte address of the queue.
    job_count
        Jobs.

    Returns
    -------
    numpy.ndarray
        `QUEUE_ENTRY` (job_count,).
    """
    return image[queue_addr : queue_addr + job_count * QUEUE_ENTRY.itemsize].view(QUEUE_ENTRY)


def segment_addresses(entry_addr: int, job: np.void) -> list[int]:
    """Return the byte address of each segment descriptor of a job, in order.

    Parameters
    ----------
    entry_addr
        Byte address of the job's entry in its queue.
    job
        Its `JOB_DESCRIPTOR`.
    """
    size = SEGMENT_DESCRIPTOR.width // 8
    others = range(int(job["segment_count"]) - 1)
    return [
        entry_addr + JOB_DESCRIPTOR.width // 8,
        *(int(job["segment_addr"]) + size * index for index in others),
    ]


def segment_descriptors(image: np.ndarray, entry: np.void) -> np.ndarray:
    """Return copies of the segment descriptors of a queue entry's job, in order.

    Parameters
    ----------
    image
        uint8, the memory.
    entry
        One of `queue_entries`.

    Returns
    -------
    numpy.ndarray
        `SEGMENT_DESCRIPTOR` (segments,).
    """
    job = entry["job"]
    first, others = int(job["segment_addr"]), int(job["segment_count"]) - 1
    data = image[first : first + others * SEGMENT_DESCRIPTOR.width // 8]
    return np.concatenate([entry["segment"].reshape(1), SEGMENT_DESCRIPTOR.unpack(data)])


AT_ONCE = 0
"""The `load_lead` or `stream_wait` that does not wait."""
UNTIL_URGENT = 0
"""The `load_sharers` or `stream_sharers` of a burst that waits until some channel needs it."""
MOST_SHARERS = 0xFF
"""The most that a descriptor can name."""
CODE_WIDTH = 16
"""Bits of an item's code, shared by offset and key."""
KIND_MAC = 0
KIND_ADD = 1
OUT_INT16 = 0
OUT_INT32 = 1
OUT_RAW = 2
OUT_OWN = 0
"""Of a floating-point job: results in the operands' format."""
OUT_FLOAT32 = 1
"""Of a floating-point job: results in float32."""
OUT_BF16 = 3
"""Of a floating-point job only: results in bf16."""
MOST_SHIFT = 47
"""Highest shift of a rounded result."""
OUT_WIDTHS = {OUT_INT16: 16, OUT_INT32: 32, OUT_RAW: 64, OUT_BF16: 16}
"""Bits of a result per output format."""
PLUS_BIT, MINUS_BIT = 62, 63
"""Bits of the raw partial sum of a floating-point job that say +infinity and -infinity; both say
NaN."""

RECORDS = (
    A_ENTRY,
    DIRECTORY_ENTRY,
    STREAM_ITEM,
    STREAM_BASES,
    TAP,
    TILE_HEADER,
    PARTIAL,
    SEGMENT_DESCRIPTOR,
    JOB_DESCRIPTOR,
    PHASE_DESCRIPTOR,
)
