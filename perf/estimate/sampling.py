"""Samples of layers, with operands drawn like those of real training, on the cycle model."""
# Long: how samples are chosen, drawn and measured, which depends on each other.

from __future__ import annotations

import contextlib
import dataclasses
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from multiprocessing import active_children, get_context

import numpy as np

from gscn.array import ArrayConfig
from gscn.conv import ConvShape, Pass
from gscn.dram import Dram
from gscn.enums import takes_text
from gscn.errors import InputError, raise_problems
from gscn.formats import INT8
from gscn.golden.oracle.synthetic import random_operands
from gscn.lowering.plan import plan_pass
from gscn.perf.estimate.pass_cost import Measurement, RivalCosts, measure_operands, rival_costs
from gscn.perf.workload.statistics import Kind, read_statistics
from gscn.perf.workload.unevenness import draw_nonzeros
from gscn.perf.workload.work import Work, inner_macs
from gscn.system.processes import deaf_children
from gscn.system.supervision import end_with_parent, safe_import_path

SAMPLE_PRODUCTS = 4_000_000
"""Useful products of a sample, at most (expected).

A pass has a start, when tiles are first loaded, and an end, when clusters run out of jobs. Both
weigh more in a sample than in the layer, so smaller samples understate utilisation
(`benchmarks.layers` measures by how much).
"""

STATISTICAL_PRODUCTS = 16_000_000
"""The same where a closed form brings samples to their layers' size
(`perf.estimate.training_step`)."""
MOST_GROWTH = 8
"""Times as many images that a sample has at most where the driver would cut fewer otherwise."""
MOST_SAMPLES = 24
"""Samples of a statistical estimate, at most: those of the convolutions that take longest."""

_LEAST_BUFFER = 128 << 10
"""Bytes of a buffer, in which what clusters share is found at any size of the maps."""

# Sizes under which a dimension is cut only when the others have reached theirs: enough channels for
# every multiplier of the presets to hold some, enough pixels to reuse what is stationary.
_LEAST_CHANNELS = 32
_LEAST_PIXELS = 256

logger = logging.getLogger(__name__)


@takes_text
@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """A convolution small enough to simulate, with random operands."""

    shape: ConvShape
    which: Pass
    first_density: float
    """Share of nonzeros in the first operand."""
    second_density: float
    """Share of nonzeros in the second operand."""
    kinds: tuple[Kind, Kind] = (Kind.UNIFORM, Kind.UNIFORM)
    """What the operands are: it decides how unevenly their nonzeros are drawn."""
    dram: Dram | None = None
    """Behind the ports, as the driver knows it; the cycle model's memory has no such limit."""


Measure = Callable[[ArrayConfig, Sequence[Sample]], Sequence[Measurement]]
"""Measures samples, in order; `measure` with its options bound, or a model of its own."""
MeasureRivals = Callable[[ArrayConfig, Sequence[Sample], Sequence[str]], Sequence[RivalCosts]]
"""Measures samples on other accelerators, by name, in order."""


@takes_text
def choose_sample(
    work: Work,
    *,
    products: int = SAMPLE_PRODUCTS,
    kinds: tuple[Kind, Kind] = (Kind.UNIFORM, Kind.UNIFORM),
    whole_maps: bool = False,
) -> Sample:
    """Return a sample of a convolution: the whole of it, or with dimensions halved until it fits.

    The batch is halved first, since what an array does with the images of a layer repeats itself:
    how often an operand is read depends on channels and maps. If one image is too large, or maps
    are to stay whole, the dimension that is largest in relation to the size it needs is halved:
    output pixels, groups while there are several, input channels, output channels. Kernel, stride,
    padding, dilation and densities stay as they are.

    Parameters
    ----------
    work
        The convolution and its densities.
    products
        Useful products of the sample, at most (expected).
    kinds
        What the operands are.
    whole_maps
        Keep rows and columns, even if the sample then has more products, and the batch no longer
        than channels.
    """
    density = work.first_density * work.second_density
    shape = work.shape
    while inner_macs(shape) * density > products:
        if shape.n > 1 and not whole_maps:
            shape = dataclasses.replace(shape, n=math.ceil(shape.n / 2))
            continue
        candidates = [
            *_with_fewer_channels(shape),
            (
                shape.n * shape.p * shape.q / _LEAST_PIXELS,
                _halved(shape, "n") if whole_maps else _with_fewer_pixels(shape),
            ),
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
        kinds=kinds,
    )


def cut_alike(config: ArrayConfig, work: Work, sample: Sample, dram: Dram | None = None) -> Sample:
    """Return a sample with more images if the driver cuts it otherwise than the layer.

    As many as it takes for tiles of the same size, but not `MOST_GROWTH` times the images that it
    has: how often operands are read follows from the tiles.

    Parameters
    ----------
    config, work
        The accelerator, and the convolution that the sample is of.
    sample
        With all its rows, columns and channels; any other keeps its images.
    dram
        Of which the driver knows, if any.
    """
    wanted, grown, most = work.shape, sample, MOST_GROWTH * sample.shape.n
    if sample.shape != dataclasses.replace(wanted, n=sample.shape.n):
        return behind(dram, work, sample)
    tiles = _tiles(config, dataclasses.replace(sample, shape=wanted, dram=dram))
    while grown.shape.n < wanted.n and _tiles(config, behind(dram, work, grown)) != tiles:
        images = min(2 * grown.shape.n, wanted.n)
        if images > most:
            break
        grown = dataclasses.replace(grown, shape=dataclasses.replace(wanted, n=images))
    return behind(dram, work, grown)


def behind(dram: Dram | None, work: Work, sample: Sample) -> Sample:
    """Return a sample whose driver cuts as if it had all images of a convolution.

    Fewer images have smaller maps, which must not fit a buffer that the layer's do not.
    """
    if dram is None:
        return sample
    share = sample.shape.n / work.shape.n
    size = max(round(dram.buffer_bytes * share), min(dram.buffer_bytes, _LEAST_BUFFER))
    return dataclasses.replace(sample, dram=dataclasses.replace(dram, buffer_bytes=size))


def _tiles(config: ArrayConfig, sample: Sample) -> list[tuple[int, ...]]:
    """Return the sizes of the tiles into which the driver cuts a sample."""
    plan = plan_pass(
        config,
        sample.shape,
        sample.which,
        (sample.first_density, sample.second_density),
        out_bytes=2,
        value_bytes=config.format.width // 8,
        dram=sample.dram,
    )
    return [
        (part.holds_input, part.choice.s_real, part.choice.t_vectors, part.choice.t_split)
        if plan.which is Pass.WEIGHT_GRAD
        else (part.choice.s_real, part.choice.tile_rows, part.choice.tile_cols, part.bands)
        for part in plan.parts
    ]


def _halved(shape: ConvShape, name: str) -> ConvShape | None:
    size = getattr(shape, name)
    return dataclasses.replace(shape, **{name: math.ceil(size / 2)}) if size > 1 else None


def _with_fewer_channels(shape: ConvShape) -> list[tuple[float, ConvShape | None]]:
    """Return ways to halve channels, with how many there are in relation to what it takes."""
    if (groups := math.ceil(shape.groups / 2)) < shape.groups:
        c, k = groups * shape.group.c, groups * shape.group.k
        fewer = dataclasses.replace(shape, groups=groups, c=c, k=k)
        return [(max(shape.c, shape.k) / _LEAST_CHANNELS, fewer)]
    return [(getattr(shape, name) / _LEAST_CHANNELS, _halved(shape, name)) for name in ("c", "k")]


def _with_fewer_pixels(shape: ConvShape) -> ConvShape | None:
    for name in sorted(("h", "w"), key=lambda name: -getattr(shape, name)):
        cut = None
        try:
            cut = _halved(shape, name)
        except InputError:
            continue  # the kernel would no longer fit
        if cut is not None and cut.p * cut.q < shape.p * shape.q:
            return cut
    return None


def draw_operands(sample: Sample, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return operands of a sample, of which only the places of the nonzeros have a meaning.

    Parameters
    ----------
    sample
        Of uniformly random operands the share of nonzeros is exact, of others expected.
    seed
        Of the places.
    """
    shapes = sample.shape.operand_shapes(sample.which)
    densities = (sample.first_density, sample.second_density)
    uniform: tuple = (None, None)
    if Kind.UNIFORM in sample.kinds:
        uniform = random_operands(sample.shape, sample.which, *densities, INT8, seed)
    statistics = read_statistics()
    first, second = (
        even != 0
        if kind is Kind.UNIFORM
        else draw_nonzeros(
            shape, density, statistics.unevenness[kind], np.random.default_rng([seed, index])
        )
        for index, (even, kind, shape, density) in enumerate(
            zip(uniform, sample.kinds, shapes, densities, strict=True)
        )
    )
    return first, second


def measure_sample(
    config: ArrayConfig,
    sample: Sample,
    *,
    seed: int,
    rivals: tuple[str, ...] = (),
) -> Measurement:
    """Draw one sample's operands, lower it and run the cycle model on it.

    Parameters
    ----------
    config
        The accelerator.
    sample
        The convolution and its densities.
    seed
        Of the operands.
    rivals
        As in `measure_operands`.

    Raises
    ------
    InputError
        The sample has no useful product, so that nothing can be concluded from it.
    """
    first, second = draw_operands(sample, seed=seed)
    return measure_operands(
        config, sample.shape, sample.which, first, second, rivals=rivals, dram=sample.dram
    )


def measure_rivals(
    config: ArrayConfig, samples: Sequence[Sample], names: Sequence[str], *, seed: int = 0
) -> list[RivalCosts]:
    """Return what other accelerators take for samples with the same draws.

    Parameters
    ----------
    config
        Whose multipliers, port and width of operands they have.
    samples
        What to measure.
    names
        Keys of `perf.rivals.RIVALS`.
    seed
        Of the operands.
    """
    return [
        rival_costs(config, sample.shape, sample.which, *draw_operands(sample, seed=seed), names)
        for sample in samples
    ]


_measured: dict[tuple[object, ...], Measurement] = {}
# Results of this process by what determines them: the configuration's digest, sample, seed, rivals.


@contextlib.contextmanager
def _worker_pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of which, if it is left by an error or an interrupt, no process runs on."""
    others = set(active_children())
    with ProcessPoolExecutor(
        # Fresh processes: forking one that runs threads (torch, numba) can deadlock.
        processes,
        mp_context=get_context("spawn"),
        initializer=end_with_parent,
    ) as pool:
        try:
            yield pool
        except BaseException:
            for worker in set(active_children()) - others:
                worker.kill()
            raise


def measure(
    config: ArrayConfig,
    samples: Sequence[Sample],
    *,
    seed: int = 0,
    rivals: tuple[str, ...] = (),
    processes: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> list[Measurement]:
    """Measure samples in parallel, each distinct one once per process.

    Parameters
    ----------
    config, samples
        The accelerator, and what to measure.
    seed
        Of the operands.
    rivals
        As in `measure_operands`.
    processes
        Worker processes; with 1, everything runs in this process.
    progress
        Called with (samples done, samples to do).

    Returns
    -------
    list of Measurement
        One per sample, in order.
    """
    options = (config.digest(), seed, rivals)
    todo = [s for s in dict.fromkeys(samples) if (s, *options) not in _measured]
    run = partial(measure_sample, config, seed=seed, rivals=rivals)

    def note(sample: Sample, measurement: Measurement, done: int) -> None:
        _measured[sample, *options] = measurement
        logger.info("%s %s: %.3f", sample.which, sample.shape, measurement.utilization)
        if progress is not None:
            progress(done, len(todo))

    if processes == 1 or len(todo) < 2:
        for done, sample in enumerate(todo, 1):
            note(sample, run(sample), done)
    else:
        # Large samples first, so that no long one is left for the end.
        todo.sort(key=lambda s: -inner_macs(s.shape) * s.first_density * s.second_density)
        with safe_import_path(), _worker_pool(processes) as pool:
            with deaf_children():
                futures = {pool.submit(run, sample): sample for sample in todo}
            for done, future in enumerate(as_completed(futures), 1):
                note(futures[future], future.result(), done)
    return [_measured[sample, *options] for sample in samples]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """How many samples an estimate takes, of what size, and who measures them.

    Raises
    ------
    InputError
        Naming every number that is out of range.
    """

    products: int = STATISTICAL_PRODUCTS
    """Useful products of a sample, at most (expected); at least 1."""
    most: int = MOST_SAMPLES
    """Samples of a statistical estimate, at most; at least one for each pass. In uniform mode every
    layer has one."""
    measure: Measure = measure
    """Measures samples."""
    measure_rivals: MeasureRivals = measure_rivals
    """Measures samples on other accelerators."""

    def __post_init__(self) -> None:
        """Collect every problem and raise them together."""
        problems = []
        if self.products < 1:
            problems.append(f"sample products must be at least 1, not {self.products}")
        if self.most < len(Pass):
            problems.append(f"samples must be at least {len(Pass)}, one a pass, not {self.most}")
        raise_problems("sampling", problems)


SAMPLING = Sampling()
"""Unless told otherwise."""
