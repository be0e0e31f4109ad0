"""PE of a dense array: a multiplier with a sum that stays, operands that pass by."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.hw.dense.layouts import factor_stream, sum_stream


class DensePe(wiring.Component):
    """Multiply what passes along a row by what passes along a column, and add the products up.

    A sum ends with the product whose `row_i.p.last` is set. It joins the sums that come from the
    PE below, and may not meet one of them: nothing waits here. Sums wrap around.

    Timing
    ------
    - Latency: `LATENCY` from `row_i` to `sums_o`; `PASS_LATENCY` from `column_i` to `column_o`.
    - Throughput: one product per cycle.
    - Combinational: none.
    - Reset: nothing under way; outputs 0, but `column_o` undefined.

    Parameters
    ----------
    config
        Widths of operands and sums; integers only.

    Attributes
    ----------
    row_i : In(factor_stream(config))
        Operand from the left.
    row_o : Out(factor_stream(config))
        The same, to the right.
    column_i : In(signed(config.value_width))
        Operand from above, of the same product.
    column_o : Out(signed(config.value_width))
        The same, to below.
    sums_i : In(sum_stream(config))
        Sums of the PEs below.
    sums_o : Out(sum_stream(config))
        These, and its own.
    """

    LATENCY = 4
    PASS_LATENCY = 1

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        super().__init__(
            {
                "row_i": In(factor_stream(config)),
                "row_o": Out(factor_stream(config)),
                "column_i": In(signed(config.value_width)),
                "column_o": Out(signed(config.value_width)),
                "sums_i": In(sum_stream(config)),
                "sums_o": Out(sum_stream(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config

        # -- operands; values count if `valid` says so, and have no reset
        valid, last = Signal(), Signal(reset_less=True)
        row, column = (Signal(signed(config.value_width), reset_less=True) for _ in range(2))
        m.d.sync += [
            valid.eq(self.row_i.valid),
            last.eq(self.row_i.p.last),
            row.eq(self.row_i.p.value),
            column.eq(self.column_i),
        ]
        m.d.comb += [
            self.row_o.valid.eq(valid),
            self.row_o.p.last.eq(last),
            self.row_o.p.value.eq(row),
            self.column_o.eq(column),
        ]

        # -- product
        product = Signal(signed(2 * config.value_width), reset_less=True)
        adds, ends = Signal(), Signal()
        m.d.sync += [product.eq(row * column), adds.eq(valid), ends.eq(valid & last)]

        # -- sum: the first product of one takes the place of the sum before
        total = Signal(signed(config.acc_width), reset_less=True)
        begins, ended = Signal(init=1), Signal()
        m.d.sync += ended.eq(ends)
        with m.If(adds):
            m.d.sync += [total.eq(Mux(begins, 0, total) + product), begins.eq(ends)]

        # -- on its way out
        out = Signal(signed(config.acc_width), reset_less=True)
        m.d.sync += self.sums_o.valid.eq(ended | self.sums_i.valid)
        with m.If(ended | self.sums_i.valid):
            m.d.sync += out.eq(Mux(ended, total, self.sums_i.p))
        m.d.comb += self.sums_o.p.eq(out)
        return m
