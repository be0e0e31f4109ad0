"""The closed form: cycles of a pass from its shape and densities, at once.

It is the driver's own (`lowering.plan.PassPlan.cycles`), which sees shapes and densities, with what
it takes for lost scaled to the cycle model. Of a pass with P useful products on M multipliers,
whose results take w cycles of the write port, and for which the driver expects d cycles at p
products,

    least  = max(P/M, w)
    lost   = max(d - max(p/M, w), 0)
    cycles = least + lost (even + first (1 - f) + second (1 - s)) + start

where f and s are the densities of its operands: what is dense is even, and loses less. The plan is
made for classes of densities; what lies between is interpolated in logarithms. Bytes read of an
operand of `a` bytes, once, are `each a + root sqrt(a P/M port)`, port being the bytes that the read
port moves in a cycle; at least `a`, which is read once in any case.

A grouped convolution has coefficients of its own. Its bytes are those of the plan's packs
(`perf.estimate.grouped_pass`): with r bytes of an operand read if clusters share nothing,
`each r + root sqrt(a P/M port)`. To its cycles comes `waiting` times what the last round of jobs
has too many. Of others r is a, and nothing waits.

The coefficients are fitted, pass by pass, to runs of the cycle model on samples whose operands were
drawn by the statistics of real ones (`perf.estimate.calibration`), on the preset `large`. The
model's error is measured on recorded steps, to which no coefficient was fitted
(docs/results/model-error.md).
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gscn.array import ArrayConfig
from gscn.conv import ConvShape, Pass
from gscn.dram import Dram
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.lowering.plan import CLASSES_PER_DECADE, plan_pass
from gscn.perf.estimate.buffer import BUFFERS
from gscn.perf.estimate.grouped_pass import GroupedPass, grouped_pass
from gscn.perf.estimate.memory import operand_bytes, written_share
from gscn.perf.workload.statistics import Statistics, read_statistics
from gscn.perf.workload.work import Work, inner_macs

COEFFICIENTS_PATH = Path(__file__).with_name("closed_form.json")
FITS = {False: "ungrouped", True: "grouped"}
"""Names of what is fitted apart, by whether convolutions are grouped."""
_LEAST_DENSITY = 1e-4
_FAST_DRAM = 1e6
"""Bytes per cycle of one that is no limit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Coefficients:
    """Of one pass; see the module."""

    even: float
    first: float
    second: float
    start: float
    """Cycles."""
    waiting: float
    """Of the cycles of last rounds that packs wait for."""
    first_each: float
    """Of the bytes read of the first operand; `second_each` likewise."""
    first_root: float
    second_each: float
    second_root: float


COEFFICIENT_NAMES = tuple(field.name for field in dataclasses.fields(Coefficients))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Features:
    """What the closed form looks at, one element per convolution, float64."""

    compute: np.ndarray
    """Cycles of the multipliers: P/M above."""
    write: np.ndarray
    """Cycles of the write port for the results: w above."""
    lost: np.ndarray
    """Of the driver's cycles, by itself."""
    first_sparse: np.ndarray
    """Share of zeros in the first operand: 1 - f above; `second_sparse` likewise."""
    second_sparse: np.ndarray
    waiting: np.ndarray
    """Cycles of last rounds, of grouped convolutions (`GroupedPass.waiting`)."""
    first_bytes: np.ndarray
    """Of the first operand in memory, once; `second_bytes` likewise."""
    second_bytes: np.ndarray
    first_reads: np.ndarray
    """Of the first operand, r above; `second_reads` likewise."""
    second_reads: np.ndarray
    port_bytes: float
    """Bytes of the read port in a cycle."""

    def of(self, chosen: np.ndarray) -> Features:
        """Return the features of some of the convolutions."""
        own = {
            field.name: getattr(self, field.name)[chosen]
            for field in dataclasses.fields(self)
            if field.name != "port_bytes"
        }
        return Features(**own, port_bytes=self.port_bytes)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClosedFormCost:
    """What the closed form says of one convolution."""

    useful_products: float
    cycles: float
    read_bytes: tuple[float, float]
    """At the ports, of the first and the second operand."""
    write_bytes: float
    operand_bytes: tuple[float, float]
    """Of the operands in memory, each once."""
    dram_reads: Mapping[int, tuple[float, float]]
    """Times that DRAM delivers each operand, by the capacity of a buffer, one of `BUFFERS`."""

    def dram_read_bytes(self, capacity: int) -> tuple[float, float]:
        """Return the bytes that DRAM delivers of each operand behind a buffer of some capacity.

        Parameters
        ----------
        capacity
            One of `perf.estimate.buffer.BUFFERS`.
        """
        if not capacity:
            return self.read_bytes
        first, second = (
            max(once, min(once * times, ports))
            for once, times, ports in zip(
                self.operand_bytes, self.dram_reads[capacity], self.read_bytes, strict=True
            )
        )
        return first, second


def _corners(density: float) -> list[tuple[float, float]]:
    """Return the densities of the classes on both sides of one, with their weights."""
    at = CLASSES_PER_DECADE * math.log10(min(max(density, _LEAST_DENSITY), 1.0))
    low = math.floor(at + 1e-9)
    share = at - low
    corners = [(low, 1.0)] if share < 1e-6 else [(low, 1 - share), (low + 1, share)]
    return [(10 ** (one / CLASSES_PER_DECADE), weight) for one, weight in corners]


@functools.lru_cache(maxsize=1 << 16)
def driver_cycles(
    config: ArrayConfig,
    shape: ConvShape,
    which: Pass,
    first: float,
    second: float,
    dram: Dram | None = None,
) -> float:
    """Return the cycles that the driver expects of the array for a pass at two densities.

    If it knows of a DRAM, they are those of the plan for that, without what DRAM adds.

    Raises
    ------
    InputError
        The pass does not fit the array.
    """
    value_bytes = config.format.width // 8
    logarithm = 0.0
    for (one, weight), (other, share) in itertools.product(_corners(first), _corners(second)):
        plan = plan_pass(
            config, shape, which, (one, other), out_bytes=2, value_bytes=value_bytes, dram=dram
        )
        logarithm += weight * share * math.log(plan.array_cycles)
    return math.exp(logarithm)


def driver_reads(config: ArrayConfig, work: Work, dram: Dram) -> tuple[float, float]:
    """Return the times that the driver expects DRAM to deliver each operand of a convolution."""
    plan = plan_pass(
        config, work.shape, work.which, (work.first_density, work.second_density), out_bytes=2,
        value_bytes=config.format.width // 8, dram=dram,
    )  # fmt: skip
    return plan.dram_reads


def features(
    config: ArrayConfig,
    works: Sequence[Work],
    products: Sequence[float],
    dram: Dram | None = None,
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
    dram
        Of which the driver knows, if any.

    Raises
    ------
    InputError
        A pass does not fit the array.
    """
    rows = [
        _row(config, work, float(count), dram) for work, count in zip(works, products, strict=True)
    ]
    columns = np.array(rows, np.float64).reshape(-1, 10).T
    names = [field.name for field in dataclasses.fields(Features) if field.name != "port_bytes"]
    return Features(
        **dict(zip(names, columns, strict=True)), port_bytes=float(config.port_bytes_per_cycle)
    )


def _row(config: ArrayConfig, work: Work, products: float, dram: Dram | None) -> tuple[float, ...]:
    shape, densities = work.shape, (work.first_density, work.second_density)
    compute = max(products, 1.0) / config.multipliers
    once = reads = bytes_once(config, shape, work.which, densities)
    # results have 16 bits
    written, waiting = 2.0 * math.prod(shape.result_shape(work.which)), 0.0
    if shape.groups > 1:
        packed = packed_pass(config, shape, work.which, densities)
        reads, written, waiting = packed.read_bytes, packed.write_bytes, packed.waiting
    write = written / config.port_bytes_per_cycle
    driver = driver_cycles(config, shape, work.which, *densities, dram)
    expected = inner_macs(shape) * math.prod(densities) / config.multipliers
    return (
        compute,
        write,
        max(driver - max(expected, write), 0.0),
        1 - densities[0],
        1 - densities[1],
        waiting,
        *once,
        *reads,
    )


@functools.lru_cache(maxsize=1 << 12)
def packed_pass(
    config: ArrayConfig, shape: ConvShape, which: Pass, densities: tuple[float, float]
) -> GroupedPass:
    """Return what a grouped convolution moves, as the driver plans it without a DRAM."""
    value_bytes = config.format.width // 8
    plan = plan_pass(config, shape, which, densities, out_bytes=2, value_bytes=value_bytes)
    return grouped_pass(plan, densities, value_bytes=value_bytes)


@takes_text
def bytes_once(
    config: ArrayConfig, shape: ConvShape, which: Pass, densities: tuple[float, float]
) -> tuple[float, float]:
    """Return the bytes of both operands in memory, each once."""
    if shape.groups > 1:
        return packed_pass(config, shape, which, densities).operand_bytes
    return operand_bytes(shape, which, *densities, value_bytes=config.format.width // 8)


def pass_cycles(coefficients: Coefficients, seen: Features) -> np.ndarray:
    """Return the cycles of convolutions of one pass, float64."""
    c = coefficients
    share = c.even + c.first * seen.first_sparse + c.second * seen.second_sparse
    lost = share * seen.lost + c.waiting * seen.waiting
    return np.maximum(seen.compute, seen.write) + lost + c.start


def read_bytes(coefficients: Coefficients, seen: Features) -> tuple[np.ndarray, np.ndarray]:
    """Return the bytes that convolutions of one pass read of each operand, float64."""
    c, moved = coefficients, seen.compute * seen.port_bytes
    first = c.first_each * seen.first_reads + c.first_root * np.sqrt(seen.first_bytes * moved)
    second = c.second_each * seen.second_reads + c.second_root * np.sqrt(seen.second_bytes * moved)
    return np.maximum(first, seen.first_bytes), np.maximum(second, seen.second_bytes)


def _kinds(works: Sequence[Work]) -> Iterator[tuple[np.ndarray, Coefficients]]:
    """Yield which convolutions have the same coefficients, and those."""
    passes = np.array([work.which for work in works])
    groups = np.array([work.shape.groups for work in works])
    for grouped, which in itertools.product((False, True), Pass):
        yield (passes == which) & ((groups > 1) == grouped), read_coefficients()[grouped][which]


def closed_form_cycles(seen: Features, works: Sequence[Work]) -> np.ndarray:
    """Return the cycles of convolutions with such `features` by the closed form."""
    cycles = np.zeros(len(works))
    for chosen, coefficients in _kinds(works):
        cycles[chosen] = pass_cycles(coefficients, seen.of(chosen))
    return cycles


def closed_form_costs(
    config: ArrayConfig,
    works: Sequence[Work],
    *,
    products: Sequence[float] | None = None,
    statistics: Statistics | None = None,
    dram: Dram | None = None,
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
    dram
        Of which the driver knows; None: it knows of none, and buffers have one that is no limit
        behind them.

    Returns
    -------
    list of ClosedFormCost
        One per convolution, in order.

    Raises
    ------
    InputError
        A pass does not fit the array.
    """
    statistics = statistics or read_statistics()
    if products is None:
        products = [expected_products(work, statistics) for work in works]
    seen = features(config, works, products, dram)
    cycles = closed_form_cycles(seen, works)
    first, second = (np.zeros(len(works)) for _ in range(2))
    for chosen, coefficients in _kinds(works):
        first[chosen], second[chosen] = read_bytes(coefficients, seen.of(chosen))
    per_cycle = dram.bytes_per_cycle if dram else _FAST_DRAM
    # not more than the port carries in that time, and not less than once
    scale = np.minimum(1.0, cycles * seen.port_bytes / (first + second))
    first = np.maximum(first * scale, seen.first_bytes)
    second = np.maximum(second * scale, seen.second_bytes)
    return [
        ClosedFormCost(
            useful_products=float(count),
            cycles=float(cycles[index]),
            read_bytes=(float(first[index]), float(second[index])),
            write_bytes=float(seen.write[index] * seen.port_bytes)
            * (1.0 if work.shape.groups > 1 else written_share(work.shape, work.which)),
            operand_bytes=(float(seen.first_bytes[index]), float(seen.second_bytes[index])),
            dram_reads={
                size: driver_reads(config, work, Dram(bytes_per_cycle=per_cycle, buffer_bytes=size))
                for size in BUFFERS[1:]
            },
        )
        for index, (work, count) in enumerate(zip(works, products, strict=True))
    ]


def expected_products(work: Work, statistics: Statistics) -> float:
    """Return the useful products that real operands of these densities have, as expected.

    Operands that are dense have no unevenness that could coincide with the other's.
    """
    dense = 1.0 in (work.first_density, work.second_density)
    return work.useful_products * (1.0 if dense else statistics.products[work.role])


@functools.cache
def read_coefficients(path: Path = COEFFICIENTS_PATH) -> dict[bool, dict[Pass, Coefficients]]:
    """Read the coefficients of every pass, by default those of the package.

    Returns
    -------
    dict
        By whether a convolution is grouped, and by pass.

    Raises
    ------
    InputError
        The file is missing or is none of coefficients.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return {
            grouped: {which: Coefficients(**data[name]["coefficients"][which]) for which in Pass}
            for grouped, name in FITS.items()
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} must be a file of coefficients: {error!r}") from error
