"""What whole steps hand on from one to the next, so that a training goes on where it was left.

That is what no step makes anew: weights, momenta and reused gradients in memory, all states and
rows of coefficients, and the scalars of the host. All else of memory is written before it is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from gscn.encode import CHANNEL_ROW, ENCODE_STATE
from gscn.errors import InputError
from gscn.golden.oracle.step import NAMES, GoldenStep
from gscn.golden.oracle.step_host import GoldenHost
from gscn.graph import Parameters
from gscn.lowering.step.host import Host, dense_values, weights_values
from gscn.lowering.step.memory import STATE_BYTES, Memory
from gscn.step import Step

_KEPT = ("w", "m", "g")
"""How names of tensors begin that the next step reads: weights, momenta, reused gradients."""
_SCALARS = ("gammas", "betas", "thresholds", "velocities")
_BETWEEN = "/"
"""Between what is kept, and its name."""


def saved(places: Memory, memory: np.ndarray, host: Host) -> dict[str, np.ndarray]:
    """Return what the next step needs.

    Parameters
    ----------
    places
        Where everything lies.
    memory
        uint8, after a step.
    host
        Its host.

    Returns
    -------
    dict
        Arrays of one axis, uint8 and float64, by names that mean the same on every array.
    """
    found = {
        name: memory[first:end].copy() for name, (first, end) in sorted(_ranges(places).items())
    }
    for sort in _SCALARS:
        for name, values in getattr(host, sort).items():
            found[f"{sort}{_BETWEEN}{name}"] = np.array(values, dtype=np.float64)
    found["bias"] = np.array(host.bias, dtype=np.float64)
    found["rate"] = np.array([host.rate_there], dtype=np.float64)
    return found


def restore(kept: Mapping[str, np.ndarray], places: Memory, memory: np.ndarray, host: Host) -> None:
    """Put what `saved` returned into memory, and a host.

    Parameters
    ----------
    kept
        Of the same network and recipe.
    places, host
        As of `saved`.
    memory
        uint8; changed in place.

    Raises
    ------
    InputError
        Naming what is missing, unknown, or of another size or kind.
    """
    ranges = _ranges(places)
    sizes = {name: (np.dtype(np.uint8), end - first) for name, (first, end) in ranges.items()}
    sizes |= {"bias": (np.dtype(np.float64), host.bias.size), "rate": (np.dtype(np.float64), 1)}
    problems = [f"{name} must be there" for name in sizes if name not in kept]
    for name, values in kept.items():
        sort = name.partition(_BETWEEN)[0]
        if name in sizes and (values.dtype, values.size) != sizes[name]:
            problems.append(f"{name} must have {sizes[name][1]} values of {sizes[name][0]}")
        elif name not in sizes and (sort not in _SCALARS or values.dtype != np.float64):
            problems.append(f"{name} must not be there")
    if problems:
        more = f" and {len(problems) - 5} others" if len(problems) > 5 else ""
        raise InputError(f"state of whole steps: {'; '.join(problems[:5])}{more}")
    for name, (first, end) in ranges.items():
        memory[first:end] = kept[name]
    for sort in _SCALARS:
        found = {
            name.partition(_BETWEEN)[2]: values.copy()
            for name, values in kept.items()
            if name.startswith(f"{sort}{_BETWEEN}")
        }
        setattr(host, sort, found)
    host.bias, host.rate_there = kept["bias"].copy(), float(kept["rate"][0])


def golden_step(steps: Iterable[Step], parameters: Parameters, host: GoldenHost) -> GoldenStep:
    """Return the golden model of steps on the same tensors, with parameters.

    Parameters
    ----------
    steps
        At least one.
    parameters
        Put into it, and into its host.
    host
        Its host.
    """
    first, *others = steps
    golden = GoldenStep(first, host)
    for step in others:
        golden.follow(step)
    for prefix, values in (("w", parameters.weights), ("m", parameters.momenta)):
        for name, value in values.items():
            if f"{prefix}.{name}" in golden.tensors:
                codes = np.ascontiguousarray(value, dtype=np.float32).view(np.uint32)
                blocks = golden.step.blocks.get(f"blocks.{name}")
                codes = blocks.filled(codes) if blocks else codes.copy()
                golden.tensors[f"{prefix}.{name}"] = codes
    host.gammas = {name: value.copy() for name, value in parameters.gammas.items()}
    host.betas = {name: value.copy() for name, value in parameters.betas.items()}
    host.bias = parameters.bias.copy()
    host.velocities |= {name: value.copy() for name, value in parameters.velocities.items()}
    return golden


def follow(golden: GoldenStep, places: Memory, memory: np.ndarray, host: Host) -> None:
    """Let a golden step go on from what was put into memory and a host.

    Parameters
    ----------
    golden
        Of the same steps; its host is a `golden.oracle.step_host.GoldenHost`.
    places, memory, host
        As of `restore`, after it.
    """
    for name in _tensors(places):
        place, wanted = places.dense[name], golden.tensors[name]
        content = memory[place.addr : place.end].view("<u4" if wanted.itemsize == 4 else "<u2")
        weights = golden.step.tensors[name].weights
        values = (weights_values if weights else dense_values)(place, content)
        golden.tensors[name] = values[: len(wanted), : wanted.shape[1]].copy()
    for name, state in golden.states.items():
        first = places.states[name]
        read = ENCODE_STATE.unpack(memory[first : first + STATE_BYTES])[0]
        state |= {field: int(read[field]) for field in state}
    # Rows that no pass reads have no place.
    for name in golden.rows.keys() & places.rows.keys():
        rows, (first, channels) = golden.rows[name], places.rows[name]
        size = channels * CHANNEL_ROW.dtype.itemsize
        read = CHANNEL_ROW.unpack(memory[first : first + size])
        for field in NAMES:
            rows[field] = read[field].astype(np.uint32).view(np.float32)
    for sort in _SCALARS:
        copied = {name: values.copy() for name, values in getattr(host, sort).items()}
        setattr(golden.host, sort, copied)
    golden.host.bias = host.bias.copy()


def _tensors(places: Memory) -> list[str]:
    """Return the tensors in memory that the next step reads."""
    return [name for name in places.dense if name.partition(".")[0] in _KEPT]


def _ranges(places: Memory) -> dict[str, tuple[int, int]]:
    """Return where in memory is what the next step reads: first byte, and one past the last."""
    found = {
        f"tensor{_BETWEEN}{name}": (places.dense[name].addr, places.dense[name].end)
        for name in _tensors(places)
    }
    for name, first in places.states.items():
        found[f"state{_BETWEEN}{name}"] = (first, first + STATE_BYTES)
    for name, (first, channels) in places.rows.items():
        found[f"rows{_BETWEEN}{name}"] = (first, first + channels * CHANNEL_ROW.dtype.itemsize)
    return found
