"""What is proved: components, the sizes at which they are proved, and the depth."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.lib.wiring import Component

from formal import cluster_subjects, unit_subjects
from formal.checker import Checker
from formal.core.cutter import CutterChecker
from formal.core.pass_sequencer import PassSequencerChecker
from formal.fifo import StreamFIFOChecker
from formal.host.axi import AxiManagerChecker
from formal.host.axil import RegisterFileChecker
from formal.host.control import ControlChecker
from formal.port.arbiter import ReadArbiterChecker, WriteArbiterChecker
from formal.port.pieces import PieceReaderChecker
from formal.port.turns import RoundRobinChecker
from formal.subject import NARROWEST, PORT, WIDE, WIDEST, Subject, bursts, config, of_presets
from gscn.array import ArrayConfig
from gscn.axi import AxiAttributes
from gscn.hw.cluster.worker_cluster import READ_CHANNELS
from gscn.hw.core.cutter import Cutter
from gscn.hw.core.pass_sequencer import PassSequencer
from gscn.hw.fifo import StreamFIFO
from gscn.hw.host.axi import AxiManager
from gscn.hw.host.axil import RegisterFile
from gscn.hw.host.control import Control
from gscn.hw.port.arbiter import ReadArbiter, RoundRobin, WriteArbiter
from gscn.hw.port.pieces import PieceReader
from gscn.passes import DESCRIPTOR_BYTES
from gscn.register import Top


def _queue(depth: int, width: int = 8) -> Subject:
    return Subject(
        component=StreamFIFO,
        sizes=f"{depth} words of {width} bits",
        parameters={"shape": width, "depth": depth},
        checker=StreamFIFOChecker,
        options={"depth": depth},
        depth=3,
        reach_depth=2 * depth + 4,
        together=depth not in (2, 3, 5),
    )


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


def _reads(count: int, *, together: bool = True, **fields: int) -> Subject:
    size = config(**fields)
    return Subject(
        component=ReadArbiter,
        sizes=f"{count} channels, {bursts(size)}, {size.outstanding_bursts} under way",
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
        sizes=f"{count} channels, {bursts(size)}, {size.addr_width}-bit addresses",
        parameters={"config": size, "count": count},
        checker=WriteArbiterChecker,
        depth=3,
        reach_depth=10,
        together=together,
    )


def _sequencer(*, together: bool = True, **fields: int) -> Subject:
    size = config(**fields)
    return Subject(
        component=PassSequencer,
        sizes=f"{bursts(size)}, {size.addr_width}-bit addresses",
        parameters={"config": size},
        checker=PassSequencerChecker,
        depth=3,
        reach_depth=14 + 4 * DESCRIPTOR_BYTES // size.mem_bytes,
        together=together,
    )


def _cutter(*, together: bool = True, **fields: int) -> Subject:
    size = config(**fields)
    return Subject(
        component=Cutter,
        sizes=_cut(size),
        parameters={"config": size},
        checker=CutterChecker,
        depth=2,
        reach_depth=34,
        together=together,
    )


def _cut(size: ArrayConfig) -> str:
    return f"{size.clusters} clusters, {size.ports} ports"


def _reader(*, together: bool = True, **fields: int) -> Subject:
    size = config(**fields)
    return Subject(
        component=PieceReader,
        sizes=f"{bursts(size)}, {size.read_fifo_beats} beats buffered",
        parameters={"config": size},
        checker=PieceReaderChecker,
        depth=3,
        reach_depth=14,
        together=together,
    )


def _manager(*, together: bool = True, **fields: int) -> Subject:
    size = config(**fields)
    return Subject(
        component=AxiManager,
        sizes=f"{bursts(size)}, {size.outstanding_bursts} under way, "
        f"{size.addr_width}-bit addresses",
        parameters={"config": size},
        checker=AxiManagerChecker,
        depth=3,
        reach_depth=14,
        together=together,
    )


def _registers(top: Top) -> Subject:
    return Subject(
        component=RegisterFile,
        sizes=f"of {top.value}",
        parameters={"top": top},
        checker=RegisterFileChecker,
        options={"top": top},
        depth=3,
        reach_depth=8,
        together=top is not Top.MACHINE,
    )


def _control(top: Top, *, bus: int = 0, together: bool = True, **fields: int) -> Subject:
    size = config(**fields)
    attributes = AxiAttributes(addr_width=bus)
    wider = f", {bus} on the bus" if bus else ""
    return Subject(
        component=Control,
        sizes=f"of {top.value}, {size.addr_width}-bit addresses{wider}",
        parameters={"config": size, "top": top, "attributes": attributes},
        checker=ControlChecker,
        options={"top": top},
        depth=2,
        reach_depth=8,
        together=together,
    )


SUBJECTS = (
    _queue(2),
    _queue(5),
    _queue(1),
    _queue(16),
    _queue(3, 520),
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
    _sequencer(**WIDE, together=False),
    _sequencer(addr_width=32),
    _cutter(clusters=2, together=False),
    _cutter(clusters=4, ports=2),
    _reader(mem_width=64, read_fifo_beats=4, together=False),
    _reader(**WIDE, addr_width=32),
    _manager(burst_beats=2, mem_width=64, outstanding_bursts=2, together=False),
    _manager(**WIDE, addr_width=32),
    _manager(burst_beats=1, addr_width=40),
    _registers(Top.MACHINE),
    _registers(Top.ARRAY),
    _control(Top.MACHINE, together=False),
    _control(Top.ARRAY, addr_width=40),
    _control(Top.ARRAY, bus=64),
    *cluster_subjects.SUBJECTS,
    *unit_subjects.SUBJECTS,
)


IN_USE: dict[type[Component], str] = {
    StreamFIFO: "1 to 1024 words of 2 to 4000 bits",
    RoundRobin: of_presets(
        lambda c: f"{READ_CHANNELS * c.clusters + 1} (reads), {c.clusters} (writes)", "1 to 193"
    ),
    ReadArbiter: of_presets(
        lambda c: (
            f"{READ_CHANNELS * c.clusters + 1} channels, {bursts(c)}, "
            f"{c.outstanding_bursts} under way"
        ),
        f"3 to 193 channels, {PORT}, 1 to 256 under way, 20- to 40-bit addresses",
    ),
    WriteArbiter: of_presets(
        lambda c: f"{c.clusters} channels, {bursts(c)}, {c.addr_width}-bit addresses",
        f"1 to 64 channels, {PORT}, 20- to 40-bit addresses",
    ),
    PassSequencer: of_presets(
        lambda c: f"{bursts(c)}, {c.addr_width}-bit addresses",
        f"{PORT}, 20- to 40-bit addresses",
    ),
    Cutter: of_presets(_cut, "1 to 64 clusters, 1 to 64 ports"),
    PieceReader: of_presets(
        lambda c: f"{bursts(c)}, {c.read_fifo_beats} beats buffered",
        f"{PORT}, 2 bursts to 256 beats buffered",
    ),
    AxiManager: of_presets(
        lambda c: f"{bursts(c)}, {c.outstanding_bursts} under way, {c.addr_width}-bit addresses",
        f"{PORT}, 1 to 256 under way, 20- to 40-bit addresses",
    ),
    RegisterFile: "registers of an array and of a machine",
    Control: "of an array and of a machine; presets: 32-bit addresses. Legal: 20 to 40 bits, "
    "and up to 64 on the bus",
    **cluster_subjects.IN_USE,
    **unit_subjects.IN_USE,
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
