"""A small UNet, as a network of a user's own."""

import torch
from torch import Tensor, nn


def _block(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(),
        nn.Conv2d(after, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(),
    )  # fmt: skip


class UNet(nn.Module):
    """Labels the pixels of an image, by maps of three sizes."""

    def __init__(self, width: int = 32, classes: int = 4) -> None:
        super().__init__()
        self.down = nn.ModuleList((_block(3, width), _block(width, 2 * width)))
        self.middle = _block(2 * width, 4 * width)
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(2 * size, size, 2, stride=2) for size in (2 * width, width)
        )
        self.after = nn.ModuleList(_block(2 * size, size) for size in (2 * width, width))
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Label images (N, 3, H, W), with sides that are multiples of 4."""
        kept = []
        for block in self.down:
            kept.append(block(x))
            x = nn.functional.max_pool2d(kept[-1], 2)
        x = self.middle(x)
        for grow, block in zip(self.up, self.after, strict=True):
            x = block(torch.cat((grow(x), kept.pop()), 1))
        return self.head(x)
