"""A data set of something else is refused, not converted."""

from __future__ import annotations

import pytest
import torch

from gscn.errors import InputError
from gscn.golden.data.dataset import ImageDataset


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"train_labels": torch.tensor([0, 2])}, "train_labels must be from 0 to 1"),
        ({"test_labels": torch.tensor([-1, 0])}, "test_labels must be from 0 to 1"),
        ({"test_labels": torch.tensor([0.0, 1.0])}, "test_labels must be int64"),
        ({"train_labels": torch.tensor([0])}, "one for each of 2 images"),
        ({"train_images": torch.full((2, 1, 4, 4), 255.0)}, "float32 from 0 to 1"),
        ({"train_images": torch.full((2, 1, 4, 4), torch.nan)}, "float32 from 0 to 1"),
        ({"test_images": torch.zeros((2, 1, 4, 4), dtype=torch.float64)}, "float32 from 0 to 1"),
        ({"test_images": torch.zeros((2, 16))}, r"\(N, C, H, W\), not \(2, 16\)"),
    ],
)
def test_a_data_set_of_something_else_is_refused_not_converted(change, complaint):
    images, labels = torch.zeros(2, 1, 4, 4), torch.tensor([0, 1])
    fields = {"train_images": images, "train_labels": labels}
    fields |= {"test_images": images, "test_labels": labels, "name": "own", "class_count": 2}
    ImageDataset(**fields)
    with pytest.raises(InputError, match=complaint):
        ImageDataset(**{**fields, **change})
