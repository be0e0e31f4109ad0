"""Dispatcher: give the jobs of a phase, in order, to the first free cluster."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn import records
from gscn.config import AcceleratorConfig


def start_layout(config: AcceleratorConfig) -> data.StructLayout:
    """Return a phase: byte address of its queue, jobs, and the byte range that it may write.

    `out_addr` and `out_end`, one past the last address, are multiples of 64.
    """
    return data.StructLayout(
        {
            "queue_addr": config.addr_width,
            "job_count": 32,
            "out_addr": config.addr_width,
            "out_end": config.addr_width + 1,
        }
    )


class Dispatcher(wiring.Component):
    """Give each job of a phase to exactly one cluster.

    The next job goes to the ready cluster with the lowest number. The next phase is taken when
    every job of this one is done and every burst is acknowledged.

    Timing: one job per cycle; `jobs[n].valid` depends combinationally on the clusters' readies,
    `forget` on `start.valid`.

    Parameters
    ----------
        config: clusters, ports, address width.

    Members:
        start: phases.
        allowed: phases may be taken.
        jobs: to the clusters.
        done: per cluster, a job is done (pulse).
        write_issued, write_done: per port, a write burst was issued, was acknowledged (pulses).
        forget: a phase is taken: memory may have changed since the last one (pulse).
        busy: a phase is under way.
    """

    def __init__(self, *, config: AcceleratorConfig):
        self.config = config
        super().__init__(
            {
                "start": In(stream.Signature(start_layout(config))),
                "allowed": In(1),
                "jobs": Out(stream.Signature(config.addr_width)).array(config.clusters),
                "done": In(config.clusters),
                "write_issued": In(config.ports),
                "write_done": In(config.ports),
                "forget": Out(1),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        clusters = self.config.clusters
        next_addr = Signal(self.config.addr_width)
        jobs_left = Signal(32)
        jobs_active = Signal(range(4 * clusters + 1))
        bursts = Signal(16)

        ready = Cat(job.ready for job in self.jobs)
        gives = Signal()
        m.d.comb += [
            gives.eq((jobs_left != 0) & ready.any()),
            self.busy.eq((jobs_left != 0) | (jobs_active != 0) | (bursts != 0)),
            self.start.ready.eq(self.allowed & ~self.busy),
            self.forget.eq(self.start.valid & self.start.ready),
        ]
        earlier = 0
        for number, job in enumerate(self.jobs):
            m.d.comb += [
                job.p.eq(next_addr),
                job.valid.eq((jobs_left != 0) & job.ready & ~earlier),
            ]
            earlier = ready[: number + 1].any()
        with m.If(gives):
            m.d.sync += [
                next_addr.eq(next_addr + records.QUEUE_ENTRY.itemsize),
                jobs_left.eq(jobs_left - 1),
            ]
        m.d.sync += [
            jobs_active.eq(jobs_active + gives - sum(self.done)),
            bursts.eq(bursts + sum(self.write_issued) - sum(self.write_done)),
        ]
        with m.If(self.forget):
            m.d.sync += [
                next_addr.eq(self.start.p.queue_addr),
                jobs_left.eq(self.start.p.job_count),
            ]
        return m
