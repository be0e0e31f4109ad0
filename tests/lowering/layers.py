"""Layers and operands that the lowering's tests share."""

from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import strategies as st

from gscn.conv import ConvShape, Pass
from gscn.errors import InputError

PADDED = ConvShape(n=2, c=5, h=9, w=8, k=6, r=3, s=3, padding=(1, 1))
STRIDED = ConvShape(n=2, c=32, k=32, h=20, w=20, r=3, s=3, stride=(2, 2), padding=(1, 1))


def strided(channels: int) -> ConvShape:
    """Return the first convolution of a stage of the ResNet-18 for 32x32 images."""
    size = 2048 // channels
    return ConvShape(
        n=32, c=channels, h=size, w=size, k=2 * channels, r=3, s=3, stride=(2, 2), padding=(1, 1)
    )


@st.composite
def shapes(draw: st.DrawFn, largest: int = 9) -> ConvShape:
    """Small convolutions of every kind."""
    pair = lambda low, high: (draw(st.integers(low, high)), draw(st.integers(low, high)))  # noqa: E731
    r, s = pair(1, 7)
    fields = {
        "n": draw(st.integers(1, 3)),
        "c": draw(st.integers(1, 5)),
        "k": draw(st.integers(1, 5)),
        "r": r,
        "s": s,
        "stride": pair(1, 3),
        "padding": pair(0, 3),
        "dilation": pair(1, 2),
    }
    h, w = pair(1, largest)
    try:
        return ConvShape(h=h, w=w, **fields)
    except InputError:
        # The kernel is larger than the input: enlarge that to what the kernel needs.
        spans = [
            fields["dilation"][i] * (size - 1) + 1 - 2 * fields["padding"][i]
            for i, size in enumerate((r, s))
        ]
        return ConvShape(h=max(h, spans[0]), w=max(w, spans[1]), **fields)


@st.composite
def grouped_shapes(draw: st.DrawFn) -> ConvShape:
    """Convolutions of any groups: one channel, or many, as many kernels to a group or not."""
    groups = draw(st.one_of(st.integers(2, 9), st.sampled_from([16, 17, 40])))
    most = 20 if groups < 5 else 3
    return dataclasses.replace(
        draw(shapes(largest=7)),
        c=groups * draw(st.integers(1, most)),
        k=groups * draw(st.integers(1, most)),
        groups=groups,
    )


def sparse(
    rng: np.random.Generator, shape: tuple[int, ...], density: float, magnitude: int = 100
) -> np.ndarray:
    """Uniform random integers, a share of them nonzero."""
    values = rng.integers(-magnitude, magnitude + 1, shape)
    return values * (rng.random(shape) < density)


def operands(
    seed: int, shape: ConvShape, which: Pass, density: float = 0.3, magnitude: int = 100
) -> tuple[np.ndarray, np.ndarray]:
    """Random operands of a pass."""
    rng = np.random.default_rng(seed)
    first, second = shape.operand_shapes(which)
    return sparse(rng, first, density, magnitude), sparse(rng, second, density, magnitude)
