"""Energy of a pass: operations, memory accesses and bytes, times published energies per operation.

Counted are the operations and accesses that the hardware makes for a launch, by its own counters
(`count_accesses`), not what an ideal design would make. Registers, clock and control of PEs are
measured at gates (`perf.estimate.pe_logic`). Not counted, neither here nor in the dense baseline:
logic outside PEs, a clock tree, wires between components, leakage. Hence a ratio of two
totals says more than either total.

Implements: the method of Horowitz, "Computing's Energy Problem (and What We Can Do About It)",
ISSCC 2014, Fig. 1.1.9: energy of operations and of DRAM in 45 nm at 0.9 V.
Differs: widths that the figure does not list are interpolated by power laws through the two nearest
that it does (`Technology`); memories on the chip are those of `perf.estimate.memory_energies`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gscn.array import ArrayConfig
from gscn.conv import ConvShape, Pass
from gscn.cycles.passes import PassCycles
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.lowering.pass_image import PassImage
from gscn.perf.dense_array import fewest_operands
from gscn.perf.estimate.buffer import Region, regions
from gscn.perf.estimate.memory_energies import Access, MemoryEnergies, memory_energies
from gscn.perf.estimate.pe_logic import MEASURED_LOGIC, PeLogic, unit_pj
from gscn.perf.estimate.storage import (
    ACCUMULATORS,
    DIRECTORIES,
    DIRECTORY_COPIES,
    ENTRIES,
    READS,
    WRITES,
    Storage,
    storage,
)

COMPONENTS = (
    "multiply",
    "add",
    "accumulator RAM",
    "stationary memory",
    "directory",
    "control",
    "clock",
    "port",
    "buffer",
    "DRAM",
)
"""Parts of a breakdown, in the order in which it is shown."""

OPERAND_ROWS, OPERAND_ROW_BITS = 1024, 64
"""Operand memory of the dense baseline: 8 KiB, about the stationary memory of a PE of the presets
`small` and `large`. Its operands are read in order, so that a row is read once for all in it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Technology:
    """Energies per operation, picojoules."""

    name: str
    source: str
    add: tuple[tuple[int, float], ...]
    """(bits, pJ) of an integer addition, ascending."""
    multiply: tuple[tuple[int, float], ...]
    """(bits, pJ) of an integer multiplication."""
    memory: MemoryEnergies
    """Of memories on the chip."""
    dram: tuple[float, float]
    """pJ of 64 bits from or to DRAM, least and most."""
    pe_logic: PeLogic = MEASURED_LOGIC
    """Of PEs, in multiplications and additions."""

    def add_pj(self, bits: int) -> float:
        """Return the energy of an integer addition of so many bits."""
        return _power_law(self.add, bits)

    def multiply_pj(self, bits: int) -> float:
        """Return the energy of an integer multiplication of two operands of so many bits."""
        return _power_law(self.multiply, bits)

    def access(self, memory: Storage) -> Access:
        """Return the energies of a row of a memory."""
        return self.memory.access(memory.depth, memory.width)

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
    memory=memory_energies(),
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
    """What the hardware does in a pass, all PEs together."""

    products: float
    words: float
    """Streamed nonzeros that are dealt to a PE each."""
    lookups: float
    """Ranges of keys that are looked up."""
    loaded_entries: float
    """Stationary nonzeros that clusters load; each goes into the memories of all its PEs.
    `loaded_keys` likewise."""
    loaded_keys: float
    loaded_bytes: float
    """That clusters take in to load, shared bursts once for each; `streamed_bytes` likewise."""
    streamed_bytes: float
    drained: float
    """Accumulators read, cleared and added up."""
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


def _taken_in(image: PassImage, bursts: np.ndarray, known: list[Region]) -> np.ndarray:
    """Return the bytes that channels take in of each region, float64; shared bursts for each."""
    begins = np.array([one.begin for one in known], np.int64)
    at = np.searchsorted(begins, bursts[:, 0] * image.config.mem_bytes, side="right") - 1
    taken = (bursts[:, 1] * bursts[:, 2] * image.config.mem_bytes).astype(np.float64)
    return np.bincount(at[at >= 0], weights=taken[at >= 0], minlength=len(known))


def count_accesses(image: PassImage, result: PassCycles) -> Accesses:
    """Return the operations and accesses of a lowered pass.

    All but bytes are counted by counters of the hardware, which the cycle model equals.

    Parameters
    ----------
    image
        The pass.
    result
        What `cycles.passes.simulate_passes` says of it, with its bursts.
    """
    config, known, events = image.config, regions(image), result.by_event()
    taken = {True: 0.0, False: 0.0}
    for one, taken_in in zip(known, _taken_in(image, result.bursts, known), strict=True):
        if one.strips:
            taken[one.stationary] += float(taken_in)
    return Accesses(
        products=result.by_cause()["busy"],
        words=events["words"],
        lookups=events["lookups"],
        loaded_entries=events["entries"],
        loaded_keys=events["keys"],
        loaded_bytes=taken[True],
        streamed_bytes=taken[False],
        drained=events["rows"] * config.drain_width * config.pes,
        read_bytes=result.read_beats * config.mem_bytes,
        write_bytes=result.write_beats * config.mem_bytes,
    )


def energy(
    config: ArrayConfig,
    accesses: Accesses,
    *,
    technology: Technology = HOROWITZ_45NM,
    dram_bytes: float | None = None,
    buffer_bytes: float = 0,
    dram_position: float = 0.5,
) -> dict[str, float]:
    """Return the energy of a pass by component, picojoules.

    A product reads a stationary entry, multiplies, adds, and reads and writes an accumulator. A
    look-up reads the directory twice. A loaded entry is written into the memories of all PEs of its
    cluster, and so is where its key begins, twice. Queues of words and of what they find are in the
    control of look-ups; beats wait in memories, written and read once. A drained accumulator is
    read, cleared and added to the others. Every byte at the ports comes from the buffer behind
    them, if there is one, and what DRAM delivers is written into it; `dram_bytes` come from or go
    to DRAM.

    Parameters
    ----------
    config
        The accelerator: sizes of its memories.
    accesses
        What it does.
    technology
        Energies per operation.
    dram_bytes
        Bytes moved by DRAM; by default all bytes of the ports: there is no buffer.
    buffer_bytes
        Capacity of a buffer between ports and DRAM; 0: there is none.
    dram_position
        Where in the published range of DRAM energies: 0 least, 1 most.
    """
    port_bytes = accesses.read_bytes + accesses.write_bytes
    if dram_bytes is None:
        dram_bytes = port_bytes
    kept = storage(config)

    sums, entries, directory = (
        technology.access(kept[name]) for name in (ACCUMULATORS, ENTRIES, DIRECTORIES)
    )
    logic, unit = technology.pe_logic, unit_pj(technology.multiply_pj, technology.add_pj)
    copies = config.pes
    taken = accesses.loaded_bytes + accesses.streamed_bytes
    buffered = technology.memory.buffer_pj(buffer_bytes, 8) if buffer_bytes else 0.0
    return {
        "multiply": accesses.products * technology.multiply_pj(config.format.width),
        "add": (accesses.products + accesses.drained) * technology.add_pj(config.acc_width),
        "accumulator RAM": sums.both * (accesses.products + accesses.drained),
        "stationary memory": entries.read * accesses.products
        + entries.write * copies * accesses.loaded_entries,
        "directory": DIRECTORY_COPIES
        * (directory.read * accesses.lookups + directory.write * copies * accesses.loaded_keys),
        "control": unit * (logic.product * accesses.products + logic.lookup * accesses.lookups),
        "clock": unit * logic.clock * accesses.products,
        "port": port_pj(config, taken, accesses.write_bytes, technology),
        "buffer": buffered * (port_bytes + dram_bytes),
        "DRAM": dram_bytes * technology.dram_pj(dram_position),
    }


def port_pj(
    config: ArrayConfig,
    read_bytes: float,
    write_bytes: float,
    technology: Technology = HOROWITZ_45NM,
) -> float:
    """Return the energy of bytes that wait in the queues of the ports, written and read once."""
    kept = storage(config)
    waiting = ((READS, read_bytes), (WRITES, write_bytes))
    return sum(technology.access(kept[name]).both * n / config.mem_bytes for name, n in waiting)


@takes_text
def dense_energy(
    config: ArrayConfig,
    shape: ConvShape,
    which: Pass,
    *,
    technology: Technology = HOROWITZ_45NM,
    buffer_bytes: float = 0,
    dram_position: float = 0.5,
) -> dict[str, float]:
    """Return the energy of the same pass on `perf.dense_array`, by component.

    In every cycle each row and each column of the array takes an operand of `config.format` from a
    memory of 8 KiB, and partial sums stay in registers until they are written once; these cost what
    was measured at gates, as the rest of a PE (`hw.dense`) does.
    The multipliers are arranged so that the fewest operands are read, be it in more cycles than
    `dense_cost` has. Operands are fetched from DRAM once, results written once. All of that favours
    the baseline.

    Parameters
    ----------
    config
        Gives the multipliers, the widths and the port.
    shape, which
        The convolution and the pass.
    technology, buffer_bytes, dram_position
        As of `energy`.
    """
    width = config.format.width
    read_bytes = sum(math.prod(size) for size in shape.operand_shapes(which)) * width / 8
    write_bytes = math.prod(shape.result_shape(which)) * width / 8
    operand = technology.memory.access(OPERAND_ROWS, OPERAND_ROW_BITS)
    buffered = technology.memory.buffer_pj(buffer_bytes, 8) if buffer_bytes else 0.0
    moved = read_bytes + write_bytes
    result = dict.fromkeys(COMPONENTS, 0.0)
    logic = shape.dense_macs * unit_pj(technology.multiply_pj, technology.add_pj)
    return result | {
        "multiply": shape.dense_macs * technology.multiply_pj(width),
        "add": shape.dense_macs * technology.add_pj(config.acc_width),
        "control": logic * technology.pe_logic.dense_product,
        "clock": logic * technology.pe_logic.dense_clock,
        "stationary memory": width
        / OPERAND_ROW_BITS
        * operand.read
        * fewest_operands(config.multipliers, shape, which)
        + operand.write * 8 * read_bytes / OPERAND_ROW_BITS,
        "port": port_pj(config, moved, 0, technology),  # all in queues as those of reads
        "buffer": 2 * buffered * moved,
        "DRAM": moved * technology.dram_pj(dram_position),
    }


def energy_per_product(
    config: ArrayConfig, technology: Technology = HOROWITZ_45NM
) -> Mapping[str, float]:
    """Return what one product costs inside a PE, by component, picojoules: no look-up, no word."""
    one = Accesses(**dict.fromkeys((f.name for f in dataclasses.fields(Accesses)), 0.0))
    parts = energy(config, dataclasses.replace(one, products=1.0), technology=technology)
    return {name: value for name, value in parts.items() if value}
