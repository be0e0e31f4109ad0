"""Every job of a phase is given once, in order or in turn, to one ready cluster."""

from __future__ import annotations

from amaranth.hdl import Cat, Mux, Signal, Value

from formal.checker import Checker
from formal.port.arbiter import total
from gscn import records
from gscn.hw.core.dispatcher import Dispatcher

JOBS_PER_CLUSTER = 4
"""Jobs that a cluster is assumed to have accepted and not finished, at most: one writes its last
results, two have the accumulator banks, one is being loaded."""


class DispatcherChecker(Checker):
    """Count what is given, finished and acknowledged.

    Assumed: a cluster has at most `JOBS_PER_CLUSTER` jobs and finishes only jobs that it has; at
    most 65535 write bursts are under way, and only those are acknowledged.
    """

    CLAIMS = {
        "one": "a job is offered to at most one cluster, the first that is ready and may have one",
        "order": "not in turn, the jobs given are those of the queue, each once, in order",
        "turn": "in turn, a cluster is offered the next of its jobs c, c + clusters, ... in order",
        "round": "in turn, no cluster is offered a job more than a round ahead of the slowest",
        "all_own": "in turn, all jobs are given exactly when each cluster has had all of its own",
        "none_lost": "jobs given and jobs left always add up to the phase's jobs",
        "flow": "a job is given whenever a ready cluster may have one: any that is left or, in "
        "turn, its own unless that is more than a round ahead",
        "busy": "`busy` is high exactly until all jobs are done and all bursts acknowledged",
        "start": "a phase is taken exactly if allowed and the phase before is over",
        "forget": "`forget` is high exactly when a phase is taken, while no job is under way",
    }

    dut: Dispatcher

    def describe(self) -> None:
        """State that the counters of the component count what they are to count."""
        dut, m = self.dut, self.m
        starts = dut.start.valid & dut.start.ready
        gives = Cat(job.valid & job.ready for job in dut.jobs)
        base, count, given = Signal(len(dut.start.p.queue_addr)), Signal(31), Signal(31)
        turns = Signal()
        clusters = len(dut.jobs)
        own = [Signal(33, name=f"own{number}") for number in range(clusters)]  # next of its own
        with m.If(starts):
            m.d.sync += [
                Cat(count, turns).eq(dut.start.p.job_count),
                base.eq(dut.start.p.queue_addr),
                given.eq(0),
                *(job.eq(number) for number, job in enumerate(own)),
            ]
        with m.Else():
            m.d.sync += given.eq(given + total(list(gives)))
            for job, gets in zip(own, gives, strict=True):
                m.d.sync += job.eq(job + Mux(gets, clusters, 0))
        active, bursts = self._count_active(gives), self._count_bursts()
        offers = Cat(job.valid for job in dut.jobs)
        ready = Cat(job.ready for job in dut.jobs)
        near = Cat(  # own jobs that are at most a round ahead of each other cluster's
            Cat(
                job + other_number <= other + number + clusters
                for other_number, other in enumerate(own)
            ).all()
            for number, job in enumerate(own)
        )
        there = Cat(job < count for job in own)
        can = ready & Mux(turns, near & there, (given != count).replicate(clusters))
        first = can & (~can + 1)[:clusters]
        self.claim("one", (offers == 0) | (offers == first))
        step = records.QUEUE_ENTRY.itemsize
        addr = (base + given * step)[: len(base)]
        in_order, in_turn = Signal(), Signal()
        m.d.comb += [
            in_order.eq(
                ~Cat(job.valid & ((job.p != addr) | (given >= count)) for job in dut.jobs).any()
            ),
            in_turn.eq(
                ~Cat(
                    job.valid & ((job.p != (base + mine * step)[: len(base)]) | (mine >= count))
                    for job, mine in zip(dut.jobs, own, strict=True)
                ).any()
            ),
        ]
        self.claim("order", turns | in_order)
        self.claim("turn", ~turns | in_turn)
        self.claim("round", ~turns | ((offers & ~near) == 0))
        self.claim("all_own", ~turns | ((given == count) == ~there.any()))
        jobs_left = self.probe.signal("jobs_left")
        taken, ahead = self.probe.signal("taken"), self.probe.signal("ahead")
        counted = total([*taken, *ahead])  # jobs of these rounds that are no longer left
        self.claim("none_lost", (given + jobs_left == count + counted) & (given <= count))
        self.claim("flow", can.any() == gives.any())
        unfinished = (given != count) | (total(active) != 0) | (bursts != 0)
        self.claim("busy", dut.busy == unfinished)
        self.claim("start", dut.start.ready == (dut.allowed & ~unfinished))
        self.claim("forget", (dut.forget == starts) & ~(dut.forget & (total(active) != 0)))

        begin = Signal(31)  # index of the job at `next_addr`
        m.d.comb += begin.eq(count - jobs_left)
        self.invariant((given <= count) & (jobs_left <= count) & (given == begin + counted))
        self.invariant(self.probe.signal("next_addr") == (base + begin * step)[: len(base)])
        # implied by the others; without these two the solver takes three times as long
        here = ~turns | (near == ~ahead), ~turns | ((near & there) == self.probe.signal("owed"))
        self._hang_together(turns, count, counted, begin, own, here)
        self.invariant(self.probe.signal("jobs_active") == total(active))
        self.invariant(self.probe.signal("bursts") == bursts)
        self.reach(starts & Mux(count == 2, given == 2, 0))
        self.reach(starts & turns & (count == 4) & (given == 4))

    def _count_active(self, gives: Value) -> list[Signal]:
        """Return how many jobs each cluster has; assume that it finishes only those."""
        active = []
        for number, job in enumerate(self.dut.jobs):
            jobs = Signal(range(JOBS_PER_CLUSTER + 1), name=f"active{number}")
            self.m.d.sync += jobs.eq(jobs + gives[number] - self.dut.done[number])
            self.assume(~self.dut.done[number] | (jobs != 0))
            self.assume(~job.ready | (jobs < JOBS_PER_CLUSTER))
            self.invariant(jobs <= JOBS_PER_CLUSTER)
            active.append(jobs)
        return active

    def _count_bursts(self) -> Signal:
        """Return how many write bursts are under way; assume that only those are acknowledged."""
        bursts = Signal(16)
        issued = total(list(self.dut.write_issued))
        acknowledged = total(list(self.dut.write_done))
        self.m.d.sync += bursts.eq(bursts + issued - acknowledged)
        self.assume(acknowledged <= bursts)
        self.assume(bursts + issued <= 0xFFFF)
        return bursts

    def _hang_together(
        self,
        turns: Value,
        count: Value,
        counted: Value,
        begin: Value,
        own: list[Signal],
        implied: tuple[Value, ...],
    ) -> None:
        """State what the component knows of a phase in turn."""
        probe, clusters = self.probe, len(own)
        taken, ahead = probe.signal("taken"), probe.signal("ahead")
        self.invariant(probe.signal("in_turn") == turns)
        self.invariant(turns | (counted == 0))
        self.invariant(((ahead & ~taken) == 0) & ~taken.all())
        for condition in implied:
            self.invariant(condition, only="flow")
        for number, job in enumerate(own):
            mine = begin + number + clusters * (taken[number] + ahead[number])
            self.invariant(~turns | (job == mine))
            self.invariant(~taken[number] | (mine < count + clusters))
