"""An accumulator equals a register that adds, whatever the sequence of addends and drains."""

from __future__ import annotations

from amaranth.hdl import Cat, Mux, Signal, Value

from formal.checker import Checker
from gscn.hw.pe.accumulator import Accumulator


class AccumulatorChecker(Checker):
    """Compare one accumulator, of any index and bank, with a register.

    With float formats, a negative addend is subtracted, as its complement and one, and the special
    bits of all addends are set beside the sum.

    Assumed: limits are at most the memory's depth. The drain side does not address the bank in use,
    nor the bank that comes into use in the next cycle, and no accumulator in two consecutive
    cycles. Memories start with any contents; an accumulator is compared from its first clear on.
    """

    CLAIMS = {
        "sum": "a drained accumulator is the sum of its addends since it was last cleared",
        "overflow": "`overflow` is high exactly if a sum left the width, `LATENCY` cycles after",
        "ends": "ENDs are reported `LATENCY` cycles after they were offered, and only then",
        "address_error": "an addend not below its bank's limit, and nothing else, is reported, "
        "with its bank",
    }

    dut: Accumulator

    def describe(self) -> None:
        """State that the memory, and what is on its way there, is the register."""
        dut, m, probe = self.dut, self.m, self.probe
        depth, width = dut.config.acc_depth, dut.config.acc_width
        bank = self.any_constant(1, name="bank")
        index = self.any_constant((depth - 1).bit_length(), name="index")

        ends_job = dut.i_valid & dut.i.end & dut.i.job_end
        in_use, in_use_next = Signal(), Signal()
        m.d.comb += in_use_next.eq(in_use ^ ends_job)
        m.d.sync += in_use.eq(in_use_next)
        draining = self._assume_drains(in_use, in_use_next)
        addend = dut.i_valid & ~dut.i.end
        limit = dut.limits[in_use]
        self.assume((dut.limits[0] <= depth) & (dut.limits[1] <= depth))
        below = (dut.i.index >= 0) & (dut.i.index < limit)
        adds = addend & below & (dut.i.index == index) & (in_use == bank)
        clears = dut.drain_en & (dut.drain_addr == index) & (dut.drain_bank == bank)
        kept = width + len(dut.drained_special) if dut.config.floats else width
        register, known, total = Signal(kept), Signal(), Signal(width + 1)
        floats = bool(dut.config.floats)
        addend_value = Mux(dut.i.negative, -dut.i.value, dut.i.value) if floats else dut.i.value
        m.d.comb += total.eq(register[:width].as_signed() + addend_value)
        after = Cat(total[:width], register[width:] | dut.i.special) if floats else total[:width]
        with m.If(clears):
            m.d.sync += [register.eq(0), known.eq(1)]
        with m.Elif(adds):
            m.d.sync += register.eq(after)

        # the value drained is compared until the bank is in use again, or read again
        was_drained, drained = Signal(), Signal(kept)
        with m.If(dut.drain_en):
            m.d.sync += [was_drained.eq(clears & known), drained.eq(register)]
        with m.Elif(in_use == bank):
            m.d.sync += was_drained.eq(0)
        given = Cat(dut.drained, dut.drained_special) if floats else dut.drained
        self.claim("sum", ~was_drained | (given == drained))

        left = adds & (total[width] != total[width - 1])
        ours = self.delayed(adds & known, dut.LATENCY, name="adds")
        none = ~self.delayed(addend, dut.LATENCY, name="addend")
        self.claim(
            "overflow",
            (~ours | (dut.overflow == self.delayed(left, dut.LATENCY, name="left")))
            & ~(none & dut.overflow),
        )
        ends = dut.i_valid & dut.i.end
        self.claim(
            "ends",
            (dut.segment_end == self.delayed(ends, dut.LATENCY, name="ends"))
            & (dut.job_end == self.delayed(ends_job, dut.LATENCY, name="ends_job")),
        )
        outside = self.delayed(addend & ~below, 1, name="outside")
        bank_before = self.delayed(in_use, 1, name="in_use")
        self.claim(
            "address_error",
            (dut.address_error == outside) & (~outside | (dut.bank == bank_before)),
        )

        # -- what the component's registers have to do with all this; those that just follow an
        # input agree with these copies from the second step of an induction on
        inside = addend & below
        held_adds = self.delayed(inside, 1, name="held_adds")
        held_index = self.delayed(dut.i.index.as_unsigned(), 1, name="held_index")
        held_bank = self.delayed(in_use, 1, name="held_bank")
        cleared = self.delayed(clears, 1, name="clears")
        drain_bank = probe.register_of(dut.drain_bank)
        coming = self._sum_on_its_way(held_bank)  # read before the row's own port is added
        rows = [probe.row(f"bank{n}", index, kept, name=f"bank{n}_row") for n in range(2)]
        stored = Signal(kept)
        on_its_way = held_adds & (held_index == index) & (held_bank == bank)
        m.d.comb += stored.eq(Mux(on_its_way, coming, Mux(cleared, 0, Mux(bank, rows[1], rows[0]))))
        self.invariant(~known | (stored == register))
        self.invariant(probe.signal("fill") == in_use)
        self.invariant(~held_adds | ((held_bank == in_use) & (held_index < depth)))
        self.invariant(~draining | (drain_bank != in_use))
        self.invariant(~was_drained | (drain_bank == bank))
        self.reach(was_drained & (drained == 3) & dut.overflow)

    def _assume_drains(self, in_use: Value, in_use_next: Value) -> Value:
        """Assume what the drain side does not address; return whether it read a cycle before."""
        dut = self.dut
        self.assume(~dut.drain_en | ((dut.drain_bank != in_use) & (dut.drain_bank != in_use_next)))
        drain_addr_before = self.delayed(dut.drain_addr, 1, name="drain_addr")
        drain_bank_before = self.delayed(dut.drain_bank, 1, name="drain_bank")
        draining = self.delayed(dut.drain_en, 1, name="drain_en")
        self.assume(
            ~(dut.drain_en & draining)
            | (dut.drain_addr != drain_addr_before)
            | (dut.drain_bank != drain_bank_before)
        )
        return draining

    def _sum_on_its_way(self, held_bank: Value) -> Value:
        """Return the sum that is being written, with its special bits."""
        probe, width = self.probe, self.dut.config.acc_width
        special = []
        if self.dut.config.floats:
            reads = [probe.read_data(f"bank{n}") for n in range(2)]
            before = Mux(
                probe.signal("forwards"),
                probe.signal("forwarded"),
                Mux(held_bank, reads[1], reads[0]),
            )
            special = [before[width:] | probe.signal("held_special")]
        return Cat(probe.signal("total")[:width], special)
