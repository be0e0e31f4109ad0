"""Conversion of any model to a sparse-training method, in place, and back."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvTransposeNd
from torch.nn.parameter import UninitializedParameter
from torch.nn.utils import parametrize

from gscn.errors import InputError, raise_problems
from gscn.golden.methods.attached import NAME, Attached
from gscn.golden.methods.backends import BackendChoice, backend_problems, place
from gscn.golden.methods.by_weight import may_use_weights
from gscn.golden.methods.coverage import unreached
from gscn.golden.methods.dst import ThresholdMask
from gscn.golden.methods.layers import (
    ByWeight,
    TrainingLayer,
    attached_to,
    convert_class,
    convert_module,
    restore_class,
    runs_as_it_is,
    training_class,
    weight_geometry,
)
from gscn.golden.methods.options import Dense, Method, plain_number, resolve
from gscn.golden.methods.parts import method_parts
from gscn.golden.methods.resprop import GradientReuse
from gscn.golden.methods.swat import TopK
from gscn.golden.methods.watching import SparsityWarning, class_name, sparse_layers, unwatch, watch
from gscn.golden.methods.weights import weight_name, weight_of

_CONVERTED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, _ConvTransposeNd, nn.Linear)
Model = TypeVar("Model", bound=nn.Module)


def sparsify(
    model: Model,
    method: str | Method = "swat",
    *,
    exclude: str | Sequence[str] = (),
    seed: int = 0,
    backend: BackendChoice | Mapping[str, BackendChoice] | None = None,
    **options: Any,
) -> Model:
    """Turn the convolutions and linear layers of a model into those of a sparse-training method.

    Layers stay the objects that they are: parameters, their names, hooks, devices, types and modes
    are kept, and optimisers made before remain valid (DST adds parameters: make the optimiser
    after). What a layer gets is in one module of it, named "gscn". The projection of queries, keys
    and values of an `nn.MultiheadAttention` is a linear layer with the name of the attention. First
    and last layers are meant in order of definition. A `golden.SparsityWarning` says which weights
    stay dense because they are no layer's, and, when the model first runs, which are used otherwise
    than by torch's function for their layer.

    Parameters
    ----------
    model
        Any module, changed in place.
    method
        Name of a method, "dense", "swat", "resprop", "swat+resprop" or "dst", or its options:
        `Dense`, `SWAT`, `ReSprop`, `SWATReSprop` or `DST`.
    exclude
        Name, or names, of modules that are left alone with all that is in them.
    seed
        Seed of ReSprop's draws, at least 0; each layer has a generator of its own.
    backend
        Who calculates the layers: a name of `golden.methods.backends.BACKENDS` or a backend, for
        all of them or by the names of layers; by default torch.
    **options
        Fields of the method's options, where it is given by name: `sparsity=0.9`.

    Returns
    -------
    torch.nn.Module
        The same model.

    Raises
    ------
    InputError
        Unknown method or option, value out of range, layer that is not supported, or no layer to
        convert; all problems at once, with the names of layers. The model is then unchanged.
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"sparsify: model must be a torch.nn.Module, not {type(model).__name__}")
    seed = plain_number(seed)
    chosen, layers, left_alone = _checked(model, method, options, exclude, seed, backend)
    parts = method_parts(layers, chosen, seed)
    if not isinstance(chosen, Dense) and not any(parts.values()):
        raise InputError(
            f"sparsify: layers {', '.join(layers)} would all be dense by the rules for first, last "
            "and linear layers; at least one must be 'sparse'"
        )
    check = getattr(chosen, "check_gradients", False)
    for name, module in layers.items():
        attached = Attached(
            name,
            check_gradients=check,
            intercepts=runs_as_it_is(parametrize.type_before_parametrizations(module)),
            **parts[name],
        )
        convert_class(module, attached)
    for module in list(model.modules()):
        if id(module) not in left_alone and _uses_layers(module):
            convert_module(module)
    watch(model)
    if backend is not None:
        place(model, backend)
    if not isinstance(chosen, Dense):
        missed = unreached(model, left_alone)
        if missed is not None:
            warnings.warn(missed, SparsityWarning, stacklevel=2)
    return model


def _checked(
    model: nn.Module,
    method: str | Method,
    options: Mapping[str, Any],
    exclude: object,
    seed: object,
    backend: BackendChoice | Mapping[str, BackendChoice] | None,
) -> tuple[Method, dict[str, nn.Module], set[int]]:
    """Return the method, the layers to convert by name, and the ids of modules to leave alone.

    Raises
    ------
    InputError
        As by `sparsify`.
    """
    problems = []
    chosen: Method | None = None
    try:
        chosen = resolve(method, options)
    except InputError as error:
        problems.append(str(error))
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        problems.append(f"seed must be a whole number of at least 0, not {seed!r}")
    modules = dict(model.named_modules())
    excluded, complaints = _excluded(exclude, modules)
    problems += complaints
    left_alone = {id(m) for name in excluded for m in modules[name].modules()}
    layers = {
        name or type(module).__name__: module
        for name, module in modules.items()
        if id(module) not in left_alone and _is_layer(module)
    }
    for label, layer in layers.items():
        problems += [f"layer {label}: {problem}" for problem in _layer_problems(layer)]
    problems += backend_problems(layers, backend)
    if not layers:
        problems.append(
            f"model {type(model).__name__} must have a convolution or a linear layer, not none"
        )
    raise_problems("sparsify", problems)
    assert chosen is not None
    return chosen, layers, left_alone


def _is_layer(module: nn.Module) -> bool:
    """Whether a module has a weight with which methods know what to do."""
    if isinstance(module, nn.MultiheadAttention):
        # With three weights instead, it is a module that multiplies with parameters of its own.
        return module.in_proj_weight is not None
    return isinstance(module, _CONVERTED)


def _uses_layers(module: nn.Module) -> bool:
    """Whether a module, no layer itself, may multiply with the weights of layers in it."""
    return (
        not isinstance(module, TrainingLayer | ByWeight)
        and may_use_weights(parametrize.type_before_parametrizations(module))
        and any(isinstance(one, TrainingLayer) for one in module.modules())
    )


def _excluded(exclude: object, modules: Mapping[str, nn.Module]) -> tuple[list[str], list[str]]:
    """Return the names of modules to leave alone, and what is wrong with the others."""
    names = [exclude] if isinstance(exclude, str) else exclude
    if not isinstance(names, Sequence | set | frozenset) or isinstance(names, bytes):
        return [], [f"exclude must be a name, or names, of modules of the model, not {exclude!r}"]
    problems = [
        f"exclude must name modules of the model, not {name!r}"
        for name in names
        if not isinstance(name, str) or name not in modules
    ]
    return [name for name in names if isinstance(name, str) and name in modules], problems


def unsparsify(model: Model, *, bake: bool = False) -> Model:
    """Turn the layers of a sparsified model back into ordinary ones, in place.

    Parameters
    ----------
    model
        Changed in place.
    bake
        Write the sparse weights, as evaluation uses them, into the parameters, so that the ordinary
        model computes what the sparse one did. By default the dense weights behind them stay.
        Layers that were never called keep their weights, and a `golden.SparsityWarning` names them:
        the model, if it uses these weights, uses them dense.

    Returns
    -------
    torch.nn.Module
        The same model.

    Raises
    ------
    InputError
        The model is not sparsified; or weights to bake are no parameters, are used elsewhere as
        well, or were never used sparse; all problems at once. The model is then unchanged.
    """
    layers = sparse_layers(model)
    baked = _baked_weights(model, layers) if bake else {}
    for name, layer in layers.items():
        if name in baked:
            with torch.no_grad():
                weight_of(layer).copy_(baked[name])
        restore_class(layer)
    for module in model.modules():
        if isinstance(module, ByWeight):
            restore_class(module)
    unwatch(model)
    return model


def _baked_weights(model: nn.Module, layers: Mapping[str, TrainingLayer]) -> dict[str, Tensor]:
    """Return the weights to be written, by layer; those that the method leaves alone are not there.

    Raises
    ------
    InputError
        As by `unsparsify`.
    """
    problems, baked, never = [], {}, []
    for name, layer in layers.items():
        attached = attached_to(layer)
        if attached.weight_mask is None and attached.operand_sparsifier is None:
            continue
        if weight_name(layer) not in layer._parameters:
            problems.append(
                f"layer {name}: weight must be a parameter to be baked, not computed from others"
            )
        elif attached.transforms:
            problems.append(
                f"layer {name}: weight must be used as it is to be baked, not as the forward of "
                f"{class_name(layer)} transforms it"
            )
        elif not _was_applied(attached):
            never.append(name)
        elif attached.bypassed:
            problems.append(
                f"layer {name}: weight must be used by the layer alone to be baked, not by the "
                "model besides, without calling the layer"
            )
        else:
            baked[name] = attached.evaluated(weight_of(layer), weight_geometry(layer))
    by_layer = {id(layer): name for name, layer in layers.items()}
    for name, weights in baked.items():
        weight = weight_of(layers[name])
        for other, module in model.named_modules():
            if module is layers[name] or all(weight is not p for p in module._parameters.values()):
                continue
            also = baked.get(by_layer.get(id(module), ""))
            if also is None or not torch.equal(also, weights):
                problems.append(
                    f"layer {name}: weight must not be that of module {other or 'model'} as well, "
                    "which uses it dense or otherwise sparse, to be baked"
                )
    if never and not baked and not problems:
        problems.append(
            f"layers {', '.join(never)} must have been called to be baked: if the model uses their "
            "weights at all, it uses them dense (if it has not run since it was loaded, run it "
            "once)"
        )
    raise_problems("unsparsify", problems)
    if never:
        warnings.warn(
            f"weights of layers that were never called stay dense: {', '.join(never)}",
            SparsityWarning,
            stacklevel=3,
        )
    return baked


def _was_applied(attached: Attached) -> bool:
    """Whether the model was ever seen to use the weights as the method chooses them."""
    if attached.calls or attached.intercepts:
        # What a forward of its own does is known only once it has run.
        return attached.calls > 0
    top, mask = attached.operand_sparsifier, attached.weight_mask
    trained = isinstance(top, TopK) and top.iteration > 0
    return trained or (isinstance(mask, ThresholdMask) and bool(mask.threshold.any()))


def forget_gradients(model: nn.Module) -> None:
    """Let ReSprop start afresh: the next iteration is dense, of any image and mini-batch size.

    Raises
    ------
    InputError
        The model is not sparsified.
    """
    for layer in sparse_layers(model).values():
        if isinstance(attached_to(layer).gradient_sparsifier, GradientReuse):
            attached_to(layer).gradient_sparsifier.forget()


def _layer_problems(module: nn.Module) -> Iterator[str]:
    """Yield why a convolution or linear layer cannot be converted."""
    if isinstance(module, TrainingLayer):
        yield "must be an ordinary layer, not sparsified already (`golden.unsparsify` undoes it)"
    elif hasattr(module, NAME):
        yield f"must have no attribute {NAME}, which the method needs: exclude it"
    elif isinstance(getattr(module, weight_name(module), None), UninitializedParameter):
        yield "must have its weights, not wait for the first mini-batch: run one before"
    elif not isinstance(getattr(module, weight_name(module), None), Tensor):
        kind = type(getattr(module, weight_name(module), None)).__name__
        yield f"must have a tensor as its weight, not {kind}: exclude it"
    elif training_class(parametrize.type_before_parametrizations(module)) is None:
        yield f"must be of one of torch's layers, not {type(module).__name__}: exclude it"
    elif not (weight := weight_of(module)).is_floating_point() or not weight.numel():
        yield (
            "must have weights of a floating-point type, and at least one, not "
            f"{weight.numel()} of {weight.dtype}"
        )
