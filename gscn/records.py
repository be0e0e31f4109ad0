"""Layouts of records that cross memory: one definition for RTL, drivers and models.

All records are little-endian and made of byte-aligned fields.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gscn.errors import InputError


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record."""

    name: str
    width: int
    """Bits: 8, 16, 32 or 64."""
    signed: bool
    meaning: str


def unsigned(name: str, width: int, meaning: str) -> Field:
    """Return a field of a number that is never negative."""
    return Field(name, width, False, meaning)


def signed(name: str, width: int, meaning: str) -> Field:
    """Return a field of a number in two's complement."""
    return Field(name, width, True, meaning)


@dataclass(frozen=True, slots=True)
class Record:
    """A named sequence of fields, the first in the lowest bits."""

    name: str
    fields: tuple[Field, ...]
    dtype: np.dtype = field(init=False, repr=False, compare=False)
    """The record as a packed little-endian numpy structure."""
    _ranges: dict[str, tuple[int, int]] = field(init=False, repr=False, compare=False)
    """Least and greatest value of each field."""

    def __post_init__(self) -> None:
        """Derive once what packing needs: small records are packed very often."""
        types = [(f.name, f"<{'i' if f.signed else 'u'}{f.width // 8}") for f in self.fields]
        ranges = {name: np.iinfo(code) for name, code in types}
        object.__setattr__(self, "dtype", np.dtype(types))
        object.__setattr__(
            self, "_ranges", {name: (info.min, info.max) for name, info in ranges.items()}
        )

    @property
    def width(self) -> int:
        """Bits in all."""
        return sum(one.width for one in self.fields)

    def pack(self, count: int | None = None, /, **values: np.ndarray | int) -> np.ndarray:
        """Return a structured array of `count` records; fields not named are zero.

        Parameters
        ----------
        count
            Number of records; by default the length of the array values, or 1.
        **values
            Array (count,) or number per field, checked against the field's range.

        Raises
        ------
        InputError
            A value does not fit its field, or the field is unknown.
        """
        arrays = {name: np.asarray(v) for name, v in values.items() if not isinstance(v, int)}
        if count is None:
            sizes = [array.size for array in arrays.values()]
            count = max(sizes) if any(array.ndim for array in arrays.values()) else 1
        packed = np.zeros(count, dtype=self.dtype)
        for name, value in values.items():
            if name not in self._ranges:
                raise InputError(f"record {self.name} has no field {name!r}")
            low, high = self._ranges[name]
            array = arrays.get(name)
            if array is None:
                least = most = value
            elif array.size:
                least, most = array.min(), array.max()
            else:
                continue
            if least < low or most > high:
                raise InputError(
                    f"{self.name}.{name} must lie in [{low}, {high}], not [{least}, {most}]"
                )
            packed[name] = value
        return packed

    def unpack(self, data: np.ndarray) -> np.ndarray:
        """View bytes (uint8, any length that is a multiple of the record) as records."""
        return np.ascontiguousarray(data).view(self.dtype)


OUT_INT16 = 0
OUT_INT32 = 1
OUT_RAW = 2
OUT_OWN = 0
"""Of a floating-point pass: results in the operands' format."""
OUT_FLOAT32 = 1
"""Of a floating-point pass: results in float32."""
OUT_BF16 = 3
"""Of a floating-point pass only: results in bf16."""
MOST_SHIFT = 47
"""Highest shift of a rounded result."""
OUT_WIDTHS = {OUT_INT16: 16, OUT_INT32: 32, OUT_RAW: 64, OUT_BF16: 16}
"""Bits of a result per output format."""
PLUS_BIT, MINUS_BIT = 62, 63
"""Bits of the raw partial sum of a floating-point pass that say +infinity and -infinity; both say
NaN."""
