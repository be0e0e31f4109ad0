"""cocotb testbench of a machine: runs lists of both kinds of passes, with their host inside.

A request comes through a `multiprocessing.connection` whose file descriptor is the plusarg
`requests`; after each list an answer goes back, and at the end the memory.
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
    return {**outcome_of(library, settings, begun), "stops": stops}


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
