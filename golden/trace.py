"""Traces: operands and results of a training step's convolutions, one file per layer.

A trace is a directory with `trace.json` and, per layer, an uncompressed `.npz` of float32 arrays
`<pass>.first`, `<pass>.second`, `<pass>.result` and, where there is one, `<pass>.precomputed`.
A pass that training did not compute, such as the input gradient of the first layer, is absent.
`golden.tracing` records traces; this module, which writes and reads them, does without torch.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gscn.conv import ConvShape, Pass
from gscn.errors import InputError

FORMAT_VERSION = 2
MANIFEST_NAME = "trace.json"


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
        path = self.directory / entry.file
        content = _read_checked(path, entry)
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                passes = {
                    which: PassTrace(
                        which=which,
                        first=arrays[f"{which}.first"],
                        second=arrays[f"{which}.second"],
                        result=arrays[f"{which}.result"],
                        precomputed=arrays.get(f"{which}.precomputed"),
                    )
                    for which in entry.densities
                }
        except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
            raise InputError(f"{path} must be a layer of a trace: {error}") from error
        for one in passes.values():
            _check_arrays(path, entry.shape, one)
        return LayerTrace(name=name, shape=entry.shape, passes=passes)


def write_trace(
    out: Path,
    layers: Iterable[LayerTrace],
    *,
    network: str,
    dataset: str,
    method: str,
    sparsity: float,
    step: int,
    seed: int,
    dense_iteration: bool,
) -> Trace:
    """Write a trace directory, whole or not at all.

    Parameters
    ----------
    out
        Directory to make.
    layers
        Layers in the network's order; taken one at a time.
    network, dataset, method, sparsity, step, seed, dense_iteration
        As in `Trace`.

    Returns
    -------
    Trace
        The trace as written, read back.

    Raises
    ------
    InputError
        `out` exists or cannot be made, or arrays do not have the shapes of their layer.
    """
    out = Path(out)
    refuse_existing(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    except OSError as error:
        raise InputError(f"trace directory {out} cannot be made: {error}") from error
    try:
        manifest = {
            "format_version": FORMAT_VERSION,
            "network": network,
            "dataset": dataset,
            "method": method,
            "sparsity": sparsity,
            "step": step,
            "seed": seed,
            "dense_iteration": dense_iteration,
            "layers": [_write_layer(temporary, layer) for layer in layers],
        }
        text = json.dumps(manifest, indent=2) + "\n"
        (temporary / MANIFEST_NAME).write_text(text, encoding="utf-8")
        temporary.chmod(0o755)  # mkdtemp makes it private.
        temporary.rename(out)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return load_trace(out)


def refuse_existing(out: Path) -> None:
    """Raise `InputError` if a trace directory exists already."""
    if out.exists():
        raise InputError(f"trace directory must not exist yet: {out}")


def _write_layer(directory: Path, layer: LayerTrace) -> dict[str, Any]:
    path = directory / f"{layer.name}.npz"
    arrays = {}
    for which, one in layer.passes.items():
        _check_arrays(path, layer.shape, one)
        arrays[f"{which}.first"] = one.first
        arrays[f"{which}.second"] = one.second
        arrays[f"{which}.result"] = one.result
        if one.precomputed is not None:
            arrays[f"{which}.precomputed"] = one.precomputed
    np.savez(path, **arrays)
    content = path.read_bytes()
    return {
        "name": layer.name,
        "file": path.name,
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "shape": dataclasses.asdict(layer.shape),
        "densities": {
            which: [_density(one.first), _density(one.second)]
            for which, one in layer.passes.items()
        },
    }


def _density(array: np.ndarray) -> float:
    return float(np.count_nonzero(array) / array.size)


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
    if version != FORMAT_VERSION:
        raise InputError(
            f"{manifest_path} must have format version {FORMAT_VERSION}, not {version!r}"
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
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{manifest_path} must be the manifest of a trace: {error!r}") from error
    for entry in entries.values():
        _read_checked(trace.directory / entry.file, entry)
    return trace


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
    )


def _read_checked(path: Path, entry: LayerEntry) -> bytes:
    if not path.is_file():
        raise InputError(f"{path}, of layer {entry.name}, is missing from the trace")
    size = path.stat().st_size
    if size != entry.size_bytes:
        raise InputError(
            f"{path} must have {entry.size_bytes} bytes, not {size}: the trace was cut short "
            "or changed"
        )
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != entry.sha256:
        raise InputError(f"{path} must have the SHA-256 {entry.sha256}, not {digest}: damaged")
    return content


def _check_arrays(path: Path, shape: ConvShape, one: PassTrace) -> None:
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
