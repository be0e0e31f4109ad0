"""The process of a simulator, which ends with the one that started it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import weakref
from collections.abc import Sequence
from pathlib import Path

from gscn.cosim.builds import coverage
from gscn.cosim.errors import SimulationError
from gscn.cosim.simulation import simulator_environment

LIFELINE_VARIABLE = "GSCN_LIFELINE"
"""Environment variable that tells the program of its lifeline: see lifeline.cpp."""

FINISH_SECONDS = 2.0
"""Limit of time for a process to end by itself."""


class SimulatorProcess:
    """A running simulator; it ends with this object, or before, and never outlives this process.

    Parameters
    ----------
    command
        The program and its arguments.
    directory
        Where it runs, and where cocotb may write what it thinks of the testbench.
    testbench
        Module of the testbench.
    log
        File that takes what it says.
    descriptors
        File descriptors that it inherits.

    Attributes
    ----------
    popen : subprocess.Popen
        The process.

    Raises
    ------
    SimulationError
        The program cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        directory: Path,
        log: Path,
        testbench: str = "gscn.cosim.inside.testbench",
        descriptors: Sequence[int] = (),
    ) -> None:
        environment = simulator_environment(directory, testbench)
        theirs, ours = os.pipe()
        try:
            with log.open("wb") as output:
                self.popen = subprocess.Popen(
                    [*command, *coverage.arguments(Path(command[0]))],
                    cwd=directory,
                    env={**environment, LIFELINE_VARIABLE: str(theirs)},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=(*descriptors, theirs),
                )
        except BaseException as error:
            os.close(ours)
            if isinstance(error, OSError):
                message = f"simulator {command[0]} must be a program that runs: {error}"
                raise SimulationError(message) from error
            raise
        finally:
            os.close(theirs)
        self._end = weakref.finalize(self, _end, self.popen, ours)

    def finish(self) -> None:
        """Let the process end by itself, so that it completes its files; kill it if it does not.

        Its testbench must have been told to end.
        """
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(coverage.FINISH_SECONDS if coverage.asked() else FINISH_SECONDS)
        self.end()

    def end(self) -> None:
        """Kill the process if it still runs. Again does nothing."""
        self._end()


def _end(popen: subprocess.Popen, lifeline: int) -> None:
    if popen.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(popen.pid, signal.SIGKILL)
    popen.wait()
    os.close(lifeline)
