"""Passes as one list, in a region of memory that may lie anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from gscn.array import ArrayConfig
from gscn.errors import InputError
from gscn.lowering.descriptor import ALIGNMENT
from gscn.lowering.pass_image import PassImage
from gscn.passes import DESCRIPTOR_BYTES, PASS_DESCRIPTOR

_OF_OPERANDS = ("s_data", "s_table", "t_data", "t_table")
_OF_RESULTS = ("out_addr", "out_end")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ListImage:
    """Passes with their operands: descriptors, operands, then the room of results."""

    config: ArrayConfig
    content: np.ndarray = field(repr=False)
    """uint8: descriptors, from the first byte on, and operands, of a region at address 0."""
    pass_count: int
    memory_bytes: int
    """Bytes of the region, results included; a multiple of 64."""
    output_ranges: tuple[tuple[int, int], ...] = field(repr=False)
    """Byte ranges (start, end) of results in the region, in the order of the list."""

    def at(self, base: int) -> np.ndarray:
        """Return the content (uint8) of a region that begins at another address.

        Parameters
        ----------
        base
            Byte address, a multiple of 64.

        Raises
        ------
        InputError
            It is no such address, or the region would end beyond the array's addresses.
        """
        end = 1 << self.config.addr_width
        if base < 0 or base % ALIGNMENT or base + self.memory_bytes > end:
            raise InputError(
                f"base must be a multiple of {ALIGNMENT} with {self.memory_bytes} bytes below "
                f"{end:#x}, not {base:#x}"
            )
        return np.concatenate(
            [
                relocated(self.content[: self.pass_count * DESCRIPTOR_BYTES], base, base),
                self.content[self.pass_count * DESCRIPTOR_BYTES :],
            ]
        )


def join_passes(passes: Sequence[PassImage]) -> ListImage:
    """Return passes of one array, at least one, as one list in one region.

    Raises
    ------
    InputError
        There is none, they are of several configurations, or the region is beyond the array's
        addresses.
    """
    if not passes:
        raise InputError("passes must be at least one, not none")
    config = passes[0].config
    if any(one.config != config for one in passes):
        raise InputError("passes must be of one configuration, not of several")
    count = sum(one.descriptor_count for one in passes)
    own = [one.descriptor_count * DESCRIPTOR_BYTES for one in passes]
    starts = np.cumsum([count * DESCRIPTOR_BYTES, *(one.operand_bytes for one in passes)])
    room = [one.memory_bytes - one.image.size for one in passes]
    ends = int(starts[-1]) + np.cumsum([0, *room])
    lists, operands, ranges = [], [], []
    for one, listed, start, end in zip(passes, own, starts, ends, strict=False):
        moved = int(end) - one.image.size
        lists.append(relocated(one.image[:listed], int(start) - listed, moved))
        operands.append(one.image[listed:])
        ranges += [(low + moved, high + moved) for low, high in one.output_ranges]
    memory_bytes = int(ends[-1])
    if memory_bytes > 1 << config.addr_width:
        raise InputError(
            f"addr_width must be enough for {memory_bytes} bytes, not {config.addr_width}"
        )
    return ListImage(
        config=config,
        content=np.concatenate([*lists, *operands]),
        pass_count=count,
        memory_bytes=memory_bytes,
        output_ranges=tuple(ranges),
    )


def relocated(descriptors: np.ndarray, operands: int, results: int) -> np.ndarray:
    """Return descriptors (uint8) whose operands and results lie so many bytes further on."""
    moved = PASS_DESCRIPTOR.unpack(descriptors).copy()
    for names, distance in ((_OF_OPERANDS, operands), (_OF_RESULTS, results)):
        for name in names:
            moved[name] = (moved[name].astype(np.int64) + distance).astype(np.uint64)
    return moved.view(np.uint8)
