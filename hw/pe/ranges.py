"""Look-up of ranges of keys: from streamed words to fibers of the stationary operand."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gscn import latencies
from gscn.array import ArrayConfig
from gscn.hw.array_layouts import (
    ROWS_WIDTH,
    WordKind,
    fiber_layout,
    load_layout,
    word_layout,
)
from gscn.hw.ram import Ram


class RangeLookup(wiring.Component):
    """Find the entries that each word meets, as one fiber for each of its ranges of keys.

    The directory says of each key at which entry it begins, so that the entries of keys that
    follow each other lie one behind the other: from the start of the first key to that of the one
    behind the last. Both are read at once, from two copies. Keys and entries are rings. What has
    no entries is dropped; MARK and END pass, in order. What is written through `load` must not be
    what a word under way reads.

    A look-up is made while the consumer has `room` for what it may find, whether it finds anything
    or not, so that the memory's answer decides nothing in the cycle in which it comes.

    Implements: keys and offsets of `docs/contract/passes.md`.

    Timing
    ------
    - Latency: `LATENCY` from `i` to `o`, of a word's first fiber.
    - Throughput: one look-up per cycle, empty ones included.
    - Combinational: `room`, `i.p` -> `i.ready`.
    - Reset: no look-up; outputs 0. The directory stays.

    Parameters
    ----------
    config
        Sizes of directory and stationary memory.

    Attributes
    ----------
    i : In(stream.Signature(word_layout(config)))
        Words.
    row_keys : In(config.key_width)
        Keys from one look-up of a word to the next; still while words are under way.
    row_step : In(config.index_width)
        Added to the offset from one to the next; likewise.
    load : In(load_layout(config))
        Where keys begin; taken in the same cycle.
    room : In(1)
        There is room for a fiber more than the one of the look-up under way.
    o : Out(stream.Signature(fiber_layout(config), always_ready=True))
        Fibers, in order.
    active : Out(1)
        A look-up is under way.
    """

    LATENCY = latencies.RANGE_LATENCY

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        super().__init__(
            {
                "i": In(stream.Signature(word_layout(config))),
                "row_keys": In(config.key_width),
                "row_step": In(config.index_width),
                "load": In(load_layout(config)),
                "room": In(1),
                "o": Out(stream.Signature(fiber_layout(config), always_ready=True)),
                "active": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, word = self.config, self.i.p

        # -- one key range per cycle
        key = Signal(config.key_width)
        offset = Signal(config.index_width)
        row = Signal(ROWS_WIDTH)
        resumed = Signal()
        next_key = Signal.like(key, reset_less=True)
        next_offset = Signal.like(offset, reset_less=True)
        is_mac = word.kind == WordKind.MAC
        last = ~is_mac | (row == word.rows)
        takes = self.i.valid & self.room
        m.d.comb += [
            key.eq(Mux(resumed, next_key, word.key)),
            offset.eq(Mux(resumed, next_offset, word.offset)),
            self.i.ready.eq(self.room & last),
        ]
        with m.If(takes):
            m.d.sync += [
                row.eq(Mux(last, 0, row + 1)),
                resumed.eq(~last),
                next_key.eq(key + self.row_keys),
                next_offset.eq(offset + self.row_step),
            ]

        # -- the directory, twice
        bounds = []
        for name, addr in (("low", key), ("high", key + word.span)):
            m.submodules[name] = starts = Ram(
                shape=config.entry_width, depth=config.directory_depth
            )
            write, read = starts.write, starts.read
            m.d.comb += [
                write.addr.eq(self.load.key),
                write.data.eq(self.load.start),
                write.en.eq(self.load.key_en),
                read.addr.eq(addr),
                read.en.eq(takes & is_mac),
            ]
            bounds.append(read.data)

        # -- what it said
        found = Signal.like(word, reset_less=True)  # `active` tells whether it counts
        m.d.sync += self.active.eq(takes)
        with m.If(takes):
            m.d.sync += [
                found.kind.eq(word.kind),
                found.job_end.eq(word.job_end),
                found.value.eq(word.value),
                found.offset.eq(offset),
            ]
        m.d.comb += [
            self.o.p.kind.eq(found.kind),
            self.o.p.job_end.eq(found.job_end),
            self.o.p.start.eq(bounds[0]),
            self.o.p.end.eq(bounds[1]),
            self.o.p.value.eq(found.value),
            self.o.p.offset.eq(found.offset),
            self.o.valid.eq(
                self.active & ((found.kind != WordKind.MAC) | (bounds[0] != bounds[1]))
            ),
        ]
        return m
