"""The index of a trace: what it says of the step and of each layer, and whose files it names."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gscn.conv import ConvShape, Pass
from gscn.errors import InputError
from gscn.golden.omitted import Omitted
from gscn.golden.traces.arrays import LAYER, check_passes
from gscn.system.reading import is_there, open_regular, read_object, shown, shown_path

FORMAT_VERSION = 5
_READABLE_VERSIONS = (2, 3, 4, 5)
"""Version 2 has neither chunks nor counts of nonzeros; versions before 4 do not say what else the
network computes, nor which layers are normalised; versions before 5 have no groups, and no layers
that are transposed."""
MANIFEST_NAME = "trace.json"
_HASHED_BYTES = 1 << 20
_QUICKLY_HASHED_BYTES = 256 << 20
_DIGEST = re.compile("[0-9a-f]{64}")
_SHAPE_FIELDS = ("n", "c", "h", "w", "k", "r", "s")
_PAIR_FIELDS = ("stride", "padding", "dilation")


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
    transposed: bool = False
    """Whether the layer is a transposed convolution: `shape` is then the one that it transposes,
    of which its forward pass is the input gradient (`Pass.of_transposed`)."""


def read_manifest(path: Path) -> dict[str, Any]:
    """Return the fields of `golden.traces.trace.Trace`, but for its directory.

    Raises
    ------
    InputError
        Naming the file: not a manifest, of another version, or with a field out of range.
    """
    manifest = read_object(path, "manifest of a trace")
    if "format_version" not in manifest:
        raise InputError(f"{path} must be the manifest of a trace")
    version = manifest["format_version"]
    if type(version) is not int or version not in _READABLE_VERSIONS:
        raise InputError(
            f"{path} must have format version "
            f"{' or '.join(map(str, _READABLE_VERSIONS))}, not {shown(version)}"
        )
    try:
        entries = [_read_entry(layer) for layer in _get(manifest, "layers", *_LIST)]
        if not entries:
            raise ValueError("layers must be at least one")
        if len({entry.name for entry in entries}) != len(entries):
            raise ValueError("names of layers must differ")
        return {
            "network": _get(manifest, "network", *_TEXT),
            "dataset": _get(manifest, "dataset", *_TEXT),
            "method": _get(manifest, "method", *_TEXT),
            "sparsity": float(_get(manifest, "sparsity", *_SHARE)),
            "step": _get(manifest, "step", *_COUNT),
            "seed": _get(manifest, "seed", *_COUNT),
            "dense_iteration": _get(manifest, "dense_iteration", *_TRUTH),
            "entries": {entry.name: entry for entry in entries},
            "omitted": _read_omitted(manifest.get("omitted")),
        }
    except ValueError as error:
        raise InputError(f"{path} must be the manifest of a trace: {error}") from error


def _read_omitted(items: object) -> tuple[Omitted, ...] | None:
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
_TRUTH = ("true or false", lambda value: isinstance(value, bool))
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


def _read_entry(layer: object) -> LayerEntry:
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
        normalised=_read_normalised(layer.get("normalised")),
        transposed=_get(layer, "transposed", *_TRUTH) if "transposed" in layer else False,
    )


def _read_normalised(value: object) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise ValueError(f"normalised must be true, false or null, not {shown(value)}")
    return value


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, read piece by piece."""
    digest = hashlib.sha256()
    with open_regular(path, LAYER) as file:
        while piece := file.read(_HASHED_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def check_file(path: Path, entry: LayerEntry) -> None:
    """Raise `InputError` if a layer's file is missing or is not the one that was written."""
    if not is_there(path):
        raise InputError(f"{shown_path(path)}, of layer {entry.name}, is missing from the trace")
    with open_regular(path, LAYER) as file:
        size = os.fstat(file.fileno()).st_size
    if size != entry.size_bytes:
        raise InputError(
            f"{path} must have {entry.size_bytes} bytes, not {size}: the trace was cut short "
            "or changed"
        )
    if size > _QUICKLY_HASHED_BYTES:
        # A file of any length may hold nothing of a trace.
        check_passes(path, entry.shape, entry.densities)
    digest = file_digest(path)
    if digest != entry.sha256:
        raise InputError(f"{path} must have the SHA-256 {entry.sha256}, not {digest}: damaged")
