"""Accumulators of one PE: two banks, one filling while the other drains."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gscn import latencies
from gscn.config import AcceleratorConfig
from gscn.hw.layouts import SPECIAL, addend_layout, limits_layout


class Accumulator(wiring.Component):
    """Add addends into a bank of accumulators; read and clear the other bank.

    An addend is added to `acc[index]` of the bank in use, whatever the sequence of indices: a sum
    still on its way to the memory is forwarded. An addend whose index is not below the bank's limit
    is dropped. A job's END makes the other bank the one in use. The drain side reads and clears one
    accumulator per cycle; it must not address the bank in use.

    With float formats two special bits lie beside each sum; those of an addend are set.

    Implements: the accumulation of the law in `docs/contract/execution.md`, the special bits of
    `docs/contract/floating-point.md`.

    Timing
    ------
    - Latency: `LATENCY` from `i` to `segment_end`, when all sums before an END are stored;
      `DRAIN_LATENCY` from `drain_addr` to `drained`, which stays until the next read.
    - Throughput: one addend and one drained accumulator per cycle.
    - Combinational: none.
    - Reset: no addend under way, bank 0 in use; outputs 0, but `drained`, `drained_special`, `bank`
      undefined. The sums stay, and after power-up are undefined: the drain side must walk both
      banks once.

    Parameters
    ----------
    config
        Depth and width.

    Attributes
    ----------
    i : In(addend_layout(config))
        Addend or END.
    i_valid : In(1)
        `i` is to be taken.
    limits : In(limits_layout(config))
        Accumulators in use, per bank; changes only while the bank is not in use.
    drain_en : In(1)
        Read and clear `drain_addr` of `drain_bank`.
    drain_addr : In(range(config.acc_depth))
        Accumulator.
    drain_bank : In(1)
        Bank.
    drained : Out(config.acc_width)
        Its value.
    segment_end : Out(1)
        An END has passed.
    job_end : Out(1)
        A job's END has passed.
    overflow : Out(1)
        A sum left the accumulator's width (pulse).
    address_error : Out(1)
        An addend was dropped (pulse).
    bank : Out(1)
        The bank in use in the cycle before.
    active : Out(1)
        An addend is in the pipeline.
    drained_special : Out(SPECIAL)
        With float formats: special bits beside `drained`.
    """

    LATENCY = latencies.ACCUMULATOR_LATENCY

    DRAIN_LATENCY = 1

    def __init__(self, *, config: AcceleratorConfig):
        self.config = config
        super().__init__(
            {
                "i": In(addend_layout(config)),
                "i_valid": In(1),
                "limits": In(limits_layout(config), init=[config.acc_depth] * 2),
                "drain_en": In(1),
                "drain_addr": In((config.acc_depth - 1).bit_length()),
                "drain_bank": In(1),
                "drained": Out(config.acc_width),
                "segment_end": Out(1),
                "job_end": Out(1),
                "overflow": Out(1),
                "address_error": Out(1),
                "bank": Out(1),
                "active": Out(1),
                **({"drained_special": Out(SPECIAL)} if config.floats else {}),
            }
        )

    def elaborate(self, platform):
        m = Module()
        depth, width = self.config.acc_depth, self.config.acc_width
        floats = bool(self.config.floats)
        stored = width + SPECIAL if floats else width  # special bits above the sum
        addr_width = (depth - 1).bit_length()

        reads, writes = [], []
        for number in range(2):
            m.submodules[f"bank{number}"] = bank = Memory(shape=stored, depth=depth, init=[])
            reads.append(bank.read_port())
            writes.append(bank.write_port())

        # -- read
        fill = Signal()
        in_range = (self.i.index >= 0) & (self.i.index < self.limits[fill])
        adds = Signal()
        m.d.comb += adds.eq(self.i_valid & ~self.i.end & in_range)
        read_addr = self.i.index[:addr_width]
        with m.If(self.i_valid & self.i.end & self.i.job_end):
            m.d.sync += fill.eq(~fill)

        # what only counts when a valid bit says so has no reset
        held_addr = Signal(addr_width, reset_less=True)
        held_value = Signal(width, reset_less=True)
        held_fill = Signal(reset_less=True)
        held_end = Signal(reset_less=True)
        held_job_end = Signal(reset_less=True)
        held_valid = Signal()
        held_adds = Signal()
        drained_en = Signal()
        drained_bank = Signal(reset_less=True)
        drained_addr = Signal(addr_width, reset_less=True)
        m.d.sync += [
            held_addr.eq(read_addr),
            # subtracted as its complement and one
            held_value.eq(
                self.i.value ^ self.i.negative.replicate(width) if floats else self.i.value
            ),
            held_end.eq(self.i.end),
            held_job_end.eq(self.i.job_end),
            held_valid.eq(self.i_valid),
            held_adds.eq(adds),
            held_fill.eq(fill),
            drained_en.eq(self.drain_en),
            self.address_error.eq(self.i_valid & ~self.i.end & ~in_range),
        ]
        with m.If(self.drain_en):
            m.d.sync += [drained_addr.eq(self.drain_addr), drained_bank.eq(self.drain_bank)]

        # -- add and write; the sum written in the cycle of a read is forwarded (an END lies between
        # addends for different banks, so the bank need not be compared)
        forwarded = Signal(stored, reset_less=True)
        forwards = Signal(reset_less=True)
        total = Signal(width + 1)
        read_data = Array([reads[0].data, reads[1].data])
        before = Mux(forwards, forwarded, read_data[held_fill])
        new = total[:width]
        if floats:
            held_negative = Signal(reset_less=True)
            held_special = Signal(SPECIAL, reset_less=True)
            m.d.sync += [held_negative.eq(self.i.negative), held_special.eq(self.i.special)]
            new = Cat(new, before[width:] | held_special)
            m.d.comb += [
                total.eq(before[:width].as_signed() + held_value.as_signed() + held_negative),
                self.drained_special.eq(read_data[drained_bank][width:]),
            ]
        else:
            m.d.comb += total.eq(before.as_signed() + held_value.as_signed())
        m.d.sync += [
            forwarded.eq(new),
            forwards.eq(adds & held_adds & (read_addr == held_addr)),
            self.overflow.eq(held_adds & (total[width] != total[width - 1])),
            self.segment_end.eq(held_valid & held_end),
            self.job_end.eq(held_valid & held_end & held_job_end),
        ]
        for number, (read, write) in enumerate(zip(reads, writes, strict=True)):
            fills = fill == number
            draining = drained_en & (drained_bank == number)
            drain_reads = self.drain_en & (self.drain_bank == number)
            m.d.comb += [
                read.addr.eq(Mux(drain_reads, self.drain_addr, read_addr)),
                read.en.eq(drain_reads | (fills & adds)),
                write.addr.eq(Mux(draining, drained_addr, held_addr)),
                write.data.eq(Mux(draining, 0, new)),
                write.en.eq(draining | (held_adds & (held_fill == number))),
            ]
        m.d.comb += [
            self.drained.eq(read_data[drained_bank]),
            self.active.eq(held_valid),
            self.bank.eq(held_fill),
        ]
        return m
