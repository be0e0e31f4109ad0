"""The data set of a recipe."""

from __future__ import annotations

from gscn.golden.data.cifar import load_cifar
from gscn.golden.data.composites import load_composites
from gscn.golden.data.dataset import ImageDataset
from gscn.golden.data.digits import load_digits
from gscn.golden.data.imagefolder import load_image_folder
from gscn.golden.recipe import Recipe


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
