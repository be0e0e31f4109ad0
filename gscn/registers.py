"""The register map of the AXI4-Lite port: one description for RTL, drivers and documentation.

Registers are 32 bits wide, at byte offsets that are multiples of 4. An access to any other offset,
a write to a read-only register and a read of a write-only one are answered with SLVERR and have no
effect. Bits that belong to no field read as zero and ignore what is written.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from gscn.enums import takes_text
from gscn.error_codes import ERROR_MEANINGS, ERROR_WIDTH, NO_JOB, NO_PHASE, ErrorCode
from gscn.errors import InputError

__all__ = [
    "ERROR_MEANINGS",
    "NO_JOB",
    "NO_PHASE",
    "REGISTERS",
    "Access",
    "ErrorCode",
    "Register",
    "RegisterField",
    "register",
]

REGISTER_WIDTH = 32
"""Bits of a register."""
OFFSET_WIDTH = 12
"""Bits of a byte offset: the registers fill one page of 4 KiB."""
ID_VALUE = 0x4E435347
"""The letters GSCN, the first in the lowest byte."""
VERSION_VALUE = 0x0002_0002
"""Version of the register map: major in the high half, minor in the low half."""


class Access(enum.StrEnum):
    """What the host may do with a register."""

    READ = "read"
    WRITE = "write"
    """A write acts at once; nothing is stored."""
    READ_WRITE = "read-write"
    CLEAR = "write 1 to clear"


@dataclass(frozen=True, slots=True)
class RegisterField:
    """Consecutive bits of a register."""

    name: str
    low: int
    """Lowest bit."""
    width: int
    """Bits."""
    meaning: str

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

    def field(self, name: str) -> RegisterField:
        """Return the field called `name`; raise `InputError` for an unknown one."""
        for field in self.fields:
            if field.name == name:
                return field
        known = ", ".join(field.name for field in self.fields)
        raise InputError(f"field of {self.name} must be one of {known}, not {name!r}")


def _whole(meaning: str) -> tuple[RegisterField, ...]:
    return (RegisterField("value", 0, REGISTER_WIDTH, meaning),)


REGISTERS = (
    Register(
        "ID", 0x000, Access.READ, _whole("0x4E435347"), "identifies the accelerator", ID_VALUE
    ),
    Register(
        "VERSION",
        0x004,
        Access.READ,
        (
            RegisterField("minor", 0, 16, "changes that old drivers need not know"),
            RegisterField("major", 16, 16, "changes that break old drivers"),
        ),
        "version of this register map",
        VERSION_VALUE,
    ),
    Register(
        "CONFIG_DIGEST_LO",
        0x008,
        Access.READ,
        _whole("bits 31 to 0 of the configuration's digest"),
        "which configuration this is",
        None,
    ),
    Register(
        "CONFIG_DIGEST_HI",
        0x00C,
        Access.READ,
        _whole("bits 63 to 32 of the configuration's digest"),
        "which configuration this is",
        None,
    ),
    Register(
        "CONTROL",
        0x010,
        Access.WRITE,
        (
            RegisterField(
                "start",
                0,
                1,
                "start the phase described by QUEUE_ADDR, JOB_COUNT, OUTPUT_ADDR and OUTPUT_END; "
                "forgets the last error",
            ),
            RegisterField(
                "clear",
                1,
                1,
                "end every burst under way without further effect, then reset counters, "
                "flags, errors and pending interrupts; overrides start, start_list "
                "and abort",
            ),
            RegisterField(
                "abort",
                2,
                1,
                "stop the phase or list under way as an error does, with the code ABORTED; no "
                "effect if there is none",
            ),
            RegisterField(
                "start_list",
                3,
                1,
                "start the list of phases described by PHASES_ADDR and PHASE_COUNT; forgets the "
                "last error; no effect together with start",
            ),
        ),
        "commands",
    ),
    Register(
        "STATUS",
        0x014,
        Access.READ,
        (
            RegisterField(
                "busy", 0, 1, "a phase, a list, a clear or the stop after an error is under way"
            ),
            RegisterField("done", 1, 1, "the phase or list started last is over"),
            RegisterField("saturated", 8, 1, "a result was saturated"),
            RegisterField(
                "accumulator_overflow",
                9,
                1,
                "a sum left the accumulator, or a floating-point product its window",
            ),
            RegisterField("nonfinite", 10, 1, "a floating-point result was infinite or NaN"),
            RegisterField("bus_error", 11, 1, "a burst was answered with an error"),
        ),
        "state; bits 8 to 10 stay set until a clear or an error, bit 11 until a clear or a start",
    ),
    Register(
        "ERROR",
        0x018,
        Access.READ,
        (RegisterField("code", 0, ERROR_WIDTH, "the error that ended the phase, or of a start"),),
        "the first error since the last start or clear; one that stops the phase replaces one of a "
        "start",
    ),
    Register(
        "BUS_ERROR",
        0x01C,
        Access.READ,
        (
            RegisterField("write", 0, 1, "the burst was a write"),
            RegisterField("response", 4, 2, "2: SLVERR, 3: DECERR; 0 if there was no error"),
            RegisterField("port", 8, 8, "number of the memory port"),
        ),
        "the first burst that was answered with an error",
    ),
    Register(
        "BUS_ERROR_ADDR_LO",
        0x020,
        Access.READ,
        _whole("bits 31 to 0"),
        "its byte address: of the beat if it was read, of the burst if it was written",
    ),
    Register(
        "BUS_ERROR_ADDR_HI", 0x024, Access.READ, _whole("bits 63 to 32"), "the same, upper half"
    ),
    Register(
        "INTERRUPT_ENABLE",
        0x028,
        Access.READ_WRITE,
        (
            RegisterField("done", 0, 1, "interrupt at the end of a phase or list"),
            RegisterField("error", 1, 1, "interrupt at an error"),
        ),
        "which events raise the interrupt",
    ),
    Register(
        "INTERRUPT_STATUS",
        0x02C,
        Access.CLEAR,
        (
            RegisterField("done", 0, 1, "a phase started by itself, or a list, ended"),
            RegisterField(
                "error",
                1,
                1,
                "the phase has been stopped after an error, a start was ignored, or "
                "accumulator_overflow was set",
            ),
        ),
        "events, enabled or not; the interrupt is high while an enabled one is set",
    ),
    Register(
        "QUEUE_ADDR_LO",
        0x030,
        Access.READ_WRITE,
        _whole("bits 31 to 0; a multiple of 64"),
        "byte address of the phase's queue, taken at start",
    ),
    Register(
        "QUEUE_ADDR_HI",
        0x034,
        Access.READ_WRITE,
        _whole("bits 63 to 32"),
        "the same, upper half",
    ),
    Register(
        "JOB_COUNT",
        0x038,
        Access.READ_WRITE,
        (
            RegisterField("count", 0, 31, "jobs"),
            RegisterField(
                "in_turn",
                31,
                1,
                "job j goes to cluster j mod clusters, not to the first free one; "
                "changes time only",
            ),
        ),
        "jobs of the phase, taken at start",
    ),
    Register(
        "COUNTER_SELECT",
        0x03C,
        Access.READ_WRITE,
        (
            RegisterField(
                "index", 0, 16, "cluster x counters + counter; clusters x counters: busy cycles"
            ),
        ),
        "which performance counter to read, as numbered in the manifest",
    ),
    Register(
        "COUNTER_LO",
        0x040,
        Access.READ,
        _whole("bits 31 to 0"),
        "the selected counter; reading it keeps the upper half of the same moment",
    ),
    Register(
        "COUNTER_HI",
        0x044,
        Access.READ,
        _whole("bits 63 to 32"),
        "upper half of the counter when COUNTER_LO was read last",
    ),
    Register(
        "OUTPUT_ADDR_LO",
        0x048,
        Access.READ_WRITE,
        _whole("bits 31 to 0; a multiple of 64"),
        "first byte address that the phase may write, taken at start",
    ),
    Register(
        "OUTPUT_ADDR_HI",
        0x04C,
        Access.READ_WRITE,
        _whole("bits 63 to 32"),
        "the same, upper half",
    ),
    Register(
        "OUTPUT_END_LO",
        0x050,
        Access.READ_WRITE,
        _whole("bits 31 to 0; a multiple of 64"),
        "one past the last byte address that the phase may write, taken at start",
    ),
    Register(
        "OUTPUT_END_HI",
        0x054,
        Access.READ_WRITE,
        _whole("bits 63 to 32"),
        "the same, upper half",
    ),
    Register(
        "ERROR_JOB",
        0x058,
        Access.READ,
        _whole("job, from 0; all ones if the error belongs to none or its job is not known"),
        "number of the job in its phase that ERROR.code is about",
        NO_JOB,
    ),
    Register(
        "PHASES_ADDR_LO",
        0x05C,
        Access.READ_WRITE,
        _whole("bits 31 to 0; a multiple of 64"),
        "byte address of the list of phases, taken at start_list",
    ),
    Register(
        "PHASES_ADDR_HI",
        0x060,
        Access.READ_WRITE,
        _whole("bits 63 to 32"),
        "the same, upper half",
    ),
    Register(
        "PHASE_COUNT",
        0x064,
        Access.READ_WRITE,
        _whole("phases"),
        "phases of the list, taken at start_list",
    ),
    Register(
        "ERROR_PHASE",
        0x068,
        Access.READ,
        _whole("phase, from 0; all ones if it was not started by a list"),
        "number in its list of the phase that ERROR.code is about, or that was under way then",
        NO_PHASE,
    ),
    Register(
        "PHASE",
        0x06C,
        Access.READ,
        _whole("phase, from 0; all ones before the first list, and after a start, clear or error"),
        "number in its list of the phase that is under way, fetched next, or over",
        NO_PHASE,
    ),
)


def register(name: str) -> Register:
    """Return the register called `name`; raise `InputError` for an unknown one."""
    for found in REGISTERS:
        if found.name == name:
            return found
    raise InputError(
        f"register must be one of {', '.join(r.name for r in REGISTERS)}, not {name!r}"
    )
