"""The walk of an encode pass: where the vectors of a group are in memory, and what they hold."""

from __future__ import annotations

import numpy as np

from gscn.emulator.encode_checks import (
    EncodeFields,
    counts,
    field_of,
    format_of,
    groups_and_positions,
    strips_of,
    value_bytes,
)
from gscn.encode import BITS_BYTES, GROUP_LOOPS, LOOPS, TENSORS, EncodeError
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.formats import FloatFormat
from gscn.pass_errors import PassError
from gscn.passes import HALFWORD_BYTES, TABLE_ENTRY_BYTES, VECTOR
from gscn.strips import StripsError, decode, map_bounds

INNER = LOOPS - GROUP_LOOPS


class WalkError(InputError):
    """A pass meets an error under way.

    Parameters
    ----------
    error
        Its code.
    """

    @takes_text
    def __init__(self, error: EncodeError) -> None:
        super().__init__(f"{error.name}: an encode pass must not meet it")
        self.error = error


class Walk:
    """Positions and groups of a pass whose descriptor has no error.

    Parameters
    ----------
    d
        The descriptor.
    memory
        uint8.
    """

    def __init__(self, d: EncodeFields, memory: np.ndarray) -> None:
        self.d, self.memory = d, memory
        self.groups, self.positions = groups_and_positions(d)
        self.vectors = 1 << d.vectors
        self.lanes = VECTOR << d.vectors
        steps = counts(d)
        numbers = np.indices(steps[INNER - 1 :: -1]).reshape(INNER, -1)[::-1]
        self.inner = numbers.astype(np.int64)
        """Counters of loops 0 to 4 of each position."""
        self.outer = np.indices(steps[: INNER - 1 : -1]).reshape(GROUP_LOOPS, -1)[::-1]
        """Counters of loops 5 to 7 of each group."""
        self._strips = self._decoded() if d.t0_strips else None

    def there(self, group: int) -> np.ndarray:
        """Return which values there are: bool (positions, lanes)."""
        d = self.d
        real = min(d.group_channels, d.channels - int(self.outer[0, group]) * d.group_channels)
        inside = np.ones(self.positions, dtype=np.bool_)
        for axis in "yx":
            place = self._affine(f"{axis}_step", group) + field_of(d, axis, "_first")
            inside &= (place >= 0) & (place < field_of(d, axis, "_limit"))
        return inside[:, None] & (np.arange(self.lanes) < real)

    def vectors_of(self, stream: str, group: int) -> np.ndarray:
        """Return bytes from a stream's first to its vectors: int64 (positions, vectors)."""
        first = field_of(self.d, stream, "_first") + self._affine(f"{stream}_step", group)
        return first[:, None] + np.arange(self.vectors) * field_of(self.d, stream, "_vector")

    def values(self, tensor: int, group: int, there: np.ndarray) -> np.ndarray:
        """Return values of a tensor as int64 (positions, lanes): float32 codes, or integers."""
        d = self.d
        number = field_of(d, "t", tensor, "_format")
        if number == 0:
            return np.zeros(there.shape, dtype=np.int64)
        if tensor == 0 and self._strips is not None:
            codes = self._strips[group].astype(np.int64)
        else:
            codes = self._dense(tensor, number, group, there)
        codes = np.where(there, codes, 0)
        fmt = format_of(number)
        absolute = d.absolute >> tensor & 1
        if isinstance(fmt, FloatFormat):
            codes = codes << (32 - fmt.width)
            return codes & 0x7FFFFFFF if absolute else codes
        half = 1 << (fmt.width - 1)
        numbers = (codes ^ half) - half
        return np.abs(numbers) if absolute else numbers

    def mask(self, group: int, there: np.ndarray) -> np.ndarray:
        """Return which values are kept by the bits of another tensor: bool (positions, lanes)."""
        if not self.d.masked:
            return np.ones(there.shape, dtype=np.bool_)
        places = self.vectors_of("mask", group)
        used = there.reshape(-1, self.vectors, VECTOR).any(axis=-1)
        bits = self._gathered("mask", places, used, BITS_BYTES)
        lanes = bits[:, :, None] >> np.arange(VECTOR) & 1
        return lanes.reshape(there.shape).astype(np.bool_)

    def _affine(self, name: str, group: int) -> np.ndarray:
        steps = [field_of(self.d, name, loop) for loop in range(LOOPS)]
        outer = int(np.dot(steps[INNER:], self.outer[:, group]))
        return outer + np.array(steps[:INNER], dtype=np.int64) @ self.inner

    def _gathered(self, stream: str, places: np.ndarray, used: np.ndarray, size: int) -> np.ndarray:
        """Return little-endian numbers of `size` bytes at places of a stream; unused ones are 0."""
        first, end = field_of(self.d, stream, "_addr"), field_of(self.d, stream, "_end")
        places = first + places[used]
        if places.size:
            if places.min() < first or places.max() + size > end:
                raise WalkError(EncodeError.RANGE)
            if places.max() + size > self.memory.size:
                raise WalkError(EncodeError.BUS_READ)
        found = np.zeros(used.shape, dtype=np.int64)
        parts = [self.memory[places + n].astype(np.int64) << 8 * n for n in range(size)]
        found[used] = sum(parts)
        return found

    def _dense(self, tensor: int, number: int, group: int, there: np.ndarray) -> np.ndarray:
        """Return codes of a dense tensor."""
        d, stream, size = self.d, f"t{tensor}", value_bytes(number)
        lanes = np.arange(self.lanes)
        if d.transposed:
            # A block of 16 steps of loop 2 lies within a vector, and 16 lanes across.
            places = self.vectors_of(stream, group)[:, lanes // VECTOR]
            step = field_of(d, stream, "_step", 2)
            blocks, inside = np.divmod(self.inner[2], VECTOR)
            places = places + (blocks * step + inside * size - self.inner[2] * step)[:, None]
            places = places + lanes % VECTOR * field_of(d, stream, "_lane")
        else:
            places = self.vectors_of(stream, group)[:, lanes // VECTOR] + lanes % VECTOR * size
        return self._gathered(stream, places, there, size)

    def _decoded(self) -> np.ndarray:
        """Return the codes of a tensor 0 that is strips: (groups, positions, lanes)."""
        d, memory = self.d, self.memory
        rows = strips_of(d, d.a_positions) + 1
        size = rows * self.groups * TABLE_ENTRY_BYTES
        if max(d.t0_table + size, d.t0_end) > memory.size:
            raise WalkError(EncodeError.BUS_READ)
        table = memory[d.t0_table : d.t0_table + size].view("<u4").reshape(rows, self.groups)
        even = (d.t0_end - d.t0_addr) // HALFWORD_BYTES * HALFWORD_BYTES
        data = memory[d.t0_addr : d.t0_addr + even]
        bounds = map_bounds(self.positions // d.period, d.period, 1, d.a_positions)
        try:
            return decode(data, table, bounds, self.lanes, format_of(d.t0_format))
        except StripsError as error:
            code = EncodeError.TABLE if error.error == PassError.TABLE else EncodeError.STRIP
            raise WalkError(code) from None


assert TENSORS == 3
