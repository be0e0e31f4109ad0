"""A module of torch, and inputs for it, from the text by which a user names it.

`torchvision:NAME`, `timm:NAME`, `FILE.pt2`, or `package.module:NAME`, a module or what makes one.
"""

from __future__ import annotations

import contextlib
import copy
import difflib
import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from gscn.errors import InputError, raise_problems
from gscn.golden.networks import BATCH, IMAGE_SIZE, libraries
from gscn.golden.networks.exported import exported_model
from gscn.system.reading import shown

LIBRARIES = ("torchvision", "timm")
EXPORTED = ".pt2"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class NamedModel:
    """A network of a user's, ready to be called."""

    name: str
    """What messages and tables call it."""
    model: nn.Module
    inputs: tuple[Any, ...]
    """What it is called with: tensors, or what holds them."""


def is_source(spec: str) -> bool:
    """Return whether a text has the form that `named_model` takes."""
    if spec.endswith(EXPORTED):
        return True
    before, colon, after = spec.partition(":")
    names = after.split(".") if before not in LIBRARIES else ["any"]
    return bool(colon and after) and all(one.isidentifier() for one in (*before.split("."), *names))


def named_model(
    spec: str, *, batch: int | None = None, image_size: int | None = None, values: bool = True
) -> NamedModel:
    """Return the network that a text names.

    Parameters
    ----------
    spec
        `torchvision:NAME` or `timm:NAME`, with weights drawn at random; or `package.module:NAME`,
        found from the current folder as well, where NAME is a module of torch, or a function
        without arguments that returns one, or one and its inputs: a tensor or a tuple of what it is
        called with; or a file that `torch.export.save` wrote.
    batch
        Images; by default `BATCH`, or what a program was exported for.
    image_size
        Height and width of images, pixels; by default what the library or the program says of the
        network, else `IMAGE_SIZE`.
    values
        False: parameters and inputs are without values, on the meta device; calling the network
        then takes neither time nor memory, and nor does making it, if it can be made there.

    Raises
    ------
    InputError
        The text is of no such form; there is no such library, network or module; making it raised
        an error; nobody says what its inputs are; or they have a batch and a size of their own.
    """
    raise_problems(
        f"model {spec}",
        [
            f"{what} must be at least 1, not {value}"
            for what, value in (("batch", batch), ("image size", image_size))
            if value is not None and value < 1
        ],
    )
    if not is_source(spec):
        raise InputError(
            "a model must be torchvision:NAME, timm:NAME, package.module:NAME or FILE.pt2, not "
            f"{shown(spec)}"
        )
    if spec.endswith(EXPORTED):
        model, inputs = exported_model(Path(spec), batch=batch, image_size=image_size)
        named = NamedModel(name=Path(spec).stem, model=model, inputs=inputs)
        return named if values else without_values(named)
    before, _, after = spec.partition(":")
    make = {"torchvision": _torchvision, "timm": _timm}.get(before)
    if make is None:
        found = _attribute(spec, before, after)
        return _built(spec, values, lambda: _of_user(spec, found, batch, image_size))
    return _built(spec, values, lambda: make(after, batch or BATCH, image_size))


def _built(spec: str, values: bool, make: Callable[[], NamedModel]) -> NamedModel:
    """Return what a function makes; without values on the meta device, if it can be made there.

    What computes its own sizes cannot, but its parameters may have none.
    """
    # Whatever a network's own code raises is a fault of the input.
    for place in () if values else (torch.device("meta"), _without_parameters()):
        with contextlib.suppress(Exception), place:
            return without_values(make())
    try:
        return make() if values else without_values(make())
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        raise InputError(f"model {spec} must be made without an error: {told(error)}") from error


@contextlib.contextmanager
def _without_parameters() -> Iterator[None]:
    """Let modules made inside have parameters on the meta device, where they are drawn at once."""
    made: dict[nn.Parameter, nn.Parameter] = {}

    def register(_: nn.Module, __: str, parameter: nn.Parameter | None) -> nn.Parameter | None:
        if type(parameter) is not nn.Parameter or parameter.is_meta:
            return None
        # What several modules have stays one.
        if parameter not in made:
            made[parameter] = nn.Parameter(parameter.data.to("meta"), parameter.requires_grad)
        return made[parameter]

    handle = nn.modules.module.register_module_parameter_registration_hook(register)
    try:
        yield
    finally:
        handle.remove()


def without_values(named: NamedModel) -> NamedModel:
    """Return a network all of whose tensors are on the meta device, those made elsewhere too."""
    model = named.model
    if any(not one.is_meta for one in (*model.parameters(), *model.buffers())):
        # The user's own module keeps its values.
        model = copy.deepcopy(model).to("meta")
    inputs = tree_map_only(Tensor, lambda one: one.to("meta"), named.inputs)
    return NamedModel(name=named.name, model=model, inputs=inputs)


def told(error: BaseException) -> str:
    """Return what an error of somebody else's code says, on one line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0].strip()}" if lines else type(error).__name__


def _torchvision(name: str, batch: int, image_size: int | None) -> NamedModel:
    models = libraries.torchvision().models
    known = models.list_models()
    if name not in known:
        raise _unknown("torchvision", name, known)
    kind = models.get_model_weights(name)
    family = kind.__module__.split(".")[2]
    if family not in ("detection", "optical_flow"):
        # Those for segmentation would fetch the weights of their first part.
        options = {"weights_backbone": None} if family == "segmentation" else {}
        if image_size and family == "vision_transformer":
            options["image_size"] = image_size
        made = models.get_model(name, weights=None, **options)
        # What is made for one size says for which; weights may be published for others.
        size = image_size or getattr(made, "image_size", None) or _published_size(kind)
        frames = (16,) if family == "video" else ()
        return NamedModel(
            name=name, model=made, inputs=(torch.zeros(batch, 3, *frames, size, size),)
        )
    raise InputError(
        f"model torchvision:{name} must take a batch of images; give it by package.module:NAME, "
        "with its inputs"
    )


def _published_size(weights: Any) -> int:
    """Return the size of images at which torchvision's weights are evaluated."""
    for one in weights:
        size = getattr(one.transforms(), "crop_size", None)
        if size:
            return int(size[0])
    return IMAGE_SIZE


def _timm(name: str, batch: int, image_size: int | None) -> NamedModel:
    timm = libraries.timm()
    if not timm.is_model(name.partition(".")[0]):
        raise _unknown("timm", name, timm.list_models())
    made = timm.create_model(name, pretrained=False)
    channels, size, _ = made.pretrained_cfg.get("input_size", (3, IMAGE_SIZE, IMAGE_SIZE))
    if image_size not in (None, size):
        size = image_size
        # Networks with tables of positions are made for a size; others take any, and no option.
        with contextlib.suppress(TypeError):
            made = timm.create_model(name, pretrained=False, img_size=size)
    return NamedModel(name=name, model=made, inputs=(torch.zeros(batch, channels, size, size),))


def _unknown(library: str, name: str, known: Sequence[str]) -> InputError:
    near = difflib.get_close_matches(name, known, n=3)
    hint = f"; near to it are {', '.join(near)}" if near else ""
    return InputError(f"{library} has no model {shown(name)}{hint}")


@contextlib.contextmanager
def _current_folder() -> Iterator[None]:
    """Let modules be imported from the current folder, as `python -m` does."""
    sys.path.insert(0, str(Path.cwd()))
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(str(Path.cwd()))


def _attribute(spec: str, module: str, name: str) -> object:
    try:
        with _current_folder():
            found: object = importlib.import_module(module)
    except (Exception, SystemExit) as error:
        raise InputError(
            f"model {spec} must be in a module that can be imported: {told(error)}"
        ) from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise InputError(f"model {spec} must be in {module}, which has no {name}")
        found = getattr(found, part)
    return found


def _of_user(spec: str, found: object, batch: int | None, image_size: int | None) -> NamedModel:
    if callable(found) and not isinstance(found, nn.Module):
        found = found()
    model, inputs = found if isinstance(found, tuple) and len(found) == 2 else (found, None)
    if not isinstance(model, nn.Module):
        raise InputError(
            f"model {spec} must be a torch.nn.Module, or one and its inputs, not {shown(model)}"
        )
    if inputs is None:
        inputs = _images(spec, model, batch or BATCH, image_size or IMAGE_SIZE)
    elif (batch, image_size) != (None, None):
        raise InputError(
            f"model {spec} must be asked for without a batch or an image size: it comes with inputs"
        )
    elif not isinstance(inputs, tuple):
        inputs = (inputs,)
    return NamedModel(name=spec.partition(":")[2], model=model, inputs=inputs)


def _images(spec: str, model: nn.Module, batch: int, size: int) -> tuple[Tensor, ...]:
    """Return images with the channels of the first convolution, or vectors for a linear layer."""
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            return (torch.zeros(batch, layer.in_channels, size, size),)
        if isinstance(layer, nn.Linear):
            return (torch.zeros(batch, layer.in_features),)
        if isinstance(layer, nn.modules.conv._ConvNd | nn.Embedding):
            break
    raise InputError(
        f"model {spec} must come with its inputs, since its first layer is none that images fit: "
        "let a function return both"
    )
