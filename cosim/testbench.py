"""cocotb testbench: runs the launches of a bundle one after the other, inside the simulator.

The bundle is a directory that `cosim.launch` fills and reads; its path is the plusarg `bundle`.
Python acts between launches only: the C++ beside this file loads, sequences and checks them.
"""

from __future__ import annotations

import ctypes
import json
import signal
import time
from pathlib import Path

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

BUNDLE_FILE = "bundle.json"
CHANNELS = ("read_cmd", "read_data", "write_cmd", "write_data", "write_done")
"""Channels of a memory port in the order of memory.h."""
STATUS_NAMES = ("ok", "timeout", "error")

_PR_SET_PDEATHSIG = 1  # from <sys/prctl.h>


def _library() -> ctypes.CDLL:
    """Return the functions of memory.cpp, which are part of the running program."""
    library = ctypes.CDLL(None)
    # A simulator must not outlive the process that waits for it, however that one ends.
    library.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    u64, u32, pointer = ctypes.c_uint64, ctypes.c_uint32, ctypes.c_void_p
    for name, result, arguments in (
        ("gscn_setup", None, [u32, u32, u32, u32]),
        ("gscn_load", None, [pointer, u64, u64, ctypes.c_uint8]),
        ("gscn_list", None, [u32, u64, u32, u64]),
        ("gscn_launch", None, [pointer, u64, u64, u64, pointer, u64, u64, u32, u32]),
        ("gscn_bytes", pointer, []),
        ("gscn_written", pointer, []),
        ("gscn_counters", pointer, []),
        ("gscn_error", ctypes.c_char_p, []),
        ("gscn_status", u32, []),
        ("gscn_flags", u32, []),
        ("gscn_error_code", u32, []),
        ("gscn_error_job", u32, []),
        ("gscn_error_phase", u32, []),
        ("gscn_busy_cycles", u64, []),
        ("gscn_edges", u64, []),
        ("gscn_read_beats", u64, []),
        ("gscn_write_beats", u64, []),
    ):
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    return library


def _view(address: int, count: int, dtype: type) -> np.ndarray:
    """View `count` items of the program's memory as an array, without a copy."""
    size = count * np.dtype(dtype).itemsize
    return np.frombuffer((ctypes.c_uint8 * size).from_address(address), dtype=dtype)


@cocotb.test()
async def launches(dut: object) -> None:
    """Run every launch of the bundle; stop after the first that fails.

    What a failed launch leaves in the accelerator's memories is unknown, so the ones after it need
    a fresh process.
    """
    library = _library()
    directory = Path(cocotb.plusargs["bundle"])
    bundle = json.loads((directory / BUNDLE_FILE).read_text())
    sizes = ("ports", "beat_bytes", "burst_beats", "counter_count")
    library.gscn_setup(*(bundle[size] for size in sizes))
    stalls = np.array([bundle["stalls"][channel] for channel in CHANNELS])
    for index, launch in bundle["launches"]:
        image = np.fromfile(directory / f"{index}.image", dtype=np.uint8)
        phases = np.array(launch["phases"], dtype=np.uint64).reshape(-1, 4)
        memory_bytes = launch["memory_bytes"]
        library.gscn_load(image.ctypes.data, image.size, memory_bytes, bundle["fill"])
        edges = library.gscn_edges()
        started = time.perf_counter()
        library.gscn_list(
            bundle["one_start"],
            launch["phases_addr"],
            launch["phase_count"],
            launch["abort_cycle"],
        )
        library.gscn_launch(
            phases.ctypes.data,
            len(phases),
            bundle["latency"],
            bundle["write_latency"],
            stalls.ctypes.data,
            launch["seed"],
            launch["timeout_cycles"],
            bundle["faulty"],
            launch["reset"],
        )
        await RisingEdge(dut.launch_done)
        wall_seconds = time.perf_counter() - started
        _view(library.gscn_bytes(), memory_bytes, np.uint8).tofile(directory / f"{index}.memory")
        _view(library.gscn_written(), memory_bytes, np.uint8).tofile(directory / f"{index}.written")
        counters = _view(library.gscn_counters(), bundle["counter_count"], np.uint64)
        status = STATUS_NAMES[library.gscn_status()]
        outcome = {
            "status": status,
            "error": library.gscn_error().decode(errors="replace"),
            "flags": library.gscn_flags(),
            "error_code": library.gscn_error_code(),
            "error_job": library.gscn_error_job(),
            "error_phase": library.gscn_error_phase(),
            "counters": counters.tolist(),
            "cycles": library.gscn_busy_cycles(),
            "read_beats": library.gscn_read_beats(),
            "write_beats": library.gscn_write_beats(),
            "simulated_cycles": library.gscn_edges() - edges,
            "wall_seconds": wall_seconds,
        }
        # Written last and in one step: it says that the other files are complete.
        (directory / "outcome.tmp").write_text(json.dumps(outcome))
        (directory / "outcome.tmp").replace(directory / f"{index}.json")
        if status != "ok":
            return
