"""Networks from topology files of SCALE-Sim: CSV, a layer in each line.

Read as that simulator does, by the places of the columns: a name, height and width of the map, of
the kernel, channels, filters, and one stride or two; or a name, M, N and K of a product of an M x K
by a K x N matrix. A column named sparsity has N:M, of which N of M weights are nonzero, and one
named batch size the samples of the layer. `DP` in a name marks a depthwise convolution, as there.
"""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gscn.conv import ConvShape
from gscn.errors import InputError, raise_problems
from gscn.golden.networks import BATCH
from gscn.perf.workload.layers import Network
from gscn.perf.workload.listed import Listed, network_of_list
from gscn.perf.workload.network_file import MOST_FILE_SIZE, MOST_LAYERS
from gscn.system.reading import read_text, shown

_MOST_BYTES = 1 << 20
_CONV = ("ifmap", "ifmap", "filter", "filter", "channel", "filter", "stride")
"""Words that the names of the columns have, behind that of the layer's name."""
_GEMM = ("m", "n", "k")
_FIELDS = ("h", "w", "r", "s", "c", "k", "stride")


@dataclass(frozen=True, slots=True)
class _Columns:
    """What the columns hold behind the layer's name, by their places."""

    gemm: bool
    names: tuple[str, ...]
    """As the file calls them, for messages."""
    second_stride: int | None
    sparsity: int | None
    batch: int | None
    unread: tuple[str, ...]


def read_topology(path: Path, *, batch: int | None) -> Network:
    """Read a network from a topology file.

    Blank lines, and what follows a `#`, are left out. How maps are padded is found as
    `perf.workload.listed` says.

    Parameters
    ----------
    path
        The file.
    batch
        Images per batch: samples of each layer, where the file has no batch size; of a product of
        matrices, M vectors of each sample. None: `golden.networks.BATCH` there.

    Raises
    ------
    InputError
        The file cannot be read, or naming the line and the column that is wrong.
    """
    text = read_text(path, "topology file", most_bytes=_MOST_BYTES).removeprefix("\ufeff")
    rows = _rows(text, f"topology file {path}")
    line, header = next(rows, (1, []))
    columns = _columns(header, f"topology file {path}, line {line}")
    if batch is not None and columns.batch is not None:
        raise InputError(f"topology file {path} must be read without a batch: it has its own sizes")
    listed = [
        _layer(
            cells,
            columns,
            BATCH if batch is None else batch,
            line,
            f"topology file {path}, line {line}",
        )
        for line, cells in rows
    ]
    if not 1 <= len(listed) <= MOST_LAYERS:
        raise InputError(
            f"topology file {path} must have 1 to {MOST_LAYERS} layers, not {len(listed)}"
        )
    notes = [f"Column {name} is not read." for name in columns.unread]
    if columns.gemm:
        notes.append("Every product of matrices is taken for one with weights.")
    return network_of_list(path.stem, listed, notes=notes)


def _rows(text: str, where: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of the lines that have any, with the lines' numbers."""
    lines = [line.partition("#")[0] for line in text.splitlines()]
    first = next((line for line in lines if line.strip()), "")
    delimiter = next((one for one in ",;\t" if one in first), ",")
    for number, line in enumerate(lines, 1):
        try:
            cells = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
        except csv.Error as error:
            raise InputError(f"{where}, line {number}: must be CSV: {error}") from error
        cells = [cell.strip() for cell in cells]
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            yield number, cells


def _columns(header: list[str], where: str) -> _Columns:
    """Return what the columns of a file are."""
    names = [" ".join(name.lower().split()) for name in header]
    gemm = tuple(names[1:4]) == _GEMM
    words = _GEMM if gemm else _CONV
    if not gemm and (
        len(names) <= len(_CONV)
        or any(word not in name for word, name in zip(_CONV, names[1:], strict=False))
    ):
        raise InputError(
            f"{where}: columns must be a layer's name, height and width of IFMAP, height and width "
            "of filter, channels, filters, strides; or a name, M, N, K; not "
            f"{shown(', '.join(header))}"
        )
    places = dict.fromkeys(("second_stride", "sparsity", "batch"), None)
    unread = []
    for place, name in enumerate(names[len(words) + 1 :], len(words)):
        kind = next(
            (
                kind
                for kind, word in (
                    ("second_stride", "stride"), ("sparsity", "sparsity"), ("batch", "batch"),
                )
                if word in name
            ),
            None,
        )  # fmt: skip
        if kind is not None and places[kind] is None:
            places[kind] = place
        elif name:
            unread.append(shown(header[place + 1]))
    return _Columns(gemm=gemm, names=tuple(header[1:]), unread=tuple(unread), **places)


def _layer(cells: list[str], columns: _Columns, batch: int, line: int, where: str) -> Listed:
    name, values = cells[0], cells[1:]
    least = len(_GEMM if columns.gemm else _CONV)
    if not name or len(values) < least:
        raise InputError(
            f"{where}: must have a name and {least} numbers, not {shown(', '.join(cells))}"
        )
    wanted = [*range(least), *(p for p in (columns.second_stride, columns.batch) if p is not None)]
    numbers, problems = {}, []
    for place in (place for place in wanted if place < len(values)):
        text, column = values[place], columns.names[place]
        if not (text.isascii() and text.isdigit() and len(text) <= 10):
            problems.append(f"{column} must be a whole number, not {shown(text)}")
        elif not 1 <= int(text) <= MOST_FILE_SIZE:
            problems.append(f"{column} must be from 1 to {MOST_FILE_SIZE}, not {text}")
        else:
            numbers[place] = int(text)
    density = None
    if columns.sparsity is not None and columns.sparsity < len(values):
        density, problem = _density(values[columns.sparsity])
        problems += [f"{columns.names[columns.sparsity]} {problem}"] if problem else []
    raise_problems(where, problems)
    batch = numbers.get(columns.batch, batch)
    listed = Listed(
        name=name,
        shape=ConvShape(n=1, c=1, h=1, w=1, k=1, r=1, s=1),
        where=f"line {line}",
        linear=columns.gemm,
        weight_density=density,
    )
    if columns.gemm:
        vectors, k, c = (numbers[place] for place in range(3))
        shape = ConvShape(n=batch, c=c, h=vectors, w=1, k=k, r=1, s=1)
        return dataclasses.replace(listed, shape=shape)
    sizes = {field: numbers[place] for place, field in enumerate(_FIELDS)}
    stride = sizes.pop("stride")
    if "DP" in name:
        sizes |= {"groups": sizes["c"], "k": sizes["k"] * sizes["c"]}
    try:
        shape = ConvShape(
            n=batch, stride=(stride, numbers.get(columns.second_stride, stride)), **sizes
        )
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    return dataclasses.replace(listed, shape=shape)


def _density(text: str) -> tuple[float | None, str]:
    """Return the share of nonzero weights that N:M says, or what is wrong with it."""
    if not text:
        return None, ""
    parts = text.split(":")
    if len(parts) == 2 and all(one.isascii() and one.isdigit() and len(one) < 10 for one in parts):
        kept, of = map(int, parts)
        if 1 <= kept <= of:
            return kept / of, ""
    return None, f"must be N:M with N of 1 to M, not {shown(text)}"
