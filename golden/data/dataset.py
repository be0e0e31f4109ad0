"""What a data set of labelled images is to training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from gscn.errors import InputError, raise_problems

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
    """Images (N, C, H, W), float32 from 0 to 1, and their classes (N,), int64.

    Raises
    ------
    InputError
        Naming every part that is something else: nothing is converted.
    """

    name: str
    train_images: Images
    train_labels: Tensor
    test_images: Images
    test_labels: Tensor
    class_count: int = CLASS_COUNT
    train_transform: Callable[[Tensor], Tensor] | None = None
    """Changes a training image (C, H, W) each time that it is fetched, as torchvision's transforms
    do: drawn, if at all, from torch's global generator, which the trainer seeds."""

    def __post_init__(self) -> None:
        """Collect every problem and raise them together."""
        problems = []
        for part in ("train", "test"):
            images, labels = getattr(self, f"{part}_images"), getattr(self, f"{part}_labels")
            if len(images.shape) != 4 or not len(images):
                problems.append(
                    f"{part}_images must be of shape (N, C, H, W), not {tuple(images.shape)}"
                )
            elif isinstance(images, Tensor) and (
                images.dtype != torch.float32 or not 0 <= images.min() <= images.max() <= 1
            ):
                problems.append(f"{part}_images must be float32 from 0 to 1")
            if labels.dtype != torch.int64 or labels.shape != (len(images),):
                problems.append(
                    f"{part}_labels must be int64, one for each of {len(images)} images, "
                    f"not {labels.dtype} of shape {tuple(labels.shape)}"
                )
            elif len(labels) and not 0 <= labels.min() <= labels.max() < self.class_count:
                problems.append(f"{part}_labels must be from 0 to {self.class_count - 1}")
        raise_problems("data set", problems)

    def transformed(self, images: Tensor) -> Tensor:
        """Return training images (N, C, H, W), each changed by `train_transform`.

        Raises
        ------
        InputError
            What came of it are no images of as many channels and of one size, float32.
        """
        made = [self.train_transform(image) for image in images]
        wrong = [
            one
            for one in made
            if not isinstance(one, Tensor)
            or (one.dtype, one.dim()) != (torch.float32, 3)
            or (one.shape[0], one.shape) != (images.shape[1], made[0].shape)
        ]
        if wrong:
            what = type(wrong[0]).__name__
            if isinstance(wrong[0], Tensor):
                what = f"{wrong[0].dtype} of shape {tuple(wrong[0].shape)}"
            raise InputError(
                f"train_transform must return images of {images.shape[1]} channels and one size, "
                f"float32, not {what}"
            )
        return torch.stack(made)
