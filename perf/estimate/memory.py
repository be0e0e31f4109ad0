"""Memory hierarchy: bytes at the ports, what a global buffer would keep from DRAM, and rooflines.

The accelerator has no global buffer: what its ports move is what DRAM moves (`port_traffic`). With
a buffer between ports and DRAM a tile or a stream that is read again may still be there.
`buffered_traffic` replays the references of a launch through a buffer of a given size;
`compulsory_traffic` is the limit of a large one: every distinct byte once. `compressed_bytes` is
the same for a layer that was not lowered, from its densities.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from gscn.config import ALIGNMENT_BYTES, CHUNK_BYTES, AcceleratorConfig
from gscn.conv import ConvShape, Pass
from gscn.cycles.model import CycleResult
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.program import Program
from gscn.streams import ITEM_BYTES

LINE_BYTES = ALIGNMENT_BYTES
"""Unit in which DRAM is read and a global buffer is filled; every block begins with a line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Traffic:
    """Bytes read and written."""

    read_bytes: float
    write_bytes: float

    @property
    def total_bytes(self) -> float:
        """Both directions together."""
        return self.read_bytes + self.write_bytes


def port_traffic(config: AcceleratorConfig, result: CycleResult) -> Traffic:
    """Return what the ports of a launch move, by the cycle model."""
    return Traffic(
        read_bytes=result.read_beats * config.mem_bytes,
        write_bytes=result.write_beats * config.mem_bytes,
    )


def references(program: Program) -> Iterator[tuple[int, int]]:
    """Yield (address, bytes) of the load blocks and streams of a launch, in queue order.

    Jobs run side by side, so that the real order differs within the jobs of one round.
    """
    for phase_index, phase in enumerate(program.phases):
        jobs = [job for job in program.jobs if job.phase == phase_index]
        for job, streams in zip(jobs, _stream_addrs(program, phase), strict=True):
            segments = zip(job.load_addrs, job.load_chunks, streams, job.stream_chunks, strict=True)
            for load_addr, load_chunks, stream_addr, stream_chunks in segments:
                if load_chunks:
                    yield load_addr, load_chunks * CHUNK_BYTES
                if stream_chunks:
                    yield stream_addr, stream_chunks * CHUNK_BYTES


def _stream_addrs(program: Program, phase: object) -> Iterator[list[int]]:
    from gscn import records

    for entry in records.queue_entries(program.image, phase.queue_addr, phase.job_count):
        descriptors = records.segment_descriptors(program.image, entry)
        yield [int(descriptor["stream_addr"]) for descriptor in descriptors]


def _lines(program: Program) -> Iterator[int]:
    """Yield the lines that a launch references, in order."""
    for addr, size in references(program):
        yield from range(addr // LINE_BYTES, (addr + size - 1) // LINE_BYTES + 1)


def compulsory_traffic(program: Program) -> Traffic:
    """Return the least traffic of a launch: every line that it references once, results once.

    Partial sums are written and read: they leave the chip once and come back once.
    """
    return Traffic(
        read_bytes=LINE_BYTES * len(set(_lines(program))),
        write_bytes=sum(job.out_bytes for job in program.jobs),
    )


def buffered_traffic(program: Program, buffer_bytes: int) -> Traffic:
    """Return the DRAM traffic of a launch behind a global buffer that keeps what was used last.

    The buffer holds lines of `LINE_BYTES`, fully associative, the least recently used replaced.
    Results pass it by. Clusters that share a burst, or keep a tile, make fewer references than the
    launch lists; a buffer of 0 bytes therefore reads more here than the ports do.

    Parameters
    ----------
    program
        A lowered pass.
    buffer_bytes
        Capacity, at least 0.

    Raises
    ------
    InputError
        A negative capacity.
    """
    if buffer_bytes < 0:
        raise InputError(f"buffer_bytes must be at least 0, not {buffer_bytes}")
    capacity = buffer_bytes // LINE_BYTES
    held: OrderedDict[int, None] = OrderedDict()
    misses = 0
    for line in _lines(program):
        if line in held:
            held.move_to_end(line)
            continue
        misses += 1
        held[line] = None
        if len(held) > capacity:
            held.popitem(last=False)
    return Traffic(
        read_bytes=LINE_BYTES * misses, write_bytes=sum(job.out_bytes for job in program.jobs)
    )


@takes_text
def compressed_bytes(
    shape: ConvShape,
    which: Pass,
    first_density: float,
    second_density: float,
    *,
    result_bytes: int = 2,
) -> Traffic:
    """Return the compulsory traffic of a pass from its densities: operands once, results once.

    A nonzero, stationary or streamed, takes `ITEM_BYTES`; directories and rebases, a few per cent,
    are left out. Results are dense.

    Parameters
    ----------
    shape, which
        The convolution and the pass.
    first_density, second_density
        Shares of nonzeros of its operands.
    result_bytes
        Of one result.
    """
    first, second = (math.prod(size) for size in shape.operand_shapes(which))
    return Traffic(
        read_bytes=ITEM_BYTES * (first * first_density + second * second_density),
        write_bytes=result_bytes * math.prod(shape.result_shape(which)),
    )


@takes_text
def resident_bytes(
    shape: ConvShape, which: Pass, first_density: float, second_density: float
) -> float:
    """Return the smaller compressed operand, which a buffer must hold to move each byte but once.

    While the smaller operand stays, the larger one is streamed past it once, in an order of jobs of
    which the lowering's is not always one.
    """
    first, second = (math.prod(size) for size in shape.operand_shapes(which))
    return ITEM_BYTES * min(first * first_density, second * second_density)


@takes_text
def dense_bytes(shape: ConvShape, which: Pass, *, value_bytes: int = 2) -> Traffic:
    """Return the compulsory traffic of a dense pass: operands once, results once."""
    first, second = shape.operand_shapes(which)
    return Traffic(
        read_bytes=value_bytes * (math.prod(first) + math.prod(second)),
        write_bytes=value_bytes * math.prod(shape.result_shape(which)),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Bandwidth:
    """What the memory system moves in a cycle, bytes."""

    read_port: float
    write_port: float
    dram: float | None = None
    """Both directions together; None: no limit behind the ports."""

    @classmethod
    def of(cls, config: AcceleratorConfig, dram: float | None = None) -> Bandwidth:
        """Return the ports of a configuration, with a DRAM behind them."""
        port = config.port_bytes_per_cycle
        return cls(read_port=port, write_port=port, dram=dram)


def bound_cycles(
    multipliers: int,
    useful_products: float,
    ports: Traffic,
    bandwidth: Bandwidth,
    dram_bytes: float | None = None,
) -> dict[str, float]:
    """Return the cycles that each resource needs by itself: the roofs of the roofline, as time.

    Parameters
    ----------
    multipliers
        Of the accelerator.
    useful_products
        Of the pass.
    ports
        Bytes at the ports.
    bandwidth
        Bytes per cycle.
    dram_bytes
        Bytes of DRAM; by default those of the ports.
    """
    cycles = {
        "multipliers": useful_products / multipliers,
        "read port": ports.read_bytes / bandwidth.read_port,
        "write port": ports.write_bytes / bandwidth.write_port,
    }
    if bandwidth.dram is not None:
        moved = ports.total_bytes if dram_bytes is None else dram_bytes
        cycles["DRAM"] = moved / bandwidth.dram
    return cycles


def attainable(intensity: float, multipliers: int, bytes_per_cycle: float) -> float:
    """Return the products per cycle that a roofline allows at so many products per byte."""
    return min(multipliers, intensity * bytes_per_cycle)
