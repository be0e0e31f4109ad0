"""The part of `gscn train` by which every operation of a step runs on the simulated machine."""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gscn.command.cosim import config_from
from gscn.errors import raise_problems
from gscn.formats import BF16

if TYPE_CHECKING:
    from gscn.cosim.whole_steps import StepTotals, Way, WholeSteps
    from gscn.golden.training.progress import Progress
    from gscn.golden.training.whole_training import WholeTrainer
    from gscn.lowering.step.layers import Training


def add_whole_step_argument(group: argparse._ArgumentGroup) -> None:
    """Declare the argument that asks for whole steps."""
    group.add_argument(
        "--whole-step",
        action="store_true",
        help="with --backend rtl: run every operation of a training step on the generated Verilog, "
        "normalisation, ReLU, pooling, thresholds and the update of weights included; --check then "
        "compares every tensor with the golden step",
    )


def check_whole_step_arguments(args: argparse.Namespace) -> None:
    """Find which options do not stand with `--whole-step`.

    Raises
    ------
    InputError
        Naming every problem.
    """
    if not args.whole_step:
        return
    problems = [
        f"--{name} must not stand with --whole-step, {why}"
        for name, given, why in (
            ("on", bool(args.on), "which takes every layer"),
            ("devices", args.devices is not None, "which has one simulator"),
            ("waves", args.waves is not None, "whose simulator writes none"),
        )
        if given
    ]
    if args.backend != "rtl":
        problems.append("--whole-step needs --backend rtl")
    raise_problems("train", problems)


@dataclass(kw_only=True, slots=True)
class WholeStepSimulation:
    """The machine of a training run, and what became of it."""

    trainer: WholeTrainer
    machine: WholeSteps
    totals: StepTotals
    checked: bool
    timeline: Path | None
    last_iteration: int
    started: float = field(default_factory=time.perf_counter)
    shown: Callable[[str], None] | None = None
    """Shows a line of progress."""
    differences: tuple[str, ...] = ()
    """None: the first that differs is an error."""

    def before_step(self) -> None:
        """Prepare for an iteration: the last one is recorded."""
        last = self.trainer.iteration + 1 == self.last_iteration
        self.machine.timed = last and self.timeline is not None
        self.machine.watch(self.watch if self.shown is not None else None)

    def watch(self, at: str) -> None:
        """Show what the machine is at in the midst of a step."""
        if self.shown is not None:
            self.shown(f"step {self.trainer.iteration + 1}: {at}; {self.totals.text()}")

    def after_step(self, done: Progress) -> None:
        """Show what an iteration took."""
        if self.shown is not None:
            self.shown(f"step {done.iteration}: loss {done.loss:.4f}, {self.totals.text()}")

    def finish(self) -> None:
        """Write the timeline."""
        if self.timeline is not None and self.totals.last is not None:
            from gscn.cosim.chrome_trace import write_step_trace

            names = self.machine.names
            config = self.machine.config
            write_step_trace(self.timeline, config, self.totals.last.taken, names)

    def evaluate(self) -> float:
        """Return the accuracy by torch, with the machine's weights."""
        return self.trainer.evaluate()

    def data(self) -> dict[str, object]:
        """Return plain JSON values."""
        config = self.machine.config
        return {
            "config": config.to_dict(),
            "config_digest": config.digest(),
            "whole_step": True,
            "wall_seconds": time.perf_counter() - self.started,
            **self.totals.data(),
            "checked": self.checked,
        }

    def text(self) -> str:
        """Return lines for the report."""
        totals = self.totals
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(totals.host_bytes.items()))
        each = totals.operations // max(1, totals.steps)
        counted = (
            f"{totals.steps} whole steps of {each} operations: {totals.cycles} cycles, "
            f"{1e3 * totals.simulated_seconds:.2f} ms at {totals.clock_mhz:g} MHz"
        )
        touched = (
            f"the host answered {totals.stops} stops and touched bytes of {kinds}; all but images "
            f"are {100 * totals.host_share:.3f} % of the {totals.dense_bytes} of dense tensors"
        )
        spent = (
            f"{time.perf_counter() - self.started:.1f} s in all; simulation "
            f"{totals.wall_seconds:.1f} s, between its steps {totals.overhead_seconds:.1f} s"
        )
        lines = [counted, touched, spent]
        if self.checked:
            lines.append("every loss, tensor and state equals the golden step's, bit for bit")
        return "\n".join(lines)


def step_ways(trainer: WholeTrainer) -> dict[Way, Training]:
    """Return the kinds of steps that a trainer's recipe has, and how each trains."""
    from gscn.cosim.whole_steps import Way
    from gscn.golden.methods.targets import density_of, reuse_density
    from gscn.lowering.step.layers import Training

    recipe = trainer.recipe
    selects, reuses = recipe.method.startswith("swat"), recipe.method.endswith("resprop")
    density = density_of(recipe.sparsity) if selects else None
    share = reuse_density(recipe.sparsity) if reuses else None
    if density == 1:
        density = None
    common = {
        "density": density,
        "reuse": None if share is None or share == 1 else (share, share),
        "masks": recipe.method == "dst",
        "unselected": trainer.unselected() if selects else frozenset(),
        "rate": recipe.learning_rate,
        "momentum": recipe.momentum,
        "decay": recipe.weight_decay,
    }
    return {
        Way(refresh, reused): Training(
            **common,
            refresh=refresh and density is not None,
            reuses=reused and common["reuse"] is not None,
        )
        for refresh in ((True, False) if selects else (False,))
        for reused in ((False, True) if reuses else (False,))
    }


@contextlib.contextmanager
def whole_step(
    args: argparse.Namespace, trainer: WholeTrainer, last_iteration: int
) -> Iterator[WholeStepSimulation]:
    """Put a trainer's network on the machine, as long as this context lasts.

    Parameters
    ----------
    args
        Checked by `check_whole_step_arguments`.
    trainer
        Of a recipe in bf16.
    last_iteration
        Iteration at which training ends.

    Yields
    ------
    WholeStepSimulation
        What runs the steps.

    Raises
    ------
    InputError
        The configuration is wrong, or operations of the network have no place; all are named.
    SimulationError
        The simulator cannot be built.
    """
    from gscn.cosim.builds.simulator import build
    from gscn.cosim.whole_steps import StepTotals, WholeSteps, compile_steps
    from gscn.golden.oracle.step_host import GoldenHost
    from gscn.lowering.step.host import Host

    config = config_from(args).with_floats([BF16])
    # What has no place is told before minutes of building.
    compiled = compile_steps(trainer.graph, step_ways(trainer), config)
    simulator = build(config, lists=True, build_root=args.build_dir)
    recipe = trainer.recipe
    scalars = {
        "rate": recipe.learning_rate,
        "momentum": recipe.momentum,
        "decay": recipe.weight_decay,
        "penalty": recipe.dst_alpha or 0.0,
    }
    first = next(iter(compiled.steps.values()))
    classes = compiled.layers[-1].kernels
    hosts = [kind(first.norms, classes, **scalars) for kind in (Host, GoldenHost)]
    totals = StepTotals(config=config, clock_mhz=args.clock_mhz)
    with WholeSteps(
        config, compiled, trainer.parameters(), hosts[0], hosts[1] if args.check else None,
        totals=totals, simulator=simulator, kept=trainer.kept,
    ) as machine:  # fmt: skip
        trainer.machine = machine
        running = WholeStepSimulation(
            trainer=trainer,
            machine=machine,
            totals=totals,
            checked=args.check,
            timeline=args.timeline,
            last_iteration=last_iteration,
        )
        try:
            yield running
            trainer.fetch()
        finally:
            trainer.machine = None
