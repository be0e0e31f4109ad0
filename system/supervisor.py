"""Script that runs a program and ends it, with all that it started, when its own parent ends.

Run by `system.supervision.run_supervised` with the number of a file descriptor and the program with
its arguments. The descriptor reads a pipe whose other end only the parent holds: it is closed when
the parent ends, however that comes about. Programs may have begun groups and sessions of their own,
as provers do with their engines.
"""

import _thread
import importlib.util
import os
import signal
import sys


def _watch(lifeline: int) -> None:
    while os.read(lifeline, 1):
        pass
    # Loaded by its place, and only now: this script starts without the package, and quickly.
    place = os.path.join(os.path.dirname(__file__), "processes.py")  # noqa: PTH118, PTH120
    spec = importlib.util.spec_from_file_location("processes", place)
    processes = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(processes)
    processes.end_descendants()


def main() -> int:
    """Return the program's exit status; 128 + N if signal N ended it."""
    lifeline, command = int(sys.argv[1]), sys.argv[2:]
    os.set_inheritable(lifeline, False)
    child = os.posix_spawnp(command[0], command, os.environ)
    signal.signal(signal.SIGTERM, lambda *_: None)  # the program has it as it was
    _thread.start_new_thread(_watch, (lifeline,))
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


if __name__ == "__main__":
    raise SystemExit(main())
