"""Records the passes that a network computes, and traces a training step."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from gscn.conv import ConvShape, Pass
from gscn.errors import InputError
from gscn.golden.methods.layers import TrainingConv2d, attached_to, conv_shape
from gscn.golden.methods.passes import PassRecord
from gscn.golden.networks.survey import Survey
from gscn.golden.omitted import Omitted
from gscn.golden.traces.arrays import LayerTrace, PassTrace
from gscn.golden.traces.trace import Trace
from gscn.golden.traces.writing import TraceWriter, refuse_existing
from gscn.golden.training.converted_network import conv_layers
from gscn.golden.training.training import Trainer

logger = logging.getLogger(__name__)


@contextmanager
def recording(
    network: nn.Module, layers: Sequence[str] | None = None
) -> Iterator[dict[str, list[PassTrace]]]:
    """Collect copies of the passes that the chosen layers compute inside the context.

    Parameters
    ----------
    network
        A converted network.
    layers
        Names as in `golden.training.converted_network.conv_layers`; by default all.

    Yields
    ------
    dict
        Passes by layer, in the network's order; those of a layer as they were computed.

    Raises
    ------
    InputError
        A name is not that of a convolution of the network.
    """
    traced: dict[str, list[PassTrace]] = {}

    def keep(name: str, record: PassRecord) -> None:
        traced[name].append(_pass_trace(record, copied=True))

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
        Names as in `golden.training.converted_network.conv_layers`; by default all.

    Yields
    ------
    list of str
        Names of the chosen layers, in the network's order.

    Raises
    ------
    InputError
        A name is not that of a convolution of the network.
    """
    known = conv_layers(network)
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


def _pass_trace(record: PassRecord, *, copied: bool) -> PassTrace:
    def array(tensor: Tensor) -> np.ndarray:
        values = tensor.detach().cpu().float().contiguous()
        return (values.clone() if copied else values).numpy()

    return PassTrace(
        which=record.which,
        first=array(record.first),
        second=array(record.second),
        result=array(record.result),
        precomputed=None if record.precomputed is None else array(record.precomputed),
    )


def layer_trace(name: str, conv: TrainingConv2d, passes: Sequence[PassTrace]) -> LayerTrace:
    """Return the passes of one step of a layer together.

    Parameters
    ----------
    name
        The layer's.
    conv
        The layer, for its geometry.
    passes
        What `recording` collected in one step.

    Raises
    ------
    InputError
        No forward pass, or one pass more than once.
    """
    by_pass = {one.which: one for one in passes}
    if Pass.FORWARD not in by_pass or len(by_pass) != len(passes):
        raise InputError(
            f"layer {name} must compute each pass once in a traced step, not "
            f"{', '.join(one.which for one in passes) or 'none'}"
        )
    shape = conv_shape(conv, by_pass[Pass.FORWARD].second.shape)
    return LayerTrace(name=name, shape=shape, passes=by_pass)


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
        Convolutions to trace; by default all.

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
    convs = conv_layers(trainer.network)
    shapes: dict[str, ConvShape] = {}
    with TraceWriter(out) as writer:

        def write(name: str, record: PassRecord) -> None:
            if record.which is Pass.FORWARD:
                shapes[name] = conv_shape(convs[name], tuple(record.second.shape))
            writer.add(name, shapes[name], _pass_trace(record, copied=False))

        with observing(trainer.network, write, layers) as names:
            progress = trainer.step()
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
