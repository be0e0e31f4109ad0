"""The walk of an encode pass: where each vector is, what of it is there, and what it ends."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.encode import GROUP_LOOPS, LOOPS, STREAMS
from gscn.hw.encode.loop_walk import LEVELS, LOOP_COUNTS, WITHIN, LoopWalk
from gscn.hw.encode.unit_layouts import place_layout, settings_layout
from gscn.hw.encode.walk_addresses import WalkAddresses
from gscn.passes import VECTOR

SUM_WIDTH = 54
"""Bits of a sum: an address, and any steps of eight loops, without wrapping."""
COORDINATE_WIDTH = 28
"""Bits of a coordinate, likewise."""
AXES = "yx"
ADDRESSES, COORDINATES, COUNTS = range(3)
"""Where a field of the walk goes."""
WALK_FIELD = data.StructLayout(
    {"kind": 2, "number": range(len(STREAMS)), "row": range(WITHIN + 1), "value": SUM_WIDTH}
)
"""A step of a stream or an axis, as `WalkAddresses` has them, or, of `COUNTS`, the steps of loop
`row`, at least 1."""
CHANNEL_BITS = 9
"""Bits of the number of lanes of a group: 16 to 256."""
_GROUP_LEVEL = 1 + LOOPS - GROUP_LOOPS
"""Level of loop 5, from which on groups begin."""
_BLOCKED_LEVEL = 3
"""Level of loop 2, which runs within vectors of transposed tensors."""


class EncodeWalk(wiring.Component):
    """Say of all vectors of a pass, in order, where they are and what is there.

    An address outside of memory is given as the last one, which no vector fits behind. The step of
    loop 2 of transposed tensors is row `WITHIN`, but of each 16th, which is the loop's own.

    Implements: "The walk" of `docs/contract/encode.md`.
    Golden: `emulator.encode_walk.Walk`.

    Timing
    ------
    - Latency: `LATENCY` from `start` to `o`.
    - Throughput: one vector per cycle.
    - Combinational: `settings`, `limits` -> `o.p`.
    - Reset: no walk, fields stay; outputs 0.

    Parameters
    ----------
    config
        Port.

    Attributes
    ----------
    settings : In(settings_layout(config))
        Of the pass; held from `start` to its end.
    field : In(WALK_FIELD)
        A field that only the walk has.
    field_en : In(1)
        Store it; only between walks.
    limits : In(data.ArrayLayout(16, 2))
        What coordinates y and x must be below; held likewise.
    start : In(1)
        Begin a walk (pulse); only while there is none.
    o : Out(stream.Signature(place_layout(config)))
        Vectors.
    """

    LATENCY = LoopWalk.LATENCY + WalkAddresses.LATENCY

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        super().__init__(
            {
                "settings": In(settings_layout(config)),
                "field": In(WALK_FIELD),
                "field_en": In(1),
                "limits": In(data.ArrayLayout(16, len(AXES))),
                "start": In(1),
                "o": Out(stream.Signature(place_layout(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        s, o = self.settings, self.o
        m.submodules.loops = loops = LoopWalk()
        m.submodules.addresses = addresses = WalkAddresses(count=len(STREAMS), width=SUM_WIDTH)
        m.submodules.axes = axes = WalkAddresses(count=len(AXES), width=COORDINATE_WIDTH)
        counts = Signal(LOOP_COUNTS, reset_less=True)
        m.d.comb += [
            loops.counts.loops.eq(counts.loops),
            loops.counts.vectors.eq((1 << s.vectors[:3]) - 1),
            loops.start.eq(self.start),
        ]
        for kind, part in ((ADDRESSES, addresses), (COORDINATES, axes)):
            m.d.comb += [
                part.field.number.eq(self.field.number),
                part.field.row.eq(self.field.row),
                part.field.value.eq(self.field.value),
                part.field_en.eq(self.field_en & (self.field.kind == kind)),
            ]
        for loop in range(LOOPS):
            with m.If(self.field_en & (self.field.kind == COUNTS) & (self.field.row == loop)):
                m.d.sync += counts.loops[loop].eq(self.field.value - 1)

        # both sums go on together, since each gives a vector on when `o` takes one
        step = loops.o.p
        m.d.comb += [
            loops.o.ready.eq(addresses.i.ready),
            addresses.i.valid.eq(loops.o.valid),
            axes.i.valid.eq(loops.o.valid),
            addresses.i.p.eq(step),
            axes.i.p.eq(step),
            o.valid.eq(addresses.o.valid),
            addresses.o.ready.eq(o.ready),
            axes.o.ready.eq(o.ready),
        ]
        self._within(m, loops.o, addresses.i)
        for n in range(len(STREAMS)):
            inside = addresses.o.p[n][: self.config.addr_width]
            m.d.comb += o.p.addrs[n].eq(
                Mux(addresses.o.p[n][self.config.addr_width :].any(), ~0, inside)
            )
        real = self._channels(m, loops.o)
        self._marks(m, loops.o)
        self._there(m, axes.o.p, real)
        return m

    def _within(self, m, steps, blocked):
        """Count the steps of loop 2, 15 of 16 of which are within a block."""
        number = Signal(range(VECTOR), reset_less=True)
        level, first = steps.p.level, steps.p.begins
        inside = number != VECTOR - 1
        m.d.comb += blocked.p.within.eq(
            self.settings.transposed[0] & ~first & (level == _BLOCKED_LEVEL) & inside
        )
        with m.If(steps.valid & steps.ready):
            with m.If(first | (level > _BLOCKED_LEVEL)):
                m.d.sync += number.eq(0)
            with m.Elif(level == _BLOCKED_LEVEL):
                m.d.sync += number.eq(number + 1)

    def _channels(self, m, steps):
        """Follow loop 5; return how many channels a group has."""
        s, column = self.settings, Signal(16, reset_less=True)
        left = Signal(16, reset_less=True)
        m.d.comb += self.o.p.column.eq(column)
        with m.If(steps.valid & steps.ready):
            with m.If(steps.p.begins | (steps.p.level > _GROUP_LEVEL)):
                m.d.sync += [column.eq(0), left.eq(s.channels)]
            with m.Elif(steps.p.level == _GROUP_LEVEL):
                m.d.sync += [column.eq(column + 1), left.eq(left - s.group_channels)]
        real = Signal(CHANNEL_BITS)
        m.d.comb += real.eq(Mux(left < s.group_channels, left, s.group_channels))
        return real

    def _marks(self, m, steps):
        """Count positions: of a segment, a period, and strips."""
        s, marks = self.settings, self.o.p.marks
        group = steps.p.begins | (steps.p.level >= _GROUP_LEVEL)
        begins_rows, begins_segment = Signal(reset_less=True), Signal(reset_less=True)
        ends_group, ends = Signal(reset_less=True), Signal(reset_less=True)
        vector = Signal(len(self.o.p.vector), reset_less=True)
        left = {}
        ended = {}
        for name, most in (
            ("segment", s.segment), ("period", s.period),
            ("strip_a", s.a_positions), ("strip_b", s.b_positions),
        ):  # fmt: skip
            left[name] = Signal(32, name=f"{name}_left", reset_less=True)
            ended[name] = left[name] == 0
            if name.startswith("strip"):
                ended[name] |= ended["period"]
            with m.If(steps.valid & steps.ready & (steps.p.begins | (steps.p.level != 0))):
                m.d.sync += left[name].eq(Mux(group | ended[name], most, left[name]) - 1)
        with m.If(steps.valid & steps.ready):
            m.d.sync += [ends_group.eq(steps.p.ends_group), ends.eq(steps.p.last)]
            with m.If(steps.p.begins | (steps.p.level != 0)):
                m.d.sync += [
                    vector.eq(0),
                    begins_rows.eq(group),
                    begins_segment.eq(group | ended["segment"]),
                ]
            with m.Else():
                m.d.sync += vector.eq(vector + 1)
        m.d.comb += [
            self.o.p.vector.eq(vector),
            marks.begins_rows.eq(begins_rows),
            marks.begins_segment.eq(begins_segment),
            marks.ends_segment.eq(ended["segment"] | ends_group),
            marks.ends_strip_a.eq(ended["strip_a"]),
            marks.ends_strip_b.eq(ended["strip_b"]),
            marks.ends_group.eq(ends_group),
            marks.ends.eq(ends),
        ]

    def _there(self, m, places, real):
        """Say which lanes are there: of a position within limits, those of channels."""
        inside = Signal()
        m.d.comb += inside.eq(1)
        for n in range(len(AXES)):
            with m.If(places[n][16:].any() | (places[n][:16] >= self.limits[n])):
                m.d.comb += inside.eq(0)
        for lane in range(VECTOR):
            number = (self.o.p.vector << (VECTOR - 1).bit_length()) | lane
            m.d.comb += self.o.p.there[lane].eq(inside & (number < real))


assert LEVELS == LOOPS + 1
