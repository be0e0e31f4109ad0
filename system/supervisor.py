"""Script that runs a program and ends it, with all that it started, when its own parent ends.

Run by `system.supervision.run_supervised` as the leader of a process group, with the number of a
file descriptor and the program with its arguments. The descriptor reads a pipe whose other end only
the parent holds: it is closed when the parent ends, however that comes about.
"""

import _thread
import os
import signal
import sys
import time

TERM_SECONDS = 0.5
"""Limit of time for programs to end by themselves, as compilers do to remove their files."""


def _watch(lifeline: int) -> None:
    while os.read(lifeline, 1):
        pass
    # The signal reaches this process, too, which is to live until it has sent the next.
    os.killpg(0, signal.SIGTERM)
    time.sleep(TERM_SECONDS)
    os.killpg(0, signal.SIGKILL)


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
