"""What public simulators say of layers and networks that the models of rivals are run on as well.

The figures were measured with the tools themselves, on uniform random masks, with unlimited memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gscn.conv import ConvShape, Pass

LAYER = ConvShape(n=1, c=64, h=56, w=56, k=64, r=3, s=3, padding=(1, 1))
"""ResNet-18's conv2_x, on which the simulators were run."""
MULTIPLIERS, MORE_MULTIPLIERS = 256, 1024
DENSITY = 0.1
"""Of an operand that is 90 % sparse."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """What a public simulator says of a pass of `LAYER`, measured with the tool itself."""

    tool: str
    rival: str
    which: Pass
    cycles: int
    first_density: float = DENSITY
    second_density: float = DENSITY
    multipliers: int = MULTIPLIERS

    @property
    def label(self) -> str:
        """The pass and the densities."""
        densities = f"{100 * self.first_density:g} % x {100 * self.second_density:g} %"
        return f"{self.which}, {densities}"


def _points(
    tool: str, rival: str, figures: Iterable[tuple[Pass, tuple[float, float], int]]
) -> list[Point]:
    return [
        Point(
            tool=tool,
            rival=rival,
            which=which,
            first_density=densities[0],
            second_density=densities[1],
            cycles=cycles,
        )
        for which, densities, cycles in figures
    ]


DENSE, WEIGHTS = (1.0, 1.0), (DENSITY, 1.0)
_BOTH = (DENSITY, DENSITY)
_FORWARD, _INPUT, _WEIGHT = Pass.FORWARD, Pass.INPUT_GRAD, Pass.WEIGHT_GRAD
POINTS = (
    *_points(
        "DNNsim, SCNN",
        "scnn (DNNsim)",
        (
            (_FORWARD, DENSE, 572_864),
            (_FORWARD, WEIGHTS, 106_520),
            (_FORWARD, _BOTH, 19_274),
            (_FORWARD, (0.2, 0.2), 64_118),
            (_FORWARD, (0.5, 0.5), 320_584),
            (_INPUT, _BOTH, 19_205),
            (_WEIGHT, _BOTH, 14_400_000),
        ),
    ),
    Point(
        tool="DNNsim, SCNN",
        rival="scnn (DNNsim)",
        which=_FORWARD,
        cycles=8_723,
        multipliers=MORE_MULTIPLIERS,
    ),
    *_points(
        "DNNsim, TensorDash",
        "tensordash",
        (
            (_FORWARD, DENSE, 447_776),
            (_FORWARD, WEIGHTS, 158_368),
            (_FORWARD, _BOTH, 158_624),
            (_INPUT, _BOTH, 159_041),
            (_WEIGHT, _BOTH, 155_007),
        ),
    ),
    *_points(
        "STONNE, SIGMA-like",
        "sigma (STONNE)",
        (
            (_FORWARD, DENSE, 604_413),
            (_FORWARD, WEIGHTS, 50_381),
            (_FORWARD, _BOTH, 50_381),
            (_INPUT, _BOTH, 50_381),
            (_WEIGHT, _BOTH, 72_803),
        ),
    ),
    *_points(
        "SCALE-Sim v3, 16x16",
        "dense",
        (
            (_FORWARD, DENSE, 458_207),
            (_INPUT, DENSE, 458_207),
            (_WEIGHT, DENSE, 776_159),
        ),
    ),
    *_points(
        "Sparseloop, expected densities",
        "ideal",
        (
            (_FORWARD, WEIGHTS, 45_166),
            (_FORWARD, _BOTH, 4_517),
            (_INPUT, _BOTH, 4_517),
            (_WEIGHT, _BOTH, 4_516),
        ),
    ),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkPoint:
    """What a public simulator says of the convolutions of ResNet-18, 224x224, batch 1."""

    tool: str
    rival: str
    label: str
    passes: tuple[Pass, ...]
    weights: float
    activations: float
    grads: float
    cycles: int


NETWORK_POINTS = (
    NetworkPoint(
        tool="DNNsim, SCNN",
        rival="scnn (DNNsim)",
        label="forward, weights and inputs 10 %",
        passes=(Pass.FORWARD,),
        weights=0.1,
        activations=0.1,
        grads=1.0,
        cycles=500_518,
    ),
    NetworkPoint(
        tool="DNNsim, TensorDash",
        rival="tensordash",
        label="training step, weights 10 %, inputs and gradients 50 %",
        passes=tuple(Pass),
        weights=0.1,
        activations=0.5,
        grads=0.5,
        cycles=2_763_569,
    ),
    NetworkPoint(
        tool="DNNsim, TensorDash",
        rival="tensordash",
        label="training step, dense",
        passes=tuple(Pass),
        weights=1.0,
        activations=1.0,
        grads=1.0,
        cycles=5_932_352,
    ),
)
"""1024 multipliers."""
