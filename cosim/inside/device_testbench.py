"""cocotb testbench of a device: runs launches as they come, until nobody asks for more.

Requests and answers pass through a `multiprocessing.connection`, whose file descriptor is the
plusarg `requests`.
"""

from __future__ import annotations

import os
from multiprocessing.connection import Connection

import cocotb
import numpy as np

from gscn.cosim.devices.jobs import (
    DONE,
    FAILED,
    READY,
    REFUSED,
    SPAN_WINDOWS,
    PassJob,
    PassRun,
    prepare_job,
    span_fields,
)
from gscn.cosim.inside.testbench import memory_of, program_functions, run_launch, set_up
from gscn.cosim.scoreboard import MISMATCHES_LISTED, counter_differences, counter_sum_differences
from gscn.cosim.simulation import named_counters, named_flags
from gscn.cycles.model import simulate
from gscn.errors import InputError

_UNKNOWN_TURNS = np.empty(0, np.int64)
"""Of arbiters whose counters nobody compares with a model."""


async def _run_pass(
    dut: object, library: object, setup: dict, job: PassJob, turns: np.ndarray | None
) -> tuple[tuple[str, object], np.ndarray | None]:
    """Lower a pass and run it; return the answer, and the arbiters' turns after it.

    Without turns, of the launch before, there is a reset first.
    """
    config = setup["config"]
    settings = setup["settings"]
    try:
        lowered = prepare_job(config, job, latency=settings["latency"])
    except InputError as error:
        return (REFUSED, str(error)), turns
    program = lowered.program
    launch = {**lowered.launch, "reset": turns is None}
    outcome = await run_launch(dut, library, settings, launch, program.image)
    memory, written = memory_of(library, program.memory_bytes)
    flags = named_flags(outcome["flags"])
    problems = [outcome["error"]] if outcome["error"] else []
    problems += [f"flag {name} is set" for name in setup["forbidden_flags"] if flags[name]]
    stray = written.astype(bool)  # a copy
    for first, end in program.output_ranges:
        stray[first:end] = False
    if stray.any():
        problems.append(f"byte {int(np.flatnonzero(stray)[0]):#x} was written, which is no output")
    if problems:
        return (FAILED, (outcome["status"] == "timeout", "; ".join(problems))), None
    # The model equals the RTL cycle for cycle, and takes about as long.
    checked = setup["check_counters"]
    cycles = None
    if checked or job.spans:
        cycles = simulate(
            program, latency=settings["latency"], turns=turns if checked else None,
            most_windows=SPAN_WINDOWS if job.spans else 0,
        )  # fmt: skip
    run = PassRun(
        label=job.label,
        which=job.which,
        result=program.result(memory),
        cycles=outcome["cycles"],
        counters=named_counters(config, outcome["counters"]),
        flags=flags,
        read_beats=outcome["read_beats"],
        write_beats=outcome["write_beats"],
        useful_products=program.useful_products,
        simulated_cycles=outcome["simulated_cycles"],
        lowering_seconds=lowered.lowering_seconds,
        simulation_seconds=outcome["cpu_seconds"],
        process_id=os.getpid(),
        plan=lowered.plan,
        **(span_fields(program, cycles) if job.spans else {}),
    )
    differences = (
        counter_differences(run, cycles) if checked else counter_sum_differences(run, config)
    )
    if differences:
        return (FAILED, (False, "; ".join(differences[:MISMATCHES_LISTED]))), None
    # Flags are sticky: a reset clears them.
    turns = cycles.turns if checked else _UNKNOWN_TURNS
    return (DONE, run), None if library.gscn_flags() else turns


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
    # So there is one only before the first, to clear flags, where times must not depend on what ran
    # before, and where what ran before is unknown.
    turns = None
    try:
        setup = connection.recv()
        set_up(library, setup["settings"])
        connection.send((READY, os.getpid()))
        while True:
            request = connection.recv()
            if isinstance(request, PassJob):
                before = None if request.spans else turns
                answer, turns = await _run_pass(dut, library, setup, request, before)
            else:
                answer, turns = await _run_program(dut, library, setup, request), None
            connection.send(answer)
            if answer[0] == FAILED:
                return
    except (EOFError, OSError):  # the parent has closed its end
        return
