"""Programs that do not outlive this process, and that take nothing from the current directory."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from gscn.system import supervisor

_PR_SET_PDEATHSIG = 1  # from <sys/prctl.h>


def run_supervised(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program and wait for it; it and all that it started end with this process.

    That holds for an exception meanwhile, such as an interrupt, and if this process is killed.

    Parameters
    ----------
    command
        The program, with its path or to be found in PATH, and its arguments.
    cwd
        Directory that it runs in.
    env
        Its environment; by default that of this process.

    Returns
    -------
    subprocess.CompletedProcess
        With what it wrote, as text; 128 + N as its status if signal N ended it.

    Raises
    ------
    FileNotFoundError
        There is no such program.
    """
    path = (os.environ if env is None else env).get("PATH")
    if shutil.which(command[0], path=path) is None:
        raise FileNotFoundError(f"{command[0]} is not in PATH")
    theirs, ours = os.pipe()
    try:
        with subprocess.Popen(
            [sys.executable, "-I", "-S", supervisor.__file__, str(theirs), *command],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            # Ctrl-C at the terminal is not for it, and all that it starts is one group.
            start_new_session=True,
            pass_fds=(theirs,),
        ) as process:
            try:
                out, err = process.communicate()
            except BaseException:
                # The supervisor ends the program and all that it started, then itself.
                os.close(ours)
                ours = -1
                process.communicate()
                raise
    finally:
        os.close(theirs)
        if ours >= 0:
            os.close(ours)
    return subprocess.CompletedProcess(list(command), process.returncode, out, err)


@contextlib.contextmanager
def safe_import_path() -> Iterator[None]:
    """Let Python processes started meanwhile import nothing from the current directory.

    `python -m NAME` and `python -c TEXT`, by which libraries start their helpers, otherwise look
    there first: in whatever directory the user happens to be.
    """
    name = "PYTHONSAFEPATH"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def end_with_parent() -> None:
    """Have this process killed when the thread that started it ends; for the workers of a pool.

    A worker otherwise waits for ever for work from a process that was killed.
    """
    parent = multiprocessing.parent_process()
    # Linux only; elsewhere there is no such call.
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent is not None and os.getppid() != parent.pid:  # it has ended already
        os.kill(os.getpid(), signal.SIGKILL)
