"""What a network computes: its layers with weights, call by call, and every product besides.

Products are counted where torch executes them, as `torch.utils.flop_counter` does: every matrix
product and convolution of the forward pass, padding included, whatever calls it. Each belongs to
the innermost module that is being called. Those of a convolution of one or two dimensions, grouped
or transposed or neither, of a linear layer, or of the projections of `nn.MultiheadAttention`, are a
layer's, whether the layer is called or another module multiplies with its weight: the projection of
queries, keys and values has the name of the attention. All others, attention's own products and
convolutions of three dimensions among them, are listed by name, kind and share, so that no sum over
the layers is taken for the whole network.
"""
# Long: one observer of operators, and what it notes of them.

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.conv import _ConvNd
from torch.nn.parameter import UninitializedParameter
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from gscn.conv import ConvShape
from gscn.errors import raise_problems
from gscn.golden.networks.surveyed_shapes import (
    conv_shape,
    is_layer,
    linear_shape,
    own_weight,
    samples_of,
)
from gscn.golden.omitted import Omitted

_CONVOLUTIONS = ("convolution", "_convolution", "cudnn_convolution", "convolution_overrideable")
_NORMALISATION = re.compile(r"(batch|group|layer|instance|rms)_norm")
_UNKNOWN = re.compile(
    r"(^|_)(conv(?!ert)|rnn|lstm|gru|attention|encoder_layer|addbmm|addr|cdist|mm|multi_head)"
)
"""Operators of torch that multiply matrices, if there is no formula for them."""
_TAG = "_surveyed"


@dataclass(frozen=True, kw_only=True, slots=True)
class WeightedLayer:
    """A call of a layer with weights, and what it computes."""

    name: str
    """That of the module; of its second call `name#2`, and so on."""
    shape: ConvShape
    """As `golden.methods.geometry` says: maps of linear layers, with a row for each vector of a
    sample, and of convolutions of one dimension have one column."""
    linear: bool
    transposed: bool = False
    """Whether it is a transposed convolution: `shape` is then the one that it transposes, of which
    its forward pass is the input gradient (`gscn.conv.Pass.of_transposed`)."""
    normalised: bool = False
    """Whether a normalisation follows it, or is what it is applied to."""
    input_grad: bool = True
    """Whether its input depends on parameters, so that training needs the input's gradient."""
    shares: str | None = None
    """Name of the layer before whose weights it uses: that of the first call, or a tied one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """What a network computes in a forward pass."""

    layers: tuple[WeightedLayer, ...]
    """In order of definition; further calls behind the first."""
    omitted: tuple[Omitted, ...]
    macs: int
    """Multiply-accumulates, of layers and omitted ones that can be counted."""


@dataclass(slots=True)
class _Call:
    """A module that is being called, and the products computed in it but not in its parts."""

    name: str
    module: nn.Module
    learned: bool
    """Whether its first tensor depends on parameters."""
    samples: int
    """Of its first tensor."""
    products: list[_Product] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class _Product:
    operator: str
    macs: int | None
    shape: ConvShape | None
    """Of a convolution of which `ConvShape` can tell."""
    transposed: bool
    owner: str | None
    """Name of the layer whose weight is an operand."""
    is_whole: bool
    """Whether it is the whole weight of that layer."""
    learned: bool
    """Whether another operand depends on parameters."""
    normalised: bool
    """Whether an operand was normalised or, noted later, the result is."""


@dataclass(frozen=True, slots=True)
class _Tag:
    """What a tensor is, up to functions of this one tensor that keep its size, or pooling."""

    normalised: bool = False
    product: _Product | None = None
    """Whose result it is."""
    learned: bool = False
    """Whether it depends on parameters."""


def call_name(layer: str, number: int) -> str:
    """Return the name of a layer's call of a number, from 1."""
    return layer if number == 1 else f"{layer}#{number}"


def survey(
    network: nn.Module,
    inputs: Sequence[int] | Tensor | tuple[Any, ...] | Mapping[str, Any],
) -> Survey:
    """Return what an ordinary network computes in a forward pass.

    The network computes once, in evaluation mode; on the meta device (`with torch.device("meta")`)
    this is free. Layers that this does not call are listed among the omitted.

    Parameters
    ----------
    network
        On one device; left in the mode that it was in.
    inputs
        Shape of the images (N, C, H, W), or of what else the network takes; or what it is called
        with, tensors and others: one tensor, arguments in their order, or by name.

    Raises
    ------
    InputError
        A layer waits for the first mini-batch to have its weights, or a module is compiled to
        TorchScript.
    """
    raise_problems("survey", list(_problems(network)))
    if isinstance(inputs, Tensor):
        inputs = (inputs,)
    elif not isinstance(inputs, Mapping) and all(isinstance(one, int) for one in inputs):
        device = next((p.device for p in network.parameters()), None)
        inputs = (torch.zeros(tuple(inputs), device=device),)
    observed = _Observer(network)
    with observed.calls(), _plain_operators(), torch.no_grad(), warnings.catch_warnings(), observed:
        # Checkpointing misses the gradients that nobody wants here.
        warnings.filterwarnings("ignore", message="None of the inputs have requires_grad=True")
        network(**inputs) if isinstance(inputs, Mapping) else network(*inputs)
    return observed.result()


def _problems(network: nn.Module) -> Iterator[str]:
    """Yield which modules cannot be followed."""
    for name, module in network.named_modules():
        label = name or type(module).__name__
        if isinstance(module, torch.jit.ScriptModule):
            yield f"module {label} must be the module that was scripted or traced, not TorchScript"
        elif any(isinstance(one, UninitializedParameter) for one in module._parameters.values()):
            yield (
                f"layer {label} must have its weights, not wait for the first mini-batch: run one "
                "before"
            )


@contextlib.contextmanager
def _plain_operators() -> Iterator[None]:
    """Let attention and recurrent layers compute by operators that have formulas."""
    fast = torch.backends.mha.get_fastpath_enabled()
    libraries = (torch.backends.mkldnn, torch.backends.cudnn)
    enabled = [library.enabled for library in libraries]
    torch.backends.mha.set_fastpath_enabled(False)
    for library in libraries:
        library.enabled = False
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for library, was in zip(libraries, enabled, strict=True):
            library.enabled = was


class _Observer(TorchDispatchMode):
    """Notes the products of a network, each with the module that computes it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        # As `golden.sparsify` calls them: a network that is one layer by its class.
        self.names = {
            module: name or type(module).__name__ for name, module in network.named_modules()
        }
        self.stack: list[_Call] = []
        self.done: list[_Call] = []
        # Weights are known by their storage, which their views share.
        self.owners = {
            _storage(weight): (name, weight.numel())
            for module, name in reversed(self.names.items())
            if is_layer(module) and (weight := own_weight(module)) is not None
        }
        self.modules = {name: module for module, name in self.names.items()}

    @contextlib.contextmanager
    def calls(self) -> Iterator[None]:
        """Follow which module is being called, in evaluation mode."""
        hooks = []
        for module in self.names:
            hooks += [
                module.register_forward_pre_hook(self._enter, with_kwargs=True),
                module.register_forward_hook(self._leave, always_call=True),
            ]
        modes = [(module, module.training) for module in self.names]
        self.network.eval()
        try:
            yield
        finally:
            for module, training in modes:
                module.training = training
            for hook in hooks:
                hook.remove()

    def _enter(self, module: nn.Module, args: tuple, kwargs: dict) -> None:
        tensors = _tensors((args, kwargs))
        learned = _tag(tensors[0]).learned if tensors else False
        samples = samples_of(module, tensors[0].shape) if tensors else 1
        self.stack.append(_Call(self.names[module], module, learned, samples))

    def _leave(self, *_: object) -> None:
        self.done.append(self.stack.pop())

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        """Compute an operator, and note what it is."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if not self.stack:
            return result
        tensors = _tensors((args, kwargs))
        name = func._schema.name.rsplit("::", 1)[-1]
        outs = _tensors(result)
        tag = _Tag()
        if _NORMALISATION.search(name):
            if (product := _tag(tensors[0]).product) is not None:
                product.normalised = True
            tag = _Tag(normalised=True)
        elif (product := self._product(func, name, args, kwargs, result)) is not None:
            self.stack[-1].products.append(product)
            tag = _Tag(product=product)
        elif len(tensors) == len(outs) == 1 and (
            outs[0].numel() == tensors[0].numel() or "pool" in name
        ):
            tag = _tag(tensors[0])
        learned = any(_tag(one).learned for one in tensors)
        for out in outs:
            setattr(out, _TAG, replace(tag, learned=learned))
        return result

    def _product(
        self, func: Any, name: str, args: tuple, kwargs: dict, result: Any
    ) -> _Product | None:
        macs: int | None = None
        packet = func._overloadpacket
        if packet in flop_registry:
            macs = flop_registry[packet](*args, **kwargs, out_val=result) // 2
        elif name in _MACS:
            macs = _MACS[name](*args)
        elif func.namespace in ("aten", "prim", "prims") and not _UNKNOWN.search(name):
            return None
        convolves = name in _CONVOLUTIONS
        operands = _tensors(args)
        owner, is_whole, learned = None, False, False
        for one in operands:
            if _storage(one) in self.owners:
                owner, size = self.owners[_storage(one)]
                is_whole = one.numel() % size == 0
            elif not isinstance(one, nn.Parameter):
                learned = learned or _tag(one).learned
        return _Product(
            operator=name,
            macs=macs,
            shape=conv_shape(args) if convolves else None,
            transposed=convolves and args[6],
            owner=owner,
            is_whole=is_whole,
            learned=learned,
            normalised=any(_tag(one).normalised for one in operands),
        )

    def result(self) -> Survey:
        """Return what was noted."""
        order = list(self.names.values())
        found: dict[str, list[WeightedLayer]] = {}
        others: dict[tuple[str, str], int | None] = {}
        used: set[str] = set()
        for call in self.done:
            used |= {one.owner for one in call.products if one.owner is not None}
            layer = _layer_of(call)
            if layer is not None:
                used.add(call.name)
                found.setdefault(call.name, []).append(layer)
                continue
            for product in call.products:
                layer = self._by_weight(call, product)
                if layer is not None:
                    found.setdefault(layer.name, []).append(layer)
                    continue
                key = (call.name, _kind(call, product))
                known = others.get(key, 0)
                unknown = known is None or product.macs is None
                others[key] = None if unknown else known + product.macs
        for module, name in self.names.items():
            if is_layer(module) and name not in used:
                others[name, f"{type(module).__name__} that evaluation does not use"] = 0
        layers = self._numbered(found)
        macs = sum(layer.shape.dense_macs for layer in layers)
        macs += sum(count or 0 for count in others.values())
        omitted = [
            Omitted(
                name=name,
                kind=kind,
                macs=count,
                share=None if count is None else count / macs if macs else 0.0,
            )
            for (name, kind), count in others.items()
        ]
        omitted.sort(key=lambda one: order.index(one.name))
        return Survey(layers=tuple(layers), omitted=tuple(omitted), macs=macs)

    def _by_weight(self, call: _Call, product: _Product) -> WeightedLayer | None:
        """Return the layer whose whole weight is used past the layer, if any is."""
        if not product.is_whole:
            return None
        shape, module = product.shape, self.modules[product.owner]
        linear = shape is None and not isinstance(module, _ConvNd)
        if linear:
            shape = linear_shape(own_weight(module).shape, product.macs, call.samples)
        if shape is None:
            return None
        return WeightedLayer(
            name=product.owner,
            shape=shape,
            linear=linear,
            transposed=product.transposed,
            normalised=product.normalised,
            input_grad=product.learned,
        )

    def _numbered(self, found: dict[str, list[WeightedLayer]]) -> list[WeightedLayer]:
        """Return all calls in order of definition, and whose weights they share."""
        layers = []
        for module, name in self.names.items():
            for index, layer in enumerate(found.get(name, ())):
                weight = own_weight(module)
                first = name if weight is None else self.owners[_storage(weight)][0]
                if first not in found:
                    first = name
                shares = first if index or first != name else None
                layers.append(replace(layer, name=call_name(name, index + 1), shares=shares))
        return layers


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _tag(tensor: Tensor) -> _Tag:
    return getattr(tensor, _TAG, None) or _Tag(learned=isinstance(tensor, nn.Parameter))


def _tensors(values: object) -> list[Tensor]:
    """Return the tensors in what an operator takes or returns."""
    return [one for one in tree_leaves(values) if isinstance(one, Tensor)]


_MACS: dict[str, Callable[..., int]] = {
    "mv": lambda matrix, _: matrix.numel(),
    "addmv": lambda _, matrix, *__: matrix.numel(),
    "dot": lambda one, _: one.numel(),
    "vdot": lambda one, _: one.numel(),
    "addbmm": lambda _, one, other, *__: one.numel() * other.shape[-1],
    "_trilinear": lambda one, weights, *_: one.shape[0] * weights.numel(),
}
"""Of operators for which torch has no formula."""


def _layer_of(call: _Call) -> WeightedLayer | None:
    """Return the layer that a call is, if all that it computes is one product with its weights."""
    module, products = call.module, call.products
    found = {
        "name": call.name,
        "normalised": any(product.normalised for product in products),
        "input_grad": call.learned,
    }
    if isinstance(module, nn.Linear):
        weights = (module.out_features, module.in_features)
        macs = products[0].macs if len(products) == 1 else None
        shape = linear_shape(weights, macs, call.samples)
        return None if shape is None else WeightedLayer(shape=shape, linear=True, **found)
    if isinstance(module, _ConvNd) and len(products) == 1 and products[0].shape is not None:
        shape, transposed = products[0].shape, products[0].transposed
        return WeightedLayer(shape=shape, linear=False, transposed=transposed, **found)
    return None


def _kind(call: _Call, product: _Product) -> str:
    """Return in words what a product is that is no layer's."""
    kind = type(call.module).__name__
    if isinstance(call.module, _ConvNd) and product.operator in _CONVOLUTIONS:
        return kind
    if product.owner is not None and product.owner != call.name:
        return f"parts of the weights of {product.owner}"
    return f"{product.operator} in {kind}"
