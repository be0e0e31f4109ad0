"""Registers, clock and control of PEs: energies as measured at gates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class PeLogic:
    """What the cells of PEs take beside multiplying and adding, in both together.

    Implements: the coefficients of docs/results/gate-energy.md, measured on the netlists of a PE
    of `small` and of a dense PE in cells of 180 nm, in units of a multiplication of 16 bits and an
    addition of 48 of the same cells.
    Differs: they are taken to be the same in other technologies, number formats and sizes.
    """

    product: float
    """Walk, accumulators and registers, for each product."""
    lookup: float
    """Look-up, the queue of words and that of what they find, for each look-up."""
    clock: float
    """Of all flip-flops and the gates in it, for each product; what passes without one is shared
    out."""
    dense_product: float
    """Registers of a dense PE, for each product."""
    dense_clock: float
    """Of its flip-flops."""


MEASURED_LOGIC = PeLogic(
    product=0.444, lookup=0.379, clock=0.803, dense_product=0.094, dense_clock=0.150
)
"""With gates in the clock for enables."""
_BITS = 16, 48
"""Of operands and sums of the PEs that were measured."""


def unit_pj(multiply_pj: Callable[[int], float], add_pj: Callable[[int], float]) -> float:
    """Return the unit of `PeLogic`, picojoules, from a technology's energies by bits."""
    operand, total = _BITS
    return multiply_pj(operand) + add_pj(total)
