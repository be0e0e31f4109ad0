"""Checks of what leaf components are made with: those that no configuration has checked."""

from __future__ import annotations

from amaranth.lib import wiring

from gscn.array import ArrayConfig
from gscn.errors import InputError


def need(
    component: wiring.Component, name: str, value: object, holds: bool, requirement: str
) -> None:
    """Raise an `InputError` that names all of it, unless the requirement holds.

    Parameters
    ----------
    component
        The one that is being made.
    name, value
        Of the argument.
    holds
        Whether it is legal.
    requirement
        Completes "must be".
    """
    if not holds:
        raise InputError(f"{type(component).__name__}: {name} must be {requirement}, not {value!r}")


def need_number(
    component: wiring.Component, name: str, value: int, least: int = 1, most: int | None = None
) -> None:
    """Require a whole number of at least `least` and, if given, at most `most`."""
    holds = isinstance(value, int) and value >= least and (most is None or value <= most)
    bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
    need(component, name, value, holds, f"a whole number {bounds}")


def need_floats(component: wiring.Component, config: ArrayConfig) -> None:
    """Require a configuration with float formats."""
    requirement = "at least one format"
    need(component, "float_formats", config.float_formats, bool(config.floats), requirement)
