"""A trace of a step, and a copy of it to be damaged."""

from __future__ import annotations

import shutil

import pytest

from gscn.golden.traces.recording import trace_step
from tests.golden.traces.steps import trainer


@pytest.fixture(scope="session")
def directory(tmp_path_factory):
    """Return the directory of a trace, which tests leave as it is."""
    out = tmp_path_factory.mktemp("traces") / "both"
    trace_step(trainer("swat+resprop"), out)
    return out


@pytest.fixture
def copy(directory, tmp_path):
    """Return a copy of the directory."""
    return shutil.copytree(directory, tmp_path / "copy")
