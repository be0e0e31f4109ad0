"""Members of enumerations, and number formats, from text at the entries of public functions.

A member of a `StrEnum` equals its text but is not it: code that asks `which is Pass.FORWARD` would
take "forward" for another pass, and go on with wrong numbers. What comes from outside is therefore
turned into a member first, by `takes_text`, or refused with the names of the members.
"""

from __future__ import annotations

import collections.abc
import enum
import functools
import inspect
import types
import typing
from collections.abc import Callable
from typing import Any, TypeVar

from gscn.errors import InputError
from gscn.formats import (
    FLOAT32,
    FLOAT_OPERAND_FORMATS,
    INT32,
    OPERAND_FORMATS,
    FloatFormat,
    IntFormat,
)

Member = TypeVar("Member", bound=enum.Enum | FloatFormat | IntFormat)
Target = TypeVar("Target", bound=Callable[..., Any])
_MARK = "__takes_text__"
_FORMATS = {
    FloatFormat: FLOAT_OPERAND_FORMATS | {FLOAT32.name: FLOAT32},
    IntFormat: OPERAND_FORMATS | {INT32.name: INT32},
}
"""Number formats by their names; one that is made for a purpose is taken as well."""
_COLLECTIONS = (
    collections.abc.Iterable,
    collections.abc.Collection,
    collections.abc.Sequence,
    collections.abc.Set,
    frozenset,
    list,
    set,
    tuple,
)


def member(kind: type[Member], value: object, *, name: str | None = None) -> Member:
    """Return the member of an enumeration, or the number format, that a value is or is named by.

    Parameters
    ----------
    kind
        The enumeration, or the class of formats.
    value
        A member or format, or its text.
    name
        What the message calls it; by default the name of `kind` in small letters.

    Raises
    ------
    InputError
        It is neither; the message names the legal values.
    """
    if type(value) is kind:
        return value
    try:
        if kind in _FORMATS:
            return _FORMATS[kind][value]
        return kind(value)
    except (ValueError, KeyError, TypeError) as error:
        what = name or kind.__name__.lower()
        raise InputError(f"{what} must be one of {_legal(kind)}, not {value!r}") from error


def _legal(kind: type) -> str:
    return ", ".join(_FORMATS.get(kind) or [str(one.value) for one in kind])


def takes_text(target: Target) -> Target:
    """Let a function, or the constructor of a class, take text where it asks for a member.

    Parameters whose annotation is an enumeration or a class of number formats, one or None, or a
    collection of its members, are converted before the body runs; a text that no member has is
    refused with an `InputError` that names the members. Other parameters are left alone.

    Parameters
    ----------
    target
        A function or method, or a class whose constructor is given members, like a dataclass.
    """
    if isinstance(target, type):
        target.__init__ = takes_text(target.__init__)
        return target

    @functools.cache
    def conversions() -> tuple[tuple[int, str, type | None, Callable[[object], object]], ...]:
        # At the first call: what annotations name may stand below the function in its module.
        found = []
        for index, name, annotation in enum_parameters(target):
            kind, _, several = _enumeration(annotation)
            found.append((index, name, None if several else kind, _conversion(name, annotation)))
        return tuple(found)

    @functools.wraps(target)
    def converting(*args: object, **options: object) -> object:
        for index, name, kind, convert in conversions():
            # most calls have members, and a driver's time counts
            if name in options:
                if type(options[name]) is not kind:
                    options[name] = convert(options[name])
            elif index < len(args) and type(args[index]) is not kind:
                args = (*args[:index], convert(args[index]), *args[index + 1 :])
        return target(*args, **options)

    setattr(converting, _MARK, True)
    return typing.cast(Target, converting)


def is_taking_text(function: Callable) -> bool:
    """Whether `takes_text` was applied to a function, or to a class."""
    return hasattr(function.__init__ if isinstance(function, type) else function, _MARK)


def enum_parameters(function: Callable) -> list[tuple[int, str, object]]:
    """Return index, name and annotation of the parameters that take members of an enumeration.

    Parameters
    ----------
    function
        A function, whose annotations may be text that its module can resolve.
    """
    function = inspect.unwrap(function)
    found = []
    for index, one in enumerate(inspect.signature(function).parameters.values()):
        annotation = one.annotation
        if isinstance(annotation, str):
            try:
                # The text is this project's own source.
                annotation = eval(annotation, function.__globals__)
            except (NameError, TypeError, AttributeError):
                # Of a name that only type checkers import, which is no enumeration's (a test).
                continue
        if _enumeration(annotation) is not None:
            found.append((index, one.name, annotation))
    return found


def _enumeration(annotation: object) -> tuple[type, bool, bool] | None:
    """Return the enumeration of an annotation, whether None is legal, whether it is of several."""
    if isinstance(annotation, type) and (
        issubclass(annotation, enum.Enum) or annotation in _FORMATS
    ):
        return annotation, False, False
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (types.UnionType, typing.Union):
        others = [one for one in arguments if one is not type(None)]
        found = _enumeration(others[0]) if len(others) == 1 else None
        return found and (found[0], len(others) < len(arguments), found[2])
    if origin in _COLLECTIONS:
        found = _enumeration(arguments[0])
        plain = found and not found[2] and set(arguments[1:]) <= {..., arguments[0]}
        return (found[0], False, True) if plain else None
    return None


def _conversion(name: str, annotation: object) -> Callable[[object], object]:
    kind, optional, several = _enumeration(annotation)

    def one(value: object) -> object:
        return None if optional and value is None else member(kind, value, name=name)

    def each(values: object) -> object:
        if optional and values is None:
            return None
        if isinstance(values, str) or not isinstance(values, collections.abc.Iterable):
            raise InputError(f"{name} must be several of {_legal(kind)}, not {values!r}")
        made = [member(kind, value, name=name) for value in values]
        return made if isinstance(values, list) else tuple(made)

    return each if several else one
