"""Look-up of ranges of keys: from streamed words to fibers of the stationary operand."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
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
from gscn.hw.fifo import reads_ahead
from gscn.hw.ram import Ram

COMPARED = 2
"""Bits of two bounds that are compared in the cycle in which the directory answers: as many as one
look-up table of four inputs takes."""


class RangeLookup(wiring.Component):
    """Find the entries that each word meets, as one fiber for each of its ranges of keys.

    The directory says of each key at which entry it begins, so that the entries of keys that
    follow each other lie one behind the other: from the start of the first key to that of the one
    behind the last. Both are read at once, from two copies. Keys and entries are rings. What has
    no entries is dropped; MARK and END pass, in order. What is written through `load` must not be
    what a word under way reads.

    Fibers wait in a queue, in which a look-up has its place before it is known whether it finds
    anything. What the directory answers goes into the queue as it comes, and is compared meanwhile;
    it counts a cycle later, or what is found next takes its place. So nothing is decided in the
    cycle in which a memory answers, and no bound is held but in the queue.

    Implements: keys and offsets of `docs/contract/passes.md`.

    Timing
    ------
    - Latency: `LATENCY` from `i` to `o`, not through memories. Of a word's first fiber: the
      directory answers, bounds are compared, the fiber is queued.
    - Throughput: one look-up per cycle, empty ones included; a fiber per cycle if the queue has
      more than `LATENCY` places.
    - Combinational: `i.p` -> `i.ready`.
    - Reset: no look-up, nothing queued; outputs 0, but `i.ready` = 1 for a word of one look-up. The
      directory stays.

    Parameters
    ----------
    config
        Sizes of directory and stationary memory, places of the queue.

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
    o : Out(stream.Signature(fiber_layout(config)))
        Fibers, in order.
    active : Out(1)
        A look-up is under way, or a fiber queued.
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
                "o": Out(stream.Signature(fiber_layout(config))),
                "active": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, word = self.config, self.i.p
        room = Signal()

        # -- one key range per cycle
        key = Signal(config.key_width)
        offset = Signal(config.index_width)
        row = Signal(ROWS_WIDTH)
        resumed = Signal()
        next_key = Signal.like(key, reset_less=True)
        found = Signal.like(word, reset_less=True)  # what was looked up before, without its keys
        is_mac = word.kind == WordKind.MAC
        last = ~is_mac | (row == word.rows)
        takes = self.i.valid & room
        m.d.comb += [
            key.eq(Mux(resumed, next_key, word.key)),
            offset.eq(Mux(resumed, found.offset + self.row_step, word.offset)),
            self.i.ready.eq(room & last),
        ]
        with m.If(takes):
            m.d.sync += [
                row.eq(Mux(last, 0, row + 1)),
                resumed.eq(~last),
                next_key.eq(key + self.row_keys),
                found.kind.eq(word.kind),
                found.job_end.eq(word.job_end),
                found.value.eq(word.value),
                found.offset.eq(offset),
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

        # -- what it says
        answers = Signal()
        m.d.sync += answers.eq(takes)
        fiber = Signal.like(self.o.p)
        m.d.comb += [fiber[name].eq(found[name]) for name in ("kind", "job_end", "value", "offset")]
        m.d.comb += [fiber.start.eq(bounds[0]), fiber.end.eq(bounds[1])]

        # -- whether it counts
        compared, counts = Signal(), Signal()
        differs = Signal(1 + -(-config.entry_width // COMPARED), reset_less=True)
        unequal = [
            bounds[0][start : start + COMPARED] != bounds[1][start : start + COMPARED]
            for start in range(0, config.entry_width, COMPARED)
        ]
        m.d.sync += [
            compared.eq(answers),
            differs.eq(Cat(found.kind != WordKind.MAC, *unequal)),
        ]
        m.d.comb += counts.eq(compared & differs.any())
        self._queue(m, fiber, answers, counts)

        # -- places for what is under way
        free = Signal(range(config.fiber_depth + 1), init=config.fiber_depth)
        left, leaves = Signal.like(free), self.o.valid & self.o.ready
        m.d.comb += left.eq(free + (compared & ~counts) - takes)
        # that a fiber leaves is known last
        m.d.sync += free.eq(Mux(leaves, left + 1, left))
        m.d.comb += [room.eq(free != 0), self.active.eq(free != config.fiber_depth)]
        return m

    def _queue(self, m, fiber, comes, counts):
        """Queue the fiber that comes; `counts` is of the one that came in the cycle before."""
        depth = self.config.fiber_depth
        level = Signal(range(depth + 1))
        place, read_place = Signal(range(depth)), Signal(range(depth))
        leaves = self.o.valid & self.o.ready

        def after(number):
            return Mux(number == depth - 1, 0, number + 1)

        width = len(fiber.as_value())
        ahead = reads_ahead(width, depth)
        if ahead:
            m.submodules.fibers = fibers = Ram(shape=width, depth=depth)
            write, read = fibers.write, fibers.read
        else:
            m.submodules.fibers = fibers = Memory(shape=width, depth=depth, init=[])
            write, read = fibers.write_port(), fibers.read_port(domain="comb")
        first, behind = Signal.like(read_place), Signal.like(place)
        m.d.comb += [
            first.eq(Mux(leaves, after(read_place), read_place)),
            behind.eq(Mux(counts, after(place), place)),
            write.addr.eq(behind),
            write.data.eq(fiber),
            write.en.eq(comes),  # over the one before if that does not count
            # ahead: what counts from the next cycle on was written in the one before
            read.addr.eq(first if ahead else read_place),
            self.o.p.eq(read.data),
            self.o.valid.eq(level != 0),
        ]
        m.d.sync += [level.eq(level + counts - leaves), place.eq(behind), read_place.eq(first)]
