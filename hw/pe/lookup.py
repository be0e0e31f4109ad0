"""Directory look-up: from streamed words and taps to fibers of the stationary operand."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gscn.config import AcceleratorConfig
from gscn.hw.layouts import (
    B_WORD,
    LOAD_WORD,
    PE_WORD,
    TAP,
    TILE_HEADER,
    LoadTarget,
    WordKind,
    fiber_layout,
)
from gscn.records import PLUS_BIT


class Lookup(wiring.Component):
    """Find the fiber that each (word, tap) pair meets.

    For a MAC word, the taps from `tap_start` to the first one marked last are visited in order;
    each look-up whose key lies in the directory and whose fiber is not empty is handed on, with the
    word's value and the sum of the word's and the tap's offsets. ADD words pass with their running
    number in the segment as offset; END words pass. The bank being filled through `load` must not
    be the one in use.

    Implements: the index matching of the law in `docs/contract/execution.md`.

    Timing
    ------
    - Latency: `LATENCY` from `i` to `o`, of a word's first fiber.
    - Throughput: one look-up per cycle, empty ones included.
    - Combinational: `o.ready`, `i.p` -> `i.ready`.
    - Reset: no look-up; outputs 0, but `i.ready` undefined: it depends on the taps, which stay, as
      does the directory.

    Parameters
    ----------
    config
        Sizes of directory and taps.

    Attributes
    ----------
    i : In(stream.Signature(PE_WORD))
        Words.
    load : In(LOAD_WORD)
        Taps, tile header and directory rows for either bank.
    load_en : In(1)
        `load` holds a chunk for this PE; taken in the same cycle.
    o : Out(stream.Signature(fiber_layout(config)))
        Fibers, in order.
    active : Out(1)
        A look-up is under way.
    """

    LATENCY = 1

    def __init__(self, *, config: AcceleratorConfig):
        self.config = config
        super().__init__(
            {
                "i": In(stream.Signature(PE_WORD)),
                "load": In(LOAD_WORD),
                "load_en": In(1),
                "o": Out(stream.Signature(fiber_layout(config))),
                "active": Out(1),
            }
        )

    @property
    def _key_width(self) -> int:
        """Bits of a key that is in the directory."""
        return (self.config.directory_depth - 1).bit_length()

    def elaborate(self, platform):
        m = Module()
        tap_read = self._keep_taps(m)
        row_reads = self._keep_directory(m)
        counts = self._keep_counts(m)
        self._look_up(m, tap_read, row_reads, counts)
        return m

    def _keep_taps(self, m):
        """Store the taps of either bank, the bank in the highest address bit; return the reads."""
        slim_tap = data.StructLayout(
            {"key_delta": signed(16), "offset_delta": signed(16), "last": 1}
        )
        depth = self.config.taps_depth
        m.submodules.taps = taps = Memory(shape=slim_tap, depth=2 * depth, init=[])
        tap_write, tap_read = taps.write_port(), taps.read_port(domain="comb")
        load_tap = data.View(TAP, self.load.chunk)
        m.d.comb += [
            tap_write.addr.eq(Cat(self.load.row[: (depth - 1).bit_length()], self.load.bank)),
            tap_write.data.key_delta.eq(load_tap.key_delta),
            tap_write.data.offset_delta.eq(load_tap.offset_delta),
            tap_write.data.last.eq(load_tap.last[0]),
            tap_write.en.eq(self.load_en & (self.load.target == LoadTarget.TAP)),
        ]
        return tap_read

    def _keep_directory(self, m):
        """Store the directory of either bank; return the reads of its halves.

        A row of eight keys may be written at once, but a look-up reads four: the lower and the
        upper half of each row have a memory each, of which one is read.
        """
        depth = self.config.directory_depth
        slim_entry = data.StructLayout(
            {"start": len(self.o.p.start), "length": len(self.o.p.length)}
        )
        halves = [
            Memory(shape=data.ArrayLayout(slim_entry, 4), depth=depth // 4, init=[])
            for _ in range(2)
        ]
        m.submodules.low_directory, m.submodules.high_directory = halves
        row_writes = [half.write_port(granularity=2) for half in halves]
        row_reads = [half.read_port() for half in halves]
        row_en = self.load_en & (self.load.target == LoadTarget.DIRECTORY)
        for half, row_write in enumerate(row_writes):
            m.d.comb += [
                row_write.addr.eq(Cat(self.load.row[: self._key_width - 3], self.load.bank)),
                row_write.en.eq(Mux(row_en, self.load.pairs.word_select(half, 2), 0)),
            ]
            for lane in range(4):
                fiber = self.load.fibers[4 * half + lane]
                m.d.comb += [
                    row_write.data[lane].start.eq(fiber.start),
                    row_write.data[lane].length.eq(fiber.length),
                ]
        return row_reads

    def _keep_counts(self, m):
        """Return the keys of each bank's directory."""
        header = data.View(TILE_HEADER, self.load.chunk)
        counts = Signal(data.ArrayLayout(self.config.directory_depth.bit_length(), 2))
        with m.If(self.load_en & (self.load.target == LoadTarget.HEADER)):
            m.d.sync += counts[self.load.bank].eq(header.directory_count)
        return counts

    def _look_up(self, m, tap_read, row_reads, counts):
        """Address the directory by word and tap, and in the next cycle hand on what it said."""
        config = self.config
        word = data.View(B_WORD, self.i.p.chunk)
        bank = self.i.p.bank
        tap_number = Signal(range(config.taps_depth))
        resumed = Signal()
        adds = Signal(16)
        advance = Signal()
        tap = tap_read.data
        is_mac = self.i.p.kind == WordKind.MAC
        key = Signal(signed(17))
        m.d.comb += [
            tap_read.addr.eq(
                Cat(Mux(resumed, tap_number, word.tap_start)[: len(tap_number)], bank)
            ),
            key.eq(word.key + tap.key_delta),
            self.i.ready.eq(advance & (~is_mac | tap.last)),
        ]
        for half, row_read in enumerate(row_reads):
            m.d.comb += [
                row_read.addr.eq(Cat(key[3 : self._key_width], bank)),
                row_read.en.eq(advance & (key[2] == half)),
            ]
        with m.If(self.i.valid & advance):
            m.d.sync += [
                resumed.eq(is_mac & ~tap.last),
                tap_number.eq(tap_read.addr[: len(tap_number)] + 1),
            ]
            with m.If(self.i.p.kind == WordKind.ADD):
                m.d.sync += adds.eq(adds + 1)
            with m.Elif(self.i.p.kind == WordKind.END):
                m.d.sync += adds.eq(0)

        # -- what the directory said
        found = Signal.like(self.o.p)
        found_valid = Signal()
        in_range = Signal()
        lane, upper = Signal(2), Signal()
        with m.If(advance):
            m.d.sync += [
                found_valid.eq(self.i.valid),
                found.kind.eq(self.i.p.kind),
                found.job_end.eq(self.i.p.job_end),
                found.bank.eq(bank),
                found.operand.eq(
                    Mux(is_mac, word.value, self.i.p.chunk[: config.acc_width].as_signed())
                ),
                found.offset.eq(Mux(is_mac, word.offset + tap.offset_delta, adds)),
                in_range.eq((key >= 0) & (key < counts[bank])),
                Cat(lane, upper).eq(key[:3]),
            ]
            if config.floats:
                m.d.sync += found.special.eq(self.i.p.chunk[PLUS_BIT:])
        entry = Mux(upper, *(read.data[lane] for read in row_reads[::-1]))
        entry = data.View(row_reads[0].data.shape().elem_shape, entry)
        empty = (found.kind == WordKind.MAC) & (~in_range | (entry.length == 0))
        m.d.comb += [
            self.o.p.eq(found),
            self.o.p.start.eq(entry.start),
            self.o.p.length.eq(entry.length),
            self.o.valid.eq(found_valid & ~empty),
            advance.eq(~self.o.valid | self.o.ready),
            self.active.eq(found_valid),
        ]
