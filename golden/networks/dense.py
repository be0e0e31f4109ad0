"""DenseNet-121 for ImageNet, and the form customary for 32x32 images.

Implements: Huang et al., "Densely Connected Convolutional Networks", CVPR 2017, Table 1.
Differs: the small form has a first convolution of 3x3 and stride 1, without pooling behind it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_GROWTH = 32
_BOTTLENECK = 4
"""Channels of a 1x1 convolution, in growths."""
_BLOCKS = (6, 12, 24, 16)
_STEM_CHANNELS = 64


class DenseLayer(nn.Module):
    """Normalised 1x1 and 3x3 convolutions; appends `_GROWTH` channels to its inputs."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        inner = _BOTTLENECK * _GROWTH
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, inner, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, _GROWTH, 3, padding=1, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (N, in_channels + 32, H, W) for (N, in_channels, H, W)."""
        hidden = self.conv1(functional.relu(self.norm1(inputs)))
        return torch.cat([inputs, self.conv2(functional.relu(self.norm2(hidden)))], 1)


class Transition(nn.Module):
    """Normalised 1x1 convolution to half the channels, and average pooling of 2x2."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(in_channels)
        self.conv = nn.Conv2d(in_channels, in_channels // 2, 1, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (N, in_channels/2, H/2, W/2) for (N, in_channels, H, W)."""
        return functional.avg_pool2d(self.conv(functional.relu(self.norm(inputs))), 2)


class DenseNet121(nn.Module):
    """Four blocks of 6, 12, 24 and 16 dense layers, with transitions between.

    Parameters
    ----------
    classes
        Scores.
    small
        First convolution 3x3 of stride 1, no pooling; otherwise 7x7 of stride 2, and pooling.
    in_channels
        Of the images.
    """

    def __init__(self, *, classes: int = 1000, small: bool = False, in_channels: int = 3) -> None:
        super().__init__()
        kernel, stride, padding = (3, 1, 1) if small else (7, 2, 3)
        self.stem = nn.Conv2d(in_channels, _STEM_CHANNELS, kernel, stride, padding, bias=False)
        self.stem_norm = nn.BatchNorm2d(_STEM_CHANNELS)
        self.pool: nn.Module = nn.Identity() if small else nn.MaxPool2d(3, 2, 1)
        channels = _STEM_CHANNELS
        parts: list[nn.Module] = []
        for index, count in enumerate(_BLOCKS):
            if index:
                parts.append(Transition(channels))
                channels //= 2
            parts.append(nn.Sequential(*(DenseLayer(channels + _GROWTH * i) for i in range(count))))
            channels += _GROWTH * count
        self.features = nn.Sequential(*parts)
        self.norm = nn.BatchNorm2d(channels)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return scores (N, classes) for images (N, in_channels, H, W), at least 32x32."""
        hidden = self.pool(functional.relu(self.stem_norm(self.stem(images))))
        hidden = functional.relu(self.norm(self.features(hidden)))
        return self.classifier(hidden.mean((2, 3)))
