"""Modules that multiply with the weights of layers without calling the layers, as attention does.

While such a module runs, a call of torch's function for a layer's kind with the whole of its weight
is the layer's: its method applies, and it is observed, as if the layer had been called. Products
with parts of a weight, or by other functions, stay what they are, and `golden.methods.watching`
tells of them.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from gscn.golden.methods.attached import NAME, Attached
from gscn.golden.methods.geometry import LinearGeometry
from gscn.golden.methods.interception import PRODUCTS
from gscn.golden.methods.weights import weight_name

_NAMES = {"weight", "in_proj_weight"}
"""Attributes by which a forward reaches weights."""
_IN_ATTENTION = ("_in_projection_packed", "_in_projection", "multi_head_attention_forward")


@functools.cache
def may_use_weights(kind: type[nn.Module]) -> bool:
    """Whether the forward of a class, or what it calls of the class, reads a weight by its name."""
    waiting, seen = ["forward"], {"forward"}
    while waiting:
        method = getattr(kind, waiting.pop(), None)
        names = set(_names_in(getattr(method, "__code__", None)))
        if names & _NAMES:
            return True
        found = {name for name in names - seen if not hasattr(nn.Module, name)}
        seen |= found
        waiting += found
    return False


def _names_in(code: object) -> Iterator[str]:
    if isinstance(code, types.CodeType):
        yield from code.co_names
        for constant in code.co_consts:
            yield from _names_in(constant)


def by_weight(
    module: nn.Module,
    forward: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> Any:
    """Return what a module's forward returns, products with whole weights being the layers'.

    Parameters
    ----------
    module
        With converted layers in it, or one itself.
    forward, args, kwargs
        Its own, and with what it is called.
    """
    with _ByWeight(module):
        return forward(*args, **kwargs)


class _ByWeight(TorchFunctionMode):
    """Computes products with the weights of the layers of a module in their three passes."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self._layers = {
            id(weight): one
            for one in reversed(list(module.modules()))
            if NAME in one._modules
            and (weight := one._parameters.get(weight_name(one))) is not None
        }

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func is functional.multi_head_attention_forward:
            return self._attend(*args, **kwargs)
        bind = PRODUCTS.get(func)
        if bind is not None:
            inputs, weights, bias, geometry, pad = bind(*args, **kwargs)
            attached = self._owner(weights)
            if attached is not None:
                return attached.calculate(inputs, weights, bias, geometry, pad)
        return func(*args, **kwargs)

    def _owner(self, weights: Tensor) -> Attached | None:
        """Return what the layer of a weight has, unless it is the layer that asks."""
        layer = self._layers.get(id(weights))
        if layer is None:
            return None
        attached = layer._modules[NAME]
        if attached.is_calculating:
            return None
        # The flag of the layer alone may have been set.
        if attached.training != layer.training:
            attached.train(layer.training)
        return attached

    def _attend(self, query: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Run torch's attention, which calls its linear function with weights inside."""
        batch = query.shape[1] if query.ndim == 3 else 1

        def linear(inputs: Tensor, weights: Tensor, bias: Tensor | None = None) -> Tensor:
            attached = self._owner(weights)
            if attached is None:
                return functional.linear(inputs, weights, bias)
            # Tokens are in front, of all samples; methods tell samples apart.
            samples = inputs.reshape(-1, batch, inputs.shape[-1]).transpose(0, 1)
            outputs = attached.calculate(samples, weights, bias, LinearGeometry())
            return outputs.transpose(0, 1).reshape(*inputs.shape[:-1], -1)

        return _attention_with(linear)(query, *args, **kwargs)


def _attention_with(linear: Callable[..., Tensor]) -> Callable[..., Any]:
    """Return torch's function for attention with another linear function in it."""
    names = {**vars(functional), "linear": linear, "has_torch_function": lambda _: False}
    for name in _IN_ATTENTION:
        own = getattr(functional, name)
        names[name] = types.FunctionType(own.__code__, names, name, own.__defaults__)
    return names[_IN_ATTENTION[-1]]
