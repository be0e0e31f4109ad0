"""What results of segments are made of: a vector of results, and where a segment's first one is."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.hw.arguments import need
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
    - Throughput: one vector per cycle, and a row that is read of another bank.
    - Combinational: `en`, `row`, `begins`, `addr`, `some`, `drained` -> `after`; `en`, `row`,
      `drained` -> `o`. Of one bank none from `en`, `drained`.
    - Reset: none, rows stay; outputs `after`, `o` undefined.

    Parameters
    ----------
    config
        Width of addresses.
    banks
        Segments that are kept, a power of two.

    Attributes
    ----------
    en : In(1)
        There is a vector.
    row : In(range(banks * VECTOR))
        Its bank and its number. Of two banks, `after` counts only if there is one.
    begins : In(1)
        It begins a segment.
    addr : In(config.addr_width)
        Where it would be.
    some : In(1)
        Some of it is there.
    after : Out(place_of_segment(config))
        The row with the vector.
    drained : In(range(banks * VECTOR))
        Row to be read.
    o : Out(place_of_segment(config))
        What it holds, unless there is a vector of its bank.
    """

    LATENCY = 0

    def __init__(self, *, config: ArrayConfig, banks: int):
        need(self, "banks", banks, banks in (1, BANKS), f"1 or {BANKS}")
        self.config, self._banks = config, banks
        super().__init__(
            {
                "en": In(1),
                "row": In(range(banks * VECTOR)),
                "begins": In(1),
                "addr": In(config.addr_width),
                "some": In(1),
                "after": Out(place_of_segment(config)),
                "drained": In(range(banks * VECTOR)),
                "o": Out(place_of_segment(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        layout = place_of_segment(self.config)
        before = Signal(layout)
        m.d.comb += [
            self.after.addr.eq(Mux(self.begins, self.addr, before.addr)),
            self.after.some.eq(self.some | (before.some & ~self.begins)),
        ]
        vector, bank_added = self.row[:VECTOR_BITS], self.row[VECTOR_BITS:]
        drained, bank_drained = self.drained[:VECTOR_BITS], self.drained[VECTOR_BITS:]
        for bank in range(self._banks):
            rows = Memory(shape=layout, depth=VECTOR, init=[])
            m.submodules[f"bank{bank}"] = rows
            read, write, added = rows.read_port(domain="comb"), rows.write_port(), Signal()
            m.d.comb += [
                added.eq(self.en & (bank_added == bank)),
                # of one bank nothing is drained, and `after` must not wait for `en`
                read.addr.eq(vector if self._banks == 1 else Mux(added, vector, drained)),
                write.addr.eq(vector),
                write.data.eq(self.after),
                write.en.eq(added),
            ]
            with m.If(bank_added == bank):
                m.d.comb += before.eq(read.data)
            with m.If(bank_drained == bank):
                m.d.comb += self.o.eq(read.data)
        return m
