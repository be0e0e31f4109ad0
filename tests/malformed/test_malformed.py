"""Random malformed files: one sentence and exit 2, or what the file holds; never more than that."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.malformed.generate import KINDS
from tests.malformed.run import CPU_SECONDS, MOST_BYTES

ROOT = Path(__file__).parents[2]
_LONG = 1000


def faults(first: int, count: int, folder: Path) -> tuple[list[dict], list[str]]:
    """Return what became of so many files, and what is wrong with it."""
    words = [sys.executable, "-m", "tests.malformed.run", str(folder), str(first), str(count)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["seed"] for row in rows] == list(range(first, first + count))
    wrong = []
    for row in rows:
        held = (
            row["exit"] in (0, 1, 2)
            and "Traceback" not in row["output"]
            and row["cpu_seconds"] <= CPU_SECONDS
            and row["megabytes"] <= MOST_BYTES >> 20
            # What is refused is refused in words.
            and (row["exit"] != 2 or row["output"].strip())
        )
        if not held:
            wrong.append(json.dumps(row, indent=1))
    return rows, wrong


def test_thirty_malformed_files_are_refused_or_read_within_bounds(tmp_path):
    _, wrong = faults(0, 30, tmp_path / "files")
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
def test_a_thousand_malformed_files_are_refused_or_read_within_bounds(tmp_path):
    rows, wrong = faults(1000, _LONG, tmp_path / "files")
    assert not wrong, f"{len(wrong)} of {_LONG}:\n" + "\n".join(wrong[:20])
    # Every kind was there, and most files were found to be malformed.
    for kind in KINDS:
        ends = [row["exit"] for row in rows if row["kind"] == kind]
        assert len(ends) > _LONG / len(KINDS) / 2, kind
        assert ends.count(2) > len(ends) / 3, kind
