"""What results of segments are made of: a vector of results, and where a segment's first one is."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.hw.encode.layouts import CODE
from gscn.hw.encode.loop_walk import VECTOR_BITS
from gscn.hw.encode.unit_layouts import MARKS
from gscn.passes import VECTOR

BANKS = 2
"""Segments: one is added to while the one before is taken out."""


def segmented_layout(config: ArrayConfig) -> data.StructLayout:
    """Return a vector of results as sums and maxima of segments want it.

    `others`: values of the tensor that sums of products are with. `chosen`: strips A keep it.
    `last_vector`: of its position.
    """
    return data.StructLayout(
        {
            "codes": data.ArrayLayout(CODE, VECTOR),
            "others": data.ArrayLayout(CODE, VECTOR),
            "chosen": VECTOR,
            "there": VECTOR,
            "vector": VECTOR_BITS,
            "last_vector": 1,
            "addr": config.addr_width,
            "marks": MARKS,
        }
    )


def place_of_segment(config: ArrayConfig) -> data.StructLayout:
    """Return where a segment's dense vector lies, and whether any of its values is there."""
    return data.StructLayout({"addr": config.addr_width, "some": 1})


class SegmentPlaces(wiring.Component):
    """Keep, for each vector of a position, where its dense result lies, and whether it has one.

    Implements: "One dense result for a segment" of `docs/contract/encode.md`: its place.

    Timing
    ------
    - Latency: `LATENCY` from `addr`, `some` to `after`.
    - Throughput: one vector per cycle, and a row that is read.
    - Combinational: `row`, `begins`, `addr`, `some` -> `after`; `drained` -> `o`.
    - Reset: none, rows stay; outputs `after`, `o` undefined.

    Parameters
    ----------
    config
        Width of addresses.

    Attributes
    ----------
    en : In(1)
        There is a vector.
    row : In(VECTOR_BITS + 1)
        Its bank and its number.
    begins : In(1)
        It begins a segment.
    addr : In(config.addr_width)
        Where it would be.
    some : In(1)
        Some of it is there.
    after : Out(place_of_segment(config))
        The row with the vector.
    drained : In(VECTOR_BITS + 1)
        Row to be read.
    o : Out(place_of_segment(config))
        What it holds.
    """

    LATENCY = 0

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        super().__init__(
            {
                "en": In(1),
                "row": In(VECTOR_BITS + 1),
                "begins": In(1),
                "addr": In(config.addr_width),
                "some": In(1),
                "after": Out(place_of_segment(config)),
                "drained": In(VECTOR_BITS + 1),
                "o": Out(place_of_segment(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        layout = place_of_segment(self.config)
        m.submodules.rows = rows = Memory(shape=layout, depth=BANKS * VECTOR, init=[])
        read, write = rows.read_port(domain="comb"), rows.write_port()
        drain = rows.read_port(domain="comb")
        before = Signal(layout)
        m.d.comb += [
            read.addr.eq(self.row),
            before.eq(read.data),
            self.after.addr.eq(Mux(self.begins, self.addr, before.addr)),
            self.after.some.eq(self.some | (before.some & ~self.begins)),
            write.addr.eq(self.row),
            write.data.eq(self.after),
            write.en.eq(self.en),
            drain.addr.eq(self.drained),
            self.o.eq(drain.data),
        ]
        return m
