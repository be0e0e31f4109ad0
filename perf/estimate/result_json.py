"""An estimate of a training step in words and as JSON: what it takes for granted, what it found."""

from __future__ import annotations

import dataclasses

from gscn.conv import ConvShape, Pass
from gscn.perf.estimate.other_work import WholeStep, recorded_densities, whole_step
from gscn.perf.estimate.result import BACKWARD, Mode, NetworkEstimate, PassEstimate, WorkEstimate
from gscn.perf.workload.flops import flop_reduction, inference_reduction, training_reduction
from gscn.perf.workload.layers import Layer, Network
from gscn.perf.workload.sparsification import Gradients, Sparsification
from gscn.perf.workload.statistics import read_statistics


def assumptions(result: NetworkEstimate) -> list[str]:
    """Return what the estimate takes for granted, in words."""
    sparsification = result.sparsification
    method = sparsification.method
    always = [
        (
            "Layers run one after the other. Speed-ups are of convolutions and fully connected "
            "layers; normalisation, ReLU, the weight update and the selection of nonzeros are "
            "counted as passes over tensors in memory where it says so (`other_work`), ReLU "
            "after every layer; pooling, residual additions and the loss are not counted."
        ),
        (
            "The dense baseline has as many multipliers at the same clock, arranged anew for "
            "each pass to waste least. It starts a tile in every cycle, reads operands once and "
            "writes results once over the same port, and overlaps that with computing."
        ),
        _normalisation_line(result.network),
        _coverage_line(result.network),
    ]
    if result.mode is Mode.TRACE:
        credited = (
            "FLOP reductions are of the recorded operands: they count padding and credit zeros "
            "that ReLU leaves, which a trace does not tell from those of the method; ReSprop's "
            "terms of one sample are counted in them."
        )
        return [*_mode_lines(result), *always, credited]
    always.append("FLOP reductions count padding and do not credit zeros that ReLU leaves.")
    lines = [
        *_mode_lines(result),
        (
            "Inputs of layers after the first have a density of "
            f"{sparsification.activation_density:g} before any selection by the method; the image "
            "is dense."
        ),
        "Layers that read the image need no input gradient.",
        *always,
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
        lines += [
            (
                f"ReSprop: differences of output gradients {sparsification.difference_density:g} "
                f"dense in every convolution ({_why_so_dense(sparsification)}); the output "
                "gradients of fully connected layers are dense."
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


_NAMED_IN_TEXT = 12
"""Omitted parts that a text names, the largest; JSON has all."""


def _normalisation_line(network: Network) -> str:
    count = sum(layer.has_normalisation for layer in network.layers)
    unsaid = sum(layer.normalised is None for layer in network.layers)
    text = f"{count} of {len(network.layers)} layers are normalised"
    if unsaid:
        text += (
            f"; for {unsaid} of them nobody said: convolutions are taken to be, fully connected "
            "layers not to be"
        )
    return f"{text}."


def _coverage_line(network: Network) -> str:
    """Say what the network computes besides its layers."""
    if network.omitted is None:
        return (
            "Figures are of the layers listed: whether the network computes anything besides "
            "is not known."
        )
    if not network.omitted:
        return "Every product of the network's forward pass is one of a layer listed."
    largest = sorted(network.omitted, key=lambda one: -(one.share or 0.0))
    named = "; ".join(str(one) for one in largest[:_NAMED_IN_TEXT])
    more = len(largest) - _NAMED_IN_TEXT
    return (
        f"Figures are of the layers listed, {100 * network.covered_share:.2f} % of the "
        "multiply-accumulates of a forward pass. Not among them: "
        + named
        + (f"; and {more} more" if more > 0 else "")
        + "."
    )


def _why_so_dense(sparsification: Sparsification) -> str:
    if sparsification.gradient_density is not None:
        return "as given"
    if sparsification.gradients is Gradients.NOMINAL:
        return "the nominal 1 - sparsity; training aims at more"
    points = 100 * (sparsification.difference_density - (1 - sparsification.sparsity))
    return f"what training aims at, {points:g} points above 1 - sparsity"


def _mode_lines(result: NetworkEstimate) -> list[str]:
    """Say how the cycles were found."""
    found = {
        Mode.TRACE: _trace_lines,
        Mode.UNIFORM: _uniform_lines,
        Mode.ANALYTIC: _analytic_lines,
        Mode.STATISTICAL: _statistical_lines,
    }
    return found[result.mode](result)


def _trace_lines(result: NetworkEstimate) -> list[str]:
    text = (
        f"Cycles are those of the cycle model of {result.config.multipliers} multipliers on the "
        "recorded operands, every pass as a whole; it equals the generated Verilog cycle for "
        "cycle. ReSprop's terms of one sample, whose operands a trace does not hold, are not "
        "counted."
    )
    return [text]


def _uniform_lines(result: NetworkEstimate) -> list[str]:
    how = (
        "Cycles of a layer: its expected useful products, divided by the multipliers times the "
        "utilisation of a sample of the layer on the cycle model of "
        f"{result.config.multipliers} multipliers."
    )
    size = (
        f"Samples hold at most {result.sample_products} expected useful products: the batch, rows "
        "and columns, and channels are halved until they fit. Start and end of a launch weigh more "
        "in a sample than in its layer, which understates the utilisation."
    )
    even = (
        "Operands of samples are uniform random; nonzeros of real tensors are spread less evenly."
    )
    return [how, size, even]


def _analytic_lines(_: NetworkEstimate) -> list[str]:
    how = (
        "Cycles of a layer are those of a closed form whose coefficients were fitted to the cycle "
        "model (docs/results/model-error.md has its error)."
    )
    return [how, *_statistics_lines()]


def _statistical_lines(result: NetworkEstimate) -> list[str]:
    works = _works(result)
    sampled = {work.sample for work in works if work.sample}
    covered = sum(work.cycles for work in works if work.sample) / result.cycles()
    how = (
        f"{len(sampled)} samples of at most {result.sample_products} expected useful products, "
        "with operands drawn by the statistics of real ones, were run on the cycle model of "
        f"{result.config.multipliers} multipliers. A closed form brings each to the size of its "
        f"layer. Layers with a sample take {100 * covered:.0f} % of the cycles; the others are "
        "corrected as their pass is on average."
    )
    return [how, *_statistics_lines()]


def _statistics_lines() -> list[str]:
    statistics = read_statistics()
    factors = ", ".join(f"{statistics.products[which]:.3f} ({which})" for which in Pass)
    products = (
        "Products of a pass: those that independent operands of the given densities have, times "
        f"{factors}, as real ones were found to have."
    )
    return [products, f"Statistics of real operands: {'; '.join(statistics.traces)}."]


def to_json(result: NetworkEstimate) -> dict[str, object]:
    """Return the estimate as plain JSON values: totals, assumptions, layers and their passes."""
    first = result.network.layers[0].shape
    sparsification = result.sparsification
    recorded = result.mode is Mode.TRACE
    omitted = result.network.omitted
    return {
        "network": result.network.name,
        "image_size": [first.h, first.w],
        "batch": first.n,
        "method": str(sparsification.method),
        "sparsity": sparsification.sparsity,
        "mode": str(result.mode),
        "activation_density": None if recorded else sparsification.activation_density,
        "gradients": None if recorded else str(sparsification.gradients),
        "gradient_density": None if recorded else sparsification.difference_density,
        "forward_speedup_vs_dense": result.speedup((Pass.FORWARD,)),
        "backward_speedup_vs_dense": result.speedup(BACKWARD),
        "training_speedup_vs_dense": result.speedup(),
        "covered_share": result.network.covered_share,
        "omitted": None if omitted is None else [dataclasses.asdict(one) for one in omitted],
        **_flop_reductions(result, result.network),
        "forward_cycles": result.cycles((Pass.FORWARD,)),
        "backward_cycles": result.cycles(BACKWARD),
        "training_cycles": result.cycles(),
        "clock_hz": result.clock_hz,
        "forward_seconds": result.cycles((Pass.FORWARD,)) / result.clock_hz,
        "backward_seconds": result.cycles(BACKWARD) / result.clock_hz,
        "training_seconds": result.cycles() / result.clock_hz,
        "read_bytes": sum(work.read_bytes for work in _works(result)),
        "write_bytes": sum(work.write_bytes for work in _works(result)),
        "rival_cycles": {
            name: {
                "forward": result.rival_cycles((Pass.FORWARD,))[name],
                "backward": result.rival_cycles(BACKWARD)[name],
                "training": cycles,
            }
            for name, cycles in result.rival_cycles().items()
        },
        "whole_step": {
            name: _step_json(whole_step(result, which))
            for name, which in (
                ("forward", (Pass.FORWARD,)),
                ("backward", BACKWARD),
                ("training", tuple(Pass)),
            )
        },
        "multipliers": result.config.multipliers,
        "config": result.config.to_dict(),
        "config_digest": result.config.digest(),
        "sample_products": result.sample_products,
        "assumptions": assumptions(result),
        "layers": [_layer_json(result, layer) for layer in result.network.layers],
    }


def _step_json(step: WholeStep) -> dict[str, object]:
    return {
        "convolution_cycles": step.convolutions,
        "dense_convolution_cycles": step.dense_convolutions,
        "sparsification_cycles": step.sparsification,
        "shared_cycles": step.shared,
        "speedup_with_sparsification": step.speedup_with_sparsification,
        "speedup_with_everything": step.speedup,
        "speedup_limit": step.limit,
    }


def _flop_reductions(result: NetworkEstimate, network: Network) -> dict[str, float]:
    """Return the shares of dense FLOPs that are saved, of the whole network or of a layer."""
    if result.mode is Mode.TRACE:
        names = {layer.name for layer in network.layers}
        densities = {k: v for k, v in recorded_densities(result).items() if k in names}
        return {
            "training_flop_reduction": flop_reduction(network, densities),
            "inference_flop_reduction": flop_reduction(network, densities, forward_only=True),
        }
    return {
        "training_flop_reduction": training_reduction(network, result.sparsification),
        "inference_flop_reduction": inference_reduction(network, result.sparsification),
    }


def _works(result: NetworkEstimate) -> list[WorkEstimate]:
    return [work for one in result.passes for work in one.works]


def _layer_json(result: NetworkEstimate, layer: Layer) -> dict[str, object]:
    alone = Network(name=layer.name, layers=(layer,))
    own = [p for p in result.passes if p.layer == layer]
    return {
        "name": layer.name,
        "linear": layer.linear,
        "first": layer.first,
        "reads_image": layer.reads_image,
        "normalised": layer.has_normalisation,
        "shares": layer.shares,
        "shape": _shape_json(layer.shape),
        "forward_speedup_vs_dense": result.speedup((Pass.FORWARD,), layer=layer.name),
        "backward_speedup_vs_dense": result.speedup(BACKWARD, layer=layer.name),
        "training_speedup_vs_dense": result.speedup(layer=layer.name),
        **_flop_reductions(result, alone),
        "passes": [_pass_json(p, result.clock_hz) for p in own],
    }


def _pass_json(estimated: PassEstimate, clock_hz: float) -> dict[str, object]:
    return {
        "pass": str(estimated.which),
        "cycles": estimated.cycles,
        "seconds": estimated.cycles / clock_hz,
        "read_bytes": sum(work.read_bytes for work in estimated.works),
        "write_bytes": sum(work.write_bytes for work in estimated.works),
        "busy_cycles": estimated.busy,
        "bound": estimated.bound,
        "rival_cycles": estimated.rivals,
        "dense_cycles": estimated.dense.cycles,
        "dense_bound": estimated.dense.bound,
        "dense_arrangement": list(estimated.dense.arrangement),
        "speedup_vs_dense": estimated.dense.cycles / estimated.cycles,
        "convolutions": [_work_json(item) for item in estimated.works],
    }


def _work_json(item: WorkEstimate) -> dict[str, object]:
    sample = None
    if item.sample is not None and item.measurement is not None:
        sample = {
            "shape": _shape_json(item.sample.shape),
            "operands": [str(kind) for kind in item.sample.kinds],
            "useful_products": item.measurement.useful_products,
            "cycles": item.measurement.cycles,
            "utilization": item.measurement.utilization,
            "causes": dict(item.measurement.causes),
        }
        if item.measurement.accesses is not None:
            sample["accesses"] = dataclasses.asdict(item.measurement.accesses)
    return {
        "precomputed_term": item.work.precomputed,
        "batch": item.work.shape.n,
        "first_operand_density": item.work.first_density,
        "second_operand_density": item.work.second_density,
        "expected_useful_products": item.useful_products,
        "cycles": item.cycles,
        "read_bytes": item.read_bytes,
        "write_bytes": item.write_bytes,
        "utilization": item.utilization,
        "rival_cycles": dict(item.rivals),
        "sample": sample,
    }


def _shape_json(shape: ConvShape) -> dict[str, object]:
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in dataclasses.asdict(shape).items()
    }
