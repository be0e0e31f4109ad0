"""What a device is asked for and what it answers: passes of convolutions, without torch."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from cosim.program import Program, default_timeout_cycles, launch_fields
from gscn.config import AcceleratorConfig
from gscn.conv import ConvShape, Pass
from lowering import FloatOutput, LoweringOptions, OutputFormat, lower
from perf.tuning import lower_tuned

READY, DONE, REFUSED, FAILED = "ready", "done", "refused", "failed"
"""First word of an answer: the process serves; the outcome; the input is wrong; the launch failed,
and the process ends."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PassJob:
    """One pass of a convolution for a device."""

    label: str
    """Names the pass in errors and reports: layer and pass."""
    shape: ConvShape
    which: Pass
    first: np.ndarray
    second: np.ndarray
    """Operands as in `ConvShape.operand_shapes`: integers, or codes of `out.operands`."""
    out: OutputFormat | FloatOutput
    """How results are rounded."""
    tuned: bool = False
    """Whether the cycle model chooses between tilings (slower to lower, faster to run)."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PassRun:
    """What became of a `PassJob`."""

    label: str
    which: Pass
    result: np.ndarray
    """int64, of shape `ConvShape.result_shape`; in floating point, of codes."""
    cycles: int
    """Cycles in which the accelerator was busy."""
    counters: dict[str, list[int]]
    """Counter's name to its value in each cluster, in PE-cycles."""
    flags: dict[str, bool]
    """Sticky flags: saturated, accumulator_overflow, address_error, nonfinite."""
    read_beats: int
    """Beats read, all ports together; `write_beats` likewise."""
    write_beats: int
    useful_products: int
    """Nonzero products that belong to an element of the result."""
    simulated_cycles: int
    """Cycles simulated, reset and reading of the counters included; 0 of a cycle model."""
    lowering_seconds: float
    """CPU time of the lowering."""
    simulation_seconds: float
    """CPU time of the simulation, or of the cycle model."""
    process_id: int = 0
    """Of the simulator."""
    spans: np.ndarray | None = None
    """Per job: cluster, cycle in which it was given, cycle of its last result; of a cycle model."""


def lower_job(config: AcceleratorConfig, job: PassJob) -> Program:
    """Lower a pass to the accelerator.

    Parameters
    ----------
    config
        The accelerator.
    job
        The pass.

    Raises
    ------
    InputError
        As `lowering.lower`.
    """
    arguments = (config, job.shape, job.which, job.first, job.second, job.out)
    if job.tuned:
        return lower_tuned(*arguments)
    return lower(*arguments, LoweringOptions(candidates=1))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LoweredJob:
    """A program that is ready for a launch."""

    program: Program
    launch: dict[str, object]
    """As `cosim.program.launch_fields` returns it."""
    lowering_seconds: float
    """CPU time."""


def prepare_job(config: AcceleratorConfig, job: PassJob, *, latency: int) -> LoweredJob:
    """Lower a pass and limit its cycles.

    Parameters
    ----------
    config
        The accelerator.
    job
        The pass.
    latency
        Cycles from a read command to its first beat.

    Raises
    ------
    InputError
        As `lowering.lower`.
    """
    started = time.process_time()
    program = lower_job(config, job)
    limit = default_timeout_cycles(program, latency=latency, stall_probability=0.0)
    return LoweredJob(
        program=program,
        launch=launch_fields(program, timeout_cycles=limit),
        lowering_seconds=time.process_time() - started,
    )
