"""Shapes of what travels inside the input of a cluster that cuts strips into words itself."""

from __future__ import annotations

from amaranth.hdl import signed
from amaranth.lib import data, enum

from gscn.array import ArrayConfig

WINDOW_HALFWORDS = 4
"""Halfwords of a piece of strips that can be taken in a cycle."""
CHUNK_NUMBER_WIDTH = 16
"""Bits of the number of a stationary chunk, counted from the beginning of a pass."""

LOAD_JOB = data.StructLayout(
    {"s_tile": 16, "again": 1, "first_sample": 16, "samples": 16, "strip": signed(17)}
)
"""What loading must know of a job that contracts: `again`, it is of the tile of the one before, and
the pass is not chained."""
STREAM_JOB = data.StructLayout(
    {"t_group": 16, "first_sample": 16, "samples": 16, "strip": signed(17)}
)
"""What must be known of it to find its pieces of the stream."""
PIECE = data.StructLayout({"first": 32, "halfwords": 32})
"""A piece of an operand: its first halfword, counted from the beginning of the data, and how
many."""
STRIP = data.StructLayout({"rows": 16, "ends_piece": 1})
"""A strip to be expanded: its rows, or outer positions, at least 1, and whether it is the last of
its piece."""

WANTED = data.StructLayout({"lanes": 16, "vector": 4, "care": 4})
"""Channels of a position that a job wants: `lanes` of those vectors whose numbers are `vector` in
the bits that `care` has."""


class PortionKind(enum.Enum, shape=2):
    """What is next in a piece of strips."""

    VALUES = 0
    """Values of a vector."""
    BLOCK = 1
    """The first halfword of a block, which says what vectors it has."""
    END = 2
    """Nothing: the piece has ended."""
    WRONG = 3
    """What is no strip: an empty vector, or a piece that ends within one or before it."""


def portion_layout(config: ArrayConfig, most: int) -> data.StructLayout:
    """Return what is taken of a strip at a time: up to `most` values of a vector.

    `count` values are of `lanes` of the vector; `last` if it has no others. `next` is the number of
    the vector that follows in the block, 16 if none does.
    """
    return data.StructLayout(
        {
            "kind": PortionKind,
            "count": range(most + 1),
            "last": 1,
            "next": 5,
            "lanes": data.ArrayLayout(4, most),
            "values": data.ArrayLayout(signed(config.value_width), most),
        }
    )


def item_layout(config: ArrayConfig, values: int) -> data.StructLayout:
    """Return what an expander hands on: up to `values` nonzeros of one vector.

    `step` positions lie between it and the item before it, or the beginning of the row. `count`
    nonzeros have lanes of the vector and values; there may be none. `ends_position`, `ends_row`
    and `ends_strip` are set with the last item of each.
    """
    return data.StructLayout(
        {
            "step": 5,
            "vector": 4,
            "count": range(values + 1),
            "lanes": data.ArrayLayout(4, values),
            "values": data.ArrayLayout(signed(config.value_width), values),
            "ends_position": 1,
            "ends_row": 1,
            "ends_strip": 1,
        }
    )


def tile_layout(config: ArrayConfig) -> data.StructLayout:
    """Return where a job finds its stationary chunks: number and first key of the first one."""
    return data.StructLayout({"chunk": CHUNK_NUMBER_WIDTH, "base": config.key_width})


REPORT = data.StructLayout({"finished": CHUNK_NUMBER_WIDTH, "uses": 1, "ends_job": 1})
"""What all PEs have come through when they have passed a MARK or END: with `uses`, the job needs no
chunk before `finished` any more."""


def context_layout(config: ArrayConfig) -> data.StructLayout:
    """Return what words of a strip must know of it, beside the job.

    It needs all chunks before `need`. `base` is the key of its group's or sample's first position,
    `sample_offset` what its sample adds to offsets. After it all chunks before `finished` are, and
    a mark says so if it `marks`; rows begin anew with `ends_sample`. With `ends_job` the mark is
    an END; `empty` is a job's end without a strip. Kernel: `last_group` is its tile's last, whose
    chunk may have fewer channels.
    """
    return data.StructLayout(
        {
            "need": CHUNK_NUMBER_WIDTH,
            "finished": CHUNK_NUMBER_WIDTH,
            "base": config.key_width,
            "sample_offset": config.index_width,
            "marks": 1,
            "ends_sample": 1,
            "ends_job": 1,
            "empty": 1,
            "last_group": 1,
        }
    )


def product_width(config: ArrayConfig) -> int:
    """Return the bits of products that are parts of keys or offsets."""
    return max(config.key_width, config.index_width)


def steps_layout(config: ArrayConfig) -> data.StructLayout:
    """Return what keys and offsets change by, and where they begin.

    Keys and offsets of row 0 of a strip and what each row adds, what each column adds to an offset,
    the keys of a sample, and the offset of column 0.
    """
    names = (
        "first_keys",
        "keys",
        "first_offset",
        "offset",
        "column",
        "sample_keys",
        "first_column",
    )
    return data.StructLayout(dict.fromkeys(names, product_width(config)))


class InputState(enum.Enum, shape=3):
    """Why no word leaves for the PEs of a cluster, as far as its input knows."""

    EMPTY = 0
    """There is no job."""
    LOAD = 1
    """A stationary chunk is not loaded."""
    DRAIN = 2
    """No accumulator bank is free."""
    STREAM = 3
    """The next nonzeros have not arrived."""
    EXPAND = 4
    """They have, but are not words yet, or make none; or a job is being set up."""
    FULL = 5
    """A word waits for room in a PE, or a mark in all."""
    MOVING = 6
    """A word is being handed over."""
