"""Residual networks: one for 8x8 digits, ResNet-18, 34, 50, WRN-50-2, and ResNet-20.

Implements: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016: basic blocks and
bottlenecks, with 1x1 shortcuts where shapes change, and the networks of its Sec. 4.2 for 32x32
images, with shortcuts without parameters (option A); Zagoruyko and Komodakis, "Wide Residual
Networks", BMVC 2016, Sec. 3.5: WRN-50-2, whose bottlenecks are twice as wide inside.
Differs: the stride of a bottleneck is in its 3x3 convolution, as is customary. The small form of
ResNet-18 and others has a first convolution of 3x3 and stride 1, without pooling behind it, as is
customary for 32x32 images; the paper's own networks for such images are those of `SmallResNet`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn
from torch.nn import functional

from gscn.errors import InputError
from gscn.golden.data.dataset import CLASS_COUNT


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch normalisation and a shortcut, 1x1 where shapes change."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.shortcut = _shortcut(in_channels, out_channels, stride)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (N, out_channels, H/stride, W/stride) for (N, in_channels, H, W)."""
        hidden = functional.relu(self.norm1(self.conv1(inputs)))
        return functional.relu(self.norm2(self.conv2(hidden)) + self.shortcut(inputs))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions with batch normalisation and a shortcut."""

    def __init__(self, in_channels: int, inner: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, inner, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, out_channels, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(out_channels)
        self.shortcut = _shortcut(in_channels, out_channels, stride)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (N, out_channels, H/stride, W/stride) for (N, in_channels, H, W)."""
        hidden = functional.relu(self.norm1(self.conv1(inputs)))
        hidden = functional.relu(self.norm2(self.conv2(hidden)))
        return functional.relu(self.norm3(self.conv3(hidden)) + self.shortcut(inputs))


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


class ResNet(nn.Module):
    """Four stages of residual blocks, each stage after the first halving the image.

    Parameters
    ----------
    counts
        Blocks of each stage.
    bottleneck
        Whether blocks are bottlenecks, with four times as many channels outside.
    inner_factor
        Bottlenecks: factor of the channels inside; WRN-50-2 has 2.
    classes
        Scores, at least 1.
    width
        Channels of the first stage, at least 1; the others have 2, 4 and 8 times as many. The
        published networks have 64.
    small
        First convolution 3x3 of stride 1, no pooling; otherwise 7x7 of stride 2, and pooling.
    in_channels
        Of the images.

    Raises
    ------
    InputError
        Width out of range.
    """

    def __init__(
        self,
        counts: Sequence[int],
        *,
        bottleneck: bool = False,
        inner_factor: int = 1,
        classes: int = 1000,
        width: int = 64,
        small: bool = False,
        in_channels: int = 3,
    ) -> None:
        if width < 1:
            raise InputError(f"width must be at least 1, not {width}")
        super().__init__()
        if small:
            self.stem = nn.Conv2d(in_channels, width, 3, 1, 1, bias=False)
        else:
            self.stem = nn.Conv2d(in_channels, width, 7, 2, 3, bias=False)
        self.stem_norm = nn.BatchNorm2d(width)
        self.pool: nn.Module = nn.Identity() if small else nn.MaxPool2d(3, 2, 1)
        expansion = 4 if bottleneck else 1
        channels = width
        for index, count in enumerate(counts):
            inner = (width << index) * inner_factor
            out_channels = (width << index) * expansion

            def block(channels: int, stride: int, i: int = inner, o: int = out_channels):
                if bottleneck:
                    return Bottleneck(channels, i, o, stride)
                return ResidualBlock(channels, o, stride)

            stage = _stage(block, channels, out_channels, count, 2 if index else 1)
            self.add_module(f"stage{index + 1}", stage)
            channels = out_channels
        self.classifier = nn.Linear(channels, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return scores (N, classes) for images (N, in_channels, H, W)."""
        hidden = self.pool(functional.relu(self.stem_norm(self.stem(images))))
        hidden = self.stage4(self.stage3(self.stage2(self.stage1(hidden))))
        return self.classifier(hidden.mean((2, 3)))


class SmallResNet(nn.Module):
    """The paper's network of depth 6n + 2 for 32x32 images: 16, 32 and 64 channels.

    Parameters
    ----------
    blocks
        Blocks per stage, n; ResNet-20 has 3.
    classes
        Scores.
    in_channels
        Of the images.
    """

    def __init__(self, blocks: int = 3, *, classes: int = CLASS_COUNT, in_channels: int = 3):
        super().__init__()
        self.stem = nn.Conv2d(in_channels, 16, 3, 1, 1, bias=False)
        self.stem_norm = nn.BatchNorm2d(16)

        def block(channels: int, stride: int) -> ResidualBlock:
            made = ResidualBlock(channels, channels * stride, stride)
            if stride > 1:
                made.shortcut = PaddedShortcut(channels, channels * stride, stride)
            return made

        self.stage1 = _stage(block, 16, 16, blocks, 1)
        self.stage2 = _stage(block, 16, 32, blocks, 2)
        self.stage3 = _stage(block, 32, 64, blocks, 2)
        self.classifier = nn.Linear(64, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return scores (N, classes) for images (N, in_channels, H, W)."""
        hidden = functional.relu(self.stem_norm(self.stem(images)))
        hidden = self.stage3(self.stage2(self.stage1(hidden)))
        return self.classifier(hidden.mean((2, 3)))


class PaddedShortcut(nn.Module):
    """Shortcut without parameters: every `stride`-th pixel, further channels zero (option A)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.more = out_channels - in_channels
        self.stride = stride

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (N, out_channels, H/stride, W/stride) for (N, in_channels, H, W)."""
        kept = inputs[:, :, :: self.stride, :: self.stride]
        return functional.pad(kept, (0, 0, 0, 0, self.more // 2, self.more - self.more // 2))


def _shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
        nn.BatchNorm2d(out_channels),
    )


def _stage(
    block: Callable[[int, int], nn.Module],
    in_channels: int,
    out_channels: int,
    count: int,
    stride: int,
) -> nn.Sequential:
    first = block(in_channels, stride)
    return nn.Sequential(first, *(block(out_channels, 1) for _ in range(count - 1)))
