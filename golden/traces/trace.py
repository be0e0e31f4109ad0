"""Traces: operands and results of a training step's convolutions, one file per layer.

docs/contract/traces.md describes the format. This module reads traces, `golden.traces.writing`
writes them as training computes, and `golden.traces.recording` records training; both of these
files do without torch.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gscn.conv import ConvShape, Pass
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.golden.omitted import Omitted
from gscn.system.archives import Arrays, open_arrays
from gscn.system.reading import is_folder, is_there, open_regular, read_object, shown, shown_path

FORMAT_VERSION = 4
_READABLE_VERSIONS = (2, 3, 4)
"""Version 2 has neither chunks nor counts of nonzeros; versions before 4 do not say what else the
network computes, nor which layers are normalised."""
_LAYER = "layer of a trace"
MANIFEST_NAME = "trace.json"
COUNTED_AXES = (0, 1)
"""Axes along which the nonzeros of operands are counted: samples and channels, or for weights
filters and channels."""
_HASHED_BYTES = 1 << 20
_QUICKLY_HASHED_BYTES = 256 << 20
_DIGEST = re.compile("[0-9a-f]{64}")
_SHAPE_FIELDS = ("n", "c", "h", "w", "k", "r", "s")
_PAIR_FIELDS = ("stride", "padding", "dilation")


@takes_text
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PassTrace:
    """One pass of one layer, float32."""

    which: Pass
    first: np.ndarray
    second: np.ndarray
    """Operands, as in `ConvShape.operand_shapes`."""
    result: np.ndarray
    """The convolution of the operands, of shape `ConvShape.result_shape`."""
    precomputed: np.ndarray | None
    """Added to the result, broadcast: bias or ReSprop's term; None where there is none."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LayerTrace:
    """All traced passes of one layer."""

    name: str
    shape: ConvShape
    passes: dict[Pass, PassTrace]

    @takes_text
    def get(self, which: Pass) -> PassTrace:
        """Return one pass; raise `InputError` if training did not compute it."""
        if which not in self.passes:
            raise InputError(
                f"pass of layer {self.name} must be one of {', '.join(self.passes)}, not {which}"
            )
        return self.passes[which]


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerEntry:
    """What the manifest says of one layer."""

    name: str
    file: str
    """Name of its file in the trace directory."""
    size_bytes: int
    sha256: str
    shape: ConvShape
    densities: dict[Pass, tuple[float, float]]
    """Share of nonzeros of (first, second), per traced pass."""
    normalised: bool | None = None
    """Whether a normalisation belongs to the layer; None where nobody said."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """A validated trace, whose layers are read when asked for."""

    directory: Path
    network: str
    dataset: str
    """Name of the images that the network was trained on."""
    method: str
    sparsity: float
    step: int
    """Training iterations done before the traced one."""
    seed: int
    dense_iteration: bool
    """Whether ReSprop's schedule made the traced iteration dense."""
    entries: dict[str, LayerEntry] = field(default_factory=dict)
    """By layer, in the network's order."""
    omitted: tuple[Omitted, ...] | None = None
    """What the network computes in none of these layers; None where nobody said."""

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers, in the network's order."""
        return tuple(self.entries)

    def entry(self, name: str) -> LayerEntry:
        """Return what the manifest says of a layer; raise `InputError` for an unknown one."""
        if name not in self.entries:
            raise InputError(
                f"layer of {self.directory} must be one of {', '.join(self.entries)}, not {name!r}"
            )
        return self.entries[name]

    def load(self, name: str) -> LayerTrace:
        """Read one layer.

        Raises
        ------
        InputError
            Unknown layer, or its file is missing, damaged, or at odds with the manifest.
        """
        entry = self.entry(name)
        passes = {which: self.load_pass(name, which) for which in entry.densities}
        return LayerTrace(name=name, shape=entry.shape, passes=passes)

    @takes_text
    def load_pass(self, name: str, which: Pass) -> PassTrace:
        """Read one pass of one layer.

        Raises
        ------
        InputError
            Unknown layer or pass, or its file is missing, damaged, or at odds with the manifest.
        """
        entry = self.entry(name)
        _require_pass(entry, which)
        path = self.directory / entry.file
        _check_file(path, entry)
        with open_arrays(path, _LAYER) as stored:
            names = {_part_of(key) for key in stored.headers}
            parts = [
                part
                for part in ("first", "second", "result", "precomputed")
                if part != "precomputed" or f"{which}.{part}" in names
            ]
            _check_headers(path, stored, entry.shape, which, parts)
            arrays = {
                part: _joined([chunk for _, chunk in _chunks(path, stored, which, part)])
                for part in parts
            }
            one = PassTrace(which=which, **{"precomputed": None, **arrays})
            check_arrays(path, entry.shape, one)
            _check_counts(path, stored, one)
        return one

    @takes_text
    def chunks(self, name: str, which: Pass, part: str) -> Iterator[tuple[int, np.ndarray]]:
        """Read an array piece by piece: never more than a chunk is in memory.

        Parameters
        ----------
        name, which
            Layer and pass.
        part
            "first", "second", "result" or "precomputed".

        Yields
        ------
        int, numpy.ndarray
            Index along the first axis at which the piece begins, and the piece.

        Raises
        ------
        InputError
            Unknown layer, pass or part, or its file is missing or damaged.
        """
        entry = self.entry(name)
        _require_pass(entry, which)
        path = self.directory / entry.file
        _check_file(path, entry)
        with open_arrays(path, _LAYER) as stored:
            _check_headers(path, stored, entry.shape, which, [part])
            yield from _chunks(path, stored, which, part)

    @takes_text
    def nonzeros(self, name: str, which: Pass, part: str, axis: int) -> np.ndarray:
        """Return the nonzeros of an operand at each index of an axis.

        Parameters
        ----------
        name, which
            Layer and pass.
        part
            "first" or "second".
        axis
            0 for each sample (weights: filter), 1 for each channel.

        Returns
        -------
        numpy.ndarray
            int64, as long as the axis.

        Raises
        ------
        InputError
            Unknown layer, pass, operand or axis, or its file is missing or damaged.
        """
        if part not in ("first", "second") or axis not in COUNTED_AXES:
            raise InputError(
                f"nonzeros must be of first or second, along axis 0 or 1, not {part!r}, {axis}"
            )
        total = 0
        pieces = []
        for _, chunk in self.chunks(name, which, part):
            counts = count_along(chunk, axis)
            pieces.append(counts)
            total = total + counts if axis else 0
        return total if axis else np.concatenate(pieces)


def count_along(array: np.ndarray, axis: int) -> np.ndarray:
    """Return the nonzeros, int64, at each index of an axis."""
    others = tuple(other for other in range(array.ndim) if other != axis)
    return np.count_nonzero(array, axis=others).astype(np.int64)


def _require_pass(entry: LayerEntry, which: Pass) -> None:
    if which not in entry.densities:
        raise InputError(
            f"pass of layer {entry.name} must be one of {', '.join(entry.densities)}, not {which}"
        )


def _joined(chunks: list[np.ndarray]) -> np.ndarray:
    return chunks[0] if len(chunks) == 1 else np.concatenate(chunks)


def _part_of(key: str) -> str:
    """Return `pass.part` of the name of an array or of a chunk of it."""
    return ".".join(key.split(".")[:2])


def _keys(path: Path, stored: Arrays, which: Pass, part: str) -> list[str]:
    """Return the names of the entries of an array, in their order."""
    base = f"{which}.{part}"
    # A small array is one entry of its own name.
    if base in stored.headers:
        return [base]
    numbered = itertools.takewhile(
        lambda key: key in stored.headers, (f"{base}.{index}" for index in itertools.count())
    )
    keys = list(numbered)
    if not keys:
        raise InputError(f"{path} must be a layer of a trace: {base} is missing")
    return keys


def _check_headers(
    path: Path, stored: Arrays, shape: ConvShape, which: Pass, parts: list[str]
) -> None:
    """Raise `InputError` if what entries state is not of their pass: before memory is taken."""
    for part in parts:
        headers = [stored.headers[key] for key in _keys(path, stored, which, part)]
        if any(not one.shape or one.shape[1:] != headers[0].shape[1:] for one in headers):
            raise InputError(f"{path}: pieces of {which}.{part} must differ in their length only")
        joined = (sum(one.shape[0] for one in headers), *headers[0].shape[1:])
        types = {one.dtype for one in headers}
        _check_array(path, shape, which, part, joined, headers[0].dtype)
        if len(types) > 1:
            raise InputError(f"{path}: pieces of {which}.{part} must all be float32")


def _chunks(path: Path, stored: Arrays, which: Pass, part: str) -> Iterator[tuple[int, np.ndarray]]:
    start = 0
    for key in _keys(path, stored, which, part):
        chunk = stored.read(key)
        yield start, chunk
        start += len(chunk)


def load_trace(path: Path | str) -> Trace:
    """Open a trace and check every file of it.

    Parameters
    ----------
    path
        The trace's directory or its `trace.json`.

    Raises
    ------
    InputError
        Naming the file: missing, not a trace, of another version, cut short or damaged.
    """
    path = Path(path)
    manifest_path = path / MANIFEST_NAME if is_folder(path) else path
    if not is_there(manifest_path):
        raise InputError(
            f"trace must be a directory with a {MANIFEST_NAME}, not {shown_path(path)}"
        )
    manifest = read_object(manifest_path, "manifest of a trace")
    if "format_version" not in manifest:
        raise InputError(f"{manifest_path} must be the manifest of a trace")
    version = manifest["format_version"]
    if type(version) is not int or version not in _READABLE_VERSIONS:
        raise InputError(
            f"{manifest_path} must have format version "
            f"{' or '.join(map(str, _READABLE_VERSIONS))}, not {shown(version)}"
        )
    try:
        entries = [_parse_entry(layer) for layer in _get(manifest, "layers", *_LIST)]
        if not entries:
            raise ValueError("layers must be at least one")
        if len({entry.name for entry in entries}) != len(entries):
            raise ValueError("names of layers must differ")
        trace = Trace(
            directory=manifest_path.parent,
            network=_get(manifest, "network", *_TEXT),
            dataset=_get(manifest, "dataset", *_TEXT),
            method=_get(manifest, "method", *_TEXT),
            sparsity=float(_get(manifest, "sparsity", *_SHARE)),
            step=_get(manifest, "step", *_COUNT),
            seed=_get(manifest, "seed", *_COUNT),
            dense_iteration=_get(
                manifest, "dense_iteration", "true or false", lambda v: type(v) is bool
            ),
            entries={entry.name: entry for entry in entries},
            omitted=_parse_omitted(manifest.get("omitted")),
        )
    except ValueError as error:
        raise InputError(f"{manifest_path} must be the manifest of a trace: {error}") from error
    for entry in entries:
        _check_file(trace.directory / entry.file, entry)
    return trace


def _parse_omitted(items: object) -> tuple[Omitted, ...] | None:
    if items is None:
        return None
    if not isinstance(items, list):
        raise ValueError(f"omitted must be a list, not {shown(items)}")
    return tuple(Omitted.of(item) for item in items)


def _is_whole(value: object) -> bool:
    return type(value) is int and value >= 0


def _is_share(value: object) -> bool:
    return type(value) in (int, float) and 0 <= value <= 1


_LIST = ("a list", lambda value: isinstance(value, list))
_OBJECT = ("an object", lambda value: isinstance(value, dict))
_TEXT = ("text", lambda value: isinstance(value, str))
_COUNT = ("a whole number of at least 0", _is_whole)
_SHARE = ("a number from 0 to 1", _is_share)
_PAIR = (
    "a pair of whole numbers",
    lambda value: isinstance(value, list) and len(value) == 2 and all(map(_is_whole, value)),
)
_DENSITIES = (
    "a pair of numbers from 0 to 1",
    lambda value: isinstance(value, list) and len(value) == 2 and all(map(_is_share, value)),
)


def _get(
    fields: dict[str, Any], name: str, requirement: str, holds: Callable[[object], bool]
) -> Any:
    """Return a field; raise `ValueError` if it is missing or does not hold."""
    if name not in fields:
        raise ValueError(f"{name} is missing")
    if not holds(fields[name]):
        raise ValueError(f"{name} must be {requirement}, not {shown(fields[name])}")
    return fields[name]


def _parse_entry(layer: object) -> LayerEntry:
    if not isinstance(layer, dict):
        raise ValueError(f"a layer must be an object, not {shown(layer)}")
    name, file = _get(layer, "name", *_TEXT), _get(layer, "file", *_TEXT)
    if not file or Path(file).name != file:
        raise ValueError(f"file must be a plain name, not {shown(file)}")
    sha256 = _get(layer, "sha256", *_TEXT)
    if not _DIGEST.fullmatch(sha256):
        raise ValueError(f"sha256 must have 64 hexadecimal digits, not {shown(sha256)}")
    fields = _get(layer, "shape", *_OBJECT)
    unknown = sorted(fields.keys() - {*_SHAPE_FIELDS, *_PAIR_FIELDS, "groups"})
    if unknown:
        raise ValueError(f"shape must be without the unknown field {shown(unknown[0])}")
    sizes = {one: _get(fields, one, *_COUNT) for one in _SHAPE_FIELDS}
    pairs = {one: tuple(_get(fields, one, *_PAIR)) for one in _PAIR_FIELDS if one in fields}
    groups = _get(fields, "groups", *_COUNT) if "groups" in fields else 1
    densities = {}
    for which, pair in _get(layer, "densities", *_OBJECT).items():
        if which not in list(Pass):
            raise ValueError(f"pass must be one of {', '.join(Pass)}, not {shown(which)}")
        densities[Pass(which)] = tuple(_get({which: pair}, which, *_DENSITIES))
    return LayerEntry(
        name=name,
        file=file,
        size_bytes=_get(layer, "size_bytes", *_COUNT),
        sha256=sha256,
        shape=ConvShape(**sizes, **pairs, groups=groups),
        densities=densities,
        normalised=_parse_flag(layer.get("normalised")),
    )


def _parse_flag(value: object) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise ValueError(f"normalised must be true, false or null, not {shown(value)}")
    return value


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, read piece by piece."""
    digest = hashlib.sha256()
    with open_regular(path, _LAYER) as file:
        while piece := file.read(_HASHED_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def _check_file(path: Path, entry: LayerEntry) -> None:
    if not is_there(path):
        raise InputError(f"{shown_path(path)}, of layer {entry.name}, is missing from the trace")
    with open_regular(path, _LAYER) as file:
        size = os.fstat(file.fileno()).st_size
    if size != entry.size_bytes:
        raise InputError(
            f"{path} must have {entry.size_bytes} bytes, not {size}: the trace was cut short "
            "or changed"
        )
    if size > _QUICKLY_HASHED_BYTES:
        # A file of any length may hold nothing of a trace.
        with open_arrays(path, _LAYER) as stored:
            for which in entry.densities:
                _check_headers(path, stored, entry.shape, which, ["first", "second", "result"])
    digest = file_digest(path)
    if digest != entry.sha256:
        raise InputError(f"{path} must have the SHA-256 {entry.sha256}, not {digest}: damaged")


def _check_counts(path: Path, stored: Arrays, one: PassTrace) -> None:
    for part in ("first", "second"):
        for axis in COUNTED_AXES:
            key = f"{one.which}.{part}.nonzeros{axis}"
            if key not in stored.headers:
                continue
            counts = count_along(getattr(one, part), axis)
            if stored.headers[key].shape != counts.shape or not np.array_equal(
                stored.read(key), counts
            ):
                raise InputError(f"{path}: {key} must be the nonzeros of {one.which}.{part}")


def check_arrays(path: Path, shape: ConvShape, one: PassTrace) -> None:
    """Raise `InputError` if arrays do not have the types and shapes of their layer and pass."""
    for part in ("first", "second", "result", "precomputed"):
        array = getattr(one, part)
        if array is not None:
            _check_array(path, shape, one.which, part, array.shape, array.dtype)


def _check_array(
    path: Path, shape: ConvShape, which: Pass, part: str, found: tuple[int, ...], dtype: np.dtype
) -> None:
    result = shape.result_shape(which)
    if part == "precomputed":
        fits = len(found) == len(result) and all(
            have in (1, full) for have, full in zip(found, result, strict=True)
        )
        requirement = f"float32 that broadcasts to {result}"
    else:
        first, second = shape.operand_shapes(which)
        expected = {"first": first, "second": second, "result": result}[part]
        fits = found == expected
        requirement = f"float32 of shape {expected}"
    if not fits or dtype != np.float32:
        raise InputError(
            f"{path}: {which}.{part} must be {requirement}, not {dtype} of shape {found}"
        )
