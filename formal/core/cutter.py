"""Every result of a pass is given to a cluster exactly once, and a pass ends when all is done."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Mux, Signal, Value
from amaranth.lib import data

from formal.checker import Checker, total
from gscn.hw.core.cutter import Cutter, team_sizes
from gscn.hw.core.gangs import team_layout
from gscn.hw.core.tiles import cursor_layout
from gscn.passes import VECTOR, Mode

_FIELDS = (
    "mode", "chained", "team", "help", "s_tiles", "t_tiles", "t_groups", "t_vectors", "t_split",
    "t_strips", "samples", "tile_samples", "unit_strips", "rows", "cols", "tile_rows", "tile_cols",
    "strips_before", "strips_after", "tile_strips", "by_rows",
)  # fmt: skip
"""Of a descriptor: all that decides which job there is, addresses left out."""


class CutterChecker(Checker):
    """Follow one result's contribution, any: a stationary tile's, of one sample.

    In kernel mode it is a pixel of the result, else a channel of a strip of the stream. So it
    stands for all that a pass has to compute, whatever the sizes, and no tile has to be known.

    Assumed: a descriptor that has passed its checks, held from `start` on while `busy`; clusters
    that stay ready until they get a job; at most 15 jobs of each that are not done, and as many
    pulses of `done` as there are jobs that drain. Which strips a job of kernel mode has, and where
    results lie is left to tests.
    """

    CLAIMS = {
        "once": "no job has a contribution that another one had",
        "all": "when a pass is over some job has had each",
        "drains": "each tile of a team is drained by each of its members, once: by one with its "
        "last unit, by the others after it, to the same results; and before its next tile's last",
        "place": "a job that drains is its team's first, or last, exactly if its cluster is",
        "end": "when a pass is over, all jobs that drain are done, all bursts have been answered; "
        "beyond that there is no job",
        "room": "a job is given to one cluster, which takes it at once",
    }

    dut: Cutter

    def describe(self) -> None:
        """State how cursors and teams hang together with what has been given."""
        dut, m, probe = self.dut, self.m, self.probe
        self._clusters = clusters = dut.config.clusters
        state = probe.signal("fsm_state")
        names = {state.decoder(n).split("/")[0]: n for n in range(5)}
        self._idle, self._chooses, self._looks, self._seeks, self._gives = (
            state == names[name] for name in ("IDLE", "CHOOSE", "LOOK", "SEEK", "GIVE")
        )
        self.invariant(state < len(names))
        self._given, ahead = probe.signal("given"), probe.signal("ahead")
        # the next job may be made while one is given
        self._looks |= self._gives & ahead
        self._ahead = self._gives & ahead
        self._assume_pass()
        self._cluster = probe.signal("cluster")
        self._gangs = [probe.signal(f"gang{n}") for n in range(clusters)]
        self._gang = probe.signal("gang")
        self._job = job = data.View(dut.jobs[0].p.shape(), probe.signal("job"))
        self._over = Signal()
        m.d.comb += self._over.eq(self._chooses & probe.signal("over"))
        self._count_jobs()
        self._look_at_clusters()

        covered, pending = Signal(), Signal()
        real = self._choose_contribution()
        m.d.comb += pending.eq(self._gives & self._has_it(job))
        with m.If(dut.start):
            m.d.sync += covered.eq(0)
        with m.Elif(pending):
            m.d.sync += covered.eq(1)
        self.claim("once", ~(real & covered & pending))
        self.claim("all", ~(real & self._over) | covered)
        self._look_at_cursors(real, covered, pending)
        self._look_at_teams(real, covered, pending)
        chained = Signal()
        with m.If(self._over):
            m.d.sync += chained.eq(covered & real & dut.d.chained)
        self.reach(chained & self._idle & (dut.d.team > 1))

    # -- surroundings

    def _assume_pass(self) -> None:
        """Assume what the checks of a descriptor say, and that it is held."""
        dut, m = self.dut, self.m
        d = dut.d
        self._kernel = d.mode == Mode.KERNEL
        fields = Cat(d[name] for name in _FIELDS)
        before = Signal(len(fields), name="fields_before")
        m.d.sync += before.eq(fields)
        self.assume(self._idle | (fields == before))
        self.assume(~dut.start | self._idle)
        counts = ("s_tiles", "t_groups", "t_strips", "samples", "tile_samples", "rows", "cols")
        for name in (*counts, "tile_rows", "tile_cols"):
            self.assume(d[name] != 0)
        self.assume((d.t_vectors <= 4) & (d.t_split <= 4 + d.t_vectors))
        self.assume((d.mode <= 1) & (d.chained <= 1) & ~(self._kernel & d.chained.any()))
        self.assume(total([d.team == size for size in team_sizes(dut.config)]) == 1)
        self._chained = d.chained[0]
        self._group, self._lanes = Signal(9), Signal(9)
        m.d.comb += [
            self._group.eq(VECTOR << d.t_vectors[:3]),
            self._lanes.eq(self._group >> d.t_split[:4]),
        ]
        last_tiles = d.t_tiles - ((d.t_groups - 1) << d.t_split[:4])
        counted = (last_tiles > 0) & (last_tiles <= 1 << d.t_split[:4])
        self.assume(self._kernel | counted)
        self.assume((d.unit_strips == 0) | (self._chained & (d.tile_samples == 1)))

    def _exists(self, group: Value, channel: Value) -> Value:
        """Return whether there is a tile for a channel of a group."""
        d = self.dut.d
        lane_bits = VECTOR.bit_length() - 1 + d.t_vectors[:3] - d.t_split[:4]
        return (group << d.t_split[:4]) + (channel >> lane_bits[:4]) < d.t_tiles

    def _count_jobs(self) -> None:
        """Claim that a pass ends when all is done."""
        dut, m, probe = self.dut, self.m, self.probe
        most = 16 * self._clusters - 1
        open_jobs, bursts = Signal(range(2 * most)), Signal(17)
        drains = self._gives & self._job.drains
        done, issued, answered = (
            total([one[n] for n in range(len(one))])
            for one in (dut.done, dut.write_issued, dut.write_done)
        )
        m.d.sync += [
            open_jobs.eq(open_jobs + drains - done),
            bursts.eq(bursts + issued - answered),
        ]
        self.assume((done <= open_jobs) & (open_jobs + drains <= most))
        self.assume((answered <= bursts) & (bursts + issued < 1 << 16))
        self.invariant((probe.signal("jobs") == open_jobs) & (open_jobs <= most))
        self.invariant((probe.signal("bursts") == bursts) & (bursts < 1 << 16))
        valid = Cat(job.valid for job in dut.jobs)
        self.claim(
            "end",
            (~self._over | ((open_jobs == 0) & (bursts == 0) & dut.empty.all()))
            & (~valid.any() | dut.busy)
            & (dut.busy == ~self._idle),
        )

    def _look_at_clusters(self) -> None:
        """Claim that jobs are taken, and say to which gang each cluster belongs."""
        dut, m, clusters = self.dut, self.m, self._clusters
        works = self._looks | self._seeks
        ready, valid = (Cat(getattr(job, n) for job in dut.jobs) for n in ("ready", "valid"))
        waited = Signal(clusters)
        m.d.sync += waited.eq(ready & ~valid)
        self.assume((waited & ~ready) == 0)
        self.claim(
            "room", ((valid & ~ready) == 0) & (valid == Mux(self._gives, 1 << self._given, 0))
        )
        # as of the edge before: readiness falls with a job only
        self.invariant(~works | waited.bit_select(self._cluster, 1))
        self.invariant(~(works & self.probe.signal("retired").bit_select(self._cluster, 1)))
        self.invariant(self._cluster < clusters)
        self.invariant(~self._gives | waited.bit_select(self._given, 1))
        self.invariant((self._given < clusters) & (~self._ahead | (self._given != self._cluster)))
        # only one job of a team is under way, and its cluster is the one that is worked for
        alone = ~self._ahead & (self._given == self._cluster)
        self.invariant(~(self._gives & self._chained) | alone)
        d, sought = dut.d, self.probe.signal("sought")
        for size in team_sizes(dut.config):
            whole = d.team != size
            firsts = range(0, clusters, size)
            for gang in (*self._gangs, sought):
                found = total([gang == first for first in firsts]) == 1
                self.invariant(whole | self._idle | found | ((gang is sought) & ~self._seeks))
            for number, gang in enumerate(self._gangs):
                own = gang == number - number % size
                self.invariant(whole | self._idle | ~self._chained | own)
        self.invariant(~(self._seeks & self._chained))
        first = Signal(len(self._cluster))
        m.d.comb += first.eq(self._gang)
        head = self._cluster == first
        last = self._cluster == first + d.team - 1
        job = self._job
        self.claim(
            "place",
            ~self._gives
            | Mux(self._chained, (job.head == head) & (job.last == last), job.head & job.last),
        )
        self.invariant(
            ~self._gives
            | Mux(self._chained, (job.head == head) & (job.last == last), job.head & job.last)
        )

    # -- one contribution

    def _choose_contribution(self) -> Value:
        """Choose one; return whether the pass has it."""
        d = self.dut.d
        any_of = {
            "tile": 16, "sample": 16, "row": 16, "column": 16, "group": 16, "channel": 9,
            "strip": 16,
        }  # fmt: skip
        self._at = {name: self.any_constant(width, name=name) for name, width in any_of.items()}
        at = self._at
        pixel = (at["row"] < d.rows) & (at["column"] < d.cols)
        word = (at["group"] < d.t_groups) & (at["channel"] < self._group)
        word &= self._exists(at["group"], at["channel"]) & (at["strip"] < d.t_strips)
        inside = (at["tile"] < d.s_tiles) & (at["sample"] < d.samples)
        return inside & Mux(self._kernel, pixel, word)

    def _within(self, value: Value, first: Value, count: Value) -> Value:
        return (value >= first) & (value < first + count)

    def _in_lanes(self, place) -> Value:
        """Return whether a tile at a cursor or of a record has the channel."""
        at = self._at
        return (place.t_group == at["group"]) & self._within(
            at["channel"], place.lane0, self._lanes
        )

    def _has_it(self, job) -> Value:
        """Return whether a job has the contribution."""
        at, m, d = self._at, self.m, self.dut.d
        y = Signal(16)  # of the job that is made
        with m.If(self._looks):
            m.d.sync += y.eq(data.View(cursor_layout(self.dut.config), self._cursor()).y)
        pixel = (at["column"] >= job.x0) & (at["column"] < job.x1)
        pixel &= self._within(at["row"], y, job.rows)
        return (
            (job.s_tile == at["tile"])
            & self._within(at["sample"], job.first_sample, job.samples)
            & Mux(self._kernel, pixel, self._in_lanes(job))
            & (job.streams | ~self._chained)
            & ((d.unit_strips == 0) | self._within(at["strip"], job.strip, d.unit_strips))
        )

    def _cursor(self) -> Signal:
        return self.probe.signal("cursor")

    def _is_past(self, cursor) -> Value:
        """Return whether a cursor has gone on beyond the contribution's tile."""
        at, d = self._at, self.dut.d
        column_past = at["column"] < cursor.x0
        row_past, row_at = at["row"] < cursor.y, self._within(at["row"], cursor.y, d.tile_rows)
        sample_past = at["sample"] < cursor.next
        sample_at = at["sample"] < cursor.next + d.tile_samples
        pixel = Mux(
            d.by_rows.any(),
            row_past | (row_at & (sample_past | (sample_at & column_past))),
            sample_past | (sample_at & (row_past | (row_at & column_past))),
        )
        word = (at["group"] < cursor.t_group) | (
            (at["group"] == cursor.t_group) & (at["channel"] < cursor.lane0)
        )
        return Mux(self._kernel, pixel, word)

    def _aligned(self, place) -> Value:
        """Return whether a tile begins at a part of a group."""
        return ((place.lane0 & (self._lanes - 1)[:8]) == 0) & (place.lane0 < self._group)

    def _rows(self, name: str, layout: data.StructLayout) -> list[data.View]:
        """Return the rows of one of its memories."""
        depth = max(self._clusters, 2)
        return [
            data.View(
                layout,
                self.probe.forwarding_row(name, n, layout.size, depth, name=f"{name}{n}"),
            )
            for n in range(self._clusters)
        ]

    def _is_shown(self, name: str, rows: list[data.View], when: Value, number: Value) -> None:
        """Say that a memory shows the row that is looked at."""
        shown = self.probe.signal(f"{name}.data")
        row = Array(one.as_value() for one in rows)[number]
        self.invariant(~when | (shown == row))

    def _look_at_cursors(self, real: Value, covered: Value, pending: Value) -> None:
        """Say what the cursors know of the contribution."""
        dut, probe, d = self.dut, self.probe, self.dut.d
        tile, layout = self._at["tile"], cursor_layout(dut.config)
        self._number, more = probe.signal("tiles.s_tile"), probe.signal("more")
        rows = self._rows("cursors", layout)
        busy, given = ~self._idle, covered | pending
        looks = self._looks | self._ahead | self._seeks
        self._is_shown("cursors", rows, looks, probe.signal("number"))
        counting = probe.signal("tiles.more")
        self.invariant(~busy | (counting == (self._number != d.s_tiles)))
        self.invariant(~busy | (self._number <= d.s_tiles))
        begun = tile < self._number
        at_it = [more[n] & (row.s_tile == tile) for n, row in enumerate(rows)]
        watched = busy & real
        for number, row in enumerate(rows):
            inside = Mux(
                self._kernel,
                (row.x0 < d.cols) & (row.y < d.rows) & (row.next < d.samples),
                (row.t_group < d.t_groups)
                & self._aligned(row)
                & self._exists(row.t_group, row.lane0),
            )
            self.invariant(~(busy & more[number]) | inside)
            if number:
                self.invariant(~(busy & self._chained & more[number]))
            self.invariant(~(watched & at_it[number]) | begun)
            alone = watched & at_it[number] & ~self._chained
            self.invariant(~alone | (given == self._is_past(row)))
        self.invariant(~watched | (total(at_it) <= 1))
        self.invariant(~(watched & begun & ~Cat(at_it).any() & ~self._chained) | given)
        self.invariant(~(watched & ~begun) | ~given)
        self._taken = Signal()
        """A team has taken its tile."""
        self.m.d.comb += self._taken.eq(begun & (~at_it[0] | self._is_past(rows[0])))

    def _look_at_teams(self, real: Value, covered: Value, pending: Value) -> None:
        """Say what the records of teams know of it, and claim that all members drain."""
        dut, m, probe, d = self.dut, self.m, self.probe, self.dut.d
        layout, clusters, job = team_layout(dut.config), self._clusters, self._job
        begun, behind = probe.signal("begun"), probe.signal("behind")
        busy, given = ~self._idle & self._chained, covered | pending
        members = [Cat(gang == n for gang in self._gangs) for n in range(clusters)]
        own = Signal(clusters)  # members of the cluster's gang
        m.d.comb += own.eq(Cat(gang == self._gang for gang in self._gangs))
        mask = (1 << self._cluster)[:clusters]

        # -- who has yet to drain
        owes, owing = Signal(clusters), Signal(clusters)
        m.d.comb += owing.eq(owes)
        lasts = self._gives & self._chained & job.streams & job.drains
        closes = self._gives & self._chained & ~job.streams
        with m.If(lasts):
            m.d.comb += owing.eq(owes | (own & ~mask))
        with m.Elif(closes):
            m.d.comb += owing.eq(owes & ~mask)
        m.d.sync += owes.eq(owing)
        followed = self.any_constant(len(self._gang), name="team")
        addr = Signal.like(job.out_addr)
        owed_addr = Signal.like(job.out_addr)
        m.d.comb += addr.eq(Mux(lasts & (self._gang == followed), job.out_addr, owed_addr))
        m.d.sync += owed_addr.eq(addr)
        self.claim(
            "drains",
            (~lasts | ((owes & own) == 0))
            & (~closes | (((owes & mask) != 0) & job.drains))
            & (~(closes & (self._gang == followed)) | (job.out_addr == owed_addr))
            & (~self._over | (owes == 0)),
        )
        self.invariant(behind == owing)
        self.invariant(self._chained | (behind == 0) | self._idle)

        rows = self._rows("teams", layout)
        self._is_shown("teams", rows, self._looks, self._gang)
        watched = busy & real
        at_it = []
        for number, row in enumerate(rows):
            here = busy & begun[number]
            self.invariant(~here | ((row.next <= d.samples) & self._aligned(row)))
            some = (d.unit_strips != 0) & (row.strip < d.t_strips) & (row.next < d.samples)
            self.invariant(~here | (row.strip == 0) | some)
            self.invariant(~here | members[number][number])
            left = behind & members[number]
            self.invariant(~here | (row.open == total([left[n] for n in range(clusters)])))
            self.invariant(~(here & left.any() & (followed == number)) | (row.drained_addr == addr))
            has = here & (row.s_tile == self._at["tile"]) & self._in_lanes(row)
            at_it.append(has)
            past = (self._at["sample"] < row.next) | (
                (self._at["sample"] == row.next) & (self._at["strip"] < row.strip)
            )
            self.invariant(~(watched & has) | (self._taken & (given == past)))
        self.invariant(~(watched & (total(at_it) > 1)))
        self.invariant(~(watched & self._taken & ~Cat(at_it).any()) | given)
        self.invariant(~(watched & ~self._taken) | ~given)
        unbegun = Cat(~begun[n] & (behind & members[n]).any() for n in range(clusters))
        self.invariant(~busy | ~unbegun.any())
        unfinished = [begun[n] & (row.next != d.samples) for n, row in enumerate(rows)]
        count = probe.signal("tiles_open")
        self.invariant(count == Mux(busy, total(unfinished), 0))
