"""Parameters of a network in the memory of its training steps, and in their host."""

from __future__ import annotations

import numpy as np

from gscn.graph import Parameters
from gscn.lowering.step.host import Host, weights_content, weights_values
from gscn.lowering.step.memory import Memory


def put(parameters: Parameters, host: Host, places: Memory, memory: np.ndarray) -> None:
    """Write parameters into memory and a host, before the first step.

    Parameters
    ----------
    parameters
        As `golden.networks.parameters.taken` returns them.
    host
        The host of the steps.
    places
        Where everything lies: `memory` of a listing.
    memory
        Bytes; changed in place.
    """
    for prefix, values in (("w", parameters.weights), ("m", parameters.momenta)):
        for name, value in values.items():
            codes = np.ascontiguousarray(value, dtype=np.float32).view(np.uint32)
            place, blocks = places.dense[f"{prefix}.{name}"], places.blocks.get(f"blocks.{name}")
            codes = blocks.filled(codes) if blocks else codes
            content = weights_content(place, codes).reshape(-1)
            memory[place.addr :][: 4 * content.size] = content.view(np.uint8)
    host.gammas = {name: value.copy() for name, value in parameters.gammas.items()}
    host.betas = {name: value.copy() for name, value in parameters.betas.items()}
    host.bias = parameters.bias.copy()
    host.velocities |= {name: value.copy() for name, value in parameters.velocities.items()}


def got(like: Parameters, host: Host, places: Memory, memory: np.ndarray) -> Parameters:
    """Return the parameters after a step.

    Parameters
    ----------
    like
        Those before it, for their names and shapes.
    host, places, memory
        As of `put`.
    """

    def read(prefix: str, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        found = {}
        for name, value in values.items():
            place = places.dense[f"{prefix}.{name}"]
            content = memory[place.addr : place.end].view("<f4")
            own, blocks = weights_values(place, content), places.blocks.get(f"blocks.{name}")
            own = blocks.taken(own) if blocks else own[: value.shape[0], : value.shape[1]]
            found[name] = np.ascontiguousarray(own)
        return found

    names = [*(f"gamma.{name}" for name in like.gammas), *(f"beta.{name}" for name in like.betas)]
    names.append("bias")
    return Parameters(
        weights=read("w", like.weights), momenta=read("m", like.momenta),
        gammas=dict(host.gammas), betas=dict(host.betas), bias=host.bias,
        velocities={name: host.velocities[name] for name in names if name in host.velocities},
    )  # fmt: skip
