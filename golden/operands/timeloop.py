"""Recorded passes as Timeloop reads them, Sparseloop's densities included: a problem each.

Format: version 0.4 of Timeloop's problem (`Workload`, `Shape` and `HypergeometricDistribution` of
its sources). All passes have the loops of the convolution and its three data spaces, and differ in
which of these is the result: so an input gradient has as many products as the forward pass, where
written as a convolution it would meet the zeros between strided pixels.

A density is the share of nonzeros of the box of points that a data space has, padding included.
Where they are Timeloop has no place for: `hypergeometric` has them anywhere with equal chance.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from gscn.conv import ConvShape, Pass
from gscn.golden.traces.arrays import PassTrace

_PROBLEM = """problem:
  version: 0.4
  shape:
    name: {name}
    dimensions: [G, N, K, C, R, S, P, Q]
    coefficients:
      - {{name: Hstride, default: 1}}
      - {{name: Wstride, default: 1}}
      - {{name: Hdilation, default: 1}}
      - {{name: Wdilation, default: 1}}
    data_spaces:
{data_spaces}
  instance:
{bounds}
    densities: {{{densities}}}
"""
_PROJECTIONS = {
    "Weights": "[[[G]], [[K]], [[C]], [[R]], [[S]]]",
    "Inputs": "[[[N]], [[G]], [[C]], [[R, Hdilation], [P, Hstride]], "
    "[[S, Wdilation], [Q, Wstride]]]",
    "Outputs": "[[[N]], [[G]], [[K]], [[P]], [[Q]]]",
}
_SPACES = {
    Pass.FORWARD: ("Weights", "Inputs", "Outputs"),
    Pass.INPUT_GRAD: ("Weights", "Outputs", "Inputs"),
    Pass.WEIGHT_GRAD: ("Outputs", "Inputs", "Weights"),
}
"""Data spaces of the first operand, the second one and the result."""


def problem(name: str, shape: ConvShape, one: PassTrace) -> str:
    """Return the problem of a recorded pass as YAML.

    Parameters
    ----------
    name
        Of the problem.
    shape
        The convolution, of any number of groups.
    one
        The pass.
    """
    first, second, result = _SPACES[one.which]
    group = shape.group
    bounds = {"G": shape.groups, "N": shape.n, "K": group.k, "C": group.c}
    bounds |= {"R": shape.r, "S": shape.s, "P": shape.p, "Q": shape.q}
    bounds |= {"Hstride": shape.stride[0], "Wstride": shape.stride[1]}
    bounds |= {"Hdilation": shape.dilation[0], "Wdilation": shape.dilation[1]}
    shares = {
        space: _density(shape, space, operand)
        for space, operand in ((first, one.first), (second, one.second))
    }
    return _PROBLEM.format(
        name=name,
        data_spaces="\n".join(
            f"      - {{name: {space}, projection: {_PROJECTIONS[space]}, "
            f"read_write: {'true' if space == result else 'false'}}}"
            # As its readers expect, the result is the last.
            for space in (first, second, result)
        ),
        bounds="\n".join(f"    {bound}: {value}" for bound, value in bounds.items()),
        densities=", ".join(
            f"{space}: {{distribution: hypergeometric, density: {share!r}}}"
            for space, share in shares.items()
            # A space that is not named is dense.
            if share < 1
        ),
    )


def _density(shape: ConvShape, space: str, operand: np.ndarray) -> float:
    """Return the share of nonzeros of a data space, of which inputs may have padding."""
    nonzeros, points = int(np.count_nonzero(operand)), operand.size
    if space == "Inputs":
        box = [
            (places - 1) * stride + (taps - 1) * dilation + 1
            for places, stride, taps, dilation in zip(
                (shape.p, shape.q),
                shape.stride,
                (shape.r, shape.s),
                shape.dilation,
                strict=True,
            )
        ]
        # Rows and columns that no output pixel meets are outside.
        rows, columns = (
            max(0, size - padding) for size, padding in zip(box, shape.padding, strict=True)
        )
        nonzeros = int(np.count_nonzero(operand[:, :, :rows, :columns]))
        points = operand.shape[0] * operand.shape[1] * box[0] * box[1]
    share = nonzeros / points
    # Timeloop rounds the product of share and points up to a number of nonzeros.
    return share if share * points <= nonzeros else math.nextafter(share, 0)


def write(name: str, shape: ConvShape, one: PassTrace, folder: Path) -> None:
    """Write the problem of a pass as `layer.pass.yaml`."""
    title = f"{name}.{one.which}"
    (folder / f"{title}.yaml").write_text(problem(title, shape, one), encoding="utf-8")
