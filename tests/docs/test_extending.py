"""What docs/guides/extending.md says to change is where it says."""

from __future__ import annotations

import re

import pytest

from gscn.golden.methods.options import METHODS
from gscn.perf.rivals import RIVALS, VARIANTS
from gscn.perf.rivals.model import Rival


@pytest.fixture
def steps(repository):
    """The numbered steps of the guide, each in one line."""
    text = (repository / "docs" / "guides" / "extending.md").read_text(encoding="utf-8")
    return [
        " ".join(step.split())
        for step in re.findall(r"^\d+\. (.*(?:\n {3}.*)*)", text, re.MULTILINE)
    ]


def test_every_step_names_a_file_in_which_what_it_changes_is_defined(steps, repository):
    assert len(steps) > 12
    wrong = []
    for step in steps:
        quoted = re.findall(r"`([^`]+)`", step)
        files = [repository / name for name in quoted if "/" in name and "NAME" not in name]
        sources = [path.read_text(encoding="utf-8") for path in files]
        names = [name for name in quoted if re.fullmatch(r"_?[A-Za-z]\w*", name)]
        wrong += [
            (name, step)
            for name in names
            if not any(
                re.search(
                    rf"^ *((class|def) {name}\b|{name}( *:.*)? =|{name}:)", source, re.MULTILINE
                )
                for source in sources
            )
        ]
        assert files or "NAME" in step, step
    assert wrong == []


def test_a_rival_is_what_the_guide_says(repository):
    asked = set(Rival.__annotations__) | {"cost"}
    for rival in (*RIVALS.values(), *VARIANTS.values()):
        assert {name for name in asked if not hasattr(rival, name)} == set()


def test_every_method_is_documented_where_the_guide_says(repository):
    table = (repository / "docs" / "guides" / "sparse-training.md").read_text(encoding="utf-8")
    for name, options in METHODS.items():
        assert f'| `"{name}"` |' in table
        assert f"`golden.{options.__name__}`" in table
