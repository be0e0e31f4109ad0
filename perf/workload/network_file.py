"""Networks in JSON files: the table of layers that all loaders make, kept and read again."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gscn.conv import ConvShape
from gscn.errors import InputError, raise_problems
from gscn.golden.networks import BATCH
from gscn.golden.omitted import Omitted
from gscn.perf.workload.layers import Layer, Network
from gscn.system.reading import read_json, shown

MOST_LAYERS = 2000
"""Of a network file."""
MOST_FILE_SIZE = 1 << 20
"""Of a layer in a network file, along any axis."""
_REQUIRED = frozenset({"name", "c", "h", "w", "k", "r", "s"})
_PAIRS = ("stride", "padding", "dilation", "output_padding")
_FLAGS = ("linear", "transposed", "normalised", "input_grad")
_OPTIONAL = frozenset({*_PAIRS, *_FLAGS, "groups", "shares", "weight_density", "n"})


def read_network(path: Path, *, batch: int | None = None) -> Network:
    """Read a network from a JSON file, such as `network_table` makes (docs/contract/networks.md).

    Parameters
    ----------
    path
        The file: a list of layers in order, the first one fed by the image, or an object with such
        a list.
    batch
        Images per batch; by default those of the file, or `golden.networks.BATCH`.

    Raises
    ------
    InputError
        The file cannot be read, is not JSON, describes a layer that is none, or has layers with as
        many samples as another batch has.
    """
    where = f"network file {path}"
    table = _table(read_json(path, "network file"), where)
    items = table["layers"]
    if not isinstance(items, list) or not 1 <= len(items) <= MOST_LAYERS:
        raise InputError(f"{where} must hold a list of 1 to {MOST_LAYERS} layers")
    own = table.get("batch")
    counted = any(isinstance(item, dict) and "n" in item for item in items)
    if own is not None and batch not in (None, own) and counted:
        raise InputError(
            f"{where} must be read with its batch of {own}, since it has layers with samples of "
            f"their own, not {batch}"
        )
    layers = tuple(
        _read_layer(
            item,
            where=f"{where}, layer {index}",
            index=index,
            batch=(own or BATCH) if batch is None else batch,
        )
        for index, item in enumerate(items)
    )
    counts = Counter(layer.name for layer in layers)
    repeated = sorted(name for name, count in counts.items() if count > 1)
    if repeated:
        raise InputError(
            f"{where}: names of layers must differ, not repeat "
            f"{', '.join(map(_short, repeated[:5]))}"
        )
    raise_problems(where, _sharing_problems(layers))
    # A method that leaves the first layer dense leaves its weights dense in every call.
    layers = tuple(
        dataclasses.replace(layer, first=True, input_grad=layer.input_grad is not False)
        if layer.shares == layers[0].name
        else layer
        for layer in layers
    )
    omitted = table.get("omitted")
    return Network(
        name=table.get("name", path.stem),
        layers=layers,
        omitted=None if omitted is None else tuple(omitted),
        notes=tuple(table.get("notes", ())),
    )


def network_table(network: Network) -> dict[str, object]:
    """Return a network as the plain JSON values of which `read_network` makes the same."""
    batch = network.layers[0].shape.n
    omitted = network.omitted
    return {
        "name": network.name,
        "batch": batch,
        "layers": [_fields(layer, batch) for layer in network.layers],
        "omitted": None if omitted is None else [dataclasses.asdict(one) for one in omitted],
        "notes": list(network.notes),
    }


def _fields(layer: Layer, batch: int) -> dict[str, object]:
    """Return a layer's fields, without those that are as if they were absent."""
    shape = layer.shape
    sizes = {name: getattr(shape, name) for name in ("c", "h", "w", "k", "r", "s")}
    if layer.transposed:
        # Of the layer, not of what it transposes.
        sizes |= {"c": shape.k, "h": shape.p, "w": shape.q, "k": shape.c}
        sizes["output_padding"] = shape.output_padding
    fields = {
        "name": layer.name,
        **sizes,
        **{name: getattr(shape, name) for name in ("stride", "padding", "dilation", "groups")},
        **{name: getattr(layer, name) for name in (*_FLAGS, "shares", "weight_density")},
    }
    if shape.n != batch:
        fields["n"] = shape.n
    absent = {**dict.fromkeys(("stride", "dilation"), (1, 1)), "groups": 1}
    absent |= dict.fromkeys(("padding", "output_padding"), (0, 0))
    absent |= dict.fromkeys(("linear", "transposed"), False)
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in fields.items()
        if value != absent.get(name)
    }


def _table(found: object, where: str) -> dict[str, Any]:
    """Return the object that a file holds; a list is that of its layers."""
    if isinstance(found, list):
        return {"layers": found}
    if not isinstance(found, dict) or "layers" not in found:
        raise InputError(
            f"{where} must hold a list of layers, or an object that has one, not {shown(found)}"
        )
    known = {"name", "batch", "layers", "omitted", "notes"}
    problems = [f"unknown field {shown(name)}" for name in sorted(found.keys() - known)]
    if not isinstance(found.get("name", ""), str):
        problems.append(f"name must be text, not {shown(found['name'])}")
    batch = found.get("batch", 1)
    if type(batch) is not int or not 1 <= batch <= MOST_FILE_SIZE:
        problems.append(f"batch must be from 1 to {MOST_FILE_SIZE}, not {shown(batch)}")
    notes = found.get("notes", [])
    if not isinstance(notes, list) or not all(isinstance(note, str) for note in notes):
        problems.append(f"notes must be a list of texts, not {shown(notes)}")
    omitted = found.get("omitted")
    if isinstance(omitted, list):
        try:
            omitted = [Omitted.of(one) for one in omitted]
        except ValueError as error:
            problems.append(f"omitted {error}")
    elif omitted is not None:
        problems.append(f"omitted must be a list, not {shown(omitted)}")
    raise_problems(where, problems)
    return {**found, "omitted": omitted}


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
        for name in sorted(_REQUIRED - {"name"} | {"groups", "n"})
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
    density = item.get("weight_density")
    if density is not None and not (type(density) in (int, float) and 0 < density <= 1):
        problems.append(f"weight_density must be over 0 and at most 1, not {shown(density)}")
    raise_problems(where, problems)
    sizes = {"n": batch} | {name: item[name] for name in (_REQUIRED | {"n"}) & item.keys()}
    del sizes["name"]
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
        shape = make(**sizes, **given)
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
        weight_density=density,
    )
