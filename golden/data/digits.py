"""Handwritten digits of 8x8 pixels, bundled with scikit-learn, with a fixed split."""

from __future__ import annotations

import numpy as np
import torch

from gscn.golden.data.dataset import ImageDataset

IMAGE_SIZE = 8
TEST_SHARE = 4
"""One image of this many is held out for the test."""
_SPLIT_SEED = 20


def load_digits() -> ImageDataset:
    """Return the 1797 digits: 1348 to train on, 449 to test on, always the same."""
    # Imported here because it is slow to import and only training needs it.
    from sklearn.datasets import load_digits as load_bundled

    bundled = load_bundled()
    images = (bundled.images / 16).astype(np.float32)[:, None]
    labels = bundled.target.astype(np.int64)
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(labels))
    test_count = len(labels) // TEST_SHARE
    test, train = order[:test_count], order[test_count:]
    return ImageDataset(
        name="digits",
        train_images=torch.from_numpy(images[train]),
        train_labels=torch.from_numpy(labels[train]),
        test_images=torch.from_numpy(images[test]),
        test_labels=torch.from_numpy(labels[test]),
    )
