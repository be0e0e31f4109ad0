"""Energy of a pass: operations, memory accesses and bytes, times published energies per operation.

Counted are the operations and accesses that the hardware makes for a launch (`count_accesses`, from
the program and the cycle model), not what an ideal design would make. Not counted, neither here nor
in the dense baseline: clock tree, control, wires between components, leakage. Hence a ratio of two
totals says more than either total.

Implements: the method of Horowitz, "Computing's Energy Problem (and What We Can Do About It)",
ISSCC 2014, Fig. 1.1.9: energy per operation in 45 nm at 0.9 V.
Differs: widths and capacities that the figure does not list are interpolated by power laws through
the two nearest that it does (`Technology`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gscn.config import CHUNK_WIDTH, AcceleratorConfig
from gscn.conv import ConvShape, Pass
from gscn.cycles.model import CycleResult
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.perf.dense_array import dense_cost
from gscn.program import Program

COMPONENTS = (
    "multiply",
    "add",
    "accumulator RAM",
    "stationary memory",
    "directory",
    "queues",
    "port",
    "buffer",
    "DRAM",
)
"""Parts of a breakdown, in the order in which it is shown."""

_WORD_BITS = 68
"""Of a word queued in a PE: `hw.layouts.PE_WORD`, which a test holds it to; perf must not need
Amaranth."""
_DIRECTORY_ROW_BITS = 64
"""A look-up reads a row of four narrow entries and takes one."""
_OPERAND_BYTES = 8192
"""Operand memory beside each multiplier of the dense baseline: that of the published 10 pJ, as
large as the stationary memory of a PE of the presets `small` and `large`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Technology:
    """Energies per operation, picojoules."""

    name: str
    source: str
    add: tuple[tuple[int, float], ...]
    """(bits, pJ) of an integer addition, ascending."""
    multiply: tuple[tuple[int, float], ...]
    """(bits, pJ) of an integer multiplication."""
    memory: tuple[tuple[int, float], ...]
    """(bytes, pJ) of reading or writing 64 bits of a memory on the chip."""
    dram: tuple[float, float]
    """pJ of 64 bits from or to DRAM, least and most."""

    def add_pj(self, bits: int) -> float:
        """Return the energy of an integer addition of so many bits."""
        return _power_law(self.add, bits)

    def multiply_pj(self, bits: int) -> float:
        """Return the energy of an integer multiplication of two operands of so many bits."""
        return _power_law(self.multiply, bits)

    def memory_pj(self, capacity_bytes: float, bits: float) -> float:
        """Return the energy of one access to a memory; in proportion to the bits accessed."""
        return _power_law(self.memory, capacity_bytes) * bits / 64

    def dram_pj(self, position: float) -> float:
        """Return the energy of a byte of DRAM, `position` from 0 (the least) to 1 (the most)."""
        if not 0 <= position <= 1:
            raise InputError(f"position between the DRAM energies must be 0 to 1, not {position}")
        low, high = self.dram
        return (low + (high - low) * position) / 8


HOROWITZ_45NM = Technology(
    name="45 nm, 0.9 V",
    source=(
        "M. Horowitz, Computing's Energy Problem (and What We Can Do About It), ISSCC 2014, "
        "Fig. 1.1.9: rough energy costs in 45 nm, 0.9 V"
    ),
    add=((8, 0.03), (32, 0.1)),  # integer add
    multiply=((8, 0.2), (32, 3.1)),  # integer multiply
    memory=((8 << 10, 10.0), (32 << 10, 20.0), (1 << 20, 100.0)),  # cache, 64 bits
    dram=(1300.0, 2600.0),  # 64 bits
)
"""The figures of the publication, each beside what it is of."""


def _power_law(points: Sequence[tuple[float, float]], x: float) -> float:
    """Interpolate between (x, y) on log-log axes; beyond the ends with the nearest slope."""
    if x <= 0:
        raise InputError(f"bits and bytes must be positive, not {x}")
    index = 0
    while index + 2 < len(points) and x > points[index + 1][0]:
        index += 1
    (x0, y0), (x1, y1) = points[index], points[index + 1]
    return y0 * (x / x0) ** (math.log(y1 / y0) / math.log(x1 / x0))


@dataclass(frozen=True, kw_only=True, slots=True)
class Accesses:
    """What the hardware does in a launch, all PEs together."""

    products: float
    """Products, those that fall off a border included."""
    adds: float
    """Partial sums added from memory."""
    items: float
    """Words put into the queues of PEs: each streamed item counts once per PE."""
    lookups: float
    """Accesses to directories."""
    loaded_chunks: float
    """64-bit chunks written into stationary memories, directories and taps."""
    streamed_chunks: float
    """64-bit chunks that broadcasters take."""
    drained: float
    """Accumulators read and cleared."""
    read_bytes: float
    """Bytes of the memory ports, `write_bytes` likewise."""
    write_bytes: float

    def scaled(self, factor: float) -> Accesses:
        """Return the same for a launch `factor` times as large."""
        return Accesses(
            **{f.name: factor * getattr(self, f.name) for f in dataclasses.fields(self)}
        )

    def __add__(self, other: Accesses) -> Accesses:
        """Return the accesses of two launches."""
        return Accesses(
            **{
                f.name: getattr(self, f.name) + getattr(other, f.name)
                for f in dataclasses.fields(self)
            }
        )


def loaded_chunks(program: Program, result: CycleResult) -> int:
    """Return the chunks of load blocks that clusters load: a block in one of two banks stays.

    Parameters
    ----------
    program, result
        A lowered pass, and what `cycles.model.simulate` says of it: which cluster ran which job.
    """
    total = 0
    order = sorted(range(len(program.jobs)), key=lambda job: int(result.job_spans[job, 1]))
    # per cluster: phase, addresses in the banks, bank of the segment before
    banks: dict[int, tuple[int, list[int], int]] = {}
    for index in order:
        job, cluster = program.jobs[index], int(result.job_spans[index, 0])
        phase, tags, last = banks.get(cluster, (-1, [-1, -1], 1))
        if phase != job.phase:
            phase, tags = job.phase, [-1, -1]
        for addr, chunks in zip(job.load_addrs, job.load_chunks, strict=True):
            if not chunks:  # partial sums use no bank
                continue
            if addr in tags:
                last = tags.index(addr)
                continue
            last = 1 - last
            tags[last] = addr
            total += chunks
        banks[cluster] = (phase, tags, last)
    return total


def count_accesses(program: Program, result: CycleResult) -> Accesses:
    """Return the operations and accesses of a launch.

    Parameters
    ----------
    program, result
        A lowered pass, and what `cycles.model.simulate` says of it.
    """
    pes = program.config.pes_per_cluster
    causes = result.by_cause()
    macs = [
        (count, bool(load))
        for job in program.jobs
        for count, load in zip(job.stream_counts, job.load_chunks, strict=True)
    ]
    return Accesses(
        products=causes["busy"],
        adds=causes["add"],
        items=pes * sum(count for count, is_mac in macs if is_mac),
        lookups=pes * sum(sum(job.lookups) for job in program.jobs),
        loaded_chunks=loaded_chunks(program, result),
        streamed_chunks=sum(sum(job.stream_chunks) for job in program.jobs),
        drained=pes * sum(job.walk_count for job in program.jobs),
        read_bytes=result.read_beats * program.config.mem_bytes,
        write_bytes=result.write_beats * program.config.mem_bytes,
    )


def energy(
    config: AcceleratorConfig,
    accesses: Accesses,
    *,
    technology: Technology = HOROWITZ_45NM,
    dram_bytes: float | None = None,
    buffer_bytes: float = 0,
    dram_position: float = 0.5,
) -> dict[str, float]:
    """Return the energy of a launch by component, picojoules.

    A product reads a row of the stationary memory (two entries, of which one is used), multiplies,
    adds, and reads and writes an accumulator. A look-up reads a row of the directory. Words and
    beats are written into their queues and read from them once. A drained accumulator is read and
    cleared. Every byte at the ports comes from the global buffer, if there is one, and is written
    into it once; `dram_bytes` of them come from or go to DRAM.

    Parameters
    ----------
    config
        The accelerator: sizes of its memories.
    accesses
        What it does.
    technology
        Energies per operation.
    dram_bytes
        Bytes moved by DRAM; by default all bytes of the ports, which is what the design does.
    buffer_bytes
        Capacity of a global buffer between ports and DRAM; 0: there is none.
    dram_position
        Where in the published range of DRAM energies: 0 least, 1 most.
    """
    port_bytes = accesses.read_bytes + accesses.write_bytes
    if dram_bytes is None:
        dram_bytes = port_bytes
    acc_bytes = config.acc_depth * config.acc_width / 8
    accumulator = technology.memory_pj(acc_bytes, config.acc_width)
    # both banks are one memory of rows of two entries
    stationary_bytes = 2 * config.a_depth * 4
    stationary = technology.memory_pj(stationary_bytes, CHUNK_WIDTH)
    directory_bytes = config.directory_depth // 2 * _DIRECTORY_ROW_BITS / 8
    queue = technology.memory_pj(config.b_fifo_depth * _WORD_BITS / 8, _WORD_BITS)
    beats_bytes = config.read_fifo_beats * config.mem_bytes
    reader = technology.memory_pj(beats_bytes, CHUNK_WIDTH)
    writer = technology.memory_pj(beats_bytes, 8)
    buffered = technology.memory_pj(buffer_bytes, 8) if buffer_bytes else 0.0
    return {
        "multiply": accesses.products * technology.multiply_pj(config.format.width),
        "add": (accesses.products + accesses.adds) * technology.add_pj(config.acc_width),
        "accumulator RAM": 2 * accumulator * (accesses.products + accesses.adds + accesses.drained),
        "stationary memory": stationary * (accesses.products + accesses.loaded_chunks),
        "directory": accesses.lookups * technology.memory_pj(directory_bytes, _DIRECTORY_ROW_BITS),
        "queues": 2 * queue * accesses.items,
        "port": 2 * reader * (accesses.loaded_chunks + accesses.streamed_chunks)
        + 2 * writer * accesses.write_bytes,
        "buffer": buffered * (port_bytes + dram_bytes),
        "DRAM": dram_bytes * technology.dram_pj(dram_position),
    }


@takes_text
def dense_energy(
    config: AcceleratorConfig,
    shape: ConvShape,
    which: Pass,
    *,
    technology: Technology = HOROWITZ_45NM,
    buffer_bytes: float = 0,
    dram_position: float = 0.5,
) -> dict[str, float]:
    """Return the energy of the same pass on `perf.dense_array`, by component.

    In every cycle each row and each column of the array reads one operand of `config.format` from a
    memory of 8 KiB, and partial sums stay in registers, at no cost, until they are written once.
    Operands are fetched from DRAM once, results written once. All of that favours the baseline.

    Parameters
    ----------
    config
        Gives the multipliers, the widths and the port.
    shape, which
        The convolution and the pass.
    technology, buffer_bytes, dram_position
        As of `energy`.
    """
    cost = dense_cost(config, shape, which)
    rows, contraction, columns = cost.arrangement
    width = config.format.width
    read_bytes = sum(math.prod(size) for size in shape.operand_shapes(which)) * width / 8
    write_bytes = math.prod(shape.result_shape(which)) * width / 8
    operand = technology.memory_pj(_OPERAND_BYTES, width)
    operands_read = cost.compute_cycles * contraction * (rows + columns)
    queue = technology.memory_pj(config.read_fifo_beats * config.mem_bytes, 8)
    buffered = technology.memory_pj(buffer_bytes, 8) if buffer_bytes else 0.0
    moved = read_bytes + write_bytes
    result = dict.fromkeys(COMPONENTS, 0.0)
    return result | {
        "multiply": shape.dense_macs * technology.multiply_pj(width),
        "add": shape.dense_macs * technology.add_pj(config.acc_width),
        "stationary memory": operand * (operands_read + 8 * read_bytes / width),
        "port": 2 * queue * moved,
        "buffer": 2 * buffered * moved,
        "DRAM": moved * technology.dram_pj(dram_position),
    }


def energy_per_product(
    config: AcceleratorConfig, technology: Technology = HOROWITZ_45NM
) -> Mapping[str, float]:
    """Return what one product costs inside a PE, by component, picojoules: no look-up, no word."""
    one = Accesses(**dict.fromkeys((f.name for f in dataclasses.fields(Accesses)), 0.0))
    parts = energy(config, dataclasses.replace(one, products=1.0), technology=technology)
    return {name: value for name, value in parts.items() if value}
