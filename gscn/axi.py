"""What the AXI4 ports of an accelerator say of every burst, besides where it goes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from gscn.array import ArrayConfig
from gscn.enums import takes_text
from gscn.errors import InputError, raise_problems

_MODIFIABLE = 0b0010
_ALLOCATE = 0b1100
MOST_ADDR_WIDTH = 64
"""Bits of an address that AXI4 has room for."""
BASE_ALIGNMENT_BYTES = 4096
"""Where the array's memory begins on the bus is a multiple of this, which no burst may cross."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AxiAttributes:
    """Constants of all memory ports, chosen when the Verilog is generated.

    They change nothing of what is computed, nor when: they are no part of `ArrayConfig`, and of no
    digest that a driver asks for.

    Raises
    ------
    InputError
        Naming every field that is out of range, or reserved by AXI4, all at once.
    """

    id: int = 0
    """`AxID` of every burst; below 2 to the power of `ArrayConfig.axi_id_width`."""
    prot: int = 0
    """`AxPROT`: 1 privileged, plus 2 non-secure, plus 4 instruction."""
    read_cache: int = 0b0011
    """`ARCACHE`; by default normal memory, not cacheable, bufferable."""
    write_cache: int = 0b0011
    """`AWCACHE`, likewise."""
    addr_width: int = 0
    """Bits of `AxADDR`, up to 64; 0: those of the array's addresses. With more than those, the
    array's memory begins where a register says (`MEMORY_BASE`)."""

    def __post_init__(self) -> None:
        """Collect every problem and raise them together."""
        problems = []
        for field, last in (
            ("id", 0xFFFF),
            ("prot", 7),
            ("read_cache", 15),
            ("write_cache", 15),
            ("addr_width", MOST_ADDR_WIDTH),
        ):
            value = getattr(self, field)
            if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= last:
                problems.append(f"{field} must be a whole number from 0 to {last}, not {value!r}")
            elif field.endswith("cache") and value & _ALLOCATE and not value & _MODIFIABLE:
                problems.append(
                    f"{field} must not allocate (bits 2 and 3) what is not modifiable (bit 1), "
                    f"which AXI4 reserves, as {value:#06b} does"
                )
        raise_problems("AXI4", problems)

    @takes_text
    def bus_addr_width(self, config: ArrayConfig) -> int:
        """Return the bits of `AxADDR` behind which an array is.

        Parameters
        ----------
        config
            Sizes of the array.

        Raises
        ------
        InputError
            They are fewer than those of the array's addresses.
        """
        width = self.addr_width or config.addr_width
        if width < config.addr_width:
            raise InputError(
                f"AXI4 port: addr_width must be at least {config.addr_width}, as the array's is, "
                f"not {width}"
            )
        return width

    def to_dict(self) -> dict[str, int]:
        """Every field by name, in order of declaration."""
        return dataclasses.asdict(self)


DEFAULT_AXI = AxiAttributes()
"""As they are unless something else is asked for."""
