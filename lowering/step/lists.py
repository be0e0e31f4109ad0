"""Training steps in memory: lists of records, tensors, rows and states."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from gscn.array import ArrayConfig
from gscn.conv import Pass
from gscn.encode import ENCODE_DESCRIPTOR_BYTES
from gscn.lowering.step.arranging import arranged
from gscn.lowering.step.memory import Memory, bits_content, row_content, state_content
from gscn.lowering.step.plans import is_turned, plan_like
from gscn.lowering.step.records import Records
from gscn.passes import DESCRIPTOR_BYTES
from gscn.step import Convolve, Encode, Step, Stop


class Listing(NamedTuple):
    """A training step in memory."""

    memory: Memory
    addr: int
    """First byte of the list."""
    end: int
    """One past its last."""
    records: dict[str, int]
    """Byte address of each operation's record."""
    stops: dict[int, Stop]
    """By number."""


def listings(
    steps: list[Step], config: ArrayConfig, *, together: bool = False
) -> tuple[np.ndarray, list[Listing]]:
    """Return memory at first, and the lists of steps on the same tensors.

    Parameters
    ----------
    steps
        Their operations; what has the same name is the same.
    config
        The array.
    together
        Lists have what two queues wait for.

    Raises
    ------
    InputError
        Naming what an array cannot do by passes of one descriptor each.
    """
    whole, steps = steps, arranged(steps, config)
    memory = Memory()
    rooms = [memory.place(_room(step)) for step in steps]
    for step in steps:
        _place(step, config, memory)
    image = np.zeros(0, dtype=np.uint8)
    found = []
    for step, addr in zip(steps, rooms, strict=True):
        # Tops are set in records behind them: once to know where those are, once to say so.
        made = Records(step, config, memory, addr, together=together)
        made.run(step.operations)
        again = Records(step, config, memory, addr, together=together)
        again.records = dict(made.records)
        again.run(step.operations)
        content = np.concatenate(again.content)
        found.append((addr, content, again))
    for step, own in zip(whole, steps, strict=True):
        for name, made in _operand_names(step, own):
            memory.strips[name] = memory.strips[made]
    image = np.zeros(memory.end, dtype=np.uint8)
    lists = []
    for addr, content, made in found:
        image[addr : addr + content.size] = content
        lists.append(Listing(memory, addr, addr + content.size, made.records, made.stops))
    for step in steps:
        for name, rows in step.rows.items():
            own = row_content(rows)
            image[memory.rows[name][0] :][: own.size] = own
        for name, state in step.states.items():
            own = state_content(state)
            image[memory.states[name] :][: own.size] = own
        for name, blocks in step.blocks.items():
            own = bits_content(blocks)
            image[memory.parts[name][0] :][: own.size] = own
    return image, lists


def dense_bytes(step: Step, places: Memory) -> int:
    """Return bytes of dense tensors that encode passes read and write, each once a pass."""
    return sum(
        places.dense[name].end - places.dense[name].addr
        for op in step.operations
        if isinstance(op, Encode)
        for name in (
            *(use.name for use in op.tensors if use is not None),
            *(name for part, name in op.results.items() if part in ("dense", "second")),
        )
    )


def _operand_names(step: Step, own: Step) -> Iterator[tuple[str, str]]:
    """Yield the names of operands of a step, and of those that are made in their place."""
    convolutions = (
        [op for op in one.operations if isinstance(op, Convolve)] for one in (step, own)
    )
    for op, other in zip(*convolutions, strict=True):
        yield from ((op.first, other.first), (op.second, other.second))


def _room(step: Step) -> int:
    """Return bytes that are enough for a list."""
    # Besides a pass what it waits for; of a convolution a pass that turns its result round. A
    # weight gradient has at most as many of these as taps, each with a top.
    encode, convolution = DESCRIPTOR_BYTES + ENCODE_DESCRIPTOR_BYTES, 2 * DESCRIPTOR_BYTES
    return sum(
        encode + convolution + (DESCRIPTOR_BYTES + encode + convolution) * (_parts(op) - 1)
        if isinstance(op, Convolve)
        else encode
        for op in step.operations
    )


def _parts(op: Convolve) -> int:
    """Return the most passes that a convolution is done by."""
    return op.shape.r * op.shape.s if op.which is Pass.WEIGHT_GRAD else 1


def _place(step: Step, config: ArrayConfig, memory: Memory) -> None:
    """Give all that has a name, and no place yet, its place."""
    made_by = {op.result: op for op in step.operations if isinstance(op, Convolve)}
    for name, rows in step.rows.items():
        if name not in memory.rows:
            memory.table(name, rows)
    turned = [f"s.turn.{name}" for name in made_by if step.tensors[name].weights]
    for name in (*step.states, *turned):
        if name not in memory.states:
            memory.state(name)
    for name, blocks in step.blocks.items():
        if name not in memory.blocks:
            memory.known_bits(name, blocks)
    for name, tensor in step.tensors.items():
        op = made_by.get(name) if tensor.weights else None
        if name not in memory.dense and (
            op is None
            or is_turned(
                plan_like(config, op.shape, op.which, 4, op.like), by_output=tensor.by_output
            )
        ):
            memory.tensor(name, tensor)


def records_of(step: Step, config: ArrayConfig) -> Records:
    """Return the records of a step in two queues, without memory for what they work on.

    Parameters, and what is raised, as of `listings`. Tops of windows have no address yet.
    """
    (step,) = arranged([step], config)
    memory = Memory()
    addr = memory.place(_room(step))
    _place(step, config, memory)
    made = Records(step, config, memory, addr, together=True)
    made.run(step.operations)
    return made
