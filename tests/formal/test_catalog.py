"""What is proved: every component at sizes of all kinds, every claim in one of its runs."""

from __future__ import annotations

import pytest

from formal.catalog import IN_USE, SUBJECTS, TASKS
from gscn.hw.port.arbiter import ReadArbiter, WriteArbiter


def test_every_component_is_proved_at_bursts_longer_than_the_alignment_of_ranges():
    """At 128 bits x 2 beats no burst reaches beyond the 64 bytes that a range counts in."""
    for subject in SUBJECTS:
        own = [s for s in SUBJECTS if s.component is subject.component]
        assert len(own) > 1, subject.component
        sizes = [s.parameters.get("config") for s in own]
        if subject.component in (ReadArbiter, WriteArbiter):
            shapes = {(size.mem_width, size.burst_beats) for size in sizes}
            assert {(512, 4), (512, 16)} <= shapes


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_every_claim_and_the_reachability_of_a_subject_is_in_one_run(subject):
    claims = [claim for run in subject.runs for claim in run]
    assert sorted(claims) == sorted(subject.checker.CLAIMS)
    assert subject.runs[-1] == ()


def test_bounded_claims_are_run_without_induction_and_for_their_cycles():
    tasks = [t for t in TASKS if set(t.claims) & set(t.subject.checker.BOUNDED)]
    assert tasks
    for task in tasks:
        (claim,) = task.claims
        assert (task.mode, task.depth) == ("bmc", task.subject.checker.BOUNDED[claim])


def test_sizes_in_use_are_told_of_every_component():
    assert set(IN_USE) == {subject.component for subject in SUBJECTS}
