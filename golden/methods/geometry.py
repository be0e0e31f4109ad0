"""What each kind of layer computes in each pass, by torch, and as which `ConvShape`.

Each is a `golden.methods.passes.Geometry`. All that the accelerator computes are convolutions of
two dimensions; layers are such convolutions as follows.

* One dimension: maps and kernels have one column. (In one row, strips of memory, which are rows,
  would hold whole maps, and leave few tiles to share the work out by.)
* Transposed: the convolution that it transposes, whose weights have the same layout. Its forward
  pass is that one's input gradient, and the reverse (`Pass.of_transposed`).
* Linear: a kernel of 1x1 on maps of one column, which has a row for each vector of a sample.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from gscn.conv import ConvShape, Pass
from gscn.errors import InputError
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

    def macs(self, inputs: Tensor, weights: Tensor, outputs: Tensor) -> int:
        """Return the multiplications of a forward pass, zeros and padding counted."""
        return weights[0].numel() * (inputs if self.transposed else outputs).numel()

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
        return result, None if bias is None else self.bias_term(bias)

    def bias_term(self, bias: Tensor) -> Tensor:
        """Return a bias as it is added to outputs."""
        return bias.reshape(1, -1, *[1] * len(self.stride))

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

    def conv_shape(self, inputs: Sequence[int], weights: Sequence[int]) -> ConvShape:
        """Return the convolution that is computed, transposed or not, with these operands.

        Parameters
        ----------
        inputs
            (N, C, ...), or of one sample without N.
        weights
            As the layer has them.

        Raises
        ------
        InputError
            No convolution of two dimensions.
        """
        axes = len(self.stride)
        if axes > 2:
            raise InputError(
                f"kernel must have one or two dimensions, not {axes}: sums over depth are not "
                "computed"
            )
        n, _, *size = inputs if len(inputs) == axes + 2 else (1, *inputs)
        first, second, *kernel = weights
        (h, w), (r, s) = (*size, 1)[:2], (*kernel, 1)[:2]
        found = {
            "n": n,
            "h": h,
            "w": w,
            "r": r,
            "s": s,
            "stride": (*self.stride, 1)[:2],
            "padding": (*self.padding, 0)[:2],
            "dilation": (*self.dilation, 1)[:2],
            "groups": self.groups,
        }
        if not self.transposed:
            return ConvShape(c=second * self.groups, k=first, **found)
        more = (*(self.output_padding or (0,) * axes), 0)[:2]
        return ConvShape.of_transposed(
            c=first, k=second * self.groups, output_padding=more, **found
        )

    def to_map(self, values: Tensor) -> Tensor:
        """Return inputs, outputs or weights as a tensor of that convolution; see the module."""
        return values if len(self.stride) == 2 else values.unsqueeze(-1)

    def from_map(self, values: Tensor, sizes: Sequence[int]) -> Tensor:  # noqa: ARG002
        """Undo `to_map`; `sizes` are those before it, but that channels may differ."""
        return values if len(self.stride) == 2 else values.squeeze(-1)

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


class Arithmetic(Protocol):
    """Calculates the passes of a `ConvShape` otherwise than torch does."""

    def convolve(self, which: Pass, shape: ConvShape, first: Tensor, second: Tensor) -> Tensor:
        """Return a pass of operands as in `ConvShape.operand_shapes`, in their type."""
        ...

    def together(self, calls: Sequence[Callable[[], Tensor]]) -> list[Tensor]:
        """Return what calls of `convolve` that do not depend on each other return, in order."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class LinearGeometry:
    """A linear layer on any leading dimensions, of which the first is the mini-batch."""

    transposed: ClassVar[bool] = False

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

    def macs(self, inputs: Tensor, weights: Tensor, outputs: Tensor) -> int:  # noqa: ARG002
        """Return the multiplications of a forward pass, zeros counted."""
        return weights.shape[1] * outputs.numel()

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

    def bias_term(self, bias: Tensor) -> Tensor:
        """Return a bias as it is added to outputs."""
        return bias

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

    def conv_shape(self, inputs: Sequence[int], weights: Sequence[int]) -> ConvShape:
        """Return the convolution that is computed, of inputs (N, ..., C) and weights (K, C)."""
        n, *rows, c = inputs if len(inputs) > 1 else (1, *inputs)
        return ConvShape(n=n, c=c, h=math.prod(rows), w=1, k=weights[0], r=1, s=1)

    def to_map(self, values: Tensor) -> Tensor:
        """Return inputs, outputs or weights as a tensor of that convolution; see the module."""
        rows = values.flatten(1, -2) if values.ndim > 2 else values.unsqueeze(1)
        return rows.transpose(1, 2).unsqueeze(-1)

    def from_map(self, values: Tensor, sizes: Sequence[int]) -> Tensor:
        """Undo `to_map`; `sizes` are those before it, but that channels may differ."""
        return values.squeeze(-1).transpose(1, 2).reshape(*sizes[:-1], values.shape[1])
