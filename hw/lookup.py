"""Directory look-up: from streamed words and taps to fibers of the stationary operand."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gscn.config import AcceleratorConfig
from gscn.records import PLUS_BIT
from hw.layouts import (
    B_WORD,
    DIRECTORY_ENTRY,
    LOAD_WORD,
    NARROW_DIRECTORY_ENTRY,
    PE_WORD,
    TAP,
    TILE_HEADER,
    LoadTarget,
    WordKind,
    fiber_layout,
)


class Lookup(wiring.Component):
    """Find the fiber that each (word, tap) pair meets.

    For a MAC word, the taps from `tap_start` to the first one marked last are visited in order;
    each look-up whose key lies in the directory and whose fiber is not empty is handed on, with the
    word's value and the sum of the word's and the tap's offsets. ADD words pass with their running
    number in the segment as offset; END words pass.

    Implements: the index matching of the law in `docs/execution.md`.

    Timing: one look-up per cycle, empty ones included; `LATENCY` cycles from a word at `i` to its
    first fiber at `o`. `i.ready` depends combinationally on `o.ready`. The bank being filled
    through `load` must not be the one in use.

    Parameters
    ----------
        config: sizes of directory and taps.

    Members:
        i: words.
        load: taps, tile header and directory rows for either bank.
        load_en: `load` holds a chunk for this PE; taken in the same cycle.
        o: fibers, in order.
        active: a look-up is under way.
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

    def elaborate(self, platform):
        m = Module()
        config = self.config
        start_width, length_width = len(self.o.p.start), len(self.o.p.length)
        key_width = (config.directory_depth - 1).bit_length()

        # -- memories: bank in the highest address bit
        slim_tap = data.StructLayout(
            {"key_delta": signed(16), "offset_delta": signed(16), "last": 1}
        )
        m.submodules.taps = taps = Memory(shape=slim_tap, depth=2 * config.taps_depth, init=[])
        tap_write, tap_read = taps.write_port(), taps.read_port(domain="comb")
        slim_entry = data.StructLayout({"start": start_width, "length": length_width})
        # four entries per row: a chunk of wide entries fills half a row, one of narrow ones all
        row = data.ArrayLayout(slim_entry, 4)
        m.submodules.directory = directory = Memory(
            shape=row, depth=config.directory_depth // 2, init=[]
        )
        row_write, row_read = directory.write_port(granularity=2), directory.read_port()
        counts = Signal(data.ArrayLayout(config.directory_depth.bit_length(), 2))

        load_tap = data.View(TAP, self.load.chunk)
        wide = data.View(data.ArrayLayout(DIRECTORY_ENTRY, 2), self.load.chunk)
        narrow = data.View(data.ArrayLayout(NARROW_DIRECTORY_ENTRY, 4), self.load.chunk)
        load_row = Mux(self.load.narrow, self.load.row, self.load.row >> 1)
        row_enable = Mux(self.load.narrow, 0b11, Mux(self.load.row[0], 0b10, 0b01))
        header = data.View(TILE_HEADER, self.load.chunk)
        m.d.comb += [
            tap_write.addr.eq(
                Cat(self.load.row[: (config.taps_depth - 1).bit_length()], self.load.bank)
            ),
            tap_write.data.key_delta.eq(load_tap.key_delta),
            tap_write.data.offset_delta.eq(load_tap.offset_delta),
            tap_write.data.last.eq(load_tap.last[0]),
            tap_write.en.eq(self.load_en & (self.load.target == LoadTarget.TAP)),
            row_write.addr.eq(Cat(load_row[: key_width - 2], self.load.bank)),
            row_write.en.eq(
                Mux(self.load_en & (self.load.target == LoadTarget.DIRECTORY), row_enable, 0)
            ),
        ]
        for lane in range(4):
            for name in ("start", "length"):
                m.d.comb += row_write.data[lane][name].eq(
                    Mux(self.load.narrow, narrow[lane][name], wide[lane % 2][name])
                )
        with m.If(self.load_en & (self.load.target == LoadTarget.HEADER)):
            m.d.sync += counts[self.load.bank].eq(header.directory_count)

        # -- look-up: address of the directory
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
            row_read.addr.eq(Cat(key[2:key_width], bank)),
            row_read.en.eq(advance),
            self.i.ready.eq(advance & (~is_mac | tap.last)),
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

        # -- look-up: what the directory said
        found = Signal.like(self.o.p)
        found_valid = Signal()
        in_range = Signal()
        lane = Signal(2)
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
                lane.eq(key[:2]),
            ]
            if config.floats:
                m.d.sync += found.special.eq(self.i.p.chunk[PLUS_BIT:])
        entry = row_read.data[lane]
        empty = (found.kind == WordKind.MAC) & (~in_range | (entry.length == 0))
        m.d.comb += [
            self.o.p.eq(found),
            self.o.p.start.eq(entry.start),
            self.o.p.length.eq(entry.length),
            self.o.valid.eq(found_valid & ~empty),
            advance.eq(~self.o.valid | self.o.ready),
            self.active.eq(found_valid),
        ]
        return m
