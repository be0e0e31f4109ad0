"""Cycle model of `hw.core.accelerator`: the walk through a launch, cycle by cycle."""

from __future__ import annotations

from gscn.cycles.cluster.cluster import is_ready, step_cluster
from gscn.cycles.cluster.fetcher import forget
from gscn.cycles.core import dispatcher as dispatch
from gscn.cycles.core.sequencer import fetch
from gscn.cycles.port.arbiter import step_reads, step_writes
from gscn.cycles.state import record
from gscn.system.compiled import borrowing

CORE = record(
    "now", "start",  # of the phase
    "bursts",  # written and not acknowledged
    "head", "acknowledgements",  # of their ring
    "read_beats", "write_beats",
    "window",  # cycles in a window of the history
)  # fmt: skip


@borrowing
def step_ports(core, ports, machine, sequencers, acknowledged, sizes):
    """Advance the memory ports, and the memory behind them."""
    for port in range(ports.arbiters.size):
        core.read_beats += step_reads(port, ports, machine, sequencers[port], sizes, core.now)
        arbiter = ports.arbiters[port]
        sends, ends, takes = step_writes(arbiter, ports.written, machine.writers, sizes.burst)
        core.write_beats += sends
        core.bursts += takes
        if ends:
            tail = (core.head + core.acknowledgements) % acknowledged.size
            acknowledged[tail] = core.now + max(sizes.write_latency, 1)
            core.acknowledgements += 1


@borrowing
def step_clusters(core, machine, dispatcher, rounds, tables, sizes, account):
    """Give a job to the first cluster that takes one, and advance all; return the jobs ended."""
    finished = 0
    window = core.now // core.window
    for c in range(sizes.clusters):
        given = dispatch.due_job(dispatcher, rounds, c)
        if given >= 0:
            given = (
                dispatcher.first_job + given if is_ready(machine, c, sizes.prefetch_words) else -1
            )
        done = step_cluster(machine, c, given, tables, sizes, account, window)
        if given >= 0:
            account.spans[given, 0] = c
            account.spans[given, 1] = core.now
            dispatcher.gave = 1
            rounds[c] += 1
        if done >= 0:
            account.spans[done, 2] = core.now
            finished += 1
    return finished


@borrowing
def acknowledge(core, acknowledged):
    """Take note of the bursts whose acknowledgement has come."""
    while core.acknowledgements > 0 and acknowledged[core.head] <= core.now:
        core.head = (core.head + 1) % acknowledged.size
        core.acknowledgements -= 1
        core.bursts -= 1


@borrowing
def halve(core, history):
    """Join windows of the history in pairs, if they are full."""
    if history.size == 0 or core.now != core.window * history.shape[0]:
        return
    windows, clusters, pes, causes = history.shape
    for window in range(windows):
        for cluster in range(clusters):
            for pe in range(pes):
                for cause in range(causes):
                    joined = 0
                    if 2 * window < windows:
                        joined = history[2 * window, cluster, pe, cause]
                        joined += history[2 * window + 1, cluster, pe, cause]
                    history[window, cluster, pe, cause] = joined
    core.window *= 2


@borrowing
def run(control, tables, sizes, machine, ports, account):
    """Walk through a launch; return whether every phase ends within its limit of cycles."""
    core, sequencers, dispatcher = control.cores[0], control.sequencers, control.dispatchers[0]
    sequencer, rounds, acknowledged = sequencers[0], control.rounds, control.acknowledged
    if sizes.descriptor_bursts:
        fetch(sequencer, sizes)
    for number in range(tables.phases.size):
        core.start = core.now
        sequencer.waits = sizes.descriptor_bursts > 0
        dispatch.begin(dispatcher, rounds, tables.phases[number])
        if not sequencer.waits:
            dispatcher.left = dispatcher.jobs
        core.bursts = 0
        forget(machine.fetchers)
        while sequencer.waits or dispatcher.left or dispatcher.active or core.bursts:
            if core.now - core.start > sizes.limit:
                return False
            starts = sequencer.waits and sequencer.due == 0
            step_ports(core, ports, machine, sequencers, acknowledged, sizes)
            finished = step_clusters(core, machine, dispatcher, rounds, tables, sizes, account)
            dispatch.end_cycle(dispatcher, rounds, finished)
            acknowledge(core, acknowledged)
            if starts:
                sequencer.waits = 0
                dispatcher.left = dispatcher.jobs
                if number + 1 < tables.phases.size:
                    fetch(sequencer, sizes)
            core.now += 1
            halve(core, account.history)
        account.phase_cycles[number] = core.now - core.start
    return True
