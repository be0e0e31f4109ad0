"""Residual networks: a small one for 8x8 digits, and ResNet-18 for 32x32 images.

Implements: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016: basic blocks, with
1x1 shortcuts where shapes change.
Differs: `ResNet18` has the form customary for 32x32 images: its first convolution is 3x3 of stride
1, without pooling behind it. The paper's own networks for such images have other widths and depths.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from golden.dataset import CLASS_COUNT
from gscn.errors import InputError


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch normalisation and a shortcut, 1x1 where shapes change."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (N, out_channels, H/stride, W/stride) for (N, in_channels, H, W)."""
        hidden = functional.relu(self.norm1(self.conv1(inputs)))
        return functional.relu(self.norm2(self.conv2(hidden)) + self.shortcut(inputs))


class DigitsNetwork(nn.Module):
    """Residual network of 16, 32 and 64 channels, with a 1x1 convolution before the classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, 1, 1, bias=False)
        self.stem_norm = nn.BatchNorm2d(16)
        self.block1 = ResidualBlock(16, 16, 1)
        self.block2 = ResidualBlock(16, 32, 2)
        self.block3 = ResidualBlock(32, 64, 2)
        self.head = nn.Conv2d(64, 64, 1, bias=False)
        self.head_norm = nn.BatchNorm2d(64)
        self.classifier = nn.Linear(64, CLASS_COUNT)

    def forward(self, images: Tensor) -> Tensor:
        """Return scores (N, 10) for images (N, 1, 8, 8)."""
        hidden = functional.relu(self.stem_norm(self.stem(images)))
        hidden = self.block3(self.block2(self.block1(hidden)))
        hidden = functional.relu(self.head_norm(self.head(hidden)))
        return self.classifier(hidden.mean((2, 3)))


class ResNet18(nn.Module):
    """ResNet-18: four stages of two basic blocks, each stage after the first halving the image.

    Parameters
    ----------
    width
        Channels of the first stage, at least 1; the others have 2, 4 and 8 times as many. The
        published network has 64.

    Raises
    ------
    InputError
        Width out of range.
    """

    def __init__(self, width: int = 64) -> None:
        if width < 1:
            raise InputError(f"width must be at least 1, not {width}")
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.stem_norm = nn.BatchNorm2d(width)
        self.stage1 = _stage(width, width, 1)
        self.stage2 = _stage(width, 2 * width, 2)
        self.stage3 = _stage(2 * width, 4 * width, 2)
        self.stage4 = _stage(4 * width, 8 * width, 2)
        self.classifier = nn.Linear(8 * width, CLASS_COUNT)

    def forward(self, images: Tensor) -> Tensor:
        """Return scores (N, 10) for images (N, 3, H, W), H and W multiples of 8."""
        hidden = functional.relu(self.stem_norm(self.stem(images)))
        hidden = self.stage4(self.stage3(self.stage2(self.stage1(hidden))))
        return self.classifier(hidden.mean((2, 3)))


def _stage(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        ResidualBlock(in_channels, out_channels, stride),
        ResidualBlock(out_channels, out_channels, 1),
    )
