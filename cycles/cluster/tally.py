"""Cycle model of `hw.cluster.tally`: what each PE of a cluster did in a cycle."""

from __future__ import annotations

from gscn.cycles.pe.pe import IDLE, LOAD, NOTHING, TAIL
from gscn.system.compiled import borrowing


@borrowing
def cause_of_nothing(cause, loads, drains):
    """Cause for PEs that have nothing queued, of which the broadcaster says `cause`."""
    if cause != NOTHING:
        return cause
    if loads:
        return LOAD
    return TAIL if drains else IDLE


@borrowing
def count(account, cluster, others, window):
    """Count the causes of a cluster's PEs; `others` is that of PEs with nothing queued."""
    counters, causes, history = account.counters, account.causes, account.history
    for pe in range(causes.size):
        if causes[pe] == NOTHING:
            causes[pe] = others
        counters[cluster, causes[pe]] += 1
    if history.size:
        for pe in range(causes.size):
            history[window, cluster, pe, causes[pe]] += 1
