"""Accumulators in several memories equal registers that add, whatever is added and drained."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Mux, Signal, Value

from formal.checker import Checker
from gscn.hw.array_layouts import sum_rows
from gscn.hw.pe.sums import Sums


class SumsChecker(Checker):
    """Compare one accumulator, of any index and bank, with a register.

    With float formats, a negative product is subtracted, as its complement and one, and the special
    bits of all products are set beside the sum.

    Assumed: the drain side addresses neither the bank in use, nor one that was in use in the
    three cycles before, nor the one that comes into use in the next, and no row in two consecutive
    cycles. Memories start with any contents; an accumulator is compared from its first clear on.
    """

    CLAIMS = {
        "sum": "a drained accumulator is the sum of its products since it was last cleared",
        "overflow": "`overflow` is high exactly if a sum left the width, `LATENCY` cycles after "
        "its index",
        "ends": "ends of jobs are reported `LATENCY` cycles after they were offered, and only then",
        "index_error": "a product for no accumulator, and nothing else, is reported",
    }

    dut: Sums

    def describe(self) -> None:
        """State that the memories, and what is on its way there, are the register."""
        dut, m = self.dut, self.m
        config, floats = dut.config, bool(dut.config.floats)
        width = config.acc_width
        bank = self.any_constant(1, name="bank")
        index = self.any_constant(config.index_width, name="index")
        self.assume(index < config.acc_depth)
        lane_width = (config.drain_width - 1).bit_length()
        lane, row = index[:lane_width], index[lane_width:]

        ends = dut.i_valid & dut.i.job_end
        in_use, in_use_next = Signal(), Signal()
        m.d.comb += in_use_next.eq(in_use ^ ends)
        m.d.sync += in_use.eq(in_use_next)
        self._assume_drains(in_use, in_use_next)
        announced = dut.i_valid & ~dut.i.job_end
        inside = announced & (dut.i.index < config.acc_depth)
        # a product waits a cycle for the sum that it is added to
        adds = self.delayed(
            inside & (dut.i.index == index) & (in_use == bank), dut.PRODUCT_LATENCY + 1, name="adds"
        )
        shape = dut.product.shape()
        product = shape(self.delayed(Value.cast(dut.product), 1, name="product"))
        clears = dut.drain.en & (dut.drain.row == row) & (dut.drain.bank == bank)
        kept = dut.drained.shape().elem_shape.size
        register, known, total = Signal(kept), Signal(), Signal(width + 1)
        value = product.value
        if floats:
            value = Mux(product.negative, -value, value)
        m.d.comb += total.eq(register[:width].as_signed() + value)
        special = register[width:] | product.special if floats else []
        with m.If(clears):
            m.d.sync += [register.eq(0), known.eq(1)]
        with m.Elif(adds):
            m.d.sync += register.eq(Cat(total[:width], special))

        # the value drained is compared until the bank is in use again, or read again
        was_drained, drained = Signal(), Signal(kept)
        with m.If(dut.drain.en):
            m.d.sync += [was_drained.eq(clears & known), drained.eq(register)]
        with m.Elif(in_use == bank):
            m.d.sync += was_drained.eq(0)
        given = Array([one.as_value() for one in dut.drained])[lane]
        self.claim("sum", ~was_drained | (given == drained))

        left = adds & (total[width] != total[width - 1])
        added_before = dut.LATENCY - dut.PRODUCT_LATENCY - 1  # cycles before `overflow`
        ours = self.delayed(adds & known, added_before, name="ours")
        none = ~self.delayed(inside, dut.LATENCY, name="inside")
        self.claim(
            "overflow",
            (~ours | (dut.overflow == self.delayed(left, added_before, name="left")))
            & ~(none & dut.overflow),
        )
        self.claim("ends", dut.job_end == self.delayed(ends, dut.LATENCY, name="ends"))
        self.claim(
            "index_error",
            dut.index_error == self.delayed(announced & ~inside, 1, name="outside"),
        )
        self._relate(bank, index, register, known, clears)
        self.invariant(~was_drained | (self.probe.signal("cleared_bank") == bank))
        self.invariant(self.probe.signal("fill") == in_use)
        self.reach(was_drained & (drained == 3) & dut.overflow)

    def _assume_drains(self, in_use, in_use_next):
        """Assume what the drain side does not address."""
        drain = self.dut.drain
        before = [self.delayed(in_use, ago, name=f"in_use{ago}_") for ago in (1, 2, 3)]
        own = drain.bank
        used = Cat(own == bank for bank in (in_use, in_use_next, *before)).any()
        self.assume(~(drain.en & used))
        self.assume(drain.row < sum_rows(self.dut.config))
        en_before = self.delayed(drain.en, 1, name="drain_en")
        row_before = self.delayed(drain.row, 1, name="drain_row")
        bank_before = self.delayed(drain.bank, 1, name="drain_bank")
        self.assume(~(drain.en & en_before) | (drain.row != row_before) | (own != bank_before))

    def _relate(self, bank, index, register, known, clears):
        """State what the component's registers and memories have to do with the register."""
        probe, lanes = self.probe, self.dut.config.drain_width
        lane_width = (lanes - 1).bit_length()
        lane, row = index[:lane_width], index[lane_width:]
        # read before the rows' own ports are added
        added, written = (
            (probe.signal(valid) & (probe.signal(place) == Cat(index, bank)), probe.signal(value))
            for valid, place, value in (
                ("adds", "added_place", "new"),
                ("writes", "written_place", "kept"),
            )
        )
        cleared = self.delayed(clears, 1, name="clears")
        rows = [
            probe.row(f"bank{b}_{n}", row, len(register), name=f"bank{b}_{n}_row")
            for b in range(2)
            for n in range(lanes)
        ]
        stored = Signal(len(register))
        self.m.d.comb += stored.eq(
            Mux(
                added[0],
                added[1],
                Mux(written[0], written[1], Mux(cleared, 0, Array(rows)[Cat(lane, bank)])),
            )
        )
        self.invariant(~known | (stored == register))
