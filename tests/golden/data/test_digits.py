"""The bundled digits: all of them, split without overlap."""

from __future__ import annotations

import numpy as np
import torch

from gscn.golden.data.digits import load_digits


def test_digits_are_split_without_overlap():
    digits = load_digits()
    assert digits.train_images.shape == (1348, 1, 8, 8)
    assert digits.test_images.shape == (449, 1, 8, 8)
    both = torch.cat([digits.train_images, digits.test_images])
    assert (both.min().item(), both.max().item()) == (0.0, 1.0)
    from sklearn.datasets import load_digits as load_bundled

    original = np.sort(load_bundled().data.view("f8").sum(1))
    assert np.array_equal(np.sort(both.double().sum((1, 2, 3)).numpy() * 16), original)
    assert digits.test_labels.unique().tolist() == list(range(10))
