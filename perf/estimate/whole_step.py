"""A training step with everything: the records of its list on two queues, ours and the dense one's.

The compiler of steps (`lowering.step`) says which passes there are and what waits for what; a
convolution takes what the estimate says, an encode pass what the unit's cycle model says
(`perf.estimate.step_costs`), and both share the port (`perf.estimate.step_schedule`). The dense
array has the same unit, and the list that `perf.estimate.dense_step` makes. What the compiler
refuses has no figure: no pass is assumed.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from gscn.array import ArrayConfig
from gscn.conv import Pass
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.formats import BF16
from gscn.lowering.step.compiler import Compiled, compile_step
from gscn.lowering.step.layers import Conv, Training
from gscn.perf.dense_array import dense_cost
from gscn.perf.estimate.dense_step import dense_records, dense_step
from gscn.perf.estimate.modes import analytic
from gscn.perf.estimate.result import NetworkEstimate, PassEstimate, WorkEstimate
from gscn.perf.estimate.step_costs import (
    CONVOLUTION,
    KINDS,
    OF_ZEROS,
    Listed,
    PassCost,
    costs,
    listed,
    step_records,
)
from gscn.perf.estimate.step_schedule import CONTROL, Turns, in_order, schedule
from gscn.perf.workload.work import Work
from gscn.step import Convolve

REFRESH = 10
"""Steps of which one selects thresholds: the period of `golden.methods.swat`."""


class PassTotal(NamedTuple):
    """Passes of one kind in a step."""

    passes: int
    cycles: float
    """Alone."""
    exposed: float
    """In which the array has no pass, and these run."""
    read_bytes: float
    write_bytes: float
    dram_bytes: float


@dataclass(frozen=True, kw_only=True, slots=True)
class MachineStep:
    """A step of one machine."""

    array: PassTotal
    """Convolutions."""
    cycles: float
    """Of the step, in two queues."""
    in_series: float
    """Of the step, one record after the other."""
    kinds: dict[str, PassTotal]
    """Encode passes."""
    exposed: dict[str, float]
    """Cycles in which the array has no pass, by what the encode unit does then."""

    @property
    def exposed_share(self) -> float:
        """Share of the step in which the array has no pass, or a slower one for the other unit."""
        return 1 - self.array.cycles / self.cycles


@dataclass(frozen=True, kw_only=True, slots=True)
class WholeStep:
    """A training step with everything, on our accelerator and on a dense array."""

    ours: MachineStep
    """In which thresholds stand."""
    selecting: MachineStep | None
    """In which they are selected; None: the method selects nothing."""
    dense: MachineStep
    with_operands: float
    """Cycles of ours if passes of all kinds but those of `OF_ZEROS` took no time."""

    @property
    def cycles(self) -> float:
        """Of ours, a mean over steps of which one in `REFRESH` selects."""
        return self._mean(self.ours.cycles, self.selecting and self.selecting.cycles)

    @property
    def selection_cycles(self) -> float:
        """Cycles by which selections make a step longer, the same mean."""
        return self.cycles - self.ours.cycles

    @property
    def exposed_share(self) -> float:
        """Share of the mean step that encode passes expose, everything included."""
        return 1 - self.ours.array.cycles / self.cycles

    @property
    def selection_share(self) -> float:
        """Share of the mean step that selections expose."""
        return self.selection_cycles / self.cycles

    @property
    def speedup(self) -> float:
        """Dense array over ours, with everything."""
        return self.dense.cycles / self.cycles

    @property
    def speedup_with_operands(self) -> float:
        """The dense array's convolutions over ours with what zeros ask for."""
        return self.dense.array.cycles / self.with_operands

    @property
    def limit(self) -> float:
        """Speed-up with everything if our convolutions took no time."""
        mine = sum(one.cycles for one in self.ours.kinds.values())
        return self.dense.cycles / mine

    @staticmethod
    def _mean(kept: float, selecting: float | None) -> float:
        return kept if selecting is None else kept + (selecting - kept) / REFRESH


@takes_text
def whole_step(result: NetworkEstimate, turns: Turns = Turns.EQUAL) -> WholeStep:
    """Return a training step with everything.

    Parameters
    ----------
    result
        The convolutions, with the graph of the network.
    turns
        Who has the port when both units want it.

    Raises
    ------
    InputError
        The graph is not known, or the compiler of steps has no place for something in it.
    """
    machine = _Machine(result, turns)
    ways = [machine.records(how) for how in _training(result)]
    ours, *selecting = (machine.run(found) for found in ways)
    alone = [machine.run(found, OF_ZEROS).cycles for found in ways]
    return WholeStep(
        ours=ours,
        selecting=selecting[0] if selecting else None,
        dense=machine.run(machine.dense_records()),
        with_operands=WholeStep._mean(alone[0], alone[1] if selecting else None),
    )


def _training(result: NetworkEstimate) -> list[Training]:
    """Return how the steps train: one that keeps thresholds, and one that selects them."""
    one = result.sparsification
    prunes, reuses = one.method.prunes, one.method.reuses
    how = Training(
        density=Fraction(1 - one.sparsity).limit_denominator(1000) if prunes else None,
        reuse=(one.difference_density,) * 2 if reuses else None,
        reuses=reuses,
    )
    return [how, dataclasses.replace(how, refresh=True)] if prunes else [how]


class _Machine:
    """What steps of a network cost."""

    def __init__(self, result: NetworkEstimate, turns: Turns) -> None:
        if result.graph is None:
            raise InputError(
                f"a whole step of {result.network.name} must have the graph of what is between "
                f"its layers, of which nothing is known: {result.unknown}"
            )
        self.result, self.turns = result, turns
        self.config = _with_bf16(result.config)
        self.passes = {(one.layer.name, one.which): one for one in result.passes}
        self.names: dict[str, str] = {}

    def records(self, how: Training) -> list[Listed]:
        """Return the records of a step of ours, with what they cost."""
        compiled = compile_step(self.result.graph, how, self.config)
        works = self._works(compiled)
        kept = {
            name: density
            for op, work in works
            for name, density in (
                (op.first, work.work.first_density), (op.second, work.work.second_density),
            )
        }  # fmt: skip
        own = {op.name: _cost(work) for op, work in works}
        return costs(
            step_records(compiled.step, self.config), self.config, lambda op: own[op.name], kept,
            self.result.dram,
        )  # fmt: skip

    def dense_records(self) -> list[Listed]:
        """Return the records of a step of the dense array, with what they cost."""
        compiled = compile_step(self.result.graph, Training(), self.config)
        self.names = self._named(compiled)
        made = dense_records(dense_step(compiled.step), self.config)
        return costs(listed(made), self.config, self._dense_cost, {}, self.result.dram)

    def run(self, found: list[Listed], only: Collection[str] = (CONTROL, *KINDS)) -> MachineStep:
        """Run records in two queues; encode passes of other kinds than `only` take no time."""
        taken = [
            one.queued
            if one.queued.kind in {CONVOLUTION, *only}
            else one.queued._replace(cycles=0.0)
            for one in found
        ]
        made = schedule(taken, self.turns)
        exposed = made.exposed()
        by_kind = {
            kind: [one.cost for one in found if one.queued.kind == kind]
            for kind in (CONVOLUTION, *KINDS)
        }
        array = by_kind.pop(CONVOLUTION)
        return MachineStep(
            array=_total(array, 0.0),
            cycles=made.cycles,
            in_series=in_order(taken).cycles,
            kinds={
                kind: _total(own, exposed.get(kind, 0.0)) for kind, own in by_kind.items() if own
            },
            exposed=exposed,
        )

    def _works(self, compiled: Compiled) -> list[tuple[Convolve, WorkEstimate]]:
        """Return the convolutions of a step, each with what it is expected to cost.

        Those that the estimate lacks, shortcuts without parameters and of recorded steps ReSprop's
        terms of one sample, are a closed form's; and so are packs of groups, which are others than
        those of a pass alone (`lowering.step.shapes`).
        """
        self.names = self._named(compiled)
        found: list[tuple[Convolve, WorkEstimate | Work]] = []
        for op in compiled.step.operations:
            if not isinstance(op, Convolve):
                continue
            estimated = self._estimated(op)
            term = op.like is not None
            known = estimated is not None and term < len(estimated.works)
            if known and op.grouped is None:
                found.append((op, estimated.works[term]))
                continue
            found.append((op, self._missing(op, estimated)))
        missing = list(dict.fromkeys(one for _, one in found if isinstance(one, Work)))
        made = analytic(self.config, missing, self.result.dram)
        return [(op, made[one] if isinstance(one, Work) else one) for op, one in found]

    def _named(self, compiled: Compiled) -> dict[str, str]:
        """Return the estimate's names of the layers of a step.

        Layers whose names the estimate lacks are those of the same shape, in their order.
        """
        fixed = {one.name for one in compiled.layers if isinstance(one, Conv) and one.fixed}
        shapes = {
            op.name.partition(".")[2]: op.grouped or op.shape
            for op in compiled.step.operations
            if isinstance(op, Convolve) and op.which is Pass.FORWARD
        }
        left = {layer.name: layer.shape for layer in self.result.network.layers}
        found = {name: name for name, shape in shapes.items() if left.get(name) == shape}
        left = {name: shape for name, shape in left.items() if name not in found}
        for name, shape in shapes.items():
            if name in found or name in fixed:
                continue
            other = next((one for one, its in left.items() if its == shape), None)
            if other is None:
                raise InputError(f"{name}: a layer of the estimate must have the shape {shape}")
            found[name] = other
            del left[other]
        if left:
            raise InputError(f"the graph must have the layers {', '.join(left)}")
        return found

    def _estimated(self, op: Convolve) -> PassEstimate | None:
        name = self.names.get(op.name.partition(".")[2], "")
        return self.passes.get((name, op.which))

    def _missing(self, op: Convolve, estimated: PassEstimate | None) -> Work:
        shape, first, second = op.shape, 1.0, 1.0
        term = op.like is not None
        if estimated is not None and term < len(estimated.works):
            known = estimated.works[term].work
            first, second = known.first_density, known.second_density
        elif estimated is None:
            # Of a shortcut without parameters each input channel has one weight.
            first = 1 / max(shape.k, shape.c)
        elif op.which is Pass.INPUT_GRAD:
            first = estimated.works[0].work.first_density
        if op.grouped is not None and op.which is not Pass.WEIGHT_GRAD:
            # Between blocks, and between dilated taps, there are zeros.
            places = math.prod(shape.w_shape) * (op.part.count if op.part else 1)
            first *= math.prod(op.grouped.w_shape) / places
        return Work(
            shape=shape, which=op.which, first_density=first, second_density=second,
            precomputed=term,
        )  # fmt: skip

    def _dense_cost(self, op: Convolve) -> PassCost:
        known, dram = self._estimated(op), self.result.dram
        cost = known.dense if known else dense_cost(
            self.config, op.grouped or op.shape, op.which,
            dram_bytes_per_cycle=dram.bytes_per_cycle if dram else None,
        )  # fmt: skip
        port = self.config.port_bytes_per_cycle
        read, write = cost.read_cycles * port, cost.write_cycles * port
        share = 1 / (op.part.count if op.part else 1)
        return PassCost(*(share * one for one in (cost.cycles, read, write, read + write)))


def _cost(work: WorkEstimate) -> PassCost:
    """Return what a convolution costs on the array, DRAM apart."""
    behind = work.dram_read_bytes[work.dram.buffer_bytes] if work.dram else work.read_bytes
    return PassCost(work.array_cycles, work.read_bytes, work.write_bytes, behind + work.write_bytes)


def _total(own: list[PassCost], exposed: float) -> PassTotal:
    return PassTotal(
        passes=len(own),
        cycles=sum(one.cycles for one in own),
        exposed=exposed,
        read_bytes=sum(one.read_bytes for one in own),
        write_bytes=sum(one.write_bytes for one in own),
        dram_bytes=sum(one.dram_bytes for one in own),
    )


def _with_bf16(config: ArrayConfig) -> ArrayConfig:
    """Return an array that has the format of whole steps."""
    names = [name for name in config.float_formats.split(",") if name]
    if BF16.name in names:
        return config
    return config.with_overrides([f"float_formats={','.join([*names, BF16.name])}"])
