# amaranth: UnusedElaboratable=no
"""Each claim holds for the shipped component and fails on one with a planted fault."""

from __future__ import annotations

import pytest

from formal import sby
from formal.catalog import SUBJECTS, TASKS
from formal.run import prove
from tests.formal.mutants import MUTANTS

BMC_CYCLES = 12
STARTS = {
    "Cutter": 26,
    "StripWalker": 4,
    "Sums": 2,
    "SummingDrain": 12,
    "TableReader": 14,
    "WindowLoader": 14,
}
"""Of components that need longer from reset on until something can be wrong."""
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
    depth = BMC_CYCLES + STARTS.get(mutant.component, 0)
    outcome = sby.run(checker, mode="bmc", depth=depth, directory=tmp_path / "run")
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
