"""Simulators that count which lines of the Verilog they execute, and which bits change.

If the environment variable `GSCN_COVERAGE` is set, all simulators are built so, and each of their
processes leaves what it counted in a file of the folder `coverage` beside its program, when it ends
by itself. `gscn.cosim.coverage` reads them.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

from gscn.cosim.errors import SimulationError

VARIABLE = "GSCN_COVERAGE"
"""Environment variable that asks for it."""
FOLDER = "coverage"
"""Beside a simulator's program."""
OPTIMISATION = "-O1"
"""Of the C++: counting makes it four times as much, and these simulators run a few minutes."""
FINISH_SECONDS = 120.0
"""Limit of time for a process to leave what it counted."""
_FLAGS = (
    *("--coverage-line", "--coverage-toggle"),
    *("--coverage-max-width", "4096"),  # bits; a wider signal would not be counted
)
_UNCOUNTED = re.compile(
    r"  (?:"
    r"(?:input|output|wire|reg) (?:\[\d+:0\] )?\\\$\d+(?:\$\d+)? ;"  # a net without a name
    r"|reg (?:\[\d+:0\] )?\S+ ?\[\d+:0\];"  # a memory
    r"|(?:reg|initial|  if \() ?\\\$auto.*"  # what wakes processes of simulators
    r")"
)
"""Declarations of what is not counted: nets that stand for a part of an expression, and what
memories hold, which is seen at their ports."""
HEADER = "verilated_cov.h"
"""Of Verilator's runtime: has what counts changes of bits."""
_BEYOND = "j < width - i * VL_EDATASIZE"
_WITHIN = "j < VL_EDATASIZE && j < width - i * VL_EDATASIZE"


def asked() -> bool:
    """Return whether simulators are to count."""
    return bool(os.environ.get(VARIABLE))


def flags() -> tuple[str, ...]:
    """Return Verilator's options to count."""
    return _FLAGS if asked() else ()


def arguments(executable: Path) -> list[str]:
    """Return the arguments by which a process of a simulator leaves what it counted."""
    if not asked():
        return []
    folder = executable.parent / FOLDER
    folder.mkdir(exist_ok=True)
    return [f"+verilator+coverage+file+{folder}/{uuid.uuid4().hex}.dat"]


def correct_header(include: Path, directory: Path) -> None:
    """Put a header that counts rightly beside the C++ that Verilator made, which takes it first.

    That of Verilator 5.048 goes on beyond a word of 32 bits, and so counts a change of a bit of a
    signal of over 64 bits for the bits 32, 64 and so on above it as well.

    Parameters
    ----------
    include
        Folder of Verilator's headers.
    directory
        Folder of the C++.

    Raises
    ------
    SimulationError
        The header is another one, of which this is not known.
    """
    text = (include / HEADER).read_text()
    if text.count(_BEYOND) != 2:
        raise SimulationError(f"{include / HEADER} must have {_BEYOND!r} twice, to be corrected")
    (directory / HEADER).write_text(text.replace(_BEYOND, _WITHIN))


def _runs(lines: list[str]) -> Iterator[tuple[int, int]]:
    """Yield first and last numbers of lines that follow one another and are not counted."""
    first = None
    for number, line in enumerate([*lines, ""], start=1):
        if _UNCOUNTED.fullmatch(line):
            first = first or number
        elif first is not None:
            yield first, number - 1
            first = None


def exclusions(verilog: str, name: str) -> str:
    """Return the file by which Verilator leaves out what is not counted.

    Parameters
    ----------
    verilog
        All modules, as `rtl_gen` writes them.
    name
        Pattern of the name of their file.
    """
    rules = [
        f'coverage_off -file "{name}" -lines {first}-{last}\n'
        for first, last in _runs(verilog.splitlines())
    ]
    return "`verilator_config\n" + "".join(rules)
