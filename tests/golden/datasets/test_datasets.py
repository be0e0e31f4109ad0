"""Data sets from files: what is read is what was written, and damage is named, not executed."""

from __future__ import annotations

import copyreg
import gzip
import io
import os
import pickle
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image

from golden.datasets.cifar import load_cifar
from golden.datasets.imagefolder import load_image_folder
from gscn.errors import InputError

COUNT = 3


def pixels_of(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (COUNT, 3072), dtype=np.uint8)


def old_pickle(value: object) -> bytes:
    """Pickle as the archives are: protocol 2, numpy's old module names, byte strings as keys."""
    content = pickle.dumps(value, protocol=2)
    return content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def batches(edition: str) -> dict[str, bytes]:
    names = [f"data_batch_{n}" for n in range(1, 6)] + ["test_batch"]
    key, folder, last = b"labels", "cifar-10-batches-py", 9
    if edition == "cifar100":
        names, key, folder, last = ["train", "test"], b"fine_labels", "cifar-100-python", 99
    return {
        f"{folder}/{name}": old_pickle({b"data": pixels_of(n), key: [0, n, last]})
        for n, name in enumerate(names)
    }


def write_archive(folder, edition: str, files: dict[str, bytes]) -> None:
    name = "cifar-10-python.tar.gz" if edition == "cifar10" else "cifar-100-python.tar.gz"
    with tarfile.open(folder / name, "w:gz") as archive:
        for path, content in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


@pytest.mark.parametrize("edition", ["cifar10", "cifar100"])
@pytest.mark.parametrize("packed", [True, False])
def test_cifar_is_read_as_it_was_written(tmp_path, edition, packed):
    files = batches(edition)
    if packed:
        write_archive(tmp_path, edition, files)
    for path, content in {} if packed else files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    dataset = load_cifar(edition, tmp_path)
    train = len(files) - 1
    assert (dataset.name, dataset.class_count) == (edition, 10 if train == 5 else 100)
    assert dataset.train_images.shape == (train * COUNT, 3, 32, 32)
    expected = np.concatenate([pixels_of(n) for n in range(train)])
    assert np.array_equal((dataset.train_images * 255).round().reshape(-1, 3072), expected)
    assert np.array_equal((dataset.test_images * 255).round().reshape(-1, 3072), pixels_of(train))
    last = dataset.class_count - 1
    assert dataset.train_labels.tolist() == [v for n in range(train) for v in (0, n, last)]
    assert dataset.test_labels.tolist() == [0, train, last]


class Bomb:
    """Runs a command if it is unpickled carelessly."""

    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (self.marker,)


def test_pickles_that_would_execute_something_are_refused(tmp_path):
    (tmp_path / "cifar-100-python").mkdir()
    marker = tmp_path / "exploded"
    good = batches("cifar100")
    for name, content in good.items():
        (tmp_path / name).write_bytes(content)
    for bomb in (Bomb(str(marker)), {b"data": Bomb(str(marker))}, copyreg._reconstructor):
        (tmp_path / "cifar-100-python" / "test").write_bytes(old_pickle(bomb))
        with pytest.raises(InputError, match=r"cifar-100-python/test must be a batch of cifar100"):
            load_cifar("cifar100", tmp_path)
    assert not marker.exists()


def test_damaged_archives_are_named(tmp_path):
    with pytest.raises(InputError, match=r"must have cifar-10-python.tar.gz or cifar-10-batches"):
        load_cifar("cifar10", tmp_path)
    with pytest.raises(InputError, match="must be one of cifar10, cifar100, not 'mnist'"):
        load_cifar("mnist", tmp_path)
    write_archive(tmp_path, "cifar10", batches("cifar10"))
    path = tmp_path / "cifar-10-python.tar.gz"
    content = path.read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 0xFF
    for damaged in (content[: len(content) // 2], b"", b"text", bytes(flipped)):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"cifar-10-python\.tar\.gz"):
            load_cifar("cifar10", tmp_path)
        assert path.read_bytes() == damaged
    path.write_bytes(gzip.compress(gzip.decompress(content)[:4096]))
    with pytest.raises(InputError, match=r"cifar-10-python\.tar\.gz"):
        load_cifar("cifar10", tmp_path)


@pytest.mark.parametrize(
    ("batch", "complaint"),
    [
        ({b"data": pixels_of(0), b"fine_labels": [0, 1]}, "one for each of its labels"),
        ({b"data": pixels_of(0)[:, 1:], b"fine_labels": [0, 1, 2]}, "images of 3072 bytes"),
        ({b"data": pixels_of(0).astype(int), b"fine_labels": [0, 1, 2]}, "images of 3072 bytes"),
        ({b"data": [1, 2, 3], b"fine_labels": [0, 1, 2]}, "images of 3072 bytes"),
        ({b"data": pixels_of(0), b"fine_labels": [0, 1, 100]}, "labels from 0 to 99"),
        ({b"data": pixels_of(0), b"fine_labels": [0, -1, 1]}, "labels from 0 to 99"),
        ({b"data": pixels_of(0)}, "must be a batch of cifar100: KeyError"),
        ([1, 2], "must be a batch of cifar100: TypeError"),
    ],
)
def test_batches_of_another_content_are_named(tmp_path, batch, complaint):
    (tmp_path / "cifar-100-python").mkdir()
    for name in ("train", "test"):
        (tmp_path / "cifar-100-python" / name).write_bytes(old_pickle(batch))
    with pytest.raises(InputError, match=complaint) as caught:
        load_cifar("cifar100", tmp_path)
    assert "cifar-100-python/train" in str(caught.value)


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
