"""What the AXI4 ports of an accelerator say of every burst, besides where it goes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from gscn.errors import raise_problems

_MODIFIABLE = 0b0010
_ALLOCATE = 0b1100


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

    def __post_init__(self) -> None:
        """Collect every problem and raise them together."""
        problems = []
        for field, last in (("id", 0xFFFF), ("prot", 7), ("read_cache", 15), ("write_cache", 15)):
            value = getattr(self, field)
            if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= last:
                problems.append(f"{field} must be a whole number from 0 to {last}, not {value!r}")
            elif field.endswith("cache") and value & _ALLOCATE and not value & _MODIFIABLE:
                problems.append(
                    f"{field} must not allocate (bits 2 and 3) what is not modifiable (bit 1), "
                    f"which AXI4 reserves, as {value:#06b} does"
                )
        raise_problems("AXI4", problems)

    def to_dict(self) -> dict[str, int]:
        """Every field by name, in order of declaration."""
        return dataclasses.asdict(self)


DEFAULT_AXI = AxiAttributes()
"""As they are unless something else is asked for."""
