"""Changes of training images: ours, and what users compose of theirs."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from gscn.errors import InputError
from gscn.golden.data.augmentation import ShiftAndFlip, augment
from gscn.golden.data.digits import load_digits
from gscn.golden.recipe import Recipe
from gscn.golden.training.training import Trainer


class Compose:
    """As `torchvision.transforms.Compose`, which is not a dependency."""

    def __init__(self, transforms):
        self.transforms = transforms

    def __call__(self, image):
        for transform in self.transforms:
            image = transform(image)
        return image


class Noise:
    def __call__(self, image):
        return image + 0.01 * torch.randn_like(image)


def seen(trainer, iterations):
    """Return the images that a network was given."""
    images = []
    hook = trainer.network.register_forward_pre_hook(lambda _, inputs: images.append(inputs[0]))
    for _ in range(iterations):
        trainer.step()
    hook.remove()
    return images


def trainer(transform, **options):
    dataset = dataclasses.replace(load_digits(), train_transform=transform)
    return Trainer(Recipe(epochs=1, batch_size=8, **options), dataset)


@pytest.mark.parametrize("shape", [(3, 16, 16), (5, 3, 16, 16)])
def test_one_image_or_several_are_changed_and_drawn_from_the_global_generator(shape):
    images = torch.rand(shape)
    before = images.clone()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        one, other = ShiftAndFlip()(images), ShiftAndFlip()(images)
        torch.manual_seed(3)
        again = ShiftAndFlip()(images)
    assert one.shape == images.shape
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert torch.equal(images, before)


def test_composed_transforms_change_each_image_of_a_mini_batch():
    (plain,) = seen(trainer(None), 1)
    (changed,) = seen(trainer(Compose([ShiftAndFlip(), lambda image: image / 2])), 1)
    assert changed.shape == plain.shape
    assert changed.max() <= 0.5
    # Digits of 8x8 pixels are shifted by one at most: what is left of each is in the plain one.
    for one, other in zip(plain, changed, strict=True):
        assert set((2 * other).flatten().tolist()) <= {*one.flatten().tolist(), 0.0}
    assert not torch.equal(plain / 2, changed)


def test_random_transforms_are_seeded_and_go_on_exactly(tmp_path):
    torch.random.manual_seed(1)
    whole = seen(trainer(Noise()), 4)
    torch.random.manual_seed(2)
    state = torch.random.get_rng_state()
    cut = trainer(Noise())
    first = seen(cut, 2)
    cut.save(tmp_path / "cut.pt")
    resumed = Trainer.load(tmp_path / "cut.pt", cut.dataset)
    rest = seen(resumed, 2)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(whole, first + rest, strict=True))
    noise = [image - plain for image, plain in zip(whole, seen(trainer(None), 4), strict=True)]
    assert not torch.equal(noise[0], noise[1])


def test_images_may_leave_a_transform_in_another_size_and_are_scaled():
    (images,) = seen(trainer(lambda image: image[:, 1:7, 1:7]), 1)
    assert images.shape[2:] == (8, 8)


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (lambda image: image.double(), r"float32, not torch.float64 of shape \(1, 8, 8\)"),
        (lambda image: image[0], r"not torch.float32 of shape \(8, 8\)"),
        (lambda image: image.repeat(2, 1, 1), r"must return images of 1 channels .*\(2, 8, 8\)"),
        (lambda image: image.tolist(), "not list"),
    ],
)
def test_what_is_no_image_is_refused(transform, message):
    with pytest.raises(InputError, match=message):
        trainer(transform).step()


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
