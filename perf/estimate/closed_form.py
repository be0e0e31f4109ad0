"""The closed form: cycles of a pass from its shape and densities, in microseconds.

Of a pass with P useful products on M multipliers, whose results take w cycles of the write port,
and whose operands' nonzeros would take a and b of the read port if each were read once, with
t = P/M:

    busy   = t (1 + even + first sqrt(a/t) + second sqrt(b/t) + first_each a/t + second_each b/t
                + short sqrt(f) + short_each f + both sqrt(a b)/t) + start + end sqrt(t)
    cycles = (busy^p + w^p)^(1/p)

a/t and b/t say how little an operand is reused, so how much loading and streaming cannot be hidden,
and f is the inverse of the length of the longest fiber that a PE can hold, in entries: each word is
looked up once per fiber. What the unevenness of real operands costs is in the coefficients: they
are fitted, pass by pass, to runs of the cycle model on samples whose operands were drawn by the
statistics of real ones (`perf.estimate.calibration`). The model's error is measured on recorded
steps, to which no coefficient was fitted (docs/results/model-error.md).

The coefficients are those of the preset `large`. Other sizes enter through M, the port and the
number of clusters alone; that is an extrapolation.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gscn.config import AcceleratorConfig
from gscn.conv import Pass
from gscn.errors import InputError
from gscn.perf.workload.statistics import Statistics, read_statistics
from gscn.perf.workload.work import Work

COEFFICIENTS_PATH = Path(__file__).with_name("closed_form.json")
ENTRY_BYTES = 4
"""Of a nonzero in memory: half of a 64-bit chunk, stationary or streamed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Coefficients:
    """Of one pass; see the module."""

    even: float
    first: float
    second: float
    first_each: float
    second_each: float
    short: float
    short_each: float
    both: float
    start: float
    """Cycles."""
    end: float
    """Square roots of cycles."""
    sharpness: float
    """p - 1."""
    read_work: float
    """Cycles of the read port = read_work t + read_first a + read_second b
    + read_first_root sqrt(a t) + read_second_root sqrt(b t): by experience within a factor of two,
    as tilings are chosen for their cycles and read more where that costs none."""
    read_first: float
    read_second: float
    read_first_root: float
    read_second_root: float


COEFFICIENT_NAMES = tuple(field.name for field in dataclasses.fields(Coefficients))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Features:
    """What the closed form looks at, one element per convolution, float64."""

    compute: np.ndarray
    """Cycles of the multipliers: t above."""
    first: np.ndarray
    """Cycles of the read port for the first operand, once: a above; `second` likewise."""
    second: np.ndarray
    write: np.ndarray
    """Cycles of the write port for the results: w above."""
    fiber: np.ndarray
    """Inverse of the longest fiber's length: f above."""
    port_bytes: float
    """Bytes of the port in a cycle, each way."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClosedFormCost:
    """What the closed form says of one convolution."""

    useful_products: float
    cycles: float
    read_bytes: float
    write_bytes: float


def features(
    config: AcceleratorConfig, works: Sequence[Work], products: Sequence[float]
) -> Features:
    """Return what the closed form looks at.

    Parameters
    ----------
    config
        The accelerator.
    works
        Convolutions and densities.
    products
        Useful products of each.
    """
    rows = [_row(config, work, float(count)) for work, count in zip(works, products, strict=True)]
    columns = np.array(rows, np.float64).reshape(-1, 5).T
    return Features(
        compute=columns[0],
        first=columns[1],
        second=columns[2],
        write=columns[3],
        fiber=columns[4],
        port_bytes=float(config.port_bytes_per_cycle),
    )


def _row(config: AcceleratorConfig, work: Work, products: float) -> tuple[float, ...]:
    port = config.port_bytes_per_cycle
    first, second = work.shape.operand_shapes(work.which)
    return (
        max(products, 1.0) / config.multipliers,
        math.prod(first) * work.first_density * ENTRY_BYTES / port,
        math.prod(second) * work.second_density * ENTRY_BYTES / port,
        math.prod(work.shape.result_shape(work.which)) * config.format.width / 8 / port,
        1 / _longest_fiber(config, work),
    )


def _longest_fiber(config: AcceleratorConfig, work: Work) -> float:
    """Return the expected entries of one key that a PE can hold, if work is to be left for others.

    Weight gradient: a key is a pixel's row; of the results a PE has the share of one multiplier,
    as many channels of the stationary map as there can be. Otherwise: a key is a channel, and the
    PEs of a cluster share the kernels of all results.
    """
    shape = work.shape
    if work.which is Pass.WEIGHT_GRAD:
        share = max(shape.k * shape.c / config.multipliers, 1 / shape.s)
        return max(
            shape.s * work.first_density * min(shape.k, share),
            shape.s * work.second_density * min(shape.c, share),
        )
    results = shape.k if work.which is Pass.FORWARD else shape.c
    kernel = shape.r * shape.s / math.prod(shape.stride)
    return results * kernel * work.first_density / config.pes_per_cluster


def busy_cycles(coefficients: Coefficients, seen: Features) -> np.ndarray:
    """Return the cycles of convolutions of one pass, float64."""
    c, t, a, b = coefficients, seen.compute, seen.first, seen.second
    busy = (
        t * (1 + c.even + c.short * np.sqrt(seen.fiber) + c.short_each * seen.fiber)
        + c.first * np.sqrt(a * t)
        + c.second * np.sqrt(b * t)
        + c.first_each * a
        + c.second_each * b
        + c.both * np.sqrt(a * b)
        + c.start
        + c.end * np.sqrt(t)
    )
    power = 1 + c.sharpness
    # scaled by the larger, so that no power overflows
    most = np.maximum(busy, seen.write)
    return most * ((busy / most) ** power + (seen.write / most) ** power) ** (1 / power)


def read_bytes(coefficients: Coefficients, seen: Features) -> np.ndarray:
    """Return the bytes that convolutions of one pass read, float64."""
    c, t, a, b = coefficients, seen.compute, seen.first, seen.second
    cycles = (
        c.read_work * t
        + c.read_first * a
        + c.read_second * b
        + c.read_first_root * np.sqrt(a * t)
        + c.read_second_root * np.sqrt(b * t)
    )
    return cycles * seen.port_bytes


def closed_form_costs(
    config: AcceleratorConfig,
    works: Sequence[Work],
    *,
    products: Sequence[float] | None = None,
    statistics: Statistics | None = None,
) -> list[ClosedFormCost]:
    """Return what convolutions cost by the closed form.

    Parameters
    ----------
    config
        The accelerator.
    works
        Convolutions and their densities.
    products
        Useful products of each, where they are known; by default those expected of independent
        operands times `Statistics.products`.
    statistics
        Of the operands; by default the package's.

    Returns
    -------
    list of ClosedFormCost
        One per convolution, in order.
    """
    statistics = statistics or read_statistics()
    if products is None:
        products = [expected_products(work, statistics) for work in works]
    seen = features(config, works, products)
    cycles, read = np.zeros(len(works)), np.zeros(len(works))
    passes = np.array([work.which for work in works])
    for which, coefficients in read_coefficients().items():
        chosen = passes == which
        own = Features(
            **{
                name: getattr(seen, name)[chosen]
                for name in ("compute", "first", "second", "write", "fiber")
            },
            port_bytes=seen.port_bytes,
        )
        cycles[chosen] = busy_cycles(coefficients, own)
        read[chosen] = read_bytes(coefficients, own)
    return [
        ClosedFormCost(
            useful_products=float(count),
            cycles=float(cycles[index]),
            # not more than the port carries in that time
            read_bytes=float(min(read[index], cycles[index] * seen.port_bytes)),
            write_bytes=float(seen.write[index] * seen.port_bytes),
        )
        for index, count in enumerate(products)
    ]


def expected_products(work: Work, statistics: Statistics) -> float:
    """Return the useful products that real operands of these densities have, as expected.

    Operands that are dense have no unevenness that could coincide with the other's.
    """
    dense = 1.0 in (work.first_density, work.second_density)
    return work.useful_products * (1.0 if dense else statistics.products[work.which])


@functools.cache
def read_coefficients(path: Path = COEFFICIENTS_PATH) -> dict[Pass, Coefficients]:
    """Read the coefficients of every pass, by default those of the package.

    Raises
    ------
    InputError
        The file is missing or is none of coefficients.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return {which: Coefficients(**data["coefficients"][which]) for which in Pass}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} must be a file of coefficients: {error!r}") from error
