"""Shapes of convolutions as whole steps compute them.

Maps lie in memory in vectors of 16 channels, and an encode pass moves whole vectors; so as many
groups are together, a pack, as fill vectors. The weights of a pack lie in blocks, with zeros
between that are in memory, but in no strips, and each pack is a convolution of one group like any
other, on its part of the maps. A weight gradient has results between blocks, which the update
clears.
"""

from __future__ import annotations

import dataclasses
import math

from gscn.conv import ConvShape
from gscn.passes import VECTOR
from gscn.step import Blocks, Part


def in_packs(shape: ConvShape) -> ConvShape:
    """Return a convolution whose groups are packs: the fewest that fill vectors, or all."""
    one = shape.group
    size = math.lcm(*(VECTOR // math.gcd(VECTOR, channels) for channels in (one.c, one.k)))
    if shape.groups % size:
        size = shape.groups
    return dataclasses.replace(shape, groups=shape.groups // size)


def parts_of(packed: ConvShape) -> list[Part | None]:
    """Return the parts of a convolution's channels; None: it is one."""
    if packed.groups == 1:
        return [None]
    return [Part(number, packed.groups) for number in range(packed.groups)]


def together(shape: ConvShape | None, packed: ConvShape) -> int:
    """Return how many groups of a convolution are in a pack; without groups (None) 1."""
    return 1 if shape is None else shape.groups // packed.groups


def blocks_of(shape: ConvShape, packed: ConvShape) -> Blocks:
    """Return where in the weights of packs those of groups are."""
    return Blocks(packed.w_shape, shape.group.k, shape.group.c)


def named(kind: str, layer: str, part: Part | None) -> str:
    """Return the name of what a kind of operation makes, of a part of a layer."""
    return f"{of_part(kind, part)}.{layer}"


def of_part(name: str, part: Part | None) -> str:
    """Return the name of a part."""
    return name if part is None else f"{name}:{part.number}"


def undilated(shape: ConvShape) -> ConvShape:
    """Return a convolution whose kernel has what lies between its taps, as zeros."""
    if shape.dilation == (1, 1):
        return shape
    r, s = (
        (taps - 1) * apart + 1
        for taps, apart in zip((shape.r, shape.s), shape.dilation, strict=True)
    )
    return dataclasses.replace(shape, r=r, s=s, dilation=(1, 1))


def filled_up(shape: ConvShape) -> ConvShape:
    """Return a forward pass with channels that are zero, so that no 16 are of two phases."""
    phased = max(shape.stride) > 1 and max(shape.r, shape.s) > 1
    if not phased or shape.c <= VECTOR or shape.c % VECTOR == 0:
        return shape
    return dataclasses.replace(shape, c=shape.c + -shape.c % VECTOR)


def one_sample(shape: ConvShape) -> ConvShape:
    """Return the convolution of one sample of a batch."""
    return dataclasses.replace(shape, n=1)
