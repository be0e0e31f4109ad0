"""Backends (`golden.methods.backends`): the accelerator, or its cycle model.

Their results equal those of the golden backend, to the bit.
"""

from __future__ import annotations

import dataclasses
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from gscn.array import ArrayConfig, array
from gscn.conv import ConvShape, Pass
from gscn.cosim.closing import Closing
from gscn.cosim.devices.device import DEFAULT_SETTINGS, DeviceSettings, record_waves
from gscn.cosim.devices.jobs import PassJob, PassRun, lower_job
from gscn.cosim.devices.pool import SPLIT_PRODUCTS, DevicePool, expected_products, split_job
from gscn.cosim.scoreboard import model_cycles
from gscn.counters import CLUSTER_COUNTER_NAMES, CLUSTER_EVENT_NAMES
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.formats import FLOAT32, FloatFormat
from gscn.golden.methods.accelerator_arithmetic import CodedArithmetic
from gscn.golden.methods.backends import register_backend
from gscn.golden.methods.operand_formats import CodedOperands, OperandFormats, formats_of
from gscn.golden.oracle.float_conv import conv_windowed, round_sums
from gscn.golden.oracle.floats import storage_type
from gscn.outputs import FloatOutput
from gscn.port import READ_LATENCY

if TYPE_CHECKING:
    from torch import Tensor

DEFAULT_ARRAY = "small"
"""The accelerator of a backend that is given by its name: 16 multipliers."""
Observer = Callable[[PassRun], None]


class Executor(Protocol):
    """Runs passes on an accelerator, or as one would."""

    config: ArrayConfig

    def run_pass(self, job: PassJob) -> list[PassRun]:
        """Return the runs of the parts of a pass; their results are joined along the first axis."""
        ...

    def together(self, calls: Sequence[Callable[[], Tensor]]) -> list[Tensor]:
        """Return what calls return that run passes and do not depend on each other, in order."""
        ...


@takes_text
@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ExecutedArithmetic(CodedArithmetic):
    """Passes of one layer, run by an executor; an `Arithmetic` of `golden.methods.geometry`."""

    executor: Executor
    layer: str
    """Names the layer in errors and reports."""

    @takes_text
    def result_codes(self, which: Pass, shape: ConvShape, operands: CodedOperands) -> np.ndarray:
        """Return the codes of a pass's results, in the storage type of their format.

        Raises
        ------
        InputError
            The layer does not fit the accelerator.
        SimulationError
            The launch failed; its message names layer and pass.
        """
        job = PassJob(
            label=f"layer {self.layer}, {which}",
            shape=shape,
            which=which,
            first=operands.first,
            second=operands.second,
            out=FloatOutput(operands=operands.fmt, result=self.result_format),
        )
        runs = self.executor.run_pass(job)
        results = np.concatenate([run.result for run in runs])
        return results.astype(storage_type(self.result_format))

    def together(self, calls: Sequence[Callable[[], Tensor]]) -> list[Tensor]:
        """Return what calls of `convolve` return, run at the same time if the executor can."""
        return self.executor.together(calls)


class _ExecutorBackend(Closing):
    """What both backends have in common.

    Parameters
    ----------
    config
        The accelerator, which must have the formats of all passes; by default `DEFAULT_ARRAY` with
        these.
    formats
        Of operands, or their name in `golden.methods.operand_formats.FORMATS`.
    result_format
        Of results: float32, bf16, or that of the operands of every pass.
    observer
        Called with each run, from any thread, one at a time.

    Raises
    ------
    InputError
        There are no such formats, or the accelerator lacks one.
    """

    def __init__(
        self,
        config: ArrayConfig | None = None,
        *,
        formats: OperandFormats | str = "bf16",
        result_format: FloatFormat = FLOAT32,
        observer: Observer | None = None,
    ) -> None:
        self._formats, self._result_format = formats_of(formats), result_format
        needed = self._formats.on_the_array
        config = array(DEFAULT_ARRAY).with_floats(needed) if config is None else config
        for fmt in needed:
            if fmt not in config.floats:
                raise InputError(
                    f"float_formats must contain {fmt.name}, not be {config.float_formats!r}"
                )
        self.config = config
        self.observer = observer
        self._observing = threading.Lock()

    def arithmetic(self, layer: str) -> ExecutedArithmetic:
        """Return what calculates the passes of the layer of this name."""
        return ExecutedArithmetic(
            executor=self,
            layer=layer,
            formats=self._formats,
            result_format=self._result_format,
        )

    def _observe(self, runs: Sequence[PassRun]) -> None:
        if self.observer is not None:
            with self._observing:
                for run in runs:
                    self.observer(run)


class RtlBackend(_ExecutorBackend):
    """Runs every pass of every layer on the simulated accelerator.

    Passes that do not depend on each other run at the same time, one per device, and large ones are
    cut so that all devices have work. A context manager; its processes end with it.

    Parameters
    ----------
    config, formats, result_format, observer
        As of the base class.
    devices
        Simulators at once; by default one per processor.
    settings
        Of each device; a limit of time is of a pass, or a part of one.
    build_root
        Directory of the simulators, as of `cosim.builds.simulator.build`.

    Attributes
    ----------
    wave_requests : dict
        Files for the waves of passes by their labels (`layer NAME, PASS`), each written when the
        pass next runs, by a run of its own.

    Raises
    ------
    InputError
        A setting is out of range.
    SimulationError
        The simulator cannot be built.
    """

    @takes_text
    def __init__(
        self,
        config: ArrayConfig | None = None,
        *,
        formats: OperandFormats | str = "bf16",
        result_format: FloatFormat = FLOAT32,
        observer: Observer | None = None,
        devices: int | None = None,
        settings: DeviceSettings = DEFAULT_SETTINGS,
        build_root: Path | None = None,
    ) -> None:
        super().__init__(config, formats=formats, result_format=result_format, observer=observer)
        self.wave_requests: dict[str, Path] = {}
        self.pool = DevicePool(self.config, devices, settings, build_root=build_root)
        self._build_root = build_root
        self._settings = settings
        # Threads that wait: a pass waits for its parts, which other threads run.
        self._callers = ThreadPoolExecutor(4, thread_name_prefix="gscn-pass")

    def close(self) -> None:
        """End the simulators."""
        self._callers.shutdown(wait=False, cancel_futures=True)
        self.pool.close()

    def run_pass(self, job: PassJob) -> list[PassRun]:
        """Return the runs of the parts of a pass; their results are joined along the first axis.

        Raises
        ------
        InputError, SimulationError
            As `cosim.devices.device.Device.run_pass`.
        """
        if job.label in self.wave_requests:
            path = self.wave_requests.pop(job.label)
            record_waves(self.config, job, path, self._settings, build_root=self._build_root)
        most = int(expected_products(job) / SPLIT_PRODUCTS)
        runs = self.pool.run(split_job(job, min(len(self.pool.devices), most)))
        self._observe(runs)
        return runs

    def together(self, calls: Sequence[Callable[[], Tensor]]) -> list[Tensor]:
        """Return what calls return that run passes and do not depend on each other, in order."""
        import torch

        if len(self.pool.devices) == 1:  # always in the same order, so that cycles are the same
            return [call() for call in calls]

        def call_without_grad(call: Callable[[], Tensor]) -> Tensor:
            with torch.no_grad():  # a setting of each thread
                return call()

        futures = [self._callers.submit(call_without_grad, call) for call in calls]
        results, errors = [], []
        for future in futures:
            # All are waited for: none may still run when the next step begins.
            try:
                results.append(future.result())
            except Exception as error:  # noqa: BLE001  (raised below)
                errors.append(error)
        if errors:
            raise errors[0]
        return results


class CycleModelBackend(_ExecutorBackend):
    """Calculates by the golden model, and takes the cycles that the accelerator would take.

    The cycle model equals the RTL cycle for cycle, after a reset, without a simulator to be built.

    Parameters
    ----------
    config, formats, result_format, observer
        As of the base class.
    latency
        Cycles from a memory's read command to its first beat.
    """

    @takes_text
    def __init__(
        self,
        config: ArrayConfig | None = None,
        *,
        formats: OperandFormats | str = "bf16",
        result_format: FloatFormat = FLOAT32,
        observer: Observer | None = None,
        latency: int = READ_LATENCY,
    ) -> None:
        super().__init__(config, formats=formats, result_format=result_format, observer=observer)
        self._latency = latency

    def close(self) -> None:
        """Do nothing: there is no process to end."""

    def run_pass(self, job: PassJob) -> list[PassRun]:
        """Return the run of a pass.

        Raises
        ------
        InputError
            The pass does not fit the accelerator.
        """
        program, lowering_seconds = lower_job(self.config, job)
        started = time.process_time()
        cycles = model_cycles(program, latency=self._latency)
        simulation_seconds = time.process_time() - started
        out = job.out
        sums = conv_windowed(
            job.shape, job.which, job.first, job.second, out.operands,
            acc_width=self.config.acc_width,
        )  # fmt: skip
        codes, saturated, nonfinite = round_sums(sums, out.result)
        run = PassRun(
            label=job.label,
            which=job.which,
            result=codes.astype(np.int64),
            cycles=cycles.cycles,
            counters={
                name: cycles.counters[:, index].tolist()
                for index, name in enumerate(CLUSTER_COUNTER_NAMES)
            },
            events={
                name: cycles.events[:, index].tolist()
                for index, name in enumerate(CLUSTER_EVENT_NAMES)
            },
            flags={
                "saturated": saturated > 0,
                "accumulator_overflow": False,
                "nonfinite": nonfinite > 0,
            },
            read_beats=cycles.read_beats,
            write_beats=cycles.write_beats,
            useful_products=program.useful_products,
            simulated_cycles=0,
            lowering_seconds=lowering_seconds,
            simulation_seconds=simulation_seconds,
            process_id=os.getpid(),
        )
        self._observe([run])
        return [run]

    def together(self, calls: Sequence[Callable[[], Tensor]]) -> list[Tensor]:
        """Return what calls return, one after the other."""
        return [call() for call in calls]


register_backend("rtl", RtlBackend)
register_backend("cycle-model", CycleModelBackend)
