"""What each kind of layer computes in each pass: convolutions, by torch or not, and linear layers.

Each is a `golden.methods.passes.Geometry`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from gscn.conv import ConvShape, Pass
from gscn.golden.methods.passes import Owner

_CONVOLVE = (functional.conv1d, functional.conv2d, functional.conv3d)
_TRANSPOSED = (
    functional.conv_transpose1d,
    functional.conv_transpose2d,
    functional.conv_transpose3d,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvGeometry:
    """A convolution of one, two or three dimensions, padded evenly by zeros."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    transposed: bool = False
    output_padding: tuple[int, ...] = ()
    """Of a transposed convolution."""

    def check(self, attached: Owner, inputs: Tensor, weights: Tensor) -> None:
        """Raise `InputError`, naming the layer, for inputs that the weights do not fit."""
        channels = weights.shape[0] if self.transposed else weights.shape[1] * self.groups
        axes = len(self.stride)
        if inputs.ndim not in (axes + 1, axes + 2) or inputs.shape[-axes - 1] != channels:
            letters = ", ".join("DHW"[-axes:]) if axes > 1 else "L"
            raise attached.error(
                f"inputs must have the shape (N, {channels}, {letters}), or ({channels}, "
                f"{letters}) of one sample, not {tuple(inputs.shape)}"
            )

    def is_single(self, inputs: Tensor) -> bool:
        """Whether the inputs are one sample, without a mini-batch in front."""
        return inputs.ndim == len(self.stride) + 1

    def to_filters(self, weights: Tensor) -> Tensor:
        """Return a view of the weights with the filters in front."""
        if not self.transposed:
            return weights
        return weights.unflatten(0, (self.groups, -1)).transpose(1, 2).flatten(0, 1)

    def from_filters(self, weights: Tensor) -> Tensor:
        """Undo `to_filters`."""
        if not self.transposed:
            return weights
        return weights.unflatten(0, (self.groups, -1)).transpose(1, 2).flatten(0, 1)

    def forward(
        self, inputs: Tensor, weights: Tensor, bias: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Return the outputs without the bias, and the bias, or None."""
        axes = len(self.stride)
        if self.transposed:
            result = _TRANSPOSED[axes - 1](
                inputs,
                weights,
                None,
                self.stride,
                self.padding,
                self.output_padding,
                self.groups,
                self.dilation,
            )
        else:
            result = _CONVOLVE[axes - 1](
                inputs, weights, None, self.stride, self.padding, self.dilation, self.groups
            )
        term = None if bias is None else bias.reshape(1, -1, *[1] * len(self.stride))
        return result, term

    def input_grad(self, shape: torch.Size, weights: Tensor, output_grad: Tensor) -> Tensor:
        """Return the gradient of inputs of this shape."""
        # Only the shape of the inputs matters, so no memory is given to them.
        inputs = output_grad.new_empty(1).expand(shape)
        return self._backward(output_grad, inputs, weights, (True, False, False))[0]

    def weight_grad(self, inputs: Tensor, shape: torch.Size, output_grad: Tensor) -> Tensor:
        """Return the gradient of weights of this shape, summed over the mini-batch."""
        weights = output_grad.new_empty(1).expand(shape)
        return self._backward(output_grad, inputs, weights, (False, True, False))[1]

    def bias_grad(self, output_grad: Tensor) -> Tensor:
        """Return the sum over all dimensions but that of the channels."""
        return output_grad.sum((0, *range(2, output_grad.ndim)))

    def together(self, calls: Sequence[Callable[[], Tensor]]) -> list[Tensor]:
        """Return what passes return, called one after the other."""
        return [call() for call in calls]

    def _backward(
        self, output_grad: Tensor, inputs: Tensor, weights: Tensor, wanted: tuple[bool, bool, bool]
    ) -> tuple[Tensor, Tensor, Tensor]:
        return torch.ops.aten.convolution_backward(
            output_grad,
            inputs,
            weights,
            None,
            self.stride,
            self.padding,
            self.dilation,
            self.transposed,
            self.output_padding or [0],
            self.groups,
            wanted,
        )


def convolution_shape(
    inputs: Sequence[int],
    weights: Sequence[int],
    *,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> ConvShape:
    """Return the shape of a convolution of one or two dimensions and one group.

    Parameters
    ----------
    inputs
        (N, C, H, W) or, of one dimension, (N, C, W), which is a map of one row; or that of one
        sample, without N.
    weights
        (K, C, R, S) or (K, C, S).
    stride, padding, dilation
        A number for every axis, or one for all.
    """
    n, c, *size = inputs if len(inputs) == len(weights) else (1, *inputs)
    k, _, *kernel = weights
    (h, w), (r, s) = (1, *size)[-2:], (1, *kernel)[-2:]

    def pair(values: Sequence[int], of_one_row: int) -> tuple[int, int]:
        values = [*values] * (len(kernel) // len(values))
        return tuple([of_one_row, *values][-2:])

    return ConvShape(
        n=n,
        c=c,
        h=h,
        w=w,
        k=k,
        r=r,
        s=s,
        stride=pair(stride, 1),
        padding=pair(padding, 0),
        dilation=pair(dilation, 1),
    )


class Arithmetic(Protocol):
    """Calculates the passes of a `ConvShape` otherwise than torch does."""

    def convolve(self, which: Pass, shape: ConvShape, first: Tensor, second: Tensor) -> Tensor:
        """Return a pass of operands as in `ConvShape.operand_shapes`, in their type."""
        ...

    def together(self, calls: Sequence[Callable[[], Tensor]]) -> list[Tensor]:
        """Return what calls of `convolve` that do not depend on each other return, in order."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class OtherArithmetic:
    """A convolution whose passes `arithmetic` calculates."""

    geometry: ConvGeometry
    """Of two dimensions and one group."""
    arithmetic: Arithmetic

    def check(self, attached: Owner, inputs: Tensor, weights: Tensor) -> None:
        """Raise `InputError`, naming the layer, for what no `ConvShape` describes."""
        self.geometry.check(attached, inputs, weights)
        if self.geometry.groups != 1:
            raise attached.error(
                f"groups must be 1 in other arithmetic, not {self.geometry.groups}"
            )

    def is_single(self, inputs: Tensor) -> bool:
        """Whether the inputs are one sample, without a mini-batch in front."""
        return self.geometry.is_single(inputs)

    def to_filters(self, weights: Tensor) -> Tensor:
        """Return the weights, which have the filters in front."""
        return weights

    def from_filters(self, weights: Tensor) -> Tensor:
        """Undo `to_filters`."""
        return weights

    def _shape(self, inputs: torch.Size, weights: torch.Size) -> ConvShape:
        return convolution_shape(
            inputs,
            weights,
            stride=self.geometry.stride,
            padding=self.geometry.padding,
            dilation=self.geometry.dilation,
        )

    def forward(
        self, inputs: Tensor, weights: Tensor, bias: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Return the outputs without the bias, and the bias, or None."""
        shape = self._shape(inputs.shape, weights.shape)
        result = self.arithmetic.convolve(Pass.FORWARD, shape, weights, inputs)
        return result, None if bias is None else bias.reshape(1, -1, 1, 1)

    def input_grad(self, shape: torch.Size, weights: Tensor, output_grad: Tensor) -> Tensor:
        """Return the gradient of inputs of this shape."""
        conv = self._shape(shape, weights.shape)
        return self.arithmetic.convolve(Pass.INPUT_GRAD, conv, weights, output_grad)

    def weight_grad(self, inputs: Tensor, shape: torch.Size, output_grad: Tensor) -> Tensor:
        """Return the gradient of weights of this shape, summed over the mini-batch."""
        conv = self._shape(inputs.shape, shape)
        return self.arithmetic.convolve(Pass.WEIGHT_GRAD, conv, output_grad, inputs)

    def bias_grad(self, output_grad: Tensor) -> Tensor:
        """Return the sum over all dimensions but that of the channels."""
        return self.geometry.bias_grad(output_grad)

    def together(self, calls: Sequence[Callable[[], Tensor]]) -> list[Tensor]:
        """Return what passes return; the arithmetic decides when it calculates which."""
        return self.arithmetic.together(calls)


@dataclass(frozen=True, kw_only=True, slots=True)
class LinearGeometry:
    """A linear layer on any leading dimensions, of which the first is the mini-batch."""

    def check(self, attached: Owner, inputs: Tensor, weights: Tensor) -> None:
        """Raise `InputError`, naming the layer, for inputs that the weights do not fit."""
        if not inputs.ndim or inputs.shape[-1] != weights.shape[1]:
            raise attached.error(
                f"inputs must have the shape (N, ..., {weights.shape[1]}), "
                f"not {tuple(inputs.shape)}"
            )

    def is_single(self, inputs: Tensor) -> bool:
        """Whether the inputs are a single vector."""
        return inputs.ndim == 1

    def to_filters(self, weights: Tensor) -> Tensor:
        """Return the weights, which have the neurons in front."""
        return weights

    def from_filters(self, weights: Tensor) -> Tensor:
        """Undo `to_filters`."""
        return weights

    def forward(
        self, inputs: Tensor, weights: Tensor, bias: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Return the outputs with the bias, and None."""
        return functional.linear(inputs, weights, bias), None

    # The shapes, which a convolution needs, follow from the operands.

    def input_grad(self, _: torch.Size, weights: Tensor, output_grad: Tensor) -> Tensor:
        """Return the gradient of the inputs."""
        return output_grad @ weights

    def weight_grad(self, inputs: Tensor, _: torch.Size, output_grad: Tensor) -> Tensor:
        """Return the gradient of the weights, summed over all leading dimensions."""
        return output_grad.flatten(0, -2).T @ inputs.flatten(0, -2)

    def bias_grad(self, output_grad: Tensor) -> Tensor:
        """Return the sum over all leading dimensions."""
        return output_grad.flatten(0, -2).sum(0)

    def together(self, calls: Sequence[Callable[[], Tensor]]) -> list[Tensor]:
        """Return what passes return, called one after the other."""
        return [call() for call in calls]
