"""The C driver, compiled for this machine and called like the Python one."""

from __future__ import annotations

import ctypes
import functools
import subprocess
import tempfile
from pathlib import Path

from gscn.array import ARRAYS
from gscn.driver import Outcome, c_files
from gscn.driver.client import error_of
from gscn.errors import InputError
from gscn.register import Top
from gscn.registers import NO_PASS
from gscn.rtl_gen.registers import C_HEADER, c_header, error_meanings

FLAGS = (
    *("-std=c11", "-ffreestanding", "-O2", "-fPIC"),
    *("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"),
)
RESULTS = (
    *("OK", "NO_DEVICE", "OTHER_VERSION", "OTHER_CONFIGURATION", "ARGUMENT", "BUSY", "TIMEOUT"),
    "FAILED",
)
"""In the order of `enum gscn_result`."""
U32, U64, VOID = ctypes.c_uint32, ctypes.c_uint64, ctypes.c_void_p
READ = ctypes.CFUNCTYPE(U32, VOID, U32)
WRITE = ctypes.CFUNCTYPE(None, VOID, U32, U32)
BARRIER = ctypes.CFUNCTYPE(None, VOID)
RANGE = ctypes.CFUNCTYPE(None, VOID, U64, U64)
WAIT = ctypes.CFUNCTYPE(ctypes.c_bool, VOID)
STOP = ctypes.CFUNCTYPE(ctypes.c_bool, VOID, U32, ctypes.POINTER(U64))


class Hooks(ctypes.Structure):
    _fields_ = (
        ("context", VOID),
        ("read32", READ),
        ("write32", WRITE),
        ("barrier", BARRIER),
        ("clean", RANGE),
        ("invalidate", RANGE),
        ("wait", WAIT),
        ("stop", STOP),
    )


class Sizes(ctypes.Structure):
    _fields_ = (
        ("digest", U64),
        *(
            (name, U32)
            for name in (
                *("clusters", "pes", "ports", "acc_depth", "stationary_depth", "directory_depth"),
                *("chunks_depth", "mem_bytes", "burst_beats", "addr_width", "bus_addr_width"),
                "number_formats",
            )
        ),
    )


class Device(ctypes.Structure):
    _fields_ = (("hooks", Hooks), ("sizes", Sizes), ("memory_base", U64))


class COutcome(ctypes.Structure):
    _fields_ = (
        ("error", U32),
        ("error_pass", U32),
        ("saturated", ctypes.c_bool),
        ("accumulator_overflow", ctypes.c_bool),
        ("nonfinite", ctypes.c_bool),
        ("bus_write", ctypes.c_bool),
        ("bus_response", U32),
        ("bus_port", U32),
        ("bus_address", U64),
    )


class ByteRange(ctypes.Structure):
    _fields_ = (("offset", U64), ("bytes", U64))


class Image(ctypes.Structure):
    _fields_ = (
        ("digest", U64),
        ("base", U64),
        ("bytes", VOID),
        ("size", U64),
        ("memory_bytes", U64),
        ("pass_count", U32),
        ("output_count", U32),
        ("outputs", ctypes.POINTER(ByteRange)),
        ("expected", VOID),
    )


def write_sources(folder: Path, top: Top = Top.ARRAY) -> list[Path]:
    """Write the driver's files; return those to be compiled."""
    for name, text in {
        **c_files(error_meanings(top)),
        C_HEADER: c_header(ARRAYS["tiny"], top),
    }.items():
        (folder / name).write_text(text)
    return sorted(folder.glob("*.c"))


def compile_c(*arguments: str | Path) -> None:
    done = subprocess.run(
        ["gcc", *FLAGS, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@functools.cache
def library(top: Top = Top.ARRAY) -> ctypes.CDLL:
    """Return the driver, linked."""
    folder = Path(tempfile.mkdtemp(prefix="gscn-driver-"))
    target = folder / "driver.so"
    compile_c("-shared", "-Wl,-z,defs", "-o", target, *write_sources(folder, top), "-lc")
    found = ctypes.CDLL(str(target))
    for name, result in (
        ("gscn_counter", U64),
        ("gscn_compare", U64),
        ("gscn_error_text", ctypes.c_char_p),
        ("gscn_result_text", ctypes.c_char_p),
    ):
        getattr(found, name).restype = result
    return found


class ResultError(InputError):
    """What a function of the driver returned in place of `GSCN_OK`."""


def check(number: int) -> None:
    if number == RESULTS.index("TIMEOUT"):
        raise TimeoutError
    if number:
        raise ResultError(RESULTS[number])


class CDriver:
    """As `gscn.driver.Driver`; further hooks note what they are told."""

    def __init__(self, transport, *, wait=None, stop=None, digest=None, told=None, top=Top.ARRAY):
        self.library = library(top)
        self.hooks = Hooks(
            None,
            READ(lambda _, offset: transport.read32(offset)),
            WRITE(lambda _, offset, value: transport.write32(offset, value)),
        )
        if told is not None:
            self.hooks.barrier = BARRIER(lambda _: told.append("barrier"))
            for name in ("clean", "invalidate"):
                setattr(self.hooks, name, self._range(name, told))
        if wait is not None:
            self.hooks.wait = WAIT(lambda _: self._waited(wait))
        if stop is not None:
            self.hooks.stop = STOP(lambda _, number, anew: self._stopped(stop, number, anew))
        self.device = Device()
        check(
            self.library.gscn_open(
                ctypes.byref(self.device), ctypes.byref(self.hooks), U64(digest or 0)
            )
        )
        self.digest = self.device.sizes.digest
        self.sizes = {
            name: getattr(self.device.sizes, name) for name, _ in Sizes._fields_ if name != "digest"
        }

    @staticmethod
    def _range(name, told):
        return RANGE(lambda _, address, size: told.append((name, address, size)))

    @staticmethod
    def _waited(wait):
        try:
            wait()
        except TimeoutError:
            return False
        return True

    @staticmethod
    def _stopped(stop, number, anew):
        try:
            anew[0] = stop(number) or 0
        except TimeoutError:
            return False
        return True

    def clear(self):
        check(self.library.gscn_clear(ctypes.byref(self.device)))

    @property
    def memory_base(self):
        return self.device.memory_base

    @memory_base.setter
    def memory_base(self, base):
        check(self.library.gscn_set_memory_base(ctypes.byref(self.device), U64(base)))

    def interrupts(self, on):
        self.library.gscn_interrupts(ctypes.byref(self.device), ctypes.c_bool(on))

    def try_interrupt(self):
        check(self.library.gscn_try_interrupt(ctypes.byref(self.device)))

    def start(self, address, count, **how):
        device = ctypes.byref(self.device)
        if not how:
            check(self.library.gscn_start(device, U64(address), U32(count)))
            return
        first, two_queues = U64(how["first"]), ctypes.c_bool(how["two_queues"])
        check(self.library.gscn_start_list(device, U64(address), U32(count), first, two_queues))

    def abort(self):
        self.library.gscn_abort(ctypes.byref(self.device))

    def finish(self):
        return self._ended(lambda found: self.library.gscn_finish(ctypes.byref(self.device), found))

    def counter(self, index):
        return self.library.gscn_counter(ctypes.byref(self.device), ctypes.c_uint16(index))

    def load(self, image, memory, base):
        """Load an image to `base` in a memory (uint8) from address 0."""
        at = U64(base)
        check(
            self.library.gscn_load(
                ctypes.byref(self.device),
                ctypes.byref(image),
                VOID(memory.ctypes.data + base),
                at,
            )
        )

    def run(self, image, base):
        return self._ended(
            lambda found: self.library.gscn_run(
                ctypes.byref(self.device), ctypes.byref(image), U64(base), found
            )
        )

    @staticmethod
    def _ended(call):
        found = COutcome()
        number = call(ctypes.byref(found))
        if number != RESULTS.index("FAILED"):
            check(number)
        assert (number == RESULTS.index("FAILED")) == bool(found.error)
        return Outcome(
            error=error_of(found.error),
            error_pass=None if found.error_pass == NO_PASS else found.error_pass,
            saturated=found.saturated,
            accumulator_overflow=found.accumulator_overflow,
            nonfinite=found.nonfinite,
            bus_write=found.bus_write,
            bus_response=found.bus_response,
            bus_port=found.bus_port,
            bus_address=found.bus_address,
        )


def c_image(image, expected, *, base=0):
    """Return an image of passes as the C driver takes it, and what must outlive it."""
    content = image.at(base)
    ranges = (ByteRange * len(image.output_ranges))(
        *((low, high - low) for low, high in image.output_ranges)
    )
    right = ctypes.create_string_buffer(expected, len(expected))
    made = Image(
        digest=int(image.config.digest(), 16),
        base=base,
        bytes=content.ctypes.data,
        size=content.size,
        memory_bytes=image.memory_bytes,
        pass_count=image.pass_count,
        output_count=len(ranges),
        outputs=ranges,
        expected=ctypes.addressof(right),
    )
    return made, (content, ranges, right)


def differences(image, memory, base):
    """Return how many bytes of results differ from what is expected, and where the first does."""
    first = U64()
    count = library().gscn_compare(
        ctypes.byref(image), VOID(memory.ctypes.data + base), ctypes.byref(first)
    )
    return count, first.value
