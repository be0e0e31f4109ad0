"""Convolutions and linear layers whose training passes are computed apart and can be observed.

Sparse-training methods plug in at three places: a weight mask that takes part in differentiation
(DST), an operand sparsifier that chooses the weights used and the activations saved (SWAT), and a
gradient sparsifier that splits output gradients (ReSprop). A layer with none of them is dense.

`torch.compile` leaves these layers as they are and compiles what is between them: thresholds are
selected by numpy, and the backward pass changes state, which no compiled graph may.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from golden.methods.passes import (
    Arithmetic,
    ConvGeometry,
    Geometry,
    LinearGeometry,
    OtherArithmetic,
    PassRecord,
    ThreePasses,
)
from golden.methods.selection import count_nonzeros
from gscn.conv import ConvShape, Pass
from gscn.enums import takes_text
from gscn.errors import InputError


class WeightMask(nn.Module):
    """Replaces the weights of a layer by masked ones; gradients flow through it."""

    def forward(self, weights: Tensor) -> Tensor:
        """Return the masked weights."""
        raise NotImplementedError


class OperandSparsifier(nn.Module):
    """Chooses the weights that a layer uses and the activations that it saves."""

    def forward(self, inputs: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Return (activations to save for the weight gradient, weights to use in both passes)."""
        raise NotImplementedError


class GradientSparsifier(nn.Module):
    """Replaces an output gradient by a sparse one and a term shared by all samples.

    Attributes
    ----------
    nonzeros : Tensor or None
        Nonzeros of the last S, if the sparsifier counted them.
    """

    nonzeros: Tensor | None = None

    def forward(self, output_grad: Tensor) -> tuple[Tensor, Tensor | None]:
        """Split (N, ...) into (S, g), `output_grad ~ S + g`; g has no N, or is None for 0."""
        raise NotImplementedError


class TrainingLayer(nn.Module):
    """What the layers have in common; `attach` prepares an ordinary layer whose class was changed.

    Attributes
    ----------
    weight_mask, operand_sparsifier, gradient_sparsifier : torch.nn.Module or None
        The parts of the method.
    layer_name : str
        Name in the model, for messages.
    observer : callable or None
        Called with a `PassRecord` after each pass. Records hold the live tensors: copy to keep.
    nonzeros : dict
        Of the last training step: (nonzeros, elements) of "weights", "activations" and
        "output_grads". The nonzeros are a tensor, so that a device need not be waited for.
    """

    def attach(
        self,
        name: str,
        *,
        weight_mask: WeightMask | None = None,
        operand_sparsifier: OperandSparsifier | None = None,
        gradient_sparsifier: GradientSparsifier | None = None,
        check_gradients: bool = False,
    ) -> None:
        """Set everything that an ordinary layer does not have."""
        self.layer_name = name
        self.weight_mask = weight_mask
        self.operand_sparsifier = operand_sparsifier
        self.gradient_sparsifier = gradient_sparsifier
        self.check_gradients = check_gradients
        self.observer: Callable[[PassRecord], None] | None = None
        self.nonzeros: dict[str, tuple[Tensor, int]] = {}

    def detach(self) -> None:
        """Remove everything that `attach` set."""
        for name in ("weight_mask", "operand_sparsifier", "gradient_sparsifier"):
            delattr(self, name)
        for name in ("layer_name", "check_gradients", "observer", "nonzeros"):
            delattr(self, name)

    @takes_text
    def observe(
        self, which: Pass, first: Tensor, second: Tensor, result: Tensor, term: Tensor | None
    ) -> None:
        """Hand a pass to the observer, if there is one."""
        if self.observer is not None:
            self.observer(
                PassRecord(which=which, first=first, second=second, result=result, precomputed=term)
            )

    def split_gradient(
        self, output_grad: Tensor, *, training: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Return the output gradient as the gradient sparsifier splits it, checked and counted.

        Raises
        ------
        InputError
            The gradient is not finite, or the sparsifier refuses it.
        """
        # The sum of finite numbers may overflow: the exact test decides.
        if (
            self.check_gradients
            and not output_grad.sum(dtype=torch.float32).isfinite()
            and not output_grad.isfinite().all()
        ):
            raise self.error("output gradients must be finite, not NaN or infinite")
        split: tuple[Tensor, Tensor | None] = (output_grad, None)
        if training:
            if self.gradient_sparsifier is not None:
                try:
                    split = self.gradient_sparsifier(output_grad)
                except InputError as error:
                    raise self.error(error) from error
            counted = (
                None if self.gradient_sparsifier is None else self.gradient_sparsifier.nonzeros
            )
            self._count("output_grads", split[0], counted)
        return split

    def error(self, problem: object) -> InputError:
        """Return an error that names the layer."""
        return InputError(f"layer {self.layer_name}: {problem}")

    @torch.compiler.disable(reason="sparsifiers keep state across iterations, in the backward pass")
    def _compute(
        self,
        inputs: Tensor,
        weights: Tensor,
        bias: Tensor | None,
        geometry: Geometry,
        pad: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        if not len(inputs):
            raise self.error("a mini-batch must have at least one sample, not none")
        if self.weight_mask is not None:
            weights = self.weight_mask(weights)
        saved, used = inputs, weights
        if self.operand_sparsifier is not None:
            try:
                with torch.no_grad():
                    saved, used = self.operand_sparsifier(inputs, weights)
            except InputError as error:
                raise self.error(error) from error
        if self.training:
            self._count("weights", used)
            self._count("activations", saved)
        if pad is not None:
            padded = pad(inputs)
            saved = padded if saved is inputs else pad(saved)
            inputs = padded
        return ThreePasses.apply(
            inputs, weights, bias, saved, used, self, geometry, _autocast_dtype(inputs)
        )

    def _count(self, what: str, values: Tensor, counted: Tensor | None = None) -> None:
        if counted is None:
            counted = count_nonzeros(values.detach())
        self.nonzeros[what] = (counted, values.numel())


def _autocast_dtype(inputs: Tensor) -> torch.dtype | None:
    """Return the type in which autocast wants the arithmetic, or None."""
    device = inputs.device.type
    if not torch.is_autocast_enabled(device) or inputs.dtype == torch.float64:
        return None
    return torch.get_autocast_dtype(device)


class TrainingConv(TrainingLayer):
    """A convolution of one, two or three dimensions, grouped or not, of any padding mode."""

    def _conv_forward(self, inputs: Tensor, weights: Tensor, bias: Tensor | None) -> Tensor:
        if inputs.ndim != weights.ndim or inputs.shape[1] != self.in_channels:
            axes = ", ".join("DHW"[-(weights.ndim - 2) :]) if weights.ndim > 3 else "L"
            raise self.error(
                f"inputs must have the shape (N, {self.in_channels}, {axes}), "
                f"not {tuple(inputs.shape)}"
            )
        padding, pad = self._padding()
        geometry = ConvGeometry(
            stride=self.stride, padding=padding, dilation=self.dilation, groups=self.groups
        )
        return self._compute(inputs, weights, bias, self._calculated(geometry), pad)

    def _calculated(self, geometry: ConvGeometry) -> Geometry:
        """Return the geometry with the arithmetic of this layer."""
        return geometry

    def _padding(self) -> tuple[tuple[int, ...], Callable[[Tensor], Tensor] | None]:
        """Return the zeros on each side of each axis, and what pads the inputs before."""
        none = (0,) * len(self.stride)
        if self.padding_mode != "zeros":
            amounts, mode = self._reversed_padding_repeated_twice, self.padding_mode
            return none, lambda inputs: functional.pad(inputs, amounts, mode=mode)
        if not isinstance(self.padding, str):
            return self.padding, None
        amounts = self._reversed_padding_repeated_twice
        if amounts[::2] == amounts[1::2]:
            return tuple(amounts[::-2]), None
        return none, lambda inputs: functional.pad(inputs, amounts)


class TrainingConv1d(TrainingConv, nn.Conv1d):
    """`nn.Conv1d` with its passes computed apart."""


class TrainingConv2d(TrainingConv, nn.Conv2d):
    """`nn.Conv2d` with its passes computed apart, as the accelerator computes them.

    Attributes
    ----------
    arithmetic : Arithmetic or None
        Calculates the passes of a layer that is a `ConvShape`; None: torch.
    """

    arithmetic: Arithmetic | None = None

    def detach(self) -> None:
        """Remove everything that was set."""
        super().detach()
        vars(self).pop("arithmetic", None)

    def _calculated(self, geometry: ConvGeometry) -> Geometry:
        if self.arithmetic is None:
            return geometry
        if geometry.groups != 1:
            raise self.error(f"groups must be 1 in other arithmetic, not {geometry.groups}")
        return OtherArithmetic(geometry=geometry, arithmetic=self.arithmetic)

    @property
    def geometry(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        """(stride, padding, dilation), each (vertical, horizontal)."""
        return self.stride, self.padding, self.dilation

    def conv_shape(self, inputs_shape: tuple[int, int, int, int]) -> ConvShape:
        """Return the shape of the convolution for inputs of shape (N, C, H, W).

        Raises
        ------
        InputError
            Grouped, or padded otherwise than by numbers of zeros: not a `ConvShape`.
        """
        problems = conv_shape_problems(self)
        if problems:
            raise self.error("; ".join(problems))
        n, c, h, w = inputs_shape
        return ConvShape(
            n=n,
            c=c,
            h=h,
            w=w,
            k=self.out_channels,
            r=self.kernel_size[0],
            s=self.kernel_size[1],
            stride=tuple(self.stride),
            padding=tuple(self.padding),
            dilation=tuple(self.dilation),
        )


class TrainingConv3d(TrainingConv, nn.Conv3d):
    """`nn.Conv3d` with its passes computed apart."""


class TrainingLinear(TrainingLayer, nn.Linear):
    """`nn.Linear` with its passes computed apart, on any leading dimensions."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (..., out_features) for inputs (..., in_features).

        The first of several dimensions is the mini-batch; a single vector is a mini-batch of one.

        Raises
        ------
        InputError
            The last dimension is another.
        """
        if not inputs.ndim or inputs.shape[-1] != self.in_features:
            raise self.error(
                f"inputs must have the shape (N, ..., {self.in_features}), "
                f"not {tuple(inputs.shape)}"
            )
        rows = inputs.unsqueeze(0) if inputs.ndim == 1 else inputs
        result = self._compute(rows, self.weight, self.bias, LinearGeometry())
        return result.squeeze(0) if inputs.ndim == 1 else result


_CLASSES = {
    nn.Conv1d: TrainingConv1d,
    nn.Conv2d: TrainingConv2d,
    nn.Conv3d: TrainingConv3d,
    nn.Linear: TrainingLinear,
}


@cache
def training_class(kind: type[nn.Module]) -> type[TrainingLayer] | None:
    """Return the class that an ordinary layer's class becomes, None if there is none.

    A class derived from an ordinary layer is one as long as it computes outputs in the same way.
    """
    if kind in _CLASSES:
        return _CLASSES[kind]
    for ordinary, training in _CLASSES.items():
        # Not `nn.Module.forward`: derived classes may compute with other weights than `weight`.
        if issubclass(kind, ordinary) and kind.forward is ordinary.forward:
            return type(f"Training{kind.__name__}", (training, kind), {"__doc__": training.__doc__})
    return None


def conv_shape_problems(conv: nn.Conv2d) -> list[str]:
    """Return why a convolution is none of `ConvShape`, and hence not for the accelerator."""
    problems = []
    if conv.groups != 1:
        problems.append(f"groups must be 1, not {conv.groups}")
    if conv.padding_mode != "zeros":
        problems.append(f"padding mode must be 'zeros', not {conv.padding_mode!r}")
    if isinstance(conv.padding, str):
        problems.append(f"padding must be a number or a pair of numbers, not {conv.padding!r}")
    return problems
