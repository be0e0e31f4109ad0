"""What every model of a rival takes and returns."""

from __future__ import annotations

import abc
import dataclasses
import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gscn.array import ArrayConfig
from gscn.conv import ConvShape, Pass
from gscn.conv_groups import group_operands
from gscn.enums import takes_text
from gscn.errors import InputError, raise_problems
from gscn.products import count_useful_products


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
    def of(cls, config: ArrayConfig) -> Resources:
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


@takes_text
@dataclass(frozen=True, kw_only=True)
class Task:
    """A pass that a rival is given: where its operands are nonzero, and what it has to do it with.

    Raises
    ------
    InputError
        An operand has another shape than the pass.
    """

    resources: Resources
    shape: ConvShape
    which: Pass
    first: np.ndarray
    """Boolean, as `second`; of the shapes `shape.operand_shapes(which)`."""
    second: np.ndarray

    def __post_init__(self) -> None:
        """Name the operand, the shape expected and its own."""
        operands = (("first", self.first), ("second", self.second))
        expected = self.shape.operand_shapes(self.which)
        for (name, operand), size in zip(operands, expected, strict=True):
            if operand.shape != size:
                raise InputError(
                    f"{name} operand of {self.which} must have the shape {size}, "
                    f"not {operand.shape}"
                )

    def by_group(self) -> Iterator[Task]:
        """Yield the pass of each group."""
        for first, second in group_operands(self.shape, self.which, self.first, self.second):
            yield dataclasses.replace(self, shape=self.shape.group, first=first, second=second)

    @functools.cached_property
    def useful_products(self) -> int:
        """Products of two nonzeros that reach a result."""
        return count_useful_products(self.shape, self.which, self.first, self.second)


class Rival(abc.ABC):
    """A model of an accelerator: each says how it computes and how operands lie in memory."""

    __slots__ = ()
    name: str
    """Key of `perf.rivals.RIVALS`."""
    title: str
    """For tables."""
    assumptions: tuple[str, ...]
    """What the model takes for granted, in sentences."""
    source: str
    """The publication."""
    takes_groups: ClassVar[bool] = False
    """Whether it computes groups of a convolution together; others compute one after the other."""

    @takes_text
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
        task = Task(
            resources=resources, shape=shape, which=which, first=first != 0, second=second != 0
        )
        tasks = [task] if self.takes_groups else task.by_group()
        costs = [self.compute(one) for one in tasks]
        operands = (task.first, task.second)
        return RivalCost(
            resources=resources,
            compute_cycles=sum(cycles for cycles, _ in costs),
            read_bytes=sum(self.stored_bytes(mask, resources) for mask in operands),
            write_bytes=dense_bytes(math.prod(shape.result_shape(which)), resources),
            products=sum(products for _, products in costs),
            useful_products=task.useful_products,
        )

    @abc.abstractmethod
    def compute(self, task: Task) -> tuple[float, int]:
        """Return the cycles with memory that never makes anything wait, and products executed.

        The pass has one group unless the rival `takes_groups`.
        """

    def stored_bytes(self, mask: np.ndarray, resources: Resources) -> float:
        """Return the bytes of an operand in memory: by default nonzeros, and a bit per element."""
        return compressed_bytes(mask, resources, mask_bits_each=1)


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
