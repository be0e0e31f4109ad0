"""Convolutions and linear layers whose training passes are computed apart and can be observed.

A layer stays the object that it is and changes its class; everything else that it gets is in one
module, `Attached`, under the name `golden.methods.attached.NAME`.

`torch.compile` leaves these layers as they are and compiles what is between them: thresholds are
selected by numpy, and the backward pass changes state, which no compiled graph may.
"""

from __future__ import annotations

import copyreg
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils import parametrize

from gscn.golden.methods.attached import NAME, Attached
from gscn.golden.methods.by_weight import by_weight
from gscn.golden.methods.geometry import ConvGeometry, LinearGeometry
from gscn.golden.methods.interception import even_padding, intercept
from gscn.golden.methods.passes import Geometry
from gscn.golden.methods.weights import is_linear

_PARTS = ("weight_mask.", "operand_sparsifier.", "gradient_sparsifier.")
"""Of an `Attached`; once they were the layer's own, in the names of saved states as well."""


_uncompiled = torch.compiler.disable(
    reason="sparsifiers keep state across iterations, in the backward pass; "
    "golden.unsparsify(model, bake=True) makes an ordinary model of the same outputs"
)


class _Exchanged(nn.Module):
    """A module whose class was exchanged for one derived from it while running."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Name the ordinary class."""
        reduced = super().__reduce_ex__(protocol)
        ordinary = ordinary_class(type(self))
        if ordinary is None or reduced[0] is not copyreg.__newobj__:
            return reduced
        return (_new_module, (ordinary, isinstance(self, ByWeight)), *reduced[2:])


def _new_module(ordinary: type[nn.Module], by_its_weight: bool = False) -> nn.Module:
    made = by_weight_class(ordinary) if by_its_weight else training_class(ordinary)
    assert made is not None
    return made.__new__(made)


class ByWeight(_Exchanged):
    """A module, no layer itself, that may multiply with the weights of layers in it."""

    @_uncompiled
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the ordinary module would, its layers' products in three passes."""
        return by_weight(self, super().forward, args, kwargs)


class TrainingLayer(_Exchanged):
    """What the layers have in common."""

    @_uncompiled
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the ordinary layer would, its product with the weights in three passes.

        Raises
        ------
        InputError
            Inputs that the layer cannot have, or a forward of its own that is not supported.
        """
        attached = attached_to(self)
        # The flag of the layer alone may have been set.
        if attached.training != self.training:
            attached.train(self.training)
        for one in (*args, *kwargs.values()):
            if isinstance(one, torch.fx.Proxy):
                raise attached.error(
                    "inputs must be a tensor, not a torch.fx.Proxy: golden.unsparsify the model "
                    "before its operations are traced"
                )
        if isinstance(self, nn.MultiheadAttention):
            return by_weight(self, super().forward, args, kwargs)
        if attached.intercepts:
            return intercept(attached, self, super().forward, args, kwargs)
        return _direct(self, attached, *args, **kwargs)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        for key in [key for key in state_dict if key.startswith(prefix)]:
            name = key.removeprefix(prefix)
            if name.startswith(_PARTS) and name.partition(".")[0] not in self._modules:
                state_dict[f"{prefix}{NAME}.{name}"] = state_dict.pop(key)
        super()._load_from_state_dict(state_dict, prefix, *args)


def attached_to(layer: nn.Module) -> Attached:
    """Return what a converted layer has beside its own."""
    # A class may have a way of its own to look names up.
    return layer._modules[NAME]


class TrainingConv(TrainingLayer):
    """A convolution of one, two or three dimensions, grouped or not, of any padding mode."""


class TrainingConv1d(TrainingConv, nn.Conv1d):
    """`nn.Conv1d` with its passes computed apart."""


class TrainingConv2d(TrainingConv, nn.Conv2d):
    """`nn.Conv2d` with its passes computed apart, as the accelerator computes them."""


class TrainingConv3d(TrainingConv, nn.Conv3d):
    """`nn.Conv3d` with its passes computed apart."""


class TrainingConvTranspose1d(TrainingConv, nn.ConvTranspose1d):
    """`nn.ConvTranspose1d` with its passes computed apart."""


class TrainingConvTranspose2d(TrainingConv, nn.ConvTranspose2d):
    """`nn.ConvTranspose2d` with its passes computed apart."""


class TrainingConvTranspose3d(TrainingConv, nn.ConvTranspose3d):
    """`nn.ConvTranspose3d` with its passes computed apart."""


class TrainingLinear(TrainingLayer, nn.Linear):
    """`nn.Linear` with its passes computed apart, on any leading dimensions."""


class TrainingAttention(TrainingLayer, nn.MultiheadAttention):
    """`nn.MultiheadAttention` whose first projection, of queries, keys and values, is a layer.

    Its last one is a layer of its own. Both are sparse where a sequence attends to itself.
    """


_MARKERS: dict[type[nn.Module], type[TrainingLayer]] = {
    nn.Conv1d: TrainingConv1d,
    nn.Conv2d: TrainingConv2d,
    nn.Conv3d: TrainingConv3d,
    nn.ConvTranspose1d: TrainingConvTranspose1d,
    nn.ConvTranspose2d: TrainingConvTranspose2d,
    nn.ConvTranspose3d: TrainingConvTranspose3d,
    nn.Linear: TrainingLinear,
    nn.MultiheadAttention: TrainingAttention,
}
_training = dict(_MARKERS)
"""By the class of an ordinary layer, those derived from torch's added when they are met."""
_by_weight: dict[type[nn.Module], type[ByWeight]] = {}
"""The same, by the class of a module that is no layer."""
_ordinary: dict[type[nn.Module], type[nn.Module]] = {
    training: ordinary for ordinary, training in _MARKERS.items()
}


def training_class(kind: type[nn.Module]) -> type[TrainingLayer] | None:
    """Return the class that an ordinary layer's class becomes, None if it is no such layer."""
    if kind not in _training:
        for ordinary, marker in _MARKERS.items():
            if issubclass(kind, ordinary):
                made = type(f"Training{kind.__name__}", (marker, kind), {"__doc__": marker.__doc__})
                _training[kind], _ordinary[made] = made, kind
                break
    return _training.get(kind)


def by_weight_class(kind: type[nn.Module]) -> type[ByWeight]:
    """Return the class that the class of a module becomes which is no layer."""
    if kind not in _by_weight:
        made = type(f"Training{kind.__name__}", (ByWeight, kind), {"__doc__": ByWeight.__doc__})
        _by_weight[kind], _ordinary[made] = made, kind
    return _by_weight[kind]


def ordinary_class(kind: type[nn.Module]) -> type[nn.Module] | None:
    """Return the class of which a layer's class was made, None if it was made of none."""
    return _ordinary.get(kind)


def convert_class(layer: nn.Module, attached: Attached) -> None:
    """Turn an ordinary layer into a training layer, with what its method attaches."""
    layer.__class__ = _exchanged(type(layer), training_class, parametrize.is_parametrized(layer))
    layer._modules[NAME] = attached
    attached.train(layer.training)


def convert_module(module: nn.Module) -> None:
    """Let a module that is no layer multiply with the weights of layers in it as these do."""
    wrapped = parametrize.is_parametrized(module)
    module.__class__ = _exchanged(type(module), by_weight_class, wrapped)


def restore_class(module: TrainingLayer | ByWeight) -> None:
    """Turn a layer, or a module that uses weights, back into an ordinary one."""
    kind = type(module)
    module.__class__ = _exchanged(kind, ordinary_class, ordinary_class(kind) is None)
    module._modules.pop(NAME, None)


def _exchanged(
    kind: type[nn.Module],
    other: Callable[[type[nn.Module]], type[nn.Module] | None],
    wrapped: bool,
) -> type[nn.Module]:
    """Return another class for one, beneath those that were put around it for one module.

    Parametrizations, among others, give each module a class of its own, derived from its class,
    and expect to find it there when they are removed.
    """
    if not wrapped:
        found = other(kind)
        assert found is not None
        return found
    inner, *rest = kind.__bases__
    found = other(inner)
    if found is None:
        found = _exchanged(inner, other, wrapped=True)
    own = {k: v for k, v in vars(kind).items() if k not in ("__dict__", "__weakref__")}
    name = kind.__name__.replace(inner.__name__, found.__name__)
    return type(kind)(name, (found, *rest), own)


def runs_as_it_is(kind: type[nn.Module]) -> bool:
    """Whether a class has a forward of its own, which then decides what is computed."""
    for ordinary in (nn.Conv1d, nn.Conv2d, nn.Conv3d):
        if issubclass(kind, ordinary):
            own = (kind.forward, kind._conv_forward)
            return own != (ordinary.forward, ordinary._conv_forward)
    return not (issubclass(kind, nn.Linear) and kind.forward is nn.Linear.forward)


def _direct(layer: nn.Module, attached: Attached, input: Tensor) -> Tensor:
    """Return the outputs of a layer that computes as its base class does."""
    if not isinstance(input, Tensor):
        raise attached.error(f"inputs must be a tensor, not {type(input).__name__}")
    if isinstance(layer, nn.Linear):
        return attached.calculate(input, layer.weight, layer.bias, LinearGeometry())
    padding, pad = _padding(layer)
    geometry: Geometry = ConvGeometry(
        stride=layer.stride, padding=padding, dilation=layer.dilation, groups=layer.groups
    )
    return attached.calculate(input, layer.weight, layer.bias, geometry, pad)


def weight_geometry(layer: nn.Module) -> Geometry:
    """Return a geometry of a layer's kind, for the order of its weights' dimensions alone."""
    if is_linear(layer):
        return LinearGeometry()
    return ConvGeometry(
        stride=layer.stride,
        padding=(0,) * len(layer.stride),
        dilation=layer.dilation,
        groups=layer.groups,
        transposed=layer.transposed,
    )


def _padding(layer: _ConvNd) -> tuple[tuple[int, ...], Callable[[Tensor], Tensor] | None]:
    """Return the zeros on each side of each axis, and what pads the inputs before."""
    if layer.padding_mode != "zeros":
        amounts, mode = layer._reversed_padding_repeated_twice, layer.padding_mode
        return (0,) * len(layer.stride), lambda inputs: functional.pad(inputs, amounts, mode=mode)
    if isinstance(layer.padding, str):
        return even_padding(layer.padding, layer.kernel_size, layer.dilation)
    return layer.padding, None
