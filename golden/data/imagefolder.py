"""Folders of images by class, such as ImageNet's: `train/<class>/*` and `val/<class>/*`."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import Tensor

from gscn.errors import InputError
from gscn.golden.data.dataset import ImageDataset
from gscn.golden.data.decoding import decode_image
from gscn.system.reading import is_folder, is_regular, shown_path

SUFFIXES = (".jpeg", ".jpg", ".png", ".bmp", ".ppm", ".webp")
_PARTS = ("train", "val")


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
            Naming a file that is missing or damaged, or of a kind that would lose values.
        """
        images = [decode_image(self.paths[index], self.size) for index in chosen.tolist()]
        return torch.stack([torch.from_numpy(image) for image in images])


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
        A part or a class is missing, or has no image, or something is called an image that is no
        file.
    """
    folder = Path(folder)
    classes: dict[str, list[str]] = {}
    for part in _PARTS:
        if not is_folder(folder / part):
            raise InputError(
                f"folder {shown_path(folder)} must have the folders {' and '.join(_PARTS)}"
            )
        classes[part] = sorted(path.name for path, _ in _entries(folder / part) if is_folder(path))
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


def _entries(folder: Path) -> list[tuple[Path, bool]]:
    """Return what is in a folder, and whether it is a folder and no link."""
    try:
        with os.scandir(folder) as entries:
            return [(Path(entry.path), entry.is_dir(follow_symlinks=False)) for entry in entries]
    except OSError as error:
        raise InputError(f"folder {folder} must be readable: {error.strerror}") from error


def _list(part: Path, classes: list[str]) -> tuple[list[Path], Tensor]:
    paths: list[Path] = []
    labels: list[int] = []
    for number, name in enumerate(classes):
        found = sorted(_images(part / name))
        if not found:
            raise InputError(f"{part / name} must have at least one image ({', '.join(SUFFIXES)})")
        paths += found
        labels += [number] * len(found)
    return paths, torch.tensor(labels)


def _images(folder: Path) -> list[Path]:
    """Return the images in a folder and those below; links to folders are not followed."""
    found, folders = [], [folder]
    while folders:
        for path, below in _entries(folders.pop()):
            if below:
                folders.append(path)
            elif path.suffix.lower() in SUFFIXES and not is_folder(path):
                # Nobody would end the wait for a pipe's data.
                if not is_regular(path):
                    raise InputError(f"{path} must be a regular file, as its name says an image")
                found.append(path)
    return found
