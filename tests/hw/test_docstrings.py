# amaranth: UnusedElaboratable=no
"""Every component's docstring names every member of its signature, and no other."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re

import pytest
from amaranth.lib import wiring

from gscn import hw
from gscn.config import PRESETS
from gscn.hw.shared import Shared

MODULES = sorted(one.name for one in pkgutil.walk_packages(hw.__path__, "gscn.hw."))
COMPONENTS = [
    component
    for module in MODULES
    for component in vars(importlib.import_module(module)).values()
    if inspect.isclass(component)
    and issubclass(component, wiring.Component)
    and component.__module__ == module
    # its signature is that of the component it stands for
    and component is not Shared
]
ARGUMENTS = {
    # members that only cores with float formats have are described too
    "config": PRESETS["tiny"].with_overrides(["float_formats=bf16"]),
    "count": 3,
    "width": 48,
    "shape": 8,
    "depth": 4,
    "most": 2,
}


def section(component, title):
    """Return the lines of a section of the docstring, without their indentation."""
    found = re.search(rf"^{title}\n-*\n?((?:[ -].*\n?|\n)*)", inspect.getdoc(component), re.M)
    assert found, f"{component.__name__} has no section {title!r}"
    return inspect.cleandoc(found[1]).splitlines()


def names(lines):
    """Return the names described: `a, b: ...` at the head of a line that is not indented."""
    described = []
    for line in lines:
        head = re.match(r"((?:\w+, )*\w+):", line)
        if head:
            described += head[1].split(", ")
    return described


def parameters(component):
    return [name for name in inspect.signature(component).parameters if name != "self"]


def test_components_are_found():
    assert {"PE", "Lookup", "Cluster", "RoundRobin"} <= {c.__name__ for c in COMPONENTS}


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: component.__name__)
def test_docstring_names_every_member(component):
    instance = component(**{name: ARGUMENTS[name] for name in parameters(component)})
    assert sorted(names(section(component, "Members:"))) == sorted(instance.signature.members)


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: component.__name__)
def test_docstring_names_every_parameter(component):
    assert names(section(component, "Parameters")) == parameters(component)


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: component.__name__)
def test_docstring_states_the_timing(component):
    assert re.search(r"^Timing: ", inspect.getdoc(component), re.M)
