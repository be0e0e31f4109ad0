"""Recorded steps of the digits network, and damage done to them."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile

import numpy as np

from gscn.golden.recipe import Recipe, method_options
from gscn.golden.training.training import Trainer


def trainer(method: str, iterations: int = 3, **recipe) -> Trainer:
    """Return a training run after some iterations."""
    made = Trainer(
        Recipe(
            method=method, epochs=1, batch_size=8, **recipe, **method_options(method, sparsity=0.9)
        )
    )
    for _ in made.run(iterations):
        pass
    return made


def change_manifest(copy, change) -> None:
    """Apply a change to the manifest of a trace."""
    manifest = json.loads((copy / "trace.json").read_text())
    change(manifest)
    (copy / "trace.json").write_text(json.dumps(manifest))


def replace_file(copy, name: str, content: bytes) -> None:
    """Put a file in the place of a layer's, with its right size and digest in the manifest."""
    (copy / f"{name}.npz").write_bytes(content)

    def seal(manifest) -> None:
        for layer in manifest["layers"]:
            if layer["name"] == name:
                layer |= {"size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    change_manifest(copy, seal)


def reseal(copy, name: str, change) -> None:
    """Apply a change to a layer's arrays and put the right size and digest into the manifest."""
    with np.load(copy / f"{name}.npz") as stored:
        arrays = dict(stored)
    change(arrays)
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    replace_file(copy, name, stream.getvalue())


def archive_with(path, replaced: dict[str, bytes | None]) -> bytes:
    """Return an archive of the entries of another, some of other content, or none."""
    stream = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(stream, "w") as new:
        entries = {name: old.read(name) for name in old.namelist()}
        for name, content in {**entries, **replaced}.items():
            if content is not None:
                new.writestr(name, content)
    return stream.getvalue()


def array_of(shape: str, data: bytes = b"") -> bytes:
    """Return a file of NumPy's that states a shape, and has this data."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header + data
