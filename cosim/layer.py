"""Whole passes of layers on the simulated accelerator, compared with models bit for bit."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gscn.array import ArrayConfig
from gscn.conv import ConvShape, Pass
from gscn.cosim.builds.simulator import BuiltSimulator, build
from gscn.cosim.conditions import DEFAULT_CONDITIONS, Conditions
from gscn.cosim.devices.device import Device
from gscn.cosim.launch import run, seen_latencies
from gscn.cosim.scoreboard import (
    Comparison,
    compare,
    counter_differences,
    model_cycles,
    stalled_counter_differences,
)
from gscn.cosim.simulation import RunResult
from gscn.cycles.passes import PassCycles
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.formats import FLOAT32, FloatFormat, IntFormat
from gscn.golden.oracle.float_conv import conv_windowed, round_sums
from gscn.golden.oracle.floats import check_codes, encode
from gscn.golden.oracle.integers import conv_integers, useful_products
from gscn.golden.oracle.quantize import check_range, choose_shift, quantize, requantize
from gscn.golden.traces.trace import Trace
from gscn.lowering.pass_image import PassImage, lower_pass
from gscn.outputs import FloatOutput, OutputFormat


@takes_text
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PassInput:
    """One pass of one layer with its operands: integers, or codes of a floating-point format."""

    layer: str
    shape: ConvShape
    which: Pass
    first: np.ndarray
    second: np.ndarray
    """Operands as in `ConvShape.operand_shapes`, of an integer type; codes of an unsigned one."""
    fmt: FloatFormat | None = None
    """Format of the codes; None for integers."""

    @property
    def magnitudes(self) -> tuple[np.ndarray, np.ndarray]:
        """Operands that are 0 exactly where the values are: codes without their signs."""
        if self.fmt is None:
            return self.first, self.second
        mask = (1 << (self.fmt.width - 1)) - 1
        return self.first & mask, self.second & mask


@takes_text
def traced_inputs(
    trace: Trace,
    config: ArrayConfig,
    layers: Sequence[str],
    which: Pass | None = None,
    fmt: FloatFormat | None = None,
) -> list[PassInput]:
    """Return passes of a trace, their operands quantised to the configuration's integer format.

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
    fmt
        Round the operands to this floating-point format instead.

    Raises
    ------
    InputError
        The trace has no such layer or pass, or an operand cannot be quantised.
    """
    inputs = []
    for name in layers:
        layer = trace.load(name)
        for one in layer.passes.values() if which is None else [layer.get(which)]:
            operands = {"first": one.first, "second": one.second}
            for which_one, values in operands.items():
                if fmt is None:
                    label = f"{which_one} operand of {name} {one.which}"
                    operands[which_one] = quantize(values, config.format, name=label).values
                else:
                    operands[which_one] = encode(values, fmt).codes
            inputs.append(
                PassInput(layer=name, shape=layer.shape, which=one.which, fmt=fmt, **operands)
            )
    return inputs


@takes_text
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PassOutcome:
    """What the simulated accelerator computed, and what it should have."""

    source: PassInput
    output_width: int
    """Bits of a result."""
    shift: int
    """Results are the exact sums divided by 2**shift, rounded to nearest, ties to even."""
    result: np.ndarray
    """int64, of shape `ConvShape.result_shape`; codes in floating point."""
    result_format: FloatFormat | None
    """Of the codes; None for integers."""
    plan: str
    """The tiling in words."""
    operand_bytes: int
    """Of operands and tables in memory."""
    useful_products: int
    run: RunResult
    comparison: Comparison
    model: PassCycles | None
    """What the cycle model says of the same program; None with random stalls, which it has not."""

    def utilization(self, config: ArrayConfig) -> float:
        """Return useful products per multiplier and cycle; 0 if there was nothing to do."""
        capacity = self.run.cycles * config.multipliers
        return self.useful_products / capacity if capacity else 0.0

    def shares(self) -> dict[str, float]:
        """Return the share of PE-cycles per counter; they sum to 1."""
        totals = {name: sum(values) for name, values in self.run.counters.items()}
        return {name: total / max(sum(totals.values()), 1) for name, total in totals.items()}


@takes_text
def oracle(
    source: PassInput,
    *,
    output_width: int,
    shift: int,
    result_format: FloatFormat | None,
    acc_width: int,
) -> np.ndarray:
    """Return the result that a launch must give.

    Parameters
    ----------
    source
        The pass and its operands.
    output_width, shift
        How results of integers are rounded.
    result_format
        Format of results in floating point.
    acc_width
        Bits of an accumulator, on which the window depends.

    Returns
    -------
    numpy.ndarray
        int64, of shape `ConvShape.result_shape`; codes in floating point.
    """
    pair = source.first, source.second
    if source.fmt is None:
        return _rounded(conv_integers(source.shape, source.which, *pair), output_width, shift)
    sums = conv_windowed(source.shape, source.which, *pair, source.fmt, acc_width=acc_width)
    return round_sums(sums, result_format)[0].astype(np.int64)


def _rounded(sums: np.ndarray, output_width: int, shift: int) -> np.ndarray:
    fmt = IntFormat(name=f"int{output_width}", width=output_width)
    rounded, _ = requantize(sums, shift, fmt)
    return rounded.astype(np.int64)


@takes_text
def check_passes(
    config: ArrayConfig,
    inputs: Sequence[PassInput],
    conditions: Conditions = DEFAULT_CONDITIONS,
    *,
    output_width: int = 32,
    result_format: FloatFormat = FLOAT32,
    simulator: BuiltSimulator | None = None,
    build_root: Path | None = None,
) -> list[PassOutcome]:
    """Run passes on the simulated accelerator, one after the other in one process.

    Results are shifted just so far that none saturates. Every result is compared with the golden
    model's, and every counter with the cycle model's (`PassOutcome.comparison`).

    Parameters
    ----------
    config
        Configuration of the accelerator.
    inputs
        Passes with operands in the configuration's integer format or one of its float formats.
    output_width
        Bits of a result of integers, 16 or 32.
    result_format
        Format of results in floating point: float32, bf16 or that of the operands.
    conditions, simulator, build_root
        As in `cosim.run`.

    Raises
    ------
    InputError
        An operand is outside the format, or the pass cannot be lowered to the configuration.
    SimulationError
        A launch failed; results that differ from the oracle are no such failure.
    """
    axi = simulator.axi if simulator else conditions.axi
    latencies = seen_latencies(conditions.latency, axi=axi)
    prepared = [prepare(config, one, output_width, result_format) for one in inputs]
    programs = [program for program, _ in prepared]
    if simulator is None:
        simulator = build(config, axi=conditions.axi, build_root=build_root)
    launches = run(config, programs, conditions, simulator=simulator)
    steady = conditions.steady
    outcomes = []
    for one, (program, right), launch in zip(inputs, prepared, launches, strict=True):
        model = model_cycles(program, **latencies)
        outcomes.append(_outcome(one, program, right, launch, model, steady=steady))
    return outcomes


@takes_text
def check_pass(
    device: Device,
    one: PassInput,
    *,
    output_width: int = 32,
    result_format: FloatFormat = FLOAT32,
) -> PassOutcome:
    """Run a pass on a device, as `check_passes` does; the outcome lacks the launch's memories.

    Parameters
    ----------
    device
        Runs it.
    one, output_width, result_format
        As of `check_passes`.

    Raises
    ------
    InputError, SimulationError
        As by `check_passes`, and what `Device.run` raises.
    """
    program, right = prepare(device.config, one, output_width, result_format)
    launch = device.run(program, label=f"layer {one.layer}, {one.which}")
    outcome = _outcome(one, program, right, launch, model_cycles(program, latency=device.latency))
    nothing = np.zeros(0, np.uint8)
    launch = dataclasses.replace(launch, memory=nothing, written=nothing.astype(bool))
    return dataclasses.replace(outcome, run=launch)


def _outcome(
    one: PassInput,
    program: PassImage,
    right: np.ndarray,
    launch: RunResult,
    model: PassCycles,
    *,
    steady: bool = True,
) -> PassOutcome:
    result = program.result(launch.memory)
    comparison = compare(result, right, written=launch.written, output_ranges=program.output_ranges)
    differences = (
        counter_differences(launch, model)
        if steady
        else stalled_counter_differences(launch, model, program.config)
    )
    return PassOutcome(
        source=one,
        output_width=program.out.width,
        shift=program.out.shift,
        result=result,
        result_format=None if one.fmt is None else program.out.result,
        plan=str(program.plan),
        operand_bytes=program.operand_bytes,
        useful_products=useful_products(one.shape, one.which, *one.magnitudes),
        run=launch,
        comparison=comparison.with_counters(differences),
        model=model if steady else None,
    )


@takes_text
def prepare(
    config: ArrayConfig,
    one: PassInput,
    output_width: int,
    result_format: FloatFormat,
) -> tuple[PassImage, np.ndarray]:
    """Return the image of a pass, and its right result by the oracle.

    Parameters
    ----------
    config, one, output_width, result_format
        As of `check_passes`.

    Raises
    ------
    InputError
        An operand is outside the format, or the pass cannot be lowered to the configuration.
    """
    label = f"{one.layer} {one.which}"
    shift = 0
    if one.fmt is None:
        first = check_range(one.first, config.format, f"first operand of {label}")
        second = check_range(one.second, config.format, f"second operand of {label}")
        sums = conv_integers(one.shape, one.which, first, second)
        shift = choose_shift(int(sums.min()), int(sums.max()), output_width)
        out = OutputFormat(width=output_width, shift=shift)
        right = _rounded(sums, output_width, shift)
    else:
        first = check_codes(one.first, one.fmt, f"first operand of {label}")
        second = check_codes(one.second, one.fmt, f"second operand of {label}")
        out = FloatOutput(operands=one.fmt, result=result_format)
        right = oracle(
            one,
            output_width=output_width,
            shift=shift,
            result_format=result_format,
            acc_width=config.acc_width,
        )
    try:
        return lower_pass(config, one.shape, one.which, first, second, out), right
    except InputError as error:
        raise InputError(f"{label}: {error}") from error
