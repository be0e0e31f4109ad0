"""The arrays of a traced layer: what a pass consists of, and the entries of the layer's file."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gscn.conv import ConvShape, Pass
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.system.archives import Arrays, open_arrays

LAYER = "layer of a trace"
"""What a file is called where it is none."""
COUNTED_AXES = (0, 1)
"""Axes along which the nonzeros of operands are counted: samples and channels, or for weights
filters and channels."""


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


def count_along(array: np.ndarray, axis: int) -> np.ndarray:
    """Return the nonzeros, int64, at each index of an axis."""
    others = tuple(other for other in range(array.ndim) if other != axis)
    return np.count_nonzero(array, axis=others).astype(np.int64)


@takes_text
def read_pass(path: Path, shape: ConvShape, which: Pass) -> PassTrace:
    """Read the arrays of a pass.

    Raises
    ------
    InputError
        The file is no archive of arrays, or they are not those of their layer and pass.
    """
    with open_arrays(path, LAYER) as stored:
        names = {_part_of(key) for key in stored.headers}
        parts = [
            part
            for part in ("first", "second", "result", "precomputed")
            if part != "precomputed" or f"{which}.{part}" in names
        ]
        _check_headers(path, stored, shape, which, parts)
        arrays = {
            part: _joined([chunk for _, chunk in _chunks(path, stored, which, part)])
            for part in parts
        }
        one = PassTrace(which=which, **{"precomputed": None, **arrays})
        check_arrays(path, shape, one)
        _check_counts(path, stored, one)
    return one


@takes_text
def read_chunks(
    path: Path, shape: ConvShape, which: Pass, part: str
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the pieces of an array, as `golden.traces.trace.Trace.chunks` does."""
    with open_arrays(path, LAYER) as stored:
        _check_headers(path, stored, shape, which, [part])
        yield from _chunks(path, stored, which, part)


@takes_text
def check_passes(path: Path, shape: ConvShape, passes: Iterable[Pass]) -> None:
    """Raise `InputError` if a file's entries do not state the arrays of passes."""
    with open_arrays(path, LAYER) as stored:
        for which in passes:
            _check_headers(path, stored, shape, which, ["first", "second", "result"])


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
