"""The rows of a job are read, added and sent on once each, in order; then the job is over, once."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Array, Cat, Const, Mux, Signal, Value, signed
from amaranth.lib.data import View

from formal.checker import Checker, Follower, joined, total
from formal.stand_ins import Free
from gscn.hw.array_layouts import sum_rows
from gscn.hw.cluster.summing import SummingDrain
from gscn.hw.cluster.walk import TileWalk
from gscn.hw.fifo import StreamFIFO
from gscn.latencies import team_sum_cycles


class SummingDrainChecker(Checker):
    """Count the rows of a job that are read and that have left, and follow one of them, any.

    The walk goes anywhere and ends at any time; queues hold what they offer until it is taken.
    Assumed: PEs show the row that was read last; each finishes a job only after it was announced,
    `TILES` + 1 at most that are not over; `written` comes when all rows of a head have left.
    """

    CLAIMS = {
        "clear": "after reset all rows of one bank, then of the other, are read once; "
        "`initialized` says so from then on, and no job has begun before",
        "begin": "a job begins as soon as all PEs have finished it and the one before is over; "
        "`busy` while any has finished one that is not over",
        "walk": "the walk has the counts of the job and the pass's steps, in rows, from row 0 on",
        "rows": "from there to the end of the walk a row is read in each step of it, where it is, "
        "in the job's bank; each job has the other bank, and `freed` follows its last row, once",
        "order": "rows leave in the order in which they were read, each once, of a head by `o`, "
        "else to the cluster before",
        "sum": "what leaves is the sum of the PEs' rows, and of the next row of the cluster behind "
        "unless this one is its team's last",
        "chain": "a row of the cluster behind is taken for each row of a job, of a last one none",
        "over": "a job is over, and forgotten, once: when its last row has left, or if it is a "
        "head's when all is written",
        "overflow": "a sum that is not the exact one has been told in the cycle after it leaves",
        "prompt": "a row leaves within as many cycles as there may be rows under way "
        "and one more, those not counted in which it waits to be taken or for the cluster behind; "
        "until the walk ends, one is read unless two wait, for that cluster or behind a total",
        "held": "what is offered to results is held until it is taken",
        "held_chain": "so is what is offered to the cluster before",
    }
    STAND_INS = {TileWalk: Free, StreamFIFO: Free}

    dut: SummingDrain

    def describe(self) -> None:
        """State how far clearing is, and a job."""
        dut, m = self.dut, self.m
        (walk,), (tiles, chain) = self.parts[TileWalk], self.parts[StreamFIFO]
        self.assume(self.held(tiles.o, name="tiles"))
        self.assume(self.held(chain.o, name="chain"))
        self._tile, self._walk, self._chain = tiles.o.p, walk, chain.o
        self._levels = team_sum_cycles(dut.config.pes) - 1
        self._walking, self._finishing = Signal(), Signal()
        self._under_way = Signal(range(self._levels + 4))
        """Rows that were read and have not left."""
        self._leaves = Signal()
        m.d.comb += self._leaves.eq(
            (dut.o.valid & dut.o.ready) | (dut.chain_o.valid & dut.chain_o.ready)
        )
        clearing = self._clear()
        over = Signal()
        self._count_jobs(clearing, over, tiles)
        asks = Signal()
        m.d.comb += asks.eq(self._walking & dut.drain.en)
        self._look_at_rows(clearing, asks, over)
        m.d.sync += self._under_way.eq(self._under_way + asks - self._leaves)
        last_leaves = self._leaves & (self._under_way == 1)
        m.d.comb += over.eq(self._finishing & Mux(self._tile.head, dut.written, last_leaves))
        self.assume(~dut.written | (self._finishing & (self._under_way == 0)))
        self.claim(
            "over",
            (tiles.o.ready == over)
            & (dut.done == self.delayed(over, 1, name="over"))
            & (~over | (self._under_way == last_leaves)),
        )
        self._follow(asks)
        self._look_inside()
        self.claim("held", self.held(dut.o, name="o"))
        self.claim("held_chain", self.held(dut.chain_o, name="chain_o"))
        self.reach(over & self._tile.head & ~self._tile.last & dut.drain.bank)

    # -- jobs

    def _clear(self) -> Value:
        """Claim that banks are cleared; return whether they still are."""
        dut, m, signal = self.dut, self.m, self.probe.signal
        rows = sum_rows(dut.config)
        number = Signal(range(2 * rows + 1), name="cleared_rows")
        clearing, second = Signal(), Signal()
        m.d.comb += [clearing.eq(number != 2 * rows), second.eq(number >= rows)]
        m.d.sync += number.eq(number + clearing)
        row = (number - Mux(second, rows, 0))[: len(dut.drain.row)]
        right = dut.drain.en & (dut.drain.bank == second) & (dut.drain.row == row)
        self.claim(
            "clear",
            Mux(clearing, right & ~dut.begin, Const(1)) & (dut.initialized == ~clearing),
        )
        self.invariant(number <= 2 * rows)
        self.invariant(signal("clears_left") == Mux(clearing, 2 - second, 0))
        self.invariant(~clearing | ((signal("clear_row") == row) & (dut.drain.bank == second)))
        self._cleared = clearing & ((number == rows - 1) | (number == 2 * rows - 1))
        return clearing

    def _count_jobs(self, clearing: Value, over: Value, tiles: Free) -> None:
        """Claim when a job begins."""
        dut, m, most = self.dut, self.m, self.dut.TILES + 1
        counts = []
        for number, end in enumerate(dut.job_end):
            count = Signal(range(most + 1), name=f"finished{number}")
            m.d.sync += count.eq(count + end - over)
            self.assume(count + end <= most + over)
            self.invariant(self.probe.signal(f"ends{number}") == count)
            self.invariant(~(self._walking | self._finishing) | (count != 0))
            counts.append(count != 0)
        waiting = ~clearing & ~self._walking & ~self._finishing
        begin = waiting & Cat(counts).all()
        self.assume(~begin | tiles.o.valid)
        self.invariant(~(self._walking | self._finishing) | tiles.o.valid)
        self.claim(
            "begin",
            (dut.begin == begin)
            & (self._walk.begin == begin)
            & (dut.busy == (~waiting | Cat(counts).any()))
            & (Value.cast(dut.tile) == Value.cast(tiles.o.p))
            & self._announced(tiles),
        )
        ends = self._walking & dut.drain.en & self._walk.last
        m.d.sync += [
            self._walking.eq(begin | (self._walking & ~ends)),
            self._finishing.eq(ends | (self._finishing & ~over)),
        ]
        states = self.probe.states()
        self.invariant(states["CLEAR"] == clearing)
        self.invariant(states["WALK"] == self._walking)
        self.invariant(states["FINISH"] == self._finishing)
        self.invariant(states["WAIT"] == waiting)
        tile, begun = tiles.o.p, self._walking | self._finishing
        self.invariant(~begun | (self.probe.signal("head") == tile.head))
        self.invariant(~begun | (self.probe.signal("last") == tile.last))

    def _announced(self, tiles: Free) -> Value:
        """Return whether each job is given to the queue as it has room, from a cycle later on."""
        announced, queued, m = self.dut.tiles, tiles.i, self.m
        waits, job = Signal(name="job_waits"), Signal.like(Value.cast(announced.p), name="its_job")
        with m.If(announced.ready):
            m.d.sync += [waits.eq(announced.valid), job.eq(announced.p)]
        self.invariant(self.probe.signal("waits") == waits)
        self.invariant(~waits | (self.probe.signal("newest") == job))
        return (
            (announced.ready == (~waits | queued.ready))
            & (queued.valid == waits)
            & (~waits | (Value.cast(queued.p) == job))
        )

    def _look_at_rows(self, clearing: Value, asks: Value, over: Value) -> None:
        """Claim which rows are read, and when a bank is free."""
        dut, m, walk = self.dut, self.m, self._walk
        bank, leaving = Signal(), Signal()  # of the job; its last row is to leave the PEs
        moves = Signal(name="moves_on")
        flight = self.probe.signal("flight")
        kept = self.probe.signal("kept_there")
        m.d.comb += moves.eq(~leaving | dut.drain.en | ~flight[-1] | ~kept)
        d, row_bits = dut.d, dut.config.drain_width.bit_length() - 1
        given = [
            (walk.first, 0),
            (walk.run, d.run),
            (walk.item, 1),
            (walk.col, (d.x_step >> row_bits)[: len(walk.col)]),
            (walk.row, (d.y_step >> row_bits)[: len(walk.row)]),
            (walk.sample, (d.plane >> row_bits)[: len(walk.sample)]),
            (Value.cast(walk.tile), Value.cast(self._tile)),
        ]
        self.claim("walk", Cat(port == value for port, value in given).all())
        ends = asks & walk.last
        m.d.sync += bank.eq(bank ^ ends)
        m.d.sync += leaving.eq(ends | (leaving & ~moves))
        freed = self.delayed(self._cleared, 2, name="cleared") | self.delayed(
            leaving & moves, 1, name="left"
        )
        self.claim(
            "rows",
            (dut.freed == freed)
            & (walk.en == asks)
            & (clearing | (dut.drain.en == asks))
            & (~asks | ((dut.drain.row == walk.place) & (dut.drain.bank == bank))),
        )
        self.invariant(clearing | (dut.drain.bank == bank))
        self.invariant(~clearing | ~bank)
        self.invariant(leaving == (flight[0] & self._finishing))
        self.invariant(~self._walking | ~leaving)
        cleared = self.delayed(self._cleared, 1, name="cleared_before")
        self.invariant(self.probe.signal("cleared") == cleared)

    def _enters(self) -> Value:
        """Return whether a row gets its total."""
        there = self.dut.o.valid | self.dut.chain_o.valid
        comes = self.probe.signal("flight")[-1] | self.probe.signal("kept_there")
        return comes & (self._tile.last | self._chain.valid) & (~there | self._leaves)

    # -- one row

    def _follow(self, asks: Value) -> None:
        """Claim what leaves of one row, and of one of its lanes, any."""
        dut, m, tile, chain = self.dut, self.m, self._tile, self._chain
        config = dut.config
        sums = Cat(Value.cast(one) for one in dut.sums)
        before = Signal(len(sums), name="sums_before")
        m.d.sync += before.eq(sums)
        self.assume(self.delayed(dut.drain.en, 1, name="en") | (sums == before))
        row = Follower(
            self,
            name="row",
            enters=asks,
            word=Const(0, 1),
            ahead=self._under_way,
            leaves=self._leaves,
        )
        self.claim(
            "order",
            (~self._leaves | (self._under_way != 0))
            & (~dut.o.valid | tile.head)
            & (~dut.chain_o.valid | ~tile.head),
        )
        self._lane = self.any_constant(3, name="lane")
        self.assume(self._lane < config.drain_width)
        wide = signed(config.acc_width + (config.pes - 1).bit_length() + 1)
        own, exact = Signal(wide, name="own"), Signal(wide, name="exact")
        now, now_marks = self._summed(dut.sums)
        marks, kept = Signal.like(now_marks, name="marks"), Signal.like(now_marks, name="kept")
        fresh = self.delayed(row.enters, 1, name="entered")
        m.d.sync += [own.eq(exact), kept.eq(marks)]
        m.d.comb += [exact.eq(Mux(fresh, now, own)), marks.eq(Mux(fresh, now_marks, kept))]
        # what the cluster behind adds
        there = dut.o.valid | dut.chain_o.valid
        its_turn = row.inside & (row.ahead == there)
        added, added_marks = Signal(signed(config.acc_width)), Signal.like(marks)
        behind, behind_marks = self._summed([chain.p])
        has = Signal(name="has_behind")
        with m.If(self._enters() & its_turn):
            m.d.sync += [
                added.eq(Mux(tile.last, 0, behind)),
                added_marks.eq(Mux(tile.last, 0, behind_marks)),
                has.eq(1),
            ]
        with m.Elif(~row.inside):
            m.d.sync += has.eq(0)
        told = Signal(name="told")
        tells = told | dut.overflow
        m.d.sync += told.eq(tells & ~row.enters)
        shown, shown_marks = self._summed([dut.o.p])
        right = (shown == (exact + added)[: config.acc_width].as_signed()) & (
            shown_marks == (marks | added_marks)
        )
        self.claim(
            "sum",
            (Value.cast(dut.o.p) == Value.cast(dut.chain_o.p)) & (~(row.is_next & there) | right),
        )
        queue = self.parts[StreamFIFO][1]
        self.claim(
            "chain",
            (chain.ready == (self._enters() & ~tile.last))
            & (~chain.ready | chain.valid)
            & joined(dut.chain_i, queue.i),
        )
        late = row.is_next & self._leaves & (shown != exact + added) & ~tells
        self.claim("overflow", ~self.delayed(late, 1, name="told_late") | dut.overflow)
        at_end = row.inside & there & (row.ahead == 0)
        self.invariant(~at_end | right)
        will_tell = self.probe.signal("tells")
        self.invariant(~at_end | (shown == exact + added) | tells | will_tell)
        places = self._place(row, there)
        for here, (summed, found) in places:
            self.invariant(~here | (summed[: config.acc_width] == exact[: config.acc_width]))
            self.invariant(~here | (found == marks))
            self.invariant(~here | (summed == exact) | tells | will_tell)
        self.invariant(~row.inside | (total([at_end, *(here for here, _ in places)]) == 1))
        self.invariant(~row.inside | (has == at_end))

    def _summed(self, rows: Sequence) -> tuple[Value, Value]:
        """Return the lane's sum in rows added without a limit, and its special bits in any."""
        summed = marks = Const(0, 1)
        for row in rows:
            shown = Signal(signed(self.dut.config.acc_width))
            lanes = range(self.dut.config.drain_width)
            self.m.d.comb += shown.eq(Array(row[n].sum for n in lanes)[self._lane])
            summed = summed + shown
            if self.dut.config.floats:
                marks = marks | Array(row[n].special for n in lanes)[self._lane]
        return summed, marks

    def _row(self, name: str) -> View:
        """Return a register that holds a row of sums."""
        return self.dut.o.p.shape()(self.probe.signal(name))

    def _place(self, row: Follower, there: Value) -> list[tuple[Value, tuple[Value, Value]]]:
        """Return of each place before the last whether the row is there, and what it has there."""
        dut, flight = self.dut, self.probe.signal("flight")
        kept = self.probe.signal("kept_there")
        self.invariant(there == self.probe.signal("total_there"))
        places, count = [], dut.config.pes
        for place in range(self._levels + 1):
            older = total([flight[n] for n in range(place + 1, self._levels + 1)])
            names = [f"held_sum{place - 1}_{n}" for n in range(count)]
            if place == 1:
                names = [f"held_pe{n}" for n in range(count)]
            parts = [self._row(name) for name in names] if place else dut.sums
            if place:
                count = -(-count // 4)
            here = row.inside & flight[place] & (row.ahead == older + kept + there)
            places.append((here, self._summed(parts)))
        here = row.inside & kept & (row.ahead == there)
        places.append((here, self._summed([self._row("kept")])))
        return places

    def _look_inside(self) -> None:
        """Say where rows are, and claim that they go on."""
        dut, m, signal = self.dut, self.m, self.probe.signal
        flight, there = signal("flight"), dut.o.valid | dut.chain_o.valid
        kept = signal("kept_there")
        slots = [*(flight[n] for n in range(self._levels + 1)), there]
        self.invariant(self._under_way == total(slots) + kept)
        self.invariant(self._walking | self._finishing | (self._under_way == 0))
        # a job that is no head's is over with its last row, so that one of a head has yet to be
        self.invariant(~(self._finishing & (self._under_way == 0)) | self._tile.head)
        slots[-2] = flight[-1] | kept
        waits = (there & ~self._leaves) | (slots[-2] & ~self._tile.last & ~self._chain.valid)
        patience = Signal(range(self._levels + 4))
        with m.If(self._leaves | (self._under_way == 0)):
            m.d.sync += patience.eq(0)
        with m.Elif(~waits):
            m.d.sync += patience.eq(patience + 1)
        self.claim(
            "prompt",
            (patience <= self._levels + 1) & (~self._walking | dut.drain.en | (kept & flight[-1])),
        )
        oldest = Value.cast(0)
        for number, one in enumerate(slots):
            oldest = Mux(one, number, oldest)
        self.invariant((self._under_way == 0) | (patience <= oldest))
