"""A `gscn` command that is interrupted, and what is left of it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MARK = "GSCN_TEST_MARK"
"""Environment variable by which all processes of a command can be told, whatever their parents."""
LIMIT_SECONDS = 5.0
"""Within which a command must have ended."""
TEMPORARY = (".gscn-*", ".*.partial", "gscn-command-*", ".rtl-*", ".sim-*")
"""Names of files and folders that must not outlive their command."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Interrupted:
    """How a command ended."""

    words: str
    early: bool
    """Whether it ended before the signal."""
    status: int
    seconds: float
    """From the signal to the end."""
    out: str
    errors: str
    left: list[str]
    """Command lines of processes that remain."""
    files: list[str]
    """Temporary files that remain."""


def marked(mark: str) -> list[tuple[int, str]]:
    """Return number and command line of every process that has a mark in its environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            if (
                state not in "ZX"
                and f"{MARK}={mark}\0".encode() in (entry / "environ").read_bytes()
            ):
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                found.append((int(entry.name), line))
    return found


def catches(process: int, number: int) -> bool:
    """Return whether a process has a handler for a signal."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("SigCgt"):
                return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False


def _listen() -> None:
    """Undo that shells, and `nohup`, start what runs in the background with signals ignored."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def interrupt(
    words: Sequence[str],
    place: Path,
    delay: float,
    number: signal.Signals,
    *,
    group: bool = False,
    again: bool = False,
    environment: dict[str, str] | None = None,
) -> Interrupted:
    """Run a command and send it a signal.

    Parameters
    ----------
    words
        After `gscn`.
    place
        Working directory, in which folders for temporary files are made.
    delay
        Seconds from when it takes signals over to the signal.
    number
        The signal.
    group
        Whether all of its process group get it, as with Ctrl-C at a terminal.
    again
        Whether it gets the signal twice.
    environment
        Set besides.
    """
    mark = os.urandom(8).hex()
    temporary = place / f"tmp-{mark}"
    temporary.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "gscn", *words],
        cwd=place,
        env={**os.environ, **(environment or {}), MARK: mark, "TMPDIR": str(temporary)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_listen,
    )
    try:
        while process.poll() is None and not catches(process.pid, signal.SIGTERM):
            time.sleep(0.005)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(delay)
        early = process.poll() is not None
        start = time.monotonic()
        for _ in range(1 + again):
            with contextlib.suppress(ProcessLookupError):
                (os.killpg if group else os.kill)(process.pid, number)
            if again:
                time.sleep(0.05)
        # Longer than the limit, which is to be judged by the test.
        out, errors = process.communicate(timeout=60)
        seconds = time.monotonic() - start
        # Python's own process that frees semaphores ends when it sees that its parent has.
        patience = time.monotonic() + 1
        while marked(mark) and time.monotonic() < patience:
            time.sleep(0.02)
        left = [line for _, line in marked(mark)]
    finally:
        for one, _ in marked(mark):
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        process.wait()
    files = [str(path) for path in temporary.rglob("*")]
    files += [str(path) for name in TEMPORARY for path in place.rglob(name)]
    return Interrupted(
        words=" ".join(words),
        early=early,
        status=process.returncode,
        seconds=seconds,
        out=out,
        errors=errors,
        left=left,
        files=files,
    )


def problems(one: Interrupted, number: signal.Signals) -> list[str]:
    """Return what is wrong with the end of a command that was interrupted."""
    found = []
    if one.status != 128 + number:
        found.append(f"status {one.status}")
    if one.seconds > LIMIT_SECONDS:
        found.append(f"ended after {one.seconds:.1f} s")
    if one.out or one.errors.splitlines()[-1:] != [f"gscn: ended by {number.name}"]:
        found.append(f"wrote {one.out!r}, {one.errors!r}")
    if "Traceback" in one.errors or "Error" in one.errors:
        found.append(f"wrote {one.errors!r}")
    if one.left:
        found.append(f"left processes {one.left}")
    if one.files:
        found.append(f"left files {one.files}")
    return found
