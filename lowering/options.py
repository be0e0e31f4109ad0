"""What a lowering can be told: choices that are otherwise made by the cost model."""

from __future__ import annotations

from dataclasses import dataclass

from gscn.errors import raise_problems


@dataclass(frozen=True, kw_only=True, slots=True)
class LoweringOptions:
    """Choices that are otherwise made by the cost model; none of them changes a result.

    Raises
    ------
    InputError
        Naming every field out of range.
    """

    stationary: str = "auto"
    """Operand held by the PEs: `first`, `second` (as in `ConvShape.operand_shapes`) or `auto`."""
    trim: bool | None = None
    """True: treat border columns separately, so that no product falls off the border; False: let
    those products land in guard cells; None: whichever is estimated to be faster."""
    contraction_parts: int | None = None
    """Jobs among which the sum of one result is divided, at least 1; None: chosen."""
    fold: bool | None = None
    """Weight gradient: True finds the products of a whole kernel row by one look-up, where keys
    and offsets fit their fields; False those of one position; None: the faster by estimate."""
    candidates: int | None = None
    """Tilings that are built in full before the best is taken, at least 1; None: by size."""
    waves: bool | None = None
    """Weight gradient of a 1x1 kernel: True divides it into waves of one job per cluster
    (`lowering.waves`), where it can be; False does not; None: if that is faster, among the tilings
    of a small layer for which a `cost` is given."""
    balance: bool = True
    """Deal channels to PEs and cut strips by nonzeros; False: by index, as a baseline."""
    reorder: bool = True
    """Order the streams so that the PEs of a cluster advance together; False: in pixel order."""

    def __post_init__(self) -> None:
        """Collect every problem and raise them together."""
        problems = []
        if self.stationary not in ("auto", "first", "second"):
            problems.append(f"stationary must be auto, first or second, not {self.stationary!r}")
        for name in ("contraction_parts", "candidates"):
            value = getattr(self, name)
            if value is not None and value < 1:
                problems.append(f"{name} must be at least 1, not {value!r}")
        raise_problems("lowering options", problems)
