"""Records the passes that a network computes, and traces a training step."""

from __future__ import annotations

import hashlib
import logging
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gscn.conv import ConvShape, Pass
from gscn.errors import InputError
from gscn.golden.methods.as_convolution import as_convolution
from gscn.golden.methods.layers import attached_to
from gscn.golden.methods.passes import PassRecord
from gscn.golden.methods.watching import sparse_layers
from gscn.golden.networks.survey import Survey, call_name
from gscn.golden.omitted import Omitted
from gscn.golden.traces.arrays import LayerTrace, PassTrace
from gscn.golden.traces.trace import Trace
from gscn.golden.traces.writing import TraceWriter, refuse_existing
from gscn.golden.training.training import Trainer

logger = logging.getLogger(__name__)

_NO_TASK = -1
"""Of the autograd engine, while it computes no gradients."""


@contextmanager
def recording(
    network: nn.Module, layers: Sequence[str] | None = None
) -> Iterator[dict[str, list[tuple[ConvShape, PassTrace]]]]:
    """Collect copies of the passes that the chosen layers compute inside the context.

    Parameters
    ----------
    network
        A converted network.
    layers
        Names of converted layers; by default all.

    Yields
    ------
    dict
        Passes by layer, in the network's order, each with the convolution that it is of; those of
        a layer as they were computed.

    Raises
    ------
    InputError
        A name is not that of a converted layer, or there is none.
    """
    traced: dict[str, list[tuple[ConvShape, PassTrace]]] = {}

    def keep(name: str, record: PassRecord) -> None:
        shown = _recorded(record, copied=True)
        if shown is not None:
            traced[name].append(shown[:2])

    with observing(network, keep, layers) as names:
        traced.update((name, []) for name in names)
        yield traced


@contextmanager
def observing(
    network: nn.Module,
    observer: Callable[[str, PassRecord], None],
    layers: Sequence[str] | None = None,
) -> Iterator[list[str]]:
    """Show an observer the passes that the chosen layers compute inside the context.

    Parameters
    ----------
    network
        A converted network.
    observer
        Called with the layer's name and the live record of each pass.
    layers
        Names of converted layers; by default all.

    Yields
    ------
    list of str
        Names of the chosen layers, in the network's order.

    Raises
    ------
    InputError
        A name is not that of a converted layer, or there is none.
    """
    known = sparse_layers(network)
    for name in layers or ():
        if name not in known:
            raise InputError(f"layer must be one of {', '.join(known)}, not {name!r}")
    chosen = [name for name in known if layers is None or name in layers]
    try:
        for name in chosen:
            attached_to(known[name]).observer = lambda record, name=name: observer(name, record)
        yield chosen
    finally:
        for name in chosen:
            attached_to(known[name]).observer = None


def _recorded(record: PassRecord, *, copied: bool) -> tuple[ConvShape, PassTrace, bool] | None:
    """Return the shape of a pass, float32 arrays, copied or not, and whether it is transposed.

    None is returned of what is no `ConvShape`.
    """
    try:
        shape, record = as_convolution(record)
    except InputError:
        return None

    def array(tensor: Tensor) -> np.ndarray:
        values = tensor.detach().cpu().float().contiguous()
        return (values.clone() if copied else values).numpy()

    one = PassTrace(
        which=record.which,
        first=array(record.first),
        second=array(record.second),
        result=array(record.result),
        precomputed=None if record.precomputed is None else array(record.precomputed),
    )
    return shape, one, record.geometry.transposed


def layer_trace(name: str, passes: Sequence[tuple[ConvShape, PassTrace]]) -> LayerTrace:
    """Return the passes of one step of a layer together.

    Parameters
    ----------
    name
        The layer's.
    passes
        What `recording` collected in one step.

    Raises
    ------
    InputError
        No forward pass, or one pass more than once.
    """
    by_pass = {one.which: one for _, one in passes}
    if Pass.FORWARD not in by_pass or len(by_pass) != len(passes):
        raise InputError(
            f"layer {name} must compute each pass once in a traced step, not "
            f"{', '.join(one.which for _, one in passes) or 'none'}"
        )
    return LayerTrace(name=name, shape=passes[0][0], passes=by_pass)


def not_traced(surveyed: Survey, names: Collection[str]) -> tuple[Omitted, ...]:
    """Return what a network computes in none of the traced layers, with its share.

    Parameters
    ----------
    surveyed
        What the network computes.
    names
        Of the traced layers.
    """
    layers = tuple(
        Omitted(
            name=layer.name,
            kind="fully connected layer" if layer.linear else "convolution that is not traced",
            macs=layer.shape.dense_macs,
            share=layer.shape.dense_macs / surveyed.macs,
        )
        for layer in surveyed.layers
        if layer.name not in names
    )
    return (*layers, *surveyed.omitted)


class StepWriter:
    """Observes a training step, and writes every pass under the name of the call it belongs to.

    The first call of a layer has the layer's name, further ones `name#2` and so on, as in
    `golden.networks.survey`. What is computed again for the backward pass, as checkpointing does,
    is not written again.

    Parameters
    ----------
    writer
        Takes the passes.
    """

    def __init__(self, writer: TraceWriter) -> None:
        self._writer = writer
        self._calls: dict[str, _Calls] = {}

    def __call__(self, name: str, record: PassRecord) -> None:
        """Write a pass of a layer, unless it is a repetition, or no convolution."""
        shown = _recorded(record, copied=False)
        if shown is None:
            return
        calls = self._calls.setdefault(name, _Calls())
        if record.which is not Pass.FORWARD:
            number = calls.numbers[record.call]
        elif torch._C._current_graph_task_id() != _NO_TASK:
            calls.repeat(record)
            return
        else:
            number = calls.add(record)
        shape, one, transposed = shown
        self._writer.add(call_name(name, number), shape, one, transposed=transposed)

    def written(self, names: Iterable[str]) -> list[str]:
        """Return the names of calls written, of these layers and in their order."""
        return [
            call_name(name, number)
            for name in names
            if name in self._calls
            for number in range(1, self._calls[name].count + 1)
        ]


class _Calls:
    """The calls of a layer in a step, numbered from 1."""

    def __init__(self) -> None:
        self.count = 0
        # A layer sees by its calls' being forgotten that no gradients will be asked for.
        self.numbers: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._by_inputs: dict[bytes, list[int]] = {}

    def add(self, record: PassRecord) -> int:
        """Give a call a number, by its forward pass, and return it."""
        self.count += 1
        self.numbers[record.call] = self.count
        self._by_inputs.setdefault(_digest(record.second), []).append(self.count)
        return self.count

    def repeat(self, record: PassRecord) -> None:
        """Take note which call a forward pass repeats, whose gradients may be asked of it."""
        numbers = [1] if self.count == 1 else self._by_inputs.get(_digest(record.second))
        if numbers is None:
            raise InputError(
                "a layer that is called several times and computed again for its gradients must "
                "have the inputs again that it had"
            )
        # Calls of equal inputs are repeated in the order of gradients, the last one first.
        self.numbers[record.call] = numbers[-1] if len(numbers) == 1 else numbers.pop()


def _digest(tensor: Tensor) -> bytes:
    values = tensor.detach().cpu().contiguous().view(torch.uint8).numpy()
    return hashlib.blake2b(values, digest_size=16).digest()


def trace_step(trainer: Trainer, out: Path, layers: Sequence[str] | None = None) -> Trace:
    """Train for one iteration and write its trace, each pass as soon as it is computed.

    Beyond what training needs, memory holds a chunk (`golden.traces.writing.PIECE_BYTES`) and,
    where tensors are not float32 on the CPU, copies of a pass.

    Parameters
    ----------
    trainer
        Advanced by one iteration.
    out
        Directory to make; it appears whole or not at all.
    layers
        Convolutions and linear layers to trace; by default all.

    Returns
    -------
    Trace
        The trace as written.

    Raises
    ------
    InputError
        `out` exists, a layer is unknown, or the iteration fails.
    """
    out = Path(out)
    refuse_existing(out)
    recipe = trainer.recipe
    step = trainer.iteration
    with TraceWriter(out) as writer:
        write = StepWriter(writer)
        with observing(trainer.network, write, layers) as chosen:
            progress = trainer.step()
        names = write.written(chosen)
        if progress.dense_iteration and "resprop" in recipe.method:
            logger.warning(
                "iteration %d is the first or last of its epoch: its output gradients are dense",
                step,
            )
        surveyed = trainer.survey()
        return writer.finish(
            names,
            omitted=not_traced(surveyed, names),
            normalised={layer.name: layer.normalised for layer in surveyed.layers},
            network=recipe.network,
            dataset=trainer.dataset.name,
            method=recipe.method,
            # Nothing is aimed at by methods that do not have the option.
            sparsity=recipe.sparsity or 0.0,
            step=step,
            seed=recipe.seed,
            dense_iteration=progress.dense_iteration,
        )
