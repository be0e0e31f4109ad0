"""The dispatcher of the cycle model: which cluster may take which job."""

from __future__ import annotations

import numpy as np

from gscn.cycles.core.dispatcher import DISPATCHER, begin, due_job, end_cycle
from gscn.cycles.tables import PHASE


def given(jobs, in_turn, ready):
    """Return (cluster, job) as jobs are given to the clusters ready in each cycle."""
    dispatchers = np.zeros(1, DISPATCHER)
    dispatcher, rounds = dispatchers[0], np.zeros(3, np.int64)
    begin(dispatcher, rounds, np.array([(jobs, in_turn)], PHASE)[0])
    dispatcher["left"] = jobs
    found = []
    for clusters in ready:
        for cluster in clusters:
            job = due_job(dispatcher, rounds, cluster)
            if job >= 0:
                dispatcher["gave"] = 1
                rounds[cluster] += 1
                found.append((cluster, job))
        end_cycle(dispatcher, rounds, 0)
    assert dispatcher["active"] == len(found)
    return found


def test_the_first_ready_cluster_has_the_next_job():
    assert given(3, 0, [[1, 2], [0, 1], [2], [0]]) == [(1, 0), (0, 1), (2, 2)]


def test_in_turn_a_cluster_is_at_most_one_round_ahead():
    ready = [[1], [1], [1], [0, 2], [2], [1]]
    assert given(9, 1, ready) == [(1, 1), (1, 4), (0, 0), (2, 2), (1, 7)]
