"""What a device is asked for and what it answers: passes of convolutions, without torch."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from dataclasses import dataclass

import numpy as np

from gscn.config import AcceleratorConfig
from gscn.conv import ConvShape, Pass
from gscn.cosim.simulation import Program, default_timeout_cycles, launch_fields
from gscn.cycles.cost import cycle_cost
from gscn.cycles.model import CycleResult
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.lowering import LoweringOptions, Plan, lower, lower_again
from gscn.port import READ_LATENCY
from gscn.program import FloatOutput, OutputFormat

READY, DONE, REFUSED, FAILED = "ready", "done", "refused", "failed"
"""First word of an answer: the process serves; the outcome; the input is wrong; the launch failed,
and the process ends."""
TILINGS_BUILT = 4
"""Tilings of which the cycle model chooses: most of the time goes into planning, not building."""
SPAN_WINDOWS = 128
"""Windows of a pass, at most, in which the cycles of PEs are counted where spans are asked for."""
MOST_RATIO = 4.0
"""Of an operand's nonzeros to those that a tiling was found for, or the other way round."""


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
    plan: Plan | None = None
    """Tiling found for other operands of this shape; by default, or if it does not fit, one is
    looked for."""
    spans: bool = False
    """Whether the cycle model also says when each cluster had which job, and what its PEs did; a
    reset comes before."""


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
    """Per job: cluster, cycle in which it was given, cycle of its last result; if asked for."""
    plan: Plan | None = None
    """Tiling that was looked for, for passes of the same shape to come; None if that of the job was
    used."""
    job_products: np.ndarray | None = None
    """Products per job and PE; if asked for."""
    window: int = 0
    """Cycles in a window of `history`."""
    history: np.ndarray | None = None
    """As of `cycles.model.CycleResult`; if asked for."""


def lower_job(
    config: AcceleratorConfig, job: PassJob, *, latency: int = READ_LATENCY
) -> tuple[Program, Plan | None]:
    """Lower a pass to the accelerator; return the program, and its tiling if one was looked for.

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
    if job.plan is not None:
        # Operands that no tiling fits are refused below as well.
        with contextlib.suppress(InputError):
            return lower_again(job.plan, job.first, job.second, job.out), None
    program = lower(
        config, job.shape, job.which, job.first, job.second, job.out,
        LoweringOptions(candidates=TILINGS_BUILT), cost=cycle_cost(latency),
    )  # fmt: skip
    return program, program.tiling


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LoweredJob:
    """A program that is ready for a launch."""

    program: Program
    launch: dict[str, object]
    """As `cosim.simulation.launch_fields` returns it."""
    plan: Plan | None
    """As of `PassRun`."""
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
    program, plan = lower_job(config, job, latency=latency)
    limit = default_timeout_cycles(program, latency=latency, stall_probability=0.0)
    return LoweredJob(
        program=program,
        launch=launch_fields(program, timeout_cycles=limit),
        plan=plan,
        lowering_seconds=time.process_time() - started,
    )


def span_fields(program: Program, cycles: CycleResult) -> dict[str, object]:
    """Return what a `PassRun` has if spans are asked for.

    Parameters
    ----------
    program
        The pass.
    cycles
        Of the program after a reset, with `SPAN_WINDOWS`.
    """
    return {
        "spans": cycles.job_spans,
        "job_products": np.array([job.products for job in program.jobs], dtype=np.int64),
        "window": cycles.window,
        "history": cycles.history,
    }


class PlanMemory:
    """Tilings of passes run before, for those of the same shape and about as many nonzeros.

    Looking for a tiling takes longer than simulating a small layer, and one that was found for
    other operands takes few cycles more (docs/results/simulated-training.md).
    """

    def __init__(self) -> None:
        self._found: dict[tuple, list[tuple[np.ndarray, Plan]]] = {}

    def planned(self, job: PassJob) -> PassJob:
        """Return the pass with the tiling of the most similar one before, if one is similar."""
        if job.plan is not None:
            return job
        own = _log_counts(job)
        ratio, plan = min(
            (
                (float(np.abs(own - counts).max()), plan)
                for counts, plan in self._found.get(self._key(job), [])
            ),
            key=lambda pair: pair[0],
            default=(math.inf, None),
        )
        return job if ratio > math.log(MOST_RATIO) else dataclasses.replace(job, plan=plan)

    def remember(self, job: PassJob, plan: Plan | None) -> None:
        """Keep the tiling that was looked for, if it was, when a pass was run."""
        if plan is not None:
            self._found.setdefault(self._key(job), []).append((_log_counts(job), plan))

    @staticmethod
    def _key(job: PassJob) -> tuple:
        return job.shape, job.which, job.out.width


def _log_counts(job: PassJob) -> np.ndarray:
    """Return the logarithms of the nonzeros of both operands; of none as of one."""
    return np.log([max(np.count_nonzero(values), 1) for values in (job.first, job.second)])
