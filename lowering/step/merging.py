"""Operands that the pass makes which makes their map: one pass in place of up to three.

The map of a layer is read whole, once for the forward pass and once for the weight gradient, if the
convolution behind it has no stride. Then strips have the values of the map in its order, and an
encode pass writes two kinds of them beside the dense result: A by the threshold of the state, B,
whose threshold is never set, whole.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from gscn.conv import Pass
from gscn.encode import Thresholds
from gscn.errors import InputError
from gscn.lowering.step.order import touched
from gscn.step import STRIPS, Convolve, Encode, Operand, Operation, Role, Step, Top, Use, Walk

_COPIES = "first."
"""How names of rows begin by which one tensor stays as it is (`lowering.step.names`)."""


class _Merged(NamedTuple):
    """A pass that makes a map, and those of its operands."""

    maker: Encode
    operands: list[Encode]


def merged(step: Step) -> Step:
    """Return a step whose maps are written with those operands that are the whole map."""
    found = {one.maker.name: one for one in _found(step)}
    gone = {op.name for one in found.values() for op in one.operands}
    named: dict[str, str] = {}
    for one in found.values():
        own = one.operands[0].state
        named |= dict.fromkeys([one.maker.state, *(op.state for op in one.operands)], own)
    operations: list[Operation] = []
    for op in step.operations:
        if op.name in found:
            operations.append(_with_strips(found[op.name]))
        elif isinstance(op, Top):
            states = tuple(named.get(name, name) for name in op.states)
            operations.append(dataclasses.replace(op, states=states))
        elif op.name not in gone:
            operations.append(op)
    states = {name: one for name, one in step.states.items() if named.get(name, name) == name}
    return dataclasses.replace(step, operations=tuple(operations), states=states)


def operand_of(step: Step, name: str) -> tuple[Operand, Convolve]:
    """Return what strips are an operand of, and the convolution that reads them.

    Raises
    ------
    InputError
        None does.
    """
    op = step.users.get(name)
    if op is None:
        raise InputError(f"strips {name} must be an operand of a convolution")
    role = Role.FIRST if op.first == name else Role.SECOND
    return Operand(op.shape, op.which, role), op


def _found(step: Step) -> list[_Merged]:
    found: list[_Merged] = []
    writers: dict[str, list[int]] = {}
    readers: dict[str, list[int]] = {}
    for number, op in enumerate(step.operations):
        for name in touched(op).writes:
            writers.setdefault(name, []).append(number)
        if isinstance(op, Encode) and op.operand is not None and len(op.tensors) == 1:
            readers.setdefault(op.tensors[0].name, []).append(number)
    for number, op in enumerate(step.operations):
        if isinstance(op, Encode) and _makes_a_map(op):
            # What chooses a threshold reads the map, so that its operand is made behind that.
            whole: dict[int, Encode] = {}
            for later in readers.get(op.results["dense"], []):
                other = step.operations[later]
                if later <= number or not _is_whole(step, other, op.results["dense"]):
                    continue
                between = range(number + 1, later)
                if not any(at in between and at not in whole for at in writers[other.state]):
                    whole[later] = other
            plain = [one for one in whole.values() if not one.fields][: len(STRIPS)]
            chosen = [one for one in whole.values() if one.fields][:1]
            # A has the threshold; without one the weight gradient's, whose state is looked at.
            operands = [*chosen, *plain[::-1]][: len(STRIPS)]
            if operands:
                found.append(_Merged(op, operands))
    return found


def _makes_a_map(op: Encode) -> bool:
    plain = op.walk is Walk.MAP and op.spread is None and not op.wide
    return plain and "dense" in op.results and not {"reduce", "thresholds"} & op.fields.keys()


def _is_whole(step: Step, op: Operation, name: str) -> bool:
    """Say whether a pass makes an operand of all values of a map in their order, as they are."""
    if not isinstance(op, Encode) or op.operand is None or op.tensors != (Use(name),):
        return False
    shape, which, role = op.operand
    reads = which is not Pass.INPUT_GRAD and role is Role.SECOND
    if not reads or shape.stride != (1, 1) or shape.dilation != (1, 1):
        return False
    copies = op.rows.startswith(_COPIES) and shape.x_shape == step.tensors[name].shape
    return copies and op.fields in ({}, {"thresholds": int(Thresholds.STATE)})


def _with_strips(one: _Merged) -> Encode:
    maker, operands = one
    results = {part: op.results["a"] for part, op in zip(STRIPS, operands, strict=False)}
    return dataclasses.replace(
        maker, state=operands[0].state, fields=maker.fields | operands[0].fields,
        results=maker.results | results,
    )  # fmt: skip
