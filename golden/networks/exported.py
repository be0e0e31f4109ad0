"""Programs that torch exported (`.pt2`), as modules that have their layers as modules again.

An exported program is a graph of operators that take parameters as arguments. Here each operator
that convolves, or multiplies by the weights of a linear layer, is a call of such a layer again,
under the name that it had, so that whatever is done to a network can be done to this one.
"""

from __future__ import annotations

import logging
import operator
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export.graph_signature import InputKind, OutputKind

from gscn.errors import InputError
from gscn.golden.networks import BATCH
from gscn.system.reading import open_regular

_LAYERS = {
    "linear": nn.Linear,
    "conv1d": nn.Conv1d,
    "conv2d": nn.Conv2d,
    "conv3d": nn.Conv3d,
    "conv_transpose1d": nn.ConvTranspose1d,
    "conv_transpose2d": nn.ConvTranspose2d,
    "conv_transpose3d": nn.ConvTranspose3d,
}  # fmt: skip
"""What operators of ATen are, by their names."""
_CONV = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_TRANSPOSED = (*_CONV[:5], "output_padding", "groups", "dilation")


def exported_model(
    path: Path, *, batch: int | None = None, image_size: int | None = None
) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """Return an exported program as a module, and inputs for it.

    The file is read as torch reads it, which executes what a malicious file holds: it must be from
    a source that is trusted.

    Parameters
    ----------
    path
        What `torch.export.save` wrote.
    batch
        Samples of the inputs, where the program leaves them open; by default `BATCH` there.
    image_size
        Height and width of the inputs, pixels, where the program leaves them open.

    Raises
    ------
    InputError
        Torch cannot read the file, it is a program for another batch or size, or one of its inputs
        is no tensor.
    """
    what = f"exported program {path}"
    file = open_regular(path, "exported program")
    # Torch logs the error that it raises a moment later.
    logger = logging.getLogger("torch.export")
    disabled, logger.disabled = logger.disabled, True
    try:
        with file:
            program = torch.export.load(file)
    # What damaged files raise is any error of the readers below.
    except Exception as error:
        raise InputError(f"{what} must be one that torch can load: {_first(error)}") from error
    finally:
        logger.disabled = disabled
    try:
        return _Builder(program).module(), tuple(_inputs(program, what, batch, image_size))
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{what} must be a graph of ATen's operators: {_first(error)}") from error


def _first(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def _inputs(
    program: torch.export.ExportedProgram, what: str, batch: int | None, image_size: int | None
) -> Iterator[Tensor]:
    """Yield a tensor for each input, of the sizes that are asked for or that the program has."""
    examples = [one for one in _flat(program.example_inputs) if isinstance(one, Tensor)]
    names = [
        one.arg.name
        for one in program.graph_signature.input_specs
        if one.kind is InputKind.USER_INPUT
    ]
    nodes = {node.name: node for node in program.graph.nodes}
    for index, name in enumerate(names):
        value = nodes[name].meta.get("val")
        if not isinstance(value, Tensor):
            raise InputError(f"{what} must take tensors, not {value!r} for {name}")
        known = examples[index].shape if index < len(examples) else value.shape
        shape = []
        for axis, size in enumerate(value.shape):
            wanted = batch if axis == 0 else image_size if axis >= 2 else None
            if isinstance(size, torch.SymInt):
                shape.append(wanted or (BATCH if axis == 0 else int(known[axis])))
            elif wanted not in (None, size):
                raise InputError(
                    f"{what} must be asked for with {size} along axis {axis} of {name}, for which "
                    f"it was exported, not {wanted}; export that axis as a dynamic one"
                )
            else:
                shape.append(size)
        yield torch.zeros(shape, dtype=value.dtype)


def _flat(examples: Any) -> list[Any]:
    return torch.utils._pytree.tree_leaves(examples)


class _Builder:
    """Makes the module of a program."""

    def __init__(self, program: torch.export.ExportedProgram) -> None:
        self.program = program
        self.root = nn.Module()
        self.graph = fx.Graph()
        self.placed: dict[fx.Node, fx.Node] = {}
        self.layers: dict[str, tuple[Any, Any]] = {}
        """Weight and bias of each layer, as nodes of the program."""
        signature = program.graph_signature
        kinds = (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR)
        self.targets = {
            one.arg.name: one.target for one in signature.input_specs if one.kind in kinds
        }
        """Names of what the program holds, by those of its graph."""
        self.results = [one.kind is OutputKind.USER_OUTPUT for one in signature.output_specs]

    def module(self) -> nn.Module:
        """Return the module."""
        self._hold()
        for node in self.program.graph.nodes:
            if node.op == "placeholder":
                self._place(node)
            elif node.op == "output":
                found = [
                    self.placed[one]
                    for one, is_result in zip(node.args[0], self.results, strict=True)
                    if is_result and isinstance(one, fx.Node)
                ]
                self.graph.output(found[0] if len(found) == 1 else tuple(found))
            else:
                self._compute(node)
        return fx.GraphModule(self.root, self.graph)

    def _hold(self) -> None:
        """Put layers, parameters, buffers and constants where they were, in order of definition."""
        held = {**self.program.state_dict, **self.program.constants}
        called = {name: node for node in self.program.graph.nodes if (name := self._name(node))}
        for name in (*held, *self.targets.values()):
            path, _, attribute = name.rpartition(".")
            if path in called:
                self._add_layer(path, called.pop(path), held)
            owner, value = _submodule(self.root, path), held[name]
            if name not in self.targets.values() or attribute in _tensors_of(owner):
                continue
            if isinstance(value, nn.Parameter):
                owner.register_parameter(attribute, value)
            else:
                owner.register_buffer(attribute, value)
        for name, node in called.items():
            self._add_layer(name, node, held)
        for name, child in self.program.graph_module.named_children():
            # Graphs within the graph, of regions with a mode of their own.
            self.root.add_module(name, child)

    def _add_layer(self, path: str, node: fx.Node, held: dict[str, Any]) -> None:
        """Make a layer, with the weights and the bias of a call of it."""
        layer, arguments = _layer(node), _arguments(node)
        for name in ("weight", "bias"):
            if arguments.get(name) is not None:
                setattr(layer, name, held[self.targets[arguments[name].name]])
        above, _, name = path.rpartition(".")
        _submodule(self.root, above).add_module(name, layer)
        self.layers[path] = tuple(arguments.get(name) for name in ("weight", "bias"))

    def _name(self, node: fx.Node) -> str | None:
        """Return the name of the layer that a node is a call of; None if it is of none."""
        if node.op != "call_function" or _operator(node) not in _LAYERS:
            return None
        arguments = _arguments(node)
        names = [
            self.targets.get(getattr(arguments.get(one), "name", "")) for one in ("weight", "bias")
        ]
        if names[0] is None or (names[1] is None) != (arguments.get("bias") is None):
            return None
        # As the survey calls a network that is one layer.
        own = _LAYERS[_operator(node)].__name__
        # Tied weights have one name; the modules that call them have two.
        for name, kind in reversed((node.meta.get("nn_module_stack") or {}).values()):
            if str(kind).rpartition(".")[2].strip("'>") == own:
                return name or own
            break
        return names[0].rpartition(".")[0] or own

    def _place(self, node: fx.Node) -> None:
        target = self.targets.get(node.name)
        if target is not None:
            # A graph's module has its parts in the order in which they are named here, which is
            # that of definition.
            self.placed[node] = self.graph.get_attr(target)
        elif isinstance(node.meta.get("val"), Tensor):
            self.placed[node] = self.graph.placeholder(node.name)

    def _compute(self, node: fx.Node) -> None:
        name, arguments = self._name(node), _arguments(node)
        own = tuple(arguments.get(one) for one in ("weight", "bias"))
        if name is None or self.layers[name] != own:
            self.placed[node] = self.graph.node_copy(node, self.placed.__getitem__)
        else:
            images = self.placed[arguments["input"]]
            self.placed[node] = self.graph.call_module(name, (images,))


def _operator(node: fx.Node) -> str:
    """Return the name of an operator of ATen; "" of anything else."""
    target = node.target
    if isinstance(target, torch._ops.OpOverload) and target.namespace == "aten":
        return target._schema.name.rpartition("::")[2]
    return ""


def _arguments(node: fx.Node) -> dict[str, Any]:
    """Return the arguments of a layer's operator by name."""
    name = _operator(node)
    names = _TRANSPOSED if "transpose" in name else _CONV
    given = dict(zip(names[:3] if name == "linear" else names, node.args, strict=False))
    return {**given, **node.kwargs}


def _layer(node: fx.Node) -> nn.Module:
    """Return a layer of an operator's kind, on the meta device; its weights come later."""
    arguments, kind = _arguments(node), _LAYERS[_operator(node)]
    weights = arguments["weight"].meta["val"].shape
    bias = arguments.get("bias") is not None
    if kind is nn.Linear:
        return nn.Linear(weights[1], weights[0], bias=bias, device="meta")
    groups = arguments.get("groups", 1)
    transposed = issubclass(kind, nn.modules.conv._ConvTransposeNd)
    inner = weights[1] * groups
    channels = (weights[0], inner) if transposed else (inner, weights[0])
    options = {
        name: value
        for name in ("stride", "padding", "dilation", "output_padding")
        if (value := arguments.get(name)) is not None
    }
    options = {
        name: value if isinstance(value, str) else _sizes(value, len(weights) - 2)
        for name, value in options.items()
    }
    return kind(*channels, tuple(weights[2:]), groups=groups, bias=bias, device="meta", **options)


def _sizes(values: Any, count: int) -> tuple[int, ...]:
    """Return one value for each axis; operators take one for all of them as well."""
    values = (values,) if isinstance(values, int) else tuple(map(operator.index, values))
    return values * count if len(values) == 1 else values


def _submodule(root: nn.Module, path: str) -> nn.Module:
    """Return a module by its name; what holds others is made when it is first asked for."""
    here = root
    for part in filter(None, path.split(".")):
        if part not in dict(here.named_children()):
            here.add_module(part, nn.Module())
        here = here.get_submodule(part)
    return here


def _tensors_of(module: nn.Module) -> set[str]:
    return {*module._parameters, *module._buffers}
