"""The three passes of a convolution or a linear layer, computed apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gscn.conv import Pass
from gscn.enums import takes_text


@takes_text
@dataclass(frozen=True, kw_only=True, slots=True)
class PassRecord:
    """One pass as a layer computed it; the layer's value is `result + precomputed`, broadcast.

    `first` and `second` are the operands in the order of `ConvShape.operand_shapes`, after
    sparsification and, where zeros are not padded evenly, after padding. `precomputed` is the term
    added to the result: the bias in the forward pass, (1, K, 1, 1) of a convolution and (K) of a
    linear layer, with ReSprop the reused gradient's part in the two others: (1, C, H, W), one for
    the whole mini-batch, and (K, C, R, S).
    """

    which: Pass
    first: Tensor
    second: Tensor
    result: Tensor
    geometry: Geometry
    """What is computed."""
    call: Any
    """Of which call of the layer: the same object in all its passes."""
    precomputed: Tensor | None = None


Choice: TypeAlias = Callable[[Tensor], Tensor]
"""Returns a tensor with zeros where the method wants none, the same for the same tensor always."""


def everything(values: Tensor) -> Tensor:
    """Return the tensor: the choice of methods that leave it alone."""
    return values


def in_turn(geometry: Geometry, choices: Sequence[Choice]) -> Choice:
    """Return the choices one after the other, of weights as the layer has them."""
    if not choices:
        return everything

    def choose(weights: Tensor) -> Tensor:
        filters = geometry.to_filters(weights)
        for one in choices:
            filters = one(filters)
        return geometry.from_filters(filters)

    return choose


class Owner(Protocol):
    """Whose passes they are: what `golden.methods.attached.Attached` attaches to a layer."""

    observer: Callable[[PassRecord], None] | None

    def error(self, problem: object) -> Exception:
        """Return an error that names the layer."""

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

    def macs(self, inputs: Tensor, weights: Tensor, outputs: Tensor) -> int:
        """Return the multiplications of a forward pass, zeros and padding counted."""

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """What decides how a call of a layer computes, besides its tensors."""

    attached: Owner
    geometry: Geometry
    dtype: torch.dtype | None
    """Autocast's, or None."""
    call: Any
    """Whose gradients will be computed; handed back to `attached`."""
    basis: Tensor
    """Of which `weights_kept` makes the weights used."""
    weights_kept: Choice
    activations_kept: Choice
    """Makes the activations of the weight gradient of the inputs."""


class ThreePasses(torch.autograd.Function):
    """The three passes of a layer on the operands that its sparsifiers chose.

    `used` are the weights of the forward pass and the input gradient; `inputs` and `weights` are
    what gradients are for. With an autocast type the arithmetic is in that type, and gradients have
    the types of what they are for.

    What the sparsifiers chose is chosen again in the backward pass, so that between the passes
    memory holds what it would of a dense layer: inputs and weights, which others may hold anyway.
    """

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        weights: Tensor,
        bias: Tensor | None,
        used: Tensor,
        setting: Setting,
    ) -> Tensor:
        """Return the outputs."""
        ctx.setting = setting
        attached, dtype = setting.attached, setting.dtype
        ctx.training = attached.training
        ctx.types = [None if t is None else t.dtype for t in (inputs, weights, bias)]
        ctx.shapes = inputs.shape, used.shape
        ctx.activations_kept = setting.activations_kept
        needs_inputs, needs_weights = ctx.needs_input_grad[:2]
        with torch.autocast(inputs.device.type, enabled=False):
            saved = inputs
            if dtype is not None:
                inputs = inputs.to(dtype)
                if saved is not inputs and needs_weights:
                    # The narrower copy takes less memory than what it is made of.
                    saved = setting.activations_kept(saved).to(dtype)
                    ctx.activations_kept = everything
                used = used.to(dtype)
                bias = None if bias is None else bias.to(dtype)
            result, term = setting.geometry.forward(inputs, used, bias)
            if attached.observer is not None:
                _show_forward(setting, used, inputs, bias, (result, term))
        # No more than is needed, so that inputs of frozen weights may be changed in place after.
        ctx.save_for_backward(
            saved if needs_weights else None, setting.basis if needs_inputs else None
        )
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
        return *typed, None, None


def _backward(ctx: Any, output_grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    attached, geometry, call = ctx.setting.attached, ctx.setting.geometry, ctx.setting.call
    saved, used = _chosen_again(ctx)
    inputs_shape, weights_shape = ctx.shapes
    sparse_grad, shared_grad = attached.split_gradient(output_grad, call, training=ctx.training)
    attached.end_call(call)
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
        _show(ctx.setting, Pass.INPUT_GRAD, (used, sparse_grad), input_grad, term)
        input_grad = _add(attached, input_grad, term)
    if ctx.needs_input_grad[1]:
        weight_grad, term = next(results), None if one is None else next(results)
        _show(ctx.setting, Pass.WEIGHT_GRAD, (sparse_grad, saved), weight_grad, term)
        weight_grad = _add(attached, weight_grad, term)
    if ctx.needs_input_grad[2]:
        bias_grad = geometry.bias_grad(output_grad)
    return input_grad, weight_grad, bias_grad


def _chosen_again(ctx: Any) -> tuple[Tensor | None, Tensor | None]:
    """Return the activations of the weight gradient and the weights of the input gradient."""
    saved, basis = ctx.saved_tensors
    if saved is not None:
        saved = ctx.activations_kept(saved)
    if basis is not None:
        basis = ctx.setting.weights_kept(basis)
        if ctx.setting.dtype is not None:
            basis = basis.to(ctx.setting.dtype)
    return saved, basis


def _show_forward(
    setting: Setting,
    used: Tensor,
    inputs: Tensor,
    bias: Tensor | None,
    outputs: tuple[Tensor, Tensor | None],
) -> None:
    result, term = outputs
    if bias is not None and term is None:
        # A linear layer adds it while it multiplies.
        (result, _), term = setting.geometry.forward(inputs, used, None), bias
    _show(setting, Pass.FORWARD, (used, inputs), result, term)


def _show(
    setting: Setting,
    which: Pass,
    operands: tuple[Tensor, Tensor],
    result: Tensor,
    term: Tensor | None,
) -> None:
    """Hand a pass to the observer, if there is one."""
    if setting.attached.observer is not None:
        setting.attached.observer(
            PassRecord(
                which=which,
                first=operands[0],
                second=operands[1],
                result=result,
                precomputed=term,
                geometry=setting.geometry,
                call=setting.call,
            )
        )


def _add(attached: Owner, result: Tensor, term: Tensor | None) -> Tensor:
    """Return their sum, in the memory of the result unless an observer may hold it."""
    if term is None:
        return result
    return result.add_(term) if attached.observer is None else result + term
