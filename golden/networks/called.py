"""What a network of a user's computes, found by calling it, without values if it can be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, fx

from gscn.errors import InputError
from gscn.golden.networks.sources import NamedModel, told
from gscn.golden.networks.survey import Survey, survey
from gscn.golden.networks.tracing import traced
from gscn.graph import Graph
from gscn.system.reading import shown


@dataclass(frozen=True, kw_only=True, slots=True)
class Called:
    """A network that was called."""

    name: str
    survey: Survey
    graph: Graph | None
    """All that it computes of images in training; None where nothing says it."""
    unknown: str
    """Why nothing says it, in words; empty where there is a graph."""


def called(text: str, make: Callable[[bool], NamedModel]) -> Called:
    """Return what a network computes.

    Parameters
    ----------
    text
        What messages call it.
    make
        Returns the network, with values or without; called for values only if the network cannot
        be called without.

    Raises
    ------
    InputError
        The network does not take its inputs, or what `make` and the survey raise.
    """
    problem: Exception | None = None
    for values in (False, True):
        named = make(values)
        try:
            found = survey(named.model, named.inputs)
        except InputError:
            raise
        # Whatever the network's own code raises.
        except Exception as error:  # noqa: BLE001
            problem = error
            continue
        graph, unknown = _graph(named)
        return Called(name=named.name, survey=found, graph=graph, unknown=unknown)
    inputs = ", ".join(map(_described, named.inputs))
    raise InputError(f"model {text} must take its inputs, {inputs}: {told(problem)}") from problem


def _described(value: Any) -> str:
    return f"a tensor of {tuple(value.shape)}" if isinstance(value, Tensor) else shown(value)


def _graph(named: NamedModel) -> tuple[Graph | None, str]:
    """Return all that a network computes of images; None and why if nothing says it."""
    if isinstance(named.model, fx.GraphModule):
        return None, "what was exported has operators of ATen between its layers, not modules"
    if len(named.inputs) != 1 or not isinstance(named.inputs[0], Tensor):
        return None, "it takes other inputs than one tensor of images"
    try:
        return traced(named.model, named.inputs[0]), ""
    # It is for figures that are given besides: networks that torch.fx cannot follow have none.
    except Exception as error:  # noqa: BLE001
        return None, str(error) if isinstance(error, InputError) else told(error)
