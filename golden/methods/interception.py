"""Runs a layer's own forward and computes the one product with its weights in three passes.

A class derived from a convolution or a linear layer may pad its inputs, standardise its weights, or
cast them, before it calls torch's function. Whatever it computes, its sparse form is the same with
that one call in three passes. What comes from the weights is followed through the forward: it must
go into that call and nowhere else, or the layer would use weights that the method has not chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from gscn.errors import InputError
from gscn.golden.methods.attached import Attached
from gscn.golden.methods.geometry import ConvGeometry, LinearGeometry
from gscn.golden.methods.weights import weight_of, weight_sources

Pad = Callable[[Tensor], Tensor]
Bound = tuple[Tensor, Tensor, Tensor | None, ConvGeometry | LinearGeometry, Pad | None]
"""Inputs, weights, bias, geometry, and what pads the inputs before."""


def intercept(
    attached: Attached,
    layer: nn.Module,
    forward: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> Any:
    """Return what a layer's own forward returns, its product with the weights in three passes.

    Raises
    ------
    InputError
        The forward uses its weights in another way, or not at all.
    """
    mode = _Interception(attached, weight_sources(layer), weight_of(layer).shape)
    with mode:
        result = forward(*args, **kwargs)
    if mode.products != 1 or mode.is_tainted(_tensors([result])):
        raise mode.refusal()
    return result


class _Interception(TorchFunctionMode):
    """Follows what comes from the weights, and computes the product with them in three passes."""

    def __init__(self, attached: Attached, sources: Sequence[Tensor], shape: torch.Size) -> None:
        super().__init__()
        self.products = 0
        self._attached = attached
        self._shape = shape
        self._sources = sources
        # By identity; kept alive, so that none is given to another tensor.
        self._tainted = {id(one): one for one in sources}

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        found = [one for one in _tensors([*args, *kwargs.values()]) if id(one) in self._tainted]
        if not found:
            return func(*args, **kwargs)
        bind = PRODUCTS.get(func)
        if bind is None:
            result = func(*args, **kwargs)
            self._tainted |= {id(one): one for one in _tensors([result])}
            return result
        inputs, weights, bias, geometry, pad = bind(*args, **kwargs)
        if len(found) > 1 or found[0] is not weights or weights.shape != self._shape:
            raise self.refusal()
        self.products += 1
        self._attached.transforms = all(weights is not one for one in self._sources)
        return self._attached.calculate(inputs, weights, bias, geometry, pad)

    def is_tainted(self, tensors: Iterable[Tensor]) -> bool:
        """Whether one of the tensors comes from the weights past the product with them."""
        return any(id(one) in self._tainted for one in tensors)

    def refusal(self) -> InputError:
        """Return what is to be raised of a forward that is not supported."""
        return self._attached.error(
            "its own forward must use its weight, however transformed but of the same shape, in "
            "one call of torch's function for its kind of layer, and nowhere else: exclude it"
        )


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)
        elif isinstance(value, dict):
            yield from _tensors(value.values())


def _each(value: int | Sequence[int], axes: int) -> tuple[int, ...]:
    """Return a number for each axis; torch also takes one number, or a list of one, for all."""
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * axes if len(values) == 1 else values


def even_padding(
    padding: str, kernel_size: Sequence[int], dilation: Sequence[int]
) -> tuple[tuple[int, ...], Pad | None]:
    """Return the zeros on each side of each axis for "same" or "valid", and what pads before.

    What is not the same on both sides of an axis is padded before.
    """
    none = (0,) * len(kernel_size)
    if padding == "valid":
        return none, None
    both = [d * (size - 1) for size, d in zip(kernel_size, dilation, strict=True)]
    if not any(total % 2 for total in both):
        return tuple(total // 2 for total in both), None
    amounts = [side for total in reversed(both) for side in (total // 2, total - total // 2)]
    return none, lambda inputs: functional.pad(inputs, amounts)


def _convolution(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: str | int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Bound:
    axes = weight.ndim - 2
    dilation, pad = _each(dilation, axes), None
    if isinstance(padding, str):
        padding, pad = even_padding(padding, weight.shape[2:], dilation)
    geometry = ConvGeometry(
        stride=_each(stride, axes),
        padding=_each(padding, axes),
        dilation=dilation,
        groups=groups,
    )
    return input, weight, bias, geometry, pad


def _transposed(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> Bound:
    axes = weight.ndim - 2
    geometry = ConvGeometry(
        stride=_each(stride, axes),
        padding=_each(padding, axes),
        dilation=_each(dilation, axes),
        groups=groups,
        transposed=True,
        output_padding=_each(output_padding, axes),
    )
    return input, weight, bias, geometry, None


def _linear(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
) -> Bound:
    return input, weight, bias, LinearGeometry(), None


PRODUCTS: Mapping[Callable[..., Any], Callable[..., Bound]] = MappingProxyType(
    {
        **dict.fromkeys((functional.conv1d, functional.conv2d, functional.conv3d), _convolution),
        **dict.fromkeys(
            (
                functional.conv_transpose1d,
                functional.conv_transpose2d,
                functional.conv_transpose3d,
            ),
            _transposed,
        ),
        functional.linear: _linear,
    }
)
"""Torch's functions that multiply with weights: how each is called."""
