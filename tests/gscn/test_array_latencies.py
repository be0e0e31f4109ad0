"""Latencies shared by hardware and cycle model of an array: each part has its own from here."""

from __future__ import annotations

import ast
import importlib
import itertools
import re
from pathlib import Path

import pytest

from gscn import array_latencies

BORROWED = ("FLOAT_PRODUCT_LATENCY", "FLOAT_ROUNDER_LATENCY", "ROUNDER_LATENCY")
"""Of components of both kinds of cores, from `gscn.latencies`."""
ASSIGNS = re.compile(r"`(hw(?:\.[a-z_]+)+)\.([A-Z]\w+)\.([A-Z_]+)`")
NOT_FROM_HERE = ("QUEUE_LATENCY",)
"""Of a component that both kinds of cores have; it is only compared."""


def documented() -> dict[str, str]:
    """Return the docstring of each constant."""
    body = ast.parse(Path(array_latencies.__file__).read_text(encoding="utf-8")).body
    return {
        node.targets[0].id: text.value.value
        for node, text in itertools.pairwise(body)
        if isinstance(node, ast.Assign) and isinstance(text, ast.Expr)
    }


NAMED = {name: found for name, text in documented().items() if (found := ASSIGNS.search(text))}


def test_every_constant_has_a_docstring_and_components_are_named():
    constants = {name for name in vars(array_latencies) if name.isupper() and name not in BORROWED}
    assert set(documented()) == constants
    assert {name for name in constants if name.endswith("_LATENCY")} <= set(NAMED)


@pytest.mark.parametrize("name", NAMED)
def test_the_component_takes_its_constant_from_here(name):
    module, component, constant = NAMED[name].groups()
    part = importlib.import_module(f"gscn.{module}")
    assert getattr(getattr(part, component), constant) == getattr(array_latencies, name)
    source = Path(part.__file__).read_text(encoding="utf-8")
    assert name in NOT_FROM_HERE or f"    {constant} = array_latencies.{name}\n" in source


def test_what_an_array_with_floats_takes_longer():
    assert [array_latencies.job_end_cycles(floats=floats) for floats in (False, True)] == [4, 6]
