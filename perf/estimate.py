"""Training time of a full network, from the utilisation of samples of its layers.

The cycles of a pass of a layer are its expected useful products divided by the multipliers times
the utilisation that the cycle model finds on a sample (`perf.sampling`). They are compared with a
dense array of as many multipliers at the same clock and memory port (`perf.dense`). What is assumed
is listed in the result, in words.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

from gscn.config import AcceleratorConfig
from gscn.conv import ConvShape, Pass
from gscn.errors import InputError
from perf.dense import DenseCost, dense_cost
from perf.flops import (
    Sparsification,
    Work,
    inference_reduction,
    pass_work,
    passes,
    training_reduction,
)
from perf.networks import Layer, Network
from perf.sampling import SAMPLE_PRODUCTS, Measure, Measurement, Sample, choose_sample, measure

BACKWARD = (Pass.INPUT_GRAD, Pass.WEIGHT_GRAD)


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkEstimate:
    """One convolution of a pass: what is expected of it and the sample it is judged by."""

    work: Work
    sample: Sample
    measurement: Measurement

    @property
    def cycles(self) -> float:
        """Expected clock cycles on the accelerator."""
        measured = self.measurement
        return self.work.useful_products / (measured.multipliers * measured.utilization)


@dataclass(frozen=True, kw_only=True, slots=True)
class PassEstimate:
    """One pass of one layer."""

    layer: Layer
    which: Pass
    works: tuple[WorkEstimate, ...]
    dense: DenseCost

    @property
    def cycles(self) -> float:
        """Expected clock cycles on the accelerator."""
        return sum(work.cycles for work in self.works)


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkEstimate:
    """A training step of a network: every pass of every layer."""

    network: Network
    config: AcceleratorConfig
    sparsification: Sparsification
    sample_products: int
    passes: tuple[PassEstimate, ...]

    def speedup(self, which: Iterable[Pass] = tuple(Pass), *, layer: str | None = None) -> float:
        """Return cycles of the dense array over ours, for some passes of all layers or of one."""
        wanted = set(which)
        chosen = [p for p in self.passes if p.which in wanted and layer in (None, p.layer.name)]
        return sum(p.dense.cycles for p in chosen) / sum(p.cycles for p in chosen)

    def cycles(self, which: Iterable[Pass] = tuple(Pass)) -> float:
        """Return our clock cycles, for some passes of all layers."""
        wanted = set(which)
        return sum(p.cycles for p in self.passes if p.which in wanted)


def estimate(
    network: Network,
    config: AcceleratorConfig,
    sparsification: Sparsification,
    *,
    sample_products: int = SAMPLE_PRODUCTS,
    measure: Measure = measure,
) -> NetworkEstimate:
    """Estimate a training step of a network on the accelerator and on the dense array.

    Parameters
    ----------
    network
        Layers at one image size and batch.
    config
        The accelerator; the dense array has as many multipliers and the same port.
    sparsification
        Method and densities.
    sample_products
        Useful products of a sample, at most (expected).
    measure
        Measures the samples; by default with the cycle model.

    Raises
    ------
    InputError
        A sample cannot be lowered, or has no products.
    """
    if sample_products < 1:
        raise InputError(f"sample products must be at least 1, not {sample_products}")
    items = [
        (layer, which, pass_work(layer, which, sparsification))
        for layer in network.layers
        for which in passes(layer)
    ]
    samples = {
        work: choose_sample(work, products=sample_products)
        for _, _, works in items
        for work in works
    }
    distinct = list(dict.fromkeys(samples.values()))
    measured = dict(zip(distinct, measure(config, distinct), strict=True))
    return NetworkEstimate(
        network=network,
        config=config,
        sparsification=sparsification,
        sample_products=sample_products,
        passes=tuple(
            PassEstimate(
                layer=layer,
                which=which,
                works=tuple(
                    WorkEstimate(
                        work=work, sample=samples[work], measurement=measured[samples[work]]
                    )
                    for work in works
                ),
                dense=dense_cost(config, layer.shape, which),
            )
            for layer, which, works in items
        ),
    )


def assumptions(result: NetworkEstimate) -> list[str]:
    """Return what the estimate takes for granted, in words."""
    sparsification = result.sparsification
    method = sparsification.method
    lines = [
        (
            "Cycles of a layer: its expected useful products, divided by the multipliers times "
            "the utilisation of a sample of the layer on the cycle model of "
            f"{result.config.multipliers} multipliers."
        ),
        (
            f"Samples hold at most {result.sample_products} expected useful products: the batch, "
            "rows and columns, and channels are halved until they fit. Start and end of a launch "
            "weigh more in a sample than in its layer, which understates the utilisation."
        ),
        "Operands of samples are uniform random; nonzeros of real tensors are spread less evenly.",
        (
            "Layers run one after the other. Pooling, normalisation, ReLU, the selection of "
            "nonzeros and the weight update are not counted, neither here nor in the dense "
            "baseline."
        ),
        (
            "Inputs of layers after the first have a density of "
            f"{sparsification.activation_density:g} before any selection by the method; the image "
            "is dense."
        ),
        "The first layer needs no input gradient.",
        (
            "The dense baseline has as many multipliers at the same clock, arranged anew for "
            "each pass to waste least. It starts a tile in every cycle, reads operands once and "
            "writes results once over the same port, and overlaps that with computing."
        ),
        "FLOP reductions count padding and do not credit zeros that ReLU leaves.",
    ]
    kept = f"{1 - sparsification.sparsity:g}"
    if method.prunes:
        lines += [
            (
                f"SWAT: weights {kept} dense in forward and input gradient; inputs {kept} dense "
                "(or as ReLU leaves them, if fewer) in the weight gradient."
            ),
            (
                "SWAT: weights and saved inputs of the first layer are dense; fully connected "
                "layers are sparse."
            ),
        ]
    if method.reuses:
        density = sparsification.gradient_density
        differences = kept if density is None else f"{density:g}"
        lines += [
            (
                f"ReSprop: differences of output gradients {differences} dense in every "
                "convolution; the output gradients of fully connected layers are dense."
            ),
            (
                "ReSprop: the backward passes of a convolution also convolve with one stored, "
                "dense output gradient, 1/N of the batch; the inputs summed over the batch are "
                "dense."
            ),
        ]
    elif method.prunes:
        lines.append("SWAT: output gradients are dense.")
    return lines


def to_json(result: NetworkEstimate) -> dict[str, object]:
    """Return the estimate as plain JSON values: totals, assumptions, layers and their passes."""
    first = result.network.layers[0].shape
    sparsification = result.sparsification
    return {
        "network": result.network.name,
        "image_size": [first.h, first.w],
        "batch": first.n,
        "method": str(sparsification.method),
        "sparsity": sparsification.sparsity,
        "activation_density": sparsification.activation_density,
        "gradient_density": sparsification.gradient_density,
        "forward_speedup_vs_dense": result.speedup((Pass.FORWARD,)),
        "backward_speedup_vs_dense": result.speedup(BACKWARD),
        "training_speedup_vs_dense": result.speedup(),
        "training_flop_reduction": training_reduction(result.network, sparsification),
        "inference_flop_reduction": inference_reduction(result.network, sparsification),
        "forward_cycles": result.cycles((Pass.FORWARD,)),
        "backward_cycles": result.cycles(BACKWARD),
        "training_cycles": result.cycles(),
        "multipliers": result.config.multipliers,
        "config": result.config.to_dict(),
        "config_digest": result.config.digest(),
        "sample_products": result.sample_products,
        "assumptions": assumptions(result),
        "layers": [_layer_json(result, layer) for layer in result.network.layers],
    }


def _layer_json(result: NetworkEstimate, layer: Layer) -> dict[str, object]:
    alone = Network(name=layer.name, layers=(layer,))
    own = [p for p in result.passes if p.layer == layer]
    return {
        "name": layer.name,
        "linear": layer.linear,
        "first": layer.first,
        "shape": _shape_json(layer.shape),
        "forward_speedup_vs_dense": result.speedup((Pass.FORWARD,), layer=layer.name),
        "backward_speedup_vs_dense": result.speedup(BACKWARD, layer=layer.name),
        "training_speedup_vs_dense": result.speedup(layer=layer.name),
        "training_flop_reduction": training_reduction(alone, result.sparsification),
        "inference_flop_reduction": inference_reduction(alone, result.sparsification),
        "passes": [_pass_json(p) for p in own],
    }


def _pass_json(estimated: PassEstimate) -> dict[str, object]:
    return {
        "pass": str(estimated.which),
        "cycles": estimated.cycles,
        "dense_cycles": estimated.dense.cycles,
        "dense_bound": estimated.dense.bound,
        "dense_arrangement": list(estimated.dense.arrangement),
        "speedup_vs_dense": estimated.dense.cycles / estimated.cycles,
        "convolutions": [
            {
                "precomputed_term": item.work.precomputed,
                "batch": item.work.shape.n,
                "first_operand_density": item.work.first_density,
                "second_operand_density": item.work.second_density,
                "expected_useful_products": item.work.useful_products,
                "cycles": item.cycles,
                "utilization": item.measurement.utilization,
                "sample": {
                    "shape": _shape_json(item.sample.shape),
                    "useful_products": item.measurement.useful_products,
                    "cycles": item.measurement.cycles,
                },
            }
            for item in estimated.works
        ],
    }


def _shape_json(shape: ConvShape) -> dict[str, object]:
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in dataclasses.asdict(shape).items()
    }
