"""Utilisation on a sample of a layer: smaller, random, run on the cycle model."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

import numpy as np

import lowering
from golden.synthetic import random_operands
from gscn.config import AcceleratorConfig
from gscn.conv import ConvShape, Pass
from gscn.errors import InputError
from gscn.formats import INT8
from perf import cycles
from perf.flops import Work, inner_macs
from perf.tuning import lower_tuned

SAMPLE_PRODUCTS = 4_000_000
"""Useful products of a sample, at most (expected).

A launch has a start, when tiles are first loaded, and an end, when clusters run out of jobs. Both
weigh more in a sample than in the layer, so smaller samples understate utilisation
(`benchmarks.layers` measures by how much).
"""

# Sizes under which a dimension is cut only when the others have reached theirs: enough channels for
# every multiplier of the presets to hold some, enough pixels to reuse what is stationary.
_LEAST_CHANNELS = 32
_LEAST_PIXELS = 256

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """A convolution small enough to simulate, with random operands."""

    shape: ConvShape
    which: Pass
    first_density: float
    """Share of nonzeros in the first operand."""
    second_density: float
    """Share of nonzeros in the second operand."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """What the cycle model says about a sample."""

    useful_products: int
    """Products of two nonzeros that reach an output."""
    cycles: int
    multipliers: int

    @property
    def utilization(self) -> float:
        """Useful products per multiplier and cycle."""
        return self.useful_products / (self.cycles * self.multipliers)


Measure = Callable[[AcceleratorConfig, Sequence[Sample]], Sequence[Measurement]]
"""Measures samples, in order; `measure` with its options bound, or a model of its own."""


def choose_sample(work: Work, *, products: int = SAMPLE_PRODUCTS) -> Sample:
    """Return a sample of a convolution: the whole of it, or with dimensions halved until it fits.

    The dimension that is largest in relation to the size it needs is halved first: output pixels
    (the batch, then rows and columns), input channels, output channels. Kernel, stride, padding,
    dilation and densities stay as they are.

    Parameters
    ----------
    work
        The convolution and its densities.
    products
        Useful products of the sample, at most (expected).
    """
    density = work.first_density * work.second_density
    shape = work.shape
    while inner_macs(shape) * density > products:
        candidates = [
            (shape.c / _LEAST_CHANNELS, _halved(shape, "c")),
            (shape.k / _LEAST_CHANNELS, _halved(shape, "k")),
            (shape.n * shape.p * shape.q / _LEAST_PIXELS, _with_fewer_pixels(shape)),
        ]
        smaller = [(ratio, cut) for ratio, cut in candidates if cut is not None]
        if not smaller:
            break
        shape = max(smaller, key=lambda candidate: candidate[0])[1]
    return Sample(
        shape=shape,
        which=work.which,
        first_density=work.first_density,
        second_density=work.second_density,
    )


def _halved(shape: ConvShape, name: str) -> ConvShape | None:
    size = getattr(shape, name)
    return dataclasses.replace(shape, **{name: math.ceil(size / 2)}) if size > 1 else None


def _with_fewer_pixels(shape: ConvShape) -> ConvShape | None:
    if shape.n > 1:
        return _halved(shape, "n")
    for name in sorted(("h", "w"), key=lambda name: -getattr(shape, name)):
        cut = None
        try:
            cut = _halved(shape, name)
        except InputError:
            continue  # the kernel would no longer fit
        if cut is not None and cut.p * cut.q < shape.p * shape.q:
            return cut
    return None


def measure_sample(config: AcceleratorConfig, sample: Sample, *, seed: int) -> Measurement:
    """Lower one sample with random operands and run the cycle model on it.

    Parameters
    ----------
    config
        The accelerator.
    sample
        The convolution and its densities.
    seed
        Of the operands.

    Raises
    ------
    InputError
        The sample has no useful product, so that nothing can be concluded from it.
    """
    # Cycles do not depend on values: 8 bits keep sums far from the accumulators' limits.
    operands = random_operands(
        sample.shape, sample.which, sample.first_density, sample.second_density, INT8, seed
    )
    first, second = (operand.astype(np.int64) for operand in operands)
    out = lowering.OutputFormat(width=16, shift=0)
    program = lower_tuned(config, sample.shape, sample.which, first, second, out)
    if not program.useful_products:
        raise InputError(
            f"sample of {sample.which} {sample.shape}: densities {sample.first_density} and "
            f"{sample.second_density} must leave at least one product; raise the sample's size"
        )
    return Measurement(
        useful_products=program.useful_products,
        cycles=cycles.simulate(program).cycles,
        multipliers=config.multipliers,
    )


_measured: dict[tuple[str, Sample, int], Measurement] = {}
# Results of this process by (digest of the configuration, sample, seed): they are determined by it.


def measure(
    config: AcceleratorConfig,
    samples: Sequence[Sample],
    *,
    seed: int = 0,
    processes: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> list[Measurement]:
    """Measure samples in parallel, each distinct one once per process.

    Parameters
    ----------
    config
        The accelerator.
    samples
        What to measure.
    seed
        Of the operands.
    processes
        Worker processes; with 1, everything runs in this process.
    progress
        Called with (samples done, samples to do).

    Returns
    -------
    list of Measurement
        One per sample, in order.
    """
    digest = config.digest()
    todo = [s for s in dict.fromkeys(samples) if (digest, s, seed) not in _measured]
    run = partial(measure_sample, config, seed=seed)

    def note(sample: Sample, measurement: Measurement, done: int) -> None:
        _measured[digest, sample, seed] = measurement
        logger.info("%s %s: %.3f", sample.which, sample.shape, measurement.utilization)
        if progress is not None:
            progress(done, len(todo))

    if processes == 1 or len(todo) < 2:
        for done, sample in enumerate(todo, 1):
            note(sample, run(sample), done)
    else:
        # Fresh processes: forking one that runs threads (torch, numba) can deadlock.
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            # Large samples first, so that no long one is left for the end.
            todo.sort(key=lambda s: -inner_macs(s.shape) * s.first_density * s.second_density)
            futures = {pool.submit(run, sample): sample for sample in todo}
            try:
                for done, future in enumerate(as_completed(futures), 1):
                    note(futures[future], future.result(), done)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    return [_measured[digest, sample, seed] for sample in samples]
