"""What each mode of an estimate makes of the convolutions of a training step."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence

from gscn.array import ArrayConfig
from gscn.dram import Dram
from gscn.perf.estimate.buffer import BUFFERS, CAPACITIES
from gscn.perf.estimate.closed_form import ClosedFormCost, bytes_once, closed_form_costs
from gscn.perf.estimate.pass_cost import Measurement
from gscn.perf.estimate.result import WorkEstimate
from gscn.perf.estimate.sampling import (
    MeasureRivals,
    Sample,
    Sampling,
    behind,
    choose_sample,
    cut_alike,
)
from gscn.perf.workload.sparsification import Sparsification
from gscn.perf.workload.statistics import UNIFORM_STATISTICS, kinds_of
from gscn.perf.workload.work import Work


def from_cost(
    config: ArrayConfig,
    work: Work,
    cost: ClosedFormCost,
    dram: Dram | None = None,
    **found: object,
) -> WorkEstimate:
    """Return the estimate that a cost stands for, behind a DRAM, with what else was `found`."""
    # no multiplier takes more than one product in a cycle
    cycles = max(cost.cycles, cost.useful_products / config.multipliers)
    most = cycles * config.port_bytes_per_cycle
    # what a buffer saves follows from DRAM's speed, which the cycle model's memory does not have
    sample, measured = (None, None) if dram else (found.get("sample"), found.get("measurement"))
    read = {
        size: min(sum(_dram_read_bytes(config, cost, size, sample, measured)), most)
        for size in BUFFERS
    }
    return WorkEstimate(
        work=work,
        useful_products=cost.useful_products,
        array_cycles=cycles,
        multipliers=config.multipliers,
        port_bytes=config.port_bytes_per_cycle,
        read_bytes=read[0],
        write_bytes=cost.write_bytes,
        operand_bytes=sum(cost.operand_bytes),
        dram_read_bytes=read,
        dram=dram,
        **found,
    )


def _dram_read_bytes(
    config: ArrayConfig,
    cost: ClosedFormCost,
    capacity: int,
    sample: Sample | None,
    measured: Measurement | None,
) -> tuple[float, float]:
    """Return the bytes that DRAM delivers of each operand of a convolution, behind a buffer.

    An operand is delivered as many times as in the sample. If that has fewer images, so that the
    buffer holds its operand and not the layer's, as many times as behind a smaller buffer: the
    largest that does not hold it. So what is read again at once is found in the buffer, and what is
    read again a whole operand later is not.

    Parameters
    ----------
    config
        The accelerator.
    cost
        Of the convolution.
    capacity
        One of `perf.estimate.buffer.BUFFERS`.
    sample, measured
        What was run on the cycle model; None: nothing, and the closed form decides.
    """
    if sample is None or measured is None or not measured.dram_reads:
        return cost.dram_read_bytes(capacity)
    densities = (sample.first_density, sample.second_density)
    once = bytes_once(config, sample.shape, sample.which, densities)
    found = []
    for name, whole, part in zip(("first", "second"), cost.operand_bytes, once, strict=True):
        alike = capacity
        if part <= capacity < whole:
            alike = max(size for size in CAPACITIES if size < part or size == 0)
        times = getattr(measured.dram_reads[alike], name) / part
        found.append(whole * times)
    return found[0], found[1]


_LEAST_RATIO, _MOST_RATIO = 0.2, 5.0
"""Of a correction: beyond it, the closed form's share of lost cycles is too small to be scaled."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Correction:
    """By how much the cycle model and the closed form differ on a sample."""

    lost: float
    """Ratio of the cycles beyond those of the useful products."""
    read: float
    """Ratio of bytes; `write` likewise."""
    write: float

    def apply(self, config: ArrayConfig, cost: ClosedFormCost) -> ClosedFormCost:
        useful = cost.useful_products / config.multipliers
        cycles = useful + (cost.cycles - useful) * self.lost
        most = cycles * config.port_bytes_per_cycle
        read = min(self.read, most / sum(cost.read_bytes))
        return dataclasses.replace(
            cost,
            cycles=cycles,
            read_bytes=(cost.read_bytes[0] * read, cost.read_bytes[1] * read),
            write_bytes=min(cost.write_bytes * self.write, most),
        )


def analytic(
    config: ArrayConfig, works: Sequence[Work], dram: Dram | None = None
) -> dict[Work, WorkEstimate]:
    """Return what the closed form says of convolutions."""
    costs = closed_form_costs(config, works, dram=dram)
    return {
        work: from_cost(config, work, cost, dram) for work, cost in zip(works, costs, strict=True)
    }


def statistical(
    config: ArrayConfig,
    works: Sequence[Work],
    counts: Mapping[Work, int],
    *,
    prunes: bool,
    sampling: Sampling,
    dram: Dram | None = None,
) -> dict[Work, WorkEstimate]:
    """Return what samples on the cycle model and the closed form say together.

    Parameters
    ----------
    config, works
        The accelerator, and different convolutions.
    counts
        How often each occurs in the training step.
    prunes
        Whether the method prunes: it decides of what kind operands are.
    sampling
        Size, number and measurement of samples.
    dram
        Behind the ports; None: it is no limit.
    """
    costs = dict(zip(works, closed_form_costs(config, works, dram=dram), strict=True))
    samples = {
        work: cut_alike(
            config,
            work,
            choose_sample(work, products=sampling.products, kinds=kinds_of(work, prunes=prunes)),
            dram,
        )
        for work in works
    }
    time: dict[Sample, float] = defaultdict(float)
    for work, sample in samples.items():
        time[sample] += counts[work] * costs[work].cycles
    chosen = _longest(time, sampling.most)
    measured = dict(zip(chosen, sampling.measure(config, chosen), strict=True))
    corrections = {sample: _correction(config, sample, measured[sample]) for sample in chosen}
    means = {
        which: _mean([(corrections[s], time[s]) for s in chosen if s.which is which])
        for which in {sample.which for sample in chosen}
    }
    return {
        work: from_cost(
            config,
            work,
            corrections.get(samples[work], means[work.which]).apply(config, costs[work]),
            dram,
            sample=samples[work] if samples[work] in measured else None,
            measurement=measured.get(samples[work]),
        )
        for work in works
    }


def _longest(time: Mapping[Sample, float], most: int) -> list[Sample]:
    """Return the samples that stand for most of the time, at least one of each pass."""
    ordered = sorted(time, key=lambda sample: -time[sample])
    first = {sample.which: sample for sample in reversed(ordered)}
    rest = [sample for sample in ordered if sample not in first.values()]
    return [*first.values(), *rest[: most - len(first)]]


def _correction(config: ArrayConfig, sample: Sample, found: Measurement) -> _Correction:
    work = Work(
        shape=sample.shape,
        which=sample.which,
        first_density=sample.first_density,
        second_density=sample.second_density,
    )
    (cost,) = closed_form_costs(config, [work], products=[found.useful_products], dram=sample.dram)
    useful = found.useful_products / config.multipliers
    lost = (found.cycles - useful) / (cost.cycles - useful)
    return _Correction(
        lost=min(max(lost, _LEAST_RATIO), _MOST_RATIO),
        read=found.read_bytes / sum(cost.read_bytes),
        write=found.write_bytes / cost.write_bytes,
    )


def _mean(corrections: Sequence[tuple[_Correction, float]]) -> _Correction:
    """Return the mean, weighted by time."""
    total = sum(time for _, time in corrections)
    return _Correction(
        **{
            field.name: sum(getattr(one, field.name) * time for one, time in corrections) / total
            for field in dataclasses.fields(_Correction)
        }
    )


def uniform(
    config: ArrayConfig,
    works: Sequence[Work],
    sampling: Sampling,
    dram: Dram | None = None,
) -> dict[Work, WorkEstimate]:
    """Return what the utilisation of uniformly random samples says, one for each convolution."""
    samples = {
        work: behind(dram, work, choose_sample(work, products=sampling.products)) for work in works
    }
    distinct = list(dict.fromkeys(samples.values()))
    measured = dict(zip(distinct, sampling.measure(config, distinct), strict=True))
    costs = closed_form_costs(
        config, works, products=[work.useful_products for work in works],
        statistics=UNIFORM_STATISTICS, dram=dram,
    )  # fmt: skip
    estimates = {}
    for work, cost in zip(works, costs, strict=True):
        found = measured[samples[work]]
        cycles = work.useful_products / (found.multipliers * found.utilization)
        estimates[work] = from_cost(
            config,
            work,
            dataclasses.replace(cost, cycles=cycles),
            dram,
            sample=samples[work],
            measurement=found,
        )
    return estimates


def with_rivals(
    config: ArrayConfig,
    estimates: Mapping[Work, WorkEstimate],
    sparsification: Sparsification,
    rivals: Sequence[str],
    measure_rivals: MeasureRivals,
) -> dict[Work, WorkEstimate]:
    """Add what other accelerators take: per dense product as for a sample with whole maps."""
    prunes = sparsification.method.prunes
    samples = {
        work: choose_sample(work, kinds=kinds_of(work, prunes=prunes), whole_maps=True)
        for work in estimates
    }
    distinct = list(dict.fromkeys(samples.values()))
    found = dict(zip(distinct, measure_rivals(config, distinct, rivals), strict=True))
    return {
        work: dataclasses.replace(
            own,
            rivals={
                name: cost.cycles * work.shape.dense_macs / samples[work].shape.dense_macs
                for name, cost in found[samples[work]].items()
            },
        )
        for work, own in estimates.items()
    }
