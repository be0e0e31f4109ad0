"""What every model of a rival takes and returns."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from gscn.config import AcceleratorConfig
from gscn.conv import ConvShape, Pass
from gscn.enums import takes_text
from gscn.errors import InputError, raise_problems


@dataclass(frozen=True, kw_only=True, slots=True)
class Resources:
    """What all accelerators of a comparison have alike, at the same clock.

    Raises
    ------
    InputError
        Naming every field out of range.
    """

    multipliers: int
    """At least 1."""
    port_bytes_per_cycle: int
    """Bytes that memory moves in a cycle, in each direction; at least 1."""
    value_bits: int
    """Bits of an operand and of a result in memory; at least 1."""

    def __post_init__(self) -> None:
        """Collect every problem and raise them together."""
        raise_problems(
            "resources",
            [
                f"{field.name} must be at least 1, not {getattr(self, field.name)}"
                for field in dataclasses.fields(self)
                if getattr(self, field.name) < 1
            ],
        )

    @classmethod
    def of(cls, config: AcceleratorConfig) -> Resources:
        """Return those of an accelerator of ours."""
        return cls(
            multipliers=config.multipliers,
            port_bytes_per_cycle=config.port_bytes_per_cycle,
            value_bits=config.format.width,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class RivalCost:
    """Cost of one pass of one layer on a rival. Computing, reading and writing overlap."""

    resources: Resources
    compute_cycles: float
    """Cycles with memory that never makes anything wait."""
    read_bytes: float
    write_bytes: float
    products: int
    """Products that occupy a multiplier, useful or not; empty places of a vector are none."""
    useful_products: int
    """Products of two nonzeros that reach a result."""

    @property
    def read_cycles(self) -> int:
        """Cycles of the memory's read channel."""
        return math.ceil(self.read_bytes / self.resources.port_bytes_per_cycle)

    @property
    def write_cycles(self) -> int:
        """Cycles of the memory's write channel."""
        return math.ceil(self.write_bytes / self.resources.port_bytes_per_cycle)

    @property
    def cycles(self) -> float:
        """The longest of the three."""
        return max(self.compute_cycles, self.read_cycles, self.write_cycles)

    @property
    def bound(self) -> str:
        """What limits the pass: "multipliers", "read port" or "write port"."""
        limits = {
            "multipliers": self.compute_cycles,
            "read port": self.read_cycles,
            "write port": self.write_cycles,
        }
        return max(limits, key=limits.__getitem__)

    @property
    def utilization(self) -> float:
        """Useful products per multiplier and cycle; 0 if there is nothing to do."""
        slots = self.cycles * self.resources.multipliers
        return self.useful_products / slots if slots else 0.0


class Rival(Protocol):
    """A model of an accelerator."""

    name: str
    """Key of `perf.rivals.RIVALS`."""
    title: str
    """For tables."""
    assumptions: tuple[str, ...]
    """What the model takes for granted, in sentences."""
    source: str
    """The publication."""

    def cost(
        self,
        resources: Resources,
        shape: ConvShape,
        which: Pass,
        first: np.ndarray,
        second: np.ndarray,
    ) -> RivalCost:
        """Return the cost of one pass.

        Parameters
        ----------
        resources
            Multipliers, memory and width of values.
        shape, which
            The convolution and the pass.
        first, second
            Operands of any type, of the shapes `shape.operand_shapes(which)`. Only where they are
            nonzero matters.

        Raises
        ------
        InputError
            Operands of another shape, or resources that the rival cannot be built from.
        """
        ...


@takes_text
def check_masks(
    shape: ConvShape, which: Pass, first: np.ndarray, second: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return where the operands are nonzero, as booleans.

    Raises
    ------
    InputError
        Naming the operand, the shape expected and its own.
    """
    operands = (("first", first), ("second", second))
    for (name, operand), expected in zip(operands, shape.operand_shapes(which), strict=True):
        if operand.shape != expected:
            raise InputError(
                f"{name} operand of {which} must have the shape {expected}, not {operand.shape}"
            )
    return first != 0, second != 0


def dense_bytes(size: int, resources: Resources) -> float:
    """Return the bytes of `size` values, zeros included."""
    return size * resources.value_bits / 8


def compressed_bytes(
    mask: np.ndarray, resources: Resources, *, index_bits_each: int = 0, mask_bits_each: int = 0
) -> float:
    """Return the bytes of the nonzeros of an operand and of what says where they are.

    Parameters
    ----------
    mask
        Where the operand is nonzero.
    resources
        Gives the width of a value.
    index_bits_each
        Bits beside each nonzero.
    mask_bits_each
        Bits for every element, nonzero or not.
    """
    nonzeros = int(np.count_nonzero(mask))
    bits = nonzeros * (resources.value_bits + index_bits_each) + mask.size * mask_bits_each
    return bits / 8
