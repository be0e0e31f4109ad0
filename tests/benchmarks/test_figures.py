"""Figures of documents: equal results give equal files, with their table beside them."""

from __future__ import annotations

import csv

import matplotlib.pyplot as plt
import pytest

from benchmarks.figures import write_figure
from gscn.errors import OutputError

ROWS = [{"x": 1, "y": 2.5}, {"x": 2, "y": 0.125}]


def figure():
    drawn, axes = plt.subplots()
    axes.plot([row["x"] for row in ROWS], [row["y"] for row in ROWS])
    plt.close(drawn)
    return drawn


def test_equal_results_give_equal_files_and_the_table_is_beside_them(tmp_path):
    for place in ("one", "other"):
        write_figure(tmp_path / place / "f.svg", figure(), ROWS)
    one, other = ((tmp_path / place / "f.svg").read_bytes() for place in ("one", "other"))
    assert one == other
    assert b"<dc:date>" not in one
    with (tmp_path / "one" / "f.csv").open(newline="") as file:
        rows = [{name: float(text) for name, text in row.items()} for row in csv.DictReader(file)]
    assert rows == ROWS


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        write_figure(tmp_path / "file" / "f.svg", figure(), ROWS)
