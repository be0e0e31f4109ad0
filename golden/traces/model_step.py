"""Traces a training step of any model, as it is given."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from gscn.errors import InputError
from gscn.golden.methods.conversion import sparsify, unsparsify
from gscn.golden.methods.dst import ThresholdMask
from gscn.golden.methods.layers import TrainingLayer
from gscn.golden.methods.options import Method
from gscn.golden.methods.resprop import WARM_UP_EPOCHS, GradientReuse
from gscn.golden.methods.schedule import begin_iteration
from gscn.golden.methods.swat import TopK
from gscn.golden.methods.watching import class_name, sparse_layers
from gscn.golden.networks.survey import survey
from gscn.golden.traces.recording import StepWriter, not_traced, observing
from gscn.golden.traces.trace import Trace
from gscn.golden.traces.writing import TraceWriter

Batch: TypeAlias = "Tensor | tuple[Any, ...] | Mapping[str, Any]"
"""What a model is called with: one tensor, arguments in their order, or by name."""
DEFAULT_METHOD = "swat"
_WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel)
_COMPILED = "_orig_mod"
"""What `torch.compile` calls the module that it wraps."""


def trace(
    model: nn.Module,
    batch: Batch,
    out: Path | str,
    *,
    method: str | Method | None = None,
    loss: Callable[[Any], Tensor] | None = None,
    before: Sequence[Batch] | None = None,
    layers: Sequence[str] | None = None,
    exclude: str | Sequence[str] = (),
    name: str | None = None,
    seed: int = 0,
    **options: Any,
) -> Trace:
    """Record the operands and results of a training step of a model, as files.

    The model is made sparse, computes the loss of the mini-batch and its gradients, and is left as
    it was: weights, gradients, buffers and modes. No optimiser takes a step. Every call of every
    convolution and linear layer that a `ConvShape` describes is recorded, further calls of a layer
    as `name#2` and so on; the trace names the rest with its share.

    Parameters
    ----------
    model
        Any module, also in `DataParallel` and its kind, or compiled: what is wrapped then computes,
        without the wrapper. In evaluation mode it is put in training mode for the step; in training
        mode its parts keep theirs. A sparsified model is taken as it is, and its method takes the
        step for one of its training.
    batch
        What the model is called with, on its device.
    out
        Directory to make; it appears whole or not at all.
    method, exclude, **options
        As of `golden.sparsify`; by default SWAT. Without for a model that is sparsified. DST's
        thresholds begin at zero, so that a model that was not trained with it is traced dense.
    loss
        Returns a scalar from what the model returns; by default the sum over its floating-point
        tensors of the mean of their squares, for which no labels are needed.
    before
        Mini-batches of the iterations before, on the same weights; of these the method keeps what
        it takes into the next. By default, if it is ReSprop, which needs a gradient to reuse, the
        mini-batch mirrored along the last axis, so that no sample is met twice; else none.
        ReSprop's thresholds in the traced step are those that keep the share aimed at.
    layers
        Names of layers to record; by default all.
    name
        Of the network, for the trace; by default that of the class.
    seed
        Of the method's draws and those of the model, such as dropout.

    Returns
    -------
    Trace
        As written: docs/contract/traces.md. `gscn cosim --trace` runs it, `gscn estimate --trace`
        times it.

    Raises
    ------
    InputError
        `out` exists; the model cannot be made sparse, or lies on several devices or on none; the
        loss is no scalar or depends on no parameter; no layer that could be recorded is called.
    """
    # Long: half of it is what users read of it.
    # Wide: all but three have defaults, and are given by name.
    inner = _unwrapped(model)
    device = _device(inner, batch)
    sparsified = any(isinstance(one, TrainingLayer) for one in inner.modules())
    if sparsified and (method is not None or options or exclude or before):
        raise InputError(
            "trace: method, options, exclude and before must not be given for a model that is "
            "sparsified already"
        )
    devices = [device] if device.type == "cuda" else []
    with (
        TraceWriter(Path(out)) as writer,
        torch.random.fork_rng(devices=devices),
        _restored(inner),
        _uncompiled(inner),
    ):
        torch.manual_seed(seed)
        surveyed = survey(inner, batch)
        if not sparsified:
            # Parameters that frozen layers have are frozen still: only classes change.
            sparsify(inner, method or DEFAULT_METHOD, seed=seed, exclude=exclude, **options)
        try:
            if not sparsified:
                _prepare(inner, batch, before, loss)
            observer = StepWriter(writer)
            with observing(inner, observer, layers) as chosen:
                _step(inner, batch, loss)
            found, sparsity = _described(inner)
            dense = any(part.dense for part in inner.modules() if isinstance(part, GradientReuse))
        finally:
            if not sparsified:
                unsparsify(inner)
        names = observer.written(chosen)
        if not names:
            raise InputError(
                "trace: the model must call a layer in training that can be recorded, not only: "
                + ("; ".join(str(one) for one in surveyed.omitted) or "none")
            )
        return writer.finish(
            names,
            omitted=not_traced(surveyed, names),
            normalised={layer.name: layer.normalised for layer in surveyed.layers},
            network=name or class_name(inner),
            dataset="a batch that was given",
            method=found,
            sparsity=sparsity,
            step=0,
            seed=seed,
            dense_iteration=dense,
        )


def _unwrapped(model: nn.Module) -> nn.Module:
    """Return the module that computes, without what spreads or compiles it."""
    if not isinstance(model, nn.Module):
        raise InputError(f"trace: model must be a torch.nn.Module, not {type(model).__name__}")
    while True:
        if isinstance(model, _WRAPPERS):
            model = model.module
        elif _COMPILED in model._modules:
            model = model._modules[_COMPILED]
        else:
            return model


def _device(model: nn.Module, batch: Batch) -> torch.device:
    """Return where a model and its mini-batch are; refuse several places, or none."""
    places: dict[torch.device, str] = {}
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        places.setdefault(tensor.device, name)
    for tensor in tree_leaves(batch):
        if isinstance(tensor, Tensor):
            places.setdefault(tensor.device, "the batch")
    if len(places) != 1 or any(device.type == "meta" for device in places):
        where = ", ".join(f"{name} on {device}" for device, name in places.items())
        raise InputError(
            "trace: model and batch must be on one device, with values, not "
            + (where or "without any tensor")
        )
    return next(iter(places))


@contextlib.contextmanager
def _restored(model: nn.Module) -> Iterator[None]:
    """Leave a model's modes, gradients and buffers as they were; gradients are not kept."""
    modes = [(module, module.training) for module in model.modules()]
    buffers = [
        (module, key, buffer, None if buffer is None else buffer.clone())
        for module in model.modules()
        for key, buffer in module._buffers.items()
    ]
    gradients = [(parameter, parameter.grad) for parameter in model.parameters()]
    for parameter, _ in gradients:
        parameter.grad = None
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
        with torch.no_grad():
            for module, key, buffer, values in buffers:
                module._buffers[key] = buffer
                if buffer is not None:
                    buffer.copy_(values)
        for parameter, gradient in gradients:
            parameter.grad = gradient


@contextlib.contextmanager
def _uncompiled(model: nn.Module) -> Iterator[None]:
    """Let modules compute as they are written that were compiled for others than the layers."""
    if not any(_COMPILED in one._modules or one._compiled_call_impl for one in model.modules()):
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield


def _prepare(
    model: nn.Module,
    batch: Batch,
    before: Sequence[Batch] | None,
    loss: Callable[[Any], Tensor] | None,
) -> None:
    """Compute the iterations before, so that a sparsified model is ready for the next."""
    reused = [part for part in model.modules() if isinstance(part, GradientReuse)]
    if before is None:
        before = [_mirrored(batch)] if reused else []
    for iteration in range(len(before) + 1):
        begin_iteration(
            model,
            epoch=WARM_UP_EPOCHS,
            # Neither the first nor the last, which ReSprop leaves dense.
            iteration=iteration + 1,
            iterations_per_epoch=len(before) + 3,
        )
        if iteration < len(before):
            _step(model, before[iteration], loss)
    for part in reused:
        part.exact = True


def _mirrored(batch: Batch) -> Batch:
    def mirror(value: Any) -> Any:
        return value.flip(-1) if isinstance(value, Tensor) and value.ndim > 1 else value

    return tree_map(mirror, batch)


def _step(model: nn.Module, batch: Batch, loss: Callable[[Any], Tensor] | None) -> None:
    """Compute the gradients of a mini-batch; each is dropped as soon as it is there."""
    if not model.training:
        model.train()
    if isinstance(batch, Tensor):
        outputs = model(batch)
    else:
        outputs = model(**batch) if isinstance(batch, Mapping) else model(*batch)
    value = (loss or mean_squares)(outputs)
    if not isinstance(value, Tensor) or value.numel() != 1 or not value.requires_grad:
        raise InputError(
            "trace: loss must be a tensor of one element that depends on a parameter that is "
            f"trained, not {_shown(value)}"
        )
    handles = [
        parameter.register_post_accumulate_grad_hook(_drop)
        for parameter in model.parameters()
        if parameter.requires_grad
    ]
    try:
        value.backward()
    finally:
        for handle in handles:
            handle.remove()


def _drop(parameter: Tensor) -> None:
    parameter.grad = None


def _shown(value: object) -> str:
    if not isinstance(value, Tensor):
        return type(value).__name__
    return f"a tensor of shape {tuple(value.shape)}" + ("" if value.requires_grad else ", constant")


def mean_squares(outputs: Any) -> Tensor:
    """Return the sum over the floating-point tensors in outputs of the mean of their squares.

    Raises
    ------
    InputError
        There is none.
    """
    leaves = tree_leaves(outputs)
    # Outputs may be objects that torch does not know.
    held = [vars(leaf) for leaf in leaves if hasattr(leaf, "__dict__")]
    tensors = [
        leaf
        for leaf in (*leaves, *tree_leaves(held))
        if isinstance(leaf, Tensor) and leaf.is_floating_point() and leaf.requires_grad
    ]
    if not tensors:
        raise InputError(
            "trace: the model must return floating-point tensors that depend on its parameters, "
            f"or loss must be given, not {type(outputs).__name__}"
        )
    return sum((one.float().square().mean() for one in tensors), start=torch.zeros(()))


def _described(model: nn.Module) -> tuple[str, float]:
    """Return the method of a sparsified model, and its sparsity."""
    methods: dict[str, float] = {}
    for layer in sparse_layers(model).values():
        for part in layer.modules():
            if isinstance(part, TopK):
                methods["swat"] = float(1 - part.target)
            elif isinstance(part, GradientReuse):
                methods["resprop"] = part.sparsity
            elif isinstance(part, ThresholdMask):
                methods["dst"] = 0.0
    order = [one for one in ("swat", "resprop", "dst") if one in methods]
    return "+".join(order) or "dense", next((methods[one] for one in order), 0.0)
