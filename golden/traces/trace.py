"""Traces: operands and results of a training step's convolutions, one file per layer.

docs/contract/traces.md describes the format. This module reads traces (their index by
`golden.traces.manifest`, layers by `golden.traces.arrays`), `golden.traces.writing` writes them as
training computes, and `golden.traces.recording` records training; all but the last do without
torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gscn.conv import Pass
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.golden.omitted import Omitted
from gscn.golden.traces.arrays import (
    COUNTED_AXES,
    LayerTrace,
    PassTrace,
    count_along,
    read_chunks,
    read_pass,
)
from gscn.golden.traces.manifest import MANIFEST_NAME, LayerEntry, check_file, read_manifest
from gscn.system.reading import is_folder, is_there, shown_path


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
        check_file(path, entry)
        return read_pass(path, entry.shape, which)

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
        check_file(path, entry)
        yield from read_chunks(path, entry.shape, which, part)

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


def _require_pass(entry: LayerEntry, which: Pass) -> None:
    if which not in entry.densities:
        raise InputError(
            f"pass of layer {entry.name} must be one of {', '.join(entry.densities)}, not {which}"
        )


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
    trace = Trace(directory=manifest_path.parent, **read_manifest(manifest_path))
    for entry in trace.entries.values():
        check_file(trace.directory / entry.file, entry)
    return trace
