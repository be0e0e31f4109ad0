"""What a sparse-training method attaches to a layer, all of it behind one name of the layer.

Sparse-training methods plug in at three places: a weight mask that takes part in differentiation
(DST), an operand sparsifier that chooses the weights used and the activations saved (SWAT), and a
gradient sparsifier that splits output gradients (ReSprop). A layer with none of them is dense.

A layer may be called several times before the gradients of the first call are asked for: such calls
belong to one iteration of the layer and are told apart by their index.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gscn.errors import InputError
from gscn.golden.methods.as_convolution import OtherArithmetic
from gscn.golden.methods.geometry import Arithmetic
from gscn.golden.methods.loss_scale import is_finite, split_unscaled
from gscn.golden.methods.passes import (
    Choice,
    Geometry,
    PassRecord,
    Setting,
    ThreePasses,
    everything,
    in_turn,
)
from gscn.golden.methods.selection import count_nonzeros, is_traced

NAME = "gscn"
"""Of the module, in the layer, that holds everything that is not the layer's own."""


class WeightMask(nn.Module):
    """Replaces the weights of a layer by masked ones; gradients flow through it."""

    def forward(self, weights: Tensor) -> Tensor:
        """Return the masked weights."""
        raise NotImplementedError

    def kept(self) -> Choice:
        """Return what makes again of weights what `forward` last made of them."""
        raise NotImplementedError


class OperandSparsifier(nn.Module):
    """Chooses the weights that a layer uses and the activations that it saves."""

    def forward(self, inputs: Tensor, weights: Tensor, call: int = 0) -> tuple[Choice, Choice]:
        """Return which activations the weight gradient has, and which weights both passes use.

        `call` is the index of the call in its iteration, or `NO_ITERATION`.
        """
        raise NotImplementedError

    def evaluated(self, weights: Tensor) -> Tensor:
        """Return the weights that evaluation uses."""
        raise NotImplementedError


class GradientSparsifier(nn.Module):
    """Replaces an output gradient by a sparse one and a term shared by all samples.

    Attributes
    ----------
    nonzeros : Tensor or None
        Nonzeros of the last S, if the sparsifier counted them.
    """

    nonzeros: Tensor | None = None

    def forward(self, output_grad: Tensor, call: int = 0) -> tuple[Tensor, Tensor | None]:
        """Split (N, ...) into (S, g), `output_grad ~ S + g`; g has no N, or is None for 0."""
        raise NotImplementedError


NO_ITERATION = -1
"""Index of a call in training mode without gradients: it chooses as the first of the next iteration
will, on the same inputs, and leaves iterations as they are."""


class Call:
    """One call of a layer whose gradients have not been asked for yet."""

    __slots__ = ("__weakref__", "index")

    def __init__(self, index: int) -> None:
        self.index = index


class Attached(nn.Module):
    """Everything that a converted layer has beside what is its own.

    Parameters
    ----------
    layer_name
        In the model, for messages.
    weight_mask, operand_sparsifier, gradient_sparsifier
        The parts of the method.
    check_gradients
        Whether output gradients that are not finite raise an error.
    intercepts
        Whether the layer has a forward of its own, which is run as it is.

    Attributes
    ----------
    observer : callable or None
        Called with a `PassRecord` after each pass. Records hold the live tensors: copy to keep.
    arithmetic : Arithmetic or None
        Calculates the passes of a layer that is a `ConvShape`; None: torch.
    scaler : torch.amp.GradScaler or None
        Scales the loss; not of copies.
    geometry : Geometry or None
        Of the last call.
    calls : int
        Calls so far.
    macs : int
        Multiplications of their forward passes, of zeros and padding too.
    is_calculating : bool
        Whether a call is being computed: its products are not another one's.
    was_plain : bool
        Whether the last call was computed in operations of torch's own.
    transforms : bool
        Whether the layer's own forward computes the weights that it uses from its weight.
    bypassed : bool
        Whether the model was seen to use the weights without the layer.
    """

    def __init__(
        self,
        layer_name: str,
        *,
        weight_mask: WeightMask | None = None,
        operand_sparsifier: OperandSparsifier | None = None,
        gradient_sparsifier: GradientSparsifier | None = None,
        check_gradients: bool = False,
        intercepts: bool = False,
    ) -> None:
        super().__init__()
        self.layer_name = layer_name
        self.weight_mask = weight_mask
        self.operand_sparsifier = operand_sparsifier
        self.gradient_sparsifier = gradient_sparsifier
        self.check_gradients = check_gradients
        self.intercepts = intercepts
        self.observer: Callable[[PassRecord], None] | None = None
        self.arithmetic: Arithmetic | None = None
        self.scaler: torch.amp.GradScaler | None = None
        self.geometry: Geometry | None = None
        self.calls = 0
        self.macs = 0
        self.is_calculating = False
        self.bypassed = False
        self.was_plain = False
        self.transforms = False
        self._counts: dict[str, dict[int, tuple[Tensor, int]]] = {}
        self._grads_are_old = False
        self._pending: weakref.WeakSet[Call] = weakref.WeakSet()

    def __getstate__(self) -> dict[str, Any]:
        """Return what copies and files have: waiting calls and scaler are the original's."""
        return {k: v for k, v in vars(self).items() if k != "_pending"} | {"scaler": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over what `__getstate__` returned."""
        super().__setstate__(state)
        self._pending = weakref.WeakSet()

    @property
    def is_sparse(self) -> bool:
        """Whether the layer has a part of the method."""
        parts = (self.weight_mask, self.operand_sparsifier, self.gradient_sparsifier)
        return any(part is not None for part in parts)

    @property
    def nonzeros(self) -> dict[str, tuple[Tensor, int]]:
        """Of the last training iteration, all its calls together.

        (nonzeros, elements) of "weights", "activations" and "output_grads". The nonzeros are a
        tensor, so that a device need not be waited for.
        """
        return {
            what: (sum(count for count, _ in found.values()), sum(n for _, n in found.values()))
            for what, found in self._counts.items()
            if found
        }

    def note_nonzeros(self, what: str, nonzeros: int, elements: int) -> None:
        """Take over what was counted in an iteration that something else computed."""
        self._counts[what] = {0: (torch.tensor(nonzeros), elements)}

    def error(self, problem: object) -> InputError:
        """Return an error that names the layer."""
        return InputError(f"layer {self.layer_name}: {problem}")

    def calculate(
        self,
        inputs: Tensor,
        weights: Tensor,
        bias: Tensor | None,
        geometry: Geometry,
        pad: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Return the outputs of the layer, of which the backward passes are computed apart.

        Parameters
        ----------
        inputs
            With the mini-batch in front, or of a single sample where the geometry has that form.
        weights, bias
            As the layer uses them.
        geometry
            What is computed with them.
        pad
            Pads the inputs before.
        """
        if self.arithmetic is not None:
            geometry = OtherArithmetic(geometry=geometry, arithmetic=self.arithmetic)
        geometry.check(self, inputs, weights)
        self.calls += 1
        self.geometry = geometry
        single = geometry.is_single(inputs)
        if single:
            inputs = inputs.unsqueeze(0)
        self.was_plain = not inputs.numel() or is_traced(inputs, weights)
        self.is_calculating = True
        try:
            if not inputs.numel():
                # Nothing is multiplied, so there is nothing to choose and nothing to remember.
                result = _plain(inputs, weights, bias, geometry, pad)
            elif self.was_plain:
                result = self._differentiable(inputs, weights, bias, geometry, pad)
            else:
                result = self._three_passes(inputs, weights, bias, geometry, pad)
                self.macs += geometry.macs(inputs, weights, result)
        finally:
            self.is_calculating = False
        return result.squeeze(0) if single else result

    def _three_passes(
        self,
        inputs: Tensor,
        weights: Tensor,
        bias: Tensor | None,
        geometry: Geometry,
        pad: Callable[[Tensor], Tensor] | None,
    ) -> Tensor:
        call = Call(0)
        if self.training:
            # Without gradients, as a checkpointed part first runs, no iteration of training begins.
            call = self._begin_call() if torch.is_grad_enabled() else Call(NO_ITERATION)
        basis, choices = weights.detach(), []
        if self.weight_mask is not None:
            weights = geometry.from_filters(self.weight_mask(geometry.to_filters(weights)))
            choices.append(self.weight_mask.kept())
        used, activations = weights.detach(), everything
        if self.operand_sparsifier is not None:
            try:
                with torch.no_grad():
                    by_filter = geometry.to_filters(used)
                    activations, chosen = self.operand_sparsifier(inputs, by_filter, call.index)
            except InputError as error:
                raise self.error(error) from error
            if chosen is not everything:
                used = geometry.from_filters(chosen(by_filter))
                choices.append(chosen)
        if self.training:
            self._count("weights", 0, used)
            self._count("activations", call.index, activations(inputs.detach()))
        setting = Setting(
            attached=self,
            geometry=geometry,
            dtype=_autocast_dtype(inputs),
            call=call,
            basis=basis,
            weights_kept=in_turn(geometry, choices),
            activations_kept=activations,
        )
        # Padding repeats elements or adds zeros, so that choosing may come after it.
        inputs = inputs if pad is None else pad(inputs)
        return ThreePasses.apply(inputs, weights, bias, used, setting)

    def _differentiable(
        self,
        inputs: Tensor,
        weights: Tensor,
        bias: Tensor | None,
        geometry: Geometry,
        pad: Callable[[Tensor], Tensor] | None,
    ) -> Tensor:
        """Return the outputs in operations of torch alone, without state: for `torch.func`."""
        if self.training and self.is_sparse:
            raise self.error(
                "a training step changes the method's state, which torch.func, torch.export and "
                "tracing cannot follow: call eval() on the model, or golden.unsparsify, before"
            )
        used = weights
        if self.weight_mask is not None:
            used = geometry.from_filters(self.weight_mask(geometry.to_filters(weights)))
        if self.operand_sparsifier is not None:
            by_filter = geometry.to_filters(weights)
            chosen = geometry.from_filters(self.operand_sparsifier.evaluated(by_filter.detach()))
            # Exactly `chosen`, whose elements are 0 or the weight, with the gradient of `weights`.
            used = weights + (chosen - weights.detach())
        return _plain(inputs, used, bias, geometry, pad)

    def evaluated(self, weights: Tensor, geometry: Geometry) -> Tensor:
        """Return the weights that evaluation uses."""
        with torch.no_grad():
            by_filter = geometry.to_filters(weights)
            if self.weight_mask is not None:
                training = self.weight_mask.training
                by_filter = self.weight_mask.eval()(by_filter)
                self.weight_mask.train(training)
            if self.operand_sparsifier is not None:
                by_filter = self.operand_sparsifier.evaluated(by_filter)
            return geometry.from_filters(by_filter)

    def split_gradient(
        self, output_grad: Tensor, call: Call, *, training: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Return the output gradient as the gradient sparsifier splits it, checked and counted.

        Raises
        ------
        InputError
            The gradient is not finite, without a scaler of the loss; the sparsifier refuses it; or
            a part needs a schedule that there is not.
        """
        scaled = self.scaler is not None and self.scaler.is_enabled()
        finite = not (scaled or self.check_gradients) or is_finite(output_grad)
        if not (finite or scaled):
            raise self.error("output gradients must be finite, not NaN or infinite")
        split: tuple[Tensor, Tensor | None] = (output_grad, None)
        if not training:
            return split
        for part in (self.operand_sparsifier, self.gradient_sparsifier):
            if getattr(part, "lacks_schedule", False):
                raise self.error(
                    "its method follows the epochs or the optimiser, and would never leave its "
                    "first iteration: make a golden.Schedule before training, or call "
                    "golden.begin_iteration before each iteration"
                )
        counted = None
        # The step of a gradient that is not finite is left out: nothing of it is remembered.
        if self.gradient_sparsifier is not None and finite:
            scale = self.scaler.get_scale() if scaled else 1.0
            try:
                split = split_unscaled(self.gradient_sparsifier, output_grad, call.index, scale)
            except InputError as error:
                raise self.error(error) from error
            counted = self.gradient_sparsifier.nonzeros
        if self._grads_are_old:
            self._counts.pop("output_grads", None)
            self._grads_are_old = False
        self._count("output_grads", call.index, split[0], counted)
        return split

    def end_call(self, call: Call) -> None:
        """Take note that the gradients of a call have been computed."""
        self._pending.discard(call)

    def _begin_call(self) -> Call:
        taken = {call.index for call in self._pending}
        call = Call(next(index for index in itertools.count() if index not in taken))
        self._pending.add(call)
        if not call.index:
            self._counts.pop("activations", None)
            self._grads_are_old = True
        return call

    def _count(self, what: str, index: int, values: Tensor, counted: Tensor | None = None) -> None:
        if counted is None:
            counted = count_nonzeros(values.detach())
        self._counts.setdefault(what, {})[index] = (counted, values.numel())


def _plain(
    inputs: Tensor,
    weights: Tensor,
    bias: Tensor | None,
    geometry: Geometry,
    pad: Callable[[Tensor], Tensor] | None,
) -> Tensor:
    result, term = geometry.forward(inputs if pad is None else pad(inputs), weights, bias)
    return result if term is None else result + term


def _autocast_dtype(inputs: Tensor) -> torch.dtype | None:
    """Return the type in which autocast wants the arithmetic, or None."""
    device = inputs.device.type
    if not torch.is_autocast_enabled(device) or inputs.dtype == torch.float64:
        return None
    return torch.get_autocast_dtype(device)
