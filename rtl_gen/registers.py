"""The register map as a C header, a Python module and a table for the documentation."""

from __future__ import annotations

from gscn.array import ArrayConfig
from gscn.axi import DEFAULT_AXI, AxiAttributes
from gscn.counters import COUNTERS_PER_CLUSTER
from gscn.encode import LISTED_ERROR_MEANINGS, EncodeError
from gscn.enums import takes_text
from gscn.pass_errors import PASS_ERROR_MEANINGS, PassError
from gscn.register import Register, Top
from gscn.registers import REGISTERS, registers_of, reset_values

C_HEADER = "gscn_registers.h"
PYTHON_MODULE = "gscn_registers.py"
_HEAD = """\
# Registers

The host sees the accelerator as a page of 32-bit registers behind AXI4-Lite: the array
(`hw.host.top_axi`), or the machine, which has an encode unit, too (`hw.host.machine_axi`). This
file is written by `rtl_gen.registers.markdown` from `gscn/registers.py` and
`gscn/list_registers.py`; the C header, the Python module, the SystemRDL and the CMSIS-SVD that
`gscn generate --axi` writes next to the Verilog come from the same description. What only one of
both has says so: in the other one such a register is any other offset, and such a field no field.

An access to any other offset (one that is no multiple of 4 included: bytes of a register are
chosen by strobes, at its own offset), a write to a read-only register and a read of a write-only
one are answered with SLVERR and have no effect. Bits without a field read as zero and ignore
writes. Bytes whose strobe is low are not written.

| offset | register | bits | access | reset | meaning |
|---|---|---|---|---|---|
"""
_CODES = """

Values of `ERROR.code`; of encode passes and control records those of [encode.md](encode.md#checks)
and [lists.md](lists.md#control-records), which mean what is said there:

| code | name | meaning |
|---|---|---|
"""
_USE = """

## Lists of passes

To run a list of passes ([passes.md](passes.md)): write the address of its descriptors, which lie
one behind the other, and their number to `PASSES_ADDR_LO`, `PASSES_ADDR_HI` and `PASS_COUNT`, write
1 to `CONTROL.start`, wait until `STATUS.busy` is 0, then read `ERROR`. There is one interrupt at
the end of the list.

Addresses here and in memory are the array's, below 2^`addr_width`. On a bus with more bits of
address (`ARRAY_MEMORY.bus_addr_width`) they count from `MEMORY_BASE` on, which is taken at start: a
multiple of 4096, and at most 2^`bus_addr_width` - 2^`addr_width`, so that all of the array's
addresses are on the bus; on any other bus it must be 0. With another base a start is answered with
`START_ADDRESS`. `BUS_ERROR_ADDR` alone is an address of the bus.

What a driver must know of the array to make passes is in the `ARRAY` registers; the digest of its
configuration is that of the manifest that was written with the Verilog, and `GSCN_CONFIG_DIGEST`
of the C header, which a driver asks for.

The end is `STATUS.busy` = 0 and nothing else. An interrupt only says when to look: clear its events
in `INTERRUPT_STATUS` first, then read `STATUS`, and if it is busy wait for the next interrupt. An
`accumulator_overflow` interrupts in the middle of a list, and also while an error is stopping one;
`ERROR.code` is set from the error on, before the bursts under way have ended, so that memory may
still be written while it is other than 0. `INTERRUPT_TEST` sets the same events without a cause,
for a system to try the way of the interrupt before it relies on it.

An error ends the list: no interrupt `done` follows, flags and counters are lost, and the next start
is possible as soon as `STATUS.busy` is 0. `ERROR_PASS` says what `ERROR.code` is about. Counters
and flags add up over lists until an error or `CONTROL.clear`.
After a clear or an abort, wait for `STATUS.busy` to fall.

## Lists of a machine

All of that holds for lists of both kinds of passes ([lists.md](lists.md)), with these differences.

* `PASS_COUNT` is the list's places of 256 bytes; `LIST_ORDER` says how its records follow one
  another. `LIST_FIRST` may name the record to begin with.
* A control record with a number in its field `stop` waits for the host: `STOP` is that number,
  `STATUS.stopped` 1, and the interrupt `stop` comes once for each. Do what the number asks for in
  memory, then write 1 to `CONTROL.answer`. With `CONTROL.anew`, and `ANSWER_ADDR` written before,
  the list begins anew at the record there. Two queues tell one stop after the other. An answer
  takes effect at once: read `STOP` before it.
* `ERROR_PASS` counts places from the list's first one: the record that failed lies at the list's
  address + 256 x `ERROR_PASS`, and its mode (byte 74) says whose it is. An error that does not
  belong to a record, of a bus or by an abort, leaves all ones there; `RECORD_ENCODE` and
  `RECORD_ARRAY` then have the records at which both queues were. A list whose host has been told of
  a stop ends with an error of the other queue only when the host has answered.
* `STATUS.saturated`, `accumulator_overflow` and `nonfinite` are the array's; flags of encode passes
  are in their states ([encode.md](encode.md)).
* The counter behind the array's busy cycles has those in which the machine is busy, stops included.
  It ends with an error or a clear, as all others.
"""
_GENERATED = "Generated by `gscn generate --axi`"


@takes_text
def error_meanings(top: Top) -> dict[PassError | EncodeError, str]:
    """Return what the error codes of an array or a machine mean."""
    return PASS_ERROR_MEANINGS | (LISTED_ERROR_MEANINGS if top is Top.MACHINE else {})


def _constants(
    config: ArrayConfig, top: Top, attributes: AxiAttributes
) -> list[tuple[str, int, str]]:
    """Return (name, value, meaning) of everything that a driver needs, in the map's order."""
    constants = []
    resets = reset_values(config, top, attributes)
    for register in registers_of(top):
        constants.append(
            (f"{register.name}_OFFSET", register.offset, f"{register.meaning} ({register.access})")
        )
        if resets[register.name]:
            constants.append((f"{register.name}_RESET", resets[register.name], "value after reset"))
        for field in register.fields:
            name = f"{register.name}_{field.name.upper()}"
            constants.append((f"{name}_SHIFT", field.low, field.meaning))
            constants.append((f"{name}_MASK", field.mask, field.meaning))
    constants += [
        (f"ERROR_CODE_{code.name}", code.value, meaning)
        for code, meaning in error_meanings(top).items()
    ]
    name, meaning = "COUNTERS_PER_CLUSTER", "performance counters of a cluster"
    return [*constants, (name, COUNTERS_PER_CLUSTER, meaning)]


_DIGEST = ("CONFIG_DIGEST", "of the configuration that this is of, for drivers to ask for")


@takes_text
def c_header(config: ArrayConfig, top: Top, attributes: AxiAttributes = DEFAULT_AXI) -> str:
    """Return a C header with offsets, shifts and masks; all names begin with `GSCN_`.

    Parameters
    ----------
    config
        Sizes, whose digest is `GSCN_CONFIG_DIGEST`, of 64 bits.
    top
        What has the registers.
    attributes
        Its bus, of which a register tells.
    """
    name, meaning = _DIGEST
    lines = [
        f"/* {_GENERATED}: registers of the GSCN accelerator. */",
        "#ifndef GSCN_REGISTERS_H",
        "#define GSCN_REGISTERS_H",
        "",
        *(
            f"#define GSCN_{name} 0x{value:08X}u /* {meaning} */"
            for name, value, meaning in _constants(config, top, attributes)
        ),
        f"#define GSCN_{name} 0x{config.digest().upper()}ull /* {meaning} */",
        "",
        "#endif",
    ]
    return "\n".join(lines) + "\n"


@takes_text
def python_module(config: ArrayConfig, top: Top, attributes: AxiAttributes = DEFAULT_AXI) -> str:
    """Return a Python module, without imports, with the constants of `c_header`."""
    name, meaning = _DIGEST
    lines = [
        f'"""{_GENERATED}: registers of the GSCN accelerator."""',
        "",
        *(
            f"{name} = 0x{value:08X}  # {meaning}"
            for name, value, meaning in _constants(config, top, attributes)
        ),
        f"{name} = 0x{config.digest().upper()}  # {meaning}",
    ]
    return "\n".join(lines) + "\n"


def _bits(low: int, width: int) -> str:
    return str(low) if width == 1 else f"{low + width - 1}:{low}"


def _only(top: Top | None) -> str:
    return "" if top is None else f"*{top} only:* "


def _rows(register: Register) -> list[str]:
    reset = "configuration" if register.reset is None else f"0x{register.reset:08X}"
    head = f"| `0x{register.offset:03X}` | `{register.name}` | | {register.access} | {reset} | "
    rows = [head + f"{_only(register.top)}{register.meaning} |"]
    rows += [
        f"| | | {_bits(field.low, field.width)} `{field.name}` | | | "
        f"{_only(field.top)}{field.meaning} |"
        for field in register.fields
    ]
    return rows


def markdown() -> str:
    """Return `docs/contract/registers.md`."""
    rows = [row for register in REGISTERS for row in _rows(register)]
    codes = [
        f"| {code.value} | `{code.name}` | "
        f"{_only(None if code in PASS_ERROR_MEANINGS else Top.MACHINE)}{meaning} |"
        for code, meaning in error_meanings(Top.MACHINE).items()
    ]
    return _HEAD + "\n".join(rows) + _CODES + "\n".join(codes) + _USE
