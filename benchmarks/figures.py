"""Figures of documents: equal results give equal files, and the table lies beside the figure."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gscn.system.files import write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_figure(path: Path, figure: Figure, table: Sequence[Mapping[str, object]]) -> None:
    """Write a figure as SVG, and the table that it shows as CSV of the same name.

    Parameters
    ----------
    path
        Of the figure, `.svg`.
    figure
        Drawn from the table.
    table
        Rows with the same keys; at least one.

    Raises
    ------
    InputError
        A file cannot be written.
    """
    import matplotlib

    drawn, rows = io.StringIO(), io.StringIO()
    # No date, and fixed names inside.
    with matplotlib.rc_context({"svg.hashsalt": path.name}):
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    writer = csv.DictWriter(rows, list(table[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    write_text(path, drawn.getvalue())
    write_text(path.with_suffix(".csv"), rows.getvalue())
