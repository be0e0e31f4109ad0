"""Networks as layers of a training step, by the names that torch's have."""

from __future__ import annotations

import numpy as np
import torch

from gscn.lowering.step.layers import IMAGES, Conv, Norm, Pool


def small():
    """Return a network with a layer of every kind."""
    return [
        Conv("c1", IMAGES, 16, 3, 1, 1), Norm("n1", "c1"), Pool("largest", "n1", True, 2, 2),
        Conv("s", "largest", 32, 1, 2), Norm("ns", "s", folded=True),
        Conv("c2", "largest", 32, 3, 2, 1), Norm("n2", "c2"),
        Conv("c3", "n2", 32, 3, 1, 1), Norm("n3", "c3", added="ns"),
        Pool("mean", "n3", False, 2, 2), Conv("fc", "mean", 10, linear=True),
    ]  # fmt: skip


def large():
    """Return a network as those for large images begin: maps of 16 x 16 become 2 x 2."""
    return [
        Conv("stem", IMAGES, 16, 7, 2, 3), Norm("n", "stem"),
        Pool("pool", "n", True, 3, 3, (2, 2), (1, 1)),
        Conv("s", "pool", 32, 1, 2), Norm("ns", "s", folded=True),
        Conv("c1", "pool", 32, 3, 2, 1), Norm("n1", "c1"),
        Conv("c2", "n1", 32, 3, 1, 1), Norm("n2", "c2", added="ns"),
        Pool("mean", "n2", False, 2, 2), Conv("fc", "mean", 10, linear=True),
    ]  # fmt: skip


def grouped(side):
    """Return a network of groups: packs of some, each vectors; depthwise; all in one pack."""
    return [
        Conv("c", IMAGES, 32, 3, 1, 1), Norm("n", "c"),
        Conv("g", "n", 32, 3, 2, 1, groups=8), Norm("ng", "g"),
        Conv("d", "ng", 32, 3, 1, 1, groups=32), Norm("nd", "d", added="ng"),
        Conv("h", "nd", 24, 3, 1, 1, groups=8), Norm("nh", "h"),
        Conv("e", "nh", 24, 3, 1, 1, groups=24), Norm("ne", "e"),
        Pool("mean", "ne", False, side // 2, side // 2), Conv("fc", "mean", 10, linear=True),
    ]  # fmt: skip


def padding(kernels, channels):
    """Return weights (K, C, 1, 1) of a shortcut that fills channels up with zeros."""
    found = np.zeros((kernels, channels, 1, 1), dtype=np.float32)
    found[np.arange(channels) + (kernels - channels) // 2, np.arange(channels)] = 1
    return found


class Small(torch.nn.Module):
    """`small` in torch."""

    def __init__(self):
        super().__init__()
        for name, sizes in (
            ("c1", (3, 16, 3, 1, 1)), ("s", (16, 32, 1, 2)), ("c2", (16, 32, 3, 2, 1)),
            ("c3", (32, 32, 3, 1, 1)),
        ):  # fmt: skip
            setattr(self, name, torch.nn.Conv2d(*sizes, bias=False))
        for name, channels in (("n1", 16), ("ns", 32), ("n2", 32), ("n3", 32)):
            setattr(self, name, torch.nn.BatchNorm2d(channels))
        self.fc = torch.nn.Linear(32, 10)

    def forward(self, images):
        """Return logits."""
        relu = torch.nn.functional.relu
        hidden = torch.nn.functional.max_pool2d(relu(self.n1(self.c1(images))), 2)
        inner = relu(self.n2(self.c2(hidden)))
        hidden = relu(self.n3(self.c3(inner)) + self.ns(self.s(hidden)))
        return self.fc(hidden.mean((2, 3)))
