"""Networks as layers of a training step, by the names that torch's have."""

from __future__ import annotations

import numpy as np
import torch

from gscn.lowering.step_layers import IMAGES, Conv, Norm, Pool


def block(name, source, channels, stride, shortcut):
    """Return the layers of a residual block; `shortcut`: "", "projected" or "padded"."""
    layers, added = [], source
    if shortcut:
        added = f"{name}.shortcut"
        layers.append(Conv(added, source, channels, 1, stride, fixed=shortcut == "padded"))
        if shortcut == "projected":
            layers[-1] = layers[-1]._replace(name=f"{name}.shortcut.0")
            added = f"{name}.shortcut.1"
            layers.append(Norm(added, f"{name}.shortcut.0", folded=True))
    return [
        *layers,
        Conv(f"{name}.conv1", source, channels, 3, stride, 1),
        Norm(f"{name}.norm1", f"{name}.conv1"),
        Conv(f"{name}.conv2", f"{name}.norm1", channels, 3, 1, 1),
        Norm(f"{name}.norm2", f"{name}.conv2", added=added),
    ]


def digits():
    """Return the digits network."""
    layers = [Conv("stem", IMAGES, 16, 3, 1, 1), Norm("stem_norm", "stem")]
    source = "stem_norm"
    for name, channels, stride in (("block1", 16, 1), ("block2", 32, 2), ("block3", 64, 2)):
        layers += block(name, source, channels, stride, "projected" if stride > 1 else "")
        source = f"{name}.norm2"
    return [
        *layers, Conv("head", source, 64), Norm("head_norm", "head"),
        Pool("pool", "head_norm", False, 2, 2), Conv("classifier", "pool", 10, linear=True),
    ]  # fmt: skip


def resnet20(size, blocks=3):
    """Return ResNet-20 for images of this size."""
    layers = [Conv("stem", IMAGES, 16, 3, 1, 1), Norm("stem_norm", "stem")]
    source = "stem_norm"
    for stage, channels in enumerate((16, 32, 64)):
        for number in range(blocks):
            name = f"stage{stage + 1}.{number}"
            first = stage > 0 and number == 0
            layers += block(name, source, channels, 2 if first else 1, "padded" if first else "")
            source = f"{name}.norm2"
    return [
        *layers, Pool("pool", source, False, size // 4, size // 4),
        Conv("classifier", "pool", 10, linear=True),
    ]  # fmt: skip


def small():
    """Return a network with a layer of every kind."""
    return [
        Conv("c1", IMAGES, 16, 3, 1, 1), Norm("n1", "c1"), Pool("largest", "n1", True, 2, 2),
        Conv("s", "largest", 32, 1, 2), Norm("ns", "s", folded=True),
        Conv("c2", "largest", 32, 3, 2, 1), Norm("n2", "c2"),
        Conv("c3", "n2", 32, 3, 1, 1), Norm("n3", "c3", added="ns"),
        Pool("mean", "n3", False, 2, 2), Conv("fc", "mean", 10, linear=True),
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
