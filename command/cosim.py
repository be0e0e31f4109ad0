"""`gscn cosim`: run passes on the simulated accelerator and compare them with the models."""

from __future__ import annotations

import argparse
import logging
import sys
from typing import TYPE_CHECKING

from gscn.array import ArrayConfig, array
from gscn.command.numbers import MOST_LATENCY, MOST_PROCESSES, real, whole
from gscn.command.options import add_build_argument, add_output_folder, add_preset_arguments
from gscn.command.pass_inputs import (
    add_input_arguments,
    add_result_arguments,
    chosen_inputs,
    result_format,
)
from gscn.command.result import Result, table
from gscn.errors import MismatchError, OutputError, raise_problems
from gscn.formats import FLOAT_OPERAND_FORMATS, OPERAND_FORMATS
from gscn.port import READ_LATENCY

if TYPE_CHECKING:
    from gscn.cosim.builds.simulator import BuiltSimulator
    from gscn.cosim.layer import PassInput, PassOutcome

SUMMARY = (
    "run convolutions on the simulated accelerator and compare every result with golden models, "
    "every counter with the cycle model"
)
EXAMPLE = (
    "gscn cosim --conv 1,16,14,14,16,3,3 --padding 1 --density-a 0.1 --density-b 0.1 --pass all"
)

logger = logging.getLogger(__name__)


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments that choose a configuration."""
    add_preset_arguments(parser, default="small")
    parser.add_argument(
        "--format",
        choices=[*sorted(OPERAND_FORMATS), *FLOAT_OPERAND_FORMATS],
        help="operand format (default: int16); one of floating point is added to the core's",
    )


def config_from(args: argparse.Namespace) -> ArrayConfig:
    """Return the configuration that the arguments choose; their number format, if any, is in it."""
    assignments, name = list(args.set), getattr(args, "format", None)
    if name in OPERAND_FORMATS:
        assignments.append(f"operand_format={name}")
    config = array(args.config).with_overrides(assignments)
    if name in FLOAT_OPERAND_FORMATS:
        config = config.with_floats([name])
    return config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommand's arguments."""
    add_input_arguments(parser)
    add_config_arguments(parser)
    _add_launch_arguments(parser)
    parser.add_argument(
        "--workers",
        type=whole(1, MOST_PROCESSES),
        metavar="N",
        help="run passes on N processes of this machine at once (Dask)",
    )
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="run passes on the workers of an existing Dask cluster, tcp://HOST:PORT",
    )
    add_output_folder(parser, "--out", help="save operands and results, for `gscn compare`")
    add_build_argument(parser)


def _add_launch_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what launches meet, and how they round results."""
    parser.add_argument(
        "--latency",
        type=whole(high=MOST_LATENCY),
        default=READ_LATENCY,
        metavar="N",
        help="cycles from a memory read to its first data (default: 20)",
    )
    parser.add_argument(
        "--stalls",
        type=real,
        default=0.0,
        metavar="P",
        help="probability that a memory channel pauses in a cycle (default: 0)",
    )
    parser.add_argument(
        "--axi",
        action="store_true",
        help="reach the core by AXI4-Lite and memory by AXI4, not by the core's own ports",
    )
    add_result_arguments(parser)


def _describe(outcome: PassOutcome, config: ArrayConfig) -> dict[str, object]:
    run = outcome.run
    return {
        "layer": outcome.source.layer,
        "pass": str(outcome.source.which),
        "outputs": outcome.comparison.outputs,
        "mismatches": outcome.comparison.mismatches,
        "stray_bytes": outcome.comparison.stray_bytes,
        "wrong_counters": outcome.comparison.wrong_counters,
        "details": list(outcome.comparison.details),
        "output_width": outcome.output_width,
        "shift": outcome.shift,
        "result_format": outcome.result_format and outcome.result_format.name,
        "cycles": run.cycles,
        "useful_products": outcome.useful_products,
        "utilization": outcome.utilization(config),
        "read_beats": run.read_beats,
        "write_beats": run.write_beats,
        "model_cycles": None if outcome.model is None else outcome.model.cycles,
        "shares": outcome.shares(),
        "counters": run.counters,
        "events": run.events,
        "flags": run.flags,
        "simulated_cycles": run.simulated_cycles,
        "simulated_cycles_per_second": run.simulated_cycles / run.wall_seconds,
    }


def _distributed(
    args: argparse.Namespace, config: ArrayConfig, inputs: list[PassInput]
) -> list[PassOutcome]:
    """Run the passes on a cluster, with a bar on stderr if that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    from gscn.cosim.distributed import check_distributed, connect

    with (
        connect(args.workers or 1, args.scheduler) as client,
        Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar,
    ):
        task = bar.add_task("passes", total=len(inputs))
        return check_distributed(
            client,
            config,
            inputs,
            output_width=args.output_width,
            result_format=result_format(args),
            latency=args.latency,
            build_root=args.build_dir,
            finished=lambda _: bar.advance(task),
        )


def _check_distribution(args: argparse.Namespace) -> None:
    """Refuse options that workers do not have."""
    if args.workers is None and args.scheduler is None:
        return
    problems = [
        f"--{name} must not stand with --workers or --scheduler"
        for name in ("axi", "stalls")
        if getattr(args, name)
    ]
    if args.scheduler is not None and args.build_dir is not None:
        problems.append(
            "--build-dir is of this machine, so it must not stand with --scheduler, whose workers "
            "have their own"
        )
    if args.workers is not None and args.scheduler is not None:
        problems.append("--workers makes a cluster, so it must not stand with --scheduler")
    raise_problems("cosim", problems)
    if args.scheduler is not None:
        # Before a simulator is built, which takes much longer.
        from gscn.cosim.distributed import require_scheduler

        require_scheduler(args.scheduler)


def run(args: argparse.Namespace) -> Result:
    """Build the simulator if need be, run the passes, compare, and report."""
    _check_distribution(args)
    config = config_from(args)
    from gscn.cosim.errors import SimulationError
    from gscn.cosim.saved import save_results

    inputs = chosen_inputs(args, config)
    try:
        simulator, outcomes = _outcomes(args, config, inputs)
    except SimulationError as error:
        raise MismatchError(str(error)) from error
    passes = [_describe(outcome, config) for outcome in outcomes]
    problems = []
    if args.out is not None:
        try:
            saved = save_results(args.out, outcomes, config)
            for path, description in zip(saved, passes, strict=True):
                description["saved"] = str(path)
        except OutputError as error:
            problems.append(f"--out: {error}")
    data: dict[str, object] = {
        "config": config.to_dict(),
        "config_digest": config.digest(),
        "simulator_digest": simulator.digest,
        "mem_width": config.mem_width,
        "ports": config.ports,
        "axi": args.axi,
        "multipliers": config.multipliers,
        "latency": args.latency,
        "stalls": args.stalls,
        "seed": args.seed,
        "passes": passes,
    }
    return Result(
        data=data,
        text=_text(args, config, outcomes),
        problems=tuple(problems),
        mismatch=not all(outcome.comparison.good for outcome in outcomes),
    )


def _outcomes(
    args: argparse.Namespace, config: ArrayConfig, inputs: list[PassInput]
) -> tuple[BuiltSimulator, list[PassOutcome]]:
    """Run the passes, here or on workers; return the simulator as well."""
    from gscn.cosim.builds.simulator import build
    from gscn.cosim.conditions import Conditions
    from gscn.cosim.layer import check_passes

    conditions = Conditions(
        latency=args.latency,
        stall_probability=args.stalls,
        seed=args.seed,
        axi=args.axi,
    )
    if args.workers is not None or args.scheduler is not None:
        outcomes = _distributed(args, config, inputs)
    else:
        outcomes = check_passes(
            config,
            inputs,
            conditions,
            output_width=args.output_width,
            result_format=result_format(args),
            build_root=args.build_dir,
        )
    # The one that ran them. It is built after passes that do not fit have been refused.
    return build(config, axi=args.axi, build_root=args.build_dir), outcomes


def _text(args: argparse.Namespace, config: ArrayConfig, outcomes: list[PassOutcome]) -> str:
    """Return the table of the passes, and what differs from the models."""
    header = (
        "layer",
        "pass",
        "outputs",
        "mismatches",
        "cycles",
        "model cycles",
        "useful products",
        "utilization %",
        "read port %",
        "write port %",
        "simulated kcycles/s",
    )
    rows = [
        (
            outcome.source.layer,
            str(outcome.source.which),
            outcome.comparison.outputs,
            outcome.comparison.mismatches,
            outcome.run.cycles,
            "-" if outcome.model is None else outcome.model.cycles,
            outcome.useful_products,
            100 * outcome.utilization(config),
            100 * outcome.run.read_beats / (config.ports * max(outcome.run.cycles, 1)),
            100 * outcome.run.write_beats / (config.ports * max(outcome.run.cycles, 1)),
            outcome.run.simulated_cycles / outcome.run.wall_seconds / 1000,
        )
        for outcome in outcomes
    ]
    title = (
        f"configuration {config.digest()}: {config.multipliers} multipliers, "
        f"{config.ports} x {config.mem_width}-bit memory port{' (AXI4)' if args.axi else ''}, "
        f"{args.format or config.operand_format}"
    )
    bad = [
        f"{outcome.source.layer} {outcome.source.which}: {detail}"
        for outcome in outcomes
        for detail in outcome.comparison.details
    ]
    return "\n".join([table(header, rows, title=title), *bad])
