"""List of the tiles of a pass, in the order in which they are visited."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gscn import array_latencies
from gscn.array import ArrayConfig
from gscn.hw.array_layouts import PASS
from gscn.passes import VECTOR, Mode


def cut_layout(config: ArrayConfig) -> data.StructLayout:
    """Return a tile: fields as of a `hw.array_layouts.job_layout`; samples `next` to `end`."""
    return data.StructLayout(
        {
            "s_tile": 16,
            "t_group": 16,
            "lane0": 8,
            "strip": signed(17),
            "rows": 16,
            "x0": 16,
            "x1": 16,
            "next": 16,
            "end": 16,
            "out_addr": config.addr_width,
        }
    )


class TileList(wiring.Component):
    """Go through the tiles of a pass; addresses grow by what is multiplied once, bit by bit.

    Implements: "Tiles, units and teams" and "Results" in `docs/contract/passes.md`.

    Timing
    ------
    - Latency: `LATENCY` from `en` to `more`. It is `PREPARE_CYCLES` from `start` to the cycle in
      which `ready` is high again.
    - Throughput: one tile per cycle.
    - Combinational: `d` -> `cut`.
    - Reset: no pass; outputs 0, but `ready` = 1 and `cut` undefined.

    Parameters
    ----------
    config
        Address width.

    Attributes
    ----------
    d : In(PASS)
        The pass; held.
    start : In(1)
        Go to the first tile (pulse).
    en : In(1)
        Go to the next tile.
    ready : Out(1)
        `cut` and `more` mean something.
    more : Out(1)
        There is a tile.
    cut : Out(cut_layout(config))
        It.
    """

    LATENCY = 1
    PREPARE_CYCLES = array_latencies.TILES_PREPARE_CYCLES

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        super().__init__(
            {
                "d": In(PASS),
                "start": In(1),
                "en": In(1),
                "ready": Out(1),
                "more": Out(1),
                "cut": Out(cut_layout(config)),
            }
        )

    def _multiply(self, m, preparing, factors):
        """Return the product of each pair of factors, the first of 16 bits; one bit a cycle."""
        products = []
        for number, (bits, factor) in enumerate(factors):
            left = Signal(16, name=f"left{number}", reset_less=True)
            product = Signal(self.config.addr_width, name=f"product{number}", reset_less=True)
            with m.If(self.start):
                m.d.sync += [left.eq(bits), product.eq(0)]
            with m.Elif(preparing):
                m.d.sync += [
                    left.eq(left << 1),
                    product.eq((product << 1) + Mux(left[-1], factor, 0)),
                ]
            products.append(product)
        return products

    def elaborate(self, platform):
        m = Module()
        d, width = self.d, self.config.addr_width
        correlate = d.mode == Mode.CORRELATE
        preparing = Signal(range(17))
        with m.If(self.start):
            m.d.sync += preparing.eq(16)
        with m.Elif(preparing != 0):
            m.d.sync += preparing.eq(preparing - 1)
        m.d.comb += self.ready.eq(preparing == 0)
        col_bytes, row_bytes, sample_bytes = self._multiply(
            m,
            preparing != 0,
            (
                (d.tile_cols, d.pixel_bytes),
                (d.tile_rows, d.row_bytes),
                (d.tile_samples, d.sample_bytes),
            ),
        )

        # -- kernel: samples, rows, columns; correlate: groups, parts of a group
        cut = Signal(cut_layout(self.config), reset_less=True)
        y = Signal(16, reset_less=True)
        lanes = Signal(9)  # of a part of a group
        m.d.comb += lanes.eq((VECTOR << d.t_vectors[:3]) >> d.t_split[:4])
        ends = {
            "col": cut.x0 + d.tile_cols >= d.cols,
            "row": y + d.tile_rows >= d.rows,
            "sample": cut.next + d.tile_samples >= d.samples,
            "part": cut.lane0 + lanes == (VECTOR << d.t_vectors[:3]),
            "group": cut.t_group + 1 == d.t_groups,
        }
        tile_addr, sample_addr, row_addr = (
            Signal(width, name=f"{name}_addr", reset_less=True)
            for name in ("tile", "sample", "row")
        )

        def go_to(addr, bases):
            """Set the address of the next tile, and of the loops that begin with it."""
            m.d.sync += [base.eq(addr) for base in (cut.out_addr, *bases)]

        first_strip = Signal(signed(17))
        m.d.comb += first_strip.eq(-d.strips_before)
        turns = Signal()  # the next tile is one of the next stationary tile
        with m.If(self.en & correlate):
            go_to((cut.out_addr + d.t_tile_bytes)[:width], ())
            m.d.sync += cut.lane0.eq(cut.lane0 + lanes)
            with m.If(ends["part"]):
                m.d.sync += [cut.lane0.eq(0), cut.t_group.eq(cut.t_group + 1)]
                m.d.comb += turns.eq(ends["group"])
        with m.Elif(self.en):
            go_to((cut.out_addr + col_bytes)[:width], ())
            m.d.sync += cut.x0.eq(cut.x0 + d.tile_cols)
            with m.If(ends["col"]):
                go_to((row_addr + row_bytes)[:width], (row_addr,))
                m.d.sync += [
                    cut.x0.eq(0),
                    y.eq(y + d.tile_rows),
                    cut.strip.eq(cut.strip + d.tile_strips),
                ]
                with m.If(ends["row"]):
                    go_to((sample_addr + sample_bytes)[:width], (row_addr, sample_addr))
                    m.d.sync += [
                        y.eq(0),
                        cut.strip.eq(first_strip),
                        cut.next.eq(cut.next + d.tile_samples),
                    ]
                    m.d.comb += turns.eq(ends["sample"])

        every = (row_addr, sample_addr, tile_addr)
        begins = Signal()
        m.d.comb += begins.eq(self.start | turns)
        with m.If(begins):
            m.d.sync += [
                *(cut[name].eq(0) for name in ("t_group", "lane0", "x0", "next")),
                y.eq(0),
                cut.strip.eq(first_strip),
            ]
        with m.If(self.start):
            m.d.sync += [cut.s_tile.eq(0), self.more.eq(1)]
            go_to(d.out_addr[:width], every)
        with m.Elif(turns):
            m.d.sync += [
                cut.s_tile.eq(cut.s_tile + 1),
                self.more.eq(cut.s_tile + 1 != d.s_tiles),
            ]
            go_to((tile_addr + d.s_tile_bytes)[:width], every)

        # -- the last tiles are smaller
        m.d.comb += [
            self.cut.eq(cut),
            self.cut.rows.eq(Mux(ends["row"], d.rows - y, d.tile_rows)),
            self.cut.x1.eq(Mux(ends["col"], d.cols, cut.x0 + d.tile_cols)),
            self.cut.end.eq(Mux(correlate | ends["sample"], d.samples, cut.next + d.tile_samples)),
        ]
        with m.If(correlate):
            m.d.comb += [self.cut.rows.eq(d.rows), self.cut.x1.eq(d.cols), self.cut.strip.eq(0)]
        return m
