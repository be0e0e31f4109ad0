"""Shapes of what travels between components, made from the records of `gscn.records`."""

from __future__ import annotations

from amaranth.hdl import signed, unsigned
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Member, Out

from gscn import directories, records
from gscn.config import CHUNK_WIDTH, AcceleratorConfig
from gscn.error_codes import ERROR_WIDTH
from gscn.formats import NUMBER_FORMATS
from gscn.window import MOST_TOP

INDEX_WIDTH = 18
"""Bits of the signed sum of three 16-bit offsets."""
SPECIAL = 2
"""Bits beside a sum of floating-point products: +infinity, -infinity, or both for NaN."""


def record_layout(record: records.Record) -> data.StructLayout:
    """Return the hardware shape of a memory record: same fields, same bits."""
    return data.StructLayout(
        {f.name: (signed if f.signed else unsigned)(f.width) for f in record.fields}
    )


A_ENTRY = record_layout(records.A_ENTRY)
DIRECTORY_ENTRY = record_layout(records.DIRECTORY_ENTRY)
FIBERS_PER_ROW = 8
"""Keys in a row of a directory: as many as a chunk has entries of `LENGTH_WIDTH` bits."""
NARROW_DIRECTORY_ENTRY = data.StructLayout(
    {"start": directories.NARROW_START_WIDTH, "length": directories.NARROW_LENGTH_WIDTH}
)
"""Entry of a directory in format 1."""
STREAM_ITEM = record_layout(records.STREAM_ITEM)
STREAM_BASES = record_layout(records.STREAM_BASES)
TAP = record_layout(records.TAP)
TILE_HEADER = record_layout(records.TILE_HEADER)
SEGMENT_DESCRIPTOR = record_layout(records.SEGMENT_DESCRIPTOR)
JOB_DESCRIPTOR = record_layout(records.JOB_DESCRIPTOR)
PHASE_DESCRIPTOR = record_layout(records.PHASE_DESCRIPTOR)


NUMBER_MODE = data.StructLayout(
    {
        "number_format": (len(NUMBER_FORMATS) - 1).bit_length(),
        "window": MOST_TOP.bit_length(),
    }
)
"""How a job calculates, in a core with float formats; see `docs/contract/floating-point.md`."""

NUMBER_MODES = data.ArrayLayout(NUMBER_MODE, 2)
"""The same per accumulator bank, of the job that uses it."""


class WordKind(enum.Enum, shape=2):
    """What a PE does with a word."""

    MAC = 0
    """Look the key up and multiply by the fiber."""
    ADD = 1
    """Add a partial sum to the next accumulator."""
    END = 2
    """Close the segment."""


B_WORD = data.StructLayout(
    {"value": signed(16), "offset": signed(16), "key": signed(16), "tap_start": 8, "zero": 8}
)
"""A word of a MAC stream, expanded: its operand, key and offset, and the first tap of its list."""

PE_WORD = data.StructLayout({"kind": WordKind, "job_end": 1, "bank": 1, "chunk": CHUNK_WIDTH})
"""A word broadcast to PEs. `chunk` is a `B_WORD` or a partial sum; `job_end` marks the END of a
job; `bank` is the stationary bank that a `B_WORD` meets."""


def fiber_layout(config: AcceleratorConfig) -> data.StructLayout:
    """Return what a look-up finds: a range of stationary entries, and what to do with it.

    With float formats a partial sum has its special bits in `special`.
    """
    return data.StructLayout(
        {
            "kind": WordKind,
            "job_end": 1,
            "bank": 1,
            "start": unsigned((config.a_depth - 1).bit_length()),
            "length": unsigned(config.a_depth.bit_length()),
            "operand": signed(config.acc_width),
            "offset": signed(INDEX_WIDTH),
            **({"special": SPECIAL} if config.floats else {}),
        }
    )


def addend_layout(config: AcceleratorConfig) -> data.StructLayout:
    """Return what enters the accumulators: an index and a product or partial sum, or an END.

    With float formats `value` is subtracted if `negative`, and `special` bits are set.
    """
    return data.StructLayout(
        {
            "end": 1,
            "job_end": 1,
            "index": signed(INDEX_WIDTH),
            "value": signed(config.acc_width),
            **({"negative": 1, "special": SPECIAL} if config.floats else {}),
        }
    )


class LoadTarget(enum.Enum, shape=2):
    """Where a chunk of a load block goes."""

    TAP = 0
    HEADER = 1
    DIRECTORY = 2
    A = 3


LOAD_WORD = data.StructLayout(
    {
        "target": LoadTarget,
        "bank": 1,
        "row": 16,
        "chunk": CHUNK_WIDTH,
        "pairs": FIBERS_PER_ROW // 2,
        "fibers": data.ArrayLayout(DIRECTORY_ENTRY, FIBERS_PER_ROW),
    }
)
"""A chunk of a load block on its way to a PE; `row` counts chunks from 0 within its target. Of a
directory it counts rows of `FIBERS_PER_ROW` keys, whatever the format: the chunk says the fibers of
the pairs of keys (2n, 2n + 1) whose bit `n` is set in `pairs`."""


class StepKind(enum.Enum, shape=2):
    """What the next chunks from the load channel are for."""

    DESCRIPTOR = 0
    """They are descriptors."""
    FILL = 1
    """They are a load block, for a stationary bank."""
    HELD = 2
    """There are none: a segment uses what a stationary bank holds."""
    NONE = 3
    """There are none: a segment uses no bank."""


LOAD_STEP = data.StructLayout({"kind": StepKind, "bank": 1, "count": 9, "chunks": 20})
"""What a `Fetcher` asks of a `Filler`; `count` is chunks of descriptors or taps of a block,
`chunks` those of the whole block."""


def entry_width(config: AcceleratorConfig) -> int:
    """Return the bits that tell a queue entry from others: its address without the lowest 7."""
    return config.addr_width - (records.QUEUE_ENTRY.itemsize - 1).bit_length()


def error_layout(config: AcceleratorConfig) -> data.StructLayout:
    """Return a cluster's error: its code, 0 for none, and the queue entry of the job."""
    return data.StructLayout({"code": ERROR_WIDTH, "entry": entry_width(config)})


def limits_layout(config: AcceleratorConfig) -> data.ArrayLayout:
    """Return, per accumulator bank, how many accumulators the job that uses it has."""
    return data.ArrayLayout(config.acc_depth.bit_length(), 2)


def tap_counts_layout(config: AcceleratorConfig) -> data.ArrayLayout:
    """Return, per stationary bank, how many taps it holds."""
    return data.ArrayLayout(config.taps_depth.bit_length(), 2)


def burst_layout(config: AcceleratorConfig) -> data.StructLayout:
    """Return a memory command: byte address of the first beat, and beats."""
    return data.StructLayout({"addr": config.addr_width, "beats": 8})


SHARERS_WIDTH = records.MOST_SHARERS.bit_length()
"""Bits of the number of channels for which a waiting burst is taken."""


def read_request_layout(config: AcceleratorConfig) -> data.StructLayout:
    """Return a request to a `ChunkReader`: byte address, chunks, and when its bursts may wait.

    They wait to be shared while the buffer has room for fewer than `urgent_room` beats, which is at
    most its depth; 0: they do not. Those that wait are taken as soon as `sharers` channels offer
    them; 0: they are not for that.
    """
    return data.StructLayout(
        {
            "addr": config.addr_width,
            "chunks": 32,
            "urgent_room": config.read_fifo_beats.bit_length(),
            "sharers": SHARERS_WIDTH,
        }
    )


def write_beat_layout(config: AcceleratorConfig) -> data.StructLayout:
    """Return a beat to write: data, and one strobe per byte."""
    return data.StructLayout({"data": config.mem_width, "strobe": config.mem_bytes})


def slotted_beat_layout(config: AcceleratorConfig) -> data.StructLayout:
    """Return a beat of a cluster's results: data, and for each of its slots whether it is written.

    A cluster writes whole slots; strobes per byte would only be wires to carry four times as many.
    """
    return data.StructLayout({"data": config.mem_width, "slots": write_slots(config)})


def read_beats(config: AcceleratorConfig) -> wiring.Signature:
    """Return beats that memory sends, to be taken at once."""
    return wiring.Signature({"payload": Out(config.mem_width), "valid": Out(1)})


def memory_port_members(config: AcceleratorConfig, name: str) -> dict[str, Member]:
    """Return one memory port as members of a component, each with the port's name before it."""
    command = stream.Signature(burst_layout(config))
    return {
        f"{name}_read_cmd": Out(command),
        f"{name}_read_data": In(read_beats(config)),
        f"{name}_write_cmd": Out(command),
        f"{name}_write_data": Out(stream.Signature(write_beat_layout(config))),
        f"{name}_write_done": In(1),
    }


def write_slots(config: AcceleratorConfig) -> int:
    """Return how many slots a beat has: room for one 16-bit result of each PE of a cluster."""
    return config.mem_width // (16 * config.pes_per_cluster)


def write_part_layout(config: AcceleratorConfig) -> data.StructLayout:
    """Return what is written into slots of a beat that is being put together.

    `slots` has one bit per slot of the beat: whether it is written. `data` is as wide as four
    slots; slot `n` takes its word `n % 4`. With `ends` the beat is complete, and what was written
    into none of its slots is not strobed.
    """
    return data.StructLayout(
        {
            "data": data.ArrayLayout(16 * config.pes_per_cluster, 4),
            "slots": write_slots(config),
            "ends": 1,
        }
    )


class OutFormat(enum.Enum, shape=2):
    """Format of results; values as in `gscn.records`."""

    INT16 = records.OUT_INT16
    INT32 = records.OUT_INT32
    RAW = records.OUT_RAW
    BF16 = records.OUT_BF16
    """Of floating-point jobs, whose INT32 means float32, and INT16 the operands' format."""


SEGMENT_CONTEXT = data.StructLayout(
    {"stream_count": 32, "offset_bits": 5, "add": 1, "bank": 1, "first": 1, "last": 1}
)
"""What the broadcaster must know of a segment: items and their code, kind, bank, first and last of
its job."""


def drain_context_layout(config: AcceleratorConfig) -> data.StructLayout:
    """Return how the accumulators of a job are drained; see `docs/contract/execution.md`."""
    return data.StructLayout(
        {
            "out_addr": 64,
            "out_format": OutFormat,
            "shift": 6,
            "pitch": 16,
            "guard_cols": 16,
            "plane_rows": 16,
            "guard_rows": 16,
            "planes": 32,
            "walk_count": 17,
            **({"mode": NUMBER_MODE} if config.floats else {}),
        }
    )
