"""An estimate of a training step as JSON."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from gscn.conv import ConvShape, Pass
from gscn.errors import InputError
from gscn.perf.estimate.assumptions import assumptions
from gscn.perf.estimate.result import (
    BACKWARD,
    Mode,
    NetworkEstimate,
    PassEstimate,
    WorkEstimate,
    works_of,
)
from gscn.perf.estimate.whole_step import REFRESH, MachineStep, whole_step
from gscn.perf.workload.flops import flop_reduction, inference_reduction, training_reduction
from gscn.perf.workload.layers import Layer, Network
from gscn.perf.workload.sparsification import LayerDensities


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
        "read_bytes": sum(work.read_bytes for work in works_of(result)),
        "write_bytes": sum(work.write_bytes for work in works_of(result)),
        "operand_bytes": sum(work.operand_bytes for work in works_of(result)),
        "dram_read_bytes": _dram_json(works_of(result)),
        "reads_per_operand_byte": _reads_per_byte(result),
        "dram": None if result.dram is None else dataclasses.asdict(result.dram),
        "rival_cycles": {
            name: {
                "forward": result.rival_cycles((Pass.FORWARD,))[name],
                "backward": result.rival_cycles(BACKWARD)[name],
                "training": cycles,
            }
            for name, cycles in result.rival_cycles().items()
        },
        "whole_step": _whole_step_json(result),
        "multipliers": result.config.multipliers,
        "config": result.config.to_dict(),
        "config_digest": result.config.digest(),
        "sample_products": result.sample_products,
        "assumptions": assumptions(result),
        "layers": [_layer_json(result, layer) for layer in result.network.layers],
    }


def _whole_step_json(result: NetworkEstimate) -> dict[str, object]:
    """Return a step with everything, or why there is no figure."""
    try:
        step = whole_step(result)
    except InputError as error:
        return {"refused": str(error)}
    return {
        "refused": None,
        "refresh_period": REFRESH,
        "cycles": step.cycles,
        "exposed_share": step.exposed_share,
        "selection_share": step.selection_share,
        "speedup_with_operands": step.speedup_with_operands,
        "speedup_with_everything": step.speedup,
        "speedup_limit": step.limit,
        "ours": _machine_json(step.ours),
        "selecting": None if step.selecting is None else _machine_json(step.selecting),
        "dense": _machine_json(step.dense),
    }


def _machine_json(machine: MachineStep) -> dict[str, object]:
    return {
        "cycles": machine.cycles,
        "in_series_cycles": machine.in_series,
        "exposed_share": machine.exposed_share,
        "exposed_cycles": dict(machine.exposed),
        "convolutions": machine.array._asdict(),
        "encode_passes": {kind: one._asdict() for kind, one in machine.kinds.items()},
    }


def _flop_reductions(result: NetworkEstimate, network: Network) -> dict[str, float]:
    """Return the shares of dense FLOPs that are saved, of the whole network or of a layer."""
    if result.mode is Mode.TRACE:
        names = {layer.name for layer in network.layers}
        densities = {k: v for k, v in _recorded_densities(result).items() if k in names}
        return {
            "training_flop_reduction": flop_reduction(network, densities),
            "inference_flop_reduction": flop_reduction(network, densities, forward_only=True),
        }
    return {
        "training_flop_reduction": training_reduction(network, result.sparsification),
        "inference_flop_reduction": inference_reduction(network, result.sparsification),
    }


def _recorded_densities(result: NetworkEstimate) -> dict[str, LayerDensities]:
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


def _dram_json(works: Sequence[WorkEstimate]) -> dict[str, float]:
    """Return the bytes that DRAM delivers, by the capacity of the buffer in bytes."""
    sizes = works[0].dram_read_bytes
    return {str(size): sum(work.dram_read_bytes[size] for work in works) for size in sizes}


def _reads_per_byte(result: NetworkEstimate) -> dict[str, float]:
    """Return bytes read per byte of operands behind buffers: geometric means over passes."""
    logarithms: dict[str, float] = {}
    for one in result.passes:
        once = sum(work.operand_bytes for work in one.works)
        for size, read in _dram_json(one.works).items():
            if once and read:
                share = math.log(read / once) / len(result.passes)
                logarithms[size] = logarithms.get(size, 0.0) + share
    return {size: math.exp(total) for size, total in logarithms.items()}


def _layer_json(result: NetworkEstimate, layer: Layer) -> dict[str, object]:
    alone = Network(name=layer.name, layers=(layer,))
    own = [p for p in result.passes if p.layer == layer]
    return {
        "name": layer.name,
        "linear": layer.linear,
        "transposed": layer.transposed,
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
        "runs_as": str(estimated.layer.runs_as(estimated.which)),
        "cycles": estimated.cycles,
        "seconds": estimated.cycles / clock_hz,
        "read_bytes": sum(work.read_bytes for work in estimated.works),
        "write_bytes": sum(work.write_bytes for work in estimated.works),
        "operand_bytes": sum(work.operand_bytes for work in estimated.works),
        "dram_read_bytes": _dram_json(estimated.works),
        "array_cycles": sum(work.array_cycles for work in estimated.works),
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
        "array_cycles": item.array_cycles,
        "read_bytes": item.read_bytes,
        "write_bytes": item.write_bytes,
        "operand_bytes": item.operand_bytes,
        "dram_read_bytes": _dram_json([item]),
        "utilization": item.utilization,
        "rival_cycles": dict(item.rivals),
        "sample": sample,
    }


def _shape_json(shape: ConvShape) -> dict[str, object]:
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in dataclasses.asdict(shape).items()
    }
