"""What a launch is to a simulator process: its settings, its outcome, its environment."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import cocotb_tools.config
import find_libpython
import numpy as np

import gscn
from gscn.array import ArrayConfig
from gscn.cosim.errors import SimulationError
from gscn.counters import CLUSTER_COUNTER_NAMES, CLUSTER_EVENT_NAMES, COUNTERS_PER_CLUSTER
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.pass_errors import PassError
from gscn.passes import DESCRIPTOR_BYTES, HALFWORD_BYTES, PASS_DESCRIPTOR, Mode
from gscn.port import READ_LATENCY, WRITE_LATENCY

TESTBENCH_MODULE = "gscn_testbench"
"""Top of the simulated Verilog."""
CHANNELS = ("read_cmd", "read_data", "write_cmd", "write_data", "write_done")
"""Channels of a memory port that can stall, each with a probability of its own. Behind AXI they
are AR, R, AW, W and B."""
FLAGS = ("saturated", "accumulator_overflow", "nonfinite")
FILL = 0xA5
"""Byte that memory holds beyond the image, so that a result never written is seen."""
_CHUNK_BYTES = 8
"""Of an operand that a cluster takes in a cycle, at least."""


class Region(NamedTuple):
    """A part of a launch's memory, and where it lies on the memory ports."""

    addr: int
    """Byte address on the ports."""
    place: int
    """Its first byte in the memory."""
    bytes: int


class Program(Protocol):
    """What a launch needs: a memory with a list of passes; `lowering.pass_image` makes such."""

    config: ArrayConfig
    image: np.ndarray
    """uint8, one-dimensional: memory from address 0."""
    memory_bytes: int
    """Bytes of memory in all."""
    descriptors_addr: int
    """Byte address of the list in the image."""
    descriptor_count: int
    """Its passes."""
    output_ranges: Sequence[tuple[int, int]]
    """(first, one past the last) byte addresses that may be written."""

    def result(self, memory: np.ndarray) -> np.ndarray:
        """Return the result that lies in a memory."""


@takes_text
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RunResult:
    """Outcome of one launch."""

    memory: np.ndarray
    """uint8 [memory_bytes], after the launch."""
    written: np.ndarray
    """bool [memory_bytes], whether the byte was written."""
    cycles: int
    """Cycles in which the accelerator was busy, all passes."""
    counters: dict[str, list[int]]
    """Counter's name to its value in each cluster, in PE-cycles."""
    events: dict[str, list[int]]
    """Likewise of `gscn.counters.CLUSTER_EVENTS`."""
    flags: dict[str, bool]
    """Sticky flags: saturated, accumulator_overflow, nonfinite."""
    read_beats: int
    """Beats read, all ports together; `write_beats` likewise."""
    write_beats: int
    simulated_cycles: int
    """Cycles simulated, reset and reading of the counters included."""
    wall_seconds: float
    """Time that the simulation of `simulated_cycles` took."""
    error_code: PassError
    """Of a faulty launch: what the accelerator reported."""
    error_pass: int
    """Number in its list of the pass that the error belongs to, or `gscn.registers.NO_PASS`."""
    error: str | None
    """What went wrong; None if the launch ended and kept the memory ports' contract."""
    timed_out: bool
    """Whether the error is a time-out."""


def default_timeout_cycles(program: Program, *, latency: int, stall_probability: float) -> int:
    """Return a limit of cycles far above what a launch can need.

    A core that works takes at most one product per cycle even if only one PE ever has work, and
    reads each operand once for every tile of the other; the limit allows 64 times that.
    """
    first = program.descriptors_addr
    listed = program.image[first : first + program.descriptor_count * DESCRIPTOR_BYTES]
    listed = listed[: listed.size // DESCRIPTOR_BYTES * DESCRIPTOR_BYTES]
    work = int(getattr(program, "useful_products", 0)) + program.memory_bytes // _CHUNK_BYTES
    for one in PASS_DESCRIPTOR.unpack(listed):
        s_tiles, t_tiles = int(one["s_tiles"]), int(one["t_tiles"])
        if one["mode"] == Mode.KERNEL:
            sizes = ("samples", "rows", "cols")
            t_tiles = math.prod(-(-int(one[n]) // max(int(one[f"tile_{n}"]), 1)) for n in sizes)
        reads = int(one["s_halfwords"]) * t_tiles + int(one["t_halfwords"]) * s_tiles
        work += reads * HALFWORD_BYTES // _CHUNK_BYTES
        work += s_tiles * t_tiles * (latency + program.config.acc_depth)
    return 100_000 + int(64 * work / (1 - stall_probability))


def launch_settings(
    config: ArrayConfig,
    *,
    latency: int = READ_LATENCY,
    stalls: Mapping[str, float] | None = None,
    faulty: bool = False,
) -> dict[str, object]:
    """Return what all launches of a process have in common, for `cosim.inside.testbench`.

    Parameters
    ----------
    config
        Configuration of the accelerator.
    latency, faulty
        As of `run`.
    stalls
        Probability of each of `CHANNELS`; by default none stalls.
    """
    return {
        "ports": config.ports,
        "beat_bytes": config.mem_bytes,
        "burst_beats": config.burst_beats,
        "counter_count": config.clusters * COUNTERS_PER_CLUSTER + 1,
        "latency": latency,
        "write_latency": WRITE_LATENCY,
        "stalls": dict.fromkeys(CHANNELS, 0.0) if stalls is None else dict(stalls),
        "fill": FILL,
        "faulty": faulty,
    }


def launch_fields(
    program: Program,
    *,
    timeout_cycles: int,
    seed: int = 0,
    reset: bool = True,
    abort_cycle: int = 0,
    regions: Sequence[Region] = (),
) -> dict[str, object]:
    """Return what `cosim.inside.testbench` must know of one launch besides its image.

    Parameters
    ----------
    program
        The launch.
    timeout_cycles
        As of `run`.
    seed
        Of the pauses.
    reset
        Whether a reset comes before.
    abort_cycle, regions
        As an entry of `run`'s `abort_cycles` and `regions`.

    Raises
    ------
    InputError
        There are regions, but none has the list.
    """
    addr = program.descriptors_addr
    if regions:
        addr = next((r.addr + addr - r.place for r in regions if 0 <= addr - r.place < r.bytes), -1)
        if addr < 0:
            raise InputError(
                f"the list at byte {program.descriptors_addr} of memory must lie in a region"
            )
    return {
        "list_addr": addr,
        "list_count": program.descriptor_count,
        "memory_bytes": program.memory_bytes,
        "seed": seed,
        "timeout_cycles": timeout_cycles,
        "reset": reset,
        "abort_cycle": abort_cycle,
        "regions": [*regions],
    }


def named_counters(config: ArrayConfig, counters: Sequence[int]) -> dict[str, list[int]]:
    """Return the counters of PE-cycles by name, each with its value in every cluster."""
    return _by_cluster(config, counters, CLUSTER_COUNTER_NAMES, 0)


def named_events(config: ArrayConfig, counters: Sequence[int]) -> dict[str, list[int]]:
    """Return the counters of events likewise."""
    return _by_cluster(config, counters, CLUSTER_EVENT_NAMES, len(CLUSTER_COUNTER_NAMES))


def _by_cluster(config, counters, names, first):
    """Return counters by name, of which the first one is the `first` of a cluster."""
    end = config.clusters * COUNTERS_PER_CLUSTER
    return {
        name: list(counters[position:end:COUNTERS_PER_CLUSTER])
        for position, name in enumerate(names, first)
    }


def named_flags(flags: int) -> dict[str, bool]:
    """Return the sticky flags by name."""
    return {name: bool(flags >> bit & 1) for bit, name in enumerate(FLAGS)}


def run_result(
    config: ArrayConfig, outcome: Mapping, memory: np.ndarray, written: np.ndarray
) -> RunResult:
    """Return the outcome of a launch as `cosim.inside.testbench` states it.

    Parameters
    ----------
    config
        Configuration of the accelerator.
    outcome
        What `cosim.inside.testbench.run_launch` returned.
    memory, written
        uint8 [memory_bytes], after the launch.
    """
    return RunResult(
        memory=memory,
        written=written.astype(bool),
        cycles=outcome["cycles"],
        counters=named_counters(config, outcome["counters"]),
        events=named_events(config, outcome["counters"]),
        flags=named_flags(outcome["flags"]),
        read_beats=outcome["read_beats"],
        write_beats=outcome["write_beats"],
        simulated_cycles=outcome["simulated_cycles"],
        wall_seconds=outcome["wall_seconds"],
        error_code=PassError(outcome["error_code"]),
        error_pass=outcome["error_pass"],
        error=outcome["error"] or None,
        timed_out=outcome["status"] == "timeout",
    )


def simulator_environment(
    directory: Path, testbench: str = "gscn.cosim.inside.testbench"
) -> dict[str, str]:
    """Return what a simulator with cocotb inside needs to start Python and find the testbench.

    Parameters
    ----------
    directory
        Where cocotb may write what it thinks of the testbench.
    testbench
        Module of the testbench.

    Raises
    ------
    SimulationError
        The shared library of Python is missing.
    """
    libpython = find_libpython.find_libpython()
    if libpython is None:
        raise SimulationError("the shared library of Python (libpython) must be installed")
    root = str(Path(gscn.__file__).resolve().parents[1])
    libraries = [str(cocotb_tools.config.libs_dir), os.environ.get("LD_LIBRARY_PATH", "")]
    return {
        **os.environ,
        "LD_LIBRARY_PATH": os.pathsep.join(filter(None, libraries)),
        "GPI_USERS": f"{libpython};{cocotb_tools.config.pygpi_entry_point()}",
        "PYGPI_PYTHON_BIN": sys.executable,
        "PYTHONPATH": os.pathsep.join([root, *filter(None, sys.path)]),
        "COCOTB_TOPLEVEL": TESTBENCH_MODULE,
        "COCOTB_TEST_MODULES": testbench,
        "COCOTB_RESULTS_FILE": str(directory / "results.xml"),
        # Else each module that a testbench imports is compiled anew, for messages of its asserts.
        "COCOTB_REWRITE_ASSERTION_FILES": "",
        "COCOTB_TRUST_INERTIAL_WRITES": "1",
        "TOPLEVEL_LANG": "verilog",
    }
