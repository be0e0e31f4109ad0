"""Fiber walk and multiplier: from fibers to products."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gscn import latencies
from gscn.config import AcceleratorConfig
from gscn.hw.layouts import (
    A_ENTRY,
    LOAD_WORD,
    NUMBER_MODES,
    LoadTarget,
    WordKind,
    addend_layout,
    fiber_layout,
)
from gscn.hw.pe.float_product import FloatProduct


class Walker(wiring.Component):
    """Walk each fiber of the stationary operand and multiply its entries by the streamed value.

    One addend leaves per entry, in index order, at index `entry.offset + fiber.offset`; ADD and END
    fibers leave as one addend each. The consumer must take an addend in every cycle. The bank being
    filled through `load` must not be the one in use.

    Implements: the multiplication of the law in `docs/contract/execution.md`.

    Timing
    ------
    - Latency: `LATENCY` from `i` to `o`, `FLOAT_LATENCY` with float formats. It is counted from
      the cycle in which an entry is issued.
    - Throughput: one entry per cycle, fibers back to back.
    - Combinational: `i.p` -> `i.ready`, `issues`, `adds`; `i.valid` -> `issues`, `adds`.
    - Reset: nothing issued; outputs 0, but `o` undefined, and `overflow` undefined with float
      formats. The entries stay.

    Parameters
    ----------
    config
        Depth of the stationary memory, operand formats.

    Attributes
    ----------
    i : In(stream.Signature(fiber_layout(config)))
        Fibers.
    load : In(LOAD_WORD)
        Stationary rows for either bank.
    load_en : In(1)
        `load` holds a chunk for this PE; taken in the same cycle.
    o : Out(addend_layout(config))
        Addends.
    o_valid : Out(1)
        `o` holds an addend.
    issues : Out(1)
        An entry is issued to the multiplier in this cycle.
    adds : Out(1)
        A partial sum is passed on in this cycle.
    active : Out(1)
        Something is in the multiplier's pipeline.
    modes : In(NUMBER_MODES)
        With float formats: how the jobs of the two accumulator banks calculate; changes only while
        a bank is not in use.
    overflow : Out(1)
        With float formats: a product left its window (pulse).
    """

    LATENCY = latencies.WALKER_LATENCY
    FLOAT_LATENCY = latencies.FLOAT_WALKER_LATENCY

    def __init__(self, *, config: AcceleratorConfig):
        self.config = config
        super().__init__(
            {
                "i": In(stream.Signature(fiber_layout(config))),
                "load": In(LOAD_WORD),
                "load_en": In(1),
                "o": Out(addend_layout(config)),
                "o_valid": Out(1),
                "issues": Out(1),
                "adds": Out(1),
                "active": Out(1),
                **({"modes": In(NUMBER_MODES), "overflow": Out(1)} if config.floats else {}),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        value_shape = signed(config.value_width)
        addr_width = (config.a_depth - 1).bit_length()

        entry = data.StructLayout({"value": value_shape, "offset": signed(16)})
        m.submodules.entries = entries = Memory(
            shape=data.ArrayLayout(entry, 2), depth=config.a_depth, init=[]
        )
        write, read = entries.write_port(), entries.read_port()
        load_row = data.View(data.ArrayLayout(A_ENTRY, 2), self.load.chunk)
        m.d.comb += [
            write.addr.eq(Cat(self.load.row[: addr_width - 1], self.load.bank)),
            write.en.eq(self.load_en & (self.load.target == LoadTarget.A)),
        ]
        for lane in range(2):
            m.d.comb += [
                write.data[lane].value.eq(load_row[lane].value),
                write.data[lane].offset.eq(load_row[lane].offset),
            ]

        # -- issue: address of the stationary memory
        position = Signal.like(self.i.p.length)
        is_mac = self.i.p.kind == WordKind.MAC
        last = ~is_mac | (position + 1 == self.i.p.length)
        addr = Signal(addr_width)
        m.d.comb += [
            addr.eq(self.i.p.start + position),
            read.addr.eq(Cat(addr[1:], self.i.p.bank)),
            self.i.ready.eq(last),
            self.issues.eq(self.i.valid & is_mac),
            self.adds.eq(self.i.valid & (self.i.p.kind == WordKind.ADD)),
        ]
        with m.If(self.i.valid):
            m.d.sync += position.eq(Mux(last, 0, position + 1))

        # -- multiply
        issued = Signal.like(self.i.p, reset_less=True)  # `issued_valid` tells whether it counts
        issued_valid = Signal()
        lane = Signal(reset_less=True)
        m.d.sync += [
            issued_valid.eq(self.i.valid),
            issued.eq(self.i.p),
            lane.eq(addr[0]),
        ]
        found = read.data[lane]
        is_product = issued.kind == WordKind.MAC
        addend = Signal.like(self.o, reset_less=True)
        m.d.comb += self.o.eq(addend)
        if config.floats:
            self._multiply_any(m, issued, issued_valid, found, addend)
            return m
        factor = Signal(value_shape)
        m.d.comb += factor.eq(issued.operand)
        m.d.sync += [
            self.o_valid.eq(issued_valid),
            addend.end.eq(issued.kind == WordKind.END),
            addend.job_end.eq(issued.job_end),
            addend.index.eq(issued.offset + Mux(is_product, found.offset, 0)),
            addend.value.eq(Mux(is_product, found.value * factor, issued.operand)),
        ]
        m.d.comb += self.active.eq(issued_valid | self.o_valid)
        return m

    def _multiply_any(self, m, issued, issued_valid, found, addend):
        """Multiply in the number format of the job; all else of the addend keeps step."""
        m.submodules.product = product = FloatProduct(config=self.config)
        is_product = issued.kind == WordKind.MAC
        ends = issued.kind == WordKind.END
        bank = Signal()  # accumulator bank of the job under way
        with m.If(issued_valid & ends & issued.job_end):
            m.d.sync += bank.eq(~bank)
        m.d.comb += [
            product.multiplies.eq(issued_valid & is_product),
            product.first.eq(found.value),
            product.second.eq(issued.operand),
            product.partial.eq(issued.operand),
            product.partial_special.eq(issued.special),
            product.mode.eq(self.modes[bank]),
            addend.value.eq(product.value),
            addend.negative.eq(product.negative),
            addend.special.eq(product.special),
            self.overflow.eq(product.overflow),
        ]
        index = Signal.like(addend.index)
        m.d.comb += index.eq(issued.offset + Mux(is_product, found.offset, 0))
        marks = Cat(ends, issued.job_end, index)
        valid = Signal(product.LATENCY)
        m.d.sync += valid.eq(Cat(issued_valid, valid[:-1]))
        for number in range(product.LATENCY):
            later = Signal(len(marks), name=f"marks{number}", reset_less=True)
            m.d.sync += later.eq(marks)
            marks = later
        m.d.comb += [
            Cat(addend.end, addend.job_end, addend.index).eq(marks),
            self.o_valid.eq(valid[-1]),
            self.active.eq(issued_valid | valid.any()),
        ]
