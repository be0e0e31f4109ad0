"""Backends: who calculates the layers of a model, layer by layer.

A backend gives each layer an arithmetic (`golden.methods.geometry.Arithmetic`). Some are of
packages that import this one and not the other way: these register themselves when their module is
imported, which happens here by name, the first time that they are asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol, TypeAlias

from torch import nn

from gscn.errors import InputError, raise_problems
from gscn.golden.methods.accelerator_arithmetic import WindowedArithmetic
from gscn.golden.methods.geometry import Arithmetic
from gscn.golden.methods.layers import attached_to
from gscn.golden.methods.operand_formats import OperandFormats, formats_of
from gscn.golden.methods.watching import sparse_layers


class Backend(Protocol):
    """Calculates layers."""

    def arithmetic(self, layer: str) -> Arithmetic:
        """Return what calculates the passes of the layer of this name."""
        ...


BackendChoice: TypeAlias = "str | Backend"
"""A backend, or the name of one."""

_MODULES: Mapping[str, str] = MappingProxyType(
    {
        "golden": __name__,
        "rtl": "gscn.cosim.devices.backends",
        "cycle-model": "gscn.cosim.devices.backends",
    }
)
"""Where each backend registers itself."""
BACKENDS = tuple(_MODULES)
_DEEP = (nn.Conv3d, nn.ConvTranspose3d)
_factories: dict[str, Callable[[], Backend]] = {}


def register_backend(name: str, factory: Callable[[], Backend]) -> None:
    """Say how a backend of `BACKENDS` is made; called when its module is imported."""
    assert name in _MODULES
    _factories[name] = factory


def backend_called(name: str) -> Backend:
    """Return a new backend with its default settings.

    Parameters
    ----------
    name
        One of `BACKENDS`: "golden" calculates by `golden.oracle.float_conv` in bf16, "rtl" on the
        simulated accelerator, "cycle-model" as "golden", and takes the time that it would take.

    Raises
    ------
    InputError
        There is no such backend.
    """
    if name not in BACKENDS:
        raise InputError(f"backend must be one of {', '.join(BACKENDS)}, not {name!r}")
    importlib.import_module(_MODULES[name])
    return _factories[name]()


class GoldenBackend:
    """The golden model of the accelerator's floating point.

    Parameters
    ----------
    formats
        Of operands, or their name in `golden.methods.operand_formats.FORMATS`.
    """

    def __init__(self, formats: OperandFormats | str = "bf16") -> None:
        self._arithmetic = WindowedArithmetic(formats=formats_of(formats))

    def arithmetic(self, layer: str) -> Arithmetic:  # noqa: ARG002
        """Return what calculates the passes of the layer of this name."""
        return self._arithmetic


register_backend("golden", GoldenBackend)


def backend_problems(
    layers: Mapping[str, nn.Module], backend: BackendChoice | Mapping[str, BackendChoice] | None
) -> list[str]:
    """Return why the layers of a model cannot be placed on a backend.

    Parameters
    ----------
    layers
        By name: those that can be placed are convolutions of one or two dimensions, grouped or
        transposed or neither, and linear layers (`golden.methods.geometry`).
    backend
        As of `place`.
    """
    if backend is None:
        return []
    chosen = _choices(layers, backend)
    problems = [
        f"backend must be one of {', '.join(BACKENDS)}, not {one!r}"
        for one in dict.fromkeys(one for one in chosen.values() if isinstance(one, str))
        if one not in BACKENDS
    ]
    for name in chosen:
        if name not in layers:
            problems.append(f"backend must be for layers ({', '.join(layers)}), not {name!r}")
        elif isinstance(layers[name], _DEEP):
            problems.append(
                f"layer {name}: kernel must have one or two dimensions on a backend, not 3: give "
                "backends by the names of layers, without it"
            )
    return problems


def place(
    model: nn.Module, backend: BackendChoice | Mapping[str, BackendChoice] | None
) -> dict[str, Backend]:
    """Let a backend calculate the layers of a sparsified model.

    Parameters
    ----------
    model
        Model of `golden.sparsify`.
    backend
        For all of them; or by the names of layers, the others then being calculated by
        torch; or None, for torch everywhere.

    Returns
    -------
    dict
        The backends by layer, of which those made here from their names are new.

    Raises
    ------
    InputError
        Unknown backend or layer, or a layer that no `ConvShape` describes.
    """
    layers = sparse_layers(model)
    raise_problems("backend", backend_problems(layers, backend))
    made: dict[str, Backend] = {}
    placed: dict[str, Backend] = {}
    for name, one in ({} if backend is None else _choices(layers, backend)).items():
        if isinstance(one, str) and one not in made:
            made[one] = backend_called(one)
        placed[name] = made[one] if isinstance(one, str) else one
    for name, layer in layers.items():
        arithmetic = placed[name].arithmetic(name) if name in placed else None
        attached_to(layer).arithmetic = arithmetic
    return placed


def _choices(
    layers: Mapping[str, nn.Module], backend: BackendChoice | Mapping[str, BackendChoice]
) -> dict[str, BackendChoice]:
    return dict(backend) if isinstance(backend, Mapping) else dict.fromkeys(layers, backend)
