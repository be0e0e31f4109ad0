"""Networks from ONNX files, their sizes found by the library's shape inference."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from gscn.errors import InputError, raise_problems
from gscn.golden.networks import BATCH
from gscn.perf.workload.layers import Network
from gscn.perf.workload.onnx_graph import GraphWalk, Shape
from gscn.system.reading import read_bytes

_MOST_BYTES = (1 << 31) - 1
"""What the format can have in one file."""
_MOST_INLINE = 1 << 16
"""Bytes of a constant whose values shape inference is given: more are weights, not sizes."""
_MOST_SIZE = 1 << 24
_OWN_DOMAINS = ("", "ai.onnx")


def read_onnx(path: Path, *, batch: int | None = None, image_size: int | None = None) -> Network:
    """Read a network from an ONNX file; weights, in it or beside it, are not looked at.

    Parameters
    ----------
    path
        The file.
    batch
        Samples of its inputs; by default those that the file has, or `golden.networks.BATCH` where
        it leaves them open. Another batch than the file's is taken if all layers have samples in
        proportion, and else the same sizes.
    image_size
        Height and width of inputs where the file leaves them open, pixels.

    Raises
    ------
    InputError
        The library is missing; the file cannot be read; or naming the input or the node that has
        an open size, an unknown operator, or shapes that do not fit.
    """
    onnx, where = _library(), f"ONNX file {path}"
    content = read_bytes(path, "ONNX file", most_bytes=_MOST_BYTES)
    model = _parsed(onnx, content, where)
    wanted = _sizes(model.graph, where, batch, image_size)
    found = _network(onnx, model, wanted, path.stem, where)
    own = _sizes(model.graph, where, None, image_size)
    if own != wanted and all(type(size) is int for size in _firsts(model.graph)):
        _require_proportion(found, _network(onnx, model, own, path.stem, where), where)
    return found


def _library() -> ModuleType:
    try:
        import onnx
        import onnx.inliner
        import onnx.shape_inference
    except ImportError as error:
        raise InputError(
            f"ONNX files need the package onnx: pip install 'gscn[onnx]' ({error})"
        ) from error
    return onnx


def _parsed(onnx: ModuleType, content: bytes, where: str) -> Any:
    """Return the model that a file holds, functions inlined, and without large constants."""
    try:
        model = onnx.load_model_from_string(content)
        if not model.graph.node:
            raise InputError(f"{where} must have nodes; is it cut, or none?")
        if model.functions:
            model = onnx.inliner.inline_local_functions(model)
    except InputError:
        raise
    # Damaged files raise errors of protobuf, of the library and of its native code.
    except Exception as error:
        raise InputError(f"{where} must be one that the library can parse: {_line(error)}") from (
            error
        )
    raise_problems(where, list(_unknown_operators(onnx, model)))
    return model


def _line(error: Exception) -> str:
    """Return what an error says on one line, without the places in native sources."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines)[:300] or type(error).__name__


def _unknown_operators(onnx: ModuleType, model: Any) -> Iterator[str]:
    """Yield which nodes have operators that ONNX does not define."""
    for index, node in enumerate(model.graph.node):
        if node.domain not in _OWN_DOMAINS or not onnx.defs.has(node.op_type):
            operator = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
            yield f"{_label(node, index)}: operator must be one of ONNX, not {operator!r:.100}"
            return


def _label(node: Any, index: int) -> str:
    name = f"{node.name!r:.100} " if node.name else ""
    return f"node {index} {name}({node.op_type:.50})"


def _inputs(graph: Any) -> list[Any]:
    """Return what is computed of: inputs that are no initializers."""
    held = {one.name for one in graph.initializer}
    return [one for one in graph.input if one.name not in held]


def _dims(value: Any) -> Shape | None:
    """Return the shape that a value is declared with."""
    kind = value.type.tensor_type
    if not value.type.HasField("tensor_type") or not kind.HasField("shape"):
        return None
    return tuple(
        one.dim_value if one.HasField("dim_value") else one.dim_param or None
        for one in kind.shape.dim
    )


def _firsts(graph: Any) -> list[int | str | None]:
    return [dims[0] for one in _inputs(graph) if (dims := _dims(one))]


def _sizes(
    graph: Any, where: str, batch: int | None, image_size: int | None
) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all inputs, none of them open."""
    found, named = {}, {}
    first = next(iter(_firsts(graph)), None)
    for one in _inputs(graph):
        dims = _dims(one)
        if dims is None:
            raise InputError(f"{where}: input {one.name!r:.100} must be a tensor of known rank")
        sizes = []
        for axis, size in enumerate(dims):
            known = named.get(size) if isinstance(size, str) else None
            if axis == 0 and (size == first or type(size) is not int):
                known = size if type(size) is int else BATCH
                known = known if batch is None else batch
            elif axis >= 2 and type(size) is not int:
                known = known or image_size
            elif type(size) is int:
                known = size
            if known is None or not 1 <= known <= _MOST_SIZE:
                raise InputError(
                    f"{where}: input {one.name!r:.100} must have a known size along axis {axis}, "
                    f"not {'none' if size is None else repr(size)}"
                    + ("; an image size gives one" if axis >= 2 else "")
                )
            if isinstance(size, str):
                named[size] = known
            sizes.append(known)
        found[one.name] = tuple(sizes)
    return found


def _network(
    onnx: ModuleType, model: Any, sizes: Mapping[str, tuple[int, ...]], name: str, where: str
) -> Network:
    """Return the layers of a graph whose inputs have given sizes."""
    inferred = _inferred(onnx, model, sizes, where)
    graph = inferred.graph
    held = {one.name: tuple(one.dims) for one in model.graph.initializer}
    held |= {one.values.name: tuple(one.dims) for one in model.graph.sparse_initializer}
    shapes: dict[str, Shape] = {
        one.name: dims
        for one in (*graph.value_info, *graph.output, *graph.input)
        if (dims := _dims(one)) is not None
    }
    walk = GraphWalk(
        shapes=shapes | held,
        constants={one: one for one in held},
        attributes=lambda node: _attributes(onnx, node),
    )
    for index, node in enumerate(model.graph.node):
        walk.add(node, f"{where}, {_label(node, index)}")
    layers, omitted = walk.result()
    if not layers:
        what = "; ".join(str(one) for one in omitted) or "nothing"
        raise InputError(f"{where} must compute at least one layer, not {what}")
    notes = ()
    if not walk.normalises:
        said = "The file has no normalisation, which exporters fold into the weights: convolutions"
        notes = (f"{said} are taken to have one.",)
    return Network(name=name, layers=layers, omitted=omitted, notes=notes)


def _inferred(onnx: ModuleType, model: Any, sizes: Mapping[str, Any], where: str) -> Any:
    """Return a copy of a model with inferred shapes, without its large constants."""
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    graph = bare.graph
    # By which the library names them in its errors.
    for index, node in enumerate(graph.node):
        node.name = node.name or f"node {index}"
    # What was inferred for other sizes is in the way.
    del graph.value_info[:]
    for one in graph.output:
        one.type.tensor_type.ClearField("shape")
    for one in _inputs(graph):
        shape = one.type.tensor_type.shape
        del shape.dim[:]
        for size in sizes[one.name]:
            shape.dim.add().dim_value = size
    declared = {one.name for one in graph.input}
    for one in [
        one for one in graph.initializer if one.ByteSize() > _MOST_INLINE or one.external_data
    ]:
        if one.name not in declared:
            graph.input.append(
                onnx.helper.make_tensor_value_info(one.name, one.data_type, list(one.dims))
            )
        graph.initializer.remove(one)
    try:
        return onnx.shape_inference.infer_shapes(
            bare, check_type=True, strict_mode=True, data_prop=True
        )
    # Errors of the library's native code, of several classes.
    except Exception as error:
        raise InputError(f"{where} must have shapes that fit each other: {_line(error)}") from error


def _attributes(onnx: ModuleType, node: Any) -> dict[str, Any]:
    """Return the attributes of a node by name; texts are decoded."""
    found = {}
    for one in node.attribute:
        value = onnx.helper.get_attribute_value(one)
        found[one.name] = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return found


def _require_proportion(found: Network, own: Network, where: str) -> None:
    """Refuse a batch in whose place the file's own gives layers of other sizes."""
    ratio = (found.layers[0].shape.n, own.layers[0].shape.n)
    for one, other in zip(found.layers, own.layers, strict=True):
        scaled = dataclasses.replace(one.shape, n=other.shape.n)
        if scaled != other.shape or one.shape.n * ratio[1] != other.shape.n * ratio[0]:
            raise InputError(
                f"{where} must be read with its own batch of {ratio[1]}, or be exported with an "
                f"open one: layer {one.name} is not the same for {ratio[0]} of each sample"
            )
