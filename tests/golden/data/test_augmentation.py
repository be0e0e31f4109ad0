"""Random changes of images: all shifts and flips, reproducibly."""

from __future__ import annotations

import torch

from gscn.golden.data.augmentation import augment


def test_augmented_images_are_shifted_and_mirrored_reproducibly():
    images = torch.arange(1, 1 + 40 * 3 * 16 * 16.0).reshape(40, 3, 16, 16)
    one = augment(images, torch.Generator().manual_seed(1))
    assert torch.equal(one, augment(images, torch.Generator().manual_seed(1)))
    assert not torch.equal(one, augment(images, torch.Generator().manual_seed(2)))
    padded = torch.nn.functional.pad(images, (2, 2, 2, 2))
    seen = set()
    for index in range(40):
        crops = {
            (top, left): padded[index, :, top : top + 16, left : left + 16]
            for top in range(5)
            for left in range(5)
        }
        matches = [(*at, False) for at, crop in crops.items() if torch.equal(one[index], crop)]
        matches += [
            (*at, True) for at, crop in crops.items() if torch.equal(one[index], crop.flip(2))
        ]
        assert len(matches) == 1
        seen |= set(matches)
    assert {flip for _, _, flip in seen} == {False, True}
    assert len({(top, left) for top, left, _ in seen}) > 10
