"""What a training step does besides convolutions: passes over tensors in memory.

Each is so many bytes through the memory port, and DRAM if it is a limit, and so many elements
through the lanes, one element per lane and cycle, whichever takes longest; nothing overlaps with
convolutions. Counted, for our accelerator and the dense array alike, per element of a convolution's
output:

==============================================  =============  =============
with normalisation                              values read    values written
==============================================  =============  =============
forward: statistics; normalisation and ReLU     2              1
backward: sums of gradients; their gradient     4              1
==============================================  =============  =============

Without it, ReLU reads one and writes one forward, and reads two and writes one backward. A weight
update (SGD with momentum, in 32 bits) reads weight, momentum and gradient and writes weight,
momentum and the weight in the operands' format. Pooling, residual additions and the loss are left
out.

For our accelerator alone, sparsification: weights, inputs, saved inputs and output gradients that
are not dense are read, compared with a threshold, and written as strips; ReSprop's differences read
the stored gradient besides. A dense operand needs no such pass.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gscn.conv import Pass
from gscn.enums import takes_text
from gscn.passes import VECTOR
from gscn.perf.estimate.memory import Dram, strip_bytes
from gscn.perf.estimate.result import BACKWARD, Mode, NetworkEstimate
from gscn.perf.workload.layers import Layer, Network
from gscn.perf.workload.sparsification import LayerDensities, Sparsification, target_densities

NORMALISATION = "normalisation and ReLU"
UPDATE = "weight update"
SPARSIFICATION = "sparsification"
_MASTER_BYTES = 4
"""Of a weight or momentum that is updated."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OtherWork:
    """One kind of pass over the tensors of a layer."""

    layer: str
    kind: str
    """`NORMALISATION`, `UPDATE` or `SPARSIFICATION`."""
    backward: bool
    elements: float
    """That pass through the lanes."""
    read_bytes: float
    write_bytes: float

    def cycles(self, lanes: int, port_bytes: float, dram: Dram | None = None) -> float:
        """Return the cycles on so many lanes and a port of so many bytes each way, before DRAM."""
        return max(
            self.elements / lanes,
            self.read_bytes / port_bytes,
            self.write_bytes / port_bytes,
            dram.cycles(self.read_bytes + self.write_bytes) if dram else 0.0,
        )


def other_work(
    network: Network,
    sparsification: Sparsification,
    *,
    value_bytes: int = 2,
    densities: Mapping[str, LayerDensities] | None = None,
) -> list[OtherWork]:
    """Return the passes over tensors of a training step, layer by layer.

    Parameters
    ----------
    network
        Layers; each says whether it is normalised.
    sparsification
        Method and densities.
    value_bytes
        Of an operand or result.
    densities
        Of the layers, by name; by default those that the method aims at.
    """
    found = []
    for layer in network.layers:
        found += _shared(layer, value_bytes)
        own = (densities or {}).get(layer.name) or target_densities(layer, sparsification)
        found += _sparsification(layer, own, value_bytes)
    return found


def _shared(layer: Layer, value_bytes: int) -> list[OtherWork]:
    normalised = layer.has_normalisation
    outputs, weights = math.prod(layer.shape.y_shape), math.prod(layer.shape.w_shape)

    def over_outputs(reads: int, *, backward: bool) -> OtherWork:
        return OtherWork(
            layer=layer.name,
            kind=NORMALISATION,
            backward=backward,
            elements=reads * outputs,
            read_bytes=reads * outputs * value_bytes,
            write_bytes=outputs * value_bytes,
        )

    found = [
        over_outputs(2 if normalised else 1, backward=False),
        over_outputs(4 if normalised else 2, backward=True),
    ]
    if layer.shares is not None:
        # Weights are updated once, however many layers use them.
        return found
    return [
        *found,
        OtherWork(
            layer=layer.name,
            kind=UPDATE,
            backward=True,
            elements=weights,
            read_bytes=weights * (2 * _MASTER_BYTES + value_bytes),
            write_bytes=weights * (2 * _MASTER_BYTES + value_bytes),
        ),
    ]


def _sparsification(layer: Layer, densities: LayerDensities, value_bytes: int) -> list[OtherWork]:
    shape = layer.shape
    inputs, outputs = math.prod(shape.x_shape), math.prod(shape.y_shape)
    found = []

    def add(elements: float, density: float, *, read: float, backward: bool) -> None:
        if density < 1:
            found.append(
                OtherWork(
                    layer=layer.name,
                    kind=SPARSIFICATION,
                    backward=backward,
                    elements=elements,
                    read_bytes=read,
                    write_bytes=strip_bytes(elements / VECTOR, VECTOR, density, value_bytes),
                )
            )

    weights = math.prod(shape.w_shape)
    if layer.shares is None:
        add(weights, densities.weights, read=weights * value_bytes, backward=False)
    add(inputs, densities.inputs, read=inputs * value_bytes, backward=False)
    if densities.activations < densities.inputs:
        add(inputs, densities.activations, read=inputs * value_bytes, backward=False)
    stored = outputs / shape.n if densities.reuses else 0
    add(
        outputs,
        densities.output_grads,
        read=(outputs + stored) * value_bytes,
        backward=True,
    )
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class WholeStep:
    """Cycles of a training step, or of its forward or backward part, with everything."""

    convolutions: float
    """Of our accelerator; `dense_convolutions` of the dense array."""
    dense_convolutions: float
    shared: dict[str, float]
    """Of what both do besides, by kind."""
    sparsification: float
    """Of what only our accelerator does."""

    @property
    def speedup(self) -> float:
        """Dense array over ours, with everything."""
        ours = self.convolutions + self.sparsification + sum(self.shared.values())
        return (self.dense_convolutions + sum(self.shared.values())) / ours

    @property
    def speedup_with_sparsification(self) -> float:
        """Dense array over ours, without what both do besides convolutions."""
        return self.dense_convolutions / (self.convolutions + self.sparsification)

    @property
    def limit(self) -> float:
        """Speed-up with everything if our convolutions and sparsification took no time."""
        shared = sum(self.shared.values())
        return (self.dense_convolutions + shared) / shared


def recorded_densities(result: NetworkEstimate) -> dict[str, LayerDensities]:
    """Return the densities of the operands that an estimate's passes have, by layer."""
    found: dict[str, dict[str, float]] = {}
    for one in result.passes:
        work, own = one.works[0].work, found.setdefault(one.layer.name, {})
        first, second = {
            Pass.FORWARD: ("weights", "inputs"),
            Pass.INPUT_GRAD: ("weights", "output_grads"),
            Pass.WEIGHT_GRAD: ("output_grads", "activations"),
        }[one.which]
        own |= {first: work.first_density, second: work.second_density}
    reuses = result.sparsification.method.reuses
    return {name: LayerDensities(**own, reuses=reuses) for name, own in found.items()}


@takes_text
def whole_step(result: NetworkEstimate, which: Iterable[Pass] = tuple(Pass)) -> WholeStep:
    """Add what is done besides convolutions to an estimate.

    Parameters
    ----------
    result
        The convolutions.
    which
        Passes: the forward pass brings its own other work, either backward pass that of both.
    """
    wanted = set(which)
    sides = {which in BACKWARD for which in wanted}
    config = result.config
    found = other_work(
        result.network,
        result.sparsification,
        value_bytes=config.format.width // 8,
        densities=recorded_densities(result) if result.mode is Mode.TRACE else None,
    )
    cycles: dict[str, float] = {NORMALISATION: 0.0, UPDATE: 0.0, SPARSIFICATION: 0.0}
    for work in found:
        if work.backward in sides:
            cycles[work.kind] += work.cycles(
                config.multipliers, config.port_bytes_per_cycle, result.dram
            )
    sparsification = cycles.pop(SPARSIFICATION)
    return WholeStep(
        convolutions=result.cycles(wanted),
        dense_convolutions=sum(p.dense.cycles for p in result.chosen(wanted)),
        shared=cycles,
        sparsification=sparsification,
    )
