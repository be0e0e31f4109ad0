"""Folders of images: decoded when asked, cut to the middle, damage named."""

from __future__ import annotations

import os

import pytest
import torch
from PIL import Image

from gscn.errors import InputError
from gscn.golden.data.decoding import decode_image
from gscn.golden.data.imagefolder import load_image_folder


@pytest.fixture
def folder(tmp_path):
    """Two classes; images of one colour each, 40x20 or 16x16 pixels."""
    for part, colours in (("train", (10, 60, 110)), ("val", (200,))):
        for number, name in enumerate(("ants", "bees")):
            (tmp_path / part / name).mkdir(parents=True)
            for index, colour in enumerate(colours):
                image = Image.new("RGB", (40, 20) if index else (16, 16), (colour, number, 7))
                image.save(tmp_path / part / name / f"{index}.PNG", format="png")
            (tmp_path / part / name / "notes.txt").write_text("no image")
    return tmp_path


def test_a_folder_of_images_is_decoded_when_asked(folder):
    dataset = load_image_folder(folder, 12)
    assert dataset.class_count == 2
    assert dataset.train_images.shape == (6, 3, 12, 12)
    assert dataset.train_labels.tolist() == [0, 0, 0, 1, 1, 1]
    images = dataset.train_images[torch.tensor([5, 0])]
    assert images.shape == (2, 3, 12, 12)
    colours = torch.tensor([[110, 1, 7], [10, 0, 7]]) / 255
    assert torch.equal(images, colours[:, :, None, None].expand(2, 3, 12, 12))
    assert len(dataset.test_images) == len(dataset.test_labels) == 2


def test_the_middle_is_cut_out(tmp_path):
    # Left third red, middle third green, right third blue: only green is left of the middle.
    for part in ("train", "val"):
        (tmp_path / part / "one").mkdir(parents=True)
        image = Image.new("RGB", (90, 30), (255, 0, 0))
        image.paste((0, 255, 0), (30, 0, 60, 30))
        image.paste((0, 0, 255), (60, 0, 90, 30))
        image.save(tmp_path / part / "one" / "0.png")
    image = load_image_folder(tmp_path, 21).train_images[torch.tensor([0])][0]
    assert torch.equal(image[1], torch.ones(21, 21))
    assert image[0].count_nonzero() == image[2].count_nonzero() == 0


def test_damaged_images_and_folders_are_named(folder):
    bad = folder / "train" / "bees" / "2.PNG"
    bad.write_bytes(bad.read_bytes()[:40])
    dataset = load_image_folder(folder, 12)
    with pytest.raises(InputError, match=r"train/bees/2\.PNG must be a whole image"):
        dataset.train_images[torch.tensor([0, 5])]
    for path in (folder / "val" / "bees").iterdir():
        path.unlink()
    with pytest.raises(InputError, match=r"val/bees must have at least one image"):
        load_image_folder(folder, 12)
    (folder / "val" / "bees").rmdir()
    with pytest.raises(InputError, match=r"the same classes in train and val.* has bees"):
        load_image_folder(folder, 12)
    with pytest.raises(InputError, match="must have the folders train and val"):
        load_image_folder(folder / "train", 12)


def test_pipes_among_images_are_refused_and_links_to_folders_not_followed(tmp_path):
    for part in ("train", "val"):
        (tmp_path / part / "one" / "below").mkdir(parents=True)
        (tmp_path / part / "one" / "below" / "loop").symlink_to("..")
        (tmp_path / part / "one" / "folder.png").mkdir()
        Image.new("L", (16, 16)).save(tmp_path / part / "one" / "below" / "0.png")
        (tmp_path / part / "one" / "1.png").symlink_to("below/0.png")
    dataset = load_image_folder(tmp_path, 8)
    assert [path.name for path in dataset.train_images.paths] == ["1.png", "0.png"]
    (tmp_path / "val" / "one" / "3.png").symlink_to("3.png")
    with pytest.raises(InputError, match=r"val/one/3\.png must be a regular file"):
        load_image_folder(tmp_path, 8)
    (tmp_path / "val" / "one" / "3.png").unlink()
    os.mkfifo(tmp_path / "val" / "one" / "2.png")
    with pytest.raises(InputError, match=r"val/one/2\.png must be a regular file"):
        load_image_folder(tmp_path, 8)
    with pytest.raises(InputError, match=r"2\.png must be a regular file, not a pipe"):
        decode_image(tmp_path / "val" / "one" / "2.png", 8)
