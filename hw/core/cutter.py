"""Cutter: cut a pass into jobs and give them to the clusters."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gscn import array_latencies
from gscn.array import ArrayConfig
from gscn.hw.array_layouts import PASS, job_layout
from gscn.hw.core.tiles import TileList, cut_layout
from gscn.hw.port.arbiter import RoundRobin
from gscn.passes import Mode


def team_sizes(config: ArrayConfig) -> list[int]:
    """Return the sizes that a team can have: divisors of the clusters."""
    return [size for size in range(1, config.clusters + 1) if config.clusters % size == 0]


def _record_layout(config: ArrayConfig) -> data.StructLayout:
    """Return what is known of a team.

    Its tile, the address of the results of the one before, and how many members do not drain that
    one yet.
    """
    return data.StructLayout(
        {
            "cut": cut_layout(config),
            "drained_addr": config.addr_width,
            "open": range(config.clusters),
        }
    )


class Cutter(wiring.Component):
    """Give each unit of each tile of a pass to exactly one cluster.

    A cluster that has room for a job gets the next unit of its team's tile, or if there is none
    of the next tile, in the order of `hw.core.tiles`. Who gets the last unit drains with it; each
    other member gets a job that only drains, before its next unit. A team is at most one tile
    ahead of its slowest member: the last unit of a tile is not given before all members drain the
    one before. Clusters that have no job waiting come first, then those that have room; within
    each kind they take turns.

    Golden: `cycles.passes` (time).

    Timing
    ------
    - Latency: `LATENCY` from `hungry` to `jobs`. The first job comes `FIRST_JOB_CYCLES` after
      `start`.
    - Throughput: one job in `JOB_CYCLES` cycles, one more for the first unit of a tile.
    - Combinational: none.
    - Reset: no pass; outputs 0.

    Parameters
    ----------
    config
        Clusters, ports, address width.

    Attributes
    ----------
    d : In(PASS)
        The pass; held while `busy`.
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
    JOB_CYCLES = array_latencies.JOB_CYCLES
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

    def _members(self, m, cluster):
        """Return first cluster and members of a cluster's team, and its place in it."""
        clusters = self.config.clusters
        first = Signal(range(clusters))
        members = Signal(clusters)
        with m.Switch(self.d.team):
            for size in team_sizes(self.config):
                firsts = [number - number % size for number in range(clusters)]
                masks = [((1 << size) - 1) << one for one in firsts]
                with m.Case(size):
                    m.d.comb += [
                        first.eq(Array(Const(one, len(first)) for one in firsts)[cluster]),
                        members.eq(Array(Const(one, clusters) for one in masks)[cluster]),
                    ]
        last = Signal.like(first)
        m.d.comb += last.eq(first + self.d.team - 1)
        return first, members, last

    def elaborate(self, platform):
        m = Module()
        config, d = self.config, self.d
        clusters = config.clusters
        m.submodules.choice = choice = RoundRobin(count=clusters)
        m.submodules.tiles = tiles = TileList(config=config)
        m.d.comb += [tiles.d.eq(d), tiles.start.eq(self.start)]

        # -- a record per team, by its first cluster: the tile, and what is left of it
        record = _record_layout(config)
        m.submodules.teams = teams = Memory(shape=record, depth=clusters, init=[])
        read, write = teams.read_port(domain="comb"), teams.write_port()
        begun = Signal(clusters)  # by first cluster: there is a record
        behind = Signal(clusters)  # has not got its drain of the tile before
        waits = Signal(clusters)  # nothing for it until another one has got a job

        cluster = Signal(range(clusters))
        first, members, final = self._members(m, cluster)
        held = Signal(record)  # the team's, or one without anything left
        m.d.comb += [
            read.addr.eq(first),
            write.addr.eq(first),
            held.eq(Mux(begun.bit_select(first, 1), read.data.as_value(), 0)),
            write.data.eq(held),
        ]
        left = Signal(16)  # samples
        exhausted, last_unit = Signal(), Signal()
        m.d.comb += [
            left.eq(held.cut.end - held.cut.next),
            exhausted.eq(left == 0),
            last_unit.eq(left <= d.tile_samples),
        ]

        job = Signal(job_layout(config))
        gives, takes_tile, ends_tile = Signal(), Signal(), Signal()
        # in the cycle in which a job is given it is not yet seen, and nobody waits any more
        given = Signal(clusters)
        ready = Cat(job.ready for job in self.jobs) & ~Mux(gives, given, waits)
        hungry = ready & self.hungry
        m.d.comb += choice.requests.eq(Mux(hungry.any(), hungry, ready))
        m.d.comb += given.eq(1 << cluster)
        for number, out in enumerate(self.jobs):
            m.d.comb += [out.p.eq(job), out.valid.eq(gives & (cluster == number))]

        over = Signal()
        closes = Signal()
        m.d.comb += [closes.eq(behind.bit_select(cluster, 1)), self.busy.eq(1)]
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.busy.eq(0)
                m.d.sync += [begun.eq(0), behind.eq(0), waits.eq(0)]
                with m.If(self.start):
                    m.next = "CHOOSE"
            with m.State("CHOOSE"):
                m.d.sync += cluster.eq(choice.grant)
                with m.If(over):
                    m.next = "IDLE"
                with m.Elif(choice.requests.any() & tiles.ready):
                    m.d.comb += choice.en.eq(1)
                    m.next = "LOOK"
            with m.State("LOOK"):
                self._make_job(m, job, held, cluster, closes, last_unit, (first, final))
                with m.If(closes):
                    m.d.sync += behind.eq(behind & ~(1 << cluster)[:clusters])
                    m.d.comb += [write.en.eq(1), write.data.open.eq(held.open - 1)]
                    m.next = "GIVE"
                with m.Elif(exhausted & tiles.more):
                    m.d.comb += [
                        takes_tile.eq(1),
                        tiles.en.eq(1),
                        write.en.eq(1),
                        write.data.cut.eq(tiles.cut),
                    ]
                    m.d.sync += begun.eq(begun | (1 << first)[:clusters])
                with m.Elif(exhausted | (last_unit & (held.open != 0))):
                    m.d.sync += waits.eq(waits | (1 << cluster)[:clusters])
                    m.next = "CHOOSE"
                with m.Else():
                    after = held.cut.next + Mux(last_unit, left, d.tile_samples)
                    m.d.comb += [write.en.eq(1), write.data.cut.next.eq(after)]
                    with m.If(last_unit):
                        others = members & ~(1 << cluster)[:clusters]
                        m.d.comb += [
                            ends_tile.eq(1),
                            write.data.drained_addr.eq(held.cut.out_addr),
                            write.data.open.eq(d.team - 1),
                        ]
                        m.d.sync += behind.eq(behind | others)
                    m.next = "GIVE"
            with m.State("GIVE"):
                m.d.comb += gives.eq(1)
                m.d.sync += [waits.eq(0), cluster.eq(choice.grant)]
                m.next = "CHOOSE"
                with m.If(choice.requests.any()):
                    m.d.comb += choice.en.eq(1)
                    m.next = "LOOK"
        self._count(m, over, tiles, behind, takes_tile, ends_tile, gives & job.drains)
        return m

    def _make_job(self, m, job, held, cluster, closes, last_unit, team):
        """Put a cluster's next job together."""
        first, final = team
        cut, d = held.cut, self.d
        # a tile whose strips all lie outside of the map has no words
        end_strip = cut.strip + d.strips_before + d.strips_after
        exists = (end_strip > Mux(cut.strip < 0, 0, cut.strip)) & (cut.strip < d.t_strips)
        left = cut.end - cut.next
        m.d.sync += [job[name].eq(cut[name]) for name in ("s_tile", "t_group", "lane0", "strip")]
        m.d.sync += [job[name].eq(cut[name]) for name in ("rows", "x0", "x1")]
        m.d.sync += [
            job.first_sample.eq(cut.next),
            job.samples.eq(Mux(last_unit, left, d.tile_samples)),
            job.out_addr.eq(Mux(closes, held.drained_addr, cut.out_addr)),
            job.streams.eq(~closes & ((d.mode == Mode.CORRELATE) | exists)),
            job.drains.eq(closes | last_unit),
            job.head.eq(cluster == first),
            job.last.eq(cluster == final),
        ]

    def _count(self, m, over, tiles, behind, takes_tile, ends_tile, drains):
        """Count what is under way; say when all of a pass is over."""
        clusters = self.config.clusters
        tiles_open = Signal(range(clusters + 1))
        jobs = Signal(range(16 * clusters))
        bursts = Signal(16)
        m.d.sync += [
            tiles_open.eq(tiles_open + takes_tile - ends_tile),
            jobs.eq(jobs + drains - sum(self.done)),
            bursts.eq(bursts + sum(self.write_issued) - sum(self.write_done)),
        ]
        m.d.comb += over.eq(
            tiles.ready
            & ~tiles.more
            & (tiles_open == 0)
            & ~behind.any()
            & (jobs == 0)
            & self.empty.all()
            & (bursts == 0)
        )
