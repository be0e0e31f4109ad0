"""What each training method leaves of the operands of each pass, layer by layer.

Implements: SWAT (Raihan and Aamodt, NeurIPS 2020), Algorithm 1; ReSprop (Goli and Aamodt, CVPR
2020), Sec. 3.

Densities of the two operands of a pass:

=====================  ==================  =====================  =============================
pass (operands)        SWAT at sparsity s  ReSprop at s           both
=====================  ==================  =====================  =============================
forward (W, X)         1-s, 1              1, 1                   1-s, 1
input gradient (W, dY) 1-s, 1              1, d; plus 1/N         1-s, d; plus (1-s)/N
weight gradient (dY,X) 1, 1-s              d, 1; plus 1/N         d, 1-s; plus 1/N
=====================  ==================  =====================  =============================

d is the density of gradient differences that training aims at, 5 points above 1-s and at most 1
(`golden.methods.targets`), unless the nominal 1-s is asked for (`Gradients`); with d = 1 nothing is
reused. "Plus" is ReSprop's precomputed term, a convolution with the stored output gradient of one
sample (density 1), spread over the N samples of the batch; its weight gradient takes the inputs
summed over the batch, which are dense. The first layer needs no input gradient. SWAT leaves the
weights and inputs of the first layer dense (SWAT-U on ImageNet) and prunes the fully connected
layers; ReSprop leaves the fully connected layers dense and takes part in every convolution. Zeros
that ReLU leaves in the inputs are not credited in FLOPs, only, on request, in the performance
estimate.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from gscn.enums import takes_text
from gscn.errors import raise_problems
from gscn.golden.methods.targets import density_of, reuse_density
from gscn.perf.workload.layers import Layer


class Method(enum.StrEnum):
    """A training method."""

    DENSE = "dense"
    SWAT = "swat"
    RESPROP = "resprop"
    SWAT_RESPROP = "swat+resprop"

    @property
    def prunes(self) -> bool:
        """Whether weights and saved activations are sparsified, as SWAT does."""
        return self in (Method.SWAT, Method.SWAT_RESPROP)

    @property
    def reuses(self) -> bool:
        """Whether output gradients are replaced by sparse differences, as ReSprop does."""
        return self in (Method.RESPROP, Method.SWAT_RESPROP)


class Gradients(enum.StrEnum):
    """How dense ReSprop's gradient differences are taken to be."""

    TARGET = "target"
    """As its controller of thresholds aims at: 1 - sparsity and 5 points."""
    NOMINAL = "nominal"
    """1 - sparsity."""


@takes_text
@dataclass(frozen=True, kw_only=True, slots=True)
class Sparsification:
    """A method and its densities.

    Raises
    ------
    InputError
        Naming every field that is out of range.
    """

    method: Method
    sparsity: float
    """Share of weights, saved activations and gradient differences that the method zeroes."""
    activation_density: float = 1.0
    """Share of nonzeros that ReLU leaves in a layer's inputs; the image is dense."""
    gradients: Gradients = Gradients.TARGET
    """How dense ReSprop's gradient differences are, unless `gradient_density` is given."""
    gradient_density: float | None = None
    """Share of nonzeros in ReSprop's gradient differences; by default as `gradients` says."""

    def __post_init__(self) -> None:
        """Collect every problem and raise them together."""
        problems = []
        if not 0 <= self.sparsity < 1:
            problems.append(f"sparsity must be at least 0 and less than 1, not {self.sparsity}")
        if not 0 < self.activation_density <= 1:
            problems.append(
                f"activation density must be over 0 and at most 1, not {self.activation_density}"
            )
        if self.gradient_density is not None and not 0 < self.gradient_density <= 1:
            problems.append(
                f"gradient density must be over 0 and at most 1, not {self.gradient_density}"
            )
        if self.gradient_density is not None and self.gradients is Gradients.NOMINAL:
            problems.append(
                "gradients must be target where their density is given, not "
                f"{self.gradients} with {self.gradient_density}"
            )
        raise_problems("sparsification", problems)

    @property
    def difference_density(self) -> float:
        """Share of nonzeros in the output gradients of convolutions; 1 without ReSprop."""
        if not self.method.reuses:
            return 1.0
        if self.gradient_density is not None:
            return self.gradient_density
        kind = reuse_density if self.gradients is Gradients.TARGET else density_of
        return float(kind(self.sparsity))


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerDensities:
    """Shares of nonzeros of a layer's tensors, those that count as 1 where zeros are not skipped.

    Raises
    ------
    InputError
        Naming every share that is below 0 or above 1.
    """

    weights: float = 1.0
    """Of the weights used in the forward pass and the input gradient."""
    inputs: float = 1.0
    """Of the inputs of the forward pass."""
    activations: float = 1.0
    """Of the activations saved for the weight gradient."""
    output_grads: float = 1.0
    """Of the output gradients, or of their differences to a reused one."""
    reuses: bool = False
    """Whether ReSprop's terms of one sample are computed besides."""

    def __post_init__(self) -> None:
        """Collect every problem and raise them together."""
        raise_problems(
            "densities",
            [
                f"{name} must be from 0 to 1, not {value}"
                for name in ("weights", "inputs", "activations", "output_grads")
                if not 0 <= (value := getattr(self, name)) <= 1
            ],
        )


def target_densities(
    layer: Layer, sparsification: Sparsification, kept: float | None = None
) -> LayerDensities:
    """Return the densities that a method aims at in a layer.

    Parameters
    ----------
    layer
        The layer; its role decides what the method leaves dense.
    sparsification
        Method and densities.
    kept
        Density of the layer's weights and saved activations, whatever its role; by default the
        same for every layer but the first, which is dense. Weights have the density that the
        layer's source says, if it does.
    """
    method = sparsification.method
    inputs = 1.0 if layer.reads_image else sparsification.activation_density
    pruned = method.prunes and (kept is not None or not layer.first)
    differences = sparsification.difference_density
    # Training with a target of 100 % is dense and reuses nothing.
    reused = differences < 1 and not layer.linear
    if kept is None:
        kept = 1 - sparsification.sparsity
    weights = kept if pruned else 1.0
    return LayerDensities(
        weights=weights if layer.weight_density is None else layer.weight_density,
        inputs=inputs,
        # The k largest of a tensor that holds fewer than k nonzeros are those nonzeros.
        activations=min(kept, inputs) if pruned else inputs,
        output_grads=differences if reused else 1.0,
        reuses=reused,
    )
