"""Fibers are walked entry by entry, each issued once, in order, and multiplied."""

from __future__ import annotations

from amaranth.hdl import Cat, Mux, Signal, Value

from formal.checker import Checker
from gscn.hw.array_layouts import LOAD_LANES, WordKind
from gscn.hw.pe.ring import RingWalker


class RingWalkerChecker(Checker):
    """Walk each fiber beside a `RingWalker`; follow one entry, any, in its memory.

    Formats are of integers: of floats the product is left to tests.

    Assumed: a fiber is held until it is taken; an entry that is issued is not written until its
    index has left. The memory starts with anything; an entry counts from when it is first written.
    """

    CLAIMS = {
        "issued": "an entry is issued in every cycle in which a fiber is there: all from its start "
        "to before its end, round the ring, in order, each once; it is taken with its last",
        "index": "an index leaves `LATENCY` cycles after its entry was issued, the sum of the "
        "entry's offset and the fiber's, and none without one",
        "product": "its product is there `PRODUCT_LATENCY` cycles later",
        "ends": "the END of a job leaves in its place in that order, `LATENCY` cycles after it was "
        "taken, and nothing else as one",
        "mark": "`mark` is high `MARK_LATENCY` cycles after a MARK or END was taken, and only then",
        "active": "`active` is high exactly if something was issued, or the END of a job taken, in "
        "the `LATENCY` cycles before",
    }

    dut: RingWalker

    def describe(self) -> None:
        """State which entries are issued, and what comes of each."""
        dut, m, fiber, config = self.dut, self.m, self.dut.i.p, self.dut.config
        is_mac = fiber.kind == WordKind.MAC
        begun, fiber_before = Signal(), Signal.like(fiber)
        next_addr, addr = Signal.like(fiber.start), Signal.like(fiber.start)
        issues, last, ends = Signal(), Signal(), Signal()
        m.d.comb += [
            issues.eq(dut.i.valid & is_mac),
            addr.eq(Mux(begun, next_addr, fiber.start)),
            last.eq((addr + 1)[: len(addr)] == fiber.end),
            ends.eq(dut.i.valid & (fiber.kind == WordKind.END) & fiber.job_end),
        ]
        with m.If(issues):
            m.d.sync += [begun.eq(~last), next_addr.eq(addr + 1), fiber_before.eq(fiber)]
        same = Value.cast(fiber) == Value.cast(fiber_before)
        self.assume(~begun | (dut.i.valid & same))
        self.invariant(~begun | (fiber_before.kind == WordKind.MAC))
        self.invariant(self.probe.signal("resumed") == begun)
        self.invariant(~begun | (self.probe.signal("next_addr") == next_addr))
        self.claim(
            "issued",
            (dut.issues == issues) & (~dut.i.valid | (dut.i.ready == (~is_mac | last))),
        )

        place = self.any_constant(config.entry_width, name="place")
        ours = issues & (addr == place)
        known, entry = self._followed(place, ours)
        then = self.delayed(Cat(issues, ends, ours & known), dut.LATENCY, name="then")
        index = self.delayed(
            (entry.offset + fiber.offset)[: config.index_width], dut.LATENCY, name="index"
        )
        announced = dut.o_valid & ~dut.o.job_end
        self.claim(
            "index",
            (announced == then[0]) & (~then[2] | (dut.o.index == index)),
        )
        self.claim("ends", (dut.o_valid & dut.o.job_end) == then[1])
        compared = self.delayed(then[2], dut.PRODUCT_LATENCY, name="compared")
        product = self._product(entry.value, fiber.value)
        self.claim("product", ~compared | product)
        marks = self.delayed(dut.i.valid & ~is_mac, dut.MARK_LATENCY, name="marks")
        self.claim("mark", dut.mark == marks)
        under_way = [
            self.delayed(issues | ends, cycles, name=f"begun{cycles}")
            for cycles in range(1, dut.LATENCY + 1)
        ]
        self.claim("active", dut.active == Cat(under_way).any())
        self.reach(compared & (dut.product.value == 6) & (dut.o.index == 3) & then[2] & dut.mark)

    def _product(self, value: Value, streamed: Value) -> Value:
        """Return whether the product is that of these, as they were when it was issued.

        No solver compares two multipliers. So the factors are compared where the component holds
        them, and then its product with theirs.
        """
        dut, width = self.dut, len(value)
        held = Cat(self.probe.signal(f"factor{number}") for number in range(2))
        given = self.delayed(
            Cat(value, streamed), dut.LATENCY + dut.PRODUCT_LATENCY - 1, name="given"
        )
        right = self.delayed(held == given, 1, name="right")
        product = self.delayed(
            held[:width].as_signed() * held[width:].as_signed(), 1, name="product"
        )
        return right & (dut.product.value.as_unsigned() == product)

    def _followed(self, place: Signal, ours: Value) -> tuple[Signal, Signal]:
        """Return whether the entry followed has been written, and what it is."""
        dut, m, load = self.dut, self.m, self.dut.load
        known, entry = Signal(name="known"), Signal.like(load.entries[0], name="entry")
        writes = []
        for lane in range(LOAD_LANES):
            at = (load.entry_addr + lane)[: len(place)]
            writes.append(load.entry_en[lane] & (at == place))
            with m.If(writes[lane]):
                m.d.sync += [known.eq(1), entry.eq(load.entries[lane])]
        for cycles in range(dut.LATENCY):
            self.assume(
                ~Cat(writes).any() | ~self.delayed(ours, cycles, name=f"issued{cycles}_ago")
            )
        width = len(Value.cast(entry))
        rows = [
            self.probe.row(f"entries{lane}", place[1:], width, name=f"stored{lane}")
            for lane in range(LOAD_LANES)
        ]
        stored = Mux(place[0], rows[1], rows[0])
        self.invariant(~known | (stored == Value.cast(entry)))
        return known, entry
