"""Networks from problems of Timeloop and Sparseloop: YAML, a layer in each.

A file has one problem, a list of them, or one in each of its documents. The sizes of a problem are
those of its instance: C, R, S, P, Q, N, and K or M for the output channels, with strides and
dilations; or M, N and K of a product of matrices. The map is the least that has the outputs P and
Q, unless H, W and their padding are given.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gscn.conv import ConvShape
from gscn.errors import InputError, raise_problems
from gscn.golden.networks import BATCH
from gscn.perf.workload.layers import Network
from gscn.perf.workload.listed import Listed, network_of_list
from gscn.perf.workload.network_file import MOST_FILE_SIZE, MOST_LAYERS
from gscn.system.reading import read_text, shown

_MOST_BYTES = 1 << 20
_MOST_DEPTH = 32
_CONV = frozenset("CRSPQ")
_GEMM = frozenset("MNK")
_OTHERS = frozenset(
    {"N", "K", "M", "G", "H", "W", "Hpad", "Wpad"}
    | {"Hstride", "Wstride", "Hdilation", "Wdilation"}
)
_WEIGHTS = ("Weights", "Filter", "Filters")


def read_problems(path: Path, *, batch: int | None = None) -> Network:
    """Read a network from a file of problems.

    Parameters
    ----------
    path
        The file.
    batch
        Images per batch, for the samples of all layers; by default N of each problem, or
        `golden.networks.BATCH` where it has none.

    Raises
    ------
    InputError
        PyYAML is missing; the file cannot be read; or naming the problem and the field that is
        wrong.
    """
    where = f"problem file {path}"
    problems = list(_problems(_parsed(path, where)))
    if not 1 <= len(problems) <= MOST_LAYERS:
        raise InputError(f"{where} must have 1 to {MOST_LAYERS} problems, not {len(problems)}")
    listed = [
        _layer(one, batch, f"problem {index + 1}", where) for index, one in enumerate(problems)
    ]
    return network_of_list(path.stem, listed)


def _parsed(path: Path, where: str) -> list[Any]:
    """Return the documents of a YAML file."""
    try:
        import yaml
    except ImportError as error:
        raise InputError(
            f"files of Timeloop need the package pyyaml: pip install 'gscn[yaml]' ({error})"
        ) from error
    text = read_text(path, "problem file", most_bytes=_MOST_BYTES)
    # Deeper nesting would exceed the interpreter's stack.
    if max((line.count("[") + line.count("{") for line in text.splitlines()), default=0) > 200:
        raise InputError(f"{where} must not nest lists and objects so deeply")
    try:
        return list(yaml.safe_load_all(text))
    except (yaml.YAMLError, ValueError, TypeError, RecursionError, OverflowError) as error:
        mark = getattr(error, "problem_mark", None)
        place = "" if mark is None else f", line {mark.line + 1}"
        told = getattr(error, "problem", None) or str(error)
        raise InputError(f"{where}{place} must be YAML: {' '.join(str(told).split())}") from error


def _problems(found: Any, depth: int = 0) -> Iterator[Any]:
    """Yield the problems that a document, or a part of it, holds."""
    if isinstance(found, list) and depth < _MOST_DEPTH:
        for one in found:
            yield from _problems(one, depth + 1)
    elif isinstance(found, dict) and "problem" in found:
        yield from _problems(found["problem"], depth + 1)
    elif found is not None:
        yield found


def _layer(problem: Any, batch: int | None, label: str, where: str) -> Listed:
    """Return the layer that a problem is."""
    if not isinstance(problem, dict):
        raise InputError(f"{where}, {label} must be an object, not {shown(problem)}")
    instance = problem.get("instance", problem)
    shape = problem.get("shape")
    if not isinstance(instance, dict):
        raise InputError(f"{where}, {label}: instance must be an object, not {shown(instance)}")
    name = problem.get("name") or (shape.get("name") if isinstance(shape, dict) else None)
    name = name if isinstance(name, str) else label
    where = f"{where}, {label}"
    fields = {key: value for key, value in instance.items() if key in _CONV | _OTHERS}
    problems = [
        f"{key} must be from {_least(key)} to {MOST_FILE_SIZE}, not {shown(value)}"
        for key, value in fields.items()
        if type(value) is not int or not _least(key) <= value <= MOST_FILE_SIZE
    ]
    raise_problems(where, problems)
    density = _density(instance.get("densities", problem.get("densities")), where)
    gemm = not _CONV & fields.keys()
    if gemm and not fields.keys() >= _GEMM:
        raise InputError(
            f"{where} must have C, R, S, P, Q and K or M, or M, N and K, not "
            f"{shown(', '.join(map(str, instance)))}"
        )
    listed = Listed(
        name=name,
        shape=ConvShape(n=1, c=1, h=1, w=1, k=1, r=1, s=1),
        where=label,
        weight_density=density,
    )
    try:
        if gemm:
            vectors, k, c = (fields[key] for key in "MNK")
            shape = ConvShape(
                n=BATCH if batch is None else batch, c=c, h=vectors, w=1, k=k, r=1, s=1
            )
            return dataclasses.replace(listed, shape=shape, linear=True)
        return _convolution(listed, fields, batch)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _least(field: str) -> int:
    return 0 if field.endswith("pad") else 1


def _convolution(listed: Listed, fields: Mapping[str, int], batch: int | None) -> Listed:
    missing = sorted(_CONV - fields.keys())
    if missing or not {"K", "M"} & fields.keys():
        raise InputError(f"{', '.join(missing) or 'K or M'} must be given")
    taps, outs = (fields["R"], fields["S"]), (fields["P"], fields["Q"])
    # The letters of Timeloop's own shape: W with R and P, H with S and Q.
    stride, dilation, padding = (
        tuple(fields.get(f"{axis}{what}", default) for axis in "WH")
        for what, default in (("stride", 1), ("dilation", 1), ("pad", 0))
    )
    spans = [d * (size - 1) + 1 for d, size in zip(dilation, taps, strict=True)]
    least = [(out - 1) * step + span for out, step, span in zip(outs, stride, spans, strict=True)]
    given = tuple(fields.get(axis) for axis in "WH")
    padded = None not in given or padding != (0, 0)
    sizes = [
        known or size - 2 * pad for known, size, pad in zip(given, least, padding, strict=True)
    ]
    groups = fields.get("G", 1)
    shape = ConvShape(
        n=fields.get("N", BATCH) if batch is None else batch,
        c=fields["C"] * groups,
        h=sizes[0],
        w=sizes[1],
        k=fields.get("K", fields.get("M", 1)) * groups,
        r=taps[0],
        s=taps[1],
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
    )
    if (shape.p, shape.q) != outs:
        raise InputError(f"P and Q must be those of its map, {shape.p} and {shape.q}, not {outs}")
    slack = (0, 0) if padded else (stride[0] - 1, stride[1] - 1)
    return dataclasses.replace(listed, shape=shape, padded=padded, slack=slack)


def _density(densities: Any, where: str) -> float | None:
    """Return the share of nonzero weights, if a problem of Sparseloop says it."""
    if not isinstance(densities, dict):
        return None
    found = next((densities[name] for name in _WEIGHTS if name in densities), None)
    value = found.get("density") if isinstance(found, dict) else found
    if value is None:
        return None
    if type(value) not in (int, float) or not 0 < value <= 1:
        raise InputError(f"{where}: density of weights must be over 0 and at most 1, not {value!r}")
    return float(value)
