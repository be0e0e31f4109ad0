"""Tables read back from the documents of this repository, which commands have written.

The report copies no number: what was measured by other commands (RTL cycles, area, errors of the
models) is read from the documents that they wrote.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gscn.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class DocumentTable:
    """A Markdown table."""

    heading: str
    """Of the section that it stands in."""
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def column(self, name: str) -> list[str]:
        """Return the cells of a column; raise `InputError` if there is none of that name."""
        return [row[self.index(name)] for row in self.rows]

    def index(self, name: str) -> int:
        """Return the index of a column; raise `InputError` if there is none of that name."""
        if name not in self.header:
            raise InputError(
                f"table below {self.heading!r} must have a column {name!r}, "
                f"not only {', '.join(self.header)}"
            )
        return self.header.index(name)

    def row(self, first: str) -> dict[str, str]:
        """Return the row whose first cell is `first`, by column."""
        for row in self.rows:
            if row[0] == first:
                return dict(zip(self.header, row, strict=True))
        raise InputError(f"table below {self.heading!r} must have a row {first!r}")


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in line.strip().strip("|").split("|"))


def read_tables(path: Path) -> tuple[DocumentTable, ...]:
    """Return the tables of a Markdown document, in order.

    Raises
    ------
    InputError
        The document cannot be read, or a row has another number of cells than its header.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(f"document {path} must be readable: {error}") from error
    heading, tables, index = "", [], 0
    while index < len(lines):
        line = lines[index]
        if line.startswith("#"):
            heading = line.lstrip("# ").strip()
        is_rule = index + 1 < len(lines) and set(lines[index + 1]) <= set("|-: ")
        if not (line.startswith("|") and is_rule and "-" in lines[index + 1]):
            index += 1
            continue
        header, rows = _cells(line), []
        index += 2
        while index < len(lines) and lines[index].startswith("|"):
            rows.append(_cells(lines[index]))
            if len(rows[-1]) != len(header):
                raise InputError(
                    f"{path}, line {index + 1}: a row must have {len(header)} cells, "
                    f"not {len(rows[-1])}"
                )
            index += 1
        tables.append(DocumentTable(heading=heading, header=header, rows=tuple(rows)))
    return tuple(tables)


def number(cell: str) -> float | None:
    """Return the number that a cell begins with; a dash is None.

    Thousands may be set apart by commas, and a unit or a bracket may follow.

    Raises
    ------
    InputError
        The cell begins with no number.
    """
    words = cell.replace("*", "").split()
    if not words or words[0] in ("-", "\N{EN DASH}"):
        return None
    try:
        return float(words[0].replace(",", "").rstrip("%"))
    except ValueError:
        raise InputError(f"cell must begin with a number, not {cell!r}") from None
