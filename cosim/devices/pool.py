"""Several devices that share a queue of passes, and passes cut to keep all of them busy."""

from __future__ import annotations

import dataclasses
import os
import queue
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from gscn.array import ArrayConfig
from gscn.conv import Pass
from gscn.cosim.builds.simulator import BuiltSimulator, build
from gscn.cosim.closing import Closing
from gscn.cosim.devices.device import DEFAULT_SETTINGS, Device, DeviceSettings
from gscn.cosim.devices.jobs import PassJob, PassRun
from gscn.errors import InputError
from gscn.outputs import FloatOutput
from gscn.window import pass_top

SPLIT_PRODUCTS = 1_000_000
"""Products that a part of a pass should have at least: below, loading and draining weigh more."""


class DevicePool(Closing):
    """Devices of one configuration, each given the next pass when it has answered.

    Parameters
    ----------
    config
        Configuration of the accelerator.
    count
        Devices; by default one per processor.
    settings, simulator, build_root
        As of `Device`.

    Attributes
    ----------
    devices : list of Device
        They start with their first pass.

    Raises
    ------
    InputError
        A setting is out of range.
    SimulationError
        The simulator cannot be built.
    """

    def __init__(
        self,
        config: ArrayConfig,
        count: int | None = None,
        settings: DeviceSettings = DEFAULT_SETTINGS,
        *,
        simulator: BuiltSimulator | None = None,
        build_root: Path | None = None,
    ) -> None:
        count = os.cpu_count() or 1 if count is None else count
        if count < 1:
            raise InputError(f"devices must be at least 1, not {count}")
        simulator = simulator or build(config, build_root=build_root)
        self.config = config
        self.devices = [Device(config, settings, simulator=simulator) for _ in range(count)]
        self._free: queue.LifoQueue[Device] = queue.LifoQueue()
        for device in reversed(self.devices):
            self._free.put(device)
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="gscn-device")

    def close(self) -> None:
        """End the processes; passes not yet started are cancelled."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for device in self.devices:
            device.close()

    def submit(self, job: PassJob) -> Future[PassRun]:
        """Run a pass on the next free device; the future raises as `Device.run_pass`."""
        return self._threads.submit(self._run, job)

    def run(self, jobs: Sequence[PassJob]) -> list[PassRun]:
        """Run passes, as many at once as there are devices.

        Raises
        ------
        InputError, SimulationError
            As `Device.run_pass`, for the first of the passes in their order that failed.
        """
        futures = [self.submit(job) for job in jobs]
        try:
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()

    def _run(self, job: PassJob) -> PassRun:
        device = self._free.get()
        try:
            return device.run_pass(job)
        finally:
            self._free.put(device)


def expected_products(job: PassJob) -> float:
    """Return about how many products of two nonzeros a pass has: as if zeros were anywhere."""
    shape = job.shape
    shares = (np.count_nonzero(values) / values.size for values in (job.first, job.second))
    return float(shape.dense_macs * np.prod(list(shares)))


def split_job(job: PassJob, parts: int) -> list[PassJob]:
    """Cut a pass into passes whose results, one behind the other, are its own, to the bit.

    Forward passes and input gradients are cut by samples, weight gradients by output channels, or
    groups of channels, so that no sum is cut. In floating point all parts have the window of the
    whole.

    Parameters
    ----------
    job
        The pass.
    parts
        Parts wanted; there may be fewer.

    Returns
    -------
    list of PassJob
        Results are to be joined along the first axis.
    """
    shape, by_channels = job.shape, job.which is Pass.WEIGHT_GRAD
    grouped = by_channels and shape.groups > 1
    units = shape.n if not by_channels else shape.groups if grouped else shape.k
    parts = min(parts, units)
    if parts < 2:
        return [job]
    out = job.out
    if isinstance(out, FloatOutput) and out.top is None:
        top = pass_top(shape, job.which, job.first, job.second, out.operands)
        out = dataclasses.replace(out, top=top)
    jobs = []
    for number, some in enumerate(np.array_split(np.arange(units), parts)):
        first, second, size = job.first, job.second, {"n": some.size}
        if not by_channels:
            second = second[some[0] : some[-1] + 1]
        else:
            first = first[:, _of_units(first, units, some)]
            size = {"k": first.shape[1]}
        if grouped:
            second = second[:, _of_units(second, units, some)]
            size |= {"c": second.shape[1], "groups": some.size}
        jobs.append(
            dataclasses.replace(
                job,
                label=f"{job.label}, part {number + 1} of {parts}",
                shape=dataclasses.replace(shape, **size),
                first=first,
                second=second,
                out=out,
            )
        )
    return jobs


def _of_units(operand: np.ndarray, units: int, some: np.ndarray) -> slice:
    """Return which channels of an operand some units, one behind the other, have."""
    size = operand.shape[1] // units
    return slice(int(some[0]) * size, (int(some[-1]) + 1) * size)
