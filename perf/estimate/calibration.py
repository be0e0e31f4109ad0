"""Fit the coefficients of the closed form (`perf.estimate.closed_form`) to the cycle model.

`python -m gscn.perf.estimate.calibration --samples benchmarks/calibration.jsonl` draws convolutions
of the networks of the papers at random, cut to random sizes, with operands drawn by the statistics
of real ones, runs them on the cycle model, and keeps the results in that file, so that it can be
stopped and continued. What the file has of another driver, array or cycle model is measured again.
They decide the coefficients in `perf/estimate/closed_form.json`: robust least squares of relative
errors. With `--traced`, whole recorded layers (files of
`perf.estimate.recorded_step.measure_recorded`) have a say as well; the package's coefficients are
of drawn samples alone.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

from gscn.array import ArrayConfig, array
from gscn.conv import ConvShape, Pass
from gscn.errors import InputError
from gscn.perf.estimate.closed_form import (
    COEFFICIENT_NAMES,
    COEFFICIENTS_PATH,
    Coefficients,
    features,
    pass_cycles,
    read_bytes,
)
from gscn.perf.estimate.pass_cost import Measurement
from gscn.perf.estimate.sampling import Sample, choose_sample, measure
from gscn.perf.workload.networks import network
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
"""Name, image size and batch."""
METHODS = (
    (Method.SWAT, 0.9),
    (Method.SWAT, 0.8),
    (Method.RESPROP, 0.9),
    (Method.SWAT_RESPROP, 0.9),
)
LEAST_PRODUCTS, MOST_PRODUCTS = 200_000, 40_000_000
_START = {"even": 0.3, "first": 0.1, "second": 0.1, "start": 500.0}
_READ_START = 0.5
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


def samples(seed: int) -> Iterator[Sample]:
    """Yield convolutions of the networks without end, in random order and sizes."""
    rng = random.Random(seed)
    while True:
        name, size, batch = rng.choice(NETWORKS)
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
            for layer in network(name, image_size=size, batch=batch).layers
            if not layer.linear
        ]
        layer = rng.choice(layers)
        work = rng.choice(pass_work(layer, rng.choice(passes(layer)), sparsification))
        low, high = np.log10([LEAST_PRODUCTS, MOST_PRODUCTS])
        yield choose_sample(
            work,
            products=round(10 ** rng.uniform(low, high)),
            kinds=kinds_of(work, prunes=method.prunes),
        )


def made_by(config: ArrayConfig) -> str:
    """Return a digest of what a sample's cycles follow from besides the sample."""
    return f"{config.digest()}-{source_digest(_ROOMS, suffixes=('.py',))[:16]}"


def observe(
    config: ArrayConfig, path: Path, count: int, *, seed: int, processes: int = 2
) -> list[Observation]:
    """Run samples until a file holds `count` of this configuration, and return those.

    Parameters
    ----------
    config
        The accelerator.
    path
        File of results, one JSON object per line. Those of other sources or another configuration
        are dropped.
    count
        Samples.
    seed
        Of their choice.
    processes
        At once.
    """
    maker = made_by(config)
    known = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    rows = [row for row in map(json.loads, known) if row.get("made_by") == maker]
    if len(rows) < len(known):
        write_text(path, "".join(json.dumps(row) + "\n" for row in rows))
    chosen = list(itertools.islice(samples(seed), count))
    while len(rows) < count:
        some = chosen[len(rows) : min(len(rows) + _AT_A_TIME, count)]
        measured = measure(config, some, seed=seed, processes=processes)
        new = [
            _row(sample, one) | {"made_by": maker}
            for sample, one in zip(some, measured, strict=True)
        ]
        rows += new
        with path.open("a", encoding="utf-8") as file:
            file.write("".join(json.dumps(row) + "\n" for row in new))
    return [_observation(row) for row in rows[:count]]


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
        Convolutions of one pass; more of them than there are coefficients.

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

    values = _least(_START, errors)
    for side, name in enumerate(("first", "second")):
        read = np.array([getattr(o, f"{name}_read_bytes") for o in observed], np.float64)

        def read_errors(
            trial: Mapping[str, float], side: int = side, read: np.ndarray = read
        ) -> np.ndarray:
            return np.log(read_bytes(Coefficients(**nothing | trial), seen)[side] / read)

        start = {f"{name}_each": _READ_START, f"{name}_root": _READ_START}
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
    parser.add_argument("--samples", type=Path, required=True, metavar="FILE")
    parser.add_argument("--count", type=int, default=200, metavar="N")
    parser.add_argument("--processes", type=int, default=2, metavar="N")
    parser.add_argument("--traced", type=Path, nargs="*", default=[], metavar="FILE")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=COEFFICIENTS_PATH, metavar="FILE")
    args = parser.parse_args()
    config = array(CONFIG)
    observed = observe(config, args.samples, args.count, seed=args.seed, processes=args.processes)
    for path in args.traced:
        observed += recorded_observations(path)
    fitted = {which: fit(config, [o for o in observed if o.work.which is which]) for which in Pass}
    data = {
        "config": CONFIG,
        "config_digest": config.digest(),
        "drawn_samples": args.count,
        "seed": args.seed,
        "recorded_passes": len(observed) - args.count,
        "coefficients": {which: dataclasses.asdict(fitted[which]) for which in Pass},
    }
    write_text(args.out, json.dumps(data, indent=2) + "\n")


if __name__ == "__main__":
    main()
