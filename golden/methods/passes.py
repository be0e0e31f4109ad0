"""The three passes of a convolution or a linear layer, computed apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from gscn.conv import ConvShape, Pass
from gscn.enums import takes_text


@takes_text
@dataclass(frozen=True, kw_only=True, slots=True)
class PassRecord:
    """One pass as a layer computed it; the layer's value is `result + precomputed`, broadcast.

    `first` and `second` are the operands in the order of `ConvShape.operand_shapes`, after
    sparsification and, where zeros are not padded evenly, after padding. `precomputed` is the term
    added to the result: the bias (1, K, 1, 1) in the forward pass of a convolution (a linear
    layer's is in the result), with ReSprop the reused gradient's part in the two others:
    (1, C, H, W), one for the whole mini-batch, and (K, C, R, S).
    """

    which: Pass
    first: Tensor
    second: Tensor
    result: Tensor
    precomputed: Tensor | None = None


class Owner(Protocol):
    """Whose passes they are: what `golden.methods.attached.Attached` attaches to a layer."""

    observer: Callable[[PassRecord], None] | None

    def error(self, problem: object) -> Exception:
        """Return an error that names the layer."""

    def observe(
        self, which: Pass, first: Tensor, second: Tensor, result: Tensor, term: Tensor | None
    ) -> None:
        """Hand a pass to the observer, if there is one."""

    def split_gradient(
        self, output_grad: Tensor, call: Any, *, training: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Return the output gradient as the method splits it: a sparse part, and a shared one."""

    def end_call(self, call: Any) -> None:
        """Take note that the gradients of a call have been computed."""


class Geometry(Protocol):
    """The three passes of a kind of layer; tensors have the mini-batch in front."""

    def check(self, attached: Owner, inputs: Tensor, weights: Tensor) -> None:
        """Raise `InputError`, naming the layer, for inputs that the weights do not fit."""

    def is_single(self, inputs: Tensor) -> bool:
        """Whether the inputs are one sample, without a mini-batch in front."""

    def to_filters(self, weights: Tensor) -> Tensor:
        """Return a view of the weights with the filters, or neurons, in front."""

    def from_filters(self, weights: Tensor) -> Tensor:
        """Undo `to_filters`."""

    def forward(
        self, inputs: Tensor, weights: Tensor, bias: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Return the outputs as a result and a term to add, or None."""

    def input_grad(self, shape: torch.Size, weights: Tensor, output_grad: Tensor) -> Tensor:
        """Return the gradient of inputs of this shape."""

    def weight_grad(self, inputs: Tensor, shape: torch.Size, output_grad: Tensor) -> Tensor:
        """Return the gradient of weights of this shape, summed over the mini-batch."""

    def bias_grad(self, output_grad: Tensor) -> Tensor:
        """Return the gradient of the bias."""

    def together(self, calls: Sequence[Callable[[], Tensor]]) -> list[Tensor]:
        """Return what passes that do not depend on each other return, in their order."""


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
        (n, c, h, w), (k, _, r, s) = inputs, weights
        geometry = self.geometry
        return ConvShape(
            n=n,
            c=c,
            h=h,
            w=w,
            k=k,
            r=r,
            s=s,
            stride=geometry.stride,
            padding=geometry.padding,
            dilation=geometry.dilation,
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


class ThreePasses(torch.autograd.Function):
    """The three passes of a layer on the operands that its sparsifiers chose.

    `used` are the weights of the forward pass and the input gradient, `saved` the activations of
    the weight gradient; `inputs` and `weights` are what gradients are for. With an autocast type
    the arithmetic is in that type, and gradients have the types of what they are for.
    """

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        weights: Tensor,
        bias: Tensor | None,
        saved: Tensor,
        used: Tensor,
        attached: Owner,
        geometry: Geometry,
        dtype: torch.dtype | None,
        call: object,
    ) -> Tensor:
        """Return the outputs."""
        ctx.attached, ctx.geometry, ctx.call = attached, geometry, call
        ctx.training = attached.training
        ctx.types = [None if t is None else t.dtype for t in (inputs, weights, bias)]
        ctx.shapes = saved.shape, used.shape
        with torch.autocast(inputs.device.type, enabled=False):
            if dtype is not None:
                both = saved is inputs
                inputs = inputs.to(dtype)
                saved = inputs if both else saved.to(dtype)
                used = used.to(dtype)
                bias = None if bias is None else bias.to(dtype)
            result, term = geometry.forward(inputs, used, bias)
        attached.observe(Pass.FORWARD, used, inputs, result, term)
        # No more than is needed, so that inputs of frozen weights may be changed in place after.
        needs_inputs, needs_weights = ctx.needs_input_grad[:2]
        ctx.save_for_backward(saved if needs_weights else None, used if needs_inputs else None)
        outputs = _add(attached, result, term)
        # Autograd refuses changes in place of views made here, such as those of flattened rows.
        if outputs._is_view():
            outputs = torch.ops.aten._unsafe_view(outputs, outputs.shape)
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, output_grad: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of inputs, weights and bias."""
        with torch.autocast(output_grad.device.type, enabled=False):
            grads = _backward(ctx, output_grad)
        typed = [
            grad if grad is None or grad.dtype == dtype else grad.to(dtype)
            for grad, dtype in zip(grads, ctx.types, strict=True)
        ]
        return *typed, None, None, None, None, None, None


def _backward(ctx: Any, output_grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    attached, geometry = ctx.attached, ctx.geometry
    saved, used = ctx.saved_tensors
    inputs_shape, weights_shape = ctx.shapes
    sparse_grad, shared_grad = attached.split_gradient(output_grad, ctx.call, training=ctx.training)
    attached.end_call(ctx.call)
    one = None if shared_grad is None else shared_grad.unsqueeze(0)
    calls: list[Callable[[], Tensor]] = []
    if ctx.needs_input_grad[0]:
        calls.append(lambda: geometry.input_grad(inputs_shape, used, sparse_grad))
        if one is not None:
            # Equal for all samples, so computed for one of them.
            sample = torch.Size((1, *inputs_shape[1:]))
            calls.append(lambda: geometry.input_grad(sample, used, one))
    if ctx.needs_input_grad[1]:
        calls.append(lambda: geometry.weight_grad(saved, weights_shape, sparse_grad))
        if one is not None:
            total = saved.sum(0, keepdim=True)
            calls.append(lambda: geometry.weight_grad(total, weights_shape, one))
    results = iter(geometry.together(calls))
    input_grad = weight_grad = bias_grad = None
    if ctx.needs_input_grad[0]:
        input_grad, term = next(results), None if one is None else next(results)
        attached.observe(Pass.INPUT_GRAD, used, sparse_grad, input_grad, term)
        input_grad = _add(attached, input_grad, term)
    if ctx.needs_input_grad[1]:
        weight_grad, term = next(results), None if one is None else next(results)
        attached.observe(Pass.WEIGHT_GRAD, sparse_grad, saved, weight_grad, term)
        weight_grad = _add(attached, weight_grad, term)
    if ctx.needs_input_grad[2]:
        bias_grad = geometry.bias_grad(output_grad)
    return input_grad, weight_grad, bias_grad


def _add(attached: Owner, result: Tensor, term: Tensor | None) -> Tensor:
    """Return their sum, in the memory of the result unless an observer may hold it."""
    if term is None:
        return result
    return result.add_(term) if attached.observer is None else result + term
