"""What a subcommand returns, and the aligned tables it prints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """Outcome of one subcommand."""

    data: dict[str, object] = field(default_factory=dict)
    """What `--json` writes: plain JSON values only, finite numbers."""
    text: str = ""
    """What is printed on stdout."""
    problems: tuple[str, ...] = ()
    """Files that could not be written in the end, in a sentence each; then the status is 2."""
    mismatch: bool = False
    """Whether something differs from its oracle; the command then exits with status 1."""


def json_text(data: dict[str, object]) -> str:
    """Return data as JSON."""
    # NaN and infinity are not JSON: refusing them here keeps other readers from failing later.
    return json.dumps(data, indent=2, allow_nan=False) + "\n"


def table(header: Sequence[str], rows: Sequence[Sequence[object]], *, title: str = "") -> str:
    """Return rows as aligned plain text, numbers to the right.

    Parameters
    ----------
    header
        One word or phrase per column, units included.
    rows
        Cells; floats are shown with four significant digits, None as a dash.
    title
        Line above the table, if any.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [
        max([len(name), *(len(row[index]) for row in cells)]) for index, name in enumerate(header)
    ]
    numeric = [
        bool(rows)
        and all(row[index] is None or isinstance(row[index], int | float) for row in rows)
        for index in range(len(header))
    ]

    def line(texts: Sequence[str]) -> str:
        aligned = (
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(texts, widths, numeric, strict=True)
        )
        return "  ".join(aligned).rstrip()

    lines = [title] if title else []
    lines += [line(header), "  ".join("-" * width for width in widths), *map(line, cells)]
    return "\n".join(lines)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 10_000 else f"{value:.0f}"
    return str(value)
