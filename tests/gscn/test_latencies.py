"""Latencies shared by hardware and cycle model: each component has its own from here."""

from __future__ import annotations

import ast
import importlib
import itertools
import re
from pathlib import Path

import pytest

from gscn import latencies

ASSIGNS = re.compile(r"`(hw(?:\.[a-z_]+)+)\.([A-Z]\w+)\.([A-Z_]+)`")
NOT_FROM_HERE = ("QUEUE_LATENCY",)
"""Only compared."""


def documented() -> dict[str, str]:
    """Return the docstring of each constant."""
    body = ast.parse(Path(latencies.__file__).read_text(encoding="utf-8")).body
    return {
        node.targets[0].id: text.value.value
        for node, text in itertools.pairwise(body)
        if isinstance(node, ast.Assign) and isinstance(text, ast.Expr)
    }


NAMED = {name: found for name, text in documented().items() if (found := ASSIGNS.search(text))}


def test_every_constant_has_a_docstring_and_components_are_named():
    constants = {name for name in vars(latencies) if name.isupper()}
    assert set(documented()) == constants
    assert {name for name in constants if name.endswith("_LATENCY")} <= set(NAMED)


@pytest.mark.parametrize("name", NAMED)
def test_the_component_takes_its_constant_from_here(name):
    module, component, constant = NAMED[name].groups()
    part = importlib.import_module(f"gscn.{module}")
    assert getattr(getattr(part, component), constant) == getattr(latencies, name)
    source = Path(part.__file__).read_text(encoding="utf-8")
    assert name in NOT_FROM_HERE or f"    {constant} = latencies.{name}\n" in source


def test_what_an_array_with_floats_takes_longer():
    assert [latencies.job_end_cycles(floats=floats) for floats in (False, True)] == [6, 8]
