"""Against a GTX 1080 Ti, measured by others, with as many lanes at the same clock and bandwidth.

Source of the times: github.com/jcjohnson/cnn-benchmarks (cuDNN 5.1, CUDA 8, float32, batch 16,
224x224), whole networks. The accelerator is slices of `large` (`perf.estimate.slices`); its time
for a part of the step is the sum over layers of the longer of slices and DRAM. Encode passes are
not in it: they run on a list's second queue, beside one array (`perf.estimate.whole_step`), and
slices have no lists. ReSprop's published speed-ups over that GPU (Goli and Aamodt's accelerator:
8.0x for ResNet-34, 7.2x for VGG-16) are of the backward pass; size, clock, precision and batch of
that accelerator are not published.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from gscn.array import array
from gscn.conv import Pass
from gscn.errors import InputError
from gscn.perf.estimate.slices import sliced_costs
from gscn.perf.workload.networks import network
from gscn.perf.workload.sparsification import Sparsification
from gscn.perf.workload.work import Work, pass_work, passes

LANES = 3584
CLOCK_HZ = 1.582e9
"""Boost clock."""
DRAM_BYTES_PER_SECOND = 484e9
BATCH = 16
IMAGE_SIZE = 224
MEASURED_MS = {
    "resnet18": (10.45, 22.34),
    "resnet34": (16.71, 34.60),
    "resnet50": (34.14, 67.06),
    "vgg16": (41.23, 86.91),
}
"""Milliseconds of forward and backward pass."""
PUBLISHED_BACKWARD = {"resnet34": 8.0, "vgg16": 7.2}
"""Speed-up of ReSprop's backward pass over the GPU, as published."""
SLICE = "large"


@dataclass(frozen=True, kw_only=True, slots=True)
class GpuComparison:
    """One direction of a training step on the accelerator and on the GPU; seconds."""

    network: str
    backward: bool
    batch: int
    multipliers: int
    gpu: float
    """Measured at batch 16, taken per image at other batches."""
    convolutions: float
    """Each the longer of its slices' time and its DRAM time."""
    ideal: float
    """Useful products over multipliers and clock."""
    slices: float
    """Convolutions if DRAM were no limit."""
    dram: float
    """Convolutions by DRAM alone."""
    precomputed_ideal: float
    """Of `ideal`, ReSprop's terms of one sample."""

    @property
    def speedup(self) -> float:
        """GPU over the convolutions."""
        return self.gpu / self.convolutions

    @property
    def shares(self) -> dict[str, float]:
        """Where the time of convolutions goes, as shares of it.

        Products of the gradients' differences, the terms of one sample, cycles lost in the
        array, waiting for DRAM.
        """
        waiting = self.convolutions - self.slices
        lost = self.slices - self.ideal
        parts = {
            "products": self.ideal - self.precomputed_ideal,
            "precomputed terms": self.precomputed_ideal,
            "losses in the array": lost,
            "waiting for DRAM": waiting,
        }
        return {name: part / self.convolutions for name, part in parts.items()}


def gpu_comparison(
    name: str,
    sparsification: Sparsification,
    *,
    backward: bool = True,
    batch: int = BATCH,
    multipliers: int = LANES,
    clock_hz: float = CLOCK_HZ,
    dram_bytes_per_second: float = DRAM_BYTES_PER_SECOND,
    masked_gradients: float = 1.0,
) -> GpuComparison:
    """Return the time of a direction of a training step beside that of the GPU.

    Parameters
    ----------
    name
        A key of `MEASURED_MS`.
    sparsification
        Method and densities.
    backward
        Whether both gradients, or the forward pass.
    batch
        Images.
    multipliers
        Of the accelerator; rounded up to whole slices.
    clock_hz, dram_bytes_per_second
        Of the accelerator.
    masked_gradients
        Density of ReSprop's stored output gradients: below 1 where ReLU, with no normalisation
        behind it, masks them.

    Raises
    ------
    InputError
        There is no measured time, or a number is out of range.
    """
    if name not in MEASURED_MS:
        raise InputError(f"network must be one of {', '.join(MEASURED_MS)}, not {name!r}")
    if multipliers < 1 or not clock_hz > 0 or not dram_bytes_per_second > 0:
        raise InputError(
            "multipliers, clock and bandwidth must be over 0, not "
            f"{multipliers}, {clock_hz}, {dram_bytes_per_second}"
        )
    config = array(SLICE)
    slices = math.ceil(multipliers / config.multipliers)
    net = network(name, image_size=IMAGE_SIZE, batch=batch)
    works = [
        _masked(work, masked_gradients)
        for layer in net.layers
        for which in passes(layer)
        if (which is not Pass.FORWARD) == backward
        for work in pass_work(layer, which, sparsification)
    ]
    costs = sliced_costs(config, slices, works)
    times = [
        max(cost.slice_cycles / clock_hz, cost.dram_bytes / dram_bytes_per_second) for cost in costs
    ]
    return GpuComparison(
        network=name,
        backward=backward,
        batch=batch,
        multipliers=slices * config.multipliers,
        gpu=MEASURED_MS[name][backward] / 1e3 * batch / BATCH,
        convolutions=sum(times),
        ideal=sum(cost.ideal_cycles for cost in costs) / clock_hz,
        slices=sum(cost.slice_cycles for cost in costs) / clock_hz,
        dram=sum(cost.dram_bytes for cost in costs) / dram_bytes_per_second,
        precomputed_ideal=sum(
            cost.ideal_cycles for cost, work in zip(costs, works, strict=True) if work.precomputed
        )
        / clock_hz,
    )


def multipliers_for(
    name: str, speedup: float, sparsification: Sparsification, *, most: int = 1 << 16, **options
) -> GpuComparison | None:
    """Return the smallest accelerator whose convolutions reach a speed-up over the GPU.

    Parameters
    ----------
    name, sparsification
        As of `gpu_comparison`.
    speedup
        To be reached.
    most
        Multipliers, at most.
    **options
        As of `gpu_comparison`.

    Returns
    -------
    GpuComparison or None
        None if none reaches it: DRAM bounds it, or the parts become too small.
    """
    step = 8 * array(SLICE).multipliers
    for multipliers in range(step, most + 1, step):
        found = gpu_comparison(name, sparsification, multipliers=multipliers, **options)
        if found.speedup >= speedup:
            return found
    return None


def _masked(work: Work, density: float) -> Work:
    """Return ReSprop's term with the density of the stored gradient; other work as it is."""
    if not work.precomputed:
        return work
    # Of a transposed layer's weight gradient as well: its gradients stand where inputs do.
    if work.role is Pass.INPUT_GRAD or work.transposed:
        return dataclasses.replace(work, second_density=density)
    return dataclasses.replace(work, first_density=density)
