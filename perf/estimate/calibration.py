"""Fit the coefficients of the closed form (`perf.estimate.closed_form`) to the cycle model.

`python -m gscn.perf.estimate.calibration --samples benchmarks/calibration.jsonl` draws convolutions
of the networks of the papers at random, cut to random sizes, with operands drawn by the statistics
of real ones, runs them on the cycle model, and keeps the results in that file, so that it can be
stopped and continued. They decide the coefficients in `perf/estimate/closed_form.json`: robust
least squares of relative errors. With `--traced`, whole recorded layers (files of
`perf.estimate.recorded_step.measure_recorded`) have a say as well; the package's coefficients are
of drawn samples alone.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

from gscn.config import AcceleratorConfig, preset
from gscn.conv import ConvShape, Pass
from gscn.errors import InputError
from gscn.perf.estimate.closed_form import (
    COEFFICIENT_NAMES,
    COEFFICIENTS_PATH,
    Coefficients,
    Features,
    busy_cycles,
    features,
    read_bytes,
)
from gscn.perf.estimate.sampling import Sample, choose_sample, measure_sample
from gscn.perf.workload.networks import network
from gscn.perf.workload.sparsification import Gradients, Method, Sparsification
from gscn.perf.workload.statistics import operand_kinds
from gscn.perf.workload.work import Work, pass_work, passes
from gscn.system.files import write_text

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
LEAST_PRODUCTS, MOST_PRODUCTS = 80_000, 2_000_000
PLANS = 3
_START = {
    "even": 0.01,
    "first": 0.01,
    "second": 0.01,
    "first_each": 0.05,
    "second_each": 0.05,
    "short": 0.02,
    "short_each": 0.02,
    "both": 0.05,
    "start": 300.0,
    "end": 5.0,
    "sharpness": 2.0,
}
_READ_NAMES = tuple(name for name in COEFFICIENT_NAMES if name.startswith("read"))
_MOST_READ = 20.0
_MOST = {"start": 3000.0, "end": 100.0, "sharpness": 10.0}
"""Upper limits; those of the others are `_MOST_SHARE`."""
_MOST_SHARE = 5.0
_LEAST = {"sharpness": 0.5}
"""Lower limits; those of the others are `_LEAST_SHARE`."""
_LEAST_SHARE = 1e-6


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """A convolution that was run on the cycle model."""

    work: Work
    useful_products: int
    cycles: int
    read_bytes: int


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
            kinds=operand_kinds(work.which, prunes=method.prunes),
        )


def observe(config: AcceleratorConfig, path: Path, count: int, *, seed: int) -> list[Observation]:
    """Run samples until a file holds `count` of them, and return those."""
    known = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    rows = [json.loads(line) for line in known]
    for index, sample in zip(range(count), samples(seed), strict=False):
        if index < len(rows):
            continue
        measured = measure_sample(config, sample, seed=index, plans=PLANS)
        rows.append(
            {
                "shape": dataclasses.asdict(sample.shape),
                "which": sample.which,
                "first_density": sample.first_density,
                "second_density": sample.second_density,
                "measurement": dataclasses.asdict(measured),
            }
        )
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(rows[-1]) + "\n")
    return [_observation(row) for row in rows[:count]]


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
        **{name: row["measurement"][name] for name in ("useful_products", "cycles", "read_bytes")},
    )


def fit(config: AcceleratorConfig, observed: Sequence[Observation]) -> Coefficients:
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
    read = _fit_read(seen, np.array([o.read_bytes for o in observed], np.float64))
    start = np.log(list(_START.values()))

    def errors(logs: np.ndarray) -> np.ndarray:
        trial = Coefficients(**dict(zip(_START, np.exp(logs), strict=True)), **read)
        # The last term decides only what the observations leave open.
        return np.concatenate([np.log(busy_cycles(trial, seen) / measured), 3e-4 * (logs - start)])

    limits = (
        np.log([_LEAST.get(name, _LEAST_SHARE) for name in _START]),
        np.log([_MOST.get(name, _MOST_SHARE) for name in _START]),
    )
    found = least_squares(
        errors,
        start,
        loss="soft_l1",
        f_scale=0.05,
        bounds=limits,
    )
    values = {
        name: float(f"{value:.4g}") for name, value in zip(_START, np.exp(found.x), strict=True)
    }
    return Coefficients(**values, **read)


def _fit_read(seen: Features, measured: np.ndarray) -> dict[str, float]:
    """Return the coefficients of the bytes read."""
    nothing = dict.fromkeys(COEFFICIENT_NAMES, 0.0)

    def errors(logs: np.ndarray) -> np.ndarray:
        trial = Coefficients(**nothing | dict(zip(_READ_NAMES, np.exp(logs), strict=True)))
        return np.log(read_bytes(trial, seen) / measured)

    start = np.full(len(_READ_NAMES), np.log(0.1))
    limits = (np.log(_LEAST_SHARE), np.log(_MOST_READ))
    found = least_squares(errors, start, loss="soft_l1", bounds=limits)
    return {
        name: float(f"{value:.4g}")
        for name, value in zip(_READ_NAMES, np.exp(found.x), strict=True)
    }


def main() -> None:
    """Observe what is missing, fit, and write the coefficients."""
    parser = argparse.ArgumentParser(
        prog="python -m gscn.perf.estimate.calibration", description=__doc__
    )
    parser.add_argument("--samples", type=Path, required=True, metavar="FILE")
    parser.add_argument("--count", type=int, default=150, metavar="N")
    parser.add_argument("--traced", type=Path, nargs="*", default=[], metavar="FILE")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=COEFFICIENTS_PATH, metavar="FILE")
    args = parser.parse_args()
    config = preset(CONFIG)
    observed = observe(config, args.samples, args.count, seed=args.seed)
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
