"""What is proved of clusters and PEs."""

from __future__ import annotations

import dataclasses

from formal.cluster.marks import MarkJoinerChecker
from formal.cluster.offsets import TableReaderChecker
from formal.cluster.results import ResultsChecker
from formal.cluster.strip_walk import StripWalkerChecker
from formal.cluster.summing import SummingDrainChecker
from formal.cluster.walk import TileWalkChecker
from formal.cluster.window import WindowLoaderChecker
from formal.pe.ranges import RangeLookupChecker
from formal.pe.ring import RingWalkerChecker
from formal.pe.sums import SumsChecker
from formal.port.result_writer import ResultWriterChecker
from formal.subject import PORT, WIDE, Subject, bursts, config, of_presets
from gscn.array import ARRAYS, ArrayConfig
from gscn.hw.array_layouts import sum_rows
from gscn.hw.cluster.marks import MarkJoiner
from gscn.hw.cluster.offsets import TableReader
from gscn.hw.cluster.result_writer import ResultWriter
from gscn.hw.cluster.results import Results
from gscn.hw.cluster.strip_walk import StripWalker
from gscn.hw.cluster.summing import SummingDrain
from gscn.hw.cluster.walk import TileWalk
from gscn.hw.cluster.window import WindowLoader
from gscn.hw.pe.ranges import RangeLookup
from gscn.hw.pe.ring import RingWalker
from gscn.hw.pe.sums import Sums
from gscn.passes import VECTOR


def _sums(**fields: int | str) -> Subject:
    size = dataclasses.replace(ARRAYS["tiny"], **fields)
    floats = f", {size.float_formats}" if size.floats else ""
    return Subject(
        component=Sums,
        sizes=f"2 banks of {_bank(size)}{floats}",
        parameters={"config": size},
        checker=SumsChecker,
        depth=6,
        reach_depth=14,
        together=size.acc_width > 24,
    )


def _bank(size: ArrayConfig) -> str:
    rows = size.acc_depth // size.drain_width
    return f"{size.drain_width} x {rows} x {size.acc_width} bits"


def _ranges(*, together: bool = True, **fields: int) -> Subject:
    size = config(**fields)
    return Subject(
        component=RangeLookup,
        sizes=_looked_up(size),
        parameters={"config": size},
        checker=RangeLookupChecker,
        depth=3,
        reach_depth=size.fiber_depth + 8,
        together=together,
    )


def _looked_up(size: ArrayConfig) -> str:
    return (
        f"{size.directory_depth} keys of {size.stationary_depth} entries, "
        f"{size.fiber_depth} fibers queued"
    )


def _walker(*, together: bool = True, **fields: int | str) -> Subject:
    size = config(**fields)
    return Subject(
        component=RingWalker,
        sizes=_walked(size),
        parameters={"config": size},
        checker=RingWalkerChecker,
        depth=4,
        reach_depth=12,
        together=together,
    )


def _walked(size: ArrayConfig) -> str:
    return f"{size.stationary_depth} entries, {size.operand_format}"


def _marks(*, together: bool = True, **fields: int) -> Subject:
    size = config(**fields)
    return Subject(
        component=MarkJoiner,
        sizes=_joined(size),
        parameters={"config": size},
        checker=MarkJoinerChecker,
        depth=2,
        reach_depth=2 * MarkJoiner.DEPTH + 4,
        together=together,
    )


def _joined(size: ArrayConfig) -> str:
    return f"{size.pes} PEs, {MarkJoiner.DEPTH} reports"


def _writer(*, together: bool = True, **fields: int) -> Subject:
    size = config(**fields)
    return Subject(
        component=ResultWriter,
        sizes=f"{bursts(size)}, rows of {size.drain_width}",
        parameters={"config": size},
        checker=ResultWriterChecker,
        depth=3,
        reach_depth=14,
        together=together,
    )


def _tile_walk(width: int, *, together: bool = True, **fields: int) -> Subject:
    size = config(**fields)
    return Subject(
        component=TileWalk,
        sizes=f"places of {width} bits, rows of {size.drain_width}",
        parameters={"config": size, "width": width},
        checker=TileWalkChecker,
        depth=2,
        reach_depth=2 * VECTOR // size.drain_width + 3,
        together=together,
    )


def _strips(*, together: bool = True, **fields: int) -> Subject:
    size = config(**fields)
    return Subject(
        component=StripWalker,
        sizes=_named(size),
        parameters={"config": size},
        checker=StripWalkerChecker,
        depth=2,
        reach_depth=12 + StripWalker.AHEAD,
        together=together,
    )


def _named(size: ArrayConfig) -> str:
    return f"{size.key_width}-bit keys, {size.index_width}-bit offsets"


def _drain(*, together: bool = True, **fields: int | str) -> Subject:
    size = config(**fields)
    return Subject(
        component=SummingDrain,
        sizes=_summed(size),
        parameters={"config": size},
        checker=SummingDrainChecker,
        depth=3,
        reach_depth=2 * sum_rows(size) + 14,
        together=together,
    )


def _summed(size: ArrayConfig) -> str:
    floats = f", {size.float_formats}" if size.floats else ""
    return f"{size.pes} PEs, 2 banks of {_bank(size)}{floats}"


def _results(*, together: bool = True, **fields: int | str) -> Subject:
    size = config(**fields)
    return Subject(
        component=Results,
        sizes=_rounded(size),
        parameters={"config": size},
        checker=ResultsChecker,
        depth=2,
        reach_depth=10,
        together=together,
    )


def _rounded(size: ArrayConfig) -> str:
    floats = f", {size.float_formats}" if size.floats else ""
    return (
        f"rows of {size.drain_width} x {size.acc_width} bits{floats}, "
        f"{size.addr_width}-bit addresses"
    )


def _window(*, together: bool = True, **fields: int) -> Subject:
    size = config(**fields)
    return Subject(
        component=WindowLoader,
        sizes=_rings(size),
        parameters={"config": size},
        checker=WindowLoaderChecker,
        depth=2,
        reach_depth=30,
        together=together,
    )


def _rings(size: ArrayConfig) -> str:
    return (
        f"rings of {size.directory_depth} keys and {size.stationary_depth} entries, "
        f"{size.chunks_depth} chunks"
    )


def _tables(*, together: bool = True, **fields: int) -> Subject:
    size = config(**fields)
    return Subject(
        component=TableReader,
        sizes=_read(size),
        parameters={"config": size},
        checker=TableReaderChecker,
        depth=2,
        reach_depth=30,
        together=together,
    )


def _read(size: ArrayConfig) -> str:
    return f"{size.mem_width}-bit beats, {size.addr_width}-bit addresses"


SUBJECTS = (
    _sums(acc_depth=18, drain_width=2, acc_width=24, operand_format="int8"),
    _sums(acc_depth=64, drain_width=8, acc_width=48, mem_width=512),
    _sums(acc_depth=17, drain_width=1, acc_width=48, float_formats="bf16"),
    _ranges(directory_depth=64, stationary_depth=64, fiber_depth=3, together=False),
    _ranges(directory_depth=256, stationary_depth=1024),
    _ranges(directory_depth=16, stationary_depth=16, fiber_depth=2),
    _ranges(directory_depth=64, stationary_depth=64, fiber_depth=27),
    _walker(stationary_depth=64, operand_format="int8", together=False),
    _walker(stationary_depth=1024),
    _marks(pes=2, together=False),
    _marks(pes=8),
    _tile_walk(20, **WIDE, drain_width=8, together=False),
    _tile_walk(11, drain_width=2),
    _tile_walk(40),
    _strips(directory_depth=64, acc_depth=18, drain_width=2, together=False),
    _strips(directory_depth=32768, acc_depth=32768),
    _drain(
        pes=4,
        acc_depth=20,
        drain_width=4,
        mem_width=256,
        acc_width=24,
        operand_format="int8",
        together=False,
    ),
    _drain(pes=2, acc_depth=17, float_formats="bf16"),
    _drain(pes=1, acc_depth=16),
    _results(**WIDE, drain_width=8, acc_width=24, operand_format="int8", together=False),
    _results(drain_width=2, float_formats="bf16", together=False),
    _results(addr_width=40),
    _window(directory_depth=16, stationary_depth=16, chunks_depth=4, together=False),
    _window(directory_depth=32, stationary_depth=64, chunks_depth=4),
    _window(directory_depth=32768, stationary_depth=16, chunks_depth=4),
    _tables(mem_width=64, together=False),
    _tables(addr_width=32),
    _writer(read_fifo_beats=4, drain_width=2, together=False),
    _writer(mem_width=64, burst_beats=1, addr_width=32),
)

IN_USE = {
    Sums: of_presets(
        lambda c: f"2 banks of {_bank(c)}",
        "1 to 16 memories, 16 to 32768 sums in all, 24 to 48 bits, with or without float formats",
    ),
    RangeLookup: of_presets(_looked_up, "16 to 32768 keys, 16 to 32768 entries, 2 to 64 fibers"),
    RingWalker: of_presets(_walked, "16 to 32768 entries, int8 or int16, or formats of floats"),
    MarkJoiner: of_presets(_joined, f"1 to 16 PEs, {MarkJoiner.DEPTH} reports"),
    TileWalk: of_presets(
        lambda c: (
            f"places of {(sum_rows(c) - 1).bit_length()} (sums) and {c.addr_width} bits "
            f"(results), rows of {c.drain_width}"
        ),
        "1 to 15 and 20 to 40 bits, rows of 1 to 8",
    ),
    StripWalker: of_presets(_named, "4- to 15-bit keys, 4- to 15-bit offsets"),
    SummingDrain: of_presets(_summed, "1 to 16 PEs, banks as those of `Sums`"),
    Results: of_presets(
        _rounded,
        "1 to 8 sums of 24 to 48 bits, with or without float formats, 20- to 40-bit addresses",
    ),
    WindowLoader: of_presets(
        _rings, "16 to 32768 keys and entries, 4 to 256 chunks, powers of two"
    ),
    TableReader: of_presets(_read, f"{PORT}, 20- to 40-bit addresses"),
    ResultWriter: of_presets(
        lambda c: f"{bursts(c)}, rows of {c.drain_width}", f"{PORT}, rows of 1 to 8"
    ),
}
