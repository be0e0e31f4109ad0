"""Checkpoints of training, whose content is known before any of it is made.

The pickle in a file of `torch.save` is read as data first (`system.pickled`): tensors are outlines
until the file is found to hold exactly their values, and the trainer to have use for them.
"""

from __future__ import annotations

import math
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from gscn.errors import InputError
from gscn.golden.methods.attached import NAME
from gscn.golden.training.loss_scaling import LossScaling
from gscn.system.archives import ERRORS, open_archive
from gscn.system.pickled import Call, Name, Reference, decode
from gscn.system.reading import shown

_WHAT = "checkpoint"
_MOST_PICKLE_BYTES = 16 << 20
_MOST_STEPS = 600_000
_MOST_DEPTH = 8
_STORAGES = {
    Name("torch", f"{name}Storage"): dtype
    for name, dtype in {
        "Float": torch.float32,
        "Double": torch.float64,
        "Half": torch.float16,
        "BFloat16": torch.bfloat16,
        "Byte": torch.uint8,
        "Char": torch.int8,
        "Short": torch.int16,
        "Int": torch.int32,
        "Long": torch.int64,
        "Bool": torch.bool,
    }.items()
}
_REBUILD = Name("torch._utils", "_rebuild_tensor_v2")
_ORDERED_DICT = Name("collections", "OrderedDict")


@dataclass(frozen=True, slots=True)
class Outline:
    """A tensor whose values are in the file."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    @classmethod
    def of(cls, tensor: torch.Tensor) -> Outline:
        """Return the outline of a tensor."""
        return cls(tuple(tensor.shape), tensor.dtype)


def outline_checkpoint(path: Path) -> dict:
    """Return what a checkpoint holds, with outlines for its tensors.

    Raises
    ------
    InputError
        It is no checkpoint, or damaged.
    """
    try:
        with open_archive(path, _WHAT) as archive:
            sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
            pickles = [name for name in sizes if re.fullmatch("[^/]*/data.pkl", name)]
            if len(pickles) != 1 or sizes[pickles[0]] > _MOST_PICKLE_BYTES:
                raise ValueError(f"it must have one pickle of at most {_MOST_PICKLE_BYTES} bytes")
            content = decode(archive.read(pickles[0]), most_steps=_MOST_STEPS)
        folder = pickles[0].removesuffix("data.pkl")
        found = _outlined(content, {n.removeprefix(folder): s for n, s in sizes.items()}, 0)
        if not isinstance(found, dict):
            raise ValueError("it must hold a dict")
    except ERRORS as error:
        raise _not_ours(path, error) from error
    return found


def load_checkpoint(path: Path) -> dict:
    """Return the values of a checkpoint that was outlined before.

    Raises
    ------
    InputError
        Values are damaged.
    """
    try:
        # torch does not compare all the checksums.
        with open_archive(path, _WHAT) as archive:
            if archive.testzip() is not None:
                raise zipfile.BadZipFile("damaged")
        return torch.load(path, weights_only=True)
    # A pickle that is read as data first fails in here only if the file has changed since.
    except Exception as error:
        raise _not_ours(path, error) from error


def _not_ours(path: Path, error: object) -> InputError:
    return InputError(f"{path} must be a checkpoint of this program: {error}")


def _outlined(value: object, sizes: dict[str, int], depth: int) -> object:
    if depth > _MOST_DEPTH:
        raise ValueError(f"nesting must be at most {_MOST_DEPTH}")
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, list | tuple):
        return type(value)(_outlined(one, sizes, depth + 1) for one in value)
    if isinstance(value, Call) and value.function == _ORDERED_DICT and value.arguments == ():
        # A module's state has versions of its parts besides.
        if value.state is not None and (
            not isinstance(value.state, dict) or value.state.keys() != {"_metadata"}
        ):
            raise ValueError("a dict must have items and no state")
        return _outlined(value.items, sizes, depth)
    if isinstance(value, dict):
        return {key: _outlined(one, sizes, depth + 1) for key, one in value.items()}
    if isinstance(value, Call) and value.function == _REBUILD:
        return _outline(value, sizes)
    name = value.function if isinstance(value, Call) else type(value).__name__
    raise ValueError(f"it must hold containers, numbers, text and tensors, not {shown(name)}")


def _outline(call: Call, sizes: dict[str, int]) -> Outline:
    arguments = call.arguments
    if len(arguments) not in (6, 7) or call.items or call.state is not None:
        raise ValueError("a tensor must be a plain one")
    storage, offset, shape, strides = arguments[:4]
    key = storage.key if isinstance(storage, Reference) else None
    if not isinstance(key, tuple) or len(key) != 5 or key[0] != "storage":
        raise ValueError("a tensor must have its values in the file")
    _, kind, name, _, count = key
    dtype = _STORAGES.get(kind) if isinstance(kind, Name) else None
    numbers = (offset, count)
    if dtype is None or not isinstance(name, str) or not all(type(n) is int for n in numbers):
        raise ValueError("a tensor must have values of a known type")
    for axes in (shape, strides):
        if not isinstance(axes, tuple) or not all(type(n) is int and n >= 0 for n in axes):
            raise ValueError("a tensor must have a shape of whole numbers")
    if sizes.get(f"data/{name}") != count * dtype.itemsize or count < 0:
        raise ValueError(f"values {shown(name)} must be in the file")
    elements = math.prod(shape)
    dense = elements == 0 or _is_dense(shape, strides)
    if not 0 <= offset <= count - elements or not dense:
        raise ValueError(f"a tensor of shape {shown(shape)} must have all its values in the file")
    return Outline(shape, dtype)


def _is_dense(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Return whether every element has a value of its own, in whatever order of the axes.

    With other strides a few values could stand for any number of elements.
    """
    if len(shape) != len(strides):
        return False
    step = 1
    for stride, axis in sorted((s, a) for s, a in zip(strides, shape, strict=True) if a != 1):
        if stride != step:
            return False
        step *= axis
    return True


def require_parameters(path: Path, outlined: dict, network: nn.Module) -> None:
    """Raise `InputError` if a checkpoint has fewer values than a network, which may be on "meta".

    Nothing is then made that is larger than the file.
    """
    state = outlined.get("network")
    if not isinstance(state, dict):
        raise _not_ours(path, "the network's state is missing")
    held = sum(math.prod(one.shape) for one in state.values() if isinstance(one, Outline))
    wanted = sum(parameter.numel() for parameter in network.parameters())
    if held < wanted:
        raise _not_ours(path, f"its network must have {wanted} weights, not {held}")


def require_states(
    path: Path,
    outlined: dict,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaling: LossScaling,
) -> None:
    """Raise `InputError` if a checkpoint's states are not of this network, optimiser and scale."""
    problems = []
    own = {_plain(name): value for name, value in network.state_dict().items()}
    held = {_plain(name): one for name, one in outlined["network"].items()}
    problems += [f"{shown(name)} is missing" for name in own if name not in held]
    problems += [f"{shown(name)} is unknown" for name in held if name not in own]
    for name, value in own.items():
        # What was not met yet in a new network, such as a gradient to be used again, is empty.
        if name in held and torch.is_tensor(value):
            want, have = Outline.of(value), held[name]
            fits = isinstance(have, Outline) and have.dtype == want.dtype
            if not fits or (value.numel() and have.shape != want.shape):
                problems.append(f"{shown(name)} must be {want}, not {shown(have)}")
    problems += _optimizer_problems(outlined.get("optimizer"), optimizer)
    # Checkpoints of before losses were scaled have no state of it.
    problems += scaling.problems(outlined.get("scaling", {}))
    if problems:
        more = f" and {len(problems) - 5} others" if len(problems) > 5 else ""
        raise _not_ours(path, "; ".join(problems[:5]) + more)


def require_machine(path: Path, outlined: dict) -> None:
    """Raise `InputError` if the state of a machine, if a checkpoint has one, is not its arrays."""
    held = outlined.get("machine", {})
    known = (torch.uint8, torch.float64)
    if not isinstance(held, dict) or not all(
        isinstance(name, str) and isinstance(one, Outline) and len(one.shape) == 1
        and one.dtype in known
        for name, one in held.items()
    ):  # fmt: skip
        raise _not_ours(path, "the machine's state must be arrays of bytes and numbers, by names")


def _plain(name: object) -> object:
    """Return a name of a state as in earlier versions, which `load_state_dict` takes as well."""
    return name.replace(f".{NAME}.", ".") if isinstance(name, str) else name


def _optimizer_problems(held: object, optimizer: torch.optim.Optimizer) -> list[str]:
    own = optimizer.state_dict()["param_groups"]
    if not isinstance(held, dict) or held.keys() != {"state", "param_groups"}:
        return ["the optimizer's state is missing"]
    groups, states = held["param_groups"], held["state"]
    if not isinstance(groups, list) or not isinstance(states, dict) or len(groups) != len(own):
        return ["the optimizer's state must be of one with its groups"]
    for group, right in zip(groups, own, strict=True):
        # The rate follows from the iteration.
        if not isinstance(group, dict) or {**group, "lr": 0} != {**right, "lr": 0}:
            return ["the optimizer's options must be those of the recipe"]
    parameters = [one for group in optimizer.param_groups for one in group["params"]]
    problems = []
    for index, state in states.items():
        if type(index) is not int or not 0 <= index < len(parameters):
            problems.append(f"the optimizer's state must be of its parameters, not {shown(index)}")
            continue
        want = Outline.of(parameters[index])
        if not isinstance(state, dict) or state.get("momentum_buffer") not in (None, want):
            problems.append(f"the optimizer's state of parameter {index} must be {want}")
        elif state.keys() - {"momentum_buffer"}:
            problems.append(f"the optimizer's state of parameter {index} must be its momentum")
    return problems
