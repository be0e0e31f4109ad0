"""Few random changes of a proved component pass its unit tests and its proofs."""

from __future__ import annotations

import ast
import functools
import json
import subprocess
import sys

import pytest

from formal.catalog import SUBJECTS
from tests.mutation.components import TARGETS
from tests.mutation.mutate import mutants
from tests.mutation.run import COUNT, ROOT, SEED, SURVIVORS, known_survivors, source_of

KILLED = 0.95
WALL_SECONDS = 3 * 3600


@functools.cache
def all_of(component):
    return list(mutants(source_of(component), component, SEED))


def test_every_proved_component_is_changed():
    assert set(TARGETS) == {subject.component.__name__ for subject in SUBJECTS}


@pytest.mark.parametrize("component", TARGETS)
def test_mutants_are_distinct_sources_with_one_change(component):
    found = all_of(component)
    original = ast.unparse(ast.parse(source_of(component).read_text(encoding="utf-8")))
    assert len(found) >= COUNT
    assert len({mutant.name for mutant in found}) == len(found)
    for mutant in found[:COUNT]:
        lines = set(mutant.source.splitlines()) - set(original.splitlines())
        assert len(lines) <= 3, mutant.name  # one of them imports what changes need
        before, after = mutant.place.split("  ->  ", 1)
        assert before != after


def test_kinds_of_slips_are_all_among_them():
    kinds = {mutant.kind for component in TARGETS for mutant in all_of(component)}
    assert kinds == {
        "another's value",
        "arms",
        "comparison",
        "constant",
        "dropped assignment",
        "dropped guard",
        "dropped inversion",
        "inverted condition",
        "inverted value",
        "operator",
        "reduction",
        "size",
        "width",
    }


def test_known_survivors_are_mutants_of_today_with_a_reason():
    for component, entries in json.loads(SURVIVORS.read_text(encoding="utf-8")).items():
        names = {mutant.name for mutant in all_of(component)}
        for entry in entries:
            assert entry["mutant"] in names, entry["mutant"]
            assert len(entry["why"]) > 20


@pytest.mark.parametrize(
    ("component", "count"),
    [
        ("StreamFIFO", 2),  # so that the tool is run in the default tier
        *(pytest.param(name, COUNT, marks=pytest.mark.slow) for name in TARGETS),
    ],
)
def test_few_mutants_pass_tests_and_proofs(component, count, tmp_path):
    report = tmp_path / "report.json"
    finished = subprocess.run(
        [
            *(sys.executable, "-m", "tests.mutation.run", "--component", component),
            *("--count", str(count), "--json", str(report)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=WALL_SECONDS,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    verdicts = json.loads(report.read_text())[component]
    assert len(verdicts) == count
    living = {verdict["mutant"] for verdict in verdicts if verdict["by"] == "nothing"}
    assert living <= set(known_survivors(component))
    assert len(living) <= (1 - KILLED) * len(verdicts) + 1e-9, living
