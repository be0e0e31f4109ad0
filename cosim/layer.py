"""Whole passes of layers on the simulated accelerator, compared with torch word for word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cosim.build import BUILD_ROOT, BuiltSimulator, build
from cosim.launch import RunResult, run, seen_latencies
from cosim.scoreboard import Comparison, compare
from golden.oracle import conv_integers, useful_products
from golden.quantize import check_range, choose_shift, quantize, requantize
from golden.trace import Trace
from gscn.config import AcceleratorConfig
from gscn.conv import ConvShape, Pass
from gscn.formats import IntFormat
from gscn.port import READ_LATENCY
from lowering import OutputFormat
from perf.cycles import CycleResult, simulate
from perf.tuning import lower_tuned


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PassInput:
    """One pass of one layer with its integer operands."""

    layer: str
    shape: ConvShape
    which: Pass
    first: np.ndarray
    second: np.ndarray
    """Operands as in `ConvShape.operand_shapes`, of an integer type."""


def traced_inputs(
    trace: Trace, config: AcceleratorConfig, layers: Sequence[str], which: Pass | None = None
) -> list[PassInput]:
    """Return passes of a trace, their operands quantised to the configuration's format.

    Parameters
    ----------
    trace
        Recorded training step.
    config
        Says the operand format.
    layers
        Names of layers.
    which
        The pass; by default every pass that training computed, which is not every one of each
        layer.

    Raises
    ------
    InputError
        The trace has no such layer or pass, or an operand cannot be quantised.
    """
    inputs = []
    for name in layers:
        layer = trace.load(name)
        for one in layer.passes.values() if which is None else [layer.get(which)]:
            label = f"{name} {one.which}"
            first = quantize(one.first, config.format, name=f"first operand of {label}")
            second = quantize(one.second, config.format, name=f"second operand of {label}")
            inputs.append(
                PassInput(
                    layer=name,
                    shape=layer.shape,
                    which=one.which,
                    first=first.values,
                    second=second.values,
                )
            )
    return inputs


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PassOutcome:
    """What the simulated accelerator computed, and what it should have."""

    source: PassInput
    output_width: int
    """Bits of a result."""
    shift: int
    """Results are the exact sums divided by 2**shift, rounded to nearest, ties to even."""
    result: np.ndarray
    """int64, of shape `ConvShape.result_shape`."""
    useful_products: int
    run: RunResult
    comparison: Comparison
    model: CycleResult | None
    """What the cycle model says of the same program; None with random stalls, which it has not."""

    def utilization(self, config: AcceleratorConfig) -> float:
        """Return useful products per multiplier and cycle; 0 if there was nothing to do."""
        capacity = self.run.cycles * config.multipliers
        return self.useful_products / capacity if capacity else 0.0

    def shares(self) -> dict[str, float]:
        """Return the share of PE-cycles per counter; they sum to 1."""
        totals = {name: sum(values) for name, values in self.run.counters.items()}
        return {name: total / max(sum(totals.values()), 1) for name, total in totals.items()}


def oracle(
    shape: ConvShape,
    which: Pass,
    first: np.ndarray,
    second: np.ndarray,
    *,
    output_width: int,
    shift: int,
) -> np.ndarray:
    """Return the result that a launch must give.

    Parameters
    ----------
    shape, which, first, second
        The pass and its integer operands.
    output_width, shift
        How results are rounded.

    Returns
    -------
    numpy.ndarray
        int64, of shape `shape.result_shape(which)`.
    """
    return _rounded(conv_integers(shape, which, first, second), output_width, shift)


def _rounded(sums: np.ndarray, output_width: int, shift: int) -> np.ndarray:
    fmt = IntFormat(name=f"int{output_width}", width=output_width)
    rounded, _ = requantize(sums, shift, fmt)
    return rounded.astype(np.int64)


def check_passes(
    config: AcceleratorConfig,
    inputs: Sequence[PassInput],
    *,
    output_width: int = 32,
    latency: int = READ_LATENCY,
    stall_probability: float | Mapping[str, float] = 0.0,
    seed: int = 0,
    random_init: bool = False,
    axi: bool = False,
    one_start: bool = False,
    simulator: BuiltSimulator | None = None,
    build_root: Path = BUILD_ROOT,
) -> list[PassOutcome]:
    """Run passes on the simulated accelerator, one after the other in one process.

    Results are shifted just so far that none saturates.

    Parameters
    ----------
    config
        Configuration of the accelerator.
    inputs
        Passes with operands in the configuration's format.
    output_width
        Bits of a result, 16 or 32.
    latency, stall_probability, seed, random_init, axi, one_start, simulator, build_root
        As in `cosim.run`.

    Raises
    ------
    InputError
        An operand is outside the format, or the pass cannot be lowered to the configuration.
    SimulationError
        A launch failed; results that differ from the oracle are no such failure.
    """
    latencies = seen_latencies(latency, axi=simulator.axi if simulator else axi)
    expected = []
    programs = []
    shifts = []
    for one in inputs:
        first = check_range(one.first, config.format, f"first operand of {one.layer} {one.which}")
        second = check_range(
            one.second, config.format, f"second operand of {one.layer} {one.which}"
        )
        sums = conv_integers(one.shape, one.which, first, second)
        shift = choose_shift(int(sums.min()), int(sums.max()), output_width)
        out = OutputFormat(width=output_width, shift=shift)
        programs.append(
            lower_tuned(
                config, one.shape, one.which, first, second, out, latency=latencies["latency"]
            )
        )
        expected.append(_rounded(sums, output_width, shift))
        shifts.append(shift)
    if simulator is None:
        simulator = build(config, axi=axi, build_root=build_root)
    launches = run(
        config,
        programs,
        latency=latency,
        stall_probability=stall_probability,
        seed=seed,
        random_init=random_init,
        axi=axi,
        one_start=one_start,
        simulator=simulator,
    )
    stalls = (
        stall_probability.values()
        if isinstance(stall_probability, Mapping)
        else [stall_probability]
    )
    steady = not any(stalls)
    outcomes = []
    for one, program, right, shift, launch in zip(
        inputs, programs, expected, shifts, launches, strict=True
    ):
        result = program.result(launch.memory)
        outcomes.append(
            PassOutcome(
                source=one,
                output_width=output_width,
                shift=shift,
                result=result,
                useful_products=useful_products(one.shape, one.which, one.first, one.second),
                run=launch,
                comparison=compare(
                    result, right, written=launch.written, output_ranges=program.output_ranges
                ),
                model=simulate(program, **latencies, one_start=one_start) if steady else None,
            )
        )
    return outcomes
