"""cocotb testbench: runs the launches of a bundle one after the other, inside the simulator.

The bundle is a directory that `cosim.launch` fills and reads; its path is the plusarg `bundle`.
Python acts between launches only: the C++ beside this file loads, sequences and checks them.
"""

from __future__ import annotations

import ctypes
import json
import time
from pathlib import Path
from typing import NamedTuple

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

BUNDLE_FILE = "bundle.json"
CHANNELS = ("read_cmd", "read_data", "write_cmd", "write_data", "write_done")
"""Channels of a memory port in the order of memory.h."""
STATUS_NAMES = ("ok", "timeout", "error")


def program_functions() -> ctypes.CDLL:
    """Return the functions of memory.cpp, which are part of the running program."""
    library = ctypes.CDLL(None)
    u64, u32, pointer = ctypes.c_uint64, ctypes.c_uint32, ctypes.c_void_p
    for name, result, arguments in (
        ("gscn_setup", None, [u32, u32, u32, u32]),
        ("gscn_load", None, [pointer, u64, u64, ctypes.c_uint8]),
        ("gscn_place", None, [pointer, u64]),
        ("gscn_launch", None, [u64, u32, u64, u64, pointer, u64, u64, u64, u32, u32]),
        ("gscn_machine", None, [u32]),
        ("gscn_answer", None, [u64]),
        ("gscn_progress", None, [pointer]),
        ("gscn_keep_taken", None, []),
        ("gscn_taken_count", u64, []),
        ("gscn_taken", pointer, []),
        ("gscn_stop", u32, []),
        ("gscn_bytes", pointer, []),
        ("gscn_written", pointer, []),
        ("gscn_counters", pointer, []),
        ("gscn_error", ctypes.c_char_p, []),
        ("gscn_status", u32, []),
        ("gscn_flags", u32, []),
        ("gscn_error_code", u32, []),
        ("gscn_error_pass", u32, []),
        ("gscn_busy_cycles", u64, []),
        ("gscn_edges", u64, []),
        ("gscn_read_beats", u64, []),
        ("gscn_write_beats", u64, []),
    ):
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    return library


def view(address: int, count: int, dtype: type) -> np.ndarray:
    """View `count` items of the program's memory as an array, without a copy."""
    size = count * np.dtype(dtype).itemsize
    return np.frombuffer((ctypes.c_uint8 * size).from_address(address), dtype=dtype)


async def run_launch(
    dut: object, library: ctypes.CDLL, settings: dict, launch: dict, image: np.ndarray
) -> dict:
    """Run one launch on a fresh memory; return its outcome without the memory.

    The memory stays in the program until the next launch: see `memory_of`.

    Parameters
    ----------
    dut
        The testbench's top.
    library
        The program's functions.
    settings
        What all launches have in common, as `cosim.simulation.launch_settings` returns it.
    launch
        List, sizes and limits of this one, as `cosim.simulation.launch_fields` returns them.
    image
        uint8: memory from address 0, or from where its parts begin that are placed elsewhere.
    """
    library.gscn_load(image.ctypes.data, image.size, launch["memory_bytes"], settings["fill"])
    place_regions(library, launch["regions"])
    begun = begin_launch(library, settings, launch)
    await RisingEdge(dut.launch_done)
    return outcome_of(library, settings, begun)


def place_regions(library: ctypes.CDLL, regions: list[list[int]]) -> None:
    """Let parts of the memory lie elsewhere on the ports; none: it stays as it was loaded."""
    if regions:
        numbers = np.array(regions, dtype=np.uint64)
        library.gscn_place(numbers.ctypes.data, len(regions))


class Begun(NamedTuple):
    """When a launch began."""

    edges: int
    wall: float
    cpu: float


def begin_launch(library: ctypes.CDLL, settings: dict, launch: dict) -> Begun:
    """Begin a launch on the memory that there is; arguments are as of `run_launch`."""
    stalls = np.array([settings["stalls"][channel] for channel in CHANNELS])
    begun = Begun(library.gscn_edges(), time.perf_counter(), time.process_time())
    library.gscn_launch(
        launch["list_addr"],
        launch["list_count"],
        settings["latency"],
        settings["write_latency"],
        stalls.ctypes.data,
        launch["seed"],
        launch["timeout_cycles"],
        launch["abort_cycle"],
        settings["faulty"],
        launch["reset"],
    )
    return begun


def outcome_of(library: ctypes.CDLL, settings: dict, begun: Begun) -> dict:
    """Return the outcome of a launch that is over, without its memory."""
    counters = view(library.gscn_counters(), settings["counter_count"], np.uint64)
    return {
        "status": STATUS_NAMES[library.gscn_status()],
        "error": library.gscn_error().decode(errors="replace"),
        "flags": library.gscn_flags(),
        "error_code": library.gscn_error_code(),
        "error_pass": library.gscn_error_pass(),
        "counters": counters.tolist(),
        "cycles": library.gscn_busy_cycles(),
        "read_beats": library.gscn_read_beats(),
        "write_beats": library.gscn_write_beats(),
        "simulated_cycles": library.gscn_edges() - begun.edges,
        "wall_seconds": time.perf_counter() - begun.wall,
        "cpu_seconds": time.process_time() - begun.cpu,
    }


def memory_of(library: ctypes.CDLL, memory_bytes: int) -> tuple[np.ndarray, np.ndarray]:
    """View the memory after a launch, and which bytes were written, both uint8."""
    return (
        view(library.gscn_bytes(), memory_bytes, np.uint8),
        view(library.gscn_written(), memory_bytes, np.uint8),
    )


def set_up(library: ctypes.CDLL, settings: dict) -> None:
    """Describe the accelerator to the program; once per process."""
    sizes = ("ports", "beat_bytes", "burst_beats", "counter_count")
    library.gscn_setup(*(settings[size] for size in sizes))


@cocotb.test()
async def launches(dut: object) -> None:
    """Run every launch of the bundle; stop after the first that fails.

    What a failed launch leaves in the accelerator's memories is unknown, so the ones after it need
    a fresh process.
    """
    library = program_functions()
    directory = Path(cocotb.plusargs["bundle"])
    bundle = json.loads((directory / BUNDLE_FILE).read_text())
    set_up(library, bundle)
    for index, launch in bundle["launches"]:
        image = np.fromfile(directory / f"{index}.image", dtype=np.uint8)
        outcome = await run_launch(dut, library, bundle, launch, image)
        memory, written = memory_of(library, launch["memory_bytes"])
        memory.tofile(directory / f"{index}.memory")
        written.tofile(directory / f"{index}.written")
        # Written last and in one step: it says that the other files are complete.
        (directory / "outcome.tmp").write_text(json.dumps(outcome))
        (directory / "outcome.tmp").replace(directory / f"{index}.json")
        if outcome["status"] != "ok":
            return
