"""Handwritten digits on photographs, RGB images of 32x32 pixels, made offline.

Implements: the blending of MNIST-M, the absolute difference of a digit and a random crop of a
photograph in each colour channel (Ganin and Lempitsky, "Unsupervised Domain Adaptation by
Backpropagation", ICML 2015, Sec. 4).
Differs: the digits are the 8x8 ones of scikit-learn, enlarged; the photographs are its two sample
images; size, place and contrast of a digit are random too.

This is not CIFAR-10, nor as varied: it stands in for it where nothing can be downloaded. The images
have CIFAR's shape and natural backgrounds; the ten classes are digits, and the backgrounds come
from two photographs.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from gscn.golden.data.dataset import ImageDataset
from gscn.golden.data.digits import load_digits

IMAGE_SIZE = 32
TRAIN_COPIES = 4
"""Composites made of each training digit; of a test digit there is one."""
DIGIT_SIZES = (20, 32)
"""Smallest and largest side of an enlarged digit, pixels."""
CONTRASTS = (0.6, 1.0)
"""Least and greatest value of a digit's darkest ink, which is 1 in `golden.data.digits`."""
_TEST_COLUMNS = 160
"""Columns at the right of each photograph that only test images show; the others never do."""
_TRAIN_SEED, _TEST_SEED = 21, 22


def load_composites() -> ImageDataset:
    """Return 5392 composites to train on and 449 to test on, always the same.

    They are split as `golden.data.digits` splits the digits, so none is in both parts, and the two
    parts show different columns of the photographs.
    """
    # Imported here because it is slow to import and only training needs it.
    from sklearn.datasets import load_sample_images

    photographs = np.stack(load_sample_images().images).astype(np.float32) / 255
    digits = load_digits()
    return ImageDataset(
        name="composites",
        train_images=blend(
            digits.train_images.repeat(TRAIN_COPIES, 1, 1, 1),
            photographs[:, :, :-_TEST_COLUMNS],
            _TRAIN_SEED,
        ),
        train_labels=digits.train_labels.repeat(TRAIN_COPIES),
        test_images=blend(digits.test_images, photographs[:, :, -_TEST_COLUMNS:], _TEST_SEED),
        test_labels=digits.test_labels,
    )


def blend(digits: Tensor, photographs: np.ndarray, seed: int) -> Tensor:
    """Place each digit on a crop of a photograph.

    Parameters
    ----------
    digits
        Shape (N, 1, 8, 8), from 0 to 1.
    photographs
        Shape (photographs, height, width, 3), float32 from 0 to 1, at least 32 pixels each way.
    seed
        Of crops, sizes, places and contrasts.

    Returns
    -------
    torch.Tensor
        Shape (N, 3, 32, 32), float32 from 0 to 1.
    """
    rng = np.random.default_rng(seed)
    count, height, width, _ = photographs.shape
    images = np.empty((len(digits), 3, IMAGE_SIZE, IMAGE_SIZE), np.float32)
    for image, digit in zip(images, digits, strict=True):
        size = int(rng.integers(DIGIT_SIZES[0], DIGIT_SIZES[1] + 1))
        row, column = rng.integers(0, IMAGE_SIZE - size + 1, size=2)
        top = rng.integers(0, height - IMAGE_SIZE + 1)
        left = rng.integers(0, width - IMAGE_SIZE + 1)
        crop = photographs[rng.integers(count), top : top + IMAGE_SIZE, left : left + IMAGE_SIZE]
        ink = functional.interpolate(digit[None], size=(size, size), mode="bilinear")[0, 0].numpy()
        image[...] = crop.transpose(2, 0, 1)
        place = image[:, row : row + size, column : column + size]
        place[...] = np.abs(place - rng.uniform(*CONTRASTS) * ink)
    return torch.from_numpy(images)
