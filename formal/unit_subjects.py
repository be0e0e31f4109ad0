"""What is proved of the encode unit, of lists, and of the port that they share with the array."""

from __future__ import annotations

from formal.core.list_queue import ListQueueChecker
from formal.core.list_sequencer import ListSequencerChecker
from formal.encode.line_gatherer import LineGathererChecker
from formal.encode.line_writer import LineWriterChecker
from formal.encode.wide_fifo import WideFIFOChecker
from formal.port.write_merger import WriteMergerChecker
from formal.subject import PORT, WIDE, Subject, bursts, config
from gscn.control import Queue
from gscn.hw.core.list_queue import ListQueue
from gscn.hw.core.list_sequencer import ListSequencer
from gscn.hw.encode.line_gatherer import LineGatherer
from gscn.hw.encode.line_writer import LineWriter
from gscn.hw.encode.wide_fifo import WideFIFO
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


def _wide_queue(width: int, depth: int) -> Subject:
    return Subject(
        component=WideFIFO,
        sizes=f"{depth} words of {width} bits",
        parameters={"shape": width, "depth": depth},
        checker=WideFIFOChecker,
        options={"depth": depth},
        depth=3,
        reach_depth=2 * depth + 4,
        together=depth != 3,
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


SUBJECTS = (
    _merger(3, together=False),
    _merger(2, **WIDE, outstanding_bursts=2, addr_width=32),
    _wide_queue(520, 3),
    _wide_queue(8, 2),
    _gatherer(2, together=False),
    _gatherer(4, addr_width=32),
    _lines(3, together=False),
    _lines(8, **WIDE),
    _lines(2, mem_width=64, burst_beats=16, read_fifo_beats=32, addr_width=32),
    _list_queue(Queue.ENCODE, together=False),
    _list_queue(Queue.ARRAY, addr_width=32),
    _sequencer(together=False),
    _sequencer(addr_width=32),
)

IN_USE = {
    WriteMerger: f"2 ports (lists), 3 (lists, array and encode unit), as those of `ReadArbiter`. "
    f"Legal: {PORT}, 1 to 256 under way",
    WideFIFO: "2 to 128 words of some 500 to 4000 bits",
    LineGatherer: "2 lines (bits, sums, tables), 4 (dense results); 20- to 40-bit addresses",
    LineWriter: f"8 channels. Legal: {PORT}, 20- to 40-bit addresses",
    ListQueue: "one of each queue. Legal: 20- to 40-bit addresses",
    ListSequencer: "presets: 32-bit addresses. Legal: 20- to 40-bit addresses",
}
