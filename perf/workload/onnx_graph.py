"""The layers of a graph of ONNX: its nodes with weights, and every product of its other nodes.

Nothing here needs the library: nodes and shapes are handed in as they are read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from gscn.conv import ConvShape
from gscn.errors import InputError
from gscn.golden.omitted import Omitted
from gscn.perf.workload.layers import Layer

Shape = tuple[int | str | None, ...]
"""Sizes along the axes: a number, the name of an open one, or None."""


class Node(Protocol):
    """A node of a graph, as the library reads it."""

    op_type: str
    name: str
    input: Sequence[str]
    output: Sequence[str]


_CONVOLUTIONS = {"Conv": (0, 1), "ConvInteger": (0, 1), "QLinearConv": (0, 3)}
_PRODUCTS = {"MatMul": (0, 1), "MatMulInteger": (0, 1), "QLinearMatMul": (0, 3)}
"""Operators, and which of their inputs are the maps, and which the weights."""
_NORMALISATIONS = frozenset(
    {
        "BatchNormalization", "InstanceNormalization", "LayerNormalization", "GroupNormalization",
        "RMSNormalization",
    }
)  # fmt: skip
_UNCOUNTED = frozenset(
    {"Einsum", "LSTM", "GRU", "RNN", "Attention", "DeformConv", "If", "Loop", "Scan"}
)
"""Operators of which the products have no formula here, or are in graphs of their own."""
_VIEWS = frozenset(
    {"Identity", "Transpose", "Cast", "Reshape", "Unsqueeze", "Squeeze", "Flatten"}
    | {"QuantizeLinear", "DequantizeLinear"}
)
"""Operators whose result are the values of their first input."""


@dataclass(frozen=True, slots=True)
class _Tag:
    """What a tensor is, up to functions of this one tensor that keep its size, or pooling."""

    normalised: bool = False
    layer: int | None = None
    """Of which layer it is the result."""
    learned: bool = False
    """Whether it depends on weights."""


@dataclass(slots=True, eq=False)
class GraphWalk:
    """Finds the layers of a graph, node by node in order."""

    shapes: Mapping[str, Shape]
    constants: dict[str, str]
    """Tensors that no input of the graph changes, and the initializers that they are, by name."""
    attributes: Callable[[Any], Mapping[str, Any]]
    """Returns the attributes of a node by name."""
    layers: list[Layer] = field(default_factory=list)
    omitted: list[tuple[str, str, int | None]] = field(default_factory=list)
    normalises: bool = False
    """Whether the graph has a normalisation: exporters may have folded all into the weights."""
    tags: dict[str, _Tag] = field(default_factory=dict)
    weights: dict[str, str] = field(default_factory=dict)
    """Names of the layers whose weights initializers are."""
    calls: dict[str, int] = field(default_factory=dict)

    def add(self, node: Node, label: str) -> None:
        """Take the next node in; `label` names it in messages.

        Raises
        ------
        InputError
            A product has sizes that are not known, or that do not fit each other.
        """
        try:
            tag = self._tag(node, label)
        except (LookupError, ValueError, TypeError, ArithmeticError) as error:
            if isinstance(error, InputError):
                raise InputError(f"{label}: {error}") from error
            raise InputError(f"{label} must have the inputs and attributes of one") from error
        given = [one for one in node.input if one]
        fixed = all(one in self.constants for one in given)
        for name in node.output:
            self.tags[name] = tag
            if fixed:
                of_first = given and node.op_type in _VIEWS
                self.constants[name] = self.constants[given[0]] if of_first else name

    def result(self) -> tuple[tuple[Layer, ...], tuple[Omitted, ...]]:
        """Return the layers, and what is in none of them."""
        layers = tuple(
            replace(
                layer,
                first=not index or layer.shares == self.layers[0].name,
                normalised=layer.normalised if self.normalises else None,
            )
            for index, layer in enumerate(self.layers)
        )
        total = sum(layer.shape.dense_macs for layer in layers)
        total += sum(macs or 0 for _, _, macs in self.omitted)
        return layers, tuple(
            Omitted(
                name=name,
                kind=kind,
                macs=macs,
                share=None if macs is None else macs / total if total else 0.0,
            )
            for name, kind, macs in self.omitted
        )

    def _tag(self, node: Node, label: str) -> _Tag:
        """Return what a node's results are, and note its products."""
        sources = [one for one in node.input if one and one not in self.constants]
        tags = [self.tags.get(one, _Tag()) for one in sources]
        learned = any(tag.learned for tag in tags)
        if node.op_type in _NORMALISATIONS:
            self.normalises = True
            if tags and tags[0].layer is not None:
                index = tags[0].layer
                self.layers[index] = replace(self.layers[index], normalised=True)
            return _Tag(normalised=True, learned=True)
        if node.op_type in (*_CONVOLUTIONS, *_PRODUCTS, "Gemm", "ConvTranspose"):
            return self._product(node, learned, any(tag.normalised for tag in tags))
        if node.op_type in _UNCOUNTED and sources:
            if any(self._has_products(node)):
                self.omitted.append((label, f"products of {node.op_type}", None))
            return _Tag(learned=True)
        if len(sources) == 1 and self._keeps(node):
            return tags[0]
        return _Tag(learned=learned)

    def _keeps(self, node: Node) -> bool:
        """Return whether a node of one tensor keeps its size, or pools it."""
        sizes = [self.shapes.get(one) for one in (node.input[0], node.output[0])]
        if "Pool" in node.op_type or node.op_type == "ReduceMean":
            return True
        if None in sizes or any(type(size) is not int for shape in sizes for size in shape):
            return False
        return math.prod(sizes[0]) == math.prod(sizes[1])

    def _has_products(self, node: Any) -> Iterator[bool]:
        """Yield, for the graphs within a node, whether they have products; True if it has none."""
        graphs = [one for one in self.attributes(node).values() if hasattr(one, "node")]
        if not graphs:
            yield True
        for graph in graphs:
            for one in graph.node:
                products = (*_CONVOLUTIONS, *_PRODUCTS, "Gemm", "ConvTranspose")
                yield one.op_type in products or (
                    one.op_type in _UNCOUNTED and any(self._has_products(one))
                )

    def _product(self, node: Node, learned: bool, normalised: bool) -> _Tag:
        """Note the product that a node is, of its maps and weights or of two computed tensors."""
        places = {**_CONVOLUTIONS, **_PRODUCTS}.get(node.op_type, (0, 1))
        first, second = (node.input[place] for place in places)
        maps, weights = self._known(first), self._known(second)
        fields = self.attributes(node)
        if node.op_type == "ConvTranspose":
            found = _transposed(maps, weights, fields, self._known(node.output[0]))
        elif node.op_type in _CONVOLUTIONS:
            found = _convolution(maps, weights, fields)
        elif node.op_type == "Gemm":
            found = _gemm(maps, weights, fields)
        else:
            found = _matmul(maps, weights)
        shape, macs = found
        root = self.constants.get(second)
        if root is not None and first in self.constants:
            return _Tag()
        if shape is None or root is None:
            kind = node.op_type if root else f"{node.op_type} by what is computed"
            self.omitted.append((self._name(node, None), kind, macs))
            return _Tag(learned=learned or root is not None)
        name = self._name(node, root)
        shares = self.weights.setdefault(root, name)
        self.layers.append(
            Layer(
                name=name,
                shape=shape,
                linear=node.op_type == "Gemm" or node.op_type in _PRODUCTS,
                transposed=node.op_type == "ConvTranspose",
                input_grad=learned,
                normalised=normalised,
                shares=shares if shares != name else None,
            )
        )
        return _Tag(layer=len(self.layers) - 1, learned=True)

    def _known(self, tensor: str) -> tuple[int, ...]:
        """Return the shape of a tensor."""
        shape = self.shapes.get(tensor)
        if shape is None or any(type(size) is not int or size < 1 for size in shape):
            told = "none" if shape is None else tuple("?" if one is None else one for one in shape)
            raise InputError(f"{tensor!r:.100} must have known sizes, not {told}")
        return shape

    def _name(self, node: Node, root: str | None) -> str:
        """Return the name of a layer: that of its weights' module, or of the node."""
        weights = (root or "").removesuffix(".weight")
        plain = weights if weights not in ("", root) else node.name or node.op_type
        self.calls[plain] = self.calls.get(plain, 0) + 1
        return plain if self.calls[plain] == 1 else f"{plain}#{self.calls[plain]}"


_Found = tuple[ConvShape | None, int]
"""What a product is, if it can be a layer's, and its multiply-accumulates."""


def _convolution(
    maps: tuple[int, ...], weights: tuple[int, ...], fields: Mapping[str, Any]
) -> _Found:
    """Return a convolution; one of one dimension has maps and kernels of one column."""
    axes = len(weights) - 2
    stride, dilation, before, after = _windows(maps[2:], weights[2:], fields)
    groups = fields.get("group", 1)
    if len(maps) != axes + 2 or maps[1] != weights[1] * groups or axes < 1:
        raise InputError(f"weights of {weights} must fit maps of {maps} in {groups} groups")
    sizes = list(maps[2:])
    if before != after:
        # Padded unevenly: the padding is a part of the maps.
        sizes = [size + sum(ends) for size, *ends in zip(sizes, before, after, strict=True)]
        before = (0,) * axes
    if axes > 2:
        spans = [d * (taps - 1) + 1 for d, taps in zip(dilation, weights[2:], strict=True)]
        outs = [
            (size + 2 * pad - span) // step + 1
            for size, pad, span, step in zip(sizes, before, spans, stride, strict=True)
        ]
        return None, maps[0] * math.prod(outs) * math.prod(weights)
    one = axes == 1
    shape = ConvShape(
        n=maps[0],
        c=maps[1],
        h=sizes[0],
        w=1 if one else sizes[1],
        k=weights[0],
        r=weights[2],
        s=1 if one else weights[3],
        stride=(*stride, 1)[:2],
        padding=(*before, 0)[:2],
        dilation=(*dilation, 1)[:2],
        groups=groups,
    )
    return shape, shape.dense_macs


def _transposed(
    maps: tuple[int, ...],
    weights: tuple[int, ...],
    fields: Mapping[str, Any],
    result: tuple[int, ...],
) -> _Found:
    """Return a transposed convolution, whose padding is such that it has the inferred result."""
    axes = len(weights) - 2
    macs = math.prod(maps) * math.prod(weights[1:])
    if axes not in (1, 2) or len(maps) != axes + 2:
        return None, macs
    stride, dilation, before, after = _windows(maps[2:], weights[2:], fields)
    more = tuple(fields.get("output_padding") or (0,) * axes)
    groups = fields.get("group", 1)
    whole = [
        (size - 1) * step + d * (taps - 1) + 1 + extra
        for size, step, d, taps, extra in zip(
            maps[2:], stride, dilation, weights[2:], more, strict=True
        )
    ]
    kept = [size - sum(ends) for size, *ends in zip(whole, before, after, strict=True)]
    if before != after or tuple(kept) != result[2:]:
        return None, macs
    one = axes == 1
    shape = ConvShape.of_transposed(
        n=maps[0],
        c=maps[1],
        h=maps[2],
        w=1 if one else maps[3],
        k=weights[1] * groups,
        r=weights[2],
        s=1 if one else weights[3],
        stride=(*stride, 1)[:2],
        padding=(*before, 0)[:2],
        dilation=(*dilation, 1)[:2],
        output_padding=(*more, 0)[:2],
        groups=groups,
    )
    return shape, macs


_Pads = tuple[int, ...]


def _windows(
    sizes: Sequence[int], kernel: Sequence[int], fields: Mapping[str, Any]
) -> tuple[tuple[int, ...], tuple[int, ...], _Pads, _Pads]:
    """Return stride, dilation, and padding before and behind each axis."""
    axes = len(kernel)
    stride = tuple(fields.get("strides") or (1,) * axes)
    dilation = tuple(fields.get("dilations") or (1,) * axes)
    pads = tuple(fields.get("pads") or (0,) * 2 * axes)
    auto = fields.get("auto_pad", "NOTSET")
    if not len(stride) == len(dilation) == axes == len(pads) / 2:
        raise InputError(f"strides, dilations and pads must be of {axes} axes")
    if auto == "VALID":
        pads = (0,) * 2 * axes
    if auto.startswith("SAME"):
        before, after = [], []
        for size, taps, step, d in zip(sizes, kernel, stride, dilation, strict=True):
            span = d * (taps - 1) + 1
            total = max(0, (-(-size // step) - 1) * step + span - size)
            # What is odd is at the end for SAME_UPPER, at the beginning for SAME_LOWER.
            less, rest = total // 2, total - total // 2
            before.append(less if auto == "SAME_UPPER" else rest)
            after.append(rest if auto == "SAME_UPPER" else less)
        return stride, dilation, tuple(before), tuple(after)
    return stride, dilation, pads[:axes], pads[axes:]


def _gemm(first: tuple[int, ...], second: tuple[int, ...], fields: Mapping[str, Any]) -> _Found:
    rows, inner = reversed(first) if fields.get("transA", 0) else first
    depth, columns = reversed(second) if fields.get("transB", 0) else second
    return _vectors((rows, inner), (depth, columns))


def _matmul(first: tuple[int, ...], second: tuple[int, ...]) -> _Found:
    if len(second) == 2:
        return _vectors(first, second)
    # Matrices by matrices, or one of a vector.
    columns = second[-1] if len(second) > 1 else 1
    rows = first[-2] if len(first) > 1 else 1
    count = max(math.prod(first[:-2]), math.prod(second[:-2]))
    return None, count * rows * first[-1] * columns


def _vectors(first: Sequence[int], second: Sequence[int]) -> _Found:
    """Return a product of vectors with weights (C, K): a row of the map for each of a sample."""
    *outer, c = first
    if c != second[0]:
        raise InputError(f"factors of {tuple(first)} and {tuple(second)} must fit each other")
    samples = outer[0] if outer else 1
    vectors = math.prod(outer[1:])
    shape = ConvShape(n=samples, c=c, h=vectors, w=1, k=second[1], r=1, s=1)
    return shape, shape.dense_macs
