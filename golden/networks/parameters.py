"""Parameters of a model of torch, and momenta of its optimizer, for training steps, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from gscn.graph import Graph, Kind, Node, Parameters
from gscn.step import Normalised

MOMENTUM = "momentum_buffer"
"""Under which torch.optim.SGD keeps a parameter's momentum."""


def taken(
    model: nn.Module, graph: Graph, optimizer: torch.optim.Optimizer | None = None
) -> Parameters:
    """Return the parameters of a model.

    Parameters
    ----------
    model, graph
        The model, and what `golden.networks.tracing.traced` made of it.
    optimizer
        SGD of the model's parameters; without it all momenta are zero.
    """
    weights: dict[str, np.ndarray] = {}
    momenta: dict[str, np.ndarray] = {}
    others: dict[str, np.ndarray] = {}
    velocities: dict[str, np.ndarray] = {}
    for node, name, own in _parameters(model, graph):
        moved = None if optimizer is None else optimizer.state.get(own, {}).get(MOMENTUM)
        if name.startswith("w."):
            shape = (*own.shape, 1, 1)[:4]
            weights[node.name] = _numbers(own, np.float32).reshape(shape)
            zeros = torch.zeros_like(own)
            kept = _numbers(zeros if moved is None else moved, np.float32)
            momenta[node.name] = kept.reshape(shape)
        else:
            others[name] = _numbers(own, np.float64)
            if moved is not None:
                velocities[name] = _numbers(moved, np.float64)
    before = {node.name: node for node in graph.nodes}
    for node in graph.nodes:
        if node.kind is Kind.PADDED:
            channels = before[node.sources[0]].shape[1]
            fixed = np.zeros((node.shape[1], channels, 1, 1), dtype=np.float32)
            each = np.arange(channels)
            fixed[each + node.fields["before"], each] = 1
            weights[node.name] = fixed
    return Parameters(
        weights=weights, momenta=momenta, velocities=velocities, bias=others["bias"],
        gammas={node.name: others[f"gamma.{node.name}"] for node in _norms(graph)},
        betas={
            name.partition(".")[2]: value
            for name, value in others.items()
            if name.startswith("beta.")
        },
    )  # fmt: skip


def give(
    model: nn.Module, graph: Graph, parameters: Parameters,
    optimizer: torch.optim.Optimizer | None = None,
) -> None:  # fmt: skip
    """Write parameters into a model, and momenta into its optimizer.

    Parameters
    ----------
    model, graph, optimizer
        As of `taken`.
    parameters
        Of the same network.
    """
    with torch.no_grad():
        for node, name, own in _parameters(model, graph):
            if name.startswith("w."):
                value, moved = parameters.weights[node.name], parameters.momenta[node.name]
            else:
                sort = name.partition(".")[0]
                value = {
                    "gamma": parameters.gammas, "beta": parameters.betas,
                    "bias": {node.name: parameters.bias},
                }[sort][node.name]  # fmt: skip
                moved = parameters.velocities.get(name)
            own.copy_(torch.from_numpy(np.array(value)).reshape(own.shape))
            if optimizer is not None and moved is not None:
                kept = torch.from_numpy(np.array(moved)).reshape(own.shape)
                optimizer.state[own][MOMENTUM] = kept.to(own)


def move_statistics(
    model: nn.Module, norms: Mapping[str, Normalised], found: Mapping[str, tuple[np.ndarray, ...]]
) -> None:
    """Let running statistics follow those of a step, as torch does in training.

    Parameters
    ----------
    model
        The model.
    norms
        Normalisations of the step.
    found
        Mean, and 1 / standard deviation, of each: what hosts call `found`, after the step.
    """
    modules = dict(model.named_modules())
    with torch.no_grad():
        for name, norm in norms.items():
            module = model.get_submodule(name)
            if module.running_mean is None:
                continue
            module.num_batches_tracked += 1
            share = module.momentum
            if share is None:
                share = 1 / int(module.num_batches_tracked)
            mean, slope = found[name][:2]
            bias = getattr(modules.get(norm.of), "bias", None)
            if bias is not None:
                # A step leaves it out: the normalisation takes it away again.
                mean = mean + _numbers(bias, np.float64)
            variance = (1 / slope**2 - module.eps) * norm.values / max(1, norm.values - 1)
            for own, value in ((module.running_mean, mean), (module.running_var, variance)):
                own.lerp_(torch.from_numpy(value).to(own), share)


def _parameters(model: nn.Module, graph: Graph) -> Iterator[tuple[Node, str, Tensor]]:
    """Yield nodes with parameters, names of what hosts and steps call them, and the parameters."""
    before = {node.name: node for node in graph.nodes}
    for node in graph.nodes:
        if node.kind in (Kind.CONV, Kind.LINEAR):
            yield node, f"w.{node.name}", model.get_parameter(f"{node.name}.weight")
        source = before[node.sources[0]] if node.sources else node
        if node.kind is Kind.RELU and source.kind in (Kind.CONV, Kind.LINEAR):
            # Nothing normalises it: the bias is of the layer that has ReLU.
            yield node, f"beta.{node.name}", model.get_parameter(f"{source.name}.bias")
        if node.kind is Kind.LINEAR and node.name == _last(graph):
            yield node, "bias", model.get_parameter(f"{node.name}.bias")
        if node.kind is Kind.NORM:
            yield node, f"gamma.{node.name}", model.get_parameter(f"{node.name}.weight")
            yield node, f"beta.{node.name}", model.get_parameter(f"{node.name}.bias")


def _last(graph: Graph) -> str:
    """Return the linear layer whose results are the network's, reshaped or not."""
    nodes = {node.name: node for node in graph.nodes}
    node = nodes[graph.result]
    while node.kind is Kind.SAME:
        node = nodes[node.sources[0]]
    return node.name


def _norms(graph: Graph) -> list[Node]:
    return [node for node in graph.nodes if node.kind is Kind.NORM]


def _numbers(tensor: Tensor, dtype: type) -> np.ndarray:
    return tensor.detach().cpu().numpy().astype(dtype)
