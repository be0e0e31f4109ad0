"""What a register of the AXI4-Lite port is: its place, its fields, what the host may do with it."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

from gscn.enums import takes_text
from gscn.errors import InputError

REGISTER_WIDTH = 32
"""Bits of a register."""


class Top(enum.StrEnum):
    """What registers are of."""

    ARRAY = "array"
    """It runs lists of passes (`docs/contract/passes.md`)."""
    MACHINE = "machine"
    """It has an encode unit, too, and runs lists of both kinds (`docs/contract/lists.md`)."""


class Access(enum.StrEnum):
    """What the host may do with a register."""

    READ = "read"
    WRITE = "write"
    """A write acts at once; nothing is stored."""
    READ_WRITE = "read-write"
    CLEAR = "write 1 to clear"


@takes_text
@dataclass(frozen=True, slots=True)
class RegisterField:
    """Consecutive bits of a register."""

    name: str
    low: int
    """Lowest bit."""
    width: int
    """Bits."""
    meaning: str
    top: Top | None = None
    """What has it; by default both."""

    @property
    def mask(self) -> int:
        """The field's bits in the register."""
        return ((1 << self.width) - 1) << self.low


@takes_text
@dataclass(frozen=True, slots=True)
class Register:
    """One register."""

    name: str
    offset: int
    """Bytes from the start of the map."""
    access: Access
    fields: tuple[RegisterField, ...]
    meaning: str
    reset: int | None = 0
    """Value after reset; None if it depends on the configuration."""
    top: Top | None = None
    """What has it; by default both."""

    @property
    def mask(self) -> int:
        """The bits that belong to a field."""
        return sum(field.mask for field in self.fields)

    @property
    def readable(self) -> bool:
        """Whether a read succeeds."""
        return self.access is not Access.WRITE

    @property
    def writable(self) -> bool:
        """Whether a write succeeds."""
        return self.access is not Access.READ

    @takes_text
    def of(self, top: Top) -> Register:
        """Return it as `top` has it: with fewer fields, maybe."""
        fields = tuple(field for field in self.fields if field.top in (None, top))
        return replace(self, fields=fields)

    def field(self, name: str) -> RegisterField:
        """Return the field called `name`; raise `InputError` for an unknown one."""
        for field in self.fields:
            if field.name == name:
                return field
        known = ", ".join(field.name for field in self.fields)
        raise InputError(f"field of {self.name} must be one of {known}, not {name!r}")


@takes_text
def address(
    name: str,
    offset: int,
    access: Access,
    meaning: str,
    *,
    note: str = "",
    top: Top | None = None,
) -> tuple[Register, Register]:
    """Return the two registers of a byte address.

    Parameters
    ----------
    name, offset, access, meaning, top
        As of a register; of the lower half.
    note
        What is said of the lower bits besides.
    """
    low, high = whole(f"bits 31 to 0{note}"), whole("bits 63 to 32")
    return (
        Register(f"{name}_LO", offset, access, low, meaning, top=top),
        Register(
            f"{name}_HI",
            offset + REGISTER_WIDTH // 8,
            access,
            high,
            "the same, upper half",
            top=top,
        ),
    )


def whole(meaning: str) -> tuple[RegisterField, ...]:
    """Return the fields of a register that is one number."""
    return (RegisterField("value", 0, REGISTER_WIDTH, meaning),)
