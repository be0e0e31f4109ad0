"""Sizes of an array that cuts its own jobs: one immutable object for RTL, models and drivers."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from gscn.enums import takes_text
from gscn.errors import InputError, raise_problems
from gscn.formats import FLOAT_OPERAND_FORMATS, OPERAND_FORMATS, FloatFormat, IntFormat


def _is_power_of_two(value: int) -> bool:
    return value > 0 and value & (value - 1) == 0


@dataclass(frozen=True, kw_only=True, slots=True)
class ArrayConfig:
    """Sizes and widths of one array.

    Raises
    ------
    InputError
        Naming every field that is out of range, all at once.
    """

    clusters: int = 16
    """Clusters, each with a stationary window, a stream and accumulators; 1 to 64."""
    pes: int = 4
    """PEs (multipliers) of a cluster, which take its words in turn; power of two, 1 to 16."""
    stationary_depth: int = 4096
    """Stationary entries, copied in each PE; power of two, 16 to 32768."""
    directory_depth: int = 4096
    """Keys, likewise; power of two, 16 to 32768."""
    chunks_depth: int = 64
    """Stationary chunks of which a cluster keeps the ends; power of two, 4 to 256."""
    acc_depth: int = 2304
    """Accumulators per PE and bank; a multiple of `drain_width`, 16 to 32768."""
    drain_width: int = 4
    """Results that a cluster drains in a cycle; power of two, 1 to 8."""
    word_depth: int = 4
    """Words queued per PE; 2 to 64."""
    fiber_depth: int = 4
    """Fibers found ahead of the multiplier, per PE; 2 to 64."""
    job_depth: int = 2
    """Jobs queued per cluster; 1 to 8."""
    acc_width: int = 48
    """Bits of an accumulator; at least a product (twice the operand), at most 48."""
    operand_format: str = "int16"
    """Number format of both operands; one of `gscn.formats.OPERAND_FORMATS`."""
    float_formats: str = ""
    """Floating-point formats that passes may name besides: names of
    `gscn.formats.FLOAT_OPERAND_FORMATS` with commas between, in the order of that table."""
    mem_width: int = 512
    """Bits of a memory port; 64, 128, 256 or 512, at least 64 x `drain_width`."""
    burst_beats: int = 4
    """Longest burst in beats; power of two, 1 to 16."""
    read_fifo_beats: int = 16
    """Beats buffered per read channel; power of two, 2 x `burst_beats` to 256."""
    outstanding_bursts: int = 32
    """Read bursts under way at once at each port; power of two, 1 to 256."""
    addr_width: int = 32
    """Bits of a byte address; 20 to 40."""
    ports: int = 1
    """Memory ports, each of consecutive clusters; power of two, 1 to 64, at most `clusters`."""
    axi_id_width: int = 1
    """Bits of AXI transaction identifiers, which the core sets to 0; 1 to 16."""

    def __post_init__(self) -> None:
        """Collect every problem and raise them together."""
        problems: list[str] = []

        def need(field: str, holds: bool, requirement: str) -> None:
            if not holds:
                problems.append(f"{field} must be {requirement}, not {getattr(self, field)!r}")

        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type == "int" and (not isinstance(value, int) or isinstance(value, bool)):
                problems.append(f"{field.name} must be a whole number, not {value!r}")
            if field.type == "str" and not isinstance(value, str):
                problems.append(f"{field.name} must be text, not {value!r}")
        raise_problems("array", problems)
        for field, low, high in (
            ("pes", 1, 16),
            ("stationary_depth", 16, 32768),
            ("directory_depth", 16, 32768),
            ("chunks_depth", 4, 256),
            ("drain_width", 1, 8),
            ("burst_beats", 1, 16),
            ("outstanding_bursts", 1, 256),
        ):
            value = getattr(self, field)
            need(
                field,
                _is_power_of_two(value) and low <= value <= high,
                f"a power of two from {low} to {high}",
            )
        need("clusters", 1 <= self.clusters <= 64, "1 to 64")
        for field, low, high in (
            ("word_depth", 2, 64),
            ("fiber_depth", 2, 64),
            ("job_depth", 1, 8),
            ("axi_id_width", 1, 16),
            ("addr_width", 20, 40),
        ):
            need(field, low <= getattr(self, field) <= high, f"{low} to {high}")
        need(
            "acc_depth",
            16 <= self.acc_depth <= 32768 and self.acc_depth % max(1, self.drain_width) == 0,
            "a multiple of drain_width from 16 to 32768",
        )
        known = self.operand_format in OPERAND_FORMATS
        need("operand_format", known, f"one of {', '.join(sorted(OPERAND_FORMATS))}")
        width = OPERAND_FORMATS[self.operand_format].width if known else 8
        need(
            "acc_width",
            max(24, 2 * width) <= self.acc_width <= 48,
            "24 to 48 and at least twice the operand's width",
        )
        names = self.float_formats.split(",") if self.float_formats else []
        need(
            "float_formats",
            names == [name for name in FLOAT_OPERAND_FORMATS if name in names],
            f"empty or some of {', '.join(FLOAT_OPERAND_FORMATS)}, in that order",
        )
        need(
            "mem_width",
            self.mem_width in (64, 128, 256, 512) and self.mem_width >= 64 * self.drain_width,
            "64, 128, 256 or 512 and at least 64 x drain_width",
        )
        need(
            "read_fifo_beats",
            _is_power_of_two(self.read_fifo_beats)
            and 2 * self.burst_beats <= self.read_fifo_beats <= 256,
            "a power of two from 2 x burst_beats to 256",
        )
        need(
            "ports",
            _is_power_of_two(self.ports) and self.ports <= min(64, self.clusters),
            "a power of two from 1 to 64 and at most clusters",
        )
        raise_problems("array", problems)

    @property
    def format(self) -> IntFormat:
        """Operand format."""
        return OPERAND_FORMATS[self.operand_format]

    @property
    def floats(self) -> tuple[FloatFormat, ...]:
        """Floating-point formats of operands, in the order of their numbers."""
        names = self.float_formats.split(",")
        return tuple(fmt for name, fmt in FLOAT_OPERAND_FORMATS.items() if name in names)

    @property
    def value_width(self) -> int:
        """Bits of an operand as it is kept in a PE: of the widest format."""
        return max(fmt.width for fmt in (self.format, *self.floats))

    @property
    def multipliers(self) -> int:
        """Multipliers in all, one per PE."""
        return self.clusters * self.pes

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
    def mem_bytes(self) -> int:
        """Bytes of one beat of a memory port."""
        return self.mem_width // 8

    @property
    def index_width(self) -> int:
        """Bits of an accumulator's index; offsets are added modulo two to that."""
        return (self.acc_depth - 1).bit_length()

    @property
    def key_width(self) -> int:
        """Bits of a key, modulo the directory."""
        return (self.directory_depth - 1).bit_length()

    @property
    def entry_width(self) -> int:
        """Bits of the number of a stationary entry, modulo the stationary memory."""
        return (self.stationary_depth - 1).bit_length()

    def to_dict(self) -> dict[str, int | str]:
        """Every field by name, in order of declaration."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    def digest(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of the configuration's canonical JSON."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @classmethod
    def from_dict(cls, fields: dict[str, int | str]) -> Self:
        """Build from a mapping; raise `InputError` naming unknown fields."""
        known = {f.name for f in dataclasses.fields(cls)}
        raise_problems(
            "configuration",
            [
                f"unknown field {name!r} (known: {', '.join(sorted(known))})"
                for name in fields
                if name not in known
            ],
        )
        return cls(**fields)

    def with_overrides(self, assignments: list[str]) -> Self:
        """Return a copy with `field=value` strings applied; raise `InputError` for bad ones."""
        fields = self.to_dict()
        problems = []
        for assignment in assignments:
            name, separator, text = assignment.partition("=")
            if not separator:
                problems.append(f"override must read field=value, not {assignment!r}")
            elif name not in fields:
                problems.append(f"unknown field {name!r} (known: {', '.join(sorted(fields))})")
            elif isinstance(fields[name], int):
                try:
                    fields[name] = int(text, 0)
                except ValueError:
                    problems.append(f"{name} must be a whole number, not {text!r}")
            else:
                fields[name] = text
        raise_problems("configuration", problems)
        return ArrayConfig.from_dict(fields)

    @takes_text
    def with_floats(self, formats: Iterable[FloatFormat]) -> ArrayConfig:
        """Return the configuration that has these formats as well."""
        names = {fmt.name for fmt in (*self.floats, *formats)}
        ordered = ",".join(name for name in FLOAT_OPERAND_FORMATS if name in names)
        return dataclasses.replace(self, float_formats=ordered)


ARRAYS = {
    "tiny": ArrayConfig(
        clusters=2,
        pes=2,
        stationary_depth=256,
        directory_depth=256,
        chunks_depth=16,
        acc_depth=288,
        drain_width=2,
        mem_width=128,
        burst_beats=2,
        read_fifo_beats=8,
    ),
    "small": ArrayConfig(clusters=4),
    "large": ArrayConfig(),
}
"""`tiny` has 4 multipliers, `small` 16, `large` 64."""


def array(name: str) -> ArrayConfig:
    """Return the array called `name`; raise `InputError` for an unknown one."""
    if name not in ARRAYS:
        raise InputError(f"array must be one of {', '.join(ARRAYS)}, not {name!r}")
    return ARRAYS[name]
