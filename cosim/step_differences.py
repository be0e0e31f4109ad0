"""What a training step left in memory beside what the golden step has on tensors."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gscn.array import ArrayConfig
from gscn.encode import ENCODE_STATE
from gscn.formats import BF16
from gscn.golden.oracle.step import GoldenStep
from gscn.lowering.grad_plan import GradPlan
from gscn.lowering.pass_image import _operands
from gscn.lowering.step.host import Host, dense_values, weights_values
from gscn.lowering.step.lists import Listing
from gscn.lowering.step.memory import STATE_BYTES, Memory
from gscn.lowering.step.plans import plan_like
from gscn.step import Convolve, Step

_NOTED = ("kept_a", "nonzeros", "elements", "largest", "sum_top", "dot_top")
_SCALARS = ("gammas", "betas", "thresholds", "velocities")


def step_differences(
    step: Step, listing: Listing, memory: np.ndarray, host: Host, golden: GoldenStep
) -> Iterator[str]:
    """Yield the names of all that differs: the loss, tensors, states and scalars of the host.

    Parameters
    ----------
    step
        The step that both ran.
    listing
        Where it lies.
    memory
        uint8, after the step.
    host
        Its host, after the step.
    golden
        After the step; its host is a `golden.oracle.step_host.GoldenHost`.
    """
    if host.losses[-1:] != golden.host.losses[-1:]:
        yield f"loss {host.losses[-1]!r}, not {golden.host.losses[-1]!r}"
    for name, tensor in step.tensors.items():
        place = listing.memory.dense[name]
        content = memory[place.addr : place.end].view("<u4" if tensor.wide else "<u2")
        wanted = golden.tensors[name]
        values = (weights_values if tensor.weights else dense_values)(place, content)
        if not np.array_equal(values[: len(wanted), : wanted.shape[1]], wanted):
            yield name
    for name in step.states:
        start = listing.memory.states[name]
        got = ENCODE_STATE.unpack(memory[start : start + STATE_BYTES])[0]
        wanted = golden.states[name]
        # Thresholds of selections mean nothing where nothing is selected.
        selects = not name.startswith("sk") or wanted["keep"]
        for field in (*_NOTED, *(["threshold_a"] if selects else [])):
            if got[field] != wanted[field]:
                yield f"{field} of {name}"
    for sort in _SCALARS:
        own, wanted = getattr(host, sort), getattr(golden.host, sort)
        for name in sorted({*own, *wanted}):
            both = name in own and name in wanted
            if not both or not np.array_equal(own[name], wanted[name]):
                yield f"{sort} {name}"
    if not np.array_equal(host.bias, golden.host.bias):
        yield "bias"


def operand_differences(
    config: ArrayConfig, step: Step, places: Memory, memory: np.ndarray, golden: GoldenStep
) -> Iterator[str]:
    """Yield the names of operands that are no strips and tables of a driver.

    Parameters
    ----------
    config
        The array.
    step
        The step that both ran.
    places
        Where everything lies.
    memory, golden
        As of `step_differences`; a driver makes strips of the golden step's operands.
    """
    for op in step.operations:
        if not isinstance(op, Convolve):
            continue
        part = plan_like(config, op.shape, op.which, 4 if op.wide else 2, op.like)
        codes = [golden.strips[name] for name in (op.first, op.second)]
        made = _operands(part, op.shape, codes, BF16)
        names = [op.first, op.second]
        names = names[::-1] if isinstance(part, GradPlan) and part.holds_input else names
        for name, wanted in zip(names, made, strict=True):
            place = places.strips[name]
            table = wanted.table.astype("<u4").reshape(-1).view(np.uint8)
            data = wanted.data.view(np.uint8)[: 2 * wanted.halfwords]
            for start, own in ((place.table, table), (place.data, data)):
                if not np.array_equal(memory[start:][: own.size], own):
                    yield name
