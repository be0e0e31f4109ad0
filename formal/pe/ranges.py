"""Ranges of keys: each is looked up once, in order, and becomes the fiber of the directory."""

from __future__ import annotations

from amaranth.hdl import Mux, Signal, Value
from amaranth.lib import data

from formal.checker import Checker, Follower, Ring, total
from gscn.array import ArrayConfig
from gscn.hw.array_layouts import WordKind, fiber_layout
from gscn.hw.pe.ranges import RangeLookup


def _found_layout(config: ArrayConfig) -> data.StructLayout:
    """Return what is known of a fiber: `known` if its bounds are those of the keys followed."""
    return data.StructLayout({"fiber": fiber_layout(config), "known": 1})


def _is_of(fiber: data.View, found: data.View) -> Value:
    """Return whether a fiber is of the word that was looked up."""
    is_mac = found.fiber.kind == WordKind.MAC
    same = (fiber.value == found.fiber.value) & (fiber.offset == found.fiber.offset)
    return (fiber.kind.as_value() == found.fiber.kind.as_value()) & (~is_mac | same)


def _is_between(fiber: data.View, found: data.View) -> Value:
    """Return whether a fiber has the bounds of the keys followed, if it is of these."""
    same = (fiber.start == found.fiber.start) & (fiber.end == found.fiber.end)
    return ~found.known | (same & (fiber.start != fiber.end))


def _is_mark(fiber: data.View, found: data.View) -> Value:
    """Return whether a fiber is the MARK or END that was looked up, if it was one."""
    return (found.fiber.kind == WordKind.MAC) | (fiber.job_end == found.fiber.job_end)


class RangeLookupChecker(Checker):
    """Walk the ranges of each word beside a `RangeLookup`; follow two keys and one fiber, any.

    As any range begins at one key and ends at another, the two stand for all of them.

    Assumed: a word is held until it is taken; a key is not written in the cycle in which it is
    read. The directory starts with anything; a key's entry is compared from when it is first
    written on.
    """

    CLAIMS = {
        "taken": "a word is taken with its last range, and each range is looked up, in order, in "
        "the first cycle in which there is room: none twice, none left out",
        "order": "fibers leave in the order of their look-ups, none lost, none twice and none "
        "without one, from `LATENCY` cycles after it on, with value and offset of its range",
        "range": "a fiber goes from the entry at which the range's first key begins to the one at "
        "which the key behind its last one does, and there is one exactly if they differ",
        "marks": "MARK and END pass in their places, as they are",
        "held": "`o` is held, its payload unchanged, until it is taken",
        "room": "there are never more look-ups under way and fibers queued than places; no row is "
        "written that the memory has not, that has a fiber that counts, or that is read for the "
        "next cycle",
        "active": "`active` is high exactly while a look-up is under way or a fiber queued",
    }

    dut: RangeLookup

    def describe(self) -> None:
        """State which ranges are looked up, and what comes of each."""
        dut, m, depth = self.dut, self.m, self.dut.config.fiber_depth
        decided = dut.LATENCY - 1  # cycles from a look-up until it is known whether it counts
        room = self.probe.signal("room")
        looks_up, stored = dut.i.valid & room, Signal(range(depth + 2))
        seen, low, high, last = self._look_up(looks_up)
        answers, decides = (
            self.delayed(looks_up, cycles, name=f"looked_up{cycles}") for cycles in (1, decided)
        )
        under_way = total([answers, decides, stored])
        self.claim(
            "taken",
            ~dut.i.valid | ((room == (under_way < depth)) & (dut.i.ready == (room & last))),
        )

        # the fiber of the look-up that is decided on now
        found = Signal(_found_layout(dut.config), name="found_now")
        then = fiber_layout(dut.config)(self.delayed(Value.cast(seen), decided, name="then"))
        (known_low, start), (known_high, end) = (
            self._followed(name, looks_up & (seen.kind == WordKind.MAC), at, decided)
            for name, at in (("low", low), ("high", high))
        )
        m.d.comb += [
            found.fiber.eq(then),
            found.fiber.start.eq(start),
            found.fiber.end.eq(end),
            found.known.eq(known_low & known_high & (then.kind == WordKind.MAC)),
        ]
        counts, leaves = self.probe.signal("counts"), dut.o.valid & dut.o.ready
        m.d.sync += stored.eq(stored + counts - leaves)

        free, first = self._queue(stored, counts, leaves, found)
        leaving, o = _found_layout(dut.config)(first.word), dut.o.p
        for name, value in {
            "answers": answers, "compared": decides, "level": stored, "free": depth - under_way
        }.items():  # fmt: skip
            self.invariant(self.probe.signal(name) == value)
        self.claim(
            "order",
            (dut.o.valid == (stored != 0))
            & (~counts | decides)
            & (~first.is_next | _is_of(o, leaving)),
        )
        self.claim(
            "range",
            (~(decides & found.known) | (counts == (start != end)))
            & (~first.is_next | _is_between(o, leaving)),
        )
        is_mark = then.kind != WordKind.MAC
        self.claim(
            "marks",
            (~(decides & is_mark) | counts) & (~first.is_next | _is_mark(o, leaving)),
        )
        self.claim("held", self.held(dut.o, name="o"))
        self.claim("room", (under_way <= depth) & free)
        self.claim("active", dut.active == (under_way != 0))
        self.reach(
            first.is_next & leaving.known & (o.start > o.end) & (under_way == depth) & ~counts
        )

    def _look_up(self, looks_up: Value) -> tuple[data.View, Signal, Value, Signal]:
        """State which ranges are looked up.

        Return what a fiber has of the word, the range's first key, the one behind its last, and
        whether it is the last range of its word.
        """
        dut, m, word = self.dut, self.m, self.dut.i.p
        is_mac = word.kind == WordKind.MAC
        number, key, last = Signal.like(word.rows), Signal.like(word.key), Signal()
        next_key, offset = Signal.like(key), Signal.like(word.offset)
        seen = Signal(fiber_layout(dut.config), name="seen")
        m.d.comb += [
            key.eq(Mux(number == 0, word.key, next_key)),
            last.eq(~is_mac | (number == word.rows)),
            seen.kind.eq(word.kind),
            seen.job_end.eq(word.job_end),
            seen.value.eq(word.value),
            seen.offset.eq(Mux(number == 0, word.offset, offset + dut.row_step)),
        ]
        begun = Signal.like(word, name="begun")
        with m.If(looks_up):
            m.d.sync += [
                begun.eq(word),
                number.eq(Mux(last, 0, number + 1)),
                next_key.eq(key + dut.row_keys),
                offset.eq(seen.offset),
            ]
        same = Value.cast(word) == Value.cast(begun)
        self.assume((number == 0) | (dut.i.valid & same))
        self.invariant((number == 0) | ((begun.kind == WordKind.MAC) & (number <= begun.rows)))
        probe, resumed = self.probe, self.probe.signal("resumed")
        self.invariant((probe.signal("row") == number) & (resumed == (number != 0)))
        before = word.shape()(probe.signal("found")).offset
        self.invariant(~resumed | ((probe.signal("next_key") == next_key) & (before == offset)))
        return seen, key, (key + word.span)[: len(key)], last

    def _followed(self, name: str, reads: Value, at: Value, decided: int) -> tuple[Value, Value]:
        """Return whether what is decided on now is of the key followed, and what that has."""
        m, load = self.m, self.dut.load
        place = self.any_constant(len(load.key), name=f"{name}_place")
        known, start = Signal(name=f"{name}_known"), Signal.like(load.start, name=f"{name}_start")
        ours = reads & (at == place)
        writes = load.key_en & (load.key == place)
        self.assume(~(writes & ours))
        with m.If(writes):
            m.d.sync += [known.eq(1), start.eq(load.start)]
        stored = self.probe.row(name, place, len(start), name=f"{name}_stored")
        self.invariant(~known | (stored == start))
        return (
            self.delayed(ours & known, decided, name=f"{name}_read"),
            self.delayed(start, decided, name=f"{name}_then"),
        )

    def _queue(
        self, stored: Signal, counts: Value, leaves: Value, found: data.View
    ) -> tuple[Value, Follower]:
        """Follow a fiber through the queue.

        Return whether what is written is free for it, and the follower.
        """
        dut, probe, depth = self.dut, self.probe, self.dut.config.fiber_depth
        layout = fiber_layout(dut.config)
        place, read_place = probe.signal("place"), probe.signal("read_place")
        reads, written, writes = probe.ports("fibers")  # before rows are looked at
        queue = Ring(
            self,
            name="fibers",
            rows=depth,
            most=depth,
            level=stored,
            produce=place,
            consume=read_place,
            read=lambda addr, name: probe.row("fibers", addr, layout.size, name=name),
        )
        follower = Follower(
            self,
            name="fiber",
            enters=counts,
            word=Value.cast(found),
            ahead=stored,
            leaves=leaves,
        )
        kept, known = layout(queue.row(follower.ahead)), _found_layout(dut.config)(follower.word)
        self.invariant(
            ~follower.inside
            | ((follower.ahead < stored)
               & _is_of(kept, known)
               & _is_between(kept, known)
               & _is_mark(kept, known))
        )  # fmt: skip
        self.invariant((stored == 0) | (Value.cast(dut.o.p) == queue.row(0)))

        # written is a row behind all that count; what is read for the next cycle was there before
        of_ours = follower.inside & (written == queue.address(follower.ahead))
        overwrites = of_ours | (follower.enters & (written == place))
        collides = (written == reads) & (stored + counts != leaves)
        return ~writes | ((written < depth) & ~overwrites & ~collides), follower
