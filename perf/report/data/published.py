"""Figures that others published, each with what it is of and against what it was measured.

Nothing here is ours, and no two of these baselines are the same: a speed-up is comparable only with
one over the same baseline, which `baseline` says in words.
"""

from __future__ import annotations

from dataclasses import dataclass

SWAT = "M. A. Raihan, T. M. Aamodt, Sparse Weight Activation Training, NeurIPS 2020"
SWAT_POSTER = "poster of SWAT, NeurIPS 2020"
RESPROP = "N. Goli, T. M. Aamodt, ReSprop: Reuse Sparsified Backpropagation, CVPR 2020"
ANT = "ANT: anticipating zeros in outer products for sparse training, ISCA 2022"
TENSORDASH = "M. Mahmoud et al., TensorDash, MICRO 2020"
SCNN = "A. Parashar et al., SCNN, ISCA 2017"
PROCRUSTES = "D. Yang et al., Procrustes, MICRO 2020"


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """One published figure."""

    key: str
    """Name by which the report asks for it."""
    system: str
    what: str
    """Network, method, sparsity, passes."""
    value: float
    """Times faster."""
    baseline: str
    """What it is a multiple of, in words."""
    source: str
    caveat: str = ""
    """What was not published, or keeps the figure from being compared one to one."""


_SWAT_BASE = "dense training on the authors' own simulated accelerator"
_SWAT_CAVEAT = "size, clock and memory of that accelerator are not ours"
_GTX = "a GTX 1080 Ti that computes the backward pass densely"
_GTX_CAVEAT = "backward pass only; size, clock, precision and batch of that accelerator unpublished"

FIGURES = (
    Published(
        key="swat-training-80",
        system="SWAT",
        what="ResNet-50, SWAT at 80 %, training",
        value=3.3,
        baseline=_SWAT_BASE,
        source=SWAT,
        caveat=_SWAT_CAVEAT,
    ),
    Published(
        key="swat-forward-80",
        system="SWAT",
        what="ResNet-50, SWAT at 80 %, forward",
        value=3.3,
        baseline=_SWAT_BASE,
        source=SWAT_POSTER,
        caveat=_SWAT_CAVEAT,
    ),
    Published(
        key="swat-backward-80",
        system="SWAT",
        what="ResNet-50, SWAT at 80 %, backward",
        value=3.4,
        baseline=_SWAT_BASE,
        source=SWAT_POSTER,
        caveat=_SWAT_CAVEAT,
    ),
    Published(
        key="swat-forward-90",
        system="SWAT",
        what="ResNet-50, SWAT at 90 %, forward",
        value=5.6,
        baseline=_SWAT_BASE,
        source=SWAT_POSTER,
        caveat=_SWAT_CAVEAT,
    ),
    Published(
        key="swat-backward-90",
        system="SWAT",
        what="ResNet-50, SWAT at 90 %, backward",
        value=6.3,
        baseline=_SWAT_BASE,
        source=SWAT_POSTER,
        caveat=_SWAT_CAVEAT,
    ),
    Published(
        key="ant-geomean-90",
        system="ANT",
        what="five networks, sparse training at 90 %, geometric mean",
        value=3.71,
        baseline="an SCNN-like outer-product accelerator (SCNN+)",
        source=ANT,
    ),
    Published(
        key="resprop-resnet34",
        system="ReSprop on GSCN",
        what="ResNet-34, ReSprop, backward",
        value=8.0,
        baseline=_GTX,
        source=RESPROP,
        caveat=_GTX_CAVEAT,
    ),
    Published(
        key="resprop-vgg16",
        system="ReSprop on GSCN",
        what="VGG-16, ReSprop, backward",
        value=7.2,
        baseline=_GTX,
        source=RESPROP,
        caveat=_GTX_CAVEAT,
    ),
    Published(
        key="tensordash-training",
        system="TensorDash",
        what="training, average over its networks",
        value=1.95,
        baseline="the same array without zero skipping; at most 3x by construction",
        source=TENSORDASH,
        caveat="skips zeros of one operand",
    ),
    Published(
        key="scnn-inference",
        system="SCNN",
        what="inference, average over its networks",
        value=2.7,
        baseline="a dense accelerator of as many multipliers",
        source=SCNN,
        caveat="inference only",
    ),
    Published(
        key="procrustes-training",
        system="Procrustes",
        what="weight-sparse training, up to",
        value=4.0,
        baseline="an equivalent dense accelerator",
        source=PROCRUSTES,
        caveat="the largest of its networks; skips zeros of the weights",
    ),
)
"""All of them."""

BY_KEY = {figure.key: figure for figure in FIGURES}


@dataclass(frozen=True, kw_only=True, slots=True)
class Gpu:
    """The card that ReSprop's figures are multiples of, by its vendor's data."""

    name: str = "GTX 1080 Ti"
    lanes: int = 3584
    """Single-precision multiply-accumulates per cycle."""
    clock_mhz: float = 1582.0
    """Boost."""
    dram_gb_per_s: float = 484.0

    @property
    def bytes_per_cycle_and_lane(self) -> float:
        """DRAM bytes, both directions together, per lane and cycle."""
        return self.dram_gb_per_s * 1e3 / self.clock_mhz / self.lanes


GTX_1080_TI = Gpu()
