"""The window: what words under way may read is not written again before its chunk is forgotten."""

from __future__ import annotations

from amaranth.hdl import Cat, Mux, Signal, Value

from formal.checker import Checker, Queue, total
from gscn.hw.array_layouts import LOAD_LANES
from gscn.hw.cluster.window import WindowLoader


class WindowLoaderChecker(Checker):
    """Follow one entry and one key, any, from where they are written until they are forgotten.

    Jobs, reports and items are any. Assumed: `s_keys` stays, and a strip has at most as many
    positions; the last item of a strip is the last of a position, and no item has more nonzeros
    than are written at once. When a chunk is finished is left to tests, and so are offsets.
    """

    CLAIMS = {
        "entries": "an entry is written once, with its value, behind the one before, and not again "
        "before its chunk is forgotten",
        "keys": "nor is a key, with the number of the first entry that is not before it, but that "
        "the key behind a chunk's last may be written again with the same number",
        "forgets": "chunks are forgotten one by one, from the oldest on, each after it was loaded, "
        "while others are finished, and while no item is taken",
        "chunks": "`chunks` counts the strips that are loaded",
    }

    dut: WindowLoader

    def describe(self) -> None:
        """State where in the rings each chunk lies."""
        dut, m, probe, config = self.dut, self.m, self.probe, self.dut.config
        self._keys = keys = self.any_constant(len(dut.d.s_keys), name="s_keys")
        self._most = config.chunks_depth
        self._ends = Queue(self, "ends", depth=self._most, width=config.entry_width)
        self.assume((dut.d.s_keys == keys) & (keys != 0) & (keys < config.directory_depth))
        item, opened = dut.items.p, probe.signal("open")
        loaded, freed, frees = (probe.signal(name) for name in ("loaded", "freed", "frees"))
        takes = dut.items.valid & dut.items.ready
        closes, closed = takes & item.ends_strip, Signal()
        at = Signal.like(keys, name="position")  # in the chunk that is being loaded
        with m.If(~opened):
            m.d.sync += at.eq(0)
        with m.Elif(takes):
            m.d.sync += at.eq(at + item.ends_position)
        m.d.sync += closed.eq(closes)
        self.assume(item.count <= LOAD_LANES)
        self.assume(~item.ends_strip | item.ends_position)
        self.assume(~(opened & item.ends_position & (at + 1 == keys)) | item.ends_strip)
        self.invariant(Mux(opened, at < keys, at <= keys))
        self.invariant(~opened | ~closed)
        self.invariant(opened | closed | (at == 0))
        self.invariant((loaded - freed)[: len(loaded)] == self._ends.level)
        self._relate_ends(opened, closed)
        chunk = Signal.like(loaded, name="chunk_written")
        m.d.comb += chunk.eq(loaded - closed)
        self._freed, self._forgets, self._chunk, self._opened = freed, frees, chunk, opened
        written = self._written(takes)
        self._entries(written)
        self._keys_stay(written, at, closed)
        some = (freed != probe.signal("finished")) & (self._ends.level != 0)
        self.claim("forgets", ~frees | (some & ~takes))
        strips = Signal.like(loaded, name="strips")
        m.d.sync += strips.eq(strips + closes)
        self.claim("chunks", dut.chunks == strips)
        self.invariant(loaded == strips)
        self.reach(frees & (freed == 1) & (self._ends.row(0) < probe.signal("oldest_entry")))

    def _behind(self, entry: Value) -> Value:
        """Return how far an entry lies behind the oldest one."""
        return (entry - self.probe.signal("oldest_entry"))[: len(entry)]

    def _relate_ends(self, opened: Signal, closed: Signal) -> None:
        """State that chunks lie one behind the other."""
        used, level = self._behind(self.probe.signal("entry")), self._ends.level
        before = 0
        for place in range(self._most):
            end = self._behind(self._ends.row(place))
            self.invariant((level <= place) | ((end >= before) & (end <= used)))
            self.invariant(opened | (level != place + 1) | (end == used))
            before = end
        self.invariant(opened | (level != 0) | (used == 0))
        self.invariant(~opened | (level < self._most))
        self.invariant(~closed | (level != 0))

    def _written(self, takes: Value) -> Signal:
        """Return the number of the first entry that is written now, counted round the ring."""
        m, load, item = self.m, self.dut.load, self.dut.items.p
        taken = Signal.like(load.entry_addr, name="taken")
        written = Signal.like(taken, name="written")
        m.d.sync += written.eq(taken)
        with m.If(takes):
            m.d.sync += taken.eq(taken + item.count)
        self.invariant(taken == self.probe.signal("entry"))
        self._taken = taken
        return written

    def _follow(self, name: str, written: Value) -> tuple[Signal, Signal, Value]:
        """Return whether what is written now is followed, is there, and its chunk's place."""
        m = self.m
        inside, enters = Signal(name=f"{name}_inside"), Signal(name=f"{name}_enters")
        chunk = Signal.like(self._chunk, name=f"{name}_chunk")
        place = (chunk - self._freed)[: len(chunk)]
        now = Mux(inside, chunk, self._chunk)
        forgotten = self._forgets & (now == self._freed)
        m.d.comb += enters.eq(written & self.any_value(1, name=f"{name}_chosen") & ~inside)
        with m.If(forgotten):
            m.d.sync += inside.eq(0)
        with m.Elif(enters):
            m.d.sync += [inside.eq(1), chunk.eq(self._chunk)]
        level = self._ends.level
        self.invariant(~inside | ((place <= level) & (self._opened | (place != level))))
        return inside, enters, place

    def _entries(self, written: Signal) -> None:
        """Follow an entry."""
        dut, m, load = self.dut, self.m, self.dut.load
        lane = self.any_constant((LOAD_LANES - 1).bit_length(), name="lane")
        inside, enters, place = self._follow("entry", load.entry_en.bit_select(lane, 1))
        at = Signal.like(written, name="at")
        with m.If(enters):
            m.d.sync += at.eq(load.entry_addr + lane)
        behind, begin, end = self._behind(at), Value.cast(0), self._behind(self._taken)
        for number in range(self._most):
            row = self._behind(self._ends.row(number))
            end = Mux((place == number) & (self._ends.level > number), row, end)
            begin = Mux(place == number + 1, row, begin)
        self.invariant(~inside | ((begin <= behind) & (behind < end)))
        again = Cat(
            load.entry_en[number] & ((load.entry_addr + number)[: len(at)] == at)
            for number in range(LOAD_LANES)
        )
        item = dut.items.p
        count = self.delayed(Mux(dut.items.valid & dut.items.ready, item.count, 0), 1, name="count")
        values = self.delayed(Cat(*item["values"]), 1, name="values")
        given = Cat(one.value for one in load.entries)
        right = (
            (load.entry_en == (1 << count) - 1)
            & ((count == 0) | (load.entry_addr == written))
            & ((count != LOAD_LANES) | (given == values))
            & ((count == 0) | (given[: len(given) // 2] == values[: len(values) // 2]))
        )
        self.invariant(right)
        self.claim("entries", right & (~inside | ~again.any()))

    def _keys_stay(self, written: Signal, at: Signal, closed: Signal) -> None:
        """Follow a key."""
        m, probe, load, level = self.m, self.probe, self.dut.load, self._ends.level
        keys, base, used = self._keys, probe.signal("base"), probe.signal("keys_used")

        def keys_of(chunks):
            return total([Mux(chunks > n, keys, 0) for n in range(self._most)])

        complete = keys_of(level)
        self.invariant(used == complete + Mux(self._opened, keys, 0))
        self.invariant(used < self.dut.config.directory_depth)
        self.invariant(~self._opened | (probe.signal("key") == (base + at)[: len(base)]))
        place_now = (base + at - Mux(closed, keys, 0))[: len(base)]
        right = ~load.key_en | ((load.key == place_now) & (load.start == self._taken))
        self.invariant(right & (~load.key_en | self._opened | closed))

        inside, enters, place = self._follow("key", load.key_en)
        key, start, number = Signal.like(base), Signal.like(load.start), Signal.like(at)
        with m.If(enters):
            m.d.sync += [key.eq(load.key), number.eq(at), start.eq(load.start)]
        where = keys_of(place) + number
        there = (key - (base - complete))[: len(key)] == where[: len(key)]
        end = self._taken
        for row in range(self._most):
            end = Mux((place == row) & (level > row), self._ends.row(row), end)
        self.invariant(
            ~inside
            | (there & (number <= keys) & ((place != level) | (number <= at))
               & ((number != keys) | ((place != level) & (start == end))))
        )  # fmt: skip
        again = load.key_en & (load.key == key)
        self.claim("keys", right & (~inside | ~again | (load.start == start)))
