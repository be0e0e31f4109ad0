"""A network's graph to a training step, or one error that names all that has no place."""

from __future__ import annotations

import math
from typing import NamedTuple

from gscn.array import ArrayConfig
from gscn.errors import InputError
from gscn.graph import Graph, Kind
from gscn.lowering.step.arranging import arranged
from gscn.lowering.step.layers import Layer, Training
from gscn.lowering.step.memory import dense_of
from gscn.lowering.step.network import step_of
from gscn.lowering.step.placing import Refused, place
from gscn.lowering.step.plans import check_room, operand_walk, plan_like
from gscn.step import STRIPS, Convolve, Encode, Operand, Role, Step, Walk


class Compiled(NamedTuple):
    """A network as training steps take it."""

    layers: tuple[Layer, ...]
    step: Step


def compile_step(graph: Graph, how: Training, config: ArrayConfig | None = None) -> Compiled:
    """Return a training step of a network.

    Parameters
    ----------
    graph
        The network, as `golden.networks.tracing.traced` makes it of a model and an example.
    how
        How it trains. Steps of other ways of the same network share their tensors.
    config
        The array; None does not ask whether it can do every pass.

    Raises
    ------
    InputError
        Naming every node that has no place, what it is and why, and saying what stays in torch.
    """
    placed = place(graph)
    if placed.refused:
        raise _error(graph, placed.refused)
    # Without a refusal all that the result depends on is a layer.
    step = step_of(placed.layers, graph.nodes[0].shape, how)
    refused = _beyond(step, config, graph) if config else ()
    if refused:
        raise _error(graph, refused)
    return Compiled(placed.layers, step)


def _beyond(step: Step, config: ArrayConfig, graph: Graph) -> tuple[Refused, ...]:
    """Return nodes of whose passes the array cannot do one, with the first of them."""
    found: dict[str, Refused] = {}
    (step,) = arranged([step], config)
    whats = {node.name: node.what for node in graph.nodes}
    convolutions = [op for op in step.operations if isinstance(op, Convolve)]
    sources = {
        op.results[part]: op.tensors[0].name if op.operand else op.results["dense"]
        for op in step.operations
        if isinstance(op, Encode)
        for part in STRIPS
        if part in op.results
    }
    # Weights between whose taps there are zeros.
    laid_out = {
        op.results["dense"]: math.prod(op.shape[2:])
        for op in step.operations
        if isinstance(op, Encode) and op.walk is Walk.WEIGHTS and "dense" in op.results
    }
    for op in convolutions:
        name = op.name.partition(".")[2]
        if name in found:
            continue
        try:
            part = plan_like(config, op.shape, op.which, 4 if op.wide else 2, op.like)
            weights = sources[op.first]
            if step.tensors[weights].weights:
                taps = math.prod(step.tensors[weights].shape[2:])
                check_room(config, part, laid_out.get(weights, taps))
            for strips, role in ((op.first, Role.FIRST), (op.second, Role.SECOND)):
                tensor = step.tensors[sources[strips]]
                operand = Operand(op.shape, op.which, role)
                operand_walk(part, operand, dense_of(tensor), by_output=tensor.by_output)
        except InputError as error:
            found[name] = Refused(name, whats[name], str(error))
    return tuple(found.values())


def _error(graph: Graph, refused: tuple[Refused, ...]) -> InputError:
    """Return what a user reads of a network that has no place."""
    products = sum(node.kind in (Kind.CONV, Kind.LINEAR) for node in graph.nodes)
    listed = "".join(f"\n  {one}" for one in refused)
    return InputError(
        f"a whole training step has no place for {len(refused)} of the network's "
        f"{len(graph.nodes)} operations:{listed}\n"
        "so the whole step stays in torch, but for the passes of its convolutions and linear "
        f"layers, {products} of them, which golden.sparsify with a backend puts on the array"
    )
