"""A model of torch as a graph of what it computes, by torch.fx.

Modules of torch.nn are nodes; all other modules are followed into their functions. Shapes are
those of an example, which a copy of the model without values computes.
"""

from __future__ import annotations

import copy
import operator
from collections import Counter
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from gscn.errors import InputError
from gscn.graph import Graph, Kind, Node

_RELU = (functional.relu, torch.relu, torch.relu_, "relu", "relu_")
_ADD = (operator.add, operator.iadd, torch.add, "add", "add_")
_SHAPED = (torch.flatten, "flatten", "view", "reshape", torch.reshape, "contiguous")
_POOLS = {
    functional.max_pool2d: Kind.MAXIMUM, torch.max_pool2d: Kind.MAXIMUM,
    functional.avg_pool2d: Kind.AVERAGE, functional.adaptive_avg_pool2d: Kind.AVERAGE,
    functional.adaptive_max_pool2d: Kind.MAXIMUM,
}  # fmt: skip
_POOL_MODULES = {
    nn.MaxPool2d: Kind.MAXIMUM, nn.AvgPool2d: Kind.AVERAGE,
    nn.AdaptiveAvgPool2d: Kind.AVERAGE, nn.AdaptiveMaxPool2d: Kind.MAXIMUM,
}  # fmt: skip
_LATER = {
    Kind.MAXIMUM: ("dilation", "ceil_mode", "return_indices"),
    Kind.AVERAGE: ("ceil_mode", "count_include_pad", "divisor_override"),
}
"""What functions take behind the padding."""
_NO_PASS = "no pass of the array or the encode unit computes it"
_AXES = {(2, 3), (-2, -1), (3, 2), (-1, -2)}

Found = tuple[Kind, dict[str, Any], str]
"""Kind of a node, its fields, and why it has no place."""


def traced(model: nn.Module, example: Tensor) -> Graph:
    """Return what a model computes of images.

    Parameters
    ----------
    model
        In the mode in which it is to be trained; it is not run, nor changed.
    example
        Images (N, C, H, W); their shape alone counts.

    Raises
    ------
    InputError
        Its control flow depends on values, it does not take the example, or its result is not one
        tensor.
    """
    name = type(model).__name__
    # Without values: running statistics would move, and large models would take their time.
    bare = copy.deepcopy(model).to("meta")
    try:
        graph = fx.Tracer().trace(bare)
    except (fx.proxy.TraceError, TypeError, RuntimeError, AttributeError) as error:
        raise InputError(
            f"model {name} must compute the same operations whatever the values of its images are, "
            f"so that it can be traced: {error}"
        ) from error
    shapes = _Shapes(fx.GraphModule(bare, graph))
    try:
        shapes.run(example.to("meta"))
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        first = str(error).splitlines()[0]
        raise InputError(
            f"model {name} must take images of shape {tuple(example.shape)}: {first}"
        ) from error
    return _graph_of(name, bare, graph, shapes.found)


class _Shapes(fx.Interpreter):
    """Shapes of all tensors that a graph computes."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.found: dict[fx.Node, tuple[int, ...]] = {}

    def run_node(self, n: fx.Node) -> Any:
        """Compute a node, and keep its shape."""
        result = super().run_node(n)
        if isinstance(result, Tensor):
            self.found[n] = tuple(result.shape)
        return result


def _graph_of(
    name: str, model: nn.Module, graph: fx.Graph, shapes: dict[fx.Node, tuple[int, ...]]
) -> Graph:
    names: dict[fx.Node, str] = {}
    calls: Counter[str] = Counter()
    nodes = []
    for one in graph.nodes:
        if one.op == "output":
            if one.args[0] not in names:
                raise InputError(f"model {name} must return one tensor, not {one.args[0]}")
            return Graph(tuple(nodes), names[one.args[0]])
        if one not in shapes:
            continue
        module = model.get_submodule(one.target) if one.op == "call_module" else None
        kind, fields, why = _found(one, module, shapes)
        plain = _name_of(one, kind)
        calls[plain] += 1
        names[one] = plain if calls[plain] == 1 else f"{plain}#{calls[plain]}"
        if module is not None and calls[plain] > 1:
            fields = {**fields, "called": calls[plain]}
        sources = tuple(names[source] for source in one.all_input_nodes if source in names)
        if kind is Kind.ADD:
            # A tensor that is added to itself is two.
            sources = tuple(names[source] for source in one.args[:2])
        nodes.append(
            Node(names[one], kind, _called(one, module), sources, shapes[one], fields, why)
        )
    raise AssertionError("torch.fx ends every graph with its output")


def _name_of(node: fx.Node, kind: Kind) -> str:
    if node.op == "call_module":
        return str(node.target)
    if kind is Kind.IMAGES:
        return "images"
    inside = list(node.meta.get("nn_module_stack", {}).values())
    scope = inside[-1][0] if inside else ""
    if kind is Kind.PADDED and scope:
        return scope
    own = node.target if isinstance(node.target, str) else node.target.__name__
    return f"{scope}.{own}" if scope else own


def _called(node: fx.Node, module: nn.Module | None) -> str:
    """Return what a node is, by its name in torch."""
    if module is not None:
        kind = type(module)
        return f"torch.nn.{kind.__name__}" if kind.__module__.startswith("torch.nn") else str(kind)
    if node.op == "call_method":
        return f"torch.Tensor.{node.target}"
    if isinstance(node.target, str):
        return node.op
    space = "torch.nn.functional" if hasattr(functional, node.target.__name__) else None
    space = space or (node.target.__module__ or "torch").lstrip("_")
    return f"{space}.{node.target.__name__}"


def _found(
    node: fx.Node, module: nn.Module | None, shapes: dict[fx.Node, tuple[int, ...]]
) -> Found:
    """Return what a node computes."""
    shape, before = shapes[node], [shapes[one] for one in node.all_input_nodes if one in shapes]
    if node.op == "placeholder":
        return Kind.IMAGES, {}, ""
    if node.op == "get_attr":
        return Kind.OTHER, {}, "parameters outside modules are trained by no pass"
    if module is not None:
        return _of_module(module, before[0], shape)
    return _of_function(node, before, shape)


def _of_module(module: nn.Module, before: tuple[int, ...], shape: tuple[int, ...]) -> Found:
    kind = type(module)
    if kind is nn.Conv2d:
        names = ("kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")
        fields = {name: getattr(module, name) for name in names}
        return Kind.CONV, {**fields, "bias": module.bias is not None}, ""
    if kind is nn.BatchNorm2d:
        fields = {"eps": module.eps, "affine": module.affine, "training": module.training}
        return Kind.NORM, fields, ""
    if kind is nn.Linear:
        return Kind.LINEAR, {"bias": module.bias is not None}, ""
    if kind in _POOL_MODULES:
        return _pool(_POOL_MODULES[kind], vars(module), before, shape)
    if kind is nn.ReLU:
        return Kind.RELU, {}, ""
    if kind in (nn.Identity, nn.Flatten):
        return Kind.SAME, {}, ""
    if isinstance(module, nn.modules.dropout._DropoutNd):
        if module.p == 0:
            return Kind.SAME, {}, ""
        return Kind.OTHER, {}, f"nothing draws at random in a step; p must be 0, not {module.p}"
    return Kind.OTHER, {}, _NO_PASS


def _of_function(node: fx.Node, before: list[tuple[int, ...]], shape: tuple[int, ...]) -> Found:
    target, args, kwargs = node.target, node.args, node.kwargs
    if target in _RELU:
        return Kind.RELU, {}, ""
    if target in _ADD:
        alike = len(before) and all(one == shape for one in before)
        if alike and not kwargs and all(isinstance(one, fx.Node) for one in args):
            in_place = target in (operator.iadd, "add_")
            return Kind.ADD, {"in_place": in_place}, ""
        return Kind.OTHER, {}, "both that are added must be maps of the same shape"
    if target in _SHAPED:
        return Kind.SAME, {}, ""
    if target in _POOLS:
        names = ("input", "kernel_size", "stride", "padding", *_LATER[_POOLS[target]])
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        if "adaptive" in target.__name__:
            given = {}
        return _pool(_POOLS[target], given, before[0], shape)
    if target in ("mean", torch.mean):
        axes = kwargs.get("dim", args[1] if len(args) > 1 else None)
        if len(before[0]) == 4 and isinstance(axes, tuple | list) and tuple(axes) in _AXES:
            return _pool(Kind.AVERAGE, {}, before[0], (*before[0][:2], 1, 1))
    if target is operator.getitem:
        return _strided(args[1])
    if target is functional.pad:
        return _padded(args, kwargs)
    return Kind.OTHER, {}, _NO_PASS


def _pool(
    kind: Kind, given: dict[str, Any], before: tuple[int, ...], shape: tuple[int, ...]
) -> Found:
    """Return a pooling; without a kernel's size, one that fills maps of the shape that it makes."""
    if "kernel_size" not in given:
        (h, w), (rows, cols) = before[2:], shape[2:]
        if h % rows or w % cols:
            return Kind.OTHER, {}, f"windows of the same size must fill the map of {h} x {w}"
        return kind, {"kernel_size": (h // rows, w // cols)}, ""
    size = _pair(given["kernel_size"])
    stride = _pair(given.get("stride") or size)
    others = {"dilation": (1, 1), "divisor_override": None, "return_indices": False}
    changed = [
        name
        for name, plain in others.items()
        if (_pair(given[name]) if name == "dilation" and name in given else given.get(name, plain))
        != plain
    ]
    if changed:
        return Kind.OTHER, {}, f"{changed[0]} must be as it is by default"
    fields = {"kernel_size": size, "stride": stride, "padding": _pair(given.get("padding", 0))}
    others = {"ceil_mode": False, "count_include_pad": True}
    # What is as it is by default is left out.
    fields |= {
        name: given[name] for name, plain in others.items() if given.get(name, plain) != plain
    }
    return kind, fields, ""


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


def _strided(index: Any) -> Found:
    """Return a map without the rows and columns between every so many."""
    if isinstance(index, tuple) and len(index) == 4:
        whole, step = slice(None), index[2].step if isinstance(index[2], slice) else None
        if step and index == (whole, whole, slice(None, None, step), slice(None, None, step)):
            return Kind.STRIDED, {"stride": step}, ""
    return Kind.OTHER, {}, "an index must be [:, :, ::stride, ::stride]"


def _padded(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Found:
    """Return a map with further channels."""
    sizes = kwargs.get("pad", args[1] if len(args) > 1 else ())
    plain = kwargs.get("mode", "constant") == "constant" and not kwargs.get("value")
    if plain and len(args) <= 2 and len(sizes) == 6 and not any(sizes[:4]) and min(sizes) >= 0:
        return Kind.PADDED, {"before": sizes[4], "after": sizes[5]}, ""
    return Kind.OTHER, {}, "padding must add channels that are zero, and nothing else"
