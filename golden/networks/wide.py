"""Wide residual networks for 32x32 images: WRN-16-8, WRN-28-10.

Implements: Zagoruyko and Komodakis, "Wide Residual Networks", BMVC 2016, Table 1: blocks of two 3x3
convolutions, each behind its normalisation and ReLU.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from gscn.errors import InputError
from gscn.golden.data.dataset import CLASS_COUNT

_STEM_CHANNELS = 16


class PreactivatedBlock(nn.Module):
    """Normalisation, ReLU and 3x3 convolution, twice; the shortcut is 1x1 where shapes change."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.shortcut: nn.Module | None = None
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (N, out_channels, H/stride, W/stride) for (N, in_channels, H, W)."""
        active = functional.relu(self.norm1(inputs))
        # A shortcut with weights takes the activated inputs, the identity the inputs themselves.
        kept = inputs if self.shortcut is None else self.shortcut(active)
        hidden = functional.relu(self.norm2(self.conv1(active)))
        return self.conv2(hidden) + kept


class WideResNet(nn.Module):
    """Three stages of pre-activated blocks of 16, 32 and 64 times `factor` channels.

    Parameters
    ----------
    depth
        6n + 4 with n blocks per stage, at least 10.
    factor
        Widening factor, at least 1.
    classes
        Scores.
    in_channels
        Of the images.

    Raises
    ------
    InputError
        Depth or factor out of range.
    """

    def __init__(
        self, depth: int, factor: int, *, classes: int = CLASS_COUNT, in_channels: int = 3
    ) -> None:
        if depth < 10 or (depth - 4) % 6 or factor < 1:
            raise InputError(
                "depth must be 6n + 4 with n of at least 1, and factor at least 1, "
                f"not {depth} and {factor}"
            )
        super().__init__()
        blocks = (depth - 4) // 6
        self.stem = nn.Conv2d(in_channels, _STEM_CHANNELS, 3, 1, 1, bias=False)
        channels = _STEM_CHANNELS
        for index in range(3):
            out_channels = (_STEM_CHANNELS << index) * factor
            stage = []
            for block in range(blocks):
                stride = 2 if index and not block else 1
                stage.append(PreactivatedBlock(channels, out_channels, stride))
                channels = out_channels
            self.add_module(f"stage{index + 1}", nn.Sequential(*stage))
        self.norm = nn.BatchNorm2d(channels)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return scores (N, classes) for images (N, in_channels, H, W)."""
        hidden = self.stage3(self.stage2(self.stage1(self.stem(images))))
        return self.classifier(functional.relu(self.norm(hidden)).mean((2, 3)))
