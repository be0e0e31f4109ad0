"""A library of standard cells, and the commands that map to it."""

from __future__ import annotations

import re
from pathlib import Path

from gscn.errors import InputError
from gscn.system.reading import read_bytes

_MOST_LIBERTY_BYTES = 256 << 20
DEFAULT_LIBERTY = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")
"""Cells of the 0.18 um OSU library, where Debian's `qflow-tech-osu018` puts them."""

DRIVING_CELL = "BUFX4"
"""Drives every input of the logic between registers, if the library has it."""
LOAD_PF = 0.05
"""Load of every output of the logic between registers, picofarads."""
TARGET_PS = 1000
"""Delay asked of the technology mapper, picoseconds: unreachable, hence it maps for speed."""

CONSTRAINTS = "abc.constr"
"""Where `map_commands` expects what `write_constraints` writes."""


def check_liberty(liberty: Path) -> Path:
    """Return the path if the file is there; raise `InputError` that says what to install."""
    if not liberty.is_file():
        raise InputError(
            f"liberty must be a file, not {liberty}: install Debian's qflow-tech-osu018, or name "
            "the liberty file of another standard-cell library"
        )
    return liberty.resolve()


def liberty_text(liberty: Path) -> str:
    """Return what a liberty file says, whatever bytes its comments have."""
    content = read_bytes(liberty, "liberty", most_bytes=_MOST_LIBERTY_BYTES)
    return content.decode("utf-8", "replace")


def write_constraints(liberty: Path, directory: Path) -> None:
    """Write what drives and loads the logic between registers."""
    text = liberty_text(liberty)
    cell = re.search(rf'\bcell\s*\(\s*"?{DRIVING_CELL}"?\s*\)', text)
    driving = f"set_driving_cell {DRIVING_CELL}\n" if cell else ""
    (directory / CONSTRAINTS).write_text(f"{driving}set_load {LOAD_PF}\n", encoding="utf-8")


def map_commands(liberty: Path) -> tuple[str, ...]:
    """Return the commands that map gates to cells and write `cells.json`."""
    return (
        f'dfflibmap -liberty "{liberty}"',
        f'abc -liberty "{liberty}" -D {TARGET_PS} -constr {CONSTRAINTS}',
        "opt_clean",
        f'tee -q -o cells.json stat -json -liberty "{liberty}"',
    )
