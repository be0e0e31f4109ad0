"""What is proved of the encode unit, of lists, and of the port that they share with the array."""

from __future__ import annotations

from amaranth.lib.wiring import Component

from formal.checker import Checker
from formal.core.list_queue import ListQueueChecker
from formal.core.list_sequencer import ListSequencerChecker
from formal.encode.dense_writer import DenseWriterChecker, IntegerWriterChecker
from formal.encode.front import EncodeFrontChecker
from formal.encode.line_gatherer import LineGathererChecker
from formal.encode.line_writer import LineWriterChecker
from formal.encode.outputs import OutputsChecker
from formal.encode.strip_writer import StripWriterChecker
from formal.encode.unit import EncodeUnitChecker
from formal.port.write_merger import WriteMergerChecker
from formal.subject import PORT, WIDE, Subject, bursts, config
from gscn.control import Queue
from gscn.hw.core.list_queue import ListQueue
from gscn.hw.core.list_sequencer import ListSequencer
from gscn.hw.encode.dense_writer import DenseWriter
from gscn.hw.encode.front import EncodeFront
from gscn.hw.encode.integer_writer import IntegerWriter
from gscn.hw.encode.line_gatherer import LineGatherer
from gscn.hw.encode.line_writer import LineWriter
from gscn.hw.encode.outputs import Outputs
from gscn.hw.encode.strip_writer import StripWriter
from gscn.hw.encode.unit import EncodeUnit
from gscn.hw.port.write_merger import WriteMerger


def _merger(count: int, *, together: bool = True, **fields: int) -> Subject:
    size = config(**fields)
    return Subject(
        component=WriteMerger,
        sizes=f"{count} ports, {bursts(size)}, {size.outstanding_bursts} under way",
        parameters={"config": size, "count": count},
        checker=WriteMergerChecker,
        depth=3,
        reach_depth=14,
        together=together,
    )


def _gatherer(depth: int, *, together: bool = True, **fields: int) -> Subject:
    size = config(**fields)
    return Subject(
        component=LineGatherer,
        sizes=f"{depth} lines, {size.addr_width}-bit addresses",
        parameters={"config": size, "depth": depth},
        checker=LineGathererChecker,
        options={"depth": depth},
        depth=3,
        reach_depth=2 * depth + 4,
        together=together,
    )


def _lines(count: int, *, together: bool = True, **fields: int) -> Subject:
    size = config(**fields)
    return Subject(
        component=LineWriter,
        sizes=f"{count} channels, {bursts(size)}, {size.addr_width}-bit addresses",
        parameters={"config": size, "count": count},
        checker=LineWriterChecker,
        depth=2,
        reach_depth=14,
        together=together,
    )


def _list_queue(queue: Queue, *, together: bool = True, **fields: int) -> Subject:
    size = config(**fields)
    return Subject(
        component=ListQueue,
        sizes=f"{queue.name.lower()}, {size.addr_width}-bit addresses",
        parameters={"config": size, "queue": queue},
        checker=ListQueueChecker,
        depth=2,
        reach_depth=16,
        together=together,
    )


def _sequencer(*, together: bool = True, **fields: int) -> Subject:
    size = config(**fields)
    return Subject(
        component=ListSequencer,
        sizes=f"{size.addr_width}-bit addresses",
        parameters={"config": size},
        checker=ListSequencerChecker,
        depth=2,
        reach_depth=12,
        together=together,
    )


def _part(
    component: type[Component], checker: type[Checker], *, together: bool = True, **fields
) -> Subject:
    """Return a part that has no sizes but those of its addresses and its port."""
    size = config(**fields)
    floats = f", {size.float_formats}" if size.floats else ""
    integers = {"integers": not size.floats} if component in (EncodeFront, Outputs) else {}
    return Subject(
        component=component,
        sizes=f"{bursts(size)}, {size.addr_width}-bit addresses{floats}",
        parameters={"config": size, **integers},
        checker=checker,
        depth=2,
        reach_depth=16,
        together=together,
    )


SUBJECTS = (
    _merger(3, together=False),
    _merger(2, **WIDE, outstanding_bursts=2, addr_width=32),
    _gatherer(2, together=False),
    _gatherer(4, addr_width=32),
    _lines(3, together=False),
    _lines(8, **WIDE),
    _lines(2, mem_width=64, burst_beats=16, read_fifo_beats=32, addr_width=32),
    _list_queue(Queue.ENCODE, together=False),
    _list_queue(Queue.ARRAY, addr_width=32),
    _sequencer(together=False),
    _sequencer(addr_width=32),
    _part(DenseWriter, DenseWriterChecker, together=False),
    _part(DenseWriter, DenseWriterChecker, addr_width=32),
    _part(IntegerWriter, IntegerWriterChecker, together=False),
    _part(IntegerWriter, IntegerWriterChecker, addr_width=32),
    _part(StripWriter, StripWriterChecker, together=False),
    _part(StripWriter, StripWriterChecker, addr_width=32),
    _part(Outputs, OutputsChecker, together=False),
    _part(Outputs, OutputsChecker, **WIDE, float_formats="bf16"),
    _part(EncodeFront, EncodeFrontChecker, together=False),
    _part(EncodeFront, EncodeFrontChecker, **WIDE, float_formats="bf16"),
    _part(EncodeUnit, EncodeUnitChecker, together=False),
    _part(EncodeUnit, EncodeUnitChecker, **WIDE, float_formats="bf16"),
)

IN_USE = {
    WriteMerger: f"2 ports (lists), 3 (lists, array and encode unit), as those of `ReadArbiter`. "
    f"Legal: {PORT}, 1 to 256 under way",
    LineGatherer: "2 lines (bits, sums, tables), 4 (dense results); 20- to 40-bit addresses",
    LineWriter: f"8 channels. Legal: {PORT}, 20- to 40-bit addresses",
    **dict.fromkeys(
        (DenseWriter, IntegerWriter, StripWriter, Outputs, EncodeFront, EncodeUnit),
        f"presets: 32-bit addresses. Legal: {PORT}, 20- to 40-bit addresses",
    ),
    ListQueue: "one of each queue. Legal: 20- to 40-bit addresses",
    ListSequencer: "presets: 32-bit addresses. Legal: 20- to 40-bit addresses",
}
