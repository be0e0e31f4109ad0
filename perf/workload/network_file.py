"""Networks read from a file."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from gscn.conv import ConvShape
from gscn.errors import InputError, raise_problems
from gscn.perf.workload.layers import Layer, Network
from gscn.system.reading import read_json, shown

MOST_LAYERS = 2000
"""Of a network file."""
MOST_FILE_SIZE = 1 << 20
"""Of a layer in a network file, along any axis."""
_REQUIRED = frozenset({"name", "c", "h", "w", "k", "r", "s"})
_PAIRS = ("stride", "padding", "dilation", "output_padding")
_FLAGS = ("linear", "transposed", "normalised", "input_grad")
_OPTIONAL = frozenset({*_PAIRS, *_FLAGS, "groups", "shares"})


def read_network(path: Path, *, batch: int) -> Network:
    """Read a network from a JSON file: a list of layers in order, the first one fed by the image.

    Each layer is an object with `name`, `c`, `h`, `w`, `k`, `r`, `s` and, if they are not 1, 0 and
    1, the pairs `stride`, `padding` and `dilation`, and the number `groups`. Letters are as in
    `gscn.conv.ConvShape`. `"linear": true` marks a fully connected layer, with `r` and `s` of 1 and
    a pixel for each vector of a sample. `"transposed": true` marks a transposed convolution, of
    which `c`, `h` and `w` are inputs and `k` outputs as of any other, with the pair
    `output_padding` if that is not 0; it becomes the convolution that it transposes
    (`ConvShape.of_transposed`). `"normalised"` says whether a normalisation follows the layer, or
    precedes it as in pre-activation networks; where it is absent, convolutions count as normalised
    and fully connected layers as not. `"shares": "name"` says that the layer uses the weights of
    one before: it is a further call of that layer. `"input_grad": false` says that its input is the
    image, as that of the first layer is.

    Parameters
    ----------
    path
        The file.
    batch
        Images per batch.

    Raises
    ------
    InputError
        The file cannot be read, is not JSON, or describes a layer that is none.
    """
    items = read_json(path, "network file")
    if not isinstance(items, list) or not 1 <= len(items) <= MOST_LAYERS:
        raise InputError(f"network file {path} must hold a list of 1 to {MOST_LAYERS} layers")
    layers = tuple(
        _read_layer(item, where=f"network file {path}, layer {index}", index=index, batch=batch)
        for index, item in enumerate(items)
    )
    counts = Counter(layer.name for layer in layers)
    repeated = sorted(name for name, count in counts.items() if count > 1)
    if repeated:
        raise InputError(
            f"network file {path}: names of layers must differ, not repeat "
            f"{', '.join(map(_short, repeated[:5]))}"
        )
    raise_problems(f"network file {path}", _sharing_problems(layers))
    # A method that leaves the first layer dense leaves its weights dense in every call.
    layers = tuple(
        dataclasses.replace(layer, first=True, input_grad=layer.input_grad is not False)
        if layer.shares == layers[0].name
        else layer
        for layer in layers
    )
    return Network(name=path.stem, layers=layers)


def _sharing_problems(layers: Sequence[Layer]) -> list[str]:
    """Return which layers cannot use the weights that they name."""
    known: dict[str, Layer] = {}
    problems = []
    for layer in layers:
        if layer.shares is not None:
            other = known.get(layer.shares)
            if other is None or other.shares is not None:
                problems.append(
                    f"shares of {layer.name} must name a layer before it that has weights of its "
                    f"own, not {shown(layer.shares)}"
                )
            elif other.shape.w_shape != layer.shape.w_shape:
                problems.append(
                    f"weights of {layer.name} must be those of {other.name}, of shape "
                    f"{other.shape.w_shape}, not {layer.shape.w_shape}"
                )
        known[layer.name] = layer
    return problems


def _short(name: str) -> str:
    return name if len(name) <= 100 else f"{name[:100]}..."


def _read_layer(item: object, *, where: str, index: int, batch: int) -> Layer:
    if not isinstance(item, dict):
        raise InputError(f"{where}: must be an object, not {shown(item)}")
    problems = [f"{name} is missing" for name in sorted(_REQUIRED - item.keys())]
    problems += [
        f"unknown field {shown(name)}" for name in sorted(item.keys() - _REQUIRED - _OPTIONAL)
    ]
    if not isinstance(item.get("name", ""), str):
        problems.append(f"name must be text, not {shown(item['name'])}")
    problems += [
        f"{name} must be true or false, not {shown(item[name])}"
        for name in _FLAGS
        if name in item and not isinstance(item[name], bool)
    ]
    if not isinstance(item.get("shares", ""), str):
        problems.append(f"shares must be the name of a layer, not {shown(item['shares'])}")
    problems += [
        f"{name} must be a whole number, not {shown(item[name])}"
        for name in sorted(_REQUIRED - {"name"} | {"groups"})
        if name in item and type(item[name]) is not int
    ]
    problems += [
        f"{name} must be a pair of whole numbers, not {shown(item[name])}"
        for name in _PAIRS
        if name in item
        and not (
            isinstance(item[name], list)
            and len(item[name]) == 2
            and all(type(value) is int for value in item[name])
        )
    ]
    raise_problems(where, problems)
    sizes = {name: item[name] for name in _REQUIRED - {"name"}}
    problems = [
        f"{name} must be at most {MOST_FILE_SIZE}, not {size}"
        for name, size in sorted(sizes.items())
        if size > MOST_FILE_SIZE
    ]
    raise_problems(where, problems)
    given = {name: tuple(item[name]) for name in _PAIRS if name in item}
    given |= {"groups": item.get("groups", 1)}
    transposed, linear = item.get("transposed", False), item.get("linear", False)
    where = f"{where} ({_short(item['name'])})"
    if linear and (transposed or given["groups"] != 1 or (sizes["r"], sizes["s"]) != (1, 1)):
        raise InputError(
            f"{where}: a linear layer must have r and s of 1 and be neither grouped nor transposed"
        )
    if not transposed and "output_padding" in given:
        raise InputError(f"{where}: output_padding must be of a transposed layer alone")
    make = ConvShape.of_transposed if transposed else ConvShape
    try:
        shape = make(n=batch, **sizes, **given)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    return Layer(
        name=item["name"],
        shape=shape,
        linear=linear,
        transposed=transposed,
        first=index == 0,
        input_grad=item.get("input_grad"),
        normalised=item.get("normalised"),
        shares=item.get("shares"),
    )
