"""The data set of a recipe."""

from __future__ import annotations

from golden.composites import load_composites
from golden.dataset import ImageDataset
from golden.datasets.cifar import load_cifar
from golden.datasets.imagefolder import load_image_folder
from golden.digits import load_digits
from golden.recipe import Recipe


def load_dataset(recipe: Recipe) -> ImageDataset:
    """Return the images that a recipe names.

    Raises
    ------
    InputError
        Files are missing or damaged.
    """
    name = recipe.dataset_name
    if name == "digits":
        return load_digits()
    if name == "composites":
        return load_composites()
    if name == "imagefolder":
        return load_image_folder(recipe.data, recipe.image_size)
    return load_cifar(name, recipe.data)
