"""Composites: shapes, range, blending, and what each part of the split is made of."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.datasets
import torch
from sklearn.utils import Bunch

import gscn.golden.data.composites
from gscn.golden.data.composites import CONTRASTS, DIGIT_SIZES, TRAIN_COPIES, blend, load_composites
from gscn.golden.data.dataset import ImageDataset
from gscn.golden.data.digits import load_digits

PLAIN = torch.ones(40, 1, 8, 8)


def photograph(rng, height: int = 40, width: int = 50) -> np.ndarray:
    return rng.random((2, height, width, 3), dtype=np.float32)


@pytest.fixture(scope="module")
def composites():
    return load_composites()


def test_shapes_range_and_labels(composites):
    digits = load_digits()
    assert composites.train_images.shape == (TRAIN_COPIES * 1348, 3, 32, 32)
    assert composites.test_images.shape == (449, 3, 32, 32)
    assert torch.equal(composites.train_labels, torch.cat([digits.train_labels] * TRAIN_COPIES))
    assert torch.equal(composites.test_labels, digits.test_labels)
    for images in (composites.train_images, composites.test_images):
        assert images.dtype == torch.float32
        assert images.min() >= 0
        assert images.max() <= 1
        assert len(images.unique(dim=0)) == len(images), "every composite is another image"


def test_loading_again_gives_the_same_images(composites):
    again = load_composites()
    assert torch.equal(again.train_images, composites.train_images)
    assert torch.equal(again.test_images, composites.test_images)


def test_parts_have_digits_and_columns_of_their_own(monkeypatch):
    # Training columns black and training digits full of ink, test columns white and no ink.
    photographs = np.zeros((2, 427, 640, 3), np.uint8)
    photographs[:, :, 480:] = 255
    monkeypatch.setattr(sklearn.datasets, "load_sample_images", lambda: Bunch(images=photographs))
    digits = ImageDataset(
        name="marked",
        train_images=torch.ones(50, 1, 8, 8),
        train_labels=torch.zeros(50, dtype=torch.int64),
        test_images=torch.zeros(50, 1, 8, 8),
        test_labels=torch.zeros(50, dtype=torch.int64),
    )
    monkeypatch.setattr(gscn.golden.data.composites, "load_digits", lambda: digits)
    made = load_composites()
    assert torch.equal(made.test_images, torch.ones(50, 3, 32, 32))
    brightest = made.train_images.amax((1, 2, 3))
    assert brightest.min() >= CONTRASTS[0]
    assert brightest.max() < 1, "a training image shows a test column"


def test_without_ink_an_image_is_a_crop_of_a_photograph(rng):
    photographs = photograph(rng)
    windows = np.lib.stride_tricks.sliding_window_view(photographs, (32, 32), axis=(1, 2))
    windows = windows.reshape(-1, 3, 32, 32)
    for image in blend(0 * PLAIN[:5], photographs, seed=1).numpy():
        assert (windows == image).all((1, 2, 3)).any()


def test_ink_is_subtracted_in_a_square_and_the_difference_made_positive():
    def blended(grey: float) -> torch.Tensor:
        return blend(PLAIN, np.full((1, 32, 32, 3), grey, np.float32), seed=2)

    sizes = set()
    for black, grey, white in zip(blended(0.0), blended(0.5), blended(1.0), strict=True):
        assert torch.equal(black[0], black[1])
        assert torch.equal(black[0], black[2])
        contrast = black.max()
        assert CONTRASTS[0] <= contrast <= CONTRASTS[1]
        rows, columns = (black[0] > 0).nonzero().unbind(1)
        size = int(rows.max() - rows.min()) + 1
        inked = torch.zeros(32, 32, dtype=torch.bool)
        inked[rows.min() : rows.min() + size, columns.min() : columns.min() + size] = True
        sizes.add(size)
        # The ink is darker than the grey, so the sign of their difference turns.
        for image, outside, inside in (
            (black, 0.0, contrast),
            (grey, 0.5, contrast - 0.5),
            (white, 1.0, 1 - contrast),
        ):
            expected = torch.where(inked, inside, outside).expand(3, 32, 32)
            torch.testing.assert_close(image, expected, rtol=0, atol=1e-6)
    assert DIGIT_SIZES[0] <= min(sizes) < max(sizes) <= DIGIT_SIZES[1]


def test_seeds_give_other_images(rng):
    photographs = photograph(rng)
    assert not torch.equal(blend(PLAIN, photographs, 1), blend(PLAIN, photographs, 2))
