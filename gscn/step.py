"""Operations of a training step, by the names of tensors: what a list of passes is made of.

`lowering.step.network` makes operations of a network, `lowering.step.records` records of
operations, and `golden.oracle.step` computes what they say on tensors. Shapes are those of torch:
maps (N, C, H, W), weights (K, C, R, S).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from gscn.conv import ConvShape, Pass
from gscn.enums import takes_text

STRIPS = ("a", "b")
"""Results of an encode pass that are strips."""


class Walk(enum.Enum):
    """In which order an encode pass goes through its values."""

    MAP = "every value of a map"
    ONE = "every value of one sample, which the host names"
    WINDOW = "every value of every window of a pooling, window by window"
    SLIDING = "the same of windows that overlap, or do not fill their map"
    HOLDING = "the windows that hold some positions of a map, position by position"
    SAMPLES = "every value of a map, those of all samples one after the other"
    WEIGHTS = "every weight"
    OPERAND = "the values of an operand, in the order of its strips"


class Role(enum.Enum):
    """Which operand of a convolution."""

    FIRST = 0
    SECOND = 1


class Tensor(NamedTuple):
    """A dense tensor."""

    shape: tuple[int, int, int, int]
    wide: bool
    """float32, otherwise bf16."""
    weights: bool = False
    by_output: bool = True
    """Weights: lanes are output channels."""
    apart: bool = False
    """Each group of lanes begins where a pass of the array may write."""


class Part(NamedTuple):
    """One of equal parts of the channels of all that an operation reads and writes.

    Of weights these are output channels.
    """

    number: int
    count: int

    def of(self, tensor: np.ndarray, axis: int) -> np.ndarray:
        """Return the part of a tensor along an axis; a view."""
        size = tensor.shape[axis] // self.count
        own = slice(self.number * size, (self.number + 1) * size)
        return tensor[(slice(None),) * axis + (own,)]


class Blocks(NamedTuple):
    """Weights of groups of channels, several of which lie together: blocks, between them zeros."""

    shape: tuple[int, int, int, int]
    """(K, C, R, S), C being the input channels of as many groups as lie together."""
    kernels: int
    """Of a group."""
    channels: int

    @property
    def size(self) -> int:
        """Weights that are no zeros between blocks."""
        kernels, _, rows, cols = self.shape
        return kernels * self.channels * rows * cols

    def there(self) -> np.ndarray:
        """Return which weights are those of a block: bool, of `shape`."""
        kernels, channels = np.ogrid[: self.shape[0], : self.shape[1]]
        together = self.shape[1] // self.channels
        own = kernels // self.kernels % together == channels // self.channels
        return np.broadcast_to(own[:, :, None, None], self.shape)

    def filled(self, weights: np.ndarray) -> np.ndarray:
        """Return weights of `shape` from those of the groups, (K, channels, R, S)."""
        found = np.zeros(self.shape, dtype=weights.dtype)
        places = self._places()
        found[places] = weights
        return found

    def taken(self, weights: np.ndarray) -> np.ndarray:
        """Undo `filled`."""
        return weights[self._places()]

    def _places(self) -> tuple[np.ndarray, np.ndarray]:
        """Return numbers of kernels and channels, (K, channels) together."""
        kernels = np.arange(self.shape[0])[:, None]
        first = kernels // self.kernels % (self.shape[1] // self.channels) * self.channels
        return kernels, first + np.arange(self.channels)


class Use(NamedTuple):
    """A tensor as a pass reads it."""

    name: str
    broadcast: bool = False
    """The same for each sample, or for each value of a window of its own."""


class Operand(NamedTuple):
    """An operand of a convolution, as strips."""

    shape: ConvShape
    which: Pass
    role: Role


class Window(NamedTuple):
    """Windows of a pooling, apart from each other."""

    rows: int
    cols: int


class Sliding(NamedTuple):
    """Windows of a pooling that may overlap, leave values out, or reach beyond the map."""

    size: tuple[int, int]
    """Rows and columns of one."""
    stride: tuple[int, int]
    padding: tuple[int, int]
    made: tuple[int, int]
    """Windows below, and beside, each other."""


class Held(NamedTuple):
    """Positions of a map that windows hold alike, and by which windows.

    They are rows and columns of a phase, that is modulo the stride; row 0 is the padding's first.
    """

    phase: tuple[int, int]
    rows: tuple[int, int]
    """The first, and how many."""
    cols: tuple[int, int]
    window: tuple[int, int] | None = None
    """Of the windows that hold a position, counted from the last one, that one; None: all."""


class Spread(NamedTuple):
    """Where a map of every `step`-th position begins in a whole one."""

    step: int
    rows: int
    cols: int


@takes_text
@dataclass(frozen=True, kw_only=True, slots=True)
class Encode:
    """An encode pass."""

    name: str
    walk: Walk
    shape: tuple[int, int, int, int]
    """Of the map or the weights that are walked."""
    tensors: tuple[Use | None, ...]
    """Up to three."""
    rows: str
    """Of coefficients."""
    state: str
    wide: bool = False
    """Results are float32."""
    by_output: bool = True
    """Weights: lanes of the walk are output channels."""
    mask: str | None = None
    """Bits that an encode pass of the same walk wrote, or that are there from the start."""
    results: dict[str, str] = field(default_factory=dict)
    """Names of results: dense, second, bits, sums, a and b (strips)."""
    fields: dict[str, int] = field(default_factory=dict)
    """Fields of the descriptor that say what is computed."""
    operand: Operand | None = None
    window: Window | None = None
    sliding: Sliding | None = None
    held: Held | None = None
    """HOLDING: which positions."""
    spread: Spread | None = None
    """The dense result is every so many positions of its map."""
    part: Part | None = None
    """OPERAND: of tensors, and of the rows for maps; `shape` is that of the part."""


@takes_text
@dataclass(frozen=True, kw_only=True, slots=True)
class Convolve:
    """A pass of a convolution on strips."""

    name: str
    shape: ConvShape
    which: Pass
    first: str
    second: str
    result: str
    wide: bool
    """Results are float32, otherwise bf16."""
    like: ConvShape | None = None
    """The convolution, of more samples, whose plan is taken."""
    spread: Spread | None = None
    """Only so many positions of an input gradient have a result; all others are zero."""
    part: Part | None = None
    """Of the result."""
    grouped: ConvShape | None = None
    """The convolution of groups some of which this is; None: there are none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Top:
    """A top of a window, set by largest exponents."""

    name: str
    target: str
    """A convolution, or a state."""
    which: str
    """window; sum_top or dot_top of a state."""
    states: tuple[str, ...]
    """One or two."""
    margin: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Stop:
    """The host does something."""

    name: str
    what: str
    """begin; forward and backward, a normalisation's scalars; bias and moved, those of a bias
    without one; loss; kept, a layer's number of weights that its thresholds leave; thresholds,
    their gradients."""
    layer: str = ""
    again: str = ""
    """Operation to which the host may go back."""
    after: str = ""
    """A layer whose scalars it needs besides."""


Operation = Encode | Convolve | Top | Stop


class Rows(NamedTuple):
    """A table of coefficients, one row for each channel."""

    channels: int
    values: dict[str, float]
    """What all rows have until the host writes others, by the names of their fields."""


class State(NamedTuple):
    """What passes hand on to each other of a tensor."""

    keep: int = 0
    """Values that a selection keeps."""
    low: int = 0
    """Fewest, and most, values that a threshold which steps should keep."""
    high: int = 0
    threshold: float = 0.0
    """At first; rounded towards zero to bf16."""
    step: int = 0
    """Codes by which it changes."""


class Normalised(NamedTuple):
    """A normalisation, as the host sees it."""

    channels: int
    values: int
    """Of a channel."""
    folded: bool
    """Another one adds it."""
    adds: str
    """The one that it adds, if any."""
    of: str = ""
    """The layer that it normalises."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A training step."""

    operations: tuple[Operation, ...]
    tensors: dict[str, Tensor]
    rows: dict[str, Rows]
    states: dict[str, State]
    norms: dict[str, Normalised]
    """By layer."""
    blocks: dict[str, Blocks] = field(default_factory=dict)
    """Bits that are there from the start, by their names: of weights in blocks."""
    makers: dict[str, Encode] = field(default_factory=dict, init=False, repr=False, compare=False)
    """First encode pass that makes strips, by their name."""
    sources: dict[str, Encode] = field(default_factory=dict, init=False, repr=False, compare=False)
    """First encode pass that makes a tensor as its dense result, by its name."""
    users: dict[str, Convolve] = field(default_factory=dict, init=False, repr=False, compare=False)
    """First convolution that reads strips, by their name."""

    def __post_init__(self) -> None:
        """Find makers and users once: a step of many groups has thousands of operations."""
        for op in self.operations:
            if isinstance(op, Encode):
                for part, name in op.results.items():
                    if part in STRIPS:
                        self.makers.setdefault(name, op)
                    elif part == "dense":
                        self.sources.setdefault(name, op)
            elif isinstance(op, Convolve):
                for name in (op.first, op.second):
                    self.users.setdefault(name, op)
