"""Groups of a convolution that passes have in common: packs, each like a convolution of one group.

Forward passes and input gradients of a pack have weights with a block of each group and zeros
elsewhere: masks, no values, and nothing is multiplied with them. In a weight gradient both operands
are maps, and what lies in one sample meets; so a pack may be cut into sets of groups that are
samples of their own. Sample (n, a) has the inputs of set a, in the same channels for all sets, and
its output gradients in channels that are its alone, the others zero. So results of sets lie apart,
and only groups of one set meet in vain.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from gscn.conv import ConvShape, Pass
from gscn.enums import takes_text
from gscn.passes import VECTOR

_LANES = (VECTOR, 2 * VECTOR, 4 * VECTOR, 8 * VECTOR)
"""Channels that a pack has at most, if a group has not more."""
_MOST_SAMPLES = (1 << 16) - 1
"""A descriptor can count."""


class Pack(NamedTuple):
    """Consecutive groups that passes have in common."""

    first: int
    """Number of the first group."""
    groups: int
    sets: int
    """Weight gradient: sets of groups that are samples of their own; 1: as they were."""

    @property
    def met(self) -> int:
        """Groups of a set, whose channels meet."""
        return self.groups // self.sets

    def shape(self, whole: ConvShape) -> ConvShape:
        """Return the convolution of one group that the passes compute."""
        if whole.groups == 1:
            return whole
        one = whole.group
        return dataclasses.replace(
            one, n=one.n * self.sets, c=one.c * self.met, k=one.k * self.groups
        )

    @takes_text
    def densities(self, which: Pass, densities: tuple[float, float]) -> tuple[float, float]:
        """Return the densities of its operands from those of the convolution's."""
        first, second = densities
        return first / (self.sets if which is Pass.WEIGHT_GRAD else self.groups), second

    @takes_text
    def operands(
        self, whole: ConvShape, which: Pass, first: np.ndarray, second: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return its operands, of `self.shape`, from those of the convolution."""
        if whole.groups == 1:
            return first, second
        one = whole.group
        if which is not Pass.WEIGHT_GRAD:
            per_group = one.c if which is Pass.FORWARD else one.k
            blocks = np.zeros((self.groups, one.k, self.groups, *first.shape[1:]), first.dtype)
            numbers = np.arange(self.groups)
            blocks[numbers, :, numbers] = self._part(first, one.k, 0).reshape(
                self.groups, one.k, *first.shape[1:]
            )
            weights = blocks.reshape(self.groups * one.k, self.groups * one.c, *first.shape[2:])
            return weights, self._part(second, per_group, 1)
        n, met = whole.n, self.met
        inputs = self._part(second, one.c, 1)
        inputs = inputs.reshape(n * self.sets, met * one.c, *inputs.shape[2:])
        grads = self._part(first, one.k, 1)
        size = grads.shape[2:]
        spread = np.zeros((n, self.sets, self.sets, met * one.k, *size), grads.dtype)
        numbers = np.arange(self.sets)
        spread[:, numbers, numbers] = grads.reshape(n, self.sets, met * one.k, *size)
        return spread.reshape(n * self.sets, self.groups * one.k, *size), inputs

    @takes_text
    def put(self, whole: ConvShape, which: Pass, found: np.ndarray, result: np.ndarray) -> None:
        """Put the result of its passes where it belongs in that of the convolution."""
        one = whole.group
        if which is Pass.WEIGHT_GRAD:
            # (set, group, its kernels, group of the same set, its channels, taps)
            blocks = found.reshape(self.sets, self.met, one.k, self.met, one.c, *found.shape[2:])
            numbers = np.arange(self.met)
            own = np.moveaxis(blocks[:, numbers, :, numbers], 0, 1)
            self._part(result, one.k, 0)[...] = own.reshape(-1, *result.shape[1:])
        else:
            self._part(result, one.k if which is Pass.FORWARD else one.c, 1)[...] = found

    def _part(self, tensor: np.ndarray, channels: int, axis: int) -> np.ndarray:
        """Return its channels, `channels` for each group, along an axis; a view."""
        bounds = slice(self.first * channels, (self.first + self.groups) * channels)
        return tensor[(slice(None),) * axis + (bounds,)]


@takes_text
def pack_sizes(shape: ConvShape, which: Pass) -> list[int]:
    """Return how many groups a pack may have: as fill some vectors, or one."""
    most = shape.groups
    if most == 1:
        return [1]
    channels = max(shape.group.c, shape.group.k)
    if which is Pass.WEIGHT_GRAD:
        most = min(most, max(1, _MOST_SAMPLES // shape.n))
    return sorted({min(most, max(1, lanes // channels)) for lanes in _LANES})


@takes_text
def possible_sets(shape: ConvShape, which: Pass, size: int, *, meet: bool) -> list[int]:
    """Return into how many sets a pack of so many groups may be cut.

    Parameters
    ----------
    shape, which
        The pass.
    size
        Groups of the pack.
    meet
        Groups of a set may meet in vain; otherwise each is a set.
    """
    if which is not Pass.WEIGHT_GRAD or size == 1:
        return [1]
    channels = max(shape.group.c, shape.group.k)
    # Sets of more than a vector would save no time in loading, and multiply more in vain.
    met = range(1, max(1, min(size, VECTOR // channels)) + 1) if meet else (1,)
    return [size // one for one in met if size % one == 0]


def packs_of(shape: ConvShape, size: int, sets: int, rest_sets: int) -> tuple[Pack, ...]:
    """Return the packs of a convolution: of `size` groups each, and one of the rest."""
    rest = shape.groups % size
    whole = shape.groups - rest
    packs = [Pack(first, size, sets) for first in range(0, whole, size)]
    return (*packs, Pack(whole, rest, rest_sets)) if rest else tuple(packs)
