"""Run lists of both kinds of passes on the simulated machine, stops of their host included."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Pipe
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from gscn.array import ArrayConfig
from gscn.control import Queue
from gscn.cosim.builds.simulator import BuiltSimulator, build
from gscn.cosim.conditions import DEFAULT_CONDITIONS, Conditions
from gscn.cosim.errors import SimulationError, SimulationTimeout
from gscn.cosim.process import SimulatorProcess
from gscn.cosim.simulation import Region, launch_settings, named_counters, named_flags
from gscn.encode import EncodeError
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.pass_errors import PassError
from gscn.passes import DESCRIPTOR_BYTES
from gscn.system.cache import temporary_folder

TIMEOUT_CYCLES = 1 << 31
"""Limit of a list's cycles, unless conditions give another."""

WATCH_SECONDS = 0.5
"""Between two times that a watcher is told."""


class ListHost(Protocol):
    """The host of lists; it goes to the simulator's process with each, and comes back."""

    def begin(self, number: int) -> None:
        """Prepare for a list; they are counted from 0."""

    def __call__(self, number: int, memory: np.ndarray) -> int | None:
        """Do what a stop asks for, in memory; return the record to start anew from, if any."""


class Taken(NamedTuple):
    """A record that a queue took."""

    queue: Queue
    addr: int
    begin: int
    """Cycle of the list in which it was taken."""
    end: int
    """When the queue took its next one, or the list was over. In a list without two queues, at
    latest when the other queue took one."""


@takes_text
@dataclass(frozen=True, kw_only=True, slots=True)
class ListRun:
    """What became of a list."""

    cycles: int
    """In which the machine was busy."""
    counters: dict[str, list[int]]
    """Of the array: counter's name to its value in each cluster, in PE-cycles."""
    flags: dict[str, bool]
    """Sticky flags of the array: saturated, accumulator_overflow, nonfinite."""
    read_beats: int
    """Beats read, all ports together; `write_beats` likewise."""
    write_beats: int
    stops: int
    """Answered by the host."""
    error: EncodeError | PassError
    error_addr: int
    """Byte address of the record that failed, if one did."""
    records: tuple[int, ...]
    """Byte addresses of the records that the queues were at last, an error included."""
    simulated_cycles: int
    wall_seconds: float
    """Time that the simulation took, the host included."""
    taken: tuple[Taken, ...]
    """In the order of their cycles; empty unless it was asked for."""


class ListSimulator:
    """A simulated machine with memory, which stays between lists; a context manager.

    Parameters
    ----------
    config
        The array of the machine.
    image
        uint8: all of memory.
    conditions
        Memory's latency, pauses, limits.
    simulator
        One that `build` made with `lists=True`, and `axi` of the conditions; by default one is
        built.
    names
        What the records at byte addresses are called in errors; others are named by address.
    regions
        The parts of memory and where they lie on the ports, as an entry of `cosim.run`'s `regions`;
        addresses of lists and in records are those on the ports.

    Attributes
    ----------
    count : int
        Lists run.
    watcher : callable or None
        Is told from time to time what each queue is at; behind AXI, what it was at when the last
        list ended.

    Raises
    ------
    InputError
        The simulator does not suit the conditions.
    SimulationError
        The simulator cannot be built, or does not start.
    """

    def __init__(
        self,
        config: ArrayConfig,
        image: np.ndarray,
        conditions: Conditions = DEFAULT_CONDITIONS,
        *,
        simulator: BuiltSimulator | None = None,
        names: Mapping[int, str] | None = None,
        regions: Sequence[Region] = (),
    ) -> None:
        if simulator is None:
            simulator = build(config, axi=conditions.axi, lists=True)
        if (simulator.axi, simulator.lists) != (conditions.axi, True):
            raise InputError(
                f"simulator must be built with axi={conditions.axi}, lists=True to run lists, not "
                f"with axi={simulator.axi}, lists={simulator.lists}"
            )
        self.config, self.conditions, self.names = config, conditions, names or {}
        self.simulator = simulator
        self.count = 0
        self._failed = False
        self.watcher: Callable[[str], None] | None = None
        settings = launch_settings(
            config, latency=conditions.latency, stalls=conditions.stalls, faulty=conditions.faulty
        )
        # The last one has the cycles in which the machine is busy, which AXI hides.
        settings["counter_count"] += conditions.axi
        with contextlib.ExitStack() as stack:
            self._place = Path(stack.enter_context(temporary_folder("gscn-run-")))
            progress = self._place / "progress"
            self._progress = np.memmap(progress, dtype=np.uint64, mode="w+", shape=len(Queue))
            self._connection, theirs = Pipe()
            stack.callback(self._connection.close)
            with theirs:
                self._process = SimulatorProcess(
                    [str(self.simulator.executable), f"+requests={theirs.fileno()}"],
                    directory=self._place,
                    log=self._place / "log",
                    testbench="gscn.cosim.inside.list_testbench",
                    descriptors=[theirs.fileno()],
                )
            stack.callback(self._process.end)
            setup = {
                "settings": settings, "progress": progress, "memory_bytes": image.size,
                "regions": [*regions],
            }  # fmt: skip
            with self._ended():
                self._connection.send({**setup, "image": np.ascontiguousarray(image, np.uint8)})
            self._stack = stack.pop_all()

    def __enter__(self) -> ListSimulator:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the simulator."""
        self.close()

    def close(self) -> None:
        """End the simulator. Again does nothing."""
        self._connection.close()  # so that it ends by itself
        self._process.finish()
        self._stack.close()

    def run(
        self,
        addr: int,
        end: int,
        host: ListHost,
        *,
        together: bool = False,
        timed: bool = False,
        abort_cycle: int = 0,
    ) -> tuple[ListRun, ListHost]:
        """Run a list on the memory that there is; return the host as it came back besides.

        Parameters
        ----------
        addr, end
            First byte of the list, and one past its last.
        host
            What is done at stops.
        together
            Whether there are two queues.
        timed
            Whether to keep when queues take records; not behind AXI, where nobody sees it.
        abort_cycle
            Cycle in which the host aborts the list, the accesses of registers before its start
            included; behind AXI, of faulty lists. 0: never.

        Raises
        ------
        InputError
            It is to be timed behind AXI, or aborted without AXI, or where lists are not faulty.
        SimulationTimeout
            The list did not end in time.
        SimulationError
            The machine broke the contract of its memory port, or the simulator ended; the message
            names the list and what each queue was at.
        """
        if timed and self.conditions.axi:
            raise InputError("timed must be False behind AXI, not True")
        if abort_cycle and not (self.conditions.axi and self.conditions.faulty):
            raise InputError(
                f"abort_cycle must be 0 but for faulty lists behind AXI, not {abort_cycle}"
            )
        host.begin(self.count)
        one = {
            "list_addr": addr,
            "list_count": (end - addr) // DESCRIPTOR_BYTES,
            "together": together,
            "abort_cycle": abort_cycle,
            "seed": (self.conditions.seed * 0x10001 + self.count) % (1 << 63),
            "timeout_cycles": self.conditions.timeout_cycles or TIMEOUT_CYCLES,
            # behind AXI, registers let the machine go on after an error
            "reset": self.count == 0 or (self._failed and not self.conditions.axi),
            "timed": timed,
        }
        outcome, host = self._ask({"list": one, "host": host})
        records = tuple(map(int, self._progress))
        run = _list_run(self.config, outcome, self.count, records, together=together)
        self._failed = run.error != PassError.NONE
        self.count += 1
        return run, host

    def memory(self) -> tuple[np.ndarray, np.ndarray]:
        """Return memory as it is, uint8, and which bytes of it the machine wrote, bool."""
        memory, written = self._ask({})
        return memory, written.astype(bool)

    def read(self, places: Sequence[tuple[int, int]]) -> list[np.ndarray]:
        """Return what memory holds at some byte addresses, so many bytes each."""
        return self._ask({"places": list(places)})

    def _ask(self, request: dict) -> object:
        with self._ended():
            self._connection.send(request)
            while self.watcher is not None and not self._connection.poll(WATCH_SECONDS):
                self.watcher(_at(self._progress, self.names))
            return self._connection.recv()

    @contextlib.contextmanager
    def _ended(self) -> Iterator[None]:
        """Say what the machine was at, if the simulator ends within this context."""
        try:
            yield
        except (EOFError, OSError) as error:
            self._process.popen.wait()
            log = (self._place / "log").read_text(errors="replace")[-4000:]
            raise SimulationError(
                f"simulator {self.simulator.executable} ended during list {self.count}, "
                f"{_at(self._progress, self.names)}:\n{log}"
            ) from error


def _at(progress: np.ndarray, names: Mapping[int, str]) -> str:
    """Say which record each queue is at."""
    return ", ".join(
        f"the {queue.name.lower()} queue at {names.get(int(addr), f'record {int(addr):#x}')}"
        for queue, addr in zip(Queue, progress, strict=True)
    )


def _list_run(
    config: ArrayConfig, outcome: dict, number: int, records: tuple[int, ...], *, together: bool
) -> ListRun:
    if outcome["error"]:
        kind = SimulationTimeout if outcome["status"] == "timeout" else SimulationError
        raise kind(f"list {number} (configuration {config.digest()}): {outcome['error']}")
    return ListRun(
        cycles=outcome["cycles"],
        counters=named_counters(config, outcome["counters"]),
        flags=named_flags(outcome["flags"]),
        read_beats=outcome["read_beats"],
        write_beats=outcome["write_beats"],
        stops=outcome["stops"],
        error=_error(outcome["error_code"]),
        error_addr=outcome["error_pass"],
        records=records,
        simulated_cycles=outcome["simulated_cycles"],
        wall_seconds=outcome["wall_seconds"],
        taken=taken_records(outcome["taken"].tolist(), outcome["cycles"], together=together),
    )


def _error(code: int) -> EncodeError | PassError:
    """Return an error by its number; those of both kinds of passes have the same."""
    return EncodeError(code) if code in set(EncodeError) else PassError(code)


def taken_records(
    events: Sequence[Sequence[int]], cycles: int, *, together: bool
) -> tuple[Taken, ...]:
    """Return the records that queues took, with the cycles in which they had them.

    Parameters
    ----------
    events
        Cycle, queue and address of each record taken, in the order of their cycles.
    cycles
        The list took so many.
    together
        Whether there were two queues.
    """
    found, ends = [], dict.fromkeys(Queue, cycles)
    for begin, queue, addr in reversed(events):
        found.append(Taken(Queue(queue), addr, begin, ends[Queue(queue)]))
        # Without two queues, there is one record at a time.
        ends |= {one: begin for one in Queue if not together or one == queue}
    return tuple(reversed(found))
