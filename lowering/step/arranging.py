"""What of a training step is as the array has it: weights lie as their gradients are made.

A weight gradient whose input is held has input channels for lanes. Weights and momenta that have
them too are updated as they lie; otherwise each gradient would first be turned round. The forward
pass's operand is then the one of two that is transposed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from gscn.array import ArrayConfig
from gscn.conv import Pass
from gscn.errors import InputError
from gscn.lowering.step.plans import is_turned, plan_like
from gscn.step import Convolve, Encode, Operation, Rows, Step, Walk

_OWN_PLACES = {"dense", "second"}
"""Results that lie as the weights do of which they are made."""


def arranged(steps: Iterable[Step], config: ArrayConfig) -> list[Step]:
    """Return steps on the same tensors with weights in the order of their gradients."""
    steps = list(steps)
    names = _by_input(steps, config)
    return [_laid_out(step, names) for step in steps]


def _by_input(steps: list[Step], config: ArrayConfig) -> set[str]:
    """Return weights whose lanes are input channels.

    Tensors of a pass over weights have the same order, so that all must allow it that are joined
    by some pass: bits, masks and sums follow output channels, and so do rows that a host writes.
    """
    together: dict[str, set[str]] = {}
    others: set[str] = set()
    gradients: set[str] = set()
    for step in steps:
        for op in step.operations:
            if isinstance(op, Convolve) and op.which is Pass.WEIGHT_GRAD:
                (gradients if _made_by_input(op, config) else others).add(op.result)
            elif isinstance(op, Encode) and op.walk is Walk.WEIGHTS:
                names = set(_weights_of(op))
                sizes = {step.tensors[name].shape for name in names}
                if op.mask or op.spread or op.results.keys() - _OWN_PLACES or len(sizes) > 1:
                    others |= names
                joined = names.union(*(together.get(name, set()) for name in names))
                together |= dict.fromkeys(joined, joined)
    return {name for name, joined in together.items() if joined & gradients and not joined & others}


def _made_by_input(op: Convolve, config: ArrayConfig) -> bool:
    try:
        part = plan_like(config, op.shape, op.which, 4 if op.wide else 2, op.like)
    except InputError:  # the step is refused where its passes are made
        return False
    return not is_turned(part, by_output=False)


def _weights_of(op: Encode) -> Iterator[str]:
    yield from (use.name for use in op.tensors if use is not None)
    yield from (name for part, name in op.results.items() if part in _OWN_PLACES)


def _laid_out(step: Step, names: set[str]) -> Step:
    """Return a step in which some weights have input channels for lanes, and rows for these."""
    tensors = {
        name: one._replace(by_output=name not in names) if one.weights else one
        for name, one in step.tensors.items()
    }
    rows = dict(step.rows)
    operations: list[Operation] = []
    for op in step.operations:
        if isinstance(op, Encode) and op.walk is Walk.WEIGHTS and names & set(_weights_of(op)):
            channels = op.shape[1]
            own = f"{op.rows.rpartition('.')[0]}.{channels}"
            rows.setdefault(own, Rows(channels, step.rows[op.rows].values))
            operations.append(dataclasses.replace(op, by_output=False, rows=own))
        else:
            operations.append(op)
    used = {op.rows for op in operations if isinstance(op, Encode)}
    return dataclasses.replace(
        step, operations=tuple(operations), tensors=tensors,
        rows={name: one for name, one in rows.items() if name in used},
    )  # fmt: skip
