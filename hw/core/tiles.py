"""Tiles of a pass: stationary tiles in their order, and the tiles of each, one after the other."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gscn import latencies
from gscn.array import ArrayConfig
from gscn.hw.array_layouts import PASS
from gscn.passes import VECTOR, Mode

_BITS = 4
"""Bits of a factor that are taken in a cycle."""


def cursor_layout(config: ArrayConfig) -> data.StructLayout:
    """Return a place in a stationary tile: where its next tile begins.

    `y` and `next` are its first row and sample; `inner_addr` is where results of the first tile of
    these begin, `outer_addr` where those of the first tile of what is stepped less often do.
    """
    return data.StructLayout(
        {
            "s_tile": 16,
            "t_group": 16,
            "lane0": 8,
            "strip": signed(17),
            "x0": 16,
            "y": 16,
            "next": 16,
            "out_addr": config.addr_width,
            "inner_addr": config.addr_width,
            "outer_addr": config.addr_width,
        }
    )


def cut_layout(config: ArrayConfig) -> data.StructLayout:
    """Return a tile: fields of a `hw.array_layouts.job_layout`, for all of its samples."""
    return data.StructLayout(
        {
            "s_tile": 16,
            "t_group": 16,
            "lane0": 8,
            "first_sample": 16,
            "samples": 16,
            "strip": signed(17),
            "rows": 16,
            "x0": 16,
            "x1": 16,
            "out_addr": config.addr_width,
        }
    )


class TileList(wiring.Component):
    """Say which tile is at a cursor and where the next one is, and count stationary tiles.

    Addresses grow by what is multiplied once, four bits at a time.

    Implements: "Tiles, units and gangs" and "Results" in `docs/contract/passes.md`.

    Timing
    ------
    - Latency: `LATENCY` from `take` to `more`. It is `PREPARE_CYCLES` from `start` to the cycle in
      which `ready` is high again.
    - Throughput: one stationary tile per cycle.
    - Combinational: `cursor`, `d` -> `cut`, `after`, `ends`, `left`; `d` -> `first`.
    - Reset: no pass; outputs 0, but `ready` = 1 and `first`, `cut`, `after`, `ends`, `left`
      meaningless.

    Parameters
    ----------
    config
        Address width.

    Attributes
    ----------
    d : In(PASS)
        The pass; held.
    start : In(1)
        Go to the first stationary tile (pulse).
    take : In(1)
        Go to the next one.
    ready : Out(1)
        All else means something.
    more : Out(1)
        There is a stationary tile.
    first : Out(cursor_layout(config))
        Its first tile.
    cursor : In(cursor_layout(config))
        A tile of any stationary tile.
    cut : Out(cut_layout(config))
        It.
    after : Out(cursor_layout(config))
        The next one.
    ends : Out(1)
        There is no next one.
    left : Out(16)
        Samples, or in correlate mode groups of the stream, from `cursor` on, its own included.
    """

    LATENCY = 1
    PREPARE_CYCLES = latencies.TILES_PREPARE_CYCLES

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        super().__init__(
            {
                "d": In(PASS),
                "start": In(1),
                "take": In(1),
                "ready": Out(1),
                "more": Out(1),
                "first": Out(cursor_layout(config)),
                "cursor": In(cursor_layout(config)),
                "cut": Out(cut_layout(config)),
                "after": Out(cursor_layout(config)),
                "ends": Out(1),
                "left": Out(16),
            }
        )

    def _multiply(self, m, preparing, factors):
        """Return the product of each pair of factors, the first of 16 bits."""
        products = []
        for number, (bits, factor) in enumerate(factors):
            left = Signal(16, name=f"left{number}", reset_less=True)
            product = Signal(self.config.addr_width, name=f"product{number}", reset_less=True)
            with m.If(self.start):
                m.d.sync += [left.eq(bits), product.eq(0)]
            with m.Elif(preparing):
                m.d.sync += [
                    left.eq(left << _BITS),
                    product.eq((product << _BITS) + left[-_BITS:] * factor),
                ]
            products.append(product)
        return products

    def elaborate(self, platform):
        m = Module()
        d = self.d
        preparing = Signal(range(16 // _BITS + 1))
        with m.If(self.start):
            m.d.sync += preparing.eq(16 // _BITS)
        with m.Elif(preparing != 0):
            m.d.sync += preparing.eq(preparing - 1)
        m.d.comb += self.ready.eq(preparing == 0)
        steps = self._multiply(
            m,
            preparing != 0,
            (
                (d.tile_cols, d.pixel_bytes),
                (d.tile_rows, d.row_bytes),
                (d.tile_samples, d.sample_bytes),
            ),
        )
        self._count(m)
        m.d.comb += self.after.eq(self.cursor)
        with m.If(d.mode == Mode.CORRELATE):
            self._step_correlate(m)
        with m.Else():
            self._step_kernel(m, steps)
        return m

    def _count(self, m):
        """Go from one stationary tile to the next."""
        d, first = self.d, self.first
        s_tile = Signal(16, reset_less=True)
        addr = Signal(self.config.addr_width, reset_less=True)
        with m.If(self.start):
            m.d.sync += [self.more.eq(1), s_tile.eq(0), addr.eq(d.out_addr)]
        with m.Elif(self.take):
            m.d.sync += [
                self.more.eq(s_tile + 1 != d.s_tiles),
                s_tile.eq(s_tile + 1),
                addr.eq(addr + d.s_tile_bytes),
            ]
        m.d.comb += [
            first.s_tile.eq(s_tile),
            first.strip.eq(-d.strips_before),
            *(first[f"{name}_addr"].eq(addr) for name in ("out", "inner", "outer")),
        ]

    def _step_correlate(self, m):
        """Cut the tile at the cursor out, and go on: groups, parts of a group."""
        d, cursor, cut, after = self.d, self.cursor, self.cut, self.after
        group, lanes = Signal(9), Signal(9)  # channels, and those of a part
        ends_group = cursor.lane0 + lanes == group
        lane_bits = VECTOR.bit_length() - 1 + d.t_vectors[:3] - d.t_split[:4]  # of `lanes`
        tile = (cursor.t_group << d.t_split[:4]) + (cursor.lane0 >> lane_bits[:4])
        m.d.comb += [
            group.eq(VECTOR << d.t_vectors[:3]),
            lanes.eq(group >> d.t_split[:4]),
            *(cut[name].eq(cursor[name]) for name in ("s_tile", "t_group", "lane0", "out_addr")),
            cut.samples.eq(d.samples),
            cut.rows.eq(d.rows),
            cut.x1.eq(d.cols),
            after.out_addr.eq(cursor.out_addr + d.t_tile_bytes),
            after.lane0.eq(Mux(ends_group, 0, cursor.lane0 + lanes)),
            after.t_group.eq(cursor.t_group + ends_group),
            self.left.eq(d.t_groups - cursor.t_group),
            self.ends.eq(tile + 1 == d.t_tiles),
        ]

    def _step_kernel(self, m, steps):
        """Cut the tile at the cursor out, and go on: columns, then rows or samples."""
        d, cursor, cut, after = self.d, self.cursor, self.cut, self.after
        col_bytes, row_bytes, sample_bytes = steps
        by_rows = d.by_rows.any()
        ends_col, ends_row, ends_sample = (Signal(name=f"ends_{n}") for n in ("col", "row", "all"))
        left = Signal(16)
        m.d.comb += [
            left.eq(d.samples - cursor.next),
            self.left.eq(Mux(by_rows & ~ends_row, d.samples, left)),
            ends_col.eq(cursor.x0 + d.tile_cols >= d.cols),
            ends_row.eq(cursor.y + d.tile_rows >= d.rows),
            ends_sample.eq(left <= d.tile_samples),
            self.ends.eq(ends_col & ends_row & ends_sample),
            # the last tiles are smaller
            cut.s_tile.eq(cursor.s_tile),
            cut.out_addr.eq(cursor.out_addr),
            cut.strip.eq(cursor.strip),
            cut.rows.eq(Mux(ends_row, d.rows - cursor.y, d.tile_rows)),
            cut.x0.eq(cursor.x0),
            cut.x1.eq(Mux(ends_col, d.cols, cursor.x0 + d.tile_cols)),
            cut.first_sample.eq(cursor.next),
            cut.samples.eq(Mux(ends_sample, left, d.tile_samples)),
            after.x0.eq(cursor.x0 + d.tile_cols),
            after.out_addr.eq(cursor.out_addr + col_bytes),
        ]
        inner, outer, inner_addr, outer_addr = (
            Signal(self.config.addr_width, name=name)
            for name in ("inner", "outer", "inner_addr", "outer_addr")
        )
        m.d.comb += [
            inner.eq(Mux(by_rows, sample_bytes, row_bytes)),
            outer.eq(Mux(by_rows, row_bytes, sample_bytes)),
            outer_addr.eq(cursor.outer_addr + outer),
            inner_addr.eq(cursor.inner_addr + inner),
        ]
        with m.If(ends_col):
            m.d.comb += [after.x0.eq(0), after.inner_addr.eq(inner_addr)]
            with m.If(Mux(by_rows, ends_sample, ends_row)):
                m.d.comb += [after.outer_addr.eq(outer_addr), after.inner_addr.eq(outer_addr)]
            m.d.comb += after.out_addr.eq(after.inner_addr)
            with m.If(~by_rows | ends_sample):
                m.d.comb += [
                    after.y.eq(Mux(ends_row, 0, cursor.y + d.tile_rows)),
                    after.strip.eq(Mux(ends_row, -d.strips_before, cursor.strip + d.tile_strips)),
                ]
            with m.If(by_rows | ends_row):
                m.d.comb += after.next.eq(Mux(ends_sample, 0, cursor.next + d.tile_samples))
