"""Rows of sums become rows of results, each once, in order, rounded and with its address."""

from __future__ import annotations

from collections.abc import Iterable

from amaranth.hdl import Cat, Signal, Value, ValueLike

from formal.checker import Checker, Follower, total
from formal.stand_ins import Free, Piped
from gscn.formats import NUMBER_FORMATS
from gscn.hw.cluster.result_writer import FLOAT_RESULT_SLOTS, RESULT_SLOTS
from gscn.hw.cluster.results import Results
from gscn.hw.cluster.walk import TileWalk
from gscn.hw.pe.float_rounding import FloatRounder
from gscn.hw.pe.rounding import Rounder
from gscn.records import MOST_SHIFT
from gscn.window import MOST_TOP


def _same(pairs: Iterable[tuple[ValueLike, ValueLike]]) -> Value:
    """Return whether each port has its value."""
    return Cat(Value.cast(port) == Value.cast(value) for port, value in pairs).all()


class ResultsChecker(Checker):
    """Follow one row, any, through rounders that say anything of it.

    The walk goes anywhere and ends at any time; a rounder shows what it says of a sum `LATENCY`
    cycles of `en` later. Assumed: a job begins when there are no rows, and none comes in that
    cycle; the walk is where it was until it begins or goes on; the pass's shift, window and formats
    are legal.
    """

    CLAIMS = {
        "given": "the rounders of a lane have, in each cycle, the lane's sum with all that belongs "
        "to it, the pass's shift, window and formats, and those of floats the integer of their "
        "lane; all move as one",
        "walk": "the walk has the counts and the address of the job and the pass's steps, a row as "
        "many bytes as its format takes; it begins a cycle after a job, and goes on in the next "
        "cycle and with each row that leaves",
        "order": "rows leave in the order in which they came, each once",
        "results": "a lane's result is what its rounder said of the row's sum",
        "place": "a row leaves with the address of where the walk went on last, and as the job's "
        "last if that is it; it says of its beat how it lies to that where the walk went on before",
        "written": "`written` is high as a last row leaves, and only then",
        "told": "what a rounder said of a row, that it was saturated or not finite, is told in the "
        "cycle after the row left, and only then",
        "taken": "a row is accepted unless one is offered that is not taken",
        "prompt": "a row is offered `LATENCY` cycles after it came, `FLOAT_LATENCY` with float "
        "formats, those not counted in which one is offered that is not taken",
        "held": "what is offered is held until it is taken",
    }
    STAND_INS = {TileWalk: Free, Rounder: Piped, FloatRounder: Piped}

    dut: Results

    def describe(self) -> None:
        """State which rows there are, and where the one followed is."""
        dut, m = self.dut, self.m
        latency = dut.FLOAT_LATENCY if dut.config.floats else dut.LATENCY
        rounders = self.parts[FloatRounder if dut.config.floats else Rounder]
        there, waits, leaves = Signal(range(latency + 1)), Signal(), Signal()
        enters = dut.i.valid & dut.i.ready
        m.d.comb += [waits.eq(dut.o.valid & ~dut.o.ready), leaves.eq(dut.o.valid & dut.o.ready)]
        m.d.sync += there.eq(there + enters - leaves)
        row = Follower(
            self,
            name="row",
            enters=enters,
            word=Cat(one.says for one in rounders),
            ahead=there,
            leaves=leaves,
        )
        flags = ("saturated", "nonfinite") if dut.config.floats else ("saturated",)
        said = [rounders[0].says.shape()(word) for word in self._lanes(row.word)]

        self._give()
        self._walk(there, leaves)
        self.claim("order", ~leaves | (there != 0))
        results = Cat(one.o for one in said)
        self.claim("results", ~(row.is_next & dut.o.valid) | (Cat(dut.o.p.results) == results))
        self.claim("written", dut.written == (leaves & dut.o.p.last))
        self.claim("taken", dut.i.ready == ~waits)
        self.claim("held", self.held(dut.o, name="o"))

        left = self.delayed(row.is_next & leaves, 1, name="left")
        any_left = self.delayed(leaves, 1, name="any_left")
        told = []
        for flag in flags:
            tells = self.delayed(Cat(one[flag] for one in said).any(), 1, name=f"tells_{flag}")
            tell = getattr(dut, flag)
            told.append((~left | (tell == tells)) & (any_left | ~tell))
        self.claim("told", Cat(told).all())

        age = Signal(range(latency + 2))
        with m.If(row.enters):
            m.d.sync += age.eq(1)
        with m.Elif(row.inside & ~waits):
            m.d.sync += age.eq(age + 1)
        offered = row.is_next & dut.o.valid
        self.claim("prompt", ~row.inside | ((age <= latency) & (offered == (age == latency))))

        flight = self.probe.signal("flight")
        self.invariant(there == total(list(flight)))
        # the walk goes on by itself before the job's first row can be offered
        self.invariant(~self.probe.signal("begins") | (flight == 0))
        self.invariant(~self.probe.signal("begun") | (flight[1:] == 0))
        self.invariant(~row.inside | ((age >= 1) & (age <= latency)))
        for place in range(latency):
            stage = Cat(one.stages[place] for one in rounders)
            before = total(list(flight[place + 1 :]))
            self.invariant(
                ~(row.inside & (age == place + 1))
                | (flight[place] & (row.ahead == before) & (stage == row.word))
            )
        self.reach(offered & waits & (there == latency) & dut.o.p.last)

    def _lanes(self, word: Value) -> list[Value]:
        lanes = self.dut.config.drain_width
        bits = len(word) // lanes
        return [word[lane * bits : (lane + 1) * bits] for lane in range(lanes)]

    def _give(self) -> None:
        """Claim what the rounders are given."""
        dut, d, given = self.dut, self.dut.d, []
        integers, floats = self.parts[Rounder], self.parts[FloatRounder]
        self.assume((d.shift <= MOST_SHIFT) & (d.window <= MOST_TOP))
        self.assume(d.number_format < len(NUMBER_FORMATS))
        for lane, one in zip(dut.i.p, integers, strict=True):
            given += [
                (one.i, lane.sum),
                (one.shift, d.shift),
                (one.out_format, d.out_format),
                (one.en, dut.i.ready),
            ]
        if dut.config.floats:
            for lane, integer, one in zip(dut.i.p, integers, floats, strict=True):
                given += [
                    (one.i, lane.sum),
                    (one.i_special, lane.special),
                    (one.integer, integer.o),
                    (one.integer_saturated, integer.saturated),
                    (one.mode.number_format, d.number_format),
                    (one.mode.window, d.window),
                    (one.out_format, d.out_format),
                    (one.en, dut.i.ready),
                ]
        given.append((dut.out_format, d.out_format))
        self.claim("given", _same(given))

    def _walk(self, there: Value, leaves: Value) -> None:
        """Claim where rows belong."""
        dut, d, config = self.dut, self.dut.d, self.dut.config
        (walk,) = self.parts[TileWalk]
        slots = RESULT_SLOTS | (FLOAT_RESULT_SLOTS if config.floats else {})
        taken = Signal(range(8 * config.drain_width + 1))  # bytes
        self.assume(Cat(d.out_format == one.value for one in slots).any())
        for one, count in slots.items():
            with self.m.If(d.out_format == one.value):
                self.m.d.comb += taken.eq(2 * count * config.drain_width)
        self.assume(~dut.begin | ((there == 0) & ~dut.o.valid & ~dut.i.valid))
        where = Cat(walk.place, walk.last)
        before = Signal(len(where), name="where_before")
        self.m.d.sync += before.eq(where)
        moved = self.delayed(walk.begin | walk.en, 1, name="moved")
        self.assume(moved | (where == before))
        given = [
            (walk.first, dut.tile.out_addr),
            (walk.run, d.run),
            (walk.item, taken),
            (walk.col, d.pixel_bytes[: config.addr_width]),
            (walk.row, d.row_bytes[: config.addr_width]),
            (walk.sample, d.sample_bytes[: config.addr_width]),
            (walk.tile, dut.tile),
            (walk.begin, self.delayed(dut.begin, 1, name="begins")),
            (walk.en, leaves | self.delayed(dut.begin, 2, name="begun")),
        ]
        self.claim("walk", _same(given))

        low, burst = config.mem_bytes.bit_length() - 1, config.burst_beats
        at, last, turns, follows = Signal.like(walk.place), Signal(), Signal(), Signal()
        beat, before_it = walk.place[low:], at[low:]
        with self.m.If(walk.en):
            self.m.d.sync += [
                Cat(at, last).eq(where),
                turns.eq(beat != before_it),
                follows.eq((beat == before_it + 1) & (beat % burst != 0)),
            ]
        row = dut.o.p
        self.claim(
            "place",
            _same(((row.addr, at), (row.last, last), (row.turns, turns), (row.follows, follows))),
        )
