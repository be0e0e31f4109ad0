"""The part of `gscn train` by which convolutions run on the simulated accelerator."""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gscn.command.cosim import config_from
from gscn.command.numbers import MOST_PROCESSES, real, whole
from gscn.command.options import (
    add_build_argument,
    add_output_file,
    add_preset_arguments,
    declare_output,
)
from gscn.command.whole_step import add_whole_step_argument, whole_step
from gscn.conv import Pass
from gscn.errors import InputError, raise_problems

if TYPE_CHECKING:
    from gscn.array import ArrayConfig
    from gscn.command.whole_step import WholeStepSimulation
    from gscn.cosim.devices.backends import CycleModelBackend, RtlBackend
    from gscn.cosim.devices.jobs import PassRun
    from gscn.cosim.progress import RunTotals
    from gscn.golden.methods.backends import GoldenBackend
    from gscn.golden.methods.operand_formats import OperandFormats
    from gscn.golden.training.progress import Progress
    from gscn.golden.training.training import Trainer

BACKENDS = ("golden", "rtl", "cycle-model")
"""As `golden.methods.backends.BACKENDS`, which a test holds it to; torch is slow to import."""
RTL_ONLY = ("devices", "waves", "build-dir")
"""Options of the backend that builds simulators."""
CLOCK_MHZ = 100.0


def add_backend_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments that say where convolutions are calculated; no result depends on it."""
    group = parser.add_argument_group("simulated accelerator")
    group.add_argument(
        "--backend",
        choices=BACKENDS,
        help="calculate convolutions, in bf16 unless --arithmetic says otherwise, by the golden "
        "model, on the generated Verilog, or by the golden model with the cycles of the cycle "
        "model (default: as --arithmetic says)",
    )
    add_preset_arguments(group, default="small")
    add_whole_step_argument(group)
    group.add_argument(
        "--devices",
        type=whole(1, MOST_PROCESSES),
        metavar="N",
        help="simulators at once (default: one per processor)",
    )
    group.add_argument(
        "--on",
        action="append",
        default=[],
        metavar="LAYER",
        help="only this convolution is on the backend, the others are the golden model's; may be "
        "repeated",
    )
    group.add_argument(
        "--clock-mhz",
        type=real,
        default=CLOCK_MHZ,
        metavar="F",
        help=f"clock at which simulated time is told (default: {CLOCK_MHZ:g})",
    )
    group.add_argument(
        "--check",
        action="store_true",
        help="train by the golden model besides, and compare every counter of every pass with the "
        "cycle model; exit with 1 if anything differs",
    )
    add_output_file(
        group,
        "--timeline",
        help="write the passes of the last iteration over time, as a Chrome trace (Perfetto)",
    )
    group.add_argument(
        "--waves",
        nargs=3,
        metavar=("LAYER", "PASS", "FILE"),
        help="write the waves of a pass in the last iteration, as FST",
    )
    declare_output(group, "--waves", lambda args: args.waves and Path(args.waves[2]))
    add_build_argument(group)


def check_backend_arguments(args: argparse.Namespace) -> None:
    """Find what is wrong with these arguments; the recipe's arithmetic becomes bf16 by default.

    Raises
    ------
    InputError
        Naming every problem.
    """
    timed = args.backend in ("rtl", "cycle-model")
    problems = [
        f"--{name} needs --backend rtl{'' if name in RTL_ONLY else ' or cycle-model'}"
        for name, given, possible in (
            ("devices", args.devices is not None, args.backend == "rtl"),
            ("waves", args.waves is not None, args.backend == "rtl"),
            ("build-dir", args.build_dir is not None, args.backend == "rtl"),
            ("timeline", args.timeline is not None, timed),
            ("on", bool(args.on), timed),
            ("check", args.check, timed),
        )
        if given and not possible
    ]
    if args.clock_mhz <= 0:
        problems.append(f"--clock-mhz must be positive, not {args.clock_mhz:g}")
    if args.waves is not None and args.waves[1] not in list(map(str, Pass)):
        problems.append(f"--waves needs a pass, {', '.join(map(str, Pass))}, not {args.waves[1]!r}")
    if args.backend is not None:
        if args.arithmetic == "float32":
            problems.append("--backend calculates with narrow operands, not --arithmetic float32")
        args.arithmetic = args.arithmetic or "bf16"
    raise_problems("train", problems)


@dataclass(kw_only=True, slots=True)
class Simulation:
    """The accelerator of a training run, and what became of it."""

    trainer: Trainer
    backend: RtlBackend | CycleModelBackend
    totals: RunTotals
    golden: GoldenBackend
    """Calculates as the backend does."""
    placement: dict[str, object]
    """Backend of each layer."""
    twin: Trainer | None
    """Trains by the golden model, to be compared."""
    timeline: Path | None
    waves: tuple[str, Path] | None
    """Label of the pass, and the file."""
    last_iteration: int
    started: float = field(default_factory=time.perf_counter)
    golden_losses: list[float] = field(default_factory=list)
    """Of the iterations compared so far, in nats."""
    differences: list[str] = field(default_factory=list)
    shown: Callable[[str], None] | None = None
    """Shows a line of progress."""
    _recording: bool = False
    _recorded: list[PassRun] = field(default_factory=list)

    def observe(self, run: PassRun) -> None:
        """Count a run, and show it; the backend's observer."""
        self.totals.add(run)
        if self._recording:
            self._recorded.append(run)
        if self.shown is not None:
            self.shown(self.totals.text())

    def before_step(self) -> None:
        """Prepare for an iteration: the last one is recorded."""
        if self.trainer.iteration + 1 != self.last_iteration:
            return
        self._recording = self.timeline is not None
        if self.waves is not None:
            self.backend.wave_requests = dict([self.waves])

    def after_step(self, done: Progress) -> None:
        """Compare an iteration with the golden model's."""
        if self.twin is None:
            return
        right = self.twin.step()
        self.golden_losses.append(right.loss)
        if done.loss != right.loss:
            self.differences.append(
                f"iteration {done.iteration}: loss {done.loss!r}, golden model {right.loss!r}"
            )

    def finish(self) -> None:
        """Compare the weights with the golden model's, and write the timeline."""
        import torch

        if self.twin is not None:
            states = [t.network.state_dict() for t in (self.trainer, self.twin)]
            self.differences += [
                f"{name} differs from the golden model's"
                for name, value in states[0].items()
                if torch.is_tensor(value) and not torch.equal(value, states[1][name])
            ]
        if self.timeline is not None:
            from gscn.cosim.chrome_trace import write_chrome_trace

            write_chrome_trace(self.timeline, self.backend.config, self._recorded)

    def evaluate(self) -> float:
        """Return the accuracy by the golden model, whose results are equal and come sooner."""
        from gscn.golden.methods.backends import place

        place(self.trainer.network, dict.fromkeys(self.placement, self.golden))
        try:
            return self.trainer.evaluate()
        finally:
            place(self.trainer.network, self.placement)

    def data(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "config": self.backend.config.to_dict(),
            "config_digest": self.backend.config.digest(),
            "wall_seconds": time.perf_counter() - self.started,
            **self.totals.data(),
            "checked": self.twin is not None,
            "golden_losses_nats": self.golden_losses,
            "differences": self.differences,
        }

    def text(self) -> str:
        """Return lines for the report."""
        totals = self.totals
        causes = ", ".join(f"{name} {100 * share:.1f} %" for name, share in totals.stalls().items())
        busy = (
            f"{totals.passes} launches on {self.backend.config.multipliers} multipliers: "
            f"{totals.cycles} cycles, {1e3 * totals.simulated_seconds:.2f} ms at "
            f"{totals.clock_mhz:g} MHz, utilization {100 * totals.utilization:.1f} % ({causes})"
        )
        spent = (
            f"{time.perf_counter() - self.started:.1f} s in all; CPU time of the simulation "
            f"{totals.simulation_seconds:.1f} s, of the lowering {totals.lowering_seconds:.1f} s"
        )
        lines = [busy, spent]
        if self.twin is not None:
            lines.append(
                "\n".join(self.differences)
                or "every loss and all weights equal the golden model's, bit for bit"
            )
        return "\n".join(lines)


def _check_layers(args: argparse.Namespace, layers: Collection[str]) -> None:
    """Refuse names of layers that a network does not have."""
    unknown = [name for name in args.on if name not in layers]
    if args.waves is not None and args.waves[0] not in layers:
        unknown.append(args.waves[0])
    if unknown:
        raise InputError(f"layer must be one of {', '.join(layers)}, not {', '.join(unknown)}")


def _made_backend(
    args: argparse.Namespace, config: ArrayConfig, formats: OperandFormats
) -> CycleModelBackend | RtlBackend:
    """Return the backend of the arguments."""
    from gscn.cosim.devices.backends import CycleModelBackend, RtlBackend
    from gscn.cosim.devices.device import DeviceSettings

    if args.backend != "rtl":
        return CycleModelBackend(config, formats=formats)
    return RtlBackend(
        config,
        formats=formats,
        devices=args.devices,
        settings=DeviceSettings(check_counters=args.check),
        build_root=args.build_dir,
    )


@contextlib.contextmanager
def simulation(
    args: argparse.Namespace,
    trainer: Trainer,
    make_twin: Callable[[], Trainer],
    last_iteration: int,
) -> Iterator[Simulation | WholeStepSimulation | None]:
    """Place a network on the backend of the arguments, as long as this context lasts.

    Parameters
    ----------
    args
        Checked by `check_backend_arguments`.
    trainer
        Of a recipe with narrow operands.
    make_twin
        Makes an equal trainer.
    last_iteration
        Iteration at which training ends.

    Yields
    ------
    Simulation, WholeStepSimulation or None
        None if no accelerator is simulated.

    Raises
    ------
    InputError
        The configuration or a layer's name is wrong.
    SimulationError
        The simulator cannot be built.
    """
    if args.backend not in ("rtl", "cycle-model"):
        yield None
        return
    if args.whole_step:
        with whole_step(args, trainer, last_iteration) as running:
            yield running
        return
    from gscn.cosim.progress import RunTotals
    from gscn.golden.methods.backends import GoldenBackend, place
    from gscn.golden.methods.operand_formats import formats_of
    from gscn.golden.training.converted_network import conv_layers

    formats = formats_of(trainer.recipe.arithmetic, trainer.recipe.scales)
    config = config_from(args).with_floats(formats.on_the_array)
    golden = GoldenBackend(formats)
    _check_layers(args, conv_layers(trainer.network))
    with _made_backend(args, config, formats) as backend:
        placement = {
            name: backend if name in args.on or not args.on else golden
            for name in conv_layers(trainer.network)
        }
        running = Simulation(
            trainer=trainer,
            backend=backend,
            totals=RunTotals(config=config, clock_mhz=args.clock_mhz),
            golden=golden,
            placement=dict(place(trainer.network, placement)),
            twin=make_twin() if args.check else None,
            timeline=args.timeline,
            waves=args.waves and (f"layer {args.waves[0]}, {args.waves[1]}", Path(args.waves[2])),
            last_iteration=last_iteration,
        )
        backend.observer = running.observe
        try:
            yield running
        finally:
            place(trainer.network, dict.fromkeys(placement, golden))
