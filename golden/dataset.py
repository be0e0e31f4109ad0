"""What a data set of labelled images is to training."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

CLASS_COUNT = 10
"""Classes of every data set here: the ten digits."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ImageDataset:
    """Images (N, C, H, W), float32 from 0 to 1, and their classes (N,), int64."""

    name: str
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
