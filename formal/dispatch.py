"""Every job of a phase is given once, in order, to one ready cluster."""

from __future__ import annotations

from amaranth.hdl import Cat, Mux, Signal

from formal.arbiters import total
from formal.checker import Checker
from gscn import records
from hw.dispatcher import Dispatcher

JOBS_PER_CLUSTER = 4
"""Jobs that a cluster is assumed to have accepted and not finished, at most: one writes its last
results, two have the accumulator banks, one is being loaded."""


class DispatcherChecker(Checker):
    """Count what is given, finished and acknowledged.

    Assumed: a cluster has at most `JOBS_PER_CLUSTER` jobs and finishes only jobs that it has; at
    most 65535 write bursts are under way, and only those are acknowledged.
    """

    CLAIMS = {
        "one": "a job is offered to at most one cluster, which is ready, the first that is",
        "order": "the jobs given are those of the queue, each once, in order",
        "none_lost": "jobs given and jobs left always add up to the phase's jobs",
        "flow": "a job is given whenever one is left and a cluster is ready",
        "busy": "`busy` is high exactly until all jobs are done and all bursts acknowledged",
        "start": "a phase is taken exactly if allowed and the phase before is over",
        "forget": "`forget` is high exactly when a phase is taken, while no job is under way",
    }

    dut: Dispatcher

    def describe(self) -> None:
        """State that the counters of the component count what they are to count."""
        dut, m, probe = self.dut, self.m, self.probe
        starts = dut.start.valid & dut.start.ready
        gives = Cat(job.valid & job.ready for job in dut.jobs)
        base, count, given = Signal(len(dut.start.p.queue_addr)), Signal(32), Signal(32)
        with m.If(starts):
            m.d.sync += [
                base.eq(dut.start.p.queue_addr),
                count.eq(dut.start.p.job_count),
                given.eq(0),
            ]
        with m.Else():
            m.d.sync += given.eq(given + total(list(gives)))
        active = []
        for number, job in enumerate(dut.jobs):
            jobs = Signal(range(JOBS_PER_CLUSTER + 1), name=f"active{number}")
            m.d.sync += jobs.eq(jobs + gives[number] - dut.done[number])
            self.assume(~dut.done[number] | (jobs != 0))
            self.assume(~job.ready | (jobs < JOBS_PER_CLUSTER))
            self.invariant(jobs <= JOBS_PER_CLUSTER)
            active.append(jobs)
        bursts = Signal(16)
        m.d.sync += bursts.eq(bursts + dut.write_issued - dut.write_done)
        self.assume(~dut.write_done | (bursts != 0))
        self.assume(~dut.write_issued | (bursts != 0xFFFF))

        offers = Cat(job.valid for job in dut.jobs)
        ready = Cat(job.ready for job in dut.jobs)
        first = ready & (~ready + 1)[: len(dut.jobs)]
        self.claim("one", (offers == 0) | (offers == first))
        step = records.QUEUE_ENTRY.itemsize
        addr = (base + given * step)[: len(base)]
        for_all = Signal(init=1)
        m.d.comb += for_all.eq(
            ~Cat(job.valid & ((job.p != addr) | (given >= count)) for job in dut.jobs).any()
        )
        self.claim("order", for_all)
        jobs_left = probe.signal("jobs_left")
        self.claim("none_lost", (given + jobs_left == count) & (given <= count))
        self.claim("flow", ((given != count) & ready.any()) == gives.any())
        unfinished = (given != count) | (total(active) != 0) | (bursts != 0)
        self.claim("busy", dut.busy == unfinished)
        self.claim("start", dut.start.ready == (dut.allowed & ~unfinished))
        self.claim("forget", (dut.forget == starts) & ~(dut.forget & (total(active) != 0)))

        self.invariant((given <= count) & (jobs_left == (count - given)[:32]))
        self.invariant(probe.signal("next_addr") == addr)
        self.invariant(probe.signal("jobs_active") == total(active))
        self.invariant(probe.signal("bursts") == bursts)
        self.reach(starts & Mux(count == 2, given == 2, 0))
