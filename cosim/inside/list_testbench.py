"""cocotb testbench of a machine: runs lists of both kinds of passes, with their host inside.

A request comes through a `multiprocessing.connection` whose file descriptor is the plusarg
`requests`; after each list an answer goes back, and at the end the memory.
"""

from __future__ import annotations

import time
from multiprocessing.connection import Connection

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from gscn.cosim.inside.testbench import (
    CHANNELS,
    STATUS_NAMES,
    memory_of,
    program_functions,
    set_up,
    view,
)


async def _run_list(
    dut: object, library: object, settings: dict, one: dict, host: object
) -> dict[str, object]:
    """Run one list on the memory that there is; `host` is called at its stops."""
    stalls = np.array([settings["stalls"][channel] for channel in CHANNELS])
    began, edges = time.perf_counter(), library.gscn_edges()
    library.gscn_launch(
        one["addr"],
        one["places"],
        settings["latency"],
        settings["write_latency"],
        stalls.ctypes.data,
        one["seed"],
        one["timeout_cycles"],
        0,
        settings["faulty"],
        one["reset"],
    )
    library.gscn_machine(one["together"])
    memory = view(library.gscn_bytes(), one["memory_bytes"], np.uint8)
    stops = 0
    while True:
        await RisingEdge(dut.launch_done)
        number = library.gscn_stop()
        if number == 0:
            break
        stops += 1
        again = host(number, memory)
        library.gscn_answer(again or 0)
    return {
        "status": STATUS_NAMES[library.gscn_status()],
        "error": library.gscn_error().decode(errors="replace"),
        "flags": library.gscn_flags(),
        "error_code": library.gscn_error_code(),
        "error_addr": library.gscn_error_pass(),
        "counters": view(library.gscn_counters(), settings["counter_count"], np.uint64).tolist(),
        "cycles": library.gscn_busy_cycles(),
        "read_beats": library.gscn_read_beats(),
        "write_beats": library.gscn_write_beats(),
        "stops": stops,
        "simulated_cycles": library.gscn_edges() - edges,
        "wall_seconds": time.perf_counter() - began,
    }


@cocotb.test()
async def lists(dut: object) -> None:
    """Run the lists of a request one after the other on one memory, until one fails."""
    library = program_functions()
    connection = Connection(int(cocotb.plusargs["requests"]))
    try:
        request = connection.recv()
        settings, host, image = request["settings"], request["host"], request["image"]
        set_up(library, settings)
        progress = np.memmap(request["progress"], dtype=np.uint64, mode="r+")
        library.gscn_progress(progress.ctypes.data)
        size = request["memory_bytes"]
        library.gscn_load(image.ctypes.data, image.size, size, settings["fill"])
        for number, one in enumerate(request["lists"]):
            host.begin(number)
            outcome = await _run_list(
                dut, library, settings, {**one, "memory_bytes": size, "reset": number == 0}, host
            )
            connection.send(outcome)
            if outcome["status"] != "ok" or outcome["error_code"]:
                break
        memory, written = memory_of(library, size)
        connection.send((memory.copy(), written.copy(), host))
    except (EOFError, OSError):  # the parent has closed its end
        return
