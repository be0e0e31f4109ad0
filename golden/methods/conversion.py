"""Conversion of any model to a sparse-training method, in place, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvTransposeNd
from torch.nn.parameter import UninitializedParameter

from golden.backends import BackendChoice, backend_problems, place
from golden.methods.budgets import erk_densities
from golden.methods.dst import ThresholdMask
from golden.methods.layers import TrainingLayer, training_class
from golden.methods.options import DST, SWAT, Dense, Method, ReSprop, SWATReSprop, resolve
from golden.methods.resprop import GradientReuse
from golden.methods.swat import TopK
from golden.methods.targets import density_of
from gscn.errors import InputError, raise_problems

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, _ConvTransposeNd)
_OPAQUE = (nn.MultiheadAttention, nn.TransformerEncoderLayer)
"""Modules that may compute with the weights of their layers without calling the layers."""
Model = TypeVar("Model", bound=nn.Module)


def sparsify(
    model: Model,
    method: str | Method = "swat",
    *,
    exclude: Sequence[str] = (),
    seed: int = 0,
    backend: BackendChoice | Mapping[str, BackendChoice] | None = None,
    **options: Any,
) -> Model:
    """Turn the convolutions and linear layers of a model into those of a sparse-training method.

    Layers stay the objects that they are: parameters, their names, hooks, devices, types and modes
    are kept, and optimisers made before remain valid (DST adds parameters: make the optimiser
    after). First and last layers are meant in order of definition.

    Parameters
    ----------
    model
        Any module, changed in place.
    method
        Name of a method, "dense", "swat", "resprop", "swat+resprop" or "dst", or its options:
        `Dense`, `SWAT`, `ReSprop`, `SWATReSprop` or `DST`.
    exclude
        Names of modules that are left alone with all that is in them.
    seed
        Seed of ReSprop's draws, at least 0; each layer has a generator of its own.
    backend
        Who calculates the two-dimensional convolutions: a name of `golden.backends.BACKENDS` or a
        backend, for all of them or by the names of layers; by default torch.
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
    problems = []
    try:
        chosen = resolve(method, options)
    except InputError as error:
        problems.append(str(error))
    if not isinstance(seed, int) or seed < 0:
        problems.append(f"seed must be a whole number of at least 0, not {seed!r}")
    modules = dict(model.named_modules())
    problems += [
        f"exclude must name modules of the model, not {name!r}"
        for name in exclude
        if name not in modules
    ]
    left_alone = {id(m) for name in exclude if name in modules for m in modules[name].modules()}
    layers = {}
    for name, module in modules.items():
        if id(module) in left_alone or not isinstance(module, (*_CONVOLUTIONS, nn.Linear)):
            continue
        label = name or type(module).__name__
        layers[label] = module
        problems += [f"layer {label}: {problem}" for problem in _layer_problems(module)]
    problems += _opaque_problems(modules, left_alone)
    problems += backend_problems(layers, backend)
    if not layers:
        problems.append(
            f"model {type(model).__name__} must have a convolution or a linear layer, not none"
        )
    raise_problems("sparsify", problems)
    parts = _plan(layers, chosen, seed)
    if not isinstance(chosen, Dense) and not any(parts.values()):
        raise InputError(
            f"sparsify: layers {', '.join(layers)} would all be dense by the rules for first, last "
            "and linear layers; at least one must be 'sparse'"
        )
    check = getattr(chosen, "check_gradients", False)
    for name, module in layers.items():
        training = module.training
        module.ordinary_class = type(module)
        module.__class__ = training_class(type(module))
        module.attach(name, check_gradients=check, **parts[name])
        module.train(training)
    if backend is not None:
        place(model, backend)
    return model


def unsparsify(model: Model, *, bake: bool = False) -> Model:
    """Turn the layers of a sparsified model back into ordinary ones, in place.

    Parameters
    ----------
    model
        Changed in place.
    bake
        Write the sparse weights, as evaluation uses them, into the parameters, so that the ordinary
        model computes what the sparse one did. By default the dense weights behind them stay.

    Returns
    -------
    torch.nn.Module
        The same model.

    Raises
    ------
    InputError
        The model is not sparsified, or weights to bake are no parameters.
    """
    layers = sparse_layers(model)
    problems = [
        f"layer {name}: weight must be a parameter to be baked, not computed from others"
        for name, layer in layers.items()
        if bake and "weight" not in layer._parameters
    ]
    raise_problems("unsparsify", problems)
    for layer in layers.values():
        if bake:
            with torch.no_grad():
                layer.weight.copy_(_evaluated_weights(layer))
        layer.detach()
        layer.__class__ = layer.ordinary_class
        del layer.ordinary_class
    return model


def sparse_layers(model: nn.Module) -> dict[str, TrainingLayer]:
    """Return the converted layers of a model by name, in order of definition.

    Raises
    ------
    InputError
        There is none.
    """
    # Not by `layer_name`: parts of a model may have been sparsified one by one.
    found = {
        name or module.ordinary_class.__name__: module
        for name, module in model.named_modules()
        if isinstance(module, TrainingLayer)
    }
    if not found:
        raise InputError(f"model {type(model).__name__} must have been sparsified")
    return found


def forget_gradients(model: nn.Module) -> None:
    """Let ReSprop start afresh: the next iteration is dense, of any image and mini-batch size.

    Raises
    ------
    InputError
        The model is not sparsified.
    """
    for layer in sparse_layers(model).values():
        if isinstance(layer.gradient_sparsifier, GradientReuse):
            layer.gradient_sparsifier.forget()


def _evaluated_weights(layer: TrainingLayer) -> Tensor:
    training, weights = layer.training, layer.weight
    layer.eval()
    if layer.weight_mask is not None:
        weights = layer.weight_mask(weights)
    if layer.operand_sparsifier is not None:
        _, weights = layer.operand_sparsifier(weights, weights)
    layer.train(training)
    return weights


def _layer_problems(module: nn.Module) -> Iterator[str]:
    """Yield why a convolution or linear layer cannot be converted."""
    if isinstance(module, TrainingLayer):
        yield "must be an ordinary layer, not sparsified already (`golden.unsparsify` undoes it)"
    elif isinstance(module, _ConvTransposeNd):
        yield "must be no transposed convolution, which is not supported: exclude it"
    elif isinstance(module.weight, UninitializedParameter):
        yield "must have its weights, not wait for the first mini-batch: run one before"
    elif training_class(type(module)) is None:
        yield (
            f"must compute as {type(module).__base__.__name__} does, not by a forward of "
            f"{type(module).__name__}'s own: exclude it"
        )
    elif not module.weight.is_floating_point() or not module.weight.numel():
        yield (
            "must have weights of a floating-point type, and at least one, not "
            f"{module.weight.numel()} of {module.weight.dtype}"
        )


def _opaque_problems(modules: dict[str, nn.Module], left_alone: set[int]) -> Iterator[str]:
    """Yield the modules that would bypass converted layers."""
    for name, module in modules.items():
        if not isinstance(module, _OPAQUE) or id(module) in left_alone:
            continue
        # The encoder layer's short cut can be switched off, attention's bypass cannot.
        if isinstance(module, nn.TransformerEncoderLayer):
            if torch.backends.mha.get_fastpath_enabled():
                yield (
                    f"module {name}: {type(module).__name__} evaluates without calling its layers: "
                    "exclude it, or call torch.backends.mha.set_fastpath_enabled(False) before"
                )
        elif not {id(child) for child in module.modules()} - {id(module)} <= left_alone:
            yield (
                f"module {name}: {type(module).__name__} does not call its linear layer: exclude it"
            )


def _plan(
    layers: dict[str, nn.Module], method: Method, seed: int
) -> dict[str, dict[str, nn.Module]]:
    """Return the parts of the method for each layer, as keyword arguments of `attach`."""
    parts: dict[str, dict[str, nn.Module]] = {name: {} for name in layers}
    if isinstance(method, SWAT | SWATReSprop):
        for name, sparsifier in _operand_sparsifiers(layers, method).items():
            parts[name]["operand_sparsifier"] = sparsifier
    if isinstance(method, ReSprop | SWATReSprop):
        for name, generator in _generators(layers, seed).items():
            if _takes_part(name, layers, method, reuse=True):
                sparsity = getattr(method, "reuse_sparsity", None)
                parts[name]["gradient_sparsifier"] = GradientReuse(
                    method.sparsity if sparsity is None else sparsity,
                    generator,
                    warm_up=method.warm_up,
                )
    if isinstance(method, DST):
        for name, layer in layers.items():
            if _takes_part(name, layers, method):
                parts[name]["weight_mask"] = ThresholdMask(layer.weight)
    return parts


def _operand_sparsifiers(
    layers: dict[str, nn.Module], method: SWAT | SWATReSprop
) -> dict[str, TopK]:
    chosen = {name: layer for name, layer in layers.items() if _takes_part(name, layers, method)}
    density = density_of(method.sparsity)
    densities = [density] * len(chosen)
    if method.budget == "erk":
        densities = erk_densities([tuple(m.weight.shape) for m in chosen.values()], density)
    redistributed = method.budget == "momentum"
    if redistributed:
        raise_problems(
            "sparsify",
            [
                f"layer {name}: weight must be a parameter, whose momentum the optimiser has, not "
                "computed from others"
                for name, layer in chosen.items()
                if "weight" not in layer._parameters
            ],
        )
    return {
        name: TopK(
            layer_density,
            1 if isinstance(layer, nn.Linear) else method.refresh_period,
            structure=method.structure,
            redistributed=redistributed,
        )
        for (name, layer), layer_density in zip(chosen.items(), densities, strict=True)
    }


def _takes_part(
    name: str, layers: dict[str, nn.Module], method: Method, *, reuse: bool = False
) -> bool:
    """Whether a layer is sparse by the rules; `reuse` asks for the gradients' part."""
    names = list(layers)
    rules = [
        rule
        for rule, at in ((method.first_layer, names[0]), (method.last_layer, names[-1]))
        if name == at
    ]
    linear = isinstance(layers[name], nn.Linear)
    linear_rule = getattr(method, "linear_layers", "paper")
    if "dense" in rules or (linear and linear_rule == "dense"):
        return False
    if "sparse" in rules or (linear and linear_rule == "sparse"):
        return True
    if reuse:
        return not linear
    uniform = getattr(method, "budget", None) == "uniform"
    return not (uniform and name == names[0])


def _generators(layers: dict[str, nn.Module], seed: int) -> dict[str, torch.Generator]:
    """Return a generator for each layer; those of convolutions do not depend on linear layers."""
    found = {}
    for linear in (False, True):
        names = [n for n, layer in layers.items() if isinstance(layer, nn.Linear) == linear]
        for index, name in enumerate(names):
            own = (linear << 40) + seed * len(names) + index
            found[name] = torch.Generator().manual_seed(own)
    return found
