"""A simulated accelerator that stays up and takes one launch after the other."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import weakref
from dataclasses import dataclass
from multiprocessing.connection import Pipe
from pathlib import Path

import numpy as np

from gscn.array import ArrayConfig
from gscn.cosim.builds.simulator import BuiltSimulator, build
from gscn.cosim.closing import Closing
from gscn.cosim.devices.jobs import FAILED, READY, REFUSED, PassJob, PassRun
from gscn.cosim.errors import DeviceLost, SimulationError, SimulationTimeout
from gscn.cosim.process import FINISH_SECONDS, SimulatorProcess
from gscn.cosim.simulation import (
    Program,
    RunResult,
    default_timeout_cycles,
    launch_fields,
    launch_settings,
    run_result,
)
from gscn.errors import InputError
from gscn.port import READ_LATENCY
from gscn.system.cache import temporary_folder
from gscn.system.files import replacing

START_SECONDS = 120.0
"""Limit of time until a new process serves; it imports the lowering, and compiles it if need be."""
FORBIDDEN_FLAGS = ("accumulator_overflow",)
"""Flags that a pass as the lowering makes it can never set."""


class _Process:
    """A simulator process with its connection; ends with this object, or before."""

    def __init__(self, simulator: BuiltSimulator, setup: dict, waves: Path | None) -> None:
        with contextlib.ExitStack() as stack:
            place = stack.enter_context(temporary_folder("gscn-device-"))
            self.log = place / "log"
            self.connection, theirs = Pipe()
            stack.callback(self.connection.close)
            with theirs:
                command = [str(simulator.executable), f"+requests={theirs.fileno()}"]
                if waves is not None:
                    command += ["--trace", "--trace-file", str(waves)]
                process = SimulatorProcess(
                    command,
                    directory=place,
                    log=self.log,
                    testbench="gscn.cosim.inside.device_testbench",
                    descriptors=[theirs.fileno()],
                )
            stack.callback(process.end)
            self.popen, self._finish = process.popen, process.finish
            self._end = weakref.finalize(self, stack.pop_all().close)
        with contextlib.suppress(OSError):  # it has ended already: whoever asks it is told
            self.connection.send(setup)

    def finish(self) -> None:
        """Let the process end by itself, so that it completes its waves; kill it if it does not."""
        self.connection.close()
        self._finish()
        self.end()

    def kill(self) -> None:
        """End the process from another thread than the one that waits for its answer."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)

    def end(self) -> None:
        """Kill the process if it still runs, and free what it had."""
        self._end()

    def fate(self) -> str:
        """Say how the process ended, and the end of its log; it must have closed its connection."""
        try:
            status = self.popen.wait(FINISH_SECONDS)
        except subprocess.TimeoutExpired:
            how = "closed its connection"
        else:
            how = f"exited with {status}"
            if status < 0:
                how = f"was ended by {signal.Signals(-status).name}"
        tail = self.log.read_text(errors="replace")[-2000:].strip()
        return f"{how}{f'; its log ends: {tail}' if self.popen.returncode != -9 and tail else ''}"


@dataclass(frozen=True, kw_only=True, slots=True)
class DeviceSettings:
    """How devices run launches and what they check; no result depends on it.

    Raises
    ------
    InputError
        A setting is out of range.
    """

    latency: int = READ_LATENCY
    """Cycles from a memory's read command to its first beat; at least 2."""
    wall_timeout_seconds: float | None = None
    """Limit of time for a launch; by default only its cycles are limited."""
    check_counters: bool = True
    """Whether every counter of a pass must be the cycle model's; then there is a reset before each.
    Otherwise each cluster's counters must still sum to the cycles of its PEs."""

    def __post_init__(self) -> None:
        """Check the range."""
        if self.latency < 2:
            raise InputError(f"device: latency must be at least 2 cycles, not {self.latency}")


DEFAULT_SETTINGS = DeviceSettings()


class Device(Closing):
    """A simulated accelerator in one process that stays up between launches.

    The process starts with the first launch. If it fails, is killed or crashes, the launch under
    way raises an error that names it, and the next one starts a new process. No process outlives
    its device: not one that is closed or forgotten, nor one whose parent is killed.

    Passes are lowered in the simulator's own process (cocotb embeds Python there), so that several
    devices lower and simulate at the same time. Threads may share a device: they take turns.

    Parameters
    ----------
    config
        Configuration of the accelerator.
    settings
        How it runs launches.
    waves
        File (`.fst`) for the waves of everything that the first process does; slow. It is complete
        when the device is closed.
    simulator
        A simulator from `build`; by default one is built.
    build_root
        Directory of the simulators.

    Attributes
    ----------
    starts : int
        Processes started so far.

    Raises
    ------
    InputError
        A setting is out of range, or does not fit the simulator.
    SimulationError
        The simulator cannot be built.
    """

    def __init__(
        self,
        config: ArrayConfig,
        settings: DeviceSettings = DEFAULT_SETTINGS,
        *,
        waves: Path | None = None,
        simulator: BuiltSimulator | None = None,
        build_root: Path | None = None,
    ) -> None:
        form = "" if waves is None else "fst"
        if simulator is None:
            simulator = build(config, build_root=build_root, waves=form)
        if simulator.axi or simulator.config != config:
            raise InputError(
                f"simulator must be of configuration {config.digest()} with the core's own ports, "
                f"not of {simulator.config.digest()} with axi={simulator.axi}"
            )
        if waves is not None and simulator.waves != form:
            raise InputError(f"simulator must be built with waves={form!r} to write {waves}")
        self.config = config
        self.settings = settings
        self.starts = 0
        self._simulator = simulator
        self._waves = None if waves is None else Path(waves).resolve()
        self._process: _Process | None = None
        self._asked: _Process | None = None
        """Which a thread waits for."""
        self._lock = threading.Lock()
        self._closed = False

    @property
    def latency(self) -> int:
        """Cycles from a memory's read command to its first beat."""
        return self.settings.latency

    @property
    def process_id(self) -> int | None:
        """Process of the simulator, None while there is none."""
        process = self._process
        return None if process is None else process.popen.pid

    def close(self) -> None:
        """End the process; the device takes no more launches. Again does nothing.

        A launch that another thread waits for is given up: its error says that the process was
        killed.
        """
        self._closed = True
        while not self._lock.acquire(timeout=FINISH_SECONDS / 10):
            asked = self._asked
            if asked is not None:
                asked.kill()
        try:
            process, self._process = self._process, None
            if process is not None:
                process.finish()
        finally:
            self._lock.release()

    def start(self) -> None:
        """Start the process now, not with the first launch.

        Raises
        ------
        InputError
            The device is closed.
        SimulationError
            The process does not come up.
        """
        with self._lock:
            self._running()

    def run_pass(self, job: PassJob) -> PassRun:
        """Lower and run a pass, on a fresh memory.

        Passes whose counters are not compared follow one another without a reset. So a pass may
        take a few cycles more or less than after one, as the arbiters' turns go on.

        Raises
        ------
        InputError
            The pass cannot be lowered to the configuration, or the device is closed.
        SimulationTimeout
            The pass did not end in time.
        DeviceLost
            The process ended during the pass; the device can be used on.
        SimulationError
            The accelerator broke its contract.
        """
        return self._ask(job, job.label)

    def run(self, program: Program, *, label: str = "launch") -> RunResult:
        """Run a launch, on a fresh memory and after a reset, as `cosim.run` does.

        Parameters
        ----------
        program
            Made for the device's configuration.
        label
            Names the launch in errors.

        Raises
        ------
        InputError
            The program was made for another configuration, or the device is closed.
        SimulationTimeout
            The launch did not end in time.
        DeviceLost
            The process ended during the launch; the device can be used on.
        SimulationError
            The accelerator broke its contract.
        """
        if program.config.digest() != self.config.digest():
            raise InputError(
                f"program must be made for configuration {self.config.digest()}, "
                f"not {program.config.digest()}"
            )
        limit = default_timeout_cycles(program, latency=self.latency, stall_probability=0.0)
        request = {
            "image": np.ascontiguousarray(program.image, dtype=np.uint8),
            "launch": launch_fields(program, timeout_cycles=limit),
        }
        return run_result(self.config, *self._ask(request, label))

    def _ask(self, request: PassJob | dict, label: str) -> object:
        """Return the content of the answer to a request."""
        with self._lock:
            process = self._running()
            try:
                kind, content = self._exchange(
                    process, request, label, self.settings.wall_timeout_seconds
                )
                if kind == FAILED:
                    timed_out, problem = content
                    error = SimulationTimeout if timed_out else SimulationError
                    raise error(f"{label} (configuration {self.config.digest()}): {problem}")
            except BaseException:
                # Whatever it was, an interrupt included: what the process would say next is not
                # the answer to the next request.
                self._process = None
                process.end()
                raise
        if kind == REFUSED:
            raise InputError(f"{label}: {content}")
        return content

    def _running(self) -> _Process:
        if self._closed:
            raise InputError("device must not be closed to take launches")
        if self._process is not None:
            return self._process
        setup = {
            "config": self.config,
            "settings": launch_settings(self.config, latency=self.latency),
            "forbidden_flags": FORBIDDEN_FLAGS,
            "check_counters": self.settings.check_counters,
        }
        # The waves of a process that failed are kept.
        waves = self._waves if not self.starts else None
        process = _Process(self._simulator, setup, waves)
        self.starts += 1
        try:
            kind, _ = self._exchange(process, None, "start", START_SECONDS)
        except BaseException:
            process.end()
            raise
        assert kind == READY
        self._process = process
        return process

    def _exchange(
        self,
        process: _Process,
        request: PassJob | dict | None,
        label: str,
        seconds: float | None,
    ) -> tuple[str, object]:
        """Send a request, if there is one, and return the answer."""
        self._asked = process
        try:
            if request is not None:
                process.connection.send(request)
            if not process.connection.poll(seconds):
                raise SimulationTimeout(
                    f"device process {process.popen.pid} must answer {label} within {seconds} s"
                )
            return process.connection.recv()
        except (EOFError, OSError) as error:
            raise DeviceLost(
                f"device process {process.popen.pid} {process.fate()}, during {label}; "
                "the next launch starts another"
            ) from error
        finally:
            self._asked = None


def record_waves(
    config: ArrayConfig,
    job: PassJob,
    path: Path,
    settings: DeviceSettings = DEFAULT_SETTINGS,
    *,
    build_root: Path | None = None,
) -> PassRun:
    """Run a pass on a device of its own that writes its waves.

    Parameters
    ----------
    config
        Configuration of the accelerator.
    job
        The pass.
    path
        File (`.fst`); it appears when the pass has ended.
    settings, build_root
        As of `Device`.

    Raises
    ------
    InputError, SimulationError
        As `Device.run_pass`.
    """
    # Complete only when the device is closed.
    with replacing(path) as whole:
        try:
            with Device(config, settings, waves=whole, build_root=build_root) as device:
                return device.run_pass(job)
        except SimulationError:
            # What shows why it failed is kept as far as it goes.
            with contextlib.suppress(OSError):
                whole.replace(path)
            raise
