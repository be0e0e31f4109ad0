"""Fit the coefficients of the closed form (`perf.estimate.closed_form`) to the cycle model.

`python -m gscn.perf.estimate.calibration --samples benchmarks/calibration` draws convolutions of
networks at random (`DRAWS`), cut to random sizes, with operands drawn by the statistics of real
ones, runs them on the cycle model, and keeps the results there, a file for each draw, so that it
can be stopped and continued. What a file has of another driver, array or cycle model is measured
again. They decide the coefficients in `perf/estimate/closed_form.json`, apart for grouped
convolutions and others: robust least squares of relative errors. Nothing is fitted to those that
are held out. With `--traced`, whole recorded layers (files of
`perf.estimate.recorded_step.measure_recorded`) have a say as well; the package's coefficients are
of drawn samples alone.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import itertools
import json
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from gscn.array import ArrayConfig, array
from gscn.conv import ConvShape, Pass
from gscn.errors import InputError
from gscn.perf.estimate.closed_form import (
    COEFFICIENT_NAMES,
    COEFFICIENTS_PATH,
    FITS,
    Coefficients,
    features,
    pass_cycles,
    read_bytes,
)
from gscn.perf.estimate.pass_cost import Measurement
from gscn.perf.estimate.sampling import Sample, choose_sample, measure
from gscn.perf.workload.layers import Network
from gscn.perf.workload.models import read_model
from gscn.perf.workload.sparsification import Gradients, Method, Sparsification
from gscn.perf.workload.statistics import kinds_of
from gscn.perf.workload.work import Work, pass_work, passes
from gscn.system.files import write_text
from gscn.system.sources import source_digest

CONFIG = "large"
NETWORKS = (
    ("resnet50", 224, 32),
    ("resnet18", 224, 16),
    ("vgg16", 224, 16),
    ("densenet121", 224, 32),
    ("resnet18-small", 32, 32),
    ("wrn16-8", 32, 32),
    ("wrn50-2", 224, 32),
)
GROUPED_NETWORKS = (
    ("torchvision:resnext50_32x4d", 224, 16),
    ("torchvision:mobilenet_v2", 224, 32),
    ("torchvision:mobilenet_v3_large", 224, 32),
    ("torchvision:efficientnet_b0", 224, 32),
    ("torchvision:convnext_tiny", 224, 16),
    ("torchvision:regnet_x_400mf", 224, 32),
    ("torchvision:regnet_y_8gf", 224, 16),
)
HELD_OUT_NETWORKS = (
    ("torchvision:resnext101_32x8d", 224, 8),
    ("torchvision:mnasnet1_0", 224, 32),
    ("torchvision:shufflenet_v2_x1_0", 224, 32),
    ("torchvision:regnet_y_1_6gf", 224, 16),
    ("torchvision:efficientnet_v2_s", 224, 16),
    ("torchvision:convnext_base", 224, 8),
)
METHODS = (
    (Method.SWAT, 0.9),
    (Method.SWAT, 0.8),
    (Method.RESPROP, 0.9),
    (Method.SWAT_RESPROP, 0.9),
)
LEAST_PRODUCTS, MOST_PRODUCTS = 200_000, 40_000_000
_START = {"even": 0.3, "first": 0.1, "second": 0.1, "start": 500.0, "waiting": 0.5}
_READ_START = {False: {"each": 0.5, "root": 0.5}, True: {"each": 0.5}}
"""By whether convolutions are grouped; coefficients that are not fitted are 0."""
_MOST = {"start": 5000.0}
"""Upper limits; those of the others are `_MOST_SHARE`."""
_MOST_SHARE, _LEAST_SHARE = 20.0, 1e-4
_AT_A_TIME = 50
_ROOMS = ("gscn", "lowering", "cycles")
"""Sources from which cycles of a sample follow."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """A convolution that was run on the cycle model."""

    work: Work
    useful_products: int
    cycles: int
    first_read_bytes: float
    """At the ports, of the first operand; `second_read_bytes` likewise."""
    second_read_bytes: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Draw:
    """What is drawn."""

    networks: tuple[tuple[str, int, int], ...]
    """Name as of `perf.workload.models`, image size and batch of each."""
    grouped: bool
    """Layers of several groups; otherwise those of one."""
    count: int
    """Samples."""
    seed: int
    """Of their choice, and of their operands."""


UNGROUPED, GROUPED, HELD_OUT = "ungrouped", "grouped", "held-out"
DRAWS = {
    UNGROUPED: Draw(networks=NETWORKS, grouped=False, count=200, seed=0),
    GROUPED: Draw(networks=GROUPED_NETWORKS, grouped=True, count=160, seed=0),
    HELD_OUT: Draw(networks=HELD_OUT_NETWORKS, grouped=True, count=80, seed=1),
}
"""By the name of their file."""


def samples(draw: Draw) -> Iterator[Sample]:
    """Yield convolutions of networks without end, in random order and sizes."""
    rng = random.Random(draw.seed)
    while True:
        name, size, batch = rng.choice(draw.networks)
        method, sparsity = rng.choice(METHODS)
        # Nominal gradients: a fit needs a spread of densities, and the kept observations, which
        # are continued by their number, were drawn so.
        sparsification = Sparsification(
            method=method,
            sparsity=sparsity,
            activation_density=rng.choice((1.0, 0.5)),
            gradients=Gradients.NOMINAL,
        )
        layers = [
            layer
            for layer in _network(name, size, batch).layers
            if not layer.linear and (layer.shape.groups > 1) == draw.grouped
        ]
        layer = rng.choice(layers)
        work = rng.choice(pass_work(layer, rng.choice(passes(layer)), sparsification))
        low, high = np.log10([LEAST_PRODUCTS, MOST_PRODUCTS])
        sample = choose_sample(
            work,
            products=round(10 ** rng.uniform(low, high)),
            kinds=kinds_of(work, prunes=method.prunes),
        )
        # Of many groups one may be left.
        if (sample.shape.groups > 1) == draw.grouped:
            yield sample


@functools.cache
def _network(name: str, size: int, batch: int) -> Network:
    return read_model(name, image_size=size, batch=batch).network


def made_by(config: ArrayConfig) -> str:
    """Return a digest of what a sample's cycles follow from besides the sample."""
    return f"{config.digest()}-{source_digest(_ROOMS, suffixes=('.py',))[:16]}"


def observe(
    config: ArrayConfig, path: Path, draw: Draw, *, processes: int = 2
) -> list[Observation]:
    """Run samples until a file holds all of a draw on this configuration, and return those.

    Parameters
    ----------
    config
        The accelerator.
    path
        File of results, one JSON object per line. Those of other sources or another configuration
        are dropped.
    draw
        What is drawn.
    processes
        At once.
    """
    maker = made_by(config)
    known = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    rows = [row for row in map(json.loads, known) if row.get("made_by") == maker]
    if len(rows) < len(known):
        write_text(path, "".join(json.dumps(row) + "\n" for row in rows))
    chosen = list(itertools.islice(samples(draw), draw.count))
    while len(rows) < draw.count:
        some = chosen[len(rows) : min(len(rows) + _AT_A_TIME, draw.count)]
        measured = measure(config, some, seed=draw.seed, processes=processes)
        new = [
            _row(sample, one) | {"made_by": maker}
            for sample, one in zip(some, measured, strict=True)
        ]
        rows += new
        with path.open("a", encoding="utf-8") as file:
            file.write("".join(json.dumps(row) + "\n" for row in new))
    return [_observation(row) for row in rows[: draw.count]]


def _row(sample: Sample, measured: Measurement) -> dict[str, object]:
    """Return what is kept of a sample."""
    return {
        "shape": dataclasses.asdict(sample.shape),
        "which": sample.which,
        "first_density": sample.first_density,
        "second_density": sample.second_density,
        "measurement": {
            "useful_products": measured.useful_products,
            "cycles": measured.cycles,
            "dram_reads": {"0": dataclasses.asdict(measured.dram_reads[0])},
        },
    }


def recorded_observations(path: Path) -> list[Observation]:
    """Return whole recorded passes from a file of `perf.estimate.recorded_step.measure_recorded`.

    Raises
    ------
    InputError
        The file cannot be read or is none of these.
    """
    try:
        return [_observation(json.loads(line)) for line in path.read_text("utf-8").splitlines()]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} must be a file of recorded passes: {error!r}") from error


def _observation(row: dict) -> Observation:
    shape = {k: tuple(v) if isinstance(v, list) else v for k, v in row["shape"].items()}
    return Observation(
        work=Work(
            shape=ConvShape(**shape),
            which=Pass(row["which"]),
            first_density=row["first_density"],
            second_density=row["second_density"],
        ),
        useful_products=row["measurement"]["useful_products"],
        cycles=row["measurement"]["cycles"],
        first_read_bytes=row["measurement"]["dram_reads"]["0"]["first"],
        second_read_bytes=row["measurement"]["dram_reads"]["0"]["second"],
    )


def fit(config: ArrayConfig, observed: Sequence[Observation]) -> Coefficients:
    """Return the coefficients for observations of one pass.

    Parameters
    ----------
    config
        On which they were made.
    observed
        Convolutions of one pass, all grouped or none; more of them than there are coefficients.

    Raises
    ------
    InputError
        There are too few.
    """
    if len(observed) <= len(COEFFICIENT_NAMES):
        raise InputError(
            f"observations must be more than {len(COEFFICIENT_NAMES)}, not {len(observed)}"
        )
    seen = features(config, [o.work for o in observed], [o.useful_products for o in observed])
    measured = np.array([o.cycles for o in observed], np.float64)
    nothing = dict.fromkeys(COEFFICIENT_NAMES, 0.0)

    def errors(trial: Mapping[str, float]) -> np.ndarray:
        return np.log(pass_cycles(Coefficients(**nothing | trial), seen) / measured)

    grouped = observed[0].work.shape.groups > 1
    start = {name: one for name, one in _START.items() if name != "waiting" or seen.waiting.any()}
    values = nothing | _least(start, errors)
    for side, name in enumerate(("first", "second")):
        read = np.array([getattr(o, f"{name}_read_bytes") for o in observed], np.float64)

        def read_errors(
            trial: Mapping[str, float], side: int = side, read: np.ndarray = read
        ) -> np.ndarray:
            return np.log(read_bytes(Coefficients(**nothing | trial), seen)[side] / read)

        start = {f"{name}_{what}": value for what, value in _READ_START[grouped].items()}
        values |= _least(start, read_errors)
    return Coefficients(**values)


def _least(
    start: Mapping[str, float], errors: Callable[[Mapping[str, float]], np.ndarray]
) -> dict[str, float]:
    """Return the coefficients, from `start` on, with which errors are least."""
    names, first = list(start), np.log(list(start.values()))

    def weighed(logs: np.ndarray) -> np.ndarray:
        trial = dict(zip(names, np.exp(logs), strict=True))
        # The last term decides only what the observations leave open.
        return np.concatenate([errors(trial), 3e-4 * (logs - first)])

    limits = (
        np.full(len(names), math.log(_LEAST_SHARE)),
        np.log([_MOST.get(name, _MOST_SHARE) for name in names]),
    )
    found = least_squares(weighed, first, loss="soft_l1", f_scale=0.05, bounds=limits)
    return {name: float(f"{value:.4g}") for name, value in zip(names, np.exp(found.x), strict=True)}


def main() -> None:
    """Observe what is missing, fit, and write the coefficients."""
    parser = argparse.ArgumentParser(
        prog="python -m gscn.perf.estimate.calibration", description=__doc__
    )
    parser.add_argument("--samples", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--only", choices=DRAWS, help="by default all")
    parser.add_argument("--processes", type=int, default=2, metavar="N")
    parser.add_argument("--traced", type=Path, nargs="*", default=[], metavar="FILE")
    parser.add_argument("--out", type=Path, default=COEFFICIENTS_PATH, metavar="FILE")
    args = parser.parse_args()
    config = array(CONFIG)
    data = json.loads(args.out.read_text(encoding="utf-8")) if args.out.exists() else {}
    traced = [one for path in args.traced for one in recorded_observations(path)]
    for name, draw in DRAWS.items():
        if args.only not in (None, name):
            continue
        path = args.samples / f"{name}.jsonl"
        observed = observe(config, path, draw, processes=args.processes)
        if name in FITS.values():
            own = [one for one in traced if (one.work.shape.groups > 1) == draw.grouped]
            data[name] = fitted(config, [*observed, *own]) | {"recorded_passes": len(own)}
    write_text(args.out, json.dumps(data, indent=2) + "\n")


def fitted(config: ArrayConfig, observed: Sequence[Observation]) -> dict[str, Any]:
    """Return the coefficients of every pass for observations, as the package has them."""
    return {
        "config": CONFIG,
        "config_digest": config.digest(),
        "coefficients": {
            which: dataclasses.asdict(fit(config, [o for o in observed if o.work.which is which]))
            for which in Pass
        },
    }


if __name__ == "__main__":
    main()
