"""CIFAR-10 and CIFAR-100, read from their original archives (Krizhevsky, 2009).

The archives hold Python pickles. Only what these need is unpickled: containers, text, numbers and
numpy arrays. Anything else in a file is refused, not executed.
"""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from golden.dataset import ImageDataset
from gscn.errors import InputError

IMAGE_SIZE = 32
_IMAGE_BYTES = 3 * IMAGE_SIZE * IMAGE_SIZE


@dataclass(frozen=True, kw_only=True, slots=True)
class _Edition:
    """How an edition is packed."""

    name: str
    archive: str
    folder: str
    train: tuple[str, ...]
    test: str
    labels_key: bytes
    class_count: int


_EDITIONS = {
    "cifar10": _Edition(
        name="cifar10",
        archive="cifar-10-python.tar.gz",
        folder="cifar-10-batches-py",
        train=tuple(f"data_batch_{number}" for number in range(1, 6)),
        test="test_batch",
        labels_key=b"labels",
        class_count=10,
    ),
    "cifar100": _Edition(
        name="cifar100",
        archive="cifar-100-python.tar.gz",
        folder="cifar-100-python",
        train=("train",),
        test="test",
        labels_key=b"fine_labels",
        class_count=100,
    ),
}


def load_cifar(name: str, folder: Path | str) -> ImageDataset:
    """Read an edition of CIFAR.

    Parameters
    ----------
    name
        "cifar10" or "cifar100", which has its 100 fine classes.
    folder
        Has the original archive (`cifar-10-python.tar.gz`), or the folder that is packed in it.

    Raises
    ------
    InputError
        Naming the file that is missing, damaged, or holds something else.
    """
    if name not in _EDITIONS:
        raise InputError(f"data set must be one of {', '.join(_EDITIONS)}, not {name!r}")
    edition = _EDITIONS[name]
    folder = Path(folder)
    unpacked, archive = folder / edition.folder, folder / edition.archive
    names = (*edition.train, edition.test)
    if unpacked.is_dir():
        read = {one: (unpacked / one, _read(unpacked / one)) for one in names}
    elif archive.is_file():
        contents = _read_archive(archive, [f"{edition.folder}/{one}" for one in names])
        read = {one: (archive / edition.folder / one, contents[n]) for n, one in enumerate(names)}
    else:
        raise InputError(f"folder {folder} must have {edition.archive} or {edition.folder}/")
    batches = [_parse(path, content, edition) for path, content in read.values()]
    train, test = batches[:-1], batches[-1]
    return ImageDataset(
        name=name,
        train_images=torch.cat([images for images, _ in train]),
        train_labels=torch.cat([labels for _, labels in train]),
        test_images=test[0],
        test_labels=test[1],
        class_count=edition.class_count,
    )


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickles containers, text, numbers and numpy arrays, and nothing else."""

    def find_class(self, module: str, name: str) -> Callable[..., object]:
        """Return what numpy arrays are made with; refuse everything else."""
        # Old pickles name numpy's modules as they were called then.
        if name == "_reconstruct" and module in (
            "numpy.core.multiarray",
            "numpy._core.multiarray",
        ):
            return _empty_array
        if (module, name) == ("numpy", "ndarray"):
            return np.ndarray
        if (module, name) == ("numpy", "dtype"):
            return np.dtype
        if (module, name) == ("_codecs", "encode"):
            return _latin1
        raise pickle.UnpicklingError(f"{module}.{name} is not part of an array")


def _empty_array(kind: type, shape: tuple[int, ...], *_: object) -> np.ndarray:
    """Return the array of no elements whose state follows in the pickle."""
    if kind is not np.ndarray or shape != (0,):
        raise pickle.UnpicklingError("arrays must be plain ones")
    return np.ndarray((0,), np.int8)


def _latin1(text: str, encoding: str) -> bytes:
    """Return the bytes that Python 3 writes as text into old pickles."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"encoding must be latin1, not {encoding!r}")
    return text.encode("latin1")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} must be a readable file of CIFAR: {error}") from error


def _read_archive(archive: Path, members: list[str]) -> list[bytes]:
    """Return the contents of members, in their order; the archive is read once."""
    found: dict[str, bytes] = {}
    try:
        with gzip.open(archive) as stream:
            with tarfile.open(fileobj=stream, mode="r|") as packed:
                for member in packed:
                    if member.name in members and member.isfile():
                        found[member.name] = packed.extractfile(member).read()
            # The checksum of everything is behind the end of the archive.
            while stream.read(1 << 20):
                pass
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise InputError(f"{archive} must be a whole archive of CIFAR: {error}") from error
    missing = [member for member in members if member not in found]
    if missing:
        raise InputError(f"{archive} must have {', '.join(missing)}: cut short or another archive")
    return [found[member] for member in members]


def _parse(path: Path, content: bytes, edition: _Edition) -> tuple[Tensor, Tensor]:
    """Return images (n, 3, 32, 32), from 0 to 1, and classes of a batch."""
    try:
        batch = _ArrayUnpickler(io.BytesIO(content), encoding="bytes").load()
        pixels, labels = batch[b"data"], np.asarray(batch[edition.labels_key])
    # A damaged pickle can fail in any way that a Python constructor can.
    except Exception as error:
        raise InputError(f"{path} must be a batch of {edition.name}: {error!r}") from error
    if (
        not isinstance(pixels, np.ndarray)
        or pixels.dtype != np.uint8
        or pixels.shape != (len(labels), _IMAGE_BYTES)
        or not len(labels)
    ):
        raise InputError(
            f"{path} must have images of {_IMAGE_BYTES} bytes, one for each of its labels"
        )
    if labels.dtype.kind != "i" or labels.min() < 0 or labels.max() >= edition.class_count:
        raise InputError(f"{path} must have labels from 0 to {edition.class_count - 1}")
    images = torch.from_numpy(pixels.reshape(-1, 3, IMAGE_SIZE, IMAGE_SIZE).astype(np.float32))
    return images / 255, torch.from_numpy(labels.astype(np.int64))
