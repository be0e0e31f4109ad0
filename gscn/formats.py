"""Number formats of operands and results."""

from __future__ import annotations

from dataclasses import dataclass

from gscn.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class IntFormat:
    """A two's complement integer format."""

    name: str
    width: int
    """Bits, sign included."""

    @property
    def minimum(self) -> int:
        """Smallest value."""
        return -(1 << (self.width - 1))

    @property
    def maximum(self) -> int:
        """Largest value."""
        return (1 << (self.width - 1)) - 1


INT8 = IntFormat(name="int8", width=8)
INT16 = IntFormat(name="int16", width=16)
INT32 = IntFormat(name="int32", width=32)

OPERAND_FORMATS = {f.name: f for f in (INT8, INT16)}


def operand_format(name: str) -> IntFormat:
    """Return the operand format called `name`; raise `InputError` for an unknown one."""
    if name not in OPERAND_FORMATS:
        raise InputError(
            f"operand format must be one of {', '.join(sorted(OPERAND_FORMATS))}, not {name!r}"
        )
    return OPERAND_FORMATS[name]
