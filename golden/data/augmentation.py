"""Random changes of training images, customary for CIFAR: mirrored and shifted.

Implements: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, Sec. 4.2: a random
crop of the image padded by zeros, 4 pixels for 32, and a horizontal flip of every other image.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_PADDING_SHARE = 8
"""Images are padded by one of this many of their height."""


class ShiftAndFlip:
    """The same as a transform of one image or of several, to be composed with others.

    It draws from torch's global generator, as those of `torchvision.transforms` do.
    """

    def __call__(self, images: Tensor) -> Tensor:
        """Return an image (C, H, W), or images (N, C, H, W), changed at random."""
        generator = torch.Generator().manual_seed(int(torch.randint(1 << 62, ())))
        if images.dim() == 3:
            return augment(images[None], generator)[0]
        return augment(images, generator)


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return images (N, C, H, W), each shifted and half of them mirrored, at random.

    Parameters
    ----------
    images
        Shape (N, C, H, W); left as they are.
    generator
        Draws shifts and flips.
    """
    count, _, height, width = images.shape
    padding = height // _PADDING_SHARE
    padded = functional.pad(images, (padding,) * 4)
    tops, lefts = torch.randint(2 * padding + 1, (2, count), generator=generator).tolist()
    flips = torch.randint(2, (count,), generator=generator).tolist()
    made = torch.empty_like(images)
    for index, (top, left, flip) in enumerate(zip(tops, lefts, flips, strict=True)):
        crop = padded[index, :, top : top + height, left : left + width]
        made[index] = crop.flip(2) if flip else crop
    return made
