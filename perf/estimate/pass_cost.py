"""What the cycle model says of one pass of a convolution with given operands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gscn.array import ArrayConfig
from gscn.conv import ConvShape, Pass
from gscn.cycles.passes import simulate_passes
from gscn.dram import Dram
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.lowering.pass_image import lower_pass
from gscn.outputs import OutputFormat
from gscn.perf.estimate.buffer import Reads, dram_reads
from gscn.perf.estimate.energy import Accesses, count_accesses
from gscn.records import MOST_SHIFT

RivalCosts = Mapping[str, Any]
"""Costs of other accelerators on the same operands, by name: `perf.rivals.RivalCost`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """What the cycle model says of a convolution."""

    useful_products: int
    """Products of two nonzeros that reach an output."""
    cycles: int
    multipliers: int
    read_bytes: int = 0
    """Bytes read through all memory ports; `write_bytes` likewise."""
    write_bytes: int = 0
    rivals: RivalCosts = field(default_factory=dict)
    accesses: Accesses | None = None
    """What the hardware does, for `perf.estimate.energy`."""
    causes: Mapping[str, int] = field(default_factory=dict)
    """PE-cycles by cause (`gscn.counters`)."""
    operand_bytes: int = 0
    """Of operands and tables in memory."""
    dram_reads: Mapping[int, Reads] = field(default_factory=dict)
    """Bytes that DRAM delivers, by the capacity of a buffer (`perf.estimate.buffer.CAPACITIES`)."""

    @property
    def utilization(self) -> float:
        """Useful products per multiplier and cycle."""
        return self.useful_products / (self.cycles * self.multipliers)


@takes_text
def measure_operands(
    config: ArrayConfig,
    shape: ConvShape,
    which: Pass,
    first: np.ndarray,
    second: np.ndarray,
    *,
    rivals: Iterable[str] = (),
    dram: Dram | None = None,
    behind: bool = False,
) -> Measurement:
    """Lower one pass and run the cycle model on it.

    Cycles do not depend on values, so nonzeros are taken from 1 to 3, which keeps sums far from the
    accumulators' limits; at random, so that operands, and packs and phases of one, lie apart in
    memory even if their nonzeros are at the same places.

    Parameters
    ----------
    config
        The accelerator.
    shape, which
        The convolution and the pass.
    first, second
        Operands as in `ConvShape.operand_shapes`; only where they are zero matters.
    rivals
        Names of other accelerators (`perf.rivals.RIVALS`) to be given the same operands.
    dram
        Of which the driver knows; memory has no such limit.
    behind
        Count what that DRAM delivers, in a run with its limit.

    Raises
    ------
    InputError
        There is no useful product, so that nothing can be concluded; the pass does not fit the
        array; or an unknown rival.
    """
    rng = np.random.default_rng(0)
    first, second = (
        (rng.integers(1, 4, operand.shape, np.int8) * (operand != 0)).astype(np.int64)
        for operand in (first, second)
    )
    # Shifted so far that no sum is beyond 16 bits.
    out = OutputFormat(width=16, shift=MOST_SHIFT)
    image = lower_pass(config, shape, which, first, second, out, dram=dram)
    if not image.useful_products:
        raise InputError(
            f"{which} of {shape}: operands must leave at least one product; "
            "raise the densities or the sample's size"
        )
    listed = (image.image, image.descriptors_addr, image.descriptor_count, image.memory_bytes)
    result = simulate_passes(config, *listed, bursts=True)
    delivered = dram_reads(image, result.bursts)
    if dram is not None and behind:
        slowed = simulate_passes(config, *listed, bursts=True, dram=dram)
        delivered |= dram_reads(image, slowed.bursts, (dram.buffer_bytes,))
    return Measurement(
        useful_products=image.useful_products,
        cycles=result.cycles,
        multipliers=config.multipliers,
        read_bytes=result.read_beats * config.mem_bytes,
        write_bytes=result.write_beats * config.mem_bytes,
        rivals=rival_costs(config, shape, which, first, second, rivals),
        accesses=count_accesses(image, result),
        causes=result.by_cause(),
        operand_bytes=image.operand_bytes,
        dram_reads=delivered,
    )


@takes_text
def rival_costs(
    config: ArrayConfig,
    shape: ConvShape,
    which: Pass,
    first: np.ndarray,
    second: np.ndarray,
    names: Iterable[str],
) -> RivalCosts:
    """Return what other accelerators of the same size take for the same operands.

    Raises
    ------
    InputError
        A name that `perf.rivals.RIVALS` lacks.
    """
    names = tuple(names)
    if not names:
        return {}
    from gscn.perf.rivals import RIVALS, Resources

    unknown = [name for name in names if name not in RIVALS]
    if unknown:
        raise InputError(f"rivals must be of {', '.join(RIVALS)}, not {', '.join(unknown)}")
    resources = Resources(
        multipliers=config.multipliers,
        port_bytes_per_cycle=config.port_bytes_per_cycle,
        value_bits=config.format.width,
    )
    return {name: RIVALS[name].cost(resources, shape, which, first, second) for name in names}
