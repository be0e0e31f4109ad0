"""The register map of the AXI4-Lite port: one description for RTL, drivers and documentation.

Registers are 32 bits wide, at byte offsets that are multiples of 4. An access to any other offset,
a write to a read-only register and a read of a write-only one are answered with SLVERR and have no
effect. Bits that belong to no field read as zero and ignore what is written.
"""

from __future__ import annotations

import functools

from gscn.array import ArrayConfig
from gscn.axi import DEFAULT_AXI, AxiAttributes
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.formats import NUMBER_FORMATS
from gscn.list_registers import LIST_REGISTERS
from gscn.pass_errors import PASS_ERROR_WIDTH
from gscn.register import REGISTER_WIDTH, Access, Register, RegisterField, Top, address, whole

OFFSET_WIDTH = 12
"""Bits of a byte offset: the registers fill one page of 4 KiB."""
ID_VALUE = 0x4E435347
"""The letters GSCN, the first in the lowest byte."""
VERSION_VALUE = 0x0003_0003
"""Version of the register map: major in the high half, minor in the low half."""
NO_PASS = 0xFFFF_FFFF
"""In place of a pass's number: there is none, or none had begun."""

REGISTERS = (
    Register("ID", 0x000, Access.READ, whole("0x4E435347"), "identifies the accelerator", ID_VALUE),
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
        whole("bits 31 to 0 of the configuration's digest"),
        "which configuration this is",
        None,
    ),
    Register(
        "CONFIG_DIGEST_HI",
        0x00C,
        Access.READ,
        whole("bits 63 to 32 of the configuration's digest"),
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
                "start the list of passes described by PASSES_ADDR and PASS_COUNT; forgets the "
                "last error",
            ),
            RegisterField(
                "clear",
                1,
                1,
                "end every burst under way without further effect, then reset counters, "
                "flags, errors and pending interrupts; overrides start and abort",
            ),
            RegisterField(
                "abort",
                2,
                1,
                "stop the list under way as an error does, with the code ABORTED; no effect if "
                "there is none",
            ),
            RegisterField(
                "answer",
                3,
                1,
                "answer the stop: the list goes on; no effect if there is none",
                Top.MACHINE,
            ),
            RegisterField(
                "anew",
                4,
                1,
                "with answer: the list begins anew at the record at ANSWER_ADDR",
                Top.MACHINE,
            ),
        ),
        "commands",
    ),
    Register(
        "STATUS",
        0x014,
        Access.READ,
        (
            RegisterField("busy", 0, 1, "a list, a clear or the stop after an error is under way"),
            RegisterField("done", 1, 1, "the list started last is over"),
            RegisterField("stopped", 2, 1, "STOP is not 0", Top.MACHINE),
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
        (
            RegisterField(
                "code", 0, PASS_ERROR_WIDTH, "the error that ended the list, or of a start"
            ),
        ),
        "the first error since the last start or clear; one that stops the list replaces one of a "
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
    *address(
        "BUS_ERROR_ADDR",
        0x020,
        Access.READ,
        "its byte address on the bus: of the beat if it was read, of the burst if it was written",
    ),
    Register(
        "INTERRUPT_ENABLE",
        0x028,
        Access.READ_WRITE,
        (
            RegisterField("done", 0, 1, "interrupt at the end of a list"),
            RegisterField("error", 1, 1, "interrupt at an error"),
            RegisterField("stop", 2, 1, "interrupt at a stop", Top.MACHINE),
        ),
        "which events raise the interrupt",
    ),
    Register(
        "INTERRUPT_STATUS",
        0x02C,
        Access.CLEAR,
        (
            RegisterField("done", 0, 1, "a list ended"),
            RegisterField(
                "error",
                1,
                1,
                "the list has been stopped after an error, a start was ignored, or "
                "accumulator_overflow was set",
            ),
            RegisterField("stop", 2, 1, "a control record waits for the host", Top.MACHINE),
        ),
        "events, enabled or not; the interrupt is high while an enabled one is set",
    ),
    *address(
        "PASSES_ADDR",
        0x030,
        Access.READ_WRITE,
        "byte address of the list, taken at start",
        note="; a multiple of 64",
    ),
    Register(
        "PASS_COUNT",
        0x038,
        Access.READ_WRITE,
        whole("passes; of a machine, places of 256 bytes"),
        "length of the list, taken at start",
    ),
    Register(
        "COUNTER_SELECT",
        0x03C,
        Access.READ_WRITE,
        (
            RegisterField(
                "index",
                0,
                16,
                "cluster x counters + counter; clusters x counters: busy cycles of the array, the "
                "next one: of the machine",
            ),
        ),
        "which performance counter to read, as numbered in the manifest",
    ),
    Register(
        "COUNTER_LO",
        0x040,
        Access.READ,
        whole("bits 31 to 0"),
        "the selected counter; reading it keeps the upper half of the same moment",
    ),
    Register(
        "COUNTER_HI",
        0x044,
        Access.READ,
        whole("bits 63 to 32"),
        "upper half of the counter when COUNTER_LO was read last",
    ),
    Register(
        "ERROR_PASS",
        0x048,
        Access.READ,
        whole("pass, from 0; all ones if none had begun, or of a start"),
        "number in its list of the pass that ERROR.code is about, or that was under way then; of a "
        "machine, place in its list of the record that failed, all ones for a bus error or an "
        "abort, whose records RECORD_ENCODE and RECORD_ARRAY tell",
        NO_PASS,
    ),
    Register(
        "PASS",
        0x04C,
        Access.READ,
        whole("pass, from 0; all ones before the first one of a list, and after a clear or error"),
        "number in its list of the pass that is under way, or was last",
        NO_PASS,
        Top.ARRAY,
    ),
    Register(
        "ARRAY",
        0x050,
        Access.READ,
        (
            RegisterField("clusters", 0, 8, "clusters"),
            RegisterField("pes", 8, 8, "PEs of a cluster"),
            RegisterField("drain_width", 16, 8, "results that a cluster drains in a cycle"),
            RegisterField("ports", 24, 8, "memory ports"),
        ),
        "sizes of the array",
        None,
    ),
    Register(
        "ARRAY_WINDOW",
        0x054,
        Access.READ,
        (
            RegisterField("stationary_depth", 0, 16, "stationary entries"),
            RegisterField("directory_depth", 16, 16, "keys"),
        ),
        "what the stationary window of a cluster holds",
        None,
    ),
    Register(
        "ARRAY_TILE",
        0x058,
        Access.READ,
        (
            RegisterField("acc_depth", 0, 16, "accumulators of a PE and bank"),
            RegisterField("chunks_depth", 16, 16, "stationary chunks in the window"),
        ),
        "what else bounds a tile",
        None,
    ),
    Register(
        "ARRAY_MEMORY",
        0x05C,
        Access.READ,
        (
            RegisterField("mem_bytes", 0, 8, "bytes of a beat"),
            RegisterField("burst_beats", 8, 8, "beats of the longest burst"),
            RegisterField("addr_width", 16, 8, "bits of a byte address of the array"),
            RegisterField("bus_addr_width", 24, 8, "bits of a byte address on the bus"),
        ),
        "the memory ports",
        None,
    ),
    Register(
        "ARRAY_FORMATS",
        0x060,
        Access.READ,
        (
            RegisterField("operand_width", 0, 8, "bits of an integer operand"),
            RegisterField("acc_width", 8, 8, "bits of an accumulator"),
            RegisterField("number_formats", 16, 8, "bit n: a pass may have n as its number_format"),
        ),
        "number formats",
        None,
    ),
    Register(
        "UNITS",
        0x064,
        Access.READ,
        (
            RegisterField("encode_unit", 0, 1, "there is an encode unit: it is a machine"),
            RegisterField("encode_floats", 1, 1, "it computes in floating point, else in integers"),
        ),
        "what there is beside the array",
        None,
    ),
    *LIST_REGISTERS,
    Register(
        "INTERRUPT_TEST",
        0x090,
        Access.WRITE,
        (
            RegisterField("done", 0, 1, "set INTERRUPT_STATUS.done"),
            RegisterField("error", 1, 1, "set INTERRUPT_STATUS.error"),
            RegisterField("stop", 2, 1, "set INTERRUPT_STATUS.stop", Top.MACHINE),
        ),
        "sets events as if they had happened, to try the way of the interrupt; nothing else "
        "changes",
    ),
    *address(
        "MEMORY_BASE",
        0x098,
        Access.READ_WRITE,
        "byte address on the bus of the array's address 0, taken at start; must be 0 if the bus "
        "has no more bits of address than the array",
        note="; a multiple of 4096",
    ),
)

CONSTANT = ("ID", "VERSION", *(one.name for one in REGISTERS if one.reset is None))
"""Registers that never change."""


def version_text() -> str:
    """Return the version of the register map, as `major.minor`."""
    return f"{VERSION_VALUE >> 16}.{VERSION_VALUE & 0xFFFF}"


@functools.cache
def registers_of(top: Top) -> tuple[Register, ...]:
    """Return the registers that an array or a machine has, each with the fields that it has."""
    return tuple(one.of(top) for one in REGISTERS if one.top in (None, top))


def register(name: str) -> Register:
    """Return the register called `name`; raise `InputError` for an unknown one."""
    for found in REGISTERS:
        if found.name == name:
            return found
    raise InputError(
        f"register must be one of {', '.join(r.name for r in REGISTERS)}, not {name!r}"
    )


@takes_text
def reset_values(
    config: ArrayConfig, top: Top = Top.ARRAY, attributes: AxiAttributes = DEFAULT_AXI
) -> dict[str, int]:
    """Return the value of every register after reset, by name.

    Those that depend on the configuration, on what it is of and on its bus keep it for good.
    """
    digest = int(config.digest(), 16)
    own = {
        "CONFIG_DIGEST_LO": digest & ((1 << REGISTER_WIDTH) - 1),
        "CONFIG_DIGEST_HI": digest >> REGISTER_WIDTH,
        "UNITS": (top is Top.MACHINE) * (1 | bool(config.floats) << 1),
    }
    known = {
        "bus_addr_width": attributes.bus_addr_width(config),
        "operand_width": config.format.width,
        "number_formats": sum(1 << NUMBER_FORMATS.index(fmt) for fmt in (None, *config.floats)),
    }
    for one in registers_of(top):
        if one.reset is not None:
            own[one.name] = one.reset
        elif one.name not in own:
            own[one.name] = sum(
                (known[field.name] if field.name in known else getattr(config, field.name))
                << field.low
                for field in one.fields
            )
    return own
