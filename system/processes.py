"""Processes that this one has started, and those that they have started."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Iterator
from multiprocessing import resource_tracker
from pathlib import Path

TERM_SECONDS = 0.5
"""Limit of time for processes to end by themselves, as compilers do to remove their files."""
KILL_SECONDS = 0.5
"""Limit of time to see that killed processes are gone."""
_PROC = Path("/proc")
_PR_SET_CHILD_SUBREAPER = 36
_TRACKER = b"multiprocessing.resource_tracker"
"""In the command line of Python's own process that frees semaphores; it ends after this one."""


def descendants(process: int | None = None) -> list[int]:
    """Return the processes that run below one, by default this one; none where there is no /proc.

    A process whose parent has ended belongs to nobody, unless `adopt_descendants` was called.
    """
    below: dict[int, list[int]] = {}
    for entry in _PROC.glob("[0-9]*"):
        # It may have ended by now.
        with contextlib.suppress(OSError):
            # The name, in brackets, may contain anything.
            state, parent = (entry / "stat").read_bytes().rpartition(b")")[2].split()[:2]
            if state not in (b"Z", b"X") and _TRACKER not in (entry / "cmdline").read_bytes():
                below.setdefault(int(parent), []).append(int(entry.name))
    found = [os.getpid() if process is None else process]
    for one in found:
        found += below.get(one, [])
    return found[1:]


def adopt_descendants() -> None:
    """Become the parent of every descendant whose own parent ends, where the system can do that."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def ask_descendants(number: int = signal.SIGTERM) -> list[int]:
    """Send a signal to all descendants; return them."""
    adopt_descendants()
    found = descendants()
    for one in found:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(one, number)
    return found


def end_descendants() -> None:
    """End all descendants, in whatever session: ask them first, kill those that do not end."""
    start = time.monotonic()
    number = signal.SIGTERM
    while ask_descendants(number):
        passed = time.monotonic() - start
        if passed > TERM_SECONDS:
            number = signal.SIGKILL
        if passed > TERM_SECONDS + KILL_SECONDS:
            return
        time.sleep(0.02)


@contextlib.contextmanager
def deaf_children() -> Iterator[None]:
    """Start processes in this context that leave Ctrl-C to this one.

    The terminal sends it to all of them; each would end with a traceback of its own.
    """
    resource_tracker.ensure_running()  # which would make the thread listen again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
