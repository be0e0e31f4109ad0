"""A network as a list of layers with weights, and what it computes besides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gscn.conv import ConvShape, Pass
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.golden.omitted import Omitted, covered_share


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """One layer with weights."""

    name: str
    """Name of the module in torchvision's state dictionary."""
    shape: ConvShape
    linear: bool = False
    """Whether it is a fully connected layer; a pixel of its maps is a vector of a sample."""
    transposed: bool = False
    """Whether it is a transposed convolution: `shape` is then the one that it transposes."""
    first: bool = False
    """Whether its weights are those of the first layer, which a method may leave dense."""
    input_grad: bool | None = None
    """Whether it has an input gradient; None: unless it is the first, whose input is the image."""
    normalised: bool | None = None
    """Whether a normalisation follows it, or is what it is applied to; None where nobody said."""
    shares: str | None = None
    """Name of a layer before whose weights it uses: an earlier call of the same, or a tied one."""
    weight_density: float | None = None
    """Share of nonzero weights that its source says it has; None: what the method leaves."""

    @property
    def reads_image(self) -> bool:
        """Whether its input is the image, so that no input gradient is needed."""
        return self.first if self.input_grad is None else not self.input_grad

    @takes_text
    def runs_as(self, which: Pass) -> Pass:
        """Return which pass of `shape` computes a pass of the layer."""
        return which.of_transposed if self.transposed else which

    @property
    def has_normalisation(self) -> bool:
        """Whether a normalisation is counted: if nobody said, of convolutions alone."""
        return not self.linear if self.normalised is None else self.normalised


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """A network for one image size and batch."""

    name: str
    layers: tuple[Layer, ...]
    omitted: tuple[Omitted, ...] | None = None
    """What the network computes in none of the layers; None where that is not known."""
    notes: tuple[str, ...] = ()
    """What its reader took for granted, in sentences."""

    @property
    def covered_share(self) -> float | None:
        """Share of a forward pass's multiply-accumulates in layers; None where not known."""
        return None if self.omitted is None else covered_share(self.omitted)

    @property
    def dense_macs(self) -> int:
        """Multiplications of a dense forward pass over the batch, padding counted."""
        return sum(layer.shape.dense_macs for layer in self.layers)


class SurveyedLayer(Protocol):
    """A layer as `golden.networks.survey` finds it in a module."""

    name: str
    shape: ConvShape
    linear: bool
    transposed: bool
    normalised: bool
    input_grad: bool
    shares: str | None


class Surveyed(Protocol):
    """What `golden.networks.survey.survey` returns."""

    layers: Sequence[SurveyedLayer]
    omitted: Sequence[Omitted]


def network_of(name: str, surveyed: Surveyed) -> Network:
    """Return a module as a list of layers, and what is in none of them.

    Parameters
    ----------
    name
        Name of the network.
    surveyed
        What `golden.networks.survey.survey` found in the module.

    Raises
    ------
    InputError
        It has no layers.
    """
    if not surveyed.layers:
        what = "; ".join(str(one) for one in surveyed.omitted) or "nothing"
        raise InputError(f"network {name} must compute at least one layer, not {what}")
    return Network(
        name=name,
        layers=tuple(
            Layer(
                name=layer.name,
                shape=layer.shape,
                linear=layer.linear,
                transposed=layer.transposed,
                first=not index or layer.shares == surveyed.layers[0].name,
                input_grad=layer.input_grad,
                normalised=layer.normalised,
                shares=layer.shares,
            )
            for index, layer in enumerate(surveyed.layers)
        ),
        omitted=tuple(surveyed.omitted),
    )
