"""A table that is trained once for all tests of it."""

from __future__ import annotations

import pytest

from benchmarks import training
from tests.benchmarks.tiny import TINY


@pytest.fixture(scope="session")
def done(tmp_path_factory):
    """Return the files of results and of the report."""
    folder = tmp_path_factory.mktemp("done")
    results, out = folder / "results.jsonl", folder / "new" / "report.md"
    training.main(["--results", str(results), "--out", str(out), *TINY])
    return results, out
