"""Whole training steps of a network on the simulated machine, beside the golden step if wanted."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gscn.array import ArrayConfig
from gscn.cosim.conditions import DEFAULT_CONDITIONS, Conditions
from gscn.cosim.errors import SimulationError
from gscn.cosim.lists import ListRun, ListSimulator
from gscn.cosim.step_differences import step_differences
from gscn.cosim.step_state import follow, golden_step, restore, saved
from gscn.encode import ENCODE_STATE, EncodeError
from gscn.errors import MismatchError
from gscn.golden.oracle.step_host import GoldenHost
from gscn.graph import Graph, Parameters
from gscn.lowering.step.compiler import compile_step
from gscn.lowering.step.host import Host, dense_values, rounded
from gscn.lowering.step.layers import Conv, Training
from gscn.lowering.step.lists import Listing, dense_bytes, listings
from gscn.lowering.step.memory import STATE_BYTES
from gscn.lowering.step.parameters import got, put
from gscn.step import Step

if TYPE_CHECKING:
    from gscn.cosim.builds.simulator import BuiltSimulator
    from gscn.golden.training.whole_training import MethodState, StepBatch, StepOutcome

IMAGES_KIND = "images"
"""What the host's count calls the images, which are its own; everything else is of the step."""
DIFFERENCES_NAMED = 5
COUNTED = {"weights": "sw", "activations": "sk", "output_grads": "sg"}
"""Whose states count the values of operands."""


class Way(NamedTuple):
    """A kind of step of a network."""

    refresh: bool
    """SWAT: thresholds are selected."""
    reuses: bool
    """ReSprop: a gradient is reused."""


class CompiledSteps(NamedTuple):
    """A network as lists of steps of some ways, in memory."""

    layers: tuple[Conv, ...]
    """Convolutions and linear layers that are trained."""
    steps: dict[Way, Step]
    lists: dict[Way, Listing]
    image: np.ndarray
    """uint8: memory at first."""


def compile_steps(graph: Graph, ways: Mapping[Way, Training], config: ArrayConfig) -> CompiledSteps:
    """Return the lists of a network's training steps, which share their tensors.

    Parameters
    ----------
    graph
        What the network computes.
    ways
        How each kind of step trains, at least one.
    config
        The array.

    Raises
    ------
    InputError
        Naming every operation of the network that has no place.
    """
    compiled = {way: compile_step(graph, how, config) for way, how in ways.items()}
    steps = {way: one.step for way, one in compiled.items()}
    image, lists = listings(list(steps.values()), config, together=True)
    layers = next(iter(compiled.values())).layers
    trained = tuple(one for one in layers if isinstance(one, Conv) and not one.fixed)
    return CompiledSteps(trained, steps, dict(zip(steps, lists, strict=True)), image)


@dataclass(kw_only=True, slots=True)
class StepTotals:
    """Sums over steps."""

    config: ArrayConfig
    clock_mhz: float
    """Clock at which simulated time is told."""
    steps: int = 0
    cycles: int = 0
    stops: int = 0
    read_beats: int = 0
    write_beats: int = 0
    dense_bytes: int = 0
    """Of dense tensors that encode passes read and wrote."""
    host_bytes: dict[str, int] = field(default_factory=dict)
    """Read and written by the host, by what they are."""
    operations: int = 0
    simulated_cycles: int = 0
    wall_seconds: float = 0.0
    """Of the simulator, in steps."""
    overhead_seconds: float = 0.0
    """Of steps outside of the simulation, but for the first, at which the simulator imports."""
    last: ListRun | None = None

    @property
    def host_share(self) -> float:
        """Bytes that the host touches, but for images, per byte of dense tensors."""
        touched = sum(n for kind, n in self.host_bytes.items() if kind != IMAGES_KIND)
        return touched / max(1, self.dense_bytes)

    @property
    def simulated_seconds(self) -> float:
        """Time that the machine would have taken."""
        return self.cycles / (self.clock_mhz * 1e6)

    def text(self) -> str:
        """Return a line for progress."""
        own = f"{self.last.cycles} cycles in the last step, " if self.last is not None else ""
        return (
            f"{own}{self.cycles} in all = {1e3 * self.simulated_seconds:.2f} ms at "
            f"{self.clock_mhz:g} MHz"
        )

    def data(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "steps": self.steps,
            "operations": self.operations,
            "cycles": self.cycles,
            "clock_mhz": self.clock_mhz,
            "simulated_seconds": self.simulated_seconds,
            "stops": self.stops,
            "read_beats": self.read_beats,
            "write_beats": self.write_beats,
            "dense_bytes": self.dense_bytes,
            "host_bytes": dict(sorted(self.host_bytes.items())),
            "host_share": self.host_share,
            "simulated_cycles": self.simulated_cycles,
            "simulation_wall_seconds": self.wall_seconds,
            "overhead_wall_seconds": self.overhead_seconds,
        }


class WholeSteps:
    """A network on a simulated machine that trains it; a context manager.

    Parameters
    ----------
    config
        The array of the machine.
    compiled
        The network, as `compile_steps` returns it for the array.
    parameters
        At first.
    host, golden_host
        Hosts of the steps, of equal scalars; `parameters` are put into them. With `golden_host`
        every step is taken by the golden model besides, and compared.
    totals
        Counts the steps.
    conditions
        Memory's latency, pauses, limits.
    simulator
        One that was built with `lists=True`; by default one is built.
    kept
        What `state` of the same network returned, to go on from; its weights are taken in place of
        `parameters`.

    Attributes
    ----------
    norms : Mapping
        Normalisations of the network.
    warm : bool
        Whether it has run a step, or goes on from one.
    timed : bool
        Whether the next step keeps when queues take records.
    names : dict
        Operations, by the byte addresses of their records.

    Raises
    ------
    SimulationError
        The simulator cannot be built, or does not start.
    InputError
        What is to go on from is not of this network.
    """

    def __init__(
        self,
        config: ArrayConfig,
        compiled: CompiledSteps,
        parameters: Parameters,
        host: Host,
        golden_host: GoldenHost | None = None,
        *,
        totals: StepTotals,
        conditions: Conditions = DEFAULT_CONDITIONS,
        simulator: BuiltSimulator | None = None,
        kept: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        # Wide: all but the first four have defaults or names.
        self.config, self.compiled, self.host, self.totals = config, compiled, host, totals
        self.warm, self.timed = kept is not None, False
        self._first = True
        self._like = parameters
        first = next(iter(compiled.steps.values()))
        self.norms = first.norms
        self._places = next(iter(compiled.lists.values())).memory
        image = compiled.image.copy()
        put(parameters, host, self._places, image)
        if kept is not None:
            restore(kept, self._places, image, host)
        self._golden = None
        if golden_host is not None:
            self._golden = golden_step(compiled.steps.values(), parameters, golden_host)
            if kept is not None:
                follow(self._golden, self._places, image, host)
        names = {
            addr: name for one in compiled.lists.values() for name, addr in one.records.items()
        }
        self.names = names
        self._machine = ListSimulator(config, image, conditions, simulator=simulator, names=names)
        self._machine.read([])  # waits until it runs: its start belongs to no step

    def __enter__(self) -> WholeSteps:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the simulator."""
        self._machine.close()

    def watch(self, watcher: Callable[[str], None] | None) -> None:
        """Let a function be told from time to time what each queue is at."""
        self._machine.watcher = watcher

    def step(self, batch: StepBatch) -> StepOutcome:
        """Train for one step.

        Raises
        ------
        SimulationError
            The simulator ended, or an operation had an error; the message names it.
        MismatchError
            The golden step, if there is one, has another loss, tensor, state or scalar; the message
            names those that differ.
        """
        from gscn.golden.training.whole_training import StepOutcome

        started = time.perf_counter()
        way = Way(batch.refresh, batch.reuses)
        step, listing = self.compiled.steps[way], self.compiled.lists[way]
        self.host.rate = batch.rate
        self.host.batch = (rounded(batch.images.astype(np.float64)), batch.labels, batch.sample)
        self.host.follow(step, listing)
        run = self._run(listing)
        states = self._read_states([f"{s}.{one.name}" for one in self.compiled.layers
                                    for s in COUNTED.values()])  # fmt: skip
        if not self._first:
            self.totals.overhead_seconds += time.perf_counter() - started - run.wall_seconds
        self.warm, self._first = True, False
        self._count(run, step)
        if self._golden is not None:
            self._check(batch, step, listing)
        return StepOutcome(
            loss=self.host.losses[-1],
            accuracy=self.host.accuracies[-1],
            reused=batch.reuses,
            found=self.host.found,
            counts={
                one.name: {
                    what: (int(states[f"{s}.{one.name}"]["kept_a"]),
                           self._like.weights[one.name].size if s == COUNTED["weights"]
                           else int(states[f"{s}.{one.name}"]["elements"]))
                    for what, s in COUNTED.items()
                }
                for one in self.compiled.layers
            },
        )  # fmt: skip

    def parameters(self) -> Parameters:
        """Return weights, normalisations and momenta as they are now."""
        memory, _ = self._machine.memory()
        return got(self._like, self.host, self._places, memory)

    def state(self) -> dict[str, np.ndarray]:
        """Return all that the next step needs, as `cosim.step_state.saved`."""
        memory, _ = self._machine.memory()
        return saved(self._places, memory, self.host)

    def method_states(self) -> dict[str, MethodState]:
        """Return what layers take to the next step."""
        from gscn.golden.training.whole_training import MethodState

        found = {}
        for one in self.compiled.layers:
            name = one.name
            states = self._read_states([f"{s}.{name}" for s in COUNTED.values()])
            codes = {s: states[f"{s}.{name}"]["threshold_a"] for s in COUNTED.values()}
            found[name] = MethodState(
                weight_threshold=_float32(int(codes["sw"])),
                activation_threshold=_float32(int(codes["sk"]) << 16),
                grad_threshold=_float32(int(codes["sg"]) << 16),
                grad=self._grad(name),
                thresholds=self.host.thresholds.get(name),
                velocities=self.host.velocities.get(f"t.{name}"),
            )
        return found

    # -- parts of a step

    def _run(self, listing: Listing) -> ListRun:
        number = self.totals.steps + 1
        try:
            run, host = self._machine.run(
                listing.addr, listing.end, self.host, together=True, timed=self.timed
            )
        except SimulationError as error:
            raise type(error)(f"step {number}: {error}") from error
        self.host = host
        if run.error != EncodeError.NONE:
            name = self.names.get(run.error_addr, f"record {run.error_addr:#x}")
            raise SimulationError(
                f"step {number}: operation {name} must have no error, not {run.error.name}"
            )
        return run

    def _count(self, run: ListRun, step: Step) -> None:
        totals = self.totals
        totals.steps += 1
        totals.cycles += run.cycles
        totals.stops += run.stops
        totals.read_beats += run.read_beats
        totals.write_beats += run.write_beats
        totals.dense_bytes += dense_bytes(step, self._places)
        totals.host_bytes = dict(self.host.touched)
        totals.operations += len(step.operations)
        totals.simulated_cycles += run.simulated_cycles
        totals.wall_seconds += run.wall_seconds
        totals.last = run

    def _check(self, batch: StepBatch, step: Step, listing: Listing) -> None:
        """Take the step by the golden model, and compare."""
        golden = self._golden
        golden.host.rate = batch.rate
        golden.host.batch = (batch.images, batch.labels, batch.sample)
        golden.follow(step)
        golden.run()
        memory, _ = self._machine.memory()
        found = [*step_differences(step, listing, memory, self.host, golden)]
        if found:
            more = len(found) - DIFFERENCES_NAMED
            rest = f" and {more} others" if more > 0 else ""
            raise MismatchError(
                f"step {self.totals.steps}: {', '.join(found[:DIFFERENCES_NAMED])}{rest} must be "
                "as in the golden step, bit for bit"
            )

    def _read_states(self, names: list[str]) -> dict[str, np.void]:
        places = [(self._places.states[name], STATE_BYTES) for name in names]
        read = self._machine.read(places)
        return {
            name: ENCODE_STATE.unpack(content)[0] for name, content in zip(names, read, strict=True)
        }

    def _grad(self, layer: str) -> np.ndarray:
        """Return the gradient that a layer reuses."""
        place = self._places.dense.get(f"g.{layer}")
        if place is None:
            return np.zeros(0, dtype=np.float32)
        (content,) = self._machine.read([(place.addr, place.end - place.addr)])
        codes = dense_values(place, content.view("<u2"))[0].astype(np.uint32)
        return (codes << 16).view(np.float32)


def _float32(code: int) -> float:
    return float(np.uint32(code).view(np.float32))
