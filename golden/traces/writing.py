"""Traces are written pass by pass, as training computes them, so that memory stays bounded."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import numpy as np

from gscn.conv import ConvShape, Pass
from gscn.errors import InputError
from gscn.golden.omitted import Omitted
from gscn.golden.traces.arrays import (
    COUNTED_AXES,
    LayerTrace,
    PassTrace,
    check_arrays,
    count_along,
)
from gscn.golden.traces.manifest import FORMAT_VERSION, MANIFEST_NAME, file_digest
from gscn.golden.traces.trace import Trace, load_trace
from gscn.system.files import new_folder, output_errors

PIECE_BYTES = 4 << 20
"""Larger arrays are cut along their first axis into pieces of at most this, if an index of the axis
has no more."""


class TraceWriter:
    """Writes a trace directory, whole or not at all; a context.

    At its end it removes what it has written, unless `finish` was called.

    Parameters
    ----------
    out
        Directory to make.

    Raises
    ------
    InputError
        `out` exists or, when the context is entered, cannot be made.
    """

    def __init__(self, out: Path) -> None:
        self.out = Path(out)
        refuse_existing(self.out)
        self._stack = contextlib.ExitStack()
        self._layers: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> TraceWriter:
        self._directory = self._stack.enter_context(new_folder(self.out))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, where)

    def add(self, name: str, shape: ConvShape, one: PassTrace, *, transposed: bool = False) -> None:
        """Write a pass of a layer, as `LayerEntry` says of a transposed one.

        Raises
        ------
        InputError
            Arrays do not have the shapes of the layer, or the pass has been written before, or
            cannot be written.
        """
        # Torch allows any name without a dot of its own.
        path = self._directory / f"{quote(name, safe='#')}.npz"
        check_arrays(path, shape, one)
        layer = self._layers.setdefault(
            name,
            {
                "name": name,
                "file": path.name,
                "shape": dataclasses.asdict(shape),
                "transposed": transposed,
                "densities": {},
            },
        )
        if one.which in layer["densities"]:
            raise InputError(
                f"layer {name} must compute each pass once in a traced step, not {one.which} twice"
            )
        densities = []
        with (
            output_errors("a folder", self.out),
            zipfile.ZipFile(path, "a", zipfile.ZIP_STORED) as archive,
        ):
            for part in ("first", "second"):
                array = getattr(one, part)
                counts = _write(archive, f"{one.which}.{part}", array)
                for axis in COUNTED_AXES:
                    _write_entry(archive, f"{one.which}.{part}.nonzeros{axis}", counts[axis])
                densities.append(float(counts[0].sum() / array.size))
            _write(archive, f"{one.which}.result", one.result)
            if one.precomputed is not None:
                _write(archive, f"{one.which}.precomputed", one.precomputed)
        layer["densities"][one.which] = densities

    def finish(
        self,
        names: Iterable[str],
        *,
        omitted: Sequence[Omitted] | None = None,
        normalised: Mapping[str, bool] | None = None,
        **fields: Any,
    ) -> Trace:
        """Write the manifest and put the directory in its place.

        Parameters
        ----------
        names
            The layers in the network's order.
        omitted
            What the network computes besides; by default nobody knows.
        normalised
            By layer whether a normalisation belongs to it; by default nobody knows.
        **fields
            Of `Trace`: network, dataset, method, sparsity, step, seed, dense_iteration.

        Returns
        -------
        Trace
            The trace as written, read back.

        Raises
        ------
        InputError
            A layer has no forward pass, or the manifest cannot be written.
        """
        listed = None if omitted is None else [dataclasses.asdict(one) for one in omitted]
        with output_errors("a folder", self.out):
            self._finish(names, normalised or {}, {**fields, "omitted": listed})
        return load_trace(self.out)

    def _finish(
        self, names: Iterable[str], normalised: Mapping[str, bool], fields: dict[str, Any]
    ) -> None:
        layers = []
        for name in names:
            layer = self._layers.get(name, {"densities": {}})
            forward = Pass.FORWARD
            if layer.get("transposed"):
                forward = forward.of_transposed
            if forward not in layer["densities"]:
                raise InputError(
                    f"layer {name} must compute each pass once in a traced step, not "
                    f"{', '.join(layer['densities']) or 'none'}"
                )
            path = self._directory / layer["file"]
            size = {"size_bytes": path.stat().st_size, "sha256": file_digest(path)}
            layers.append({**layer, **size, "normalised": normalised.get(name)})
        manifest = {"format_version": FORMAT_VERSION, **fields, "layers": layers}
        text = json.dumps(manifest, indent=2) + "\n"
        (self._directory / MANIFEST_NAME).write_text(text, encoding="utf-8")
        self._directory.rename(self.out)


def write_trace(out: Path, layers: Iterable[LayerTrace], **fields: Any) -> Trace:
    """Write a trace directory, whole or not at all.

    Parameters
    ----------
    out
        Directory to make.
    layers
        Layers in the network's order; taken one at a time.
    **fields
        As of `TraceWriter.finish`; `omitted` and `normalised` too.

    Returns
    -------
    Trace
        The trace as written, read back.

    Raises
    ------
    InputError
        `out` exists or cannot be made, or arrays do not have the shapes of their layer.
    """
    names = []
    with TraceWriter(out) as writer:
        for layer in layers:
            names.append(layer.name)
            for one in layer.passes.values():
                writer.add(layer.name, layer.shape, one)
        return writer.finish(names, **fields)


def refuse_existing(out: Path) -> None:
    """Raise `InputError` if a trace directory exists already."""
    if out.exists():
        raise InputError(f"trace directory must not exist yet: {out}")


def _write(archive: zipfile.ZipFile, name: str, array: np.ndarray) -> list[np.ndarray]:
    """Write an array, in chunks if it is large; return its nonzeros along `COUNTED_AXES`."""
    rows = max(1, PIECE_BYTES // max(1, array[:1].nbytes))
    counts = [np.zeros(array.shape[axis], np.int64) for axis in COUNTED_AXES]
    for index, start in enumerate(range(0, len(array), rows)):
        piece = array[start : start + rows]
        whole = len(piece) == len(array)
        _write_entry(archive, name if whole else f"{name}.{index}", piece)
        counts[0][start : start + rows] = count_along(piece, 0)
        counts[1] += count_along(piece, 1)
    return counts


def _write_entry(archive: zipfile.ZipFile, name: str, array: np.ndarray) -> None:
    # As numpy.savez writes it, whose entries all have the same date: equal arrays, equal bytes.
    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        np.lib.format.write_array(file, array, allow_pickle=False)
