"""A network as a table of layers, from whatever a user names it by or has in hand.

The forms: a name of `perf.workload.networks`; a module of torch, or the text of
`golden.networks.sources`; and files: `.json` of ours, `.csv` of SCALE-Sim, `.yaml` of Timeloop,
`.onnx`. Modules are called once without values, on torch's meta device, and with values only if
they cannot do without.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gscn.errors import InputError, raise_problems
from gscn.golden.networks import BATCH, IMAGE_SIZE
from gscn.graph import Graph
from gscn.perf.workload.layers import Network, network_of
from gscn.perf.workload.network_file import read_network
from gscn.perf.workload.networks import NETWORKS, SMALL_NETWORKS, network
from gscn.perf.workload.onnx_file import read_onnx
from gscn.perf.workload.problem_file import read_problems
from gscn.perf.workload.topology_file import read_topology
from gscn.system.reading import is_there, shown

if TYPE_CHECKING:
    from gscn.golden.networks.sources import NamedModel

_SMALL_IMAGES = 32
FORMS = (
    "a network known by name, torchvision:NAME, timm:NAME, package.module:NAME, or a file: .pt2 of "
    "torch.export, .onnx, .csv of SCALE-Sim, .yaml of Timeloop, .json"
)
"""What can be read, in words."""
_READERS: dict[str, Callable[..., Network]] = {
    ".csv": read_topology,
    ".onnx": read_onnx,
    ".yaml": read_problems,
    ".yml": read_problems,
}
"""Of files by the ends of their names; others are JSON."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadModel:
    """A network, and how much of it is known."""

    network: Network
    graph: Graph | None = None
    """All that it computes in training, where that is known and has passes; see `gscn.graph`."""
    unknown: str = "a table of layers does not say what is between them"
    """Without a graph: why, in words."""


def read_model(
    spec: str | Path, *, batch: int | None = None, image_size: int | None = None
) -> ReadModel:
    """Return the network that a text names.

    Parameters
    ----------
    spec
        One of the forms that this module has.
    batch
        Images per batch; by default that of the source, or `golden.networks.BATCH`.
    image_size
        Height and width of images, pixels; by default that of the source, or what is customary for
        the network.

    Raises
    ------
    InputError
        There is no such network or file, a file is wrong, or it has a batch or sizes of its own.
    """
    text = str(spec)
    raise_problems(
        f"model {text:.100}",
        [
            f"{what} must be at least 1, not {value}"
            for what, value in (("batch", batch), ("image size", image_size))
            if value is not None and value < 1
        ],
    )
    if text in NETWORKS:
        return _known(text, batch or BATCH, image_size)
    end = Path(text).suffix.lower()
    if end != ".pt2" and is_there(text):
        if image_size is not None:
            raise InputError(
                f"file {text} must be read without an image size: its layers have their own sizes"
            )
        found = _READERS.get(end, read_network)(Path(text), batch=batch)
        if end == ".onnx":
            return ReadModel(network=found, unknown="of an ONNX graph layers alone are taken")
        return ReadModel(network=found)
    # Torch takes seconds to be imported.
    from gscn.golden.networks.sources import is_source, named_model

    if not is_source(text):
        raise InputError(
            f"a model must be one of {', '.join(NETWORKS)}, or {FORMS}, not {shown(text)}"
        )

    def named(values: bool) -> NamedModel:
        return named_model(text, batch=batch, image_size=image_size, values=values)

    return _surveyed(text, named)


def model_of_module(model: Any, inputs: Any, *, name: str | None = None) -> ReadModel:
    """Return the network that a module of torch is.

    Parameters
    ----------
    model
        The module; it is left as it was.
    inputs
        What it is called with: a tensor, or a tuple. Their shapes count.
    name
        Of the network; by default that of the class.

    Raises
    ------
    InputError
        The module does not take the inputs, or computes no layer.
    """
    from gscn.golden.networks.sources import NamedModel, without_values

    inputs = inputs if isinstance(inputs, tuple) else (inputs,)
    given = NamedModel(name=name or type(model).__name__, model=model, inputs=inputs)
    return _surveyed(given.name, lambda values: given if values else without_values(given))


def _known(name: str, batch: int, image_size: int | None) -> ReadModel:
    """Return a network that is known by name."""
    from gscn.golden.networks.catalogue import network_graph
    from gscn.golden.recipe import NETWORKS as TRAINED

    size = image_size or (_SMALL_IMAGES if name in SMALL_NETWORKS else IMAGE_SIZE)
    found = network(name, image_size=size, batch=batch)
    graph = None
    if name.removesuffix("-small") in TRAINED:
        graph = network_graph(name, image_size=size, batch=batch)
    return ReadModel(network=found, graph=graph)


def _surveyed(text: str, make: Callable[[bool], NamedModel]) -> ReadModel:
    """Return the network that a module is, called without values if it can be."""
    from gscn.golden.networks.called import called

    found = called(text, make)
    surveyed = network_of(found.name, found.survey)
    return ReadModel(network=surveyed, graph=found.graph, unknown=found.unknown)
