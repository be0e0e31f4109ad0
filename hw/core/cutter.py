"""Cutter: cut a pass into jobs and give them to the clusters."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gscn import latencies
from gscn.array import ArrayConfig
from gscn.hw.array_layouts import PASS, job_layout
from gscn.hw.core.gangs import Cursors, Members, Teams
from gscn.hw.core.tiles import TileList
from gscn.hw.port.arbiter import RoundRobin
from gscn.passes import Mode


def team_sizes(config: ArrayConfig) -> list[int]:
    """Return the sizes that a gang can have: divisors of the clusters."""
    return [size for size in range(1, config.clusters + 1) if config.clusters % size == 0]


class _Events:
    """What is counted."""

    def __init__(self) -> None:
        self.takes_tile, self.ends_tile = Signal(), Signal()
        """A team's tile is begun; its last unit is given."""
        self.drains = Signal()
        """A job that drains is given."""


class Cutter(wiring.Component):
    """Give each unit of each tile of a pass to exactly one cluster.

    A cluster that has room for a job gets the next tile of its gang's stationary tile, or if there
    is none of the next stationary tile, in the order of `hw.core.tiles`. When those have all been
    begun it goes to the next gang that has more than `help` samples, or groups, left, and stays
    there; if none has, it gets nothing more in this pass. Clusters that have no job waiting come
    first, then those that have room; within each kind they take turns.

    Clusters of a chained gang, a team, get units of the same tile instead, which all teams take
    from one cursor: `tile_samples` samples each, or `unit_strips` strips of one. Who gets the last
    unit drains with it; each other member gets a job that only drains, before its next unit. A team
    is at most one tile ahead of its slowest member: the last unit of a tile is not given before all
    members drain the one before.

    Golden: `cycles.passes` (time).

    Timing
    ------
    - Latency: `LATENCY` from `hungry` to `jobs`. The first job comes `FIRST_JOB_CYCLES` after
      `start`.
    - Throughput: one job per cycle; of a chained pass one in `JOB_CYCLES` cycles, and after a
      cluster without a job, or behind a stationary tile, the first unit of a team's tile, or each
      gang that is looked at, one cycle more.
    - Combinational: none.
    - Reset: no pass; outputs 0.

    Parameters
    ----------
    config
        Clusters, ports, address width.

    Attributes
    ----------
    d : In(PASS)
        The pass; held from `start` on while `busy`.
    start : In(1)
        A pass begins (pulse, not while `busy`).
    jobs : Out(stream.Signature(job_layout(config))).array(config.clusters)
        To the clusters.
    hungry : In(config.clusters)
        Per cluster, no job waits for it.
    done : In(config.clusters)
        Per cluster, a job that drains is done (pulse).
    empty : In(config.clusters)
        Per cluster, all bursts of jobs that are done have been issued.
    write_issued : In(config.ports)
        Per port, a write burst was issued (pulse).
    write_done : In(config.ports)
        Per port, a write burst was acknowledged (pulse).
    busy : Out(1)
        A pass is under way.
    """

    LATENCY = 1
    JOB_CYCLES = latencies.JOB_CYCLES
    FIRST_JOB_CYCLES = TileList.PREPARE_CYCLES + JOB_CYCLES + 1

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        super().__init__(
            {
                "d": In(PASS),
                "start": In(1),
                "jobs": Out(stream.Signature(job_layout(config))).array(config.clusters),
                "hungry": In(config.clusters),
                "done": In(config.clusters),
                "empty": In(config.clusters),
                "write_issued": In(config.ports),
                "write_done": In(config.ports),
                "busy": Out(1),
            }
        )

    def _first_members(self, m):
        """Return, by cluster, the first one of the gang to which it belongs at first."""
        clusters = self.config.clusters
        firsts = [Signal(range(clusters), name=f"first{n}") for n in range(clusters)]
        with m.Switch(self.d.team):
            for size in team_sizes(self.config):
                with m.Case(size):
                    m.d.comb += [one.eq(n - n % size) for n, one in enumerate(firsts)]
        return firsts

    def _look_ahead(self, m, members, cursors, teams, choice):
        """Return the gang that is looked at in the next cycle: that of who is chosen, at first."""
        coming = Signal(range(self.config.clusters))
        chained = self.d.chained
        m.d.comb += [
            cursors.number.eq(Mux(chained, 0, members.gang)),
            cursors.coming.eq(Mux(chained, 0, coming)),
            teams.coming.eq(coming),
            coming.eq(members.gangs[choice.grant]),
        ]
        return coming

    def elaborate(self, platform):
        m = Module()
        config, d, clusters = self.config, self.d, self.config.clusters
        m.submodules.choice = choice = RoundRobin(count=clusters)
        m.submodules.tiles = tiles = TileList(config=config)
        m.d.comb += [tiles.d.eq(d), tiles.start.eq(self.start)]

        firsts = self._first_members(m)
        members = Members(m, clusters)
        sought = Signal(range(clusters))  # the gang that is looked at instead
        cursors, teams = Cursors(m, tiles, config), Teams(m, members, d, config)
        coming = self._look_ahead(m, members, cursors, teams, choice)

        job = Signal(job_layout(config))
        events, gives, looks = _Events(), Signal(), Signal()
        given = Signal(range(clusters))  # who gets the job
        given_mask = Signal(clusters)
        ahead = Signal()  # the next job is made while this one is given
        # in the cycle in which a job is given it is not yet seen, and nobody waits any more
        spoken_for = members.retired | Mux(gives, given_mask, members.waits)
        spoken_for |= Mux(looks, members.mask, 0)
        ready = Cat(job.ready for job in self.jobs) & ~spoken_for
        hungry = ready & self.hungry
        m.d.comb += [
            choice.requests.eq(Mux(hungry.any(), hungry, ready)),
            events.drains.eq(gives & job.drains),
            given_mask.eq(1 << given),
        ]
        for number, out in enumerate(self.jobs):
            m.d.comb += [out.p.eq(job), out.valid.eq(gives & given_mask[number])]
        with m.If(looks):
            self._make_job(m, job, members, tiles, teams)
            m.d.sync += given.eq(members.cluster)

        def next_gang(number):
            after = number + d.team
            return Mux(after == clusters, 0, after)

        def look_alone():
            with m.If(cursors.has):
                m.d.comb += [cursors.steps.eq(1), choice.en.eq(choice.requests.any())]
                m.d.sync += [members.cluster.eq(choice.grant), ahead.eq(choice.requests.any())]
                m.next = "GIVE"
            with m.Elif(tiles.more):
                m.d.comb += [cursors.begins.eq(1), coming.eq(members.gang)]
                m.next = "LOOK"
            with m.Else():
                m.d.comb += coming.eq(next_gang(members.gang))
                m.d.sync += sought.eq(coming)
                m.next = "SEEK"

        over = Signal()
        m.d.comb += self.busy.eq(1)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.busy.eq(0)
                m.d.sync += [
                    one.eq(first) for one, first in zip(members.gangs, firsts, strict=True)
                ]
                none = (cursors.more, teams.begun, teams.behind, members.retired, members.waits)
                m.d.sync += [one.eq(0) for one in none]
                with m.If(self.start):
                    m.next = "CHOOSE"
            with m.State("CHOOSE"):
                m.d.sync += members.cluster.eq(choice.grant)
                with m.If(over):
                    m.next = "IDLE"
                with m.Elif(choice.requests.any() & tiles.ready):
                    m.d.comb += choice.en.eq(1)
                    m.next = "LOOK"
            with m.State("LOOK"):
                m.d.comb += looks.eq(1)
                m.d.sync += ahead.eq(0)
                with m.If(d.chained):
                    self._look_chained(m, members, cursors, tiles, teams, events, coming)
                with m.Else():
                    look_alone()
            with m.State("SEEK"):
                m.d.comb += [cursors.number.eq(sought), coming.eq(next_gang(sought))]
                m.d.sync += sought.eq(next_gang(sought))
                with m.If(sought == members.gang):
                    m.d.sync += members.retired.eq(members.retired | members.mask)
                    m.next = "CHOOSE"
                with m.Elif(cursors.has & (tiles.left > d.help)):
                    m.d.comb += coming.eq(sought)
                    m.d.sync += members.gangs[members.cluster].eq(sought)
                    m.next = "LOOK"
            with m.State("GIVE"):
                m.d.comb += [gives.eq(1), looks.eq(ahead)]
                m.d.sync += [members.waits.eq(0), ahead.eq(0)]
                with m.If(ahead):
                    look_alone()
                with m.Else():
                    m.d.sync += members.cluster.eq(choice.grant)
                    m.next = "CHOOSE"
                    with m.If(choice.requests.any()):
                        m.d.comb += choice.en.eq(1)
                        m.next = "LOOK"
        self._count(m, over, tiles, cursors, teams, events)
        return m

    def _look_chained(self, m, members, cursors, tiles, teams, events, coming):
        """Give a cluster its drain or a unit, or its team the next tile, or let it wait."""
        d, held, after, mask = self.d, teams.held, teams.after, members.mask
        with m.If(teams.closes):
            m.d.sync += teams.behind.eq(teams.behind & ~mask)
            m.d.comb += [teams.writes.eq(1), after.open.eq(held.open - 1)]
            m.next = "GIVE"
        with m.Elif(teams.exhausted & cursors.has):
            names = ("s_tile", "t_group", "lane0", "out_addr")
            m.d.comb += [
                events.takes_tile.eq(1),
                coming.eq(members.gang),
                cursors.steps.eq(1),
                teams.writes.eq(1),
                *(after[name].eq(tiles.cut[name]) for name in names),
                after.next.eq(0),
                after.strip.eq(0),
            ]
            m.d.sync += teams.begun.bit_select(members.gang, 1).eq(1)
        with m.Elif(teams.exhausted & tiles.more):
            m.d.comb += [cursors.begins.eq(1), coming.eq(members.gang)]
        with m.Elif(teams.exhausted | (teams.last_unit & (held.open != 0))):
            m.d.sync += members.waits.eq(members.waits | mask)
            m.next = "CHOOSE"
        with m.Else():
            samples = Mux(teams.last_unit, teams.left, d.tile_samples)
            m.d.comb += teams.writes.eq(1)
            with m.If(teams.ends_samples):
                m.d.comb += [after.next.eq(held.next + samples), after.strip.eq(0)]
            with m.Else():
                m.d.comb += after.strip.eq(held.strip + d.unit_strips)
            with m.If(teams.last_unit):
                others = Cat(one == members.gang for one in members.gangs) & ~mask
                m.d.comb += [
                    events.ends_tile.eq(1),
                    after.drained_addr.eq(held.out_addr),
                    after.open.eq(d.team - 1),
                ]
                m.d.sync += teams.behind.eq(teams.behind | others)
            m.next = "GIVE"

    def _make_job(self, m, job, members, tiles, teams):
        """Put a cluster's next job together."""
        cut, d, held = tiles.cut, self.d, teams.held
        # a tile whose strips all lie outside of the map has no words
        end_strip = cut.strip + d.strips_before + d.strips_after
        exists = (end_strip > Mux(cut.strip < 0, 0, cut.strip)) & (cut.strip < d.t_strips)
        m.d.sync += [job[name].eq(cut[name]) for name, _ in cut.shape()]
        m.d.sync += [
            job.streams.eq((d.mode == Mode.CORRELATE) | exists),
            *(job[name].eq(1) for name in ("drains", "head", "last")),
        ]
        with m.If(d.chained):
            m.d.sync += [job[name].eq(held[name]) for name in ("s_tile", "t_group", "lane0")]
            m.d.sync += [
                job.first_sample.eq(held.next),
                job.strip.eq(Mux(teams.closes, 0, held.strip)),
                job.samples.eq(Mux(teams.last_unit, teams.left, d.tile_samples)),
                job.out_addr.eq(Mux(teams.closes, held.drained_addr, held.out_addr)),
                job.streams.eq(~teams.closes),
                job.drains.eq(teams.closes | teams.last_unit),
                job.head.eq(members.cluster == members.gang),
                job.last.eq(members.cluster == members.gang + d.team - 1),
            ]

    def _count(self, m, over, tiles, cursors, teams, events):
        """Count what is under way; say when all of a pass is over."""
        clusters = self.config.clusters
        tiles_open = Signal(range(clusters + 1))
        jobs = Signal(range(16 * clusters))
        bursts = Signal(16)
        m.d.sync += [
            tiles_open.eq(tiles_open + events.takes_tile - events.ends_tile),
            jobs.eq(jobs + events.drains - sum(self.done)),
            bursts.eq(bursts + sum(self.write_issued) - sum(self.write_done)),
        ]
        m.d.comb += over.eq(
            tiles.ready
            & ~tiles.more
            & ~cursors.more.any()
            & (tiles_open == 0)
            & ~teams.behind.any()
            & (jobs == 0)
            & self.empty.all()
            & (bursts == 0)
        )
