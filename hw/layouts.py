"""Shapes of what travels between components and memory ports."""

from __future__ import annotations

from amaranth.hdl import signed, unsigned
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Member, Out

from gscn import records
from gscn.array import ArrayConfig
from gscn.formats import NUMBER_FORMATS
from gscn.window import MOST_TOP

SPECIAL = 2
"""Bits beside a sum of floating-point products: +infinity, -infinity, or both for NaN."""


def record_layout(record: records.Record) -> data.StructLayout:
    """Return the hardware shape of a memory record: same fields, same bits."""
    return data.StructLayout(
        {f.name: (signed if f.signed else unsigned)(f.width) for f in record.fields}
    )


NUMBER_MODE = data.StructLayout(
    {
        "number_format": (len(NUMBER_FORMATS) - 1).bit_length(),
        "window": MOST_TOP.bit_length(),
    }
)
"""How a pass calculates, in an array with float formats; see `docs/contract/floating-point.md`."""


def burst_layout(config: ArrayConfig) -> data.StructLayout:
    """Return a memory command: byte address of the first beat, and beats."""
    return data.StructLayout({"addr": config.addr_width, "beats": 8})


def write_beat_layout(config: ArrayConfig) -> data.StructLayout:
    """Return a beat to write: data, and one strobe per byte."""
    return data.StructLayout({"data": config.mem_width, "strobe": config.mem_bytes})


def slotted_beat_layout(config: ArrayConfig) -> data.StructLayout:
    """Return a beat of a cluster's results: data, and for each of its slots whether it is written.

    A cluster writes whole slots; strobes per byte would only be wires to carry four times as many.
    """
    return data.StructLayout({"data": config.mem_width, "slots": write_slots(config)})


def list_range_layout(config: ArrayConfig) -> data.StructLayout:
    """Return where a list of records lies: first byte, and one past the last."""
    return data.StructLayout({"begin": config.addr_width, "end": config.addr_width + 1})


def listed_record_layout(config: ArrayConfig) -> data.StructLayout:
    """Return a record to be run: its byte address, and where the list lies that it is of."""
    return data.StructLayout({"addr": config.addr_width, "list_range": list_range_layout(config)})


def read_beats(config: ArrayConfig) -> wiring.Signature:
    """Return beats that memory sends, to be taken at once."""
    return wiring.Signature({"payload": Out(config.mem_width), "valid": Out(1)})


def memory_port_members(config: ArrayConfig, name: str) -> dict[str, Member]:
    """Return one memory port as members of a component, each with the port's name before it."""
    command = stream.Signature(burst_layout(config))
    return {
        f"{name}_read_cmd": Out(command),
        f"{name}_read_data": In(read_beats(config)),
        f"{name}_write_cmd": Out(command),
        f"{name}_write_data": Out(stream.Signature(write_beat_layout(config))),
        f"{name}_write_done": In(1),
    }


def write_slots(config: ArrayConfig) -> int:
    """Return how many slots a beat has: room for one row of 16-bit results."""
    return config.mem_width // (16 * config.drain_width)


class OutFormat(enum.Enum, shape=2):
    """Format of results; values as in `gscn.records`."""

    INT16 = records.OUT_INT16
    INT32 = records.OUT_INT32
    RAW = records.OUT_RAW
    BF16 = records.OUT_BF16
    """Of floating-point passes, whose INT32 means float32, and INT16 the operands' format."""
