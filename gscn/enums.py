"""Members of enumerations from text, at the entries of public functions.

A member of a `StrEnum` equals its text but is not it: code that asks `which is Pass.FORWARD` would
take "forward" for another pass. What comes from outside is therefore turned into a member first.
"""

from __future__ import annotations

import enum
from typing import TypeVar

from gscn.errors import InputError

Member = TypeVar("Member", bound=enum.StrEnum)


def member(kind: type[Member], value: object, *, name: str | None = None) -> Member:
    """Return the member of an enumeration that a value is, or is the text of.

    Parameters
    ----------
    kind
        The enumeration.
    value
        A member of it, or its text.
    name
        What the message calls it; by default the enumeration's name in small letters.

    Raises
    ------
    InputError
        It is neither; the message names the legal values.
    """
    try:
        return kind(value)
    except ValueError as error:
        what = name or kind.__name__.lower()
        raise InputError(f"{what} must be one of {', '.join(kind)}, not {value!r}") from error
