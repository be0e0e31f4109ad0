"""Folders of images by class, such as ImageNet's: `train/<class>/*` and `val/<class>/*`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from golden.dataset import ImageDataset
from gscn.errors import InputError

SUFFIXES = (".jpeg", ".jpg", ".png", ".bmp", ".ppm", ".webp")
_PARTS = ("train", "val")
_RESIZE_FACTOR = 256 / 224
"""The shorter side is scaled to this many crops, as is customary for ImageNet."""


class FolderImages:
    """Images that are decoded when fetched: scaled, and their middle cut out.

    Parameters
    ----------
    paths
        Files, in the order of their numbers.
    size
        Height and width to deliver, pixels.
    """

    def __init__(self, paths: list[Path], size: int) -> None:
        self.paths = paths
        self.size = size

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, C, H, W)."""
        return len(self.paths), 3, self.size, self.size

    def __getitem__(self, chosen: Tensor) -> Tensor:
        """Return (n, 3, size, size), float32 from 0 to 1, for numbers (n,).

        Raises
        ------
        InputError
            Naming a file that is missing or damaged.
        """
        return torch.stack([self._decode(self.paths[index]) for index in chosen.tolist()])

    def _decode(self, path: Path) -> Tensor:
        # Imported here because it is slow to import and only these images need it.
        from PIL import Image

        try:
            with Image.open(path) as image:
                image = image.convert("RGB")
        # Pillow's decoders fail in many ways on damaged files.
        except Exception as error:
            raise InputError(f"{path} must be a whole image: {error}") from error
        factor = self.size * _RESIZE_FACTOR / min(image.size)
        width, height = (max(self.size, round(side * factor)) for side in image.size)
        left, top = (width - self.size) // 2, (height - self.size) // 2
        image = image.resize((width, height), Image.Resampling.BILINEAR)
        image = image.crop((left, top, left + self.size, top + self.size))
        pixels = np.asarray(image, np.float32) / 255
        return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def load_image_folder(folder: Path | str, size: int) -> ImageDataset:
    """List the images of a folder with `train` and `val`; they are decoded when training asks.

    Parameters
    ----------
    folder
        Its parts have one folder per class, of equal names, numbered in the order of the names.
    size
        Height and width to scale and cut images to, pixels.

    Raises
    ------
    InputError
        A part or a class is missing, or has no image.
    """
    folder = Path(folder)
    classes: dict[str, list[str]] = {}
    for part in _PARTS:
        if not (folder / part).is_dir():
            raise InputError(f"folder {folder} must have the folders {' and '.join(_PARTS)}")
        classes[part] = sorted(p.name for p in (folder / part).iterdir() if p.is_dir())
    train, val = (classes[part] for part in _PARTS)
    if not train or train != val:
        odd = sorted(set(train) ^ set(val))
        raise InputError(
            f"folder {folder} must have the same classes in {' and '.join(_PARTS)}, at least one; "
            f"only one of them has {', '.join(odd[:5]) or '(no class at all)'}"
        )
    listed = {part: _list(folder / part, train) for part in _PARTS}
    return ImageDataset(
        name="imagefolder",
        train_images=FolderImages(listed["train"][0], size),
        train_labels=listed["train"][1],
        test_images=FolderImages(listed["val"][0], size),
        test_labels=listed["val"][1],
        class_count=len(train),
    )


def _list(part: Path, classes: list[str]) -> tuple[list[Path], Tensor]:
    paths: list[Path] = []
    labels: list[int] = []
    for number, name in enumerate(classes):
        found = sorted(p for p in (part / name).rglob("*") if p.suffix.lower() in SUFFIXES)
        if not found:
            raise InputError(f"{part / name} must have at least one image ({', '.join(SUFFIXES)})")
        paths += found
        labels += [number] * len(found)
    return paths, torch.tensor(labels)
