"""Statistics of the operands of real training steps, fitted once and shipped with the package.

`python -m gscn.perf.workload.statistics TRACE... --out perf/workload/statistics.json` fits them:
for each kind of operand the unevenness of its nonzeros (`perf.workload.unevenness`), as the mean
over the layers of the traces, and for each pass how many products there are for each that
independent operands of the same densities would have (`Statistics.products`). The file says
which traces it was fitted on.
"""

from __future__ import annotations

import argparse
import dataclasses
import enum
import functools
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gscn.conv import Pass
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.golden.traces.trace import Trace, load_trace
from gscn.perf.workload.sparsification import Method
from gscn.perf.workload.unevenness import Unevenness, fit_unevenness, mean_unevenness
from gscn.perf.workload.work import Work, inner_macs
from gscn.products import count_useful_products
from gscn.system.files import write_text

STATISTICS_PATH = Path(__file__).with_name("statistics.json")


class Kind(enum.StrEnum):
    """What an operand is, as far as the places of its nonzeros go."""

    UNIFORM = "uniform"
    """Uniformly random: nothing real, the customary simplification."""
    WEIGHTS = "weights"
    """Weights of which the largest were kept."""
    INPUTS = "inputs"
    """Inputs of a layer as ReLU leaves them."""
    SAVED_INPUTS = "saved inputs"
    """Inputs of which the largest of the mini-batch were kept."""
    GRADIENTS = "output gradients"
    """Differences of output gradients, of which ReSprop keeps the larger; or output gradients that
    ReLU masks."""


FITTED_KINDS = tuple(kind for kind in Kind if kind is not Kind.UNIFORM)


@dataclass(frozen=True, kw_only=True, slots=True)
class Statistics:
    """What was fitted."""

    traces: tuple[str, ...]
    """On what: network, method, batch and step of each trace."""
    unevenness: Mapping[Kind, Unevenness]
    """Of the operands of each kind; uniform ones are even."""
    products: Mapping[Pass, float]
    """Useful products of real operands per product expected of independent ones."""


UNIFORM_STATISTICS = Statistics(
    traces=(),
    unevenness=dict.fromkeys(Kind, Unevenness()),
    products=dict.fromkeys(Pass, 1.0),
)
"""Of uniformly random operands."""


@takes_text
def operand_kinds(which: Pass, *, prunes: bool) -> tuple[Kind, Kind]:
    """Return the kinds of a pass's operands.

    Parameters
    ----------
    which
        The pass.
    prunes
        Whether the method keeps the largest of the saved inputs, as SWAT does.
    """
    return {
        Pass.FORWARD: (Kind.WEIGHTS, Kind.INPUTS),
        Pass.INPUT_GRAD: (Kind.WEIGHTS, Kind.GRADIENTS),
        Pass.WEIGHT_GRAD: (Kind.GRADIENTS, Kind.SAVED_INPUTS if prunes else Kind.INPUTS),
    }[which]


def kinds_of(work: Work, *, prunes: bool) -> tuple[Kind, Kind]:
    """Return the kinds of a convolution's operands, which follow from what the layer does.

    Parameters
    ----------
    work
        The convolution.
    prunes
        As of `operand_kinds`.
    """
    first, second = operand_kinds(work.role, prunes=prunes)
    if work.transposed and work.role is Pass.WEIGHT_GRAD:
        return second, first
    return first, second


def fit(traces: Iterable[Trace]) -> Statistics:
    """Fit the statistics to traces of training steps.

    Layers whose inputs are images, which have no input gradient, and dense operands are left out.

    Raises
    ------
    InputError
        The traces have no operand of some kind.
    """
    fitted: dict[Kind, list[Unevenness]] = defaultdict(list)
    counted: dict[Pass, list[int]] = {which: [0, 0] for which in Pass}
    names = []
    for trace in traces:
        names.append(_describe(trace))
        prunes = trace.method in [method for method in Method if method.prunes]
        for layer in trace.layers:
            if Pass.INPUT_GRAD not in trace.entry(layer).densities:
                continue
            for which in trace.entry(layer).densities:
                operands = nonzeros(trace, layer, which)
                shape = trace.entry(layer).shape
                products = count_useful_products(shape, which, *(o.astype(int) for o in operands))
                densities = [float(operand.mean()) for operand in operands]
                counted[which][0] += products
                counted[which][1] += inner_macs(shape) * densities[0] * densities[1]
                for kind, operand, density in zip(
                    operand_kinds(which, prunes=prunes), operands, densities, strict=True
                ):
                    # each operand meets two passes; weights are judged in the forward pass
                    repeated = kind is Kind.WEIGHTS and which is not Pass.FORWARD
                    if density < 1 and not repeated:
                        fitted[kind].append(fit_unevenness(operand))
    missing = [kind for kind in FITTED_KINDS if not fitted[kind]]
    if missing:
        raise InputError(f"traces must have operands of the kinds {', '.join(missing)}")
    return Statistics(
        traces=tuple(names),
        unevenness={
            Kind.UNIFORM: Unevenness(),
            **{kind: mean_unevenness(fitted[kind]) for kind in FITTED_KINDS},
        },
        products={which: round(real / free, 4) for which, (real, free) in counted.items()},
    )


def _describe(trace: Trace) -> str:
    shape = next(iter(trace.entries.values())).shape
    return (
        f"{trace.network}, {trace.method} at {trace.sparsity:g}, {trace.dataset}, batch {shape.n} "
        f"of {shape.h}x{shape.w} images, step {trace.step}, seed {trace.seed}"
    )


def write_statistics(path: Path, statistics: Statistics) -> None:
    """Write statistics as JSON."""
    data = {
        "traces": list(statistics.traces),
        "unevenness": {
            kind: dataclasses.asdict(statistics.unevenness[kind]) for kind in FITTED_KINDS
        },
        "products": dict(statistics.products),
    }
    write_text(path, json.dumps(data, indent=2) + "\n")


@functools.cache
def read_statistics(path: Path = STATISTICS_PATH) -> Statistics:
    """Read statistics, by default those of the package.

    Raises
    ------
    InputError
        The file is missing or is none of statistics.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return Statistics(
            traces=tuple(data["traces"]),
            unevenness={
                Kind.UNIFORM: Unevenness(),
                **{kind: Unevenness(**data["unevenness"][kind]) for kind in FITTED_KINDS},
            },
            products={which: float(data["products"][which]) for which in Pass},
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} must be a file of statistics: {error!r}") from error


@takes_text
def nonzeros(trace: Trace, layer: str, which: Pass) -> tuple[np.ndarray, np.ndarray]:
    """Return where the operands of a recorded pass are not zero, as two boolean arrays."""
    recorded = trace.load_pass(layer, which)
    return recorded.first != 0, recorded.second != 0


def main() -> None:
    """Fit the traces that the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m gscn.perf.workload.statistics", description=__doc__
    )
    parser.add_argument("traces", nargs="+", type=Path, metavar="TRACE")
    parser.add_argument("--out", type=Path, default=STATISTICS_PATH, metavar="FILE")
    args = parser.parse_args()
    write_statistics(args.out, fit(load_trace(path) for path in args.traces))


if __name__ == "__main__":
    main()
