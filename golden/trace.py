"""Traces: operands and results of a training step's convolutions, one file per layer.

docs/traces.md describes the format. This module reads traces, `golden.trace_writing` writes them as
training computes, and `golden.tracing` records training; both of these files do without torch.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from golden.omitted import Omitted
from gscn.conv import ConvShape, Pass
from gscn.enums import takes_text
from gscn.errors import InputError

FORMAT_VERSION = 4
_READABLE_VERSIONS = (2, 3, 4)
"""Version 2 has neither chunks nor counts of nonzeros; versions before 4 do not say what else the
network computes, nor which layers are normalised."""
MANIFEST_NAME = "trace.json"
COUNTED_AXES = (0, 1)
"""Axes along which the nonzeros of operands are counted: samples and channels, or for weights
filters and channels."""
_HASHED_BYTES = 1 << 20


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
        with _arrays(path) as stored:
            names = {_part_of(key) for key in stored.files}
            arrays = {
                part: _joined([chunk for _, chunk in _chunks(path, stored, which, part)])
                for part in ("first", "second", "result", "precomputed")
                if part != "precomputed" or f"{which}.{part}" in names
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
        with _arrays(path) as stored:
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


def _arrays(path: Path) -> np.lib.npyio.NpzFile:
    try:
        return np.load(path, allow_pickle=False)
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} must be a layer of a trace: {error}") from error


def _joined(chunks: list[np.ndarray]) -> np.ndarray:
    return chunks[0] if len(chunks) == 1 else np.concatenate(chunks)


def _part_of(key: str) -> str:
    """Return `pass.part` of the name of an array or of a chunk of it."""
    return ".".join(key.split(".")[:2])


def _chunks(
    path: Path, stored: np.lib.npyio.NpzFile, which: Pass, part: str
) -> Iterator[tuple[int, np.ndarray]]:
    base = f"{which}.{part}"
    # A small array is one entry of its own name.
    keys = [base]
    if base not in stored.files:
        numbered = itertools.takewhile(
            lambda key: key in stored.files, (f"{base}.{index}" for index in itertools.count())
        )
        keys = list(numbered)
    if not keys:
        raise InputError(f"{path} must be a layer of a trace: {base} is missing")
    start = 0
    for key in keys:
        try:
            chunk = stored[key]
        except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
            raise InputError(f"{path} must be a layer of a trace: {error}") from error
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
    manifest_path = path / MANIFEST_NAME if path.is_dir() else path
    if not manifest_path.is_file():
        raise InputError(f"trace must be a directory with a {MANIFEST_NAME}, not {path}")
    try:
        manifest = json.loads(manifest_path.read_text(encoding="utf-8"))
        version = manifest["format_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{manifest_path} must be the manifest of a trace: {error!r}") from error
    if version not in _READABLE_VERSIONS:
        raise InputError(
            f"{manifest_path} must have format version "
            f"{' or '.join(map(str, _READABLE_VERSIONS))}, not {version!r}"
        )
    try:
        entries = {layer["name"]: _parse_entry(layer) for layer in manifest["layers"]}
        trace = Trace(
            directory=manifest_path.parent,
            network=str(manifest["network"]),
            dataset=str(manifest["dataset"]),
            method=str(manifest["method"]),
            sparsity=float(manifest["sparsity"]),
            step=int(manifest["step"]),
            seed=int(manifest["seed"]),
            dense_iteration=bool(manifest["dense_iteration"]),
            entries=entries,
            omitted=_parse_omitted(manifest.get("omitted")),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{manifest_path} must be the manifest of a trace: {error!r}") from error
    for entry in entries.values():
        _check_file(trace.directory / entry.file, entry)
    return trace


def _parse_omitted(items: object) -> tuple[Omitted, ...] | None:
    if items is None:
        return None
    if not isinstance(items, list):
        raise TypeError(f"omitted must be a list, not {items!r}")
    return tuple(Omitted.of(item) for item in items)


def _parse_entry(layer: dict[str, Any]) -> LayerEntry:
    if Path(layer["file"]).name != layer["file"]:
        raise ValueError(f"file must be a plain name, not {layer['file']!r}")
    shape = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in layer["shape"].items()
    }
    return LayerEntry(
        name=layer["name"],
        file=layer["file"],
        size_bytes=int(layer["size_bytes"]),
        sha256=layer["sha256"],
        shape=ConvShape(**shape),
        densities={
            Pass(which): (float(first), float(second))
            for which, (first, second) in layer["densities"].items()
        },
        normalised=_parse_flag(layer.get("normalised")),
    )


def _parse_flag(value: object) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise TypeError(f"normalised must be true, false or null, not {value!r}")
    return value


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, read piece by piece."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_HASHED_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def _check_file(path: Path, entry: LayerEntry) -> None:
    if not path.is_file():
        raise InputError(f"{path}, of layer {entry.name}, is missing from the trace")
    size = path.stat().st_size
    if size != entry.size_bytes:
        raise InputError(
            f"{path} must have {entry.size_bytes} bytes, not {size}: the trace was cut short "
            "or changed"
        )
    digest = file_digest(path)
    if digest != entry.sha256:
        raise InputError(f"{path} must have the SHA-256 {entry.sha256}, not {digest}: damaged")


def _check_counts(path: Path, stored: np.lib.npyio.NpzFile, one: PassTrace) -> None:
    for part in ("first", "second"):
        for axis in COUNTED_AXES:
            key = f"{one.which}.{part}.nonzeros{axis}"
            if key not in stored.files:
                continue
            if not np.array_equal(stored[key], count_along(getattr(one, part), axis)):
                raise InputError(f"{path}: {key} must be the nonzeros of {one.which}.{part}")


def check_arrays(path: Path, shape: ConvShape, one: PassTrace) -> None:
    """Raise `InputError` if arrays do not have the types and shapes of their layer and pass."""
    first, second = shape.operand_shapes(one.which)
    for part, expected in (
        ("first", first),
        ("second", second),
        ("result", shape.result_shape(one.which)),
    ):
        array = getattr(one, part)
        if array.shape != expected or array.dtype != np.float32:
            raise InputError(
                f"{path}: {one.which}.{part} must be float32 of shape {expected}, "
                f"not {array.dtype} of shape {array.shape}"
            )
    term = one.precomputed
    if term is None:
        return
    result = shape.result_shape(one.which)
    if (
        term.dtype != np.float32
        or term.ndim != len(result)
        or any(have not in (1, full) for have, full in zip(term.shape, result, strict=True))
    ):
        raise InputError(
            f"{path}: {one.which}.precomputed must be float32 that broadcasts to {result}, "
            f"not {term.dtype} of shape {term.shape}"
        )
