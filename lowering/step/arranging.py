"""What of a training step is as the array has it: the order of weights, and operands made once.

A weight gradient whose input is held has input channels for lanes. Weights and momenta that have
them too are updated as they lie; otherwise each gradient would first be turned round. The forward
pass's operand is then the one of two that is transposed.

Both gradients of a layer read the same output gradient. Where they cut it into the same strips it
is made once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from gscn.array import ArrayConfig
from gscn.conv import Pass
from gscn.errors import InputError
from gscn.lowering.step.memory import dense_of
from gscn.lowering.step.order import touched
from gscn.lowering.step.plans import is_turned, operand_walk, plan_like
from gscn.step import Convolve, Encode, Operation, Rows, Step, Walk

_OWN_PLACES = {"dense", "second"}
"""Results that lie as the weights do of which they are made."""


def arranged(steps: Iterable[Step], config: ArrayConfig) -> list[Step]:
    """Return steps on the same tensors: weights in the order of gradients, equal operands once.

    Their convolutions are in the same order, and may have other names of operands.
    """
    steps = list(steps)
    names = _by_input(steps, config)
    steps = [_laid_out(step, names) for step in steps]
    twice = [_equal_operands(step, config) for step in steps]
    common = set.intersection(*(set(one.items()) for one in twice))
    return [_made_once(step, dict(common)) for step in steps]


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
            if isinstance(op, Convolve) and op.part is not None:
                # Parts lie one behind the other where lanes are output channels.
                others |= {op.result} if op.which is Pass.WEIGHT_GRAD else set()
            elif isinstance(op, Convolve) and op.which is Pass.WEIGHT_GRAD:
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


def _equal_operands(step: Step, config: ArrayConfig) -> dict[str, str]:
    """Return passes that make the strips of one before, by its name.

    They may adapt a threshold, which the one before does then in their place.
    """
    users = {
        name: op
        for op in step.operations
        if isinstance(op, Convolve)
        for name in (op.first, op.second)
    }
    found: dict[str, str] = {}
    known: dict[object, tuple[int, Encode]] = {}
    written: dict[str, int] = {}  # by which operation a name was written last
    for number, op in enumerate(step.operations):
        touches = touched(op)
        written |= dict.fromkeys(touches.writes - {getattr(op, "state", "")}, number)
        # Of a part, the state is read before that of the next part is written.
        if not isinstance(op, Encode) or op.operand is None or op.part is not None:
            continue
        fields = {name: value for name, value in op.fields.items() if name != "adapt"}
        try:
            made = _strips(step, op, users[op.name], config)
        except InputError:  # as above
            continue
        key = (op.tensors, op.rows, op.state, op.wide, *map(_items, (fields, *made)))
        at, before = known.get(key, (number, op))
        changed = any(written.get(name, -1) > at for name in touches.reads)
        if before is op or changed or "adapt" in before.fields:
            known[key] = (number, op)
        else:
            found[op.name] = before.name
    return found


def _items(fields: dict[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(fields.items()))


def _strips(
    step: Step, op: Encode, user: Convolve, config: ArrayConfig
) -> tuple[dict[str, int], ...]:
    """Return the walks of an operand's tensors, with the positions of a strip."""
    part = plan_like(config, user.shape, user.which, 4 if user.wide else 2, user.like)
    walks = []
    for use in op.tensors:
        tensor = step.tensors[use.name]
        walk, strip = operand_walk(part, op.operand, dense_of(tensor), by_output=tensor.by_output)
        walks.append({**walk, "strip": strip, "broadcast": use.broadcast})
    return tuple(walks)


def _made_once(step: Step, twice: dict[str, str]) -> Step:
    """Return a step without passes that make what one before has made."""
    gone = {op.name: op for op in step.operations if op.name in twice}
    adapted = {
        twice[name]: {"adapt": op.fields["adapt"]}
        for name, op in gone.items()
        if "adapt" in op.fields
    }
    operations: list[Operation] = []
    for op in step.operations:
        if isinstance(op, Convolve):
            first, second = (twice.get(name, name) for name in (op.first, op.second))
            operations.append(dataclasses.replace(op, first=first, second=second))
        elif op.name in adapted:
            operations.append(dataclasses.replace(op, fields=op.fields | adapted[op.name]))
        elif op.name not in gone:
            operations.append(op)
    return dataclasses.replace(step, operations=tuple(operations))
