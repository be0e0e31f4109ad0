"""What is proved: components, the sizes at which they are proved, and the depth."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from amaranth.lib.wiring import Component

from formal.checker import Checker
from formal.core.dispatcher import DispatcherChecker
from formal.core.sequencer import SequencerChecker
from formal.fifo import StreamFIFOChecker
from formal.pe.accumulator import AccumulatorChecker
from formal.pe.sums import SumsChecker
from formal.port.arbiter import ReadArbiterChecker, RoundRobinChecker, WriteArbiterChecker
from formal.port.channels import BurstWriterChecker, ChunkReaderChecker
from gscn import records
from gscn.array import ARRAYS, ArrayConfig
from gscn.config import PRESETS, AcceleratorConfig
from gscn.hw.core.dispatcher import Dispatcher
from gscn.hw.core.sequencer import Sequencer
from gscn.hw.fifo import StreamFIFO
from gscn.hw.pe.accumulator import Accumulator
from gscn.hw.pe.sums import Sums
from gscn.hw.port.arbiter import ReadArbiter, RoundRobin, WriteArbiter
from gscn.hw.port.reader import ChunkReader
from gscn.hw.port.writer import BurstWriter


def config(**fields: int | str) -> AcceleratorConfig:
    """Return a configuration whose addresses, queues and memories are small."""
    small = {"clusters": 3, "pes_per_cluster": 1, "addr_width": 20, "outstanding_bursts": 4}
    return dataclasses.replace(PRESETS["tiny"], **{**small, **fields})


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
    together: bool = False
    """Prove all claims in one run: of sizes after the first, whose claims fail one by one there."""

    @property
    def name(self) -> str:
        """Component and sizes."""
        return f"{self.component.__name__} ({self.sizes})"

    def build(self, *claims: str, with_invariants: bool = True) -> Checker:
        """Return a checker for some claims."""
        dut = self.component(**self.parameters)
        return self.checker(dut, claims=claims, with_invariants=with_invariants, **self.options)

    @property
    def runs(self) -> tuple[tuple[str, ...], ...]:
        """The claims of each run of the prover; of the last one none: it shows reachability."""
        claims, bounded = self.checker.CLAIMS, self.checker.BOUNDED
        if not self.together:
            return (*((claim,) for claim in claims), ())
        induced = tuple(claim for claim in claims if claim not in bounded)
        return (induced, *((claim,) for claim in bounded), ())


def _queue(depth: int) -> Subject:
    return Subject(
        component=StreamFIFO,
        sizes=f"{depth} words of 8 bits",
        parameters={"shape": 8, "depth": depth},
        checker=StreamFIFOChecker,
        options={"depth": depth},
        depth=3,
        reach_depth=2 * depth + 4,
        together=depth not in (2, 5),
    )


def _accumulator(**fields: int | str) -> Subject:
    size = config(**fields)
    floats = f", {size.float_formats}" if size.floats else ""
    return Subject(
        component=Accumulator,
        sizes=f"2 banks of {size.acc_depth} x {size.acc_width} bits{floats}",
        parameters={"config": size},
        checker=AccumulatorChecker,
        depth=4,
        reach_depth=12,
        together=size.acc_width > 24,
    )


def _sums(**fields: int | str) -> Subject:
    size = dataclasses.replace(ARRAYS["tiny"], **fields)
    floats = f", {size.float_formats}" if size.floats else ""
    return Subject(
        component=Sums,
        sizes=f"2 banks of {_bank(size)}{floats}",
        parameters={"config": size},
        checker=SumsChecker,
        depth=5,
        reach_depth=14,
        together=size.acc_width > 24,
    )


def _bank(size: ArrayConfig) -> str:
    rows = size.acc_depth // size.drain_width
    return f"{size.drain_width} x {rows} x {size.acc_width} bits"


def _round_robin(count: int) -> Subject:
    return Subject(
        component=RoundRobin,
        sizes=f"{count} requesters",
        parameters={"count": count},
        checker=RoundRobinChecker,
        depth=3,
        reach_depth=count + 2,
        together=count not in (3, 8),
    )


def _bursts(size: AcceleratorConfig) -> str:
    return f"{size.mem_width} bits x {size.burst_beats} beats"


def _reads(count: int, *, together: bool = True, **fields: int) -> Subject:
    size = config(**fields)
    return Subject(
        component=ReadArbiter,
        sizes=f"{count} channels, {_bursts(size)}, {size.outstanding_bursts} under way",
        parameters={"config": size, "count": count},
        checker=ReadArbiterChecker,
        depth=3,
        reach_depth=12,
        together=together,
    )


def _writes(count: int, *, together: bool = True, **fields: int) -> Subject:
    size = config(**fields)
    return Subject(
        component=WriteArbiter,
        sizes=f"{count} channels, {_bursts(size)}, {size.addr_width}-bit addresses",
        parameters={"config": size, "count": count},
        checker=WriteArbiterChecker,
        depth=3,
        reach_depth=10,
        together=together,
    )


def _dispatcher(*, together: bool = True, **fields: int) -> Subject:
    size = config(**fields)
    return Subject(
        component=Dispatcher,
        sizes=f"{size.clusters} clusters, ports: {size.ports}, {size.addr_width}-bit addresses",
        parameters={"config": size},
        checker=DispatcherChecker,
        depth=3,
        reach_depth=10,
        together=together,
    )


def _sequencer(*, together: bool = True, **fields: int) -> Subject:
    size = config(**fields)
    beats = records.PHASE_DESCRIPTOR.width // size.mem_width
    return Subject(
        component=Sequencer,
        sizes=f"{_bursts(size)}, {size.addr_width}-bit addresses",
        parameters={"config": size},
        checker=SequencerChecker,
        depth=3,
        reach_depth=max(18, 10 + 2 * beats),
        together=together,
    )


def _reader(*, together: bool = True, **fields: int) -> Subject:
    size = config(**fields)
    return Subject(
        component=ChunkReader,
        sizes=f"{_bursts(size)}, {size.read_fifo_beats} beats buffered",
        parameters={"config": size},
        checker=ChunkReaderChecker,
        depth=3,
        reach_depth=12,
        together=together,
    )


def _writer(*, together: bool = True, **fields: int) -> Subject:
    size = config(**fields)
    return Subject(
        component=BurstWriter,
        sizes=_bursts(size),
        parameters={"config": size},
        checker=BurstWriterChecker,
        depth=3,
        reach_depth=12,
        together=together,
    )


WIDE = {"mem_width": 512, "burst_beats": 4, "read_fifo_beats": 8}
"""The memory port of the larger presets; a burst is longer than `ALIGNMENT_BYTES`."""
WIDEST = {"mem_width": 512, "burst_beats": 16, "read_fifo_beats": 32}
NARROWEST = {"mem_width": 64, "burst_beats": 16, "read_fifo_beats": 32}

SUBJECTS = (
    _queue(2),
    _queue(5),
    _queue(1),
    _queue(16),
    _accumulator(acc_depth=16, acc_width=24, operand_format="int8"),
    _accumulator(acc_depth=256, acc_width=48),
    _accumulator(acc_depth=16, acc_width=48, float_formats="bf16"),
    _sums(acc_depth=18, drain_width=2, acc_width=24, operand_format="int8"),
    _sums(acc_depth=64, drain_width=8, acc_width=48, mem_width=512),
    _sums(acc_depth=17, drain_width=1, acc_width=48, float_formats="bf16"),
    _round_robin(3),
    _round_robin(8),
    _round_robin(1),
    _round_robin(17),
    _reads(3, together=False),
    _reads(3, **WIDE),
    _reads(2, **WIDEST, outstanding_bursts=2, addr_width=32),
    _writes(3, together=False),
    _writes(3, **WIDE, addr_width=32),
    _writes(3, **WIDEST),
    _writes(1, **NARROWEST, addr_width=40),
    _dispatcher(together=False),
    _dispatcher(clusters=2, ports=2, addr_width=32),
    _dispatcher(clusters=1),
    _sequencer(together=False),
    _sequencer(**WIDE, addr_width=32),
    _sequencer(**NARROWEST, addr_width=40),
    _reader(burst_beats=2, read_fifo_beats=4, together=False),
    _reader(**WIDE, addr_width=32),
    _reader(**NARROWEST),
    _writer(burst_beats=4, together=False),
    _writer(**WIDE, pes_per_cluster=2, addr_width=32),
    _writer(mem_width=64, burst_beats=1),
)


def _of_presets(sizes: Callable[..., str], legal: str, presets=PRESETS) -> str:
    """Return the sizes of the presets, each once, and the legal range."""
    found = dict.fromkeys(sizes(one) for one in presets.values())
    return f"presets: {'; '.join(found)}. Legal: {legal}"


_PORT = "64 to 512 bits x 1 to 16 beats"
IN_USE: dict[type[Component], str] = {
    StreamFIFO: "1 to 1024 words of 2 to 578 bits",
    Accumulator: _of_presets(
        lambda c: f"2 banks of {c.acc_depth} x {c.acc_width} bits",
        "16 to 32768 x 24 to 48 bits, with or without float formats",
    ),
    Sums: _of_presets(
        lambda c: f"2 banks of {_bank(c)}",
        "1 to 16 memories, 16 to 32768 sums in all, 24 to 48 bits, with or without float formats",
        ARRAYS,
    ),
    RoundRobin: _of_presets(
        lambda c: f"{2 * c.clusters + 1} (reads), {c.clusters} (writes)", "1 to 513"
    ),
    ReadArbiter: _of_presets(
        lambda c: f"{2 * c.clusters + 1} channels, {_bursts(c)}, {c.outstanding_bursts} under way",
        f"2 to 513 channels, {_PORT}, 1 to 256 under way, 20- to 40-bit addresses",
    ),
    WriteArbiter: _of_presets(
        lambda c: f"{c.clusters} channels, {_bursts(c)}, {c.addr_width}-bit addresses",
        f"1 to 256 channels, {_PORT}, 20- to 40-bit addresses",
    ),
    Dispatcher: _of_presets(
        lambda c: f"{c.clusters} clusters, ports: {c.ports}, {c.addr_width}-bit addresses",
        "1 to 256 clusters, 1 to 64 ports, 20- to 40-bit addresses",
    ),
    Sequencer: _of_presets(
        lambda c: f"{_bursts(c)}, {c.addr_width}-bit addresses",
        f"{_PORT}, 20- to 40-bit addresses",
    ),
    ChunkReader: _of_presets(
        lambda c: f"{_bursts(c)}, {c.read_fifo_beats} beats buffered",
        f"{_PORT}, 2 bursts to 256 beats buffered",
    ),
    BurstWriter: _of_presets(_bursts, _PORT),
}
"""Sizes of each component in the presets, and those that a configuration may ask for."""
REACHABLE = "the assumptions admit the busy state that the checker names (nothing is vacuous)"


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One run of the prover."""

    subject: Subject
    claims: tuple[str, ...]
    """Names of the claims; none for the reachability of what the checker wants to reach."""

    @property
    def name(self) -> str:
        """Component, sizes and claims."""
        known = len(self.subject.checker.CLAIMS)
        claims = ", ".join(self.claims) if len(self.claims) < 2 or known < 2 else "all by induction"
        return f"{self.subject.name}: {claims or 'reachable'}"

    @property
    def mode(self) -> str:
        """Mode of SymbiYosys."""
        if not self.claims:
            return "cover"
        return "bmc" if self.claims[0] in self.subject.checker.BOUNDED else "prove"

    @property
    def depth(self) -> int:
        """Cycles."""
        if not self.claims:
            return self.subject.reach_depth
        return self.subject.checker.BOUNDED.get(self.claims[0], self.subject.depth)

    def build(self) -> Checker:
        """Return the checker to be run."""
        if self.claims:
            return self.subject.build(*self.claims, with_invariants=self.mode == "prove")
        return self.subject.build(with_invariants=False)


TASKS = tuple(
    Task(subject=subject, claims=claims) for subject in SUBJECTS for claims in subject.runs
)
