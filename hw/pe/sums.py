"""Accumulators of a PE of an array: two banks of several memories, one drained row by row."""

from __future__ import annotations

from typing import NamedTuple

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gscn import latencies
from gscn.array import ArrayConfig
from gscn.hw.array_layouts import (
    addend_layout,
    drain_layout,
    product_layout,
    sum_rows,
    sums_layout,
)
from gscn.hw.ram import Ram


class _Access(NamedTuple):
    """Of one accumulator; signals."""

    place: Value
    """Bank, as the highest bit, row and memory."""
    en: Value


class Sums(wiring.Component):
    """Add products into a bank of accumulators; read and clear rows of the other bank.

    A product is added to the accumulator of its index in the bank in use, whatever the sequence of
    indices: a sum still on its way to the memory is forwarded. A product whose index is not below
    the depth is dropped. The end of a job makes the other bank the one in use, from the next
    product on.

    A bank lies in `drain_width` memories by the low bits of the index, so that the drain side reads
    and clears a row of as many sums per cycle. It must address neither the bank in use, nor that of
    a job whose end is not reported, nor one that comes into use in the next cycle.

    With float formats two special bits lie beside each sum; those of a product are set.

    Implements: sums of `docs/contract/passes.md`, the special bits of
    `docs/contract/floating-point.md`.

    Timing
    ------
    - Latency: `LATENCY` from `i` to `job_end`, when all sums before it are stored; `DRAIN_LATENCY`
      from `drain` to `drained`, which stays until the next row.
    - Throughput: one product and one drained row per cycle.
    - Combinational: none.
    - Reset: nothing under way, bank 0 in use; outputs 0, but `drained` undefined. The sums stay,
      and after power-up are undefined: the drain side must walk both banks once before any product
      comes.

    Parameters
    ----------
    config
        Depth, width and memories of a bank.

    Attributes
    ----------
    i : In(addend_layout(config))
        Index of a product, or end of a job.
    i_valid : In(1)
        `i` is to be taken.
    product : In(product_layout(config))
        The product of the index that was in `i` `PRODUCT_LATENCY` cycles before.
    drain : In(drain_layout(config))
        Row to read and clear.
    drained : Out(sums_layout(config))
        What it held.
    job_end : Out(1)
        A job has ended (pulse).
    overflow : Out(1)
        A sum left the accumulator's width (pulse).
    index_error : Out(1)
        A product was dropped (pulse).
    active : Out(1)
        Something is in the pipeline.
    """

    LATENCY = latencies.SUMS_LATENCY
    PRODUCT_LATENCY = latencies.PRODUCT_LATENCY
    DRAIN_LATENCY = latencies.SUMS_DRAIN_LATENCY

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        super().__init__(
            {
                "i": In(addend_layout(config)),
                "i_valid": In(1),
                "product": In(product_layout(config)),
                "drain": In(drain_layout(config)),
                "drained": Out(sums_layout(config)),
                "job_end": Out(1),
                "overflow": Out(1),
                "index_error": Out(1),
                "active": Out(1),
            }
        )

    @property
    def _stored_width(self) -> int:
        """Bits of an accumulator; special bits lie above the sum."""
        return self.drained.shape().elem_shape.size

    def elaborate(self, platform):
        m = Module()
        i, product, width = self.i, self.product, self.config.acc_width
        floats = bool(self.config.floats)

        # -- take: the memories are addressed, whether there is such a row or not
        in_range = i.index < self.config.acc_depth
        ends, reads, fill = Signal(), Signal(), Signal()
        m.d.comb += [ends.eq(self.i_valid & i.job_end), reads.eq(self.i_valid & ~i.job_end)]
        m.d.sync += self.index_error.eq(reads & ~in_range)
        with m.If(ends):
            m.d.sync += fill.eq(~fill)
        place = Cat(i.index, fill)

        # -- hold: the memories answer. What only counts when a valid bit says so has no reset
        held_adds, held_ends = Signal(), Signal()
        held_place = Signal.like(place, reset_less=True)
        m.d.sync += [held_adds.eq(reads & in_range), held_ends.eq(ends)]
        with m.If(reads):
            m.d.sync += held_place.eq(place)

        # -- choose: one memory of each bank has answered
        chosen_adds, chosen_ends = Signal(), Signal()
        chosen_place = Signal.like(place, reset_less=True)
        chosen = Signal.like(self.product, reset_less=True)
        m.d.sync += [chosen_adds.eq(held_adds), chosen_ends.eq(held_ends)]
        with m.If(held_adds):
            m.d.sync += [chosen_place.eq(held_place), chosen.eq(product)]

        # -- add
        added, adds, ends_now = Signal.like(self.product, reset_less=True), Signal(), Signal()
        added_place = Signal.like(place, reset_less=True)
        before = Signal(self._stored_width, reset_less=True)
        total = Signal(width + 1)
        new = Signal.like(before)
        m.d.sync += [
            adds.eq(chosen_adds),
            ends_now.eq(chosen_ends),
            self.overflow.eq(adds & (total[width] != total[width - 1])),
        ]

        # -- write: a sum and the way to a memory each take most of a cycle
        kept, writes = Signal.like(before, reset_less=True), Signal()
        written_place = Signal.like(place, reset_less=True)
        m.d.sync += [writes.eq(adds), written_place.eq(added_place), self.job_end.eq(ends_now)]
        with m.If(adds):
            m.d.sync += kept.eq(new)

        # -- a sum is read four cycles before it is written: those that are written in the cycle of
        # the read and in the three after it are kept, and the last of them takes the place of what
        # was read
        older, oldest = (
            Signal.like(before, reset_less=True, name=name) for name in ("older", "oldest")
        )
        was_written, was_place = Signal(), Signal.like(place, reset_less=True)
        m.d.sync += [
            was_written.eq(writes),
            was_place.eq(written_place),
            older.eq(kept),
            oldest.eq(older),
        ]
        first, second, third, fourth = (Signal(reset_less=True, name=name) for name in (
            "first", "second", "third", "fourth",
        ))  # fmt: skip
        adds_forwarded = Signal(reset_less=True)
        m.d.sync += [
            first.eq(was_written & (held_place == was_place)),
            second.eq(writes & (held_place == written_place)),
            third.eq(adds & (held_place == added_place)),
            fourth.eq(chosen_adds & (held_place == chosen_place)),
            adds_forwarded.eq(fourth),
        ]
        stored = self._keep_sums(
            m,
            _Access(place=place, en=reads),
            held_place,
            _Access(place=written_place, en=writes),
            kept,
        )
        # subtracted as its complement and one
        value = chosen.value ^ chosen.negative.replicate(width) if floats else chosen.value
        with m.If(chosen_adds):
            m.d.sync += [
                added.eq(chosen),
                added.value.eq(value),
                added_place.eq(chosen_place),
                before.eq(Mux(third, kept, Mux(second, older, Mux(first, oldest, stored)))),
            ]
        current = Mux(adds_forwarded, kept, before)
        m.d.comb += total.eq(
            current[:width].as_signed() + added.value + (added.negative if floats else 0)
        )
        m.d.comb += new.eq(Cat(total[:width], current[width:] | added.special if floats else []))
        under_way = (held_adds, held_ends, chosen_adds, chosen_ends, adds, ends_now, writes)
        m.d.comb += self.active.eq(Cat(*under_way, self.job_end).any())
        return m

    def _keep_sums(self, m, reading, held_place, writing, written):
        """Store the sums, and drain them; return what the place held that was read two cycles ago.

        Reads and writes of the drain side are those of a row of a bank, all others of one memory.
        The command of the drain side comes from far away: it addresses a bank whenever no product
        does, so that only whether the bank is read has to wait for it.
        """
        drain, lanes = self.drain, self.config.drain_width
        clears = Signal()
        cleared_bank = Signal(reset_less=True)
        cleared_row = Signal.like(drain.row, reset_less=True)
        m.d.sync += clears.eq(drain.en)
        with m.If(drain.en):
            m.d.sync += [cleared_bank.eq(drain.bank), cleared_row.eq(drain.row)]

        def split(place):
            """Return memory, row and bank."""
            bits = (lanes - 1).bit_length()
            return place[:bits], place[bits:-1], place[-1]

        (read_lane, read_row, read_bank) = split(reading.place)
        (write_lane, write_row, write_bank) = split(writing.place)
        data = []
        for bank in range(2):
            drains, clears_bank = drain.en & (drain.bank == bank), clears & (cleared_bank == bank)
            adds = reading.en & (read_bank == bank)
            for lane in range(lanes):
                m.submodules[f"bank{bank}_{lane}"] = memory = Ram(
                    shape=self._stored_width, depth=sum_rows(self.config)
                )
                read, write = memory.read, memory.write
                reads = adds & (read_lane == lane)
                writes = writing.en & (write_bank == bank) & (write_lane == lane)
                m.d.comb += [
                    read.addr.eq(Mux(adds, read_row, drain.row)),
                    read.en.eq(drains | reads),
                    write.addr.eq(Mux(clears_bank, cleared_row, write_row)),
                    write.data.eq(Mux(clears_bank, 0, written)),
                    write.en.eq(clears_bank | writes),
                ]
                data.append(read.data)
        banks = [Cat(*data[:lanes]), Cat(*data[lanes:])]
        m.d.comb += self.drained.eq(Mux(cleared_bank, banks[1], banks[0]))
        held_lane, _, held_bank = split(held_place)
        found = [Signal(self._stored_width, name=f"found{n}", reset_less=True) for n in range(2)]
        chosen_bank = Signal(reset_less=True)
        m.d.sync += chosen_bank.eq(held_bank)
        for one, of_bank in zip(found, (data[:lanes], data[lanes:]), strict=True):
            m.d.sync += one.eq(Array(of_bank)[held_lane])
        return Mux(chosen_bank, found[1], found[0])
