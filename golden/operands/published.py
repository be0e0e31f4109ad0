"""The index of published operands: what each trace is of, its densities and its digest.

docs/guides/operands.md describes the folder. Without torch: who reads operands need not record.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from gscn.conv import Pass
from gscn.errors import InputError
from gscn.golden.operands.suite import Step
from gscn.golden.traces.manifest import MANIFEST_NAME, file_digest
from gscn.golden.traces.trace import Trace, load_trace
from gscn.system.reading import is_folder, is_there, read_object, shown, shown_path

INDEX_NAME = "operands.json"
FORMAT_VERSION = 1
LICENCES = {
    "operands": "Apache-2.0, with the attributions of the images below: inputs of first layers are "
    "made of them",
    "digits": "Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, UCI Machine "
    "Learning Repository, CC BY 4.0; as bundled with scikit-learn (BSD-3-Clause)",
    "composites": "these digits on two photographs bundled with scikit-learn, both CC BY 2.0: "
    "china.jpg by danielbuechele, flower.jpg by vultilion; digits and photographs are scaled, "
    "cropped and blended",
}
"""Of the operands, and of the images from which they were made."""
_FIELDS = {"format_version", "made_with", "licences", "traces"}


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedTrace:
    """What the index says of a trace."""

    name: str
    """Of the step, and of its folder below that of the index."""
    sha256: str
    """Of its `trace.json`, which has the digest of every other file."""
    arrays_sha256: str
    """Of the digests of its layers' files, a line each: whatever `trace.json` says besides."""
    size_bytes: int
    """Of all its files but `trace.json`."""
    images: str
    """Data set that the network was trained on."""
    iterations: int
    """Trained before the step."""
    images_seen: int
    """By then, repetitions counted."""
    recipe: Mapping[str, Any]
    """Fields of `golden.recipe.Recipe` that are set."""
    densities: Mapping[str, tuple[float, float]]
    """Share of nonzeros of (first, second), per pass: of all layers together."""
    layers: Mapping[str, Mapping[str, tuple[float, float]]]
    """The same of each layer, in the network's order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Index:
    """Published operands."""

    traces: Mapping[str, PublishedTrace]
    """By name."""
    made_with: Mapping[str, str]
    """Versions of the packages that decide the bytes."""


def published_trace(step: Step, trace: Trace) -> PublishedTrace:
    """Return what the index is to say of the trace of a step."""
    fields = dataclasses.asdict(step.recipe).items()
    return PublishedTrace(
        name=step.name,
        sha256=file_digest(trace.directory / MANIFEST_NAME),
        images_seen=step.images_seen,
        recipe={name: value for name, value in fields if value is not None},
        **_facts(trace),
    )


def _facts(trace: Trace) -> dict[str, Any]:
    """Return the fields of the index that a trace itself decides."""
    return {
        "arrays_sha256": _arrays_digest(trace),
        "size_bytes": sum(entry.size_bytes for entry in trace.entries.values()),
        "images": trace.dataset,
        "iterations": trace.step,
        "densities": {str(which): _density(trace, which) for which in Pass},
        "layers": {
            name: {str(which): pair for which, pair in entry.densities.items()}
            for name, entry in trace.entries.items()
        },
    }


def _arrays_digest(trace: Trace) -> str:
    lines = "".join(f"{one.file} {one.sha256}\n" for one in trace.entries.values())
    return hashlib.sha256(lines.encode()).hexdigest()


def _density(trace: Trace, which: Pass) -> tuple[float, float]:
    """Return the shares of nonzeros of all layers that have a pass; 0 if none has."""
    nonzeros, elements = [0, 0], [0, 0]
    for entry in trace.entries.values():
        if which not in entry.densities:
            continue
        for place, size in enumerate(map(math.prod, entry.shape.operand_shapes(which))):
            nonzeros[place] += round(size * entry.densities[which][place])
            elements[place] += size
    return nonzeros[0] / max(1, elements[0]), nonzeros[1] / max(1, elements[1])


def index_text(index: Index) -> str:
    """Return an index as its file has it."""
    content = {
        "format_version": FORMAT_VERSION,
        "made_with": dict(index.made_with),
        "licences": LICENCES,
        "traces": [dataclasses.asdict(one) for one in index.traces.values()],
    }
    return json.dumps(content, indent=1) + "\n"


def read_index(folder: Path) -> Index:
    """Return the index of a folder of published operands.

    Raises
    ------
    InputError
        There is none, or it is of another version or damaged.
    """
    path = Path(folder) / INDEX_NAME
    if not is_there(path):
        raise InputError(
            f"folder of operands must have the file {INDEX_NAME}: {shown_path(folder)}"
        )
    content = read_object(path, "index of operands")
    if content.keys() != _FIELDS or content["format_version"] != FORMAT_VERSION:
        raise InputError(
            f"{path} must be an index of operands of version {FORMAT_VERSION}, with "
            f"{', '.join(sorted(_FIELDS))}, not {shown(sorted(content))}"
        )
    made_with, listed = content["made_with"], content["traces"]
    try:
        if not isinstance(made_with, dict) or not isinstance(listed, list):
            raise ValueError("made_with must be an object and traces a list")
        traces = {one.name: one for one in map(_read_trace, listed)}
    except ValueError as error:
        raise InputError(f"{path} must be an index of operands: {error}") from error
    return Index(traces=traces, made_with=made_with)


def _read_trace(fields: object) -> PublishedTrace:
    """Return what JSON says of a trace; raise `ValueError` if it is none."""
    names = {field.name for field in dataclasses.fields(PublishedTrace)}
    if not isinstance(fields, dict) or fields.keys() != names:
        raise ValueError(f"a trace must have {', '.join(sorted(names))}, not {shown(fields)}")
    for kind, of_kind in (
        (str, ("name", "sha256", "arrays_sha256", "images")),
        (int, ("size_bytes", "iterations", "images_seen")),
        (dict, ("recipe", "densities", "layers")),
    ):
        for name in of_kind:
            if type(fields[name]) is not kind:
                raise ValueError(f"{name} must be {kind.__name__}, not {shown(fields[name])}")
    if not fields["name"] or Path(fields["name"]).name != fields["name"]:
        raise ValueError(f"name must be that of a folder, not {shown(fields['name'])}")
    layers = {name: _read_densities(pairs) for name, pairs in fields["layers"].items()}
    return PublishedTrace(
        **{**fields, "densities": _read_densities(fields["densities"]), "layers": layers}
    )


def _read_densities(pairs: object) -> dict[str, tuple[float, float]]:
    if not isinstance(pairs, dict) or not all(
        which in list(Pass)
        and isinstance(pair, list)
        and len(pair) == 2
        and all(type(share) in (int, float) and 0 <= share <= 1 for share in pair)
        for which, pair in pairs.items()
    ):
        raise ValueError(f"densities must be two numbers from 0 to 1 by pass, not {shown(pairs)}")
    return {which: tuple(pair) for which, pair in pairs.items()}


def check_operands(folder: Path) -> Index:
    """Check every byte of published operands against their digests.

    Returns
    -------
    Index
        Of the folder.

    Raises
    ------
    InputError
        Naming what is missing or differs from its digest.
    """
    index = read_index(folder)
    for one in index.traces.values():
        directory = Path(folder) / one.name
        if not is_folder(directory):
            raise InputError(f"{shown_path(directory)}, a trace, is missing from the operands")
        manifest = directory / MANIFEST_NAME
        found = file_digest(manifest)
        if found != one.sha256:
            raise InputError(f"{manifest} must have the SHA-256 {one.sha256}, not {found}")
        # Which compares every file with the digest that the manifest has of it.
        _check_facts(Path(folder) / INDEX_NAME, one, load_trace(directory))
    return index


def _check_facts(path: Path, one: PublishedTrace, trace: Trace) -> None:
    """Raise `InputError` if the index says something else of a trace than the trace does."""
    for name, right in _facts(trace).items():
        if getattr(one, name) != right:
            raise InputError(f"{path}: {name} of {one.name} must be that of its trace")
    batch = one.recipe.get("batch_size")
    if type(batch) is not int or one.images_seen != one.iterations * batch:
        raise InputError(f"{path}: images_seen of {one.name} must be iterations times batch_size")
    for name in ("network", "method", "seed"):
        if one.recipe.get(name) != getattr(trace, name):
            raise InputError(
                f"{path}: {name} of {one.name} must be {getattr(trace, name)!r}, as in its trace, "
                f"not {shown(one.recipe.get(name))}"
            )


def index_digest(folder: Path) -> str:
    """Return the SHA-256 of an index: with its traces' digests, that of all bytes together."""
    return hashlib.sha256((Path(folder) / INDEX_NAME).read_bytes()).hexdigest()


def reference_digests() -> dict[str, str]:
    """Return `arrays_sha256` of `golden.operands.suite.STEPS`, by name, as published.

    They are those of docs/results/operands.md; empty before it was made for the first time.
    """
    file = resources.files("gscn.golden.operands") / INDEX_NAME
    if not file.is_file():
        return {}
    traces = json.loads(file.read_text(encoding="utf-8"))["data"]["traces"]
    return {one["name"]: one["arrays_sha256"] for one in traces}
