"""The accelerator's configuration: one immutable object from which everything else is derived."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass
from typing import ClassVar

from gscn.errors import InputError, raise_problems
from gscn.fields import Fields
from gscn.formats import FLOAT_OPERAND_FORMATS, OPERAND_FORMATS, FloatFormat, IntFormat

CHUNK_WIDTH = 64
"""Bits of one chunk, the unit in which clusters consume every memory stream."""
CHUNK_BYTES = CHUNK_WIDTH // 8
ALIGNMENT_BYTES = 64
"""Every address in a descriptor is a multiple of this, whatever the port width."""
ALIGNMENT_BITS = ALIGNMENT_BYTES.bit_length() - 1
"""Low bits of such an address, all 0."""
PARTIAL_WIDTH = 64
"""Bits of one raw partial sum in memory."""
BANKS = 2
"""Stationary banks of a PE: so many load blocks a cluster holds at a time."""


def _is_power_of_two(value: int) -> bool:
    return value > 0 and value & (value - 1) == 0


@dataclass(frozen=True, kw_only=True, slots=True)
class AcceleratorConfig(Fields):
    """Sizes and widths of one accelerator.

    Raises
    ------
    InputError
        Naming every field that is out of range, all at once.
    """

    ADDED: ClassVar[dict[str, int | str]] = {"ports": 1, "axi_id_width": 1, "float_formats": ""}

    clusters: int = 8
    """Number of clusters, each taking jobs on its own; 1 to 256."""
    pes_per_cluster: int = 2
    """PEs (multipliers) that share one broadcast stream; power of two, 1 to 8."""
    a_depth: int = 1024
    """Stationary entries per PE and bank; power of two, 8 to 32768."""
    directory_depth: int = 1024
    """Keys per PE and bank; power of two, 8 to 32768."""
    taps_depth: int = 64
    """Taps per PE and bank; power of two, 1 to 256."""
    b_fifo_depth: int = 16
    """Streamed words queued per PE; 2 to 1024."""
    match_fifo_depth: int = 4
    """Fibers found ahead of the multiplier, per PE; 2 to 64."""
    acc_depth: int = 4096
    """Accumulators per PE and bank; power of two, 16 to 32768."""
    acc_width: int = 48
    """Bits of an accumulator; at least a product (twice the operand), at most 48."""
    operand_format: str = "int16"
    """Number format of both operands; one of `gscn.formats.OPERAND_FORMATS`."""
    mem_width: int = 512
    """Bits of a memory port; 64, 128, 256 or 512, at least 64 per PE of a cluster."""
    burst_beats: int = 4
    """Longest burst in beats; power of two, 1 to 16."""
    read_fifo_beats: int = 16
    """Beats buffered per read channel; power of two, 2 x `burst_beats` to 256."""
    outstanding_bursts: int = 32
    """Read bursts under way at once at each port; power of two, 1 to 256."""
    prefetch_words: int = 256
    """A cluster asks for its next job when so many stream items of its job are left; 0 to 65535."""
    addr_width: int = 32
    """Bits of a byte address; 20 to 40."""
    ports: int = 1
    """Memory ports, each of consecutive clusters; power of two, 1 to 64, at most `clusters`."""
    axi_id_width: int = 1
    """Bits of the IDs of the AXI4 ports, if the core is behind such; 1 to 16."""
    float_formats: str = ""
    """Floating-point formats that jobs may name besides the operand format: names of
    `gscn.formats.FLOAT_OPERAND_FORMATS` with commas between, kept in the order of that table."""

    def __post_init__(self) -> None:
        """Collect every problem and raise them together."""
        self._check_types()
        problems = []

        def need(field: str, holds: bool, requirement: str) -> None:
            if not holds:
                problems.append(f"{field} must be {requirement}, not {getattr(self, field)!r}")

        floats = self.float_formats.split(",") if self.float_formats else []
        need(
            "float_formats",
            set(floats) <= set(FLOAT_OPERAND_FORMATS) and len(set(floats)) == len(floats),
            f"empty or different names of {', '.join(FLOAT_OPERAND_FORMATS)} with commas between",
        )
        ordered = ",".join(name for name in FLOAT_OPERAND_FORMATS if name in floats)
        need("clusters", 1 <= self.clusters <= 256, "1 to 256")
        need(
            "pes_per_cluster",
            _is_power_of_two(self.pes_per_cluster) and self.pes_per_cluster <= 8,
            "a power of two from 1 to 8",
        )
        for field, low, high in (
            ("a_depth", 8, 32768),
            ("directory_depth", 8, 32768),
            ("taps_depth", 1, 256),
            ("acc_depth", 16, 32768),
            ("burst_beats", 1, 16),
            ("outstanding_bursts", 1, 256),
        ):
            value = getattr(self, field)
            need(
                field,
                _is_power_of_two(value) and low <= value <= high,
                f"a power of two from {low} to {high}",
            )
        known_format = self.operand_format in OPERAND_FORMATS
        need("b_fifo_depth", 2 <= self.b_fifo_depth <= 1024, "2 to 1024")
        need("match_fifo_depth", 2 <= self.match_fifo_depth <= 64, "2 to 64")
        operand_width = OPERAND_FORMATS[self.operand_format].width if known_format else 8
        need(
            "acc_width",
            max(24, 2 * operand_width) <= self.acc_width <= 48,
            "24 to 48 and at least twice the operand's width",
        )
        need(
            "operand_format",
            known_format,
            f"one of {', '.join(sorted(OPERAND_FORMATS))}",
        )
        need(
            "mem_width",
            self.mem_width in (64, 128, 256, 512)
            and self.mem_width >= PARTIAL_WIDTH * self.pes_per_cluster,
            "64, 128, 256 or 512 and at least 64 x pes_per_cluster",
        )
        need(
            "read_fifo_beats",
            _is_power_of_two(self.read_fifo_beats)
            and 2 * self.burst_beats <= self.read_fifo_beats <= 256,
            "a power of two from 2 x burst_beats to 256",
        )
        need("prefetch_words", 0 <= self.prefetch_words <= 65535, "0 to 65535")
        need("addr_width", 20 <= self.addr_width <= 40, "20 to 40")
        need(
            "ports",
            _is_power_of_two(self.ports) and self.ports <= min(64, self.clusters),
            "a power of two from 1 to 64 and at most clusters",
        )
        need("axi_id_width", 1 <= self.axi_id_width <= 16, "1 to 16")
        raise_problems("configuration", problems)
        # one set of formats is one configuration, with one digest
        object.__setattr__(self, "float_formats", ordered)

    def _check_types(self) -> None:
        problems = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type == "int" and (not isinstance(value, int) or isinstance(value, bool)):
                problems.append(f"{field.name} must be a whole number, not {value!r}")
        problems += [
            f"{name} must be text, not {getattr(self, name)!r}"
            for name in ("operand_format", "float_formats")
            if not isinstance(getattr(self, name), str)
        ]
        raise_problems("configuration", problems)

    @property
    def format(self) -> IntFormat:
        """Operand format."""
        return OPERAND_FORMATS[self.operand_format]

    @property
    def floats(self) -> tuple[FloatFormat, ...]:
        """Floating-point formats of operands, in the order of their numbers."""
        return tuple(
            fmt for name, fmt in FLOAT_OPERAND_FORMATS.items() if name in self._float_names
        )

    @property
    def _float_names(self) -> list[str]:
        return self.float_formats.split(",")

    @property
    def value_width(self) -> int:
        """Bits of an operand as it is stored: of the widest format."""
        return max(fmt.width for fmt in (self.format, *self.floats))

    @property
    def multipliers(self) -> int:
        """Multipliers in all, one per PE."""
        return self.clusters * self.pes_per_cluster

    @property
    def mem_bytes(self) -> int:
        """Bytes of one beat of a memory port."""
        return self.mem_width // 8

    @property
    def port_bytes_per_cycle(self) -> int:
        """Bytes that all memory ports together move in a cycle, in each direction."""
        return self.ports * self.mem_bytes

    @property
    def port_slices(self) -> tuple[range, ...]:
        """The clusters of each memory port, as even as can be."""
        first = [-(-port * self.clusters // self.ports) for port in range(self.ports + 1)]
        return tuple(range(*bounds) for bounds in itertools.pairwise(first))

    @property
    def chunks_per_beat(self) -> int:
        """64-bit chunks in one beat of a memory port."""
        return self.mem_width // CHUNK_WIDTH

    @property
    def most_load_chunks(self) -> int:
        """Chunks of the longest possible load block: all taps, and a full tile for each PE."""
        tile = 1 + self.directory_depth // 2 + self.a_depth // 2
        return self.taps_depth + self.pes_per_cluster * tile


PRESETS = {
    "tiny": AcceleratorConfig(
        clusters=2,
        pes_per_cluster=2,
        a_depth=64,
        directory_depth=64,
        taps_depth=16,
        b_fifo_depth=4,
        acc_depth=256,
        mem_width=128,
        burst_beats=2,
        read_fifo_beats=8,
    ),
    "small": AcceleratorConfig(clusters=8, pes_per_cluster=2),
    "large": AcceleratorConfig(clusters=32, pes_per_cluster=2),
}
"""`tiny` forces every kind of splitting; `small` has 16 multipliers, `large` 64."""


def preset(name: str) -> AcceleratorConfig:
    """Return the preset called `name`; raise `InputError` for an unknown one."""
    if name not in PRESETS:
        raise InputError(f"configuration must be one of {', '.join(PRESETS)}, not {name!r}")
    return PRESETS[name]
