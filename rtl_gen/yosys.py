"""Run Yosys scripts and read the statistics that Yosys reports."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import logging
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gscn.errors import InputError
from gscn.system.supervision import run_supervised

PACKAGE = "pyosys"
"""Yosys as a native Python package; the WebAssembly build that writes the Verilog has no `abc`."""

# In a process of its own: Yosys ends the process on errors, and its memory goes back at the end.
# abc takes no paths with spaces: its temporary files are named from the current directory.
_RUNNER = (
    "import os, sys\n"
    "os.environ['TMPDIR'] = '.'\n"
    "from pyosys import libyosys\n"
    "libyosys.run_pass('script ' + sys.argv[1], libyosys.Design())\n"
)
_ERROR = re.compile(r"^ERROR: .*", re.MULTILINE)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class ModuleStatistics:
    """What one module contains, submodules not included unless said so."""

    cells: Mapping[str, int]
    """Cells by type; instances of submodules are cells of the submodule's type."""
    memory_bits: int = 0
    area: float | None = None
    """Area with all submodules, in the liberty's unit; None without a liberty."""
    sequential_area: float | None = None
    """Part of `area` in flip-flops and latches."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Statistics:
    """Modules of a netlist by name."""

    modules: Mapping[str, ModuleStatistics] = field(default_factory=dict)

    def total_cells(self, module: str) -> dict[str, int]:
        """Return the cells of a module and of all that it contains, by type.

        Raises
        ------
        InputError
            There is no such module.
        """
        totals: dict[str, int] = {}
        for kind, count in self._module(module).cells.items():
            if kind in self.modules:
                for inner, inner_count in self.total_cells(kind).items():
                    totals[inner] = totals.get(inner, 0) + count * inner_count
            else:
                totals[kind] = totals.get(kind, 0) + count
        return totals

    def instances(self, module: str) -> Counter[str]:
        """Return how many of each module there are at or below a module, itself included.

        Raises
        ------
        InputError
            There is no such module.
        """
        found = Counter({module: 1})
        for kind, count in self._module(module).cells.items():
            if kind in self.modules:
                for inner, inner_count in self.instances(kind).items():
                    found[inner] += count * inner_count
        return found

    def total_memory_bits(self, module: str) -> int:
        """Return the memory bits of a module and of all that it contains.

        Raises
        ------
        InputError
            There is no such module.
        """
        own = self._module(module)
        return own.memory_bits + sum(
            count * self.total_memory_bits(kind)
            for kind, count in own.cells.items()
            if kind in self.modules
        )

    def _module(self, name: str) -> ModuleStatistics:
        if name not in self.modules:
            raise InputError(
                f"module must be one of the netlist's {', '.join(sorted(self.modules))}, "
                f"not {name!r}"
            )
        return self.modules[name]


def parse_statistics(text: str) -> Statistics:
    """Read what `stat -json` wrote.

    Parameters
    ----------
    text
        The JSON text.

    Raises
    ------
    InputError
        The text is not such a report.
    """
    try:
        modules = {
            name.removeprefix("\\"): ModuleStatistics(
                # Scopes that remain of removed hierarchy are no hardware.
                cells={
                    kind: count
                    for kind, count in module["num_cells_by_type"].items()
                    if kind != "$scopeinfo"
                },
                memory_bits=module["num_memory_bits"],
                area=module.get("area"),
                sequential_area=module.get("sequential_area"),
            )
            for name, module in json.loads(text)["modules"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"statistics must be what `stat -json` writes: {error!r}") from error
    return Statistics(modules=modules)


def yosys_version() -> str:
    """Return the version of Yosys.

    Raises
    ------
    InputError
        It is not installed.
    """
    if importlib.util.find_spec(PACKAGE) is None:
        raise InputError(
            f"synthesis needs the Python package {PACKAGE}, which is not installed: "
            f"run `make synth`, or pip install 'gscn[synth]'"
        )
    return importlib.metadata.version(PACKAGE)


def run_yosys(commands: Sequence[str], directory: Path) -> str:
    """Run Yosys commands in a directory and return the log.

    Parameters
    ----------
    commands
        One command per item; relative file names are relative to `directory`.
    directory
        Where the script and its outputs lie; must exist.

    Raises
    ------
    InputError
        Yosys is not installed, or a command fails; the message has Yosys' own.
    """
    yosys_version()
    script = directory / "script.ys"
    script.write_text("\n".join(commands) + "\n", encoding="utf-8")
    logger.info("yosys: %d commands in %s", len(commands), directory)
    done = run_supervised([sys.executable, "-c", _RUNNER, script.name], cwd=directory)
    log = done.stdout + done.stderr
    found = _ERROR.search(log)
    if done.returncode != 0 or found:
        last = found[0] if found else log.strip().rpartition("\n")[2]
        raise InputError(f"Yosys must accept its script, but ended with {last!r}")
    return log
