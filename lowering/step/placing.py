"""Layers of a training step of a network's graph, and what of it has no place."""

from __future__ import annotations

from typing import Any, NamedTuple

from gscn.encode import MOST_MAXIMUM
from gscn.graph import Graph, Kind, Node
from gscn.lowering.axes import MOST_TAPS
from gscn.lowering.step.layers import IMAGES, Conv, Layer, Norm, Pool, Sum

EPSILON = 1e-5
"""Of normalisations, as hosts compute them."""


class Refused(NamedTuple):
    """A node without a place."""

    name: str
    what: str
    why: str

    def __str__(self) -> str:
        """Return it as a message says it."""
        return f"{self.name} ({self.what}): {self.why}"


class Placement(NamedTuple):
    """What becomes of a graph."""

    layers: tuple[Layer, ...]
    """Each behind those that it reads; those of which something is refused are not there."""
    refused: tuple[Refused, ...]


class _Value(NamedTuple):
    """What is known of a node's result."""

    kind: str
    """map, conv (not yet normalised), norm (without its ReLU), sum, strided, padded, logits; lost
    if something that it depends on is refused."""
    layer: str = ""
    added: str = ""
    folded: str = ""
    """Sums: the normalisation that is part of them."""


_NAMES = {
    "conv": "a convolution without normalisation", "norm": "a normalisation without ReLU",
    "sum": "a sum without ReLU", "strided": "a map without some rows and columns",
    "padded": "a shortcut", "logits": "the last layer's result",
}  # fmt: skip
LOST = _Value("lost")


def place(graph: Graph) -> Placement:
    """Return layers of a graph, and every node that has no place."""
    return _Placing(graph).run()


class _Placing:
    """A graph in the making of layers, node by node."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes = {one.name: one for one in graph.nodes}
        self.values: dict[str, _Value] = {}
        self.layers: dict[str, Layer] = {}
        self.refused: list[Refused] = []
        self.uses = dict.fromkeys(self.nodes, 0)
        for node in graph.nodes:
            for source in node.sources:
                self.uses[source] += 1

    def run(self) -> Placement:
        """Place every node."""
        for node in self.graph.nodes:
            value = self._value(node)
            if isinstance(value, str):
                self.refused.append(Refused(node.name, node.what, value))
                value = LOST
            self.values[node.name] = value
        last = self.values[self.graph.result]
        if last.kind not in ("logits", "lost"):
            node = self.nodes[self.graph.result]
            why = "a network's result must be that of a linear layer"
            self.refused.append(Refused(node.name, node.what, why))
        order = self._ordered(last.layer) if last.kind == "logits" else list(self.layers)
        return Placement(tuple(self.layers[name] for name in order), tuple(self.refused))

    def _value(self, node: Node) -> _Value | str:
        """Return what a node's result is, or why it has no place."""
        if node.kind is Kind.OTHER:
            return node.why
        if node.kind is Kind.IMAGES:
            return _Value("map", IMAGES)
        if "called" in node.fields and node.kind in (Kind.CONV, Kind.NORM, Kind.LINEAR):
            return "its parameters must be used by one call, not by several"
        known = [self.values[source] for source in node.sources]
        own = _wrong(node)
        if not self.uses[node.name] and node.name != self.graph.result:
            return "its result must be read by something that the network's result depends on"
        if node.fields.get("in_place") and self.uses[node.sources[0]] > 1:
            return f"{node.sources[0]}, which it changes, must be read by nothing else"
        if own:
            return own
        if LOST in known:
            return LOST
        once = [
            source
            for source, one in zip(node.sources, known, strict=True)
            if one.kind not in ("map", "conv")
        ]
        if any(self.uses[source] > 1 for source in once):
            many = next(source for source in once if self.uses[source] > 1)
            return f"{many}, which it reads, must be read by nothing else before its ReLU"
        return {
            Kind.CONV: self._conv, Kind.NORM: self._norm, Kind.RELU: self._relu,
            Kind.ADD: self._add, Kind.MAXIMUM: self._pool, Kind.AVERAGE: self._pool,
            Kind.LINEAR: self._linear, Kind.SAME: self._same, Kind.STRIDED: self._strided,
            Kind.PADDED: self._padded,
        }[node.kind](node, known)  # fmt: skip

    def _conv(self, node: Node, known: list[_Value]) -> _Value | str:
        if known[0].kind != "map":
            return f"its input must be a map, not {_NAMES[known[0].kind]}"
        fields = node.fields
        self.layers[node.name] = Conv(
            node.name, known[0].layer, node.shape[1], fields["kernel_size"][0],
            fields["stride"][0], fields["padding"][0], dilation=fields["dilation"][0],
            groups=fields["groups"],
        )  # fmt: skip
        return _Value("conv", node.name)

    def _norm(self, node: Node, known: list[_Value]) -> _Value | str:
        if known[0].kind not in ("conv", "map"):
            return f"its input must be a convolution or a map, not {_NAMES[known[0].kind]}"
        if known[0].layer == IMAGES:
            return "the images must not be normalised"
        if known[0].kind == "conv" and self.uses[node.sources[0]] > 1:
            wrong = self._plain(node, known)
            if wrong:
                return wrong
        self.layers[node.name] = Norm(node.name, known[0].layer)
        return _Value("norm", node.name)

    def _plain(self, node: Node, known: list[_Value]) -> str:
        """Note that results of convolutions that a node reads are maps; return what is wrong."""
        for source, value in zip(node.sources, known, strict=True):
            if value.kind == "conv":
                if self.nodes[source].fields["bias"]:
                    return f"{source}, which it reads, must have no bias: no normalisation takes it"
                self.layers[value.layer] = self.layers[value.layer]._replace(plain=True)
        return ""

    def _relu(self, node: Node, known: list[_Value]) -> _Value | str:
        one = known[0]
        if one.kind == "conv":
            source = node.sources[0]
            if self.uses[source] > 1 or not self.nodes[source].fields["bias"]:
                return f"{source}, which it reads, must have a bias, and be read by nothing else"
            self.layers[node.name] = Norm(node.name, one.layer, biased=True)
            return _Value("map", node.name)
        if one.kind not in ("norm", "sum"):
            return "its input must be a normalisation, or the sum of one and another branch"
        norm = self.layers[one.layer]
        if one.kind == "sum":
            self.layers[one.layer] = norm._replace(added=one.added)
        if one.folded:
            self.layers[one.folded] = self.layers[one.folded]._replace(folded=True)
        return _Value("map", one.layer)

    def _add(self, node: Node, known: list[_Value]) -> _Value | str:
        first, second = known
        if {first.kind, second.kind} <= {"conv", "map"} and IMAGES not in (
            first.layer, second.layer,
        ):  # fmt: skip
            wrong = self._plain(node, known)
            if wrong:
                return wrong
            self.layers[node.name] = Sum(node.name, first.layer, second.layer)
            return _Value("map", node.name)
        if first.kind != "norm":
            first, second = second, first
        if first.kind != "norm" or second.kind not in ("norm", "map", "padded"):
            return "it must add a normalisation of a convolution, and a map or another of those"
        if second.layer == IMAGES:
            return "the images must not be added"
        folded = second.layer if second.kind == "norm" else ""
        return _Value("sum", first.layer, second.layer, folded)

    def _pool(self, node: Node, known: list[_Value]) -> _Value | str:
        if known[0].kind != "map":
            return f"its input must be a map, not {_NAMES[known[0].kind]}"
        maximum, fields = node.kind is Kind.MAXIMUM, node.fields
        kernel = fields["kernel_size"]
        stride = fields.get("stride", kernel)
        pool = Pool(
            node.name, known[0].layer, maximum, *kernel, (0, 0) if stride == kernel else stride,
            fields.get("padding", (0, 0)), ceil=fields.get("ceil_mode", False),
        )  # fmt: skip
        size = self.nodes[node.sources[0]].shape[2:]
        if not maximum and pool.windows(size) != pool._replace(ceil=False).windows(size):
            return "ceil_mode must be False where a mean's last window reaches beyond its map"
        self.layers[node.name] = pool
        return _Value("map", node.name)

    def _linear(self, node: Node, known: list[_Value]) -> _Value | str:
        one, before = known[0], self.nodes[node.sources[0]].shape
        readers = [other.kind for other in self.graph.nodes if node.name in other.sources]
        inner = readers == [Kind.RELU]
        if one.kind != "map" or not (inner or self.graph.result in self._reached(node.name)):
            return "a linear layer must be the last, or ReLU follow it, and read a map"
        if len(before) != 2:
            return "its input must have the shape (N, C)"
        if inner:
            self.layers[node.name] = Conv(node.name, one.layer, node.shape[1])
            return _Value("conv", node.name)
        self.layers[node.name] = Conv(node.name, one.layer, node.shape[1], linear=True)
        return _Value("logits", node.name)

    def _same(self, node: Node, known: list[_Value]) -> _Value | str:
        before = self.nodes[node.sources[0]].shape
        flat = len(before) == 4 and before[2:] == (1, 1) and node.shape == before[:2]
        if node.shape != before and not flat:
            return f"it must flatten maps of 1 x 1, or nothing: {before} becomes {node.shape}"
        return known[0]

    def _strided(self, _: Node, known: list[_Value]) -> _Value | str:
        if known[0].kind != "map":
            return f"its input must be a map, not {_NAMES[known[0].kind]}"
        return _Value("strided", known[0].layer)

    def _padded(self, node: Node, known: list[_Value]) -> _Value | str:
        source = self.nodes[node.sources[0]]
        if known[0].kind not in ("strided", "map"):
            return f"its input must be a map, not {_NAMES[known[0].kind]}"
        stride = source.fields["stride"] if known[0].kind == "strided" else 1
        self.layers[node.name] = Conv(
            node.name, known[0].layer, node.shape[1], stride=stride, fixed=True
        )
        return _Value("padded", node.name)

    def _reached(self, name: str) -> set[str]:
        """Return a node, and those that only hand its result on."""
        found = {name}
        for node in self.graph.nodes:
            if node.kind is Kind.SAME and node.sources[0] in found:
                found.add(node.name)
        return found

    def _ordered(self, last: str) -> list[str]:
        """Return names of layers, each behind those that it reads, what is added first."""
        found: dict[str, None] = {}
        waiting = [last]
        while waiting:
            name = waiting[-1]
            layer = self.layers[name]
            needed = [layer.added] if isinstance(layer, Norm | Sum) and layer.added else []
            missing = [one for one in (*needed, layer.source) if one != IMAGES and one not in found]
            if missing:
                waiting.append(missing[0])
                continue
            found[waiting.pop()] = None
        return list(found)


def _wrong(node: Node) -> str:
    """Return what of a node's settings no pass has."""
    fields = node.fields
    if node.kind is Kind.CONV:
        return _wrong_conv(fields)
    if node.kind is Kind.NORM:
        if not fields["affine"]:
            return "it must have weights and biases"
        if not fields["training"]:
            return "it must be in training, where the batch's own mean and variance count"
        return "" if fields["eps"] == EPSILON else f"eps must be {EPSILON}, not {fields['eps']}"
    if node.kind is Kind.LINEAR:
        return "" if fields["bias"] else "it must have a bias, which the host adds"
    if node.kind in (Kind.MAXIMUM, Kind.AVERAGE):
        return _wrong_pool(node.kind is Kind.MAXIMUM, fields)
    return ""


def _wrong_pool(maximum: bool, fields: dict[str, Any]) -> str:
    rows, cols = fields["kernel_size"]
    if maximum and rows * cols > MOST_MAXIMUM:
        return f"windows must have at most {MOST_MAXIMUM} positions, not {rows} x {cols}"
    if any(fields.get("padding", (0, 0))) and not fields.get("count_include_pad", True):
        return "count_include_pad must be True, so that all windows count alike"
    return ""


def _wrong_conv(fields: dict[str, Any]) -> str:
    if fields["padding_mode"] != "zeros":
        return f"padding must be by zeros, not {fields['padding_mode']}"
    for name in ("kernel_size", "stride", "padding", "dilation"):
        value = fields[name]
        if isinstance(value, str) or value[0] != value[1]:
            return f"{name} must be the same for rows and columns, not {value}"
    taps, stride, dilation = (fields[name][0] for name in ("kernel_size", "stride", "dilation"))
    if dilation > 1 and stride > 1:
        return f"dilation must be 1 where the stride is not, not {dilation}"
    if (taps - 1) * dilation >= MOST_TAPS * stride:
        return f"the kernel must reach over at most {MOST_TAPS * stride} rows"
    return ""
