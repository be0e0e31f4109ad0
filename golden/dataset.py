"""What a data set of labelled images is to training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

CLASS_COUNT = 10
"""Classes of the bundled data sets: the ten digits."""


class Images(Protocol):
    """Images that are fetched by number: a tensor, or something that reads files."""

    def __getitem__(self, chosen: Tensor) -> Tensor:
        """Return (n, C, H, W), float32, for numbers (n,)."""

    def __len__(self) -> int:
        """Return how many there are."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C, H, W)."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ImageDataset:
    """Images (N, C, H, W), float32 from 0 to 1, and their classes (N,), int64."""

    name: str
    train_images: Images
    train_labels: Tensor
    test_images: Images
    test_labels: Tensor
    class_count: int = CLASS_COUNT
