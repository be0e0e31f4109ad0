"""A network as a graph of what it computes: made of a model, and placed by `lowering.step`.

`golden.networks.tracing` makes it of a model of torch; nothing here knows torch.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np


class Kind(enum.Enum):
    """What a node computes."""

    IMAGES = "the images"
    CONV = "a convolution"
    NORM = "a batch normalisation"
    RELU = "ReLU"
    ADD = "the sum of two maps"
    MAXIMUM = "a maximum pooling"
    AVERAGE = "an average pooling"
    LINEAR = "a linear layer"
    SAME = "its input, maybe in another shape"
    STRIDED = "every so many rows and columns"
    PADDED = "more channels, which are zero"
    OTHER = "something else"


class Node(NamedTuple):
    """A tensor that a network computes."""

    name: str
    """Of the module; of a function that of the module that calls it, and its own."""
    kind: Kind
    what: str
    """As torch calls it."""
    sources: tuple[str, ...]
    shape: tuple[int, ...]
    fields: dict[str, Any]
    """What the kind has: sizes and settings under the names of torch."""
    why: str = ""
    """OTHER: why it has no place."""


class Graph(NamedTuple):
    """A network."""

    nodes: tuple[Node, ...]
    """Each behind its sources; the images first. Names differ."""
    result: str
    """The node that is its result."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameters:
    """What a network learns, and the momenta of SGD; by layer, as numbers."""

    weights: dict[str, np.ndarray]
    """(K, C, R, S) in float32, those of shortcuts that are fixed among them."""
    momenta: dict[str, np.ndarray]
    """Of weights that are trained."""
    gammas: dict[str, np.ndarray]
    betas: dict[str, np.ndarray]
    bias: np.ndarray
    """Of the last layer."""
    velocities: dict[str, np.ndarray]
    """Momenta of gamma.LAYER, beta.LAYER and bias; none before the first step."""
