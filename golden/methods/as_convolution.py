"""Layers as convolutions of two dimensions: for arithmetic that is not torch's, and for records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from gscn.conv import ConvShape, Pass
from gscn.errors import InputError
from gscn.golden.methods.geometry import Arithmetic, ConvGeometry, LinearGeometry
from gscn.golden.methods.passes import Owner, PassRecord


def as_convolution(record: PassRecord) -> tuple[ConvShape, PassRecord]:
    """Return the convolution that a pass of a layer is of, and the record of its pass.

    Its geometry is that of the layer, whatever calculates it. Tensors are views where they can be.
    Those of a transposed layer change places: what it computes
    forward is an input gradient, and its inputs stand where output gradients do.

    Parameters
    ----------
    record
        As a layer computed it.

    Raises
    ------
    InputError
        The layer is no convolution of two dimensions, whatever its form.
    """
    geometry: Any = record.geometry
    if isinstance(geometry, OtherArithmetic):
        geometry = geometry.geometry
    inputs, weights = {
        Pass.FORWARD: (record.second, record.first),
        Pass.INPUT_GRAD: (record.result, record.first),
        Pass.WEIGHT_GRAD: (record.second, record.result),
    }[record.which]
    shape = geometry.conv_shape(inputs.shape, weights.shape)
    which, first, second = record.which, record.first, record.second
    if geometry.transposed:
        which = which.of_transposed
        if which is Pass.WEIGHT_GRAD:
            first, second = second, first
    terms = record.precomputed
    if terms is not None:
        # Of a linear layer in other arithmetic, the bias is (K,).
        terms = geometry.to_map(terms.unsqueeze(0) if terms.ndim == 1 else terms)
    return shape, replace(
        record,
        geometry=geometry,
        which=which,
        first=geometry.to_map(first),
        second=geometry.to_map(second),
        result=geometry.to_map(record.result),
        precomputed=terms,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class OtherArithmetic:
    """A layer whose passes `arithmetic` calculates."""

    geometry: ConvGeometry | LinearGeometry
    arithmetic: Arithmetic

    def check(self, attached: Owner, inputs: Tensor, weights: Tensor) -> None:
        """Raise `InputError`, naming the layer, for what no `ConvShape` describes."""
        self.geometry.check(attached, inputs, weights)
        try:
            self.geometry.conv_shape(inputs.shape, weights.shape)
        except InputError as error:
            raise attached.error(f"in other arithmetic, {error}") from error

    def is_single(self, inputs: Tensor) -> bool:
        """Whether the inputs are one sample, without a mini-batch in front."""
        return self.geometry.is_single(inputs)

    def macs(self, inputs: Tensor, weights: Tensor, outputs: Tensor) -> int:
        """Return the multiplications of a forward pass, zeros and padding counted."""
        return self.geometry.macs(inputs, weights, outputs)

    def to_filters(self, weights: Tensor) -> Tensor:
        """Return a view of the weights with the filters in front."""
        return self.geometry.to_filters(weights)

    def from_filters(self, weights: Tensor) -> Tensor:
        """Undo `to_filters`."""
        return self.geometry.from_filters(weights)

    def forward(
        self, inputs: Tensor, weights: Tensor, bias: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Return the outputs without the bias, and the bias, or None."""
        shape = self.geometry.conv_shape(inputs.shape, weights.shape)
        result = self._convolve(Pass.FORWARD, shape, weights, inputs, inputs.shape)
        return result, None if bias is None else self.geometry.bias_term(bias)

    def input_grad(self, shape: torch.Size, weights: Tensor, output_grad: Tensor) -> Tensor:
        """Return the gradient of inputs of this shape."""
        conv = self.geometry.conv_shape(shape, weights.shape)
        return self._convolve(Pass.INPUT_GRAD, conv, weights, output_grad, shape)

    def weight_grad(self, inputs: Tensor, shape: torch.Size, output_grad: Tensor) -> Tensor:
        """Return the gradient of weights of this shape, summed over the mini-batch."""
        conv = self.geometry.conv_shape(inputs.shape, shape)
        operands = (output_grad, inputs)
        if self.geometry.transposed:
            operands = (inputs, output_grad)
        return self._convolve(Pass.WEIGHT_GRAD, conv, *operands, shape)

    def _convolve(
        self,
        which: Pass,
        shape: ConvShape,
        first: Tensor,
        second: Tensor,
        sizes: Sequence[int],
    ) -> Tensor:
        geometry = self.geometry
        result = self.arithmetic.convolve(
            which.of_transposed if geometry.transposed else which,
            shape,
            geometry.to_map(first),
            geometry.to_map(second),
        )
        if which is Pass.WEIGHT_GRAD:
            return result.reshape(sizes)
        return geometry.from_map(result, sizes)

    def bias_grad(self, output_grad: Tensor) -> Tensor:
        """Return the sum over all dimensions but that of the channels."""
        return self.geometry.bias_grad(output_grad)

    def together(self, calls: Sequence[Callable[[], Tensor]]) -> list[Tensor]:
        """Return what passes return; the arithmetic decides when it calculates which."""
        return self.arithmetic.together(calls)
