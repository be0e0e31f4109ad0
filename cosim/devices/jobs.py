"""What a device is asked for and what it answers: passes of convolutions, without torch."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from gscn.array import ArrayConfig
from gscn.conv import ConvShape, Pass
from gscn.enums import takes_text
from gscn.lowering.pass_image import PassImage, lower_pass
from gscn.outputs import FloatOutput, OutputFormat

READY, DONE, REFUSED, FAILED = "ready", "done", "refused", "failed"
"""First word of an answer: the process serves; the outcome; the input is wrong; the launch failed,
and the process ends."""


@takes_text
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


@takes_text
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
    events: dict[str, list[int]]
    """Likewise of `gscn.counters.CLUSTER_EVENTS`."""
    flags: dict[str, bool]
    """Sticky flags: saturated, accumulator_overflow, nonfinite."""
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


def lower_job(config: ArrayConfig, job: PassJob) -> tuple[PassImage, float]:
    """Lower a pass; return the program, and the CPU time that it took in seconds.

    Parameters
    ----------
    config
        The accelerator.
    job
        The pass.

    Raises
    ------
    InputError
        As `lowering.pass_image.lower_pass`.
    """
    started = time.process_time()
    program = lower_pass(config, job.shape, job.which, job.first, job.second, job.out)
    return program, time.process_time() - started
