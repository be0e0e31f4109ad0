"""Dense array: PEs in rows and columns whose sums stay until a matrix product is complete."""

from __future__ import annotations

from itertools import pairwise

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.hw.arguments import need_number
from gscn.hw.dense.dense_pe import DensePe
from gscn.hw.dense.layouts import sum_stream
from gscn.hw.shared import Shared


class DenseArray(wiring.Component):
    """Multiply matrices: in each cycle a column of the first by a row of the second.

    Operands enter together and are delayed here, each row and column by a cycle more than the one
    before, so that those of a product meet. The sums of a column of PEs leave at its top, that of
    row 0 first, every other cycle. A product of matrices follows the one before without a pause;
    so that no two sums meet, it must end at least `2 rows - 1` cycles after that.

    It is what a PE with a memory for its sums is measured against (`benchmarks.gate_energy`), with
    as few registers as such an array can have at that clock. No memory is in it, for operands or
    for results.

    Timing
    ------
    - Latency: `LATENCY` from `rows_i` to `columns_o`. Of the sum of row r and column c it is
      c + 2 r cycles more.
    - Throughput: `rows` x `columns` products per cycle.
    - Combinational: none.
    - Reset: nothing under way; outputs 0.

    Parameters
    ----------
    config
        Widths of operands and sums; without float formats.
    rows, columns
        PEs each way.

    Attributes
    ----------
    valid : In(1)
        `rows_i` and `columns_i` are operands.
    last : In(1)
        And the last ones of their sums.
    rows_i : In(data.ArrayLayout(signed(config.value_width), rows))
        An operand of each row.
    columns_i : In(data.ArrayLayout(signed(config.value_width), columns))
        Of each column.
    columns_o : Out(sum_stream(config)).array(columns)
        Sums that leave each column.
    """

    LATENCY = DensePe.LATENCY

    def __init__(self, *, config: ArrayConfig, rows: int, columns: int):
        need_number(self, "rows", rows)
        need_number(self, "columns", columns)
        self.config, self.rows, self.columns = config, rows, columns
        super().__init__(
            {
                "valid": In(1),
                "last": In(1),
                "rows_i": In(data.ArrayLayout(signed(config.value_width), rows)),
                "columns_i": In(data.ArrayLayout(signed(config.value_width), columns)),
                "columns_o": Out(sum_stream(config)).array(columns),
            }
        )

    def elaborate(self, platform):
        m = Module()
        pes = [
            [Shared(DensePe(config=self.config), "dense_pe") for _ in range(self.columns)]
            for _ in range(self.rows)
        ]
        for row, own in enumerate(pes):
            for column, pe in enumerate(own):
                m.submodules[f"pe{row}_{column}"] = pe
        for row, own in enumerate(pes):
            first = Cat(self.last, self.rows_i[row])
            m.d.comb += [
                own[0].row_i.valid.eq(_delayed(m, self.valid, f"valid{row}", row)),
                own[0].row_i.p.eq(_delayed(m, first, f"row{row}", row)),
            ]
            for left, right in pairwise(own):
                wiring.connect(m, left.row_o, right.row_i)
        for column, own in enumerate(zip(*pes, strict=True)):
            entering = _delayed(m, self.columns_i[column], f"column{column}", column)
            m.d.comb += own[0].column_i.eq(entering)
            wiring.connect(m, own[0].sums_o, wiring.flipped(self.columns_o[column]))
            for above, below in pairwise(own):
                m.d.comb += below.column_i.eq(above.column_o)
                wiring.connect(m, below.sums_o, above.sums_i)
        return m


def _delayed(m: Module, value, name: str, cycles: int):
    """Return a value as it was some cycles ago; after a reset, 0."""
    for cycle in range(cycles):
        later = Signal.like(value, name=f"{name}_{cycle}")
        m.d.sync += later.eq(value)
        value = later
    return value
