"""Layers of a network as whoever describes one by hand gives them, and how it is trained."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from gscn.formats import BF16
from gscn.step import Sliding

IMAGES = "images"
"""Name of the map that a network reads."""


class Conv(NamedTuple):
    """A convolution without bias, or a linear layer on a map of one position."""

    name: str
    source: str
    kernels: int
    taps: int = 1
    stride: int = 1
    padding: int = 0
    linear: bool = False
    """Results are logits, in float32; the host adds their bias."""
    fixed: bool = False
    """Weights are not trained, nor sparsified, and a normalisation adds the results as they are: a
    shortcut without parameters."""
    plain: bool = False
    """The result is a map: several layers read it, or a sum adds it."""
    dilation: int = 1
    groups: int = 1


class Norm(NamedTuple):
    """Batch normalisation, the sum with another branch, and ReLU."""

    name: str
    source: str
    """A convolution, or a map."""
    added: str = ""
    """A map, or a normalisation that is `folded`."""
    folded: bool = False
    """It is part of the sum of the one that adds it, without ReLU of its own."""
    biased: bool = False
    """Nothing is normalised: a bias of each channel and ReLU, of a convolution."""


class Sum(NamedTuple):
    """The sum of two maps, or convolutions that are `plain`, without ReLU."""

    name: str
    source: str
    added: str


class Pool(NamedTuple):
    """A pooling."""

    name: str
    source: str
    maximum: bool
    rows: int
    cols: int
    stride: tuple[int, int] = (0, 0)
    """(0, 0): windows lie side by side."""
    padding: tuple[int, int] = (0, 0)
    """Of a mean, zeros that count."""
    ceil: bool = False
    """The last window may reach beyond the map and its padding."""

    def windows(self, size: tuple[int, int]) -> Sliding:
        """Return the windows of a map of these rows and columns."""
        kernel = (self.rows, self.cols)
        stride = (self.stride[0] or self.rows, self.stride[1] or self.cols)
        made = [
            _windows(*axis, ceil=self.ceil)
            for axis in zip(size, kernel, stride, self.padding, strict=True)
        ]
        return Sliding(kernel, stride, self.padding, (made[0], made[1]))


def _windows(size: int, kernel: int, stride: int, padding: int, *, ceil: bool) -> int:
    left = size + 2 * padding - kernel
    if not ceil:
        return left // stride + 1
    made = -(-left // stride) + 1
    # No window begins behind the map.
    return made - ((made - 1) * stride >= size + padding)


Layer = Conv | Norm | Sum | Pool


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """How a step trains."""

    density: Fraction | None = None
    """SWAT: share of weights and activations that is kept."""
    unselected: frozenset[str] = frozenset()
    """SWAT: layers that keep all of both."""
    refresh: bool = False
    """SWAT: thresholds are selected in this step."""
    reuse: tuple[float | Fraction, float | Fraction] | None = None
    """ReSprop: least and highest share of differences aimed at."""
    step: int = 1 << BF16.mantissa_width
    """ReSprop: codes of bf16 by which thresholds change; by default they double and halve."""
    reuses: bool = False
    """ReSprop: this step has a gradient to reuse, and is not dense."""
    masks: bool = False
    """DST: thresholds of filters are trained."""
    rate: float = 0.1
    momentum: float = 0.9
    decay: float = 0.0

    def density_of(self, layer: str) -> Fraction | None:
        """Return SWAT's density of a layer; None where nothing is selected."""
        return None if layer in self.unselected else self.density
