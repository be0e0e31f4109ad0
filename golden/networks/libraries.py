"""The libraries that users take networks from, imported when they are asked for."""

from __future__ import annotations

import importlib
from types import ModuleType

import torch

from gscn.errors import InputError

_DETECTION = ("nms", "qnms")
"""Operators for which torchvision registers shapes, whether it could load them or not."""
_declared: list[torch.library.Library] = []
"""Declarations hold as long as they are kept."""


def torchvision() -> ModuleType:
    """Return torchvision with its models; its classification models need none of its operators.

    Raises
    ------
    InputError
        It is not installed, or not one that fits torch.
    """
    try:
        return importlib.import_module("torchvision")
    except ModuleNotFoundError as error:
        raise _missing("torchvision", error) from error
    except RuntimeError as error:
        # A build for another device than torch's cannot load its operators, and then fails at the
        # first that it takes for granted.
        if "torchvision::" not in str(error) or _declared:
            raise InputError(
                f"torchvision must be the release that fits torch {torch.__version__}: {error}"
            ) from error
    library = torch.library.Library("torchvision", "DEF")
    _declared.append(library)
    for name in _DETECTION:
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return torchvision()


def timm() -> ModuleType:
    """Return timm, which imports torchvision.

    Raises
    ------
    InputError
        One of them is not installed, or does not fit torch.
    """
    torchvision()
    try:
        return importlib.import_module("timm")
    except ModuleNotFoundError as error:
        raise _missing("timm", error) from error


def _missing(name: str, error: ModuleNotFoundError) -> InputError:
    lacking = "" if error.name == name else f" ({error.name} is missing)"
    return InputError(
        f"networks of {name} need the package {name}{lacking}: pip install 'gscn[models]'"
    )
