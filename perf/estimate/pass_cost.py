"""What the cycle model says of one pass of a convolution with given operands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gscn import lowering
from gscn.config import AcceleratorConfig
from gscn.conv import ConvShape, Pass
from gscn.cycles import model
from gscn.cycles.cost import cycle_cost
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.perf.estimate.energy import Accesses, count_accesses
from gscn.program import OutputFormat

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

    @property
    def utilization(self) -> float:
        """Useful products per multiplier and cycle."""
        return self.useful_products / (self.cycles * self.multipliers)


@takes_text
def measure_operands(
    config: AcceleratorConfig,
    shape: ConvShape,
    which: Pass,
    first: np.ndarray,
    second: np.ndarray,
    *,
    plans: int | None = None,
    rivals: Iterable[str] = (),
) -> Measurement:
    """Lower one pass and run the cycle model on it.

    Cycles do not depend on values, so operands are taken as 0 and 1, which keeps sums far from the
    accumulators' limits.

    Parameters
    ----------
    config
        The accelerator.
    shape, which
        The convolution and the pass.
    first, second
        Operands as in `ConvShape.operand_shapes`; only where they are zero matters.
    plans
        Tilings that are tried on the cycle model; None: as many as `lowering.lower` finds
        worth while.
    rivals
        Names of other accelerators (`perf.rivals.RIVALS`) to be given the same operands.

    Raises
    ------
    InputError
        There is no useful product, so that nothing can be concluded; or an unknown rival.
    """
    first, second = ((operand != 0).astype(np.int64) for operand in (first, second))
    out = OutputFormat(width=16, shift=0)
    options = lowering.LoweringOptions(candidates=plans)
    program = lowering.lower(config, shape, which, first, second, out, options, cost=cycle_cost())
    if not program.useful_products:
        raise InputError(
            f"{which} of {shape}: operands must leave at least one product; "
            "raise the densities or the sample's size"
        )
    result = model.simulate(program)
    return Measurement(
        useful_products=program.useful_products,
        cycles=result.cycles,
        multipliers=config.multipliers,
        read_bytes=result.read_beats * config.mem_bytes,
        write_bytes=result.write_beats * config.mem_bytes,
        rivals=rival_costs(config, shape, which, first, second, rivals),
        accesses=count_accesses(program, result),
        causes=result.by_cause(),
    )


@takes_text
def rival_costs(
    config: AcceleratorConfig,
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
