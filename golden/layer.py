"""A convolution layer whose three training passes are computed apart and can be observed.

Sparse-training methods plug in at two places: a `WeightActivationSparsifier` chooses the weights
used and the activations saved in the forward pass, an `OutputGradientSparsifier` replaces the
output gradient in the backward pass. A layer with neither is an ordinary dense convolution.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from golden.arithmetic import Arithmetic, TorchArithmetic
from gscn.conv import ConvShape, Pass
from gscn.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class PassRecord:
    """One pass as a layer computed it; the layer's value is `result + precomputed`, broadcast.

    `first` and `second` are the operands in the order of `ConvShape.operand_shapes`, after
    sparsification. `precomputed` is the term added to the convolution of the operands: the bias
    (1, K, 1, 1) in the forward pass, with ReSprop the reused gradient's part in the two others:
    (1, C, H, W), one for the whole mini-batch, and (K, C, R, S). Operands are as the layer's
    arithmetic is given them; it may round them first.
    """

    which: Pass
    first: Tensor
    second: Tensor
    result: Tensor
    precomputed: Tensor | None = None


class WeightActivationSparsifier(nn.Module):
    """Chooses the weights that a layer uses and the activations that it saves."""

    def forward(self, inputs: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Return (activations to save for the weight gradient, weights to use in both passes)."""
        raise NotImplementedError


class OutputGradientSparsifier(nn.Module):
    """Replaces an output gradient by a sparse one and a term shared by all samples."""

    def forward(self, output_grad: Tensor) -> tuple[Tensor, Tensor | None]:
        """Split (N, K, P, Q) into (S, g), `output_grad ~ S + g`; g is (K, P, Q) or None for 0."""
        raise NotImplementedError


class _ThreePassConvolution(torch.autograd.Function):
    """The three passes; `layer` supplies the geometry, the sparsifiers and the observer."""

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, weights: Tensor, bias: Tensor | None, layer: TrainingConv2d
    ) -> Tensor:
        saved, used = inputs, weights
        if layer.operand_sparsifier is not None:
            saved, used = layer.operand_sparsifier(inputs, weights)
        shape = layer.conv_shape(inputs.shape)
        result = layer.arithmetic.convolve(Pass.FORWARD, shape, used, inputs)
        term = None if bias is None else bias.reshape(1, -1, 1, 1)
        layer.observe(Pass.FORWARD, used, inputs, result, term)
        ctx.save_for_backward(saved, used)
        ctx.layer = layer
        return result if term is None else result + term

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, output_grad: Tensor) -> tuple[Tensor | None, ...]:
        layer = ctx.layer
        saved, used = ctx.saved_tensors
        shape = layer.conv_shape(saved.shape)
        # What is equal for all samples is computed for one of them.
        one = dataclasses.replace(shape, n=1)
        convolve = layer.arithmetic.convolve
        sparse_grad, shared_grad = output_grad, None
        if layer.gradient_sparsifier is not None and layer.training:
            sparse_grad, shared_grad = layer.gradient_sparsifier(output_grad)
        input_grad = weight_grad = bias_grad = term = None
        if ctx.needs_input_grad[0]:
            input_grad = convolve(Pass.INPUT_GRAD, shape, used, sparse_grad)
            if shared_grad is not None:
                term = convolve(Pass.INPUT_GRAD, one, used, shared_grad.unsqueeze(0))
            layer.observe(Pass.INPUT_GRAD, used, sparse_grad, input_grad, term)
            input_grad = input_grad if term is None else input_grad + term
        term = None
        if ctx.needs_input_grad[1]:
            weight_grad = convolve(Pass.WEIGHT_GRAD, shape, sparse_grad, saved)
            if shared_grad is not None:
                term = convolve(
                    Pass.WEIGHT_GRAD, one, shared_grad.unsqueeze(0), saved.sum(0, keepdim=True)
                )
            layer.observe(Pass.WEIGHT_GRAD, sparse_grad, saved, weight_grad, term)
            weight_grad = weight_grad if term is None else weight_grad + term
        if ctx.needs_input_grad[2]:
            bias_grad = output_grad.sum((0, 2, 3))
        return input_grad, weight_grad, bias_grad, None


class TrainingConv2d(nn.Conv2d):
    """`nn.Conv2d` with its passes computed apart, as the accelerator computes them.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, padding, dilation, bias, device, dtype
        As of `nn.Conv2d`; padding is by zeros, in numbers.
    operand_sparsifier
        Chooses weights and saved activations; by default both stay dense.
    gradient_sparsifier
        Splits output gradients in training mode; by default they stay dense.

    Attributes
    ----------
    arithmetic : golden.arithmetic.Arithmetic
        Calculates the passes; by default torch does.
    observer : callable or None
        Called with a `PassRecord` after each pass. Records hold the live tensors: copy to keep.

    Raises
    ------
    InputError
        Padding given as a string.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        *,
        bias: bool = True,
        operand_sparsifier: WeightActivationSparsifier | None = None,
        gradient_sparsifier: OutputGradientSparsifier | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        if isinstance(padding, str):
            raise InputError(f"padding must be a number or a pair of numbers, not {padding!r}")
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            bias=bias,
            device=device,
            dtype=dtype,
        )
        self.operand_sparsifier = operand_sparsifier
        self.gradient_sparsifier = gradient_sparsifier
        self.arithmetic: Arithmetic = TorchArithmetic()
        self.observer: Callable[[PassRecord], None] | None = None

    @property
    def geometry(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        """(stride, padding, dilation), each (vertical, horizontal)."""
        return self.stride, self.padding, self.dilation

    def conv_shape(self, inputs_shape: tuple[int, int, int, int]) -> ConvShape:
        """Return the shape of the convolution for inputs of shape (N, C, H, W)."""
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

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (N, K, P, Q) for inputs (N, C, H, W).

        Raises
        ------
        InputError
            The inputs do not have the shape (N, C, H, W) with C = `in_channels`.
        """
        if inputs.ndim != 4 or inputs.shape[1] != self.in_channels:
            raise InputError(
                f"inputs must have the shape (N, {self.in_channels}, H, W), "
                f"not {tuple(inputs.shape)}"
            )
        return _ThreePassConvolution.apply(inputs, self.weight, self.bias, self)

    def observe(
        self, which: Pass, first: Tensor, second: Tensor, result: Tensor, term: Tensor | None
    ) -> None:
        """Hand a pass to the observer, if there is one."""
        if self.observer is not None:
            self.observer(
                PassRecord(which=which, first=first, second=second, result=result, precomputed=term)
            )

    @classmethod
    def from_conv(cls, conv: nn.Conv2d, **method: Any) -> Self:
        """Return a layer of this class with the geometry and the parameters of `conv`.

        Parameters
        ----------
        conv
            Ordinary convolution; its parameters are taken over, not copied.
        **method
            Further arguments of the class: sparsity, generator, sparsifiers.

        Raises
        ------
        InputError
            Grouped, padded otherwise than by zeros, or transposed: not supported.
        """
        problems = []
        if conv.groups != 1:
            problems.append(f"groups must be 1, not {conv.groups}")
        if conv.padding_mode != "zeros":
            problems.append(f"padding mode must be 'zeros', not {conv.padding_mode!r}")
        if problems:
            raise InputError("convolution: " + "; ".join(problems))
        # On the meta device no parameters are drawn: they would advance the global generator.
        layer = cls(
            conv.in_channels,
            conv.out_channels,
            conv.kernel_size,
            conv.stride,
            conv.padding,
            conv.dilation,
            bias=conv.bias is not None,
            device="meta",
            **method,
        )
        layer.weight = conv.weight
        layer.bias = conv.bias
        layer.to(conv.weight.device)
        layer.train(conv.training)
        return layer
