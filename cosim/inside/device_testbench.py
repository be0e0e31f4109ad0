"""cocotb testbench of a device: runs launches as they come, until nobody asks for more.

Requests and answers pass through a `multiprocessing.connection`, whose file descriptor is the
plusarg `requests`.
"""

from __future__ import annotations

import os
from multiprocessing.connection import Connection

import cocotb

from gscn.cosim.devices.jobs import DONE, FAILED, READY, REFUSED, PassJob, PassRun, lower_job
from gscn.cosim.inside.testbench import memory_of, program_functions, run_launch, set_up
from gscn.cosim.scoreboard import (
    MISMATCHES_LISTED,
    counter_differences,
    counter_sum_differences,
    model_cycles,
    stray_bytes,
)
from gscn.cosim.simulation import (
    default_timeout_cycles,
    launch_fields,
    named_counters,
    named_events,
    named_flags,
)
from gscn.errors import InputError


async def _run_pass(
    dut: object, library: object, setup: dict, job: PassJob, *, reset: bool
) -> tuple[str, object]:
    """Lower a pass and run it, after a reset if asked for; return the answer."""
    config, settings = setup["config"], setup["settings"]
    try:
        program, lowering_seconds = lower_job(config, job)
    except InputError as error:
        return REFUSED, str(error)
    limit = default_timeout_cycles(program, latency=settings["latency"], stall_probability=0.0)
    launch = launch_fields(program, timeout_cycles=limit, reset=reset)
    outcome = await run_launch(dut, library, settings, launch, program.image)
    memory, written = memory_of(library, program.memory_bytes)
    flags = named_flags(outcome["flags"])
    problems = [outcome["error"]] if outcome["error"] else []
    problems += [f"flag {name} is set" for name in setup["forbidden_flags"] if flags[name]]
    strays = stray_bytes(written, program.output_ranges)
    if strays.size:
        problems.append(f"byte {int(strays[0]):#x} was written, which is no output")
    if problems:
        return FAILED, (outcome["status"] == "timeout", "; ".join(problems))
    run = PassRun(
        label=job.label,
        which=job.which,
        result=program.result(memory),
        cycles=outcome["cycles"],
        counters=named_counters(config, outcome["counters"]),
        events=named_events(config, outcome["counters"]),
        flags=flags,
        read_beats=outcome["read_beats"],
        write_beats=outcome["write_beats"],
        useful_products=program.useful_products,
        simulated_cycles=outcome["simulated_cycles"],
        lowering_seconds=lowering_seconds,
        simulation_seconds=outcome["cpu_seconds"],
        process_id=os.getpid(),
    )
    if setup["check_counters"]:
        # The model equals the RTL cycle for cycle.
        differences = counter_differences(run, model_cycles(program, latency=settings["latency"]))
    else:
        differences = counter_sum_differences(run, config)
    if differences:
        return FAILED, (False, "; ".join(differences[:MISMATCHES_LISTED]))
    return DONE, run


async def _run_program(
    dut: object, library: object, setup: dict, request: dict
) -> tuple[str, object]:
    """Run a launch that was lowered elsewhere, after a reset; return the answer with its memory."""
    launch = request["launch"]
    outcome = await run_launch(dut, library, setup["settings"], launch, request["image"])
    memory, written = memory_of(library, launch["memory_bytes"])
    if outcome["error"]:
        return FAILED, (outcome["status"] == "timeout", outcome["error"])
    return DONE, (outcome, memory.copy(), written.copy())


@cocotb.test()
async def serve(dut: object) -> None:
    """Answer requests until the connection is closed, or a launch fails.

    What a failed launch leaves in the accelerator's memories is unknown, so the next one needs a
    fresh process.
    """
    library = program_functions()
    connection = Connection(int(cocotb.plusargs["requests"]))
    # After a reset the accelerator clears its accumulators, which takes longer than a small pass.
    # So there is one only before the first, to clear flags, and where cycles are compared with the
    # model's, which begins with one: the turns of the arbiters go on from launch to launch.
    reset = True
    try:
        setup = connection.recv()
        set_up(library, setup["settings"])
        connection.send((READY, os.getpid()))
        while True:
            request = connection.recv()
            if isinstance(request, PassJob):
                reset = reset or setup["check_counters"]
                answer = await _run_pass(dut, library, setup, request, reset=reset)
                if answer[0] != REFUSED:
                    reset = library.gscn_flags() != 0  # flags are sticky
            else:
                answer, reset = await _run_program(dut, library, setup, request), True
            connection.send(answer)
            if answer[0] == FAILED:
                return
    except (EOFError, OSError):  # the parent has closed its end
        return
