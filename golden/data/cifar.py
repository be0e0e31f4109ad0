"""CIFAR-10 and CIFAR-100, read from their original archives (Krizhevsky, 2009).

The archives hold Python pickles. They are read as data (`system.pickled`): whatever a file asks to
be made besides arrays of whole numbers is refused, and nothing of it is made.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from gscn.errors import InputError
from gscn.golden.data.dataset import ImageDataset
from gscn.system.pickled import Call, Name, decode
from gscn.system.reading import is_folder, is_there, open_regular, read_bytes, shown_path

IMAGE_SIZE = 32
_IMAGE_BYTES = 3 * IMAGE_SIZE * IMAGE_SIZE
_MOST_BATCH_BYTES = 256 << 20
"""Of a file; CIFAR-100's images to train on take 155 million."""
_MOST_EXPANDED_BYTES = 512 << 20
"""Of an archive; the published ones expand to 187 million."""
_MOST_MEMBERS = 1000
_TAR_BLOCK = 512
_PIECE = 1 << 20
_ARRAY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")
"""numpy's module for arrays, as old and as new pickles name it."""
_INTEGER_TYPES = ("u1", "u2", "u4", "i1", "i2", "i4", "i8")


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
    most_steps: int
    """Of the pickle of a batch; the published ones take a third, and Python 3's of them fewer."""


_EDITIONS = {
    "cifar10": _Edition(
        name="cifar10",
        archive="cifar-10-python.tar.gz",
        folder="cifar-10-batches-py",
        train=tuple(f"data_batch_{number}" for number in range(1, 6)),
        test="test_batch",
        labels_key=b"labels",
        class_count=10,
        most_steps=120_000,
    ),
    "cifar100": _Edition(
        name="cifar100",
        archive="cifar-100-python.tar.gz",
        folder="cifar-100-python",
        train=("train",),
        test="test",
        labels_key=b"fine_labels",
        class_count=100,
        most_steps=600_000,
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
    if is_folder(unpacked):
        paths = [unpacked / one for one in names]
        contents = (read_bytes(path, "batch", most_bytes=_MOST_BATCH_BYTES) for path in paths)
    elif is_there(archive):
        paths = [archive / edition.folder / one for one in names]
        contents = iter(_read_archive(archive, [f"{edition.folder}/{one}" for one in names]))
    else:
        raise InputError(
            f"folder {shown_path(folder)} must have {edition.archive} or {edition.folder}/"
        )
    batches = [
        _parse(path, content, edition) for path, content in zip(paths, contents, strict=True)
    ]
    *train, test = batches
    return ImageDataset(
        name=name,
        train_images=_scaled([images for images, _ in train]),
        train_labels=torch.cat([labels for _, labels in train]),
        test_images=_scaled([test[0]]),
        test_labels=test[1],
        class_count=edition.class_count,
    )


def _scaled(parts: list[np.ndarray]) -> Tensor:
    """Return images as float32 from 0 to 1; in memory once, as they are many."""
    images = np.empty((sum(map(len, parts)), *parts[0].shape[1:]), np.float32)
    np.concatenate(parts, out=images)
    return torch.from_numpy(images).div_(255)


def _read_archive(archive: Path, members: list[str]) -> list[bytes]:
    """Return the contents of members, in their order; the archive is read once."""
    found: dict[str, bytes] = {}
    try:
        with open_regular(archive, "archive") as file:
            for name, content in _unpack(_Inflated(file), set(members)):
                if name in found:
                    raise ValueError(f"{name} must be in it once")
                found[name] = content
    except (OSError, ValueError, EOFError, zlib.error) as error:
        raise InputError(f"{archive} must be a whole archive of CIFAR: {error}") from error
    missing = [member for member in members if member not in found]
    if missing:
        raise InputError(f"{archive} must have {', '.join(missing)}: cut short or another archive")
    return [found[member] for member in members]


class _Inflated:
    """A gzip file that is read once, from its begin to its end, and expands within bounds."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        # With gzip's header and its checksum.
        self._inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._left = _MOST_EXPANDED_BYTES

    def read(self, size: int) -> bytes:
        """Return that many bytes, fewer only at the end."""
        pieces = []
        while size and not self._inflater.eof:
            packed = self._inflater.unconsumed_tail or self._file.read(_PIECE)
            if not packed:
                raise EOFError("it is cut short")
            pieces.append(self._inflater.decompress(packed, min(size, _PIECE)))
            size -= len(pieces[-1])
            self._left -= len(pieces[-1])
            if self._left < 0:
                raise ValueError(f"it must expand to at most {_MOST_EXPANDED_BYTES} bytes")
        return b"".join(pieces)


def _unpack(stream: _Inflated, wanted: set[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the wanted files of a tar archive, and read the archive to its end.

    Only names and sizes of its headers matter here; links, folders and extensions are passed over.
    """
    for _ in range(_MOST_MEMBERS):
        header = stream.read(_TAR_BLOCK)
        if not header.strip(b"\0"):
            # The checksum of everything is behind the end of the archive.
            while stream.read(_PIECE):
                pass
            return
        if len(header) < _TAR_BLOCK:
            raise EOFError("it is cut short")
        stated = _octal(header[148:156])
        if stated != sum(header[:148]) + sum(b" " * 8) + sum(header[156:]):
            raise ValueError("a header must have its checksum")
        name = header[:100].split(b"\0")[0].decode("utf-8", "replace")
        size = _octal(header[124:136])
        # Members of other kinds that have a size have it in data as well.
        left = -(-size // _TAR_BLOCK) * _TAR_BLOCK
        if name in wanted and header[156:157] in (b"0", b"\0"):
            if size > _MOST_BATCH_BYTES:
                raise ValueError(f"{name} must have at most {_MOST_BATCH_BYTES} bytes, not {size}")
            content = stream.read(left)
            if len(content) < left:
                raise EOFError(f"{name} is cut short")
            yield name, content[:size]
            continue
        while left:
            passed = len(stream.read(min(left, _PIECE)))
            if not passed:
                raise EOFError("it is cut short")
            left -= passed
    raise ValueError(f"members must be at most {_MOST_MEMBERS}")


def _octal(text: bytes) -> int:
    digits = text.strip(b"\0 ")
    if not digits.isdigit():
        raise ValueError("numbers of a header must be octal")
    return int(digits, 8)


def _parse(path: Path, content: bytes, edition: _Edition) -> tuple[np.ndarray, Tensor]:
    """Return images, uint8 (n, 3, 32, 32), and classes of a batch."""
    try:
        batch = decode(content, most_steps=edition.most_steps)
        if not isinstance(batch, dict):
            raise ValueError("a dict is missing")
        missing = [key for key in (b"data", edition.labels_key) if key not in batch]
        if missing:
            raise ValueError(f"its key {missing[0].decode()} is missing")
        pixels, labels = (_array(batch[key]) for key in (b"data", edition.labels_key))
    except ValueError as error:
        raise InputError(f"{path} must be a batch of {edition.name}: {error}") from error
    if (
        pixels.dtype != np.uint8
        or labels.ndim != 1
        or pixels.shape != (len(labels), _IMAGE_BYTES)
        or not len(labels)
    ):
        raise InputError(
            f"{path} must have images of {_IMAGE_BYTES} bytes, one for each of its labels"
        )
    if labels.min() < 0 or labels.max() >= edition.class_count:
        raise InputError(f"{path} must have labels from 0 to {edition.class_count - 1}")
    return pixels.reshape(-1, 3, IMAGE_SIZE, IMAGE_SIZE), torch.from_numpy(labels.astype(np.int64))


def _array(value: object) -> np.ndarray:
    """Return a list of whole numbers, or a pickled array of such, as an array."""
    if isinstance(value, list):
        if not all(type(one) is int and abs(one) < 1 << 62 for one in value):
            raise ValueError("lists must have whole numbers")
        return np.array(value, np.int64)
    if (
        not isinstance(value, Call)
        or value.function.name != "_reconstruct"
        or value.function.module not in _ARRAY_MODULES
        or value.arguments[:2] != (Name("numpy", "ndarray"), (0,))
        or value.items
    ):
        raise ValueError("arrays must be plain ones")
    if not isinstance(value.state, tuple) or len(value.state) != 5:
        raise ValueError("an array must have its state")
    version, shape, kind, column_major, data = value.state
    dtype = _dtype(kind)
    if (
        version != 1
        or not isinstance(shape, tuple)
        or not 1 <= len(shape) <= 4
        or not all(type(axis) is int and axis >= 0 for axis in shape)
        or not isinstance(data, bytes)
        or math.prod(shape) * dtype.itemsize != len(data)
    ):
        raise ValueError("an array must have the bytes of its shape")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if column_major else "C")


def _dtype(kind: object) -> np.dtype:
    """Return the type of whole numbers that a pickled one describes."""
    if (
        not isinstance(kind, Call)
        or kind.function != Name("numpy", "dtype")
        or not kind.arguments
        or not isinstance(kind.state, tuple)
        or kind.items
    ):
        raise ValueError("types must be plain ones")
    name = kind.arguments[0]
    name = name.decode("latin1") if isinstance(name, bytes) else name
    version, order, *rest = kind.state if len(kind.state) == 8 else (0, "")
    order = order.decode("latin1") if isinstance(order, bytes) else order
    if (
        version != 3
        or name not in _INTEGER_TYPES
        or order not in ("<", ">", "|", "=")
        or rest != [None, None, None, -1, -1, 0]
    ):
        raise ValueError("arrays must have whole numbers")
    return np.dtype(f"{order}{name}")
