"""A training step of a dense array beside the same encode unit.

The array reads a tensor of bf16 in whatever order, and writes results where they belong. So of the
encode passes that make operands only those are left that compute something: weights are rounded
to bf16 once, and an output gradient is combined once, for both gradients; inputs are read where
they lie. No weight gradient is turned round, and no input gradient spread. All that is no operand
is as in the step of the sparse array: normalisation, ReLU, branches, pooling, update.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from gscn.array import ArrayConfig
from gscn.control import Queue
from gscn.errors import InputError
from gscn.lowering.step.memory import Memory
from gscn.lowering.step.order import touched
from gscn.lowering.step.records import Records
from gscn.passes import DESCRIPTOR_BYTES
from gscn.step import STRIPS, Convolve, Encode, Operation, Step, Tensor, Walk

_COPIES = ("first.", "one.")
"""How names of rows begin by which one tensor stays as it is (`lowering.step.names`)."""

_MOST_RECORDS = 4
"""Places in a list that an operation takes, at most, with what it waits for."""


class DenseRecords(Records):
    """Records of a step whose convolutions are not those of a sparse array."""

    def plan(self, op: Convolve) -> None:
        """Return nothing: a pass of a convolution is one record."""

    def convolve(self, op: Convolve) -> None:
        """Add a place for a pass of a convolution."""
        content = np.zeros(DESCRIPTOR_BYTES, dtype=np.uint8)
        self.add([op.name], content, Queue.ARRAY, [touched(op)])


def dense_records(step: Step, config: ArrayConfig) -> DenseRecords:
    """Return the records of a step that `dense_step` made."""
    memory = Memory()
    addr = memory.place(_MOST_RECORDS * DESCRIPTOR_BYTES * len(step.operations))
    for name, rows in step.rows.items():
        memory.table(name, rows)
    for name in step.states:
        memory.state(name)
    for name, blocks in step.blocks.items():
        memory.known_bits(name, blocks)
    for name, tensor in step.tensors.items():
        memory.tensor(name, tensor)
    made = DenseRecords(step, config, memory, addr, together=True)
    made.run(step.operations)
    return made


def dense_step(step: Step) -> Step:
    """Return the step of a dense array.

    Parameters
    ----------
    step
        Of the sparse one, trained without zeroing anything.

    Raises
    ------
    InputError
        Naming an operand that leaves something out.
    """
    tensors = dict(step.tensors)
    read_as: dict[str, str] = {}
    combined: dict[object, str] = {}
    spread = {
        op.tensors[0].name: op.results["dense"]
        for op in step.operations
        if isinstance(op, Encode) and op.spread is not None
    }
    operations: list[Operation] = []
    for op in step.operations:
        if isinstance(op, Convolve):
            operations.append(
                dataclasses.replace(
                    op,
                    first=read_as[op.first],
                    second=read_as[op.second],
                    result=spread.get(op.result, op.result),
                    spread=None,
                )
            )
        elif isinstance(op, Encode) and op.walk is Walk.OPERAND:
            source = tensors[op.tensors[0].name]
            if op.fields:
                raise InputError(f"{op.name}: a dense array must have operands of dense training")
            if len(op.tensors) == 1 and not source.wide and op.rows.startswith(_COPIES):
                read_as[op.results["a"]] = op.tensors[0].name
                continue
            known = combined.get(op.tensors)
            if known is None:
                known = combined[op.tensors] = f"dense.{op.name}"
                tensors[known] = Tensor(source.shape, wide=False, weights=source.weights)
                operations.append(_whole(op, source, known))
            read_as[op.results["a"]] = known
        elif isinstance(op, Encode) and set(STRIPS) & op.results.keys():
            made = dict(op.results)
            read_as |= {made.pop(part): made["dense"] for part in STRIPS if part in made}
            operations.append(dataclasses.replace(op, results=made))
        elif not (isinstance(op, Encode) and op.spread is not None):
            operations.append(op)
    return dataclasses.replace(step, operations=tuple(operations), tensors=tensors)


def _whole(op: Encode, source: Tensor, result: str) -> Encode:
    """Return a pass that writes an operand as a dense tensor."""
    return dataclasses.replace(
        op,
        walk=Walk.WEIGHTS if source.weights else Walk.MAP,
        shape=source.shape,
        operand=None,
        part=None,
        wide=False,
        results={"dense": result},
    )
