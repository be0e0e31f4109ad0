"""Convolutions for the tests of the rivals."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from gscn.conv import ConvShape, Pass
from gscn.errors import InputError
from gscn.perf.rivals import Resources

RESOURCES = Resources(multipliers=64, port_bytes_per_cycle=1 << 40, value_bits=16)
"""Memory that nothing waits for."""


def masks(
    shape: ConvShape, which: Pass, densities: tuple[float, float], seed: int = 0
) -> list[np.ndarray]:
    """Return uniform random masks of a pass."""
    rng = np.random.default_rng(seed)
    return [
        rng.random(size) < density
        for size, density in zip(shape.operand_shapes(which), densities, strict=True)
    ]


@st.composite
def convolutions(draw, most_groups: int = 1) -> ConvShape:
    """Draw a small convolution with any stride, padding and dilation, and groups."""
    groups = draw(st.integers(1, most_groups))
    pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
    while True:
        try:
            return ConvShape(
                n=draw(st.integers(1, 3)),
                c=groups * draw(st.integers(1, 5)),
                h=draw(st.integers(1, 9)),
                w=draw(st.integers(1, 9)),
                k=groups * draw(st.integers(1, 5)),
                r=draw(st.integers(1, 3)),
                s=draw(st.integers(1, 3)),
                stride=draw(pairs),
                padding=draw(st.tuples(st.integers(0, 2), st.integers(0, 2))),
                dilation=draw(st.tuples(st.integers(1, 2), st.integers(1, 2))),
                groups=groups,
            )
        except InputError:
            continue  # the kernel does not fit: draw again
