"""Ranges of keys: each is looked up once, in order, and becomes the fiber of the directory."""

from __future__ import annotations

from amaranth.hdl import Cat, Mux, Signal, Value

from formal.checker import Checker
from gscn.hw.array_layouts import WordKind
from gscn.hw.pe.ranges import RangeLookup


class RangeLookupChecker(Checker):
    """Walk the ranges of each word beside a `RangeLookup`; follow two keys, any, in its directory.

    As any range begins at one key and ends at another, the two stand for all of them.

    Assumed: a word is held until it is taken; what a look-up under way reads is not written. The
    directory starts with anything; a key's entry is compared from when it is first written on.
    """

    CLAIMS = {
        "taken": "a word is taken with its last range, and each range is looked up, in order, in "
        "the first cycle in which there is room: none twice, none left out",
        "order": "a fiber comes `LATENCY` cycles after its look-up, and none comes without one, "
        "with value and offset of its range",
        "range": "it goes from the entry at which the range's first key begins to the one at which "
        "the key behind its last one does, and comes exactly if they differ",
        "marks": "MARK and END pass in their places, as they are",
        "active": "`active` is high exactly while a look-up is under way",
    }

    dut: RangeLookup

    def describe(self) -> None:
        """State which ranges are looked up, and what comes of each."""
        dut, m, word = self.dut, self.m, self.dut.i.p
        is_mac = word.kind == WordKind.MAC
        number, key, offset = (
            Signal.like(word.rows),
            Signal.like(word.key),
            Signal.like(word.offset),
        )
        next_key, next_offset = Signal.like(key), Signal.like(offset)
        looks_up, last = Signal(), Signal()
        m.d.comb += [
            looks_up.eq(dut.i.valid & dut.room),
            key.eq(Mux(number == 0, word.key, next_key)),
            offset.eq(Mux(number == 0, word.offset, next_offset)),
            last.eq(~is_mac | (number == word.rows)),
        ]
        begun = Signal.like(word, name="begun")
        with m.If(looks_up):
            m.d.sync += [
                begun.eq(word),
                number.eq(Mux(last, 0, number + 1)),
                next_key.eq(key + dut.row_keys),
                next_offset.eq(offset + dut.row_step),
            ]
        same = Value.cast(word) == Value.cast(begun)
        self.assume((number == 0) | (dut.i.valid & same))
        self.invariant((number == 0) | ((begun.kind == WordKind.MAC) & (number <= begun.rows)))
        self._relate(number, next_key, next_offset)
        self.claim("taken", ~dut.i.valid | (dut.i.ready == (dut.room & last)))

        low, high = (self._followed(name, looks_up & is_mac, at) for name, at in (
            ("low", key), ("high", (key + word.span)[: len(key)])))  # fmt: skip
        # what is known of the look-up whose fiber comes now
        then = self.delayed(
            Cat(looks_up, is_mac, word.job_end, word.value, offset), dut.LATENCY, name="then"
        )
        there, was_mac, job_end = then[0], then[1], then[2]
        value, its_offset = then[3 : 3 + len(word.value)], then[3 + len(word.value) :]
        kind = self.delayed(word.kind.as_value(), dut.LATENCY, name="kind")
        o = dut.o.p
        mac = dut.o.valid & (o.kind == WordKind.MAC)
        self.claim(
            "order",
            (~dut.o.valid | (there & (o.kind.as_value() == kind)))
            & (~mac | ((o.value.as_unsigned() == value) & (o.offset == its_offset))),
        )
        (known_low, start), (known_high, end) = low, high
        compared = there & was_mac & known_low & known_high
        self.claim(
            "range",
            ~compared
            | Mux(dut.o.valid, (o.start == start) & (o.end == end) & (start != end), start == end),
        )
        self.claim("marks", ~there | was_mac | (dut.o.valid & (o.job_end == job_end)))
        under_way = [
            self.delayed(looks_up, cycles, name=f"begun{cycles}")
            for cycles in range(1, dut.LATENCY + 1)
        ]
        self.claim("active", dut.active == Cat(under_way).any())
        self.reach(compared & dut.o.valid & (o.start > o.end) & (number == 2))

    def _relate(self, number: Signal, next_key: Signal, next_offset: Signal) -> None:
        """State where the component is in a word."""
        probe = self.probe
        resumed = probe.signal("resumed")
        self.invariant(probe.signal("row") == number)
        self.invariant(resumed == (number != 0))
        self.invariant(
            ~resumed
            | ((probe.signal("next_key") == next_key)
               & (probe.signal("next_offset") == next_offset))
        )  # fmt: skip

    def _followed(self, name: str, reads: Value, at: Value) -> tuple[Value, Value]:
        """Return whether the fiber that comes now is of the key followed, and what it has."""
        dut, m, load = self.dut, self.m, self.dut.load
        place = self.any_constant(len(load.key), name=f"{name}_place")
        known, start = Signal(name=f"{name}_known"), Signal.like(load.start, name=f"{name}_start")
        ours = reads & (at == place)
        writes = load.key_en & (load.key == place)
        for cycles in range(dut.LATENCY):
            self.assume(~writes | ~self.delayed(ours, cycles, name=f"{name}_read{cycles}_ago"))
        with m.If(writes):
            m.d.sync += [known.eq(1), start.eq(load.start)]
        stored = self.probe.row(name, place, len(start), name=f"{name}_stored")
        self.invariant(~known | (stored == start))
        read = self.delayed(Cat(ours & known, start), dut.LATENCY, name=f"{name}_read")
        return read[0], read[1:]
