"""Walk of fibers in a ring of stationary entries, and the multiplier behind it."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn import latencies
from gscn.array import ArrayConfig
from gscn.hw.array_layouts import (
    LOAD_LANES,
    WordKind,
    addend_layout,
    entry_layout,
    fiber_layout,
    load_layout,
    product_layout,
)
from gscn.hw.layouts import NUMBER_MODE
from gscn.hw.pe.float_product import FloatProduct
from gscn.hw.ram import Ram


class RingWalker(wiring.Component):
    """Walk each fiber of the stationary operand and multiply its entries by the streamed value.

    One product leaves per entry, in order, for the accumulator whose index is the sum of both
    offsets; the index leaves before it, so that what is there can be read meanwhile. The consumer
    must take one in every cycle. Of MARK and END is reported when they are
    reached, which is when all entries before them have been read; the END of a job leaves behind
    its last product. An entry written through `load` must be none of a fiber under way.

    Entries lie in two memories by their lowest address bit, so that two that follow each other are
    written at once wherever they begin; of these only the one in which the entry lies is read.

    Implements: the products of `docs/contract/passes.md`.

    Timing
    ------
    - Latency: `LATENCY` from `i` to `o`, `FLOAT_LATENCY` with float formats; `MARK_LATENCY` from
      `i` to `mark`. They are counted from the cycle in which an entry is issued or a MARK taken.
    - Throughput: one entry per cycle, fibers back to back; a MARK or END takes a cycle.
    - Combinational: `i.p` -> `i.ready`, `issues`; `i.valid` -> `issues`.
    - Reset: nothing issued; outputs 0, but `o`, `product` undefined, and `overflow` undefined with
      float formats. The entries stay.

    Parameters
    ----------
    config
        Depth of the stationary memory, operand formats.

    Attributes
    ----------
    i : In(stream.Signature(fiber_layout(config)))
        Fibers; none is empty.
    load : In(load_layout(config))
        Stationary entries; taken in the same cycle.
    o : Out(addend_layout(config))
        Indices of products, and ends of jobs.
    o_valid : Out(1)
        `o` holds one.
    product : Out(product_layout(config))
        The product of an index that was in `o`, `PRODUCT_LATENCY` cycles after.
    issues : Out(1)
        An entry is issued to the multiplier in this cycle.
    mark : Out(1)
        A MARK or END has been taken; all entries before it have been read (pulse).
    active : Out(1)
        Something is in the multiplier's pipeline.
    mode : In(NUMBER_MODE)
        With float formats: how is calculated; still while anything is under way.
    overflow : Out(1)
        With float formats: a product left its window (pulse).
    """

    LATENCY = latencies.RING_LATENCY
    PRODUCT_LATENCY = latencies.PRODUCT_LATENCY
    FLOAT_LATENCY = latencies.RING_FLOAT_LATENCY
    MARK_LATENCY = latencies.MARK_LATENCY

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        super().__init__(
            {
                "i": In(stream.Signature(fiber_layout(config))),
                "load": In(load_layout(config)),
                "o": Out(addend_layout(config)),
                "o_valid": Out(1),
                "product": Out(product_layout(config)),
                "issues": Out(1),
                "mark": Out(1),
                "active": Out(1),
                **({"mode": In(NUMBER_MODE), "overflow": Out(1)} if config.floats else {}),
            }
        )

    def elaborate(self, platform):
        m = Module()
        fiber = self.i.p

        # -- issue: address of the stationary memory
        is_mac = fiber.kind == WordKind.MAC
        resumed = Signal()
        next_addr = Signal(self.config.entry_width, reset_less=True)
        addr, following = Signal.like(next_addr), Signal.like(next_addr)
        # `following == fiber.end`, without a carry: the bits in which two neighbours differ are the
        # lowest, and each behind a bit that differs and is set in the lower one
        differs = addr ^ fiber.end
        last = ~is_mac | (differs == ((differs & addr) << 1 | 1)[: len(addr)])
        m.d.comb += [
            addr.eq(Mux(resumed, next_addr, fiber.start)),
            following.eq(addr + 1),
            self.i.ready.eq(last),
            self.issues.eq(self.i.valid & is_mac),
        ]
        issued, ends, lane = Signal(), Signal(), Signal(reset_less=True)
        value = Signal.like(fiber.value, reset_less=True)
        offset = Signal.like(fiber.offset, reset_less=True)
        m.d.sync += [
            issued.eq(self.issues),
            ends.eq(self.i.valid & (fiber.kind == WordKind.END) & fiber.job_end),
            self.mark.eq(self.i.valid & ~is_mac),
        ]
        with m.If(self.issues):
            m.d.sync += [
                resumed.eq(~last),
                next_addr.eq(following),
                lane.eq(addr[0]),
                value.eq(fiber.value),
                offset.eq(fiber.offset),
            ]

        # -- the entry, held for the multiplier, which no longer waits for a memory
        found = self._keep_entries(m, addr, lane)
        factors = [Signal.like(value, name=f"factor{n}", reset_less=True) for n in range(2)]
        # its index is summed behind the register: a memory that answers leaves no time for a sum
        entry_offset, word_offset = (Signal.like(offset, reset_less=True) for _ in range(2))
        addend, held, held_ends = Signal.like(self.o), Signal(), Signal(reset_less=True)
        m.d.sync += [held.eq(issued), held_ends.eq(ends)]
        m.d.comb += [addend.index.eq(entry_offset + word_offset), addend.job_end.eq(held_ends)]
        announced = Signal()
        m.d.sync += announced.eq(issued | ends)
        with m.If(issued):
            m.d.sync += [
                factors[0].eq(found.value),
                factors[1].eq(value),
                entry_offset.eq(found.offset),
                word_offset.eq(offset),
            ]
        if self.config.floats:
            under_way = self._multiply_any(m, factors, held, addend, announced)
        else:
            product = Signal.like(self.product, reset_less=True)
            with m.If(held):
                m.d.sync += product.value.eq(factors[0] * factors[1])
            m.d.comb += [
                self.o.eq(addend),
                self.o_valid.eq(announced),
                self.product.eq(product),
            ]
            under_way = announced
        m.d.comb += self.active.eq(issued | ends | under_way)
        return m

    def _keep_entries(self, m, addr, lane):
        """Store the entries; return the one that was issued in the cycle before."""
        entry = entry_layout(self.config)
        first = self.load.entry_addr
        reads = []
        for number in range(LOAD_LANES):
            m.submodules[f"entries{number}"] = entries = Ram(
                shape=entry, depth=self.config.stationary_depth // LOAD_LANES
            )
            write, read = entries.write, entries.read
            other = first[0] ^ number  # the second of the two comes here
            m.d.comb += [
                # behind an odd first entry lies the next row's even one
                write.addr.eq(first[1:] + (first[0] if number == 0 else 0)),
                write.data.eq(Mux(other, self.load.entries[1], self.load.entries[0])),
                write.en.eq(Mux(other, self.load.entry_en[1], self.load.entry_en[0])),
                read.addr.eq(addr[1:]),
                read.en.eq(self.issues & (addr[0] == number)),
            ]
            reads.append(read.data)
        return data.View(entry, Mux(lane, reads[1], reads[0]))

    def _multiply_any(self, m, factors, multiplies, addend, announced):
        """Multiply in the number format of the pass, and announce products as late as they come.

        Return whether any is to be announced.
        """
        m.submodules.product = product = FloatProduct(config=self.config)
        m.d.comb += [
            product.multiplies.eq(multiplies),
            product.first.eq(factors[0]),
            product.second.eq(factors[1]),
            product.mode.eq(self.mode),
            self.product.value.eq(product.value),
            self.product.negative.eq(product.negative),
            self.product.special.eq(product.special),
            self.overflow.eq(product.overflow),
        ]
        stages = [announced]
        for number in range(product.LATENCY - self.PRODUCT_LATENCY):
            later = Signal.like(addend, name=f"addend{number}", reset_less=True)
            stages.append(Signal(name=f"announced{number}"))
            m.d.sync += [later.eq(addend), stages[-1].eq(stages[-2])]
            addend = later
        m.d.comb += [self.o.eq(addend), self.o_valid.eq(stages[-1])]
        return Cat(stages).any()
