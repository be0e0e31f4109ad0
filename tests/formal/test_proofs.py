# amaranth: UnusedElaboratable=no
"""Each claim holds for the shipped component and fails on one with a planted fault."""

from __future__ import annotations

import pytest

from formal import sby
from formal.catalog import SUBJECTS, TASKS
from formal.run import document, main, prove
from gscn.errors import InputError
from gscn.hw.port.arbiter import ReadArbiter, WriteArbiter
from tests.formal.mutants import MUTANTS

BMC_CYCLES = 12
FAST = {"StreamFIFO", "RoundRobin"}


def _cases(items, name_of, component_of):
    """One claim of each small component in the default tier, the others marked slow."""
    seen = set()
    cases = []
    for item in items:
        component = component_of(item)
        fast = component in FAST and component not in seen
        seen.add(component)
        marks = () if fast else pytest.mark.slow
        cases.append(pytest.param(item, id=name_of(item), marks=marks))
    return cases


@pytest.mark.parametrize(
    "task",
    _cases(
        TASKS,
        lambda t: t.name,
        lambda t: t.subject.component.__name__,
    ),
)
def test_the_claim_holds(task, tmp_path):
    outcome = prove(task, tmp_path)
    assert outcome.status == "PASS", outcome.log.read_text()


@pytest.mark.parametrize("mutant", _cases(MUTANTS, lambda m: m.name, lambda m: m.component))
def test_the_claim_fails_on_a_planted_fault(mutant, tmp_path):
    checker = mutant.subject().build(mutant.claim, with_invariants=False)
    outcome = sby.run(checker, mode="bmc", depth=BMC_CYCLES, directory=tmp_path / "run")
    assert outcome.status == "FAIL", outcome.log.read_text()
    assert outcome.trace is not None


def test_every_claim_has_a_planted_fault():
    claims = {(s.component.__name__, claim) for s in SUBJECTS for claim in s.checker.CLAIMS}
    assert {(m.component, m.claim) for m in MUTANTS} == claims


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_the_fault_can_be_planted(mutant):
    shipped = [s for s in SUBJECTS if s.component.__name__ == mutant.component][mutant.size]
    planted = mutant.subject()
    assert planted.sizes == shipped.sizes
    assert planted.component is not shipped.component


def test_every_component_is_proved_at_bursts_longer_than_the_alignment_of_ranges():
    """At 128 bits x 2 beats no burst reaches beyond the 64 bytes that a range counts in."""
    for subject in SUBJECTS:
        own = [s for s in SUBJECTS if s.component is subject.component]
        assert len(own) > 1, subject.component
        sizes = [s.parameters.get("config") for s in own]
        if subject.component in (ReadArbiter, WriteArbiter):
            shapes = {(size.mem_width, size.burst_beats) for size in sizes}
            assert {(512, 4), (512, 16)} <= shapes


def test_the_document_lists_what_is_proved_now(repository):
    assert (repository / "docs" / "results" / "proofs.md").read_text(encoding="utf-8") == document(
        TASKS
    )


def test_the_runner_reports_a_failure_and_its_trace(monkeypatch, tmp_path, capsys):
    trace = tmp_path / "trace.vcd"
    failed = sby.Outcome(status="FAIL", seconds=1.0, trace=trace, log=tmp_path / "log.txt")
    monkeypatch.setattr("formal.run.prove", lambda *_: failed)
    assert main(["--only", "RoundRobin", "--out", str(tmp_path)]) == 1
    output = capsys.readouterr().out
    assert "FAIL" in output
    assert str(trace) in output


@pytest.mark.parametrize("arguments", [["--only", "nothing"], ["--jobs", "0"]])
def test_wrong_usage_ends_with_status_2(arguments, tmp_path):
    assert main([*arguments, "--out", str(tmp_path)]) == 2


def test_an_unknown_claim_or_mode_is_refused(tmp_path):
    with pytest.raises(InputError, match="claim must be one of order"):
        SUBJECTS[0].build("magic")
    with pytest.raises(InputError, match="mode must be one of prove"):
        sby.run(SUBJECTS[0].build("order"), mode="hope", depth=1, directory=tmp_path)
