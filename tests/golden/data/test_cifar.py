"""CIFAR's archives: what is read is what was written, and damage is named, not executed."""

from __future__ import annotations

import copyreg
import gzip
import io
import os
import pickle
import struct
import tarfile

import numpy as np
import pytest

from gscn.errors import InputError
from gscn.golden.data.cifar import load_cifar
from gscn.system.pickled import decode

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
        ({b"data": pixels_of(0)}, "must be a batch of cifar100: its key fine_labels is missing"),
        ([1, 2], "must be a batch of cifar100: a dict is missing"),
    ],
)
def test_batches_of_another_content_are_named(tmp_path, batch, complaint):
    (tmp_path / "cifar-100-python").mkdir()
    for name in ("train", "test"):
        (tmp_path / "cifar-100-python" / name).write_bytes(old_pickle(batch))
    with pytest.raises(InputError, match=complaint) as caught:
        load_cifar("cifar100", tmp_path)
    assert "cifar-100-python/train" in str(caught.value)


def raw_array(type_text: str, state: bytes, data: bytes) -> bytes:
    """Return the pickle of an array (1,) whose type has a state of the file's choosing."""
    return (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tC\x01btR"
        b"(K\x01(K\x01tcnumpy\ndtype\n(C" + bytes([len(type_text)]) + type_text.encode()
        + b"K\x00K\x01tR(K\x03C\x01|NNN" + state + b"tb\x89C"
        + bytes([len(data)]) + data + b"tb"
    )  # fmt: skip


PLAIN = b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00"


@pytest.mark.parametrize(
    ("labels", "complaint"),
    [
        (b"(l" + raw_array("O8", PLAIN, struct.pack("<Q", 0x4141414141414140)) + b"a", "lists"),
        (raw_array("O8", PLAIN, bytes(8)), "arrays must have whole numbers"),
        (raw_array("u1", PLAIN.replace(b"K\x00", b"K\x3f"), b"\0"), "must have whole numbers"),
        (raw_array("f8", PLAIN, bytes(8)), "arrays must have whole numbers"),
        (raw_array("i8", PLAIN, bytes(7)), "the bytes of its shape"),
        (b"(K\x00G" + struct.pack(">d", 1.5) + b"l", "lists must have whole numbers"),
        (b"(\x88l", "lists must have whole numbers"),
        (b"cbuiltins\nbytearray\n(\x8a\x06" + (1 << 40).to_bytes(6, "little") + b"tR", "plain"),
        (b"cnumpy\nzeros\n(K\x01tR", "arrays must be plain ones"),
        (b"c__main__\nT\n)\x81", r"step b'\\x81'"),
        (b"X" + struct.pack("<I", 0xFFFFFFFF), "ends early"),
        (b"\x8a\xff" + b"1" * 255, "at most 16 bytes"),
        (b"h\xff", "refers to nothing"),
        (b"]" * 600_001, "steps must be at most 600000"),
    ],
)
def test_nothing_that_a_pickle_describes_is_made(tmp_path, labels, complaint):
    (tmp_path / "cifar-100-python").mkdir()
    pixels = old_pickle(pixels_of(0)[:1])[2:-1]
    content = b"\x80\x03}(C\x04data" + pixels + b"C\x0bfine_labels" + labels + b"u."
    (tmp_path / "cifar-100-python" / "train").write_bytes(content)
    with pytest.raises(InputError, match=rf"train must be a batch of cifar100.*{complaint}"):
        load_cifar("cifar100", tmp_path)


def test_a_text_that_becomes_bytes_again_and_again_is_refused():
    text = b"X" + struct.pack("<I", 1000) + b"a" * 1000 + b"q\x00X\x06\0\0\0latin1q\x01"
    again = b"c_codecs\nencode\nh\x00h\x01\x86R"
    assert decode(b"\x80\x02" + text + again + b".", most_steps=99) == b"a" * 1000
    with pytest.raises(ValueError, match="must become bytes once"):
        decode(b"\x80\x02" + text + again * 100 + b".", most_steps=999)


def test_labels_may_be_an_array_of_whole_numbers(tmp_path):
    (tmp_path / "cifar-100-python").mkdir()
    for kind, part in ((np.uint8, "train"), (np.dtype(">i4"), "test")):
        batch = {
            b"data": np.asfortranarray(pixels_of(0)),
            b"fine_labels": np.array([0, 99, 5], kind),
        }
        (tmp_path / "cifar-100-python" / part).write_bytes(old_pickle(batch))
    dataset = load_cifar("cifar100", tmp_path)
    assert dataset.train_labels.tolist() == dataset.test_labels.tolist() == [0, 99, 5]
    assert np.array_equal((dataset.train_images * 255).round().reshape(-1, 3072), pixels_of(0))


def tar_of(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"".join(tar_of("x", 0).tobuf() for _ in range(1001)), "members must be at most 1000"),
        (tar_of("cifar-10-batches-py/test_batch", 1 << 30).tobuf(), "at most 268435456 bytes"),
        (tar_of("x", 600 << 20).tobuf() + bytes(600 << 20), "expand to at most 536870912 bytes"),
        (tar_of("x", 0).tobuf().replace(b"x", b"y"), "a header must have its checksum"),
        (tar_of("cifar-10-batches-py/test_batch", 0, tarfile.SYMTYPE).tobuf(), "must have cifar"),
    ],
)
def test_archives_that_expand_beyond_bounds_are_refused(tmp_path, content, complaint):
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(gzip.compress(content, 1))
    with pytest.raises(InputError, match=complaint):
        load_cifar("cifar10", tmp_path)


def test_folders_pipes_and_devices_are_no_batches(tmp_path):
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    os.mkfifo(folder / "train")
    with pytest.raises(InputError, match="train must be a regular file, not a pipe"):
        load_cifar("cifar100", tmp_path)
    (folder / "train").unlink()
    (folder / "train").symlink_to("/dev/zero")
    with pytest.raises(InputError, match="train must be a regular file, not a device"):
        load_cifar("cifar100", tmp_path)
