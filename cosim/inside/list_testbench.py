"""cocotb testbench of a machine: runs lists of both kinds of passes, with their host inside.

Requests come through a `multiprocessing.connection` whose file descriptor is the plusarg
`requests`, until the other end closes it. The first one brings memory, which stays; each of the
others is a list to run, or asks for memory.
"""

from __future__ import annotations

from multiprocessing.connection import Connection

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from gscn.cosim.inside.testbench import (
    begin_launch,
    memory_of,
    outcome_of,
    place_regions,
    program_functions,
    set_up,
    view,
)


async def _run_list(
    dut: object, library: object, settings: dict, one: dict, host: object
) -> dict[str, object]:
    """Run one list on the memory that there is; `host` is called at its stops."""
    begun = begin_launch(library, settings, one)
    library.gscn_machine(one["together"])
    if one["timed"]:
        library.gscn_keep_taken()
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
    taken = np.zeros(0, dtype=np.uint64)
    if one["timed"]:
        taken = view(library.gscn_taken(), library.gscn_taken_count(), np.uint64).copy()
    return {**outcome_of(library, settings, begun), "stops": stops, "taken": taken.reshape(-1, 3)}


async def _answer(dut: object, library: object, setup: dict, request: dict) -> object:
    """Do what a request asks for; return what goes back."""
    size = setup["memory_bytes"]
    memory, written = memory_of(library, size)
    if "list" in request:
        host, one = request["host"], {**request["list"], "memory_bytes": size}
        outcome = await _run_list(dut, library, setup["settings"], one, host)
        return outcome, host
    if "places" in request:
        return [memory[addr : addr + count].copy() for addr, count in request["places"]]
    return memory.copy(), written.copy()


@cocotb.test()
async def lists(dut: object) -> None:
    """Answer requests until nobody asks for more."""
    library = program_functions()
    connection = Connection(int(cocotb.plusargs["requests"]))
    try:
        setup = connection.recv()
        settings, image = setup["settings"], setup["image"]
        set_up(library, settings)
        progress = np.memmap(setup["progress"], dtype=np.uint64, mode="r+")
        library.gscn_progress(progress.ctypes.data)
        size = setup["memory_bytes"]
        library.gscn_load(image.ctypes.data, image.size, size, settings["fill"])
        place_regions(library, setup["regions"])
        while True:
            connection.send(await _answer(dut, library, setup, connection.recv()))
    except (EOFError, OSError):  # the parent has closed its end
        return
