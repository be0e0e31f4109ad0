"""The driver in Python: what `gscn_driver.c` does, over whatever reaches the registers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gscn.axi import BASE_ALIGNMENT_BYTES
from gscn.encode import LISTED_ERROR_MEANINGS, EncodeError
from gscn.errors import InputError
from gscn.pass_errors import PASS_ERROR_MEANINGS, PassError
from gscn.passes import DESCRIPTOR_BYTES
from gscn.port import ALIGNMENT_BYTES
from gscn.register import Top
from gscn.registers import ID_VALUE, NO_PASS, REGISTERS, register

ERROR_MEANINGS = PASS_ERROR_MEANINGS | LISTED_ERROR_MEANINGS
"""Of every code of arrays and machines."""


class Transport(Protocol):
    """Reaches the registers: a mapped page, a debugger, a bus of a simulation."""

    def read32(self, offset: int) -> int:
        """Return the register at a byte offset."""

    def write32(self, offset: int, value: int) -> None:
        """Write the register at a byte offset."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How a list of passes ended."""

    error: PassError | EncodeError
    error_pass: int | None
    """Number in its list of the pass that `error` is about, in places of 256 bytes; None if there
    is none."""
    saturated: bool
    accumulator_overflow: bool
    nonfinite: bool
    bus_write: bool
    """Of a bus error: the burst was a write."""
    bus_response: int
    """2 SLVERR, 3 DECERR; 0 if there was no bus error."""
    bus_port: int
    bus_address: int

    def __str__(self) -> str:
        if self.error is PassError.NONE:
            return "no error"
        where = "" if self.error_pass is None else f"pass {self.error_pass}: "
        bus = f" at {self.bus_address:#x}, port {self.bus_port}" if self.bus_response else ""
        return f"{where}{self.error.name}{bus}: {ERROR_MEANINGS[self.error]}"


class Driver:
    """One array or machine; for one caller at a time.

    Parameters
    ----------
    transport
        Reaches its registers.
    wait
        Called again and again while the array is busy: returns when it may be worth looking again,
        as at an interrupt, and raises to give up. By default it is looked at again at once.
    stop
        Of a machine: does in memory what the number of a control record's stop asks the host for;
        returns the address of the record from which on the list begins anew, or None. Without it a
        stop raises `InputError`.
    digest
        Of the expected configuration; by default any.

    Attributes
    ----------
    digest : int
        Of the array's configuration, as in `manifest.json`.
    machine : bool
        It has an encode unit, too, and runs lists of both kinds of passes.
    sizes : dict[str, int]
        Fields of the `ARRAY` registers by name.
    memory_base : int
        Where on the bus the array's address 0 lies; 0 until it is set.

    Raises
    ------
    InputError
        There is no array at these registers, or one of another version or configuration.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        wait: Callable[[], None] | None = None,
        stop: Callable[[int], int | None] | None = None,
        digest: int | None = None,
    ):
        self._transport = transport
        self._wait = wait
        self._stop = stop
        if (found := self._read("ID")) != ID_VALUE:
            raise InputError(f"register ID must be {ID_VALUE:#x}, not {found:#x}")
        major, known = self._field("VERSION", "major"), _major()
        if major != known:
            raise InputError(f"VERSION.major must be {known} for this driver, not {major}")
        self.digest = self._read_long("CONFIG_DIGEST")
        if digest not in (None, self.digest):
            raise InputError(
                f"the array's configuration must be {digest:016x}, not {self.digest:016x}"
            )
        self.machine = bool(self._field("UNITS", "encode_unit"))
        self.sizes = {}
        for one in REGISTERS:
            if one.name.startswith("ARRAY"):
                self.sizes |= self._fields(one.name)
        # Before version 3.3 of the map there is no base.
        self.sizes["bus_addr_width"] = self.sizes["bus_addr_width"] or self.sizes["addr_width"]
        self.interrupts(False)
        self.clear()
        self._memory_base = 0
        if self._relocates:
            self.memory_base = 0

    @property
    def _relocates(self) -> bool:
        return self.sizes["bus_addr_width"] > self.sizes["addr_width"]

    @property
    def memory_base(self) -> int:
        """Where on the bus the array's address 0 lies, for the lists that are started from now on.

        All other addresses are the array's, those of bus errors excepted. It is 0 on a bus that has
        no more bits of address than the array.

        Raises
        ------
        InputError
            It is no multiple of 4096, or not all of the array's addresses would lie on the bus.
        """
        return self._memory_base

    @memory_base.setter
    def memory_base(self, base: int) -> None:
        last = (1 << self.sizes["bus_addr_width"]) - (1 << self.sizes["addr_width"])
        if not 0 <= base <= last or base % BASE_ALIGNMENT_BYTES:
            raise InputError(
                f"memory_base must be a multiple of {BASE_ALIGNMENT_BYTES} from 0 to {last:#x}, "
                f"not {base:#x}"
            )
        if self._relocates:
            self._write("MEMORY_BASE_LO", base & 0xFFFF_FFFF)
            self._write("MEMORY_BASE_HI", base >> 32)
        self._memory_base = base

    def clear(self) -> None:
        """End whatever runs; reset counters, flags, errors and pending interrupts."""
        self._write("CONTROL", register("CONTROL").field("clear").mask)
        self._wait_until_idle()

    def interrupts(self, on: bool) -> None:
        """Turn the interrupt on or off: it is raised at the end of a list and at an error."""
        events = register("INTERRUPT_ENABLE").of(Top.MACHINE if self.machine else Top.ARRAY)
        self._write("INTERRUPT_ENABLE", events.mask if on else 0)

    def try_interrupt(self) -> None:
        """Raise the interrupt without a list, and have `wait` wait for it, once.

        To be tried before `wait` is relied on: if the interrupt does not come, `wait` gives up, and
        what it raises is raised.

        Raises
        ------
        InputError
            There is no `wait`, or the array is busy.
        """
        if self._wait is None:
            raise InputError("wait must be given to try the interrupt")
        if self._field("STATUS", "busy"):
            raise InputError("the array must be idle to try its interrupt, and is busy")
        enabled = self._read("INTERRUPT_ENABLE")
        self.interrupts(True)
        done = register("INTERRUPT_TEST").field("done").mask
        self._write("INTERRUPT_TEST", done)
        try:
            self._wait()
        finally:
            self._write("INTERRUPT_STATUS", done)
            self._write("INTERRUPT_ENABLE", enabled)

    def start(self, address: int, count: int, *, first: int = 0, two_queues: bool = False) -> None:
        """Start a list, and return at once.

        Parameters
        ----------
        address
            Byte address of the descriptors or records, a multiple of 64, from `memory_base` on.
        count
            Places of 256 bytes, at least 1: passes of an array.
        first
            Of a machine: address of the record to begin with; 0 is the first one.
        two_queues
            Of a machine: each unit takes its own records in order, else all are taken in order.

        Raises
        ------
        InputError
            The list is empty, not aligned or beyond the array's addresses, or the array is busy;
            `first` or `two_queues` of an array. No register is written then.
        """
        if not self.machine and (first or two_queues):
            raise InputError("first and two_queues are of a machine's lists, and this is an array")
        end = 1 << self.sizes["addr_width"]
        if not 0 < count < 1 << 32:
            raise InputError(f"count must lie in [1, {(1 << 32) - 1}], not {count}")
        if address < 0 or address % ALIGNMENT_BYTES or address + count * DESCRIPTOR_BYTES > end:
            raise InputError(
                f"address must be a multiple of {ALIGNMENT_BYTES} with {count} descriptors below "
                f"{end:#x}, not {address:#x}"
            )
        if self._field("STATUS", "busy"):
            raise InputError("the array must be idle at a start, and is busy")
        self._write("PASSES_ADDR_LO", address & 0xFFFF_FFFF)
        self._write("PASSES_ADDR_HI", address >> 32)
        self._write("PASS_COUNT", count)
        if self.machine:
            self._write("LIST_FIRST_LO", first & 0xFFFF_FFFF)
            self._write("LIST_FIRST_HI", first >> 32)
            self._write("LIST_ORDER", int(two_queues))
        self._write("CONTROL", register("CONTROL").field("start").mask)

    def abort(self) -> None:
        """Ask that the list under way be stopped; its outcome has the error `ABORTED`."""
        self._write("CONTROL", register("CONTROL").field("abort").mask)

    def finish(self) -> Outcome:
        """Wait for the end of what was started; return how it ended."""
        self._wait_until_idle()
        status, bus = (self._fields(name) for name in ("STATUS", "BUS_ERROR"))
        number = self._read("ERROR_PASS")
        return Outcome(
            error=error_of(self._field("ERROR", "code")),
            error_pass=None if number == NO_PASS else number,
            **{
                name: bool(status[name])
                for name in ("saturated", "accumulator_overflow", "nonfinite")
            },
            bus_write=bool(bus["write"]),
            bus_response=bus["response"],
            bus_port=bus["port"],
            bus_address=self._read_long("BUS_ERROR_ADDR"),
        )

    def counter(self, index: int) -> int:
        """Return a performance counter, as numbered in `manifest.json`."""
        self._write("COUNTER_SELECT", index)
        return self._read_long("COUNTER")

    def _wait_until_idle(self) -> None:
        """Return when `STATUS.busy` is 0, which alone is the end.

        Events are forgotten before it is read, so that one that comes in between is still there.
        """
        while True:
            self._forget_events()
            status = self._read("STATUS")
            if not status & register("STATUS").field("busy").mask:
                break
            if self.machine and status & register("STATUS").field("stopped").mask:
                self._answer()
            elif self._wait is not None:
                self._wait()
        self._forget_events()

    def _answer(self) -> None:
        """Have the host do what a stop asks for, and let the list go on."""
        if not (number := self._read("STOP")):
            return
        if self._stop is None:
            raise InputError(f"stop must be given for lists with stops, as that of number {number}")
        control, anew = register("CONTROL"), self._stop(number)
        command = control.field("answer").mask
        if anew is not None:
            self._write("ANSWER_ADDR_LO", anew & 0xFFFF_FFFF)
            self._write("ANSWER_ADDR_HI", anew >> 32)
            command |= control.field("anew").mask
        self._write("CONTROL", command)

    def _forget_events(self) -> None:
        if events := self._read("INTERRUPT_STATUS"):
            self._write("INTERRUPT_STATUS", events)

    def _read(self, name: str) -> int:
        return self._transport.read32(register(name).offset)

    def _read_long(self, name: str) -> int:
        low = self._read(f"{name}_LO")
        return low | self._read(f"{name}_HI") << 32

    def _write(self, name: str, value: int) -> None:
        self._transport.write32(register(name).offset, value)

    def _field(self, name: str, field: str) -> int:
        return self._fields(name)[field]

    def _fields(self, name: str) -> dict[str, int]:
        """Read a register once; return its fields."""
        value = self._read(name)
        return {one.name: (value & one.mask) >> one.low for one in register(name).fields}


def error_of(code: int) -> PassError | EncodeError:
    """Return what `ERROR.code` says, of an array or a machine."""
    return next(one for one in (*PassError, *EncodeError) if one == code)


def _major() -> int:
    """Return the major version of the register map that this driver is for."""
    version = register("VERSION")
    field = version.field("major")
    assert version.reset is not None
    return (version.reset & field.mask) >> field.low
