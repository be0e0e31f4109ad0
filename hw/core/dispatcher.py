"""Dispatcher: give the jobs of a phase to clusters, to the first free one or in turn."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn import records
from gscn.config import AcceleratorConfig

JOB_BITS = (records.IN_TURN - 1).bit_length()
"""Low bits of a phase's `job_count` that number its jobs; the bit above is the flag "in turn"."""


def start_layout(config: AcceleratorConfig) -> data.StructLayout:
    """Return a phase: byte address of its queue, jobs, and the byte range that it may write.

    The highest bit of `job_count` is the flag `gscn.records.IN_TURN`. `out_addr` and `out_end`, one
    past the last address, are multiples of 64.
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

    The next job goes to the ready cluster with the lowest number. In a phase in turn job j is for
    cluster j mod clusters: each cluster takes its own jobs in queue order whenever it is ready, but
    is at most one round of jobs ahead of the slowest; of several ready clusters that may take a job
    the one with the lowest number is first. The next phase is taken when every job of this one is
    done and every burst is acknowledged.

    Golden: `cycles.model` (time).

    Timing
    ------
    - Latency: `LATENCY` from `start` to `jobs`.
    - Throughput: one job per cycle, in turn too: a round ends in the cycle in which its last job is
      given.
    - Combinational: `jobs.ready` -> `jobs.valid`; `allowed` -> `start.ready`, `forget`;
      `start.valid` -> `forget`.
    - Reset: no phase; outputs 0.

    Parameters
    ----------
    config
        Clusters, ports, address width.

    Attributes
    ----------
    start : In(stream.Signature(start_layout(config)))
        Phases.
    allowed : In(1)
        Phases may be taken.
    jobs : Out(stream.Signature(config.addr_width)).array(config.clusters)
        To the clusters.
    done : In(config.clusters)
        Per cluster, a job is done (pulse).
    write_issued : In(config.ports)
        Per port, a write burst was issued (pulse).
    write_done : In(config.ports)
        Per port, a write burst was acknowledged (pulse).
    forget : Out(1)
        A phase is taken: memory may have changed since the last one (pulse).
    busy : Out(1)
        A phase is under way.
    """

    LATENCY = 1

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
        next_addr = Signal(self.config.addr_width)  # of the next job; in turn: of the round
        jobs_left = Signal(JOB_BITS)  # from there to the end of the queue
        in_turn = Signal()
        taken = Signal(clusters)  # in turn: has its job of this round
        ahead = Signal(clusters)  # has its job of the next round too
        jobs_active = Signal(range(4 * clusters + 1))
        bursts = Signal(16)

        # -- the jobs of this round and of the next one that are left, by cluster
        low_bits = (2 * clusters).bit_length()
        low, more = jobs_left[:low_bits], jobs_left[low_bits:].any()
        exists = Signal(2 * clusters)
        owed = Signal(clusters)
        m.d.comb += [
            exists.eq(Cat(more | (low > job) for job in range(2 * clusters))),
            owed.eq((exists[:clusters] & ~taken) | (exists[clusters:] & ~ahead)),
        ]

        # -- the first cluster that is ready and may take a job
        asks = Signal(clusters)
        gives = Signal(clusters)
        ready = Cat(job.ready for job in self.jobs)
        m.d.comb += [
            asks.eq(ready & Mux(in_turn, owed, exists[0].replicate(clusters))),
            gives.eq(Cat(ask & ~asks[:number].any() for number, ask in enumerate(asks))),
            self.busy.eq(owed.any() | (jobs_active != 0) | (bursts != 0)),
            self.start.ready.eq(self.allowed & ~self.busy),
            self.forget.eq(self.start.valid & self.start.ready),
        ]

        # -- its job; the clusters' readies come late, so that no sum depends on them
        job_bytes = records.QUEUE_ENTRY.itemsize
        step = Mux(in_turn, clusters, 1)
        after_addr = Signal.like(next_addr)
        after_left = Signal.like(jobs_left)
        moves = Signal()  # the round is over, or not in turn the job is given
        m.d.comb += [after_addr.eq(next_addr + step * job_bytes), after_left.eq(jobs_left - step)]
        for number, job in enumerate(self.jobs):
            place = Mux(in_turn, number, 0) * job_bytes
            m.d.comb += [
                job.p.eq(Mux(taken[number], after_addr, next_addr) + place),
                job.valid.eq(gives[number]),
            ]
        taken_now, ahead_now = taken | gives, ahead | (gives & taken)
        with m.If(in_turn):
            m.d.comb += moves.eq(taken_now.all())
            m.d.sync += [
                taken.eq(Mux(moves, ahead_now, taken_now)),
                ahead.eq(Mux(moves, 0, ahead_now)),
            ]
        with m.Else():
            m.d.comb += moves.eq(asks.any())
        with m.If(moves):
            m.d.sync += [next_addr.eq(after_addr), jobs_left.eq(after_left)]

        m.d.sync += [
            jobs_active.eq(jobs_active + asks.any() - sum(self.done)),
            bursts.eq(bursts + sum(self.write_issued) - sum(self.write_done)),
        ]
        with m.If(self.forget):
            m.d.sync += [
                next_addr.eq(self.start.p.queue_addr),
                jobs_left.eq(self.start.p.job_count[:JOB_BITS]),
                in_turn.eq(self.start.p.job_count[JOB_BITS]),
                taken.eq(0),
                ahead.eq(0),
            ]
        return m
