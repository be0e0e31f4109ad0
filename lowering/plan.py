"""What a driver decides of a pass: how an array cuts it. It sees shapes and densities only."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math

from gscn.array import ArrayConfig
from gscn.conv import ConvShape, Pass
from gscn.dram import Dram
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.lowering import axes
from gscn.lowering.axes import kernel_geometries
from gscn.lowering.estimates import NEVER, Sizes
from gscn.lowering.grad_plan import GradPlan, grad_parts
from gscn.lowering.kernel_plan import KernelPlan, plan_part
from gscn.lowering.packs import Pack, pack_sizes, packs_of, possible_sets
from gscn.passes import VECTOR

CLASSES_PER_DECADE = 8
"""Classes of densities: a plan is for all tensors of its classes."""
_LEAST_CLASS = -4 * CLASSES_PER_DECADE


@takes_text
@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class PassPlan:
    """How an array does a pass."""

    config: ArrayConfig
    shape: ConvShape
    which: Pass
    parts: tuple[KernelPlan, ...] | tuple[GradPlan, ...]
    """Those of each pack in turn; of a pack one, or more, with operands of their own."""
    packs: tuple[Pack, ...]
    """To which pack of groups each part belongs."""

    @property
    def cycles(self) -> float:
        """Cycles by the closed form."""
        return sum(part.choice.cycles * _passes(part) for part in self.parts)

    @property
    def array_cycles(self) -> float:
        """Cycles by the closed form if DRAM were no limit."""
        return sum(part.choice.alone * _passes(part) for part in self.parts)

    @property
    def dram_reads(self) -> tuple[float, float]:
        """Times that DRAM delivers the first and the second operand, by the closed form.

        Phases of a strided convolution have the output gradient in common, of which each reads all;
        packs have nothing in common.
        """
        shared = own = 0.0
        for part, pack in zip(self.parts, self.packs, strict=True):
            choice, share = part.choice, pack.groups / self.shape.groups
            reads = choice.s_reads * _passes(part), choice.t_reads * _passes(part)
            holds_shared = isinstance(part, GradPlan) and not part.holds_input
            own += share * reads[holds_shared] / self.packs.count(pack)
            shared += share * reads[not holds_shared]
        return (shared, own) if self.which is Pass.WEIGHT_GRAD else (own, shared)

    def __str__(self) -> str:
        """Return the sizes in words."""
        if self.shape.groups == 1:
            return "; ".join(map(_in_words, self.parts))
        found = []
        for packs in self._alike_packs():
            parts = [
                _in_words(part)
                for part, pack in zip(self.parts, self.packs, strict=True)
                if pack == packs[0]
            ]
            sets = f" in {packs[0].sets} sets" if packs[0].sets > 1 else ""
            found.append(
                f"{len(packs)} x {packs[0].groups} groups{sets}, each {' and '.join(parts)}"
            )
        return "; ".join(found)

    def _alike_packs(self) -> list[list[Pack]]:
        """Return packs by how many groups they have."""
        packs = sorted(set(self.packs))
        return [list(alike) for _, alike in itertools.groupby(packs, key=lambda one: one.groups)]


def _in_words(part: KernelPlan | GradPlan) -> str:
    choice = part.choice
    tile = f"{choice.s_real} stationary channels"
    if isinstance(part, GradPlan):
        held = "inputs" if part.holds_input else "output gradients"
        lanes = (VECTOR << choice.t_vectors) >> choice.t_split
        unit = f"{choice.tile_samples} samples"
        if choice.unit_rows:
            unit = f"{choice.unit_rows} rows of a sample"
        return (
            f"{len(part.runs)} x {held} held, {tile} x {lanes} streamed, teams of "
            f"{choice.team}, units of {unit}"
        )
    bands = f", in {part.bands} bands" if part.bands > 1 else ""
    return (
        f"weights held, {tile} x {choice.tile_samples} samples x {choice.tile_rows} "
        f"rows x {choice.tile_cols} columns{bands}"
    )


def _passes(part: KernelPlan | GradPlan) -> int:
    """Return passes of the array."""
    return len(part.runs) if isinstance(part, GradPlan) else 1


def density_class(density: float) -> int:
    """Return the class of a density: eighths of a decade below 1, from 0 down to -32."""
    if density <= 0:
        return _LEAST_CLASS
    return max(_LEAST_CLASS, min(0, round(CLASSES_PER_DECADE * math.log10(density))))


@takes_text
def plan_pass(
    config: ArrayConfig,
    shape: ConvShape,
    which: Pass,
    densities: tuple[float, float],
    *,
    out_bytes: int = 4,
    value_bytes: int = 2,
    level: int = 0,
    dram: Dram | None = None,
    groups_meet: bool = True,
) -> PassPlan:
    """Plan a pass for operands of such densities.

    Parameters
    ----------
    config, shape, which
        The pass.
    densities
        Nonzeros per number of the first and second operand (`ConvShape.operand_shapes`). Only
        their classes count.
    out_bytes, value_bytes
        Bytes of a result and of an operand's number.
    level
        Caution about the nonzeros of stationary strips that an array must hold at a time: at 0 to
        2 they may have somewhat more than their share; at 3, `DENSE`, any number. If strips have
        more, the plan is for another level, not wrong: the array says `WINDOW`.
    dram
        What is behind the ports, so that the plan reads less of it where that is faster; None: it
        is no limit.
    groups_meet
        A weight gradient may multiply output gradients of a group with inputs of another where that
        is faster: such sums, which are written and which nobody reads, raise no flag.

    Raises
    ------
    InputError
        The pass does not fit the array.
    """
    # Wide: the pass, and what its plan depends on; all but the first four have defaults.
    classes = (density_class(densities[0]), density_class(densities[1]))
    how = (level, dram, groups_meet)
    return _plan(config, shape, which, classes, (out_bytes, value_bytes), *how)


@functools.lru_cache(maxsize=4096)
def _plan(
    config: ArrayConfig,
    shape: ConvShape,
    which: Pass,
    classes: tuple[int, int],
    widths: tuple[int, int],
    level: int,
    dram: Dram | None,
    groups_meet: bool,
) -> PassPlan:
    """Plan a pass; by classes, so that alike ones are planned once."""
    first, second = classes
    densities = (10.0 ** (first / CLASSES_PER_DECADE), 10.0 ** (second / CLASSES_PER_DECADE))
    planned = functools.partial(
        _pack_plan, array_sizes(config, dram), shape, which, densities, widths, level, groups_meet
    )
    best, least = None, NEVER
    for size in pack_sizes(shape, which):
        number, rest = divmod(shape.groups, size)
        whole, other = planned(size), planned(rest) if rest else (0.0, 1, ())
        if number * whole[0] + other[0] < least:
            best, least = (size, whole, other), number * whole[0] + other[0]
    if best is None:
        raise InputError(
            f"stationary_depth, directory_depth and acc_depth must hold a tile of the {which} "
            f"of {shape}, not be {config.stationary_depth}, {config.directory_depth} and "
            f"{config.acc_depth}"
        )
    size, (_, sets, parts), (_, rest_sets, rest_parts) = best
    all_parts, all_packs = [], []
    for pack in packs_of(shape, size, sets, rest_sets):
        own = parts if pack.groups == size else rest_parts
        all_parts += own
        all_packs += [pack] * len(own)
    return PassPlan(
        config=config, shape=shape, which=which, parts=tuple(all_parts), packs=tuple(all_packs)
    )


def _pack_plan(
    sizes: Sizes,
    shape: ConvShape,
    which: Pass,
    densities: tuple[float, float],
    widths: tuple[int, int],
    level: int,
    groups_meet: bool,
    size: int,
) -> tuple[float, int, tuple[KernelPlan, ...] | tuple[GradPlan, ...]]:
    """Return cycles, sets and parts of a pack of so many groups; NEVER if it does not fit."""
    best = (NEVER, 1, ())
    for sets in possible_sets(shape, which, size, meet=groups_meet):
        pack = Pack(0, size, sets)
        operands = (pack.shape(shape), pack.densities(which, densities), widths, level)
        if which is Pass.WEIGHT_GRAD:
            parts = grad_parts(sizes, *operands)
        else:
            packed = shape.groups > 1
            parts = _kernel_parts(sizes, operands[0], which, *operands[1:], packed=packed)
        if parts is not None:
            cycles = sum(part.choice.cycles * _passes(part) for part in parts)
            if cycles < best[0]:
                best = (cycles, sets, parts)
    return best


def forget_plans() -> None:
    """Forget all plans, so that each is made anew."""
    _plan.cache_clear()
    axes.forget()


def array_sizes(config: ArrayConfig, dram: Dram | None) -> Sizes:
    """Return what plans need to know of an array, and of a DRAM if there is one that counts."""
    return Sizes(
        config.acc_depth,
        config.stationary_depth,
        config.directory_depth,
        config.chunks_depth,
        config.clusters,
        config.pes,
        config.drain_width,
        config.mem_width // 8 * config.ports,
        dram.bytes_per_cycle if dram else math.inf,
        dram.buffer_bytes if dram else 0,
    )


def _kernel_parts(
    sizes: Sizes,
    shape: ConvShape,
    which: Pass,
    densities: tuple[float, float],
    widths: tuple[int, int],
    level: int,
    *,
    packed: bool,
) -> tuple[KernelPlan, ...] | None:
    """Plan a forward pass or an input gradient: the phases of its results at once, or each."""
    best: tuple[KernelPlan, ...] | None = None
    least = NEVER
    ways = [kernel_geometries(shape, which, sizes.accumulators // VECTOR)]
    if which is Pass.INPUT_GRAD and ways[0][0].y.step > 1:
        ways.append(kernel_geometries(shape, which, 1))
    for geometries in ways:
        parts = [
            plan_part(sizes, shape, geometry, densities, widths, level, packed=packed)
            for geometry in geometries
        ]
        cycles = sum(part.choice.cycles for part in parts)
        if cycles < least:
            best, least = _on_one_stream(parts), cycles
    return best


def _on_one_stream(parts: list[KernelPlan]) -> tuple[KernelPlan, ...]:
    """Return parts in whose streams groups have as many channels: those that fit all windows."""
    if len(parts) == 1:
        return tuple(parts)
    real, vectors = min((part.choice.t_real, part.choice.t_vectors) for part in parts)
    return tuple(
        part._replace(choice=part.choice._replace(t_real=real, t_vectors=vectors)) for part in parts
    )
