"""The convolutions that a training step asks for, with the densities of their operands."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from gscn.conv import ConvShape, Pass
from gscn.enums import takes_text
from gscn.lowering.axes import meetings
from gscn.perf.workload.layers import Layer
from gscn.perf.workload.sparsification import LayerDensities, Sparsification, target_densities


@takes_text
@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """One convolution that a pass of a layer asks for."""

    shape: ConvShape
    which: Pass
    first_density: float
    """Share of nonzeros in the first operand of the pass (`ConvShape.operand_shapes`)."""
    second_density: float
    """Share of nonzeros in the second operand."""
    transposed: bool = False
    """Whether a transposed layer asks for it, of which `shape` is what it transposes."""
    precomputed: bool = False
    """Whether it is ReSprop's term of one stored sample."""

    @property
    def role(self) -> Pass:
        """The pass of the layer that asks for it: what its operands are follows from that."""
        return self.which.of_transposed if self.transposed else self.which

    @property
    def macs(self) -> float:
        """Expected multiply-accumulates, padding counted."""
        return self.shape.dense_macs * self.first_density * self.second_density

    @property
    def useful_products(self) -> float:
        """Expected products of two nonzeros that reach an output; those in the padding do not."""
        return inner_macs(self.shape) * self.first_density * self.second_density


def inner_macs(shape: ConvShape) -> int:
    """Return the multiply-accumulates of a dense pass that do not read the padding."""
    return shape.groups * meetings(shape.group)


def passes(layer: Layer) -> tuple[Pass, ...]:
    """Return the passes of a training step that a layer takes part in."""
    if layer.reads_image:
        return (Pass.FORWARD, Pass.WEIGHT_GRAD)
    return (Pass.FORWARD, Pass.INPUT_GRAD, Pass.WEIGHT_GRAD)


@takes_text
def pass_work(layer: Layer, which: Pass, sparsification: Sparsification) -> tuple[Work, ...]:
    """Return the convolutions that a pass of a layer consists of, with their densities.

    Parameters
    ----------
    layer
        The layer; its role decides what the method leaves dense.
    which
        The layer's pass.
    sparsification
        Method and densities.
    """
    return work_of(layer, which, target_densities(layer, sparsification))


@takes_text
def work_of(layer: Layer, which: Pass, densities: LayerDensities) -> tuple[Work, ...]:
    """Return the convolutions that a pass of a layer consists of, at given densities."""
    first, second = {
        Pass.FORWARD: (densities.weights, densities.inputs),
        Pass.INPUT_GRAD: (densities.weights, densities.output_grads),
        Pass.WEIGHT_GRAD: (densities.output_grads, densities.activations),
    }[which]
    if layer.transposed and which is Pass.WEIGHT_GRAD:
        # Its inputs are the outputs of what it transposes.
        first, second = second, first
    own = Work(
        shape=layer.shape,
        which=layer.runs_as(which),
        first_density=first,
        second_density=second,
        transposed=layer.transposed,
    )
    if not densities.reuses or which is Pass.FORWARD:
        return (own,)
    term = dataclasses.replace(
        own,
        shape=dataclasses.replace(layer.shape, n=1),
        first_density=densities.weights if which is Pass.INPUT_GRAD else 1.0,
        second_density=1.0,
        precomputed=True,
    )
    return own, term
