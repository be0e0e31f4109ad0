"""Measurements of samples kept by the operands that were measured.

Samples on the cycle model are most of the work of an estimate. Their operands decide the outcome,
together with the lowering, the cycle model and the configuration: a measurement is kept in a file
named by a digest of all of these, so that estimates can change in anything else without it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gscn.array import ArrayConfig
from gscn.perf.estimate.buffer import Reads
from gscn.perf.estimate.energy import Accesses
from gscn.perf.estimate.pass_cost import Measurement, measure_operands, rival_costs
from gscn.perf.estimate.sampling import Sample, draw_operands
from gscn.system.cache import keep_result, kept_result


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptCost:
    """What is kept of another accelerator's cost."""

    cycles: float


def operands_digest(sample: Sample, first: np.ndarray, second: np.ndarray) -> str:
    """Return a digest of a convolution and of where its operands are not zero."""
    digest = hashlib.sha256(repr((sample.shape, str(sample.which))).encode())
    for operand in (first, second):
        digest.update(np.packbits(operand != 0).tobytes())
    return digest.hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class Keeper:
    """Measures samples, or reads back what was kept.

    `measure` and `measure_rivals` are what `perf.estimate.sampling.Sampling` has by these names.
    """

    folder: Path
    sources: str
    """Digest of what our measurements follow from besides operands and configuration."""
    rival_sources: str
    """The same of the other accelerators'."""

    def measure(self, config: ArrayConfig, samples: Sequence[Sample]) -> list[Measurement]:
        """Return what the cycle model says of samples, in order."""
        return [self._measurement(config, sample) for sample in samples]

    def measure_rivals(
        self, config: ArrayConfig, samples: Sequence[Sample], names: Sequence[str]
    ) -> list[dict[str, KeptCost]]:
        """Return what other accelerators take for samples, in order."""
        return [self._costs(config, sample, tuple(names)) for sample in samples]

    def _measurement(self, config: ArrayConfig, sample: Sample) -> Measurement:
        first, second = draw_operands(sample, seed=0)

        def compute() -> dict:
            found = measure_operands(
                config, sample.shape, sample.which, first, second, dram=sample.dram
            )
            return dataclasses.asdict(dataclasses.replace(found, causes=dict(found.causes)))

        follows_from = [operands_digest(sample, first, second), config.to_dict(), self.sources]
        if sample.dram is not None:
            follows_from.append(dataclasses.asdict(sample.dram))
        fields = self._kept(follows_from, compute)
        accesses, reads = fields.pop("accesses"), fields.pop("dram_reads")
        return Measurement(
            accesses=Accesses(**accesses),
            dram_reads={int(size): Reads(**one) for size, one in reads.items()},
            **fields,
        )

    def _costs(
        self, config: ArrayConfig, sample: Sample, names: tuple[str, ...]
    ) -> dict[str, KeptCost]:
        first, second = draw_operands(sample, seed=0)

        def compute() -> dict:
            costs = rival_costs(config, sample.shape, sample.which, first, second, names)
            return {name: float(cost.cycles) for name, cost in costs.items()}

        name = operands_digest(sample, first, second)
        fields = self._kept([name, config.to_dict(), names, self.rival_sources], compute)
        return {name: KeptCost(cycles=cycles) for name, cycles in fields.items()}

    def _kept(self, follows_from: list, compute: Callable[[], dict]) -> dict:
        digest = hashlib.sha256(json.dumps(follows_from).encode()).hexdigest()[:24]
        path = self.folder / f"sample-{digest}.json"
        found = kept_result(path)
        return keep_result(path, compute()) if found is None else found
