"""What is proved: components, the sizes at which they are proved, and the depth."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from amaranth.lib.wiring import Component

from formal.accumulators import AccumulatorChecker
from formal.arbiters import ReadArbiterChecker, RoundRobinChecker, WriteArbiterChecker
from formal.channels import BurstWriterChecker, ChunkReaderChecker
from formal.checker import Checker
from formal.dispatch import DispatcherChecker
from formal.queues import StreamFIFOChecker
from formal.sequencer import SequencerChecker
from gscn.config import PRESETS, AcceleratorConfig
from hw.accumulator import Accumulator
from hw.arbiter import ReadArbiter, RoundRobin, WriteArbiter
from hw.dispatcher import Dispatcher
from hw.fifo import StreamFIFO
from hw.reader import ChunkReader
from hw.sequencer import Sequencer
from hw.writer import BurstWriter


def config(**fields: int | str) -> AcceleratorConfig:
    """Return a configuration whose addresses, queues and memories are small."""
    small = {"clusters": 3, "pes_per_cluster": 1, "addr_width": 20, "outstanding_bursts": 4}
    return dataclasses.replace(PRESETS["tiny"], **small, **fields)


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """A component of certain sizes, with its checker."""

    component: type[Component]
    sizes: str
    """The parameters, in words."""
    parameters: dict[str, object]
    """Of the component."""
    checker: type[Checker]
    options: dict[str, object] = dataclasses.field(default_factory=dict)
    """Of the checker, besides the claim."""
    depth: int
    """Length k of the induction in cycles; also of the base case, from reset on."""
    reach_depth: int
    """Cycles within which the checker's surroundings can bring about what it wants to reach."""

    @property
    def name(self) -> str:
        """Component and sizes."""
        return f"{self.component.__name__} ({self.sizes})"

    def build(self, claim: str, *, with_invariants: bool = True) -> Checker:
        """Return a checker for one claim."""
        dut = self.component(**self.parameters)
        return self.checker(dut, claim=claim, with_invariants=with_invariants, **self.options)


def _queue(depth: int) -> Subject:
    return Subject(
        component=StreamFIFO,
        sizes=f"{depth} words of 8 bits",
        parameters={"shape": 8, "depth": depth},
        checker=StreamFIFOChecker,
        options={"depth": depth},
        depth=3,
        reach_depth=2 * depth + 4,
    )


def _round_robin(count: int) -> Subject:
    return Subject(
        component=RoundRobin,
        sizes=f"{count} requesters",
        parameters={"count": count},
        checker=RoundRobinChecker,
        depth=3,
        reach_depth=count + 2,
    )


def _reader(sizes: str, **fields: int) -> Subject:
    return Subject(
        component=ChunkReader,
        sizes=sizes,
        parameters={"config": config(**fields)},
        checker=ChunkReaderChecker,
        depth=3,
        reach_depth=12,
    )


def _writer(sizes: str, **fields: int) -> Subject:
    return Subject(
        component=BurstWriter,
        sizes=sizes,
        parameters={"config": config(**fields)},
        checker=BurstWriterChecker,
        depth=3,
        reach_depth=12,
    )


SUBJECTS = (
    _queue(2),
    _queue(5),
    Subject(
        component=Accumulator,
        sizes="2 banks of 16 x 24 bits",
        parameters={"config": config(acc_depth=16, acc_width=24, operand_format="int8")},
        checker=AccumulatorChecker,
        depth=4,
        reach_depth=12,
    ),
    _round_robin(3),
    _round_robin(8),
    Subject(
        component=ReadArbiter,
        sizes="3 channels, bursts of 2, 4 under way",
        parameters={"config": config(), "count": 3},
        checker=ReadArbiterChecker,
        depth=3,
        reach_depth=12,
    ),
    Subject(
        component=WriteArbiter,
        sizes="3 channels, bursts of 2",
        parameters={"config": config(), "count": 3},
        checker=WriteArbiterChecker,
        depth=3,
        reach_depth=10,
    ),
    Subject(
        component=Dispatcher,
        sizes="3 clusters, 20-bit addresses",
        parameters={"config": config()},
        checker=DispatcherChecker,
        depth=3,
        reach_depth=10,
    ),
    Subject(
        component=Sequencer,
        sizes="128-bit port, bursts of 2, 20-bit addresses",
        parameters={"config": config()},
        checker=SequencerChecker,
        depth=3,
        reach_depth=18,
    ),
    _reader("128-bit port, bursts of 2, 4 beats buffered", burst_beats=2, read_fifo_beats=4),
    _writer("128-bit port, bursts of 4", burst_beats=4),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One run of the prover."""

    subject: Subject
    claim: str | None
    """Name of the claim; None for the reachability of what the checker wants to reach."""

    @property
    def mode(self) -> str:
        """Mode of SymbiYosys."""
        if self.claim is None:
            return "cover"
        return "bmc" if self.claim in self.subject.checker.BOUNDED else "prove"

    @property
    def depth(self) -> int:
        """Cycles."""
        if self.claim is None:
            return self.subject.reach_depth
        return self.subject.checker.BOUNDED.get(self.claim, self.subject.depth)

    @property
    def statement(self) -> str:
        """What is shown."""
        if self.claim:
            return self.subject.checker.CLAIMS[self.claim]
        return "the assumptions admit the busy state that the checker names (nothing is vacuous)"

    def build(self) -> Checker:
        """Return the checker to be run."""
        if self.claim:
            return self.subject.build(self.claim, with_invariants=self.mode == "prove")
        return self.subject.build(next(iter(self.subject.checker.CLAIMS)))


TASKS = tuple(
    Task(subject=subject, claim=claim)
    for subject in SUBJECTS
    for claim in (*subject.checker.CLAIMS, None)
)
