"""Layers of ResNet-18 for 32x32 images, and the cycles of their convolutions, for encode passes."""

from __future__ import annotations

from typing import NamedTuple

BATCH = 32


class Layer(NamedTuple):
    """A convolution with its normalisation."""

    name: str
    channels: int
    kernels: int
    taps: int
    size: int
    """Rows and columns of the result."""
    forward: int
    """Cycles of the convolution, and of its two gradients."""
    input: int
    weight: int

    @property
    def results(self) -> int:
        """Elements of the result."""
        return BATCH * self.kernels * self.size * self.size

    @property
    def weights(self) -> int:
        """Weights."""
        return self.channels * self.kernels * self.taps * self.taps


LAYERS = (
    Layer("stem", 3, 64, 3, 32, 837431, 0, 149600),
    Layer("1.0.1", 64, 64, 3, 32, 897870, 342182, 317722),
    Layer("1.0.2", 64, 64, 3, 32, 877991, 348918, 334911),
    Layer("1.1.1", 64, 64, 3, 32, 1156945, 340599, 349377),
    Layer("1.1.2", 64, 64, 3, 32, 868013, 376762, 362386),
    Layer("2.0.s", 64, 128, 1, 16, 71688, 24351, 26486),
    Layer("2.0.1", 64, 128, 3, 16, 686794, 191019, 173667),
    Layer("2.0.2", 128, 128, 3, 16, 848818, 322857, 331727),
    Layer("2.1.1", 128, 128, 3, 16, 832001, 313611, 351106),
    Layer("2.1.2", 128, 128, 3, 16, 854058, 319611, 340790),
    Layer("3.0.s", 128, 256, 1, 8, 69670, 19960, 20464),
    Layer("3.0.1", 128, 256, 3, 8, 579911, 209320, 214448),
    Layer("3.0.2", 256, 256, 3, 8, 777249, 225043, 236275),
    Layer("3.1.1", 256, 256, 3, 8, 794800, 290374, 293155),
    Layer("3.1.2", 256, 256, 3, 8, 788630, 276939, 277153),
    Layer("4.0.s", 256, 512, 1, 4, 68528, 25393, 25219),
    Layer("4.0.1", 256, 512, 3, 4, 499291, 188226, 181694),
    Layer("4.0.2", 512, 512, 3, 4, 658725, 248253, 249749),
    Layer("4.1.1", 512, 512, 3, 4, 649795, 245344, 248225),
    Layer("4.1.2", 512, 512, 3, 4, 650162, 223176, 218525),
)
"""In the order of the forward pass."""
