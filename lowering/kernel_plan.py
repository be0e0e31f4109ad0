"""What a driver decides of a forward pass or an input gradient, as the array does it."""

from __future__ import annotations

from typing import NamedTuple

from gscn.conv import ConvShape
from gscn.lowering.axes import KernelGeometry, meetings
from gscn.lowering.bands import can_cut, in_bands
from gscn.lowering.estimates import KernelChoice, KernelWork, Sizes, plan_kernel
from gscn.lowering.layouts import Grouping

BANDS = (2, 4)
"""Bands of columns that are tried where tiles are few."""
_BANDED_JOBS = 8
"""Jobs of a cluster from which on the last round is short enough."""
_LEAST_COLUMNS = 8
"""Columns of a band: the fewer, the more of the stream are in two of them."""
_BANDS_SAVE = 0.98
"""Share of the cycles that is left where bands are worth their memory."""


class KernelPlan(NamedTuple):
    """A forward pass or an input gradient: weights are stationary."""

    geometry: KernelGeometry
    choice: KernelChoice
    bands: int = 1
    """Bands of columns, each a sample of its own."""

    @property
    def cut(self) -> KernelGeometry:
        """What the array does: bands are samples."""
        return in_bands(self.geometry, self.bands)

    @property
    def jobs(self) -> int:
        """Tiles of the results."""
        cut, choice = self.cut, self.choice
        rows, cols = cut.results
        tiles = -(-cut.channels // choice.s_real) * -(-cut.samples // choice.tile_samples)
        return tiles * -(-rows // choice.tile_rows) * -(-cols // choice.tile_cols)

    @property
    def stationary(self) -> Grouping:
        """Groups of the results' channels: tiles."""
        return Grouping(self.geometry.channels, self.choice.s_real, self.choice.s_vectors)

    @property
    def stream(self) -> Grouping:
        """Groups of contracted channels."""
        return Grouping(self.geometry.contracted, self.choice.t_real, self.choice.t_vectors)


def plan_part(
    sizes: Sizes,
    shape: ConvShape,
    geometry: KernelGeometry,
    densities: tuple[float, float],
    widths: tuple[int, int],
    level: int,
    *,
    whole: bool = False,
    packed: bool = False,
) -> KernelPlan:
    """Return the plan of a pass, or of one phase of the results, whose geometry is known.

    Parameters
    ----------
    sizes, shape, geometry
        The array, the convolution, and the pass.
    densities
        Of the weights and of the stream.
    widths
        Bytes of a result and of an operand's number.
    level
        As of `lowering.plan.plan_pass`.
    whole
        Maps are not cut into bands.
    packed
        Weights are those of a pack of groups: a word meets few, and words of halos count, so that
        bands are worth their while however many tiles there are.
    """
    y, x = geometry.y, geometry.x
    share = len(y.places) * len(x.places) / (shape.r * shape.s)
    weights = shape.k * shape.c * len(y.places) * len(x.places)
    filled = weights / (geometry.channels * geometry.contracted * y.taps * x.taps)
    products = meetings(shape) * share * densities[0] * densities[1]
    held = densities[0] * filled
    operands = (products, held, densities[1])
    best = KernelPlan(geometry, _cut(sizes, geometry, operands, widths, level))
    jobs = best.jobs
    for bands in BANDS:
        if whole or (jobs >= _BANDED_JOBS * sizes.clusters and not packed):
            break
        if geometry.results[1] < _LEAST_COLUMNS * bands:
            break
        if not can_cut(geometry, bands):
            continue
        choice = _cut(sizes, in_bands(geometry, bands), operands, widths, level)
        if choice.tile_samples == 1 and choice.cycles < _BANDS_SAVE * best.choice.cycles:
            best = KernelPlan(geometry, choice, bands)
    return best


def _cut(
    sizes: Sizes,
    geometry: KernelGeometry,
    operands: tuple[float, float, float],
    widths: tuple[int, int],
    level: int,
) -> KernelChoice:
    """Return how a pass is cut; `operands` are products and densities as of `plan_kernel`."""
    y = geometry.y
    work = KernelWork(
        geometry.samples,
        geometry.channels,
        geometry.contracted,
        *geometry.results,
        *geometry.stream,
        y.taps * geometry.x.taps,
        y.taps,
        y.first,
        y.step,
        *widths,
    )
    return plan_kernel(sizes, work, *operands, level)
