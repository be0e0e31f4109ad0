"""Memory hierarchy: bytes at the ports, bytes of DRAM, and the cycles that they take.

What the ports move is counted by the cycle model (`port_traffic`). Behind them is DRAM, at a
bandwidth of its own, and before that may be a buffer (`perf.estimate.buffer`), in which what is
read again may still be there. `compressed_bytes` is the limit of a large one: operands once, as
strips of the densities given, and results once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gscn.array import ArrayConfig
from gscn.conv import ConvShape, Pass
from gscn.cycles.passes import PassCycles
from gscn.dram import Dram
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.passes import HALFWORD_BYTES, VECTOR
from gscn.perf.estimate.buffer import BUFFERS


@dataclass(frozen=True, kw_only=True, slots=True)
class Traffic:
    """Bytes read and written."""

    read_bytes: float
    write_bytes: float

    @property
    def total_bytes(self) -> float:
        """Both directions together."""
        return self.read_bytes + self.write_bytes


def check_buffer(dram: Dram | None) -> None:
    """Raise `InputError` unless an estimate knows the buffer of what is behind the ports."""
    if dram is not None and dram.buffer_bytes not in BUFFERS:
        known = ", ".join(map(str, BUFFERS))
        raise InputError(f"buffer_bytes must be one of {known}, not {dram.buffer_bytes}")


def port_traffic(config: ArrayConfig, result: PassCycles) -> Traffic:
    """Return what the ports of a pass move, by the cycle model."""
    return Traffic(
        read_bytes=result.read_beats * config.mem_bytes,
        write_bytes=result.write_beats * config.mem_bytes,
    )


def strip_bytes(vectors: float, lanes: float, density: float, value_bytes: int = 2) -> float:
    """Return the expected bytes of strips (`docs/contract/passes.md`), tables left out.

    Parameters
    ----------
    vectors
        Of an operand.
    lanes
        Of a vector that hold a number, 1 to 16; the others are zero.
    density
        Share of nonzeros among the numbers, spread evenly.
    value_bytes
        Of a number. Of 8 bits, a nonzero without a partner takes a halfword.
    """
    values = lanes * density
    if value_bytes < HALFWORD_BYTES:
        odd = (1 - (1 - 2 * density) ** lanes) / 2
        values = (values + odd) / 2
    occupied = 1 - (1 - density) ** lanes
    return HALFWORD_BYTES * vectors * (values + occupied + 1 / VECTOR)


def _channels(shape: ConvShape, which: Pass) -> tuple[int, int]:
    """Return the channels that lie in vectors, of the first and the second operand of a pass."""
    return {
        Pass.FORWARD: (shape.k, shape.c),
        Pass.INPUT_GRAD: (shape.c, shape.k),
        Pass.WEIGHT_GRAD: (shape.k, shape.c),
    }[which]


def _reached_share(shape: ConvShape) -> float:
    """Return the share of the inputs that any tap reaches: a stride may step over some."""
    sizes = zip((shape.r, shape.s), shape.stride, strict=True)
    return math.prod(min(1.0, kernel / stride) for kernel, stride in sizes)


@takes_text
def touched_share(shape: ConvShape, which: Pass) -> float:
    """Return the share of the second operand that is multiplied; the rest is not in memory."""
    return 1.0 if which is Pass.INPUT_GRAD else _reached_share(shape)


@takes_text
def written_share(shape: ConvShape, which: Pass) -> float:
    """Return the share of the results that an array writes: those that any tap reaches."""
    return _reached_share(shape) if which is Pass.INPUT_GRAD else 1.0


@takes_text
def operand_bytes(
    shape: ConvShape,
    which: Pass,
    first_density: float,
    second_density: float,
    *,
    value_bytes: int = 2,
) -> tuple[float, float]:
    """Return the bytes of both operands of a pass as strips, each once.

    Weights of a group are in vectors of their own, and maps in vectors of all channels.

    Parameters
    ----------
    shape, which
        The convolution and the pass.
    first_density, second_density
        Shares of nonzeros of its operands.
    value_bytes
        Of a number.
    """
    found: list[float] = []
    if which is not Pass.WEIGHT_GRAD and shape.groups > 1:
        weights, _ = operand_bytes(
            shape.group, which, first_density, second_density, value_bytes=value_bytes
        )
        found.append(shape.groups * weights)
    for size, channels, density, touched in zip(
        shape.operand_shapes(which),
        _channels(shape, which),
        (first_density, second_density),
        (1.0, touched_share(shape, which)),
        strict=True,
    ):
        vectors = math.ceil(channels / VECTOR)
        positions = math.prod(size) / channels * touched
        found.append(
            strip_bytes(positions * vectors, channels / vectors, min(density, 1.0), value_bytes)
        )
    return found[0], found[-1]


@takes_text
def compressed_bytes(
    shape: ConvShape,
    which: Pass,
    first_density: float,
    second_density: float,
    *,
    value_bytes: int = 2,
) -> Traffic:
    """Return the compulsory traffic of a pass from its densities: operands once, results once.

    Parameters as of `operand_bytes`. Results are dense.
    """
    operands = operand_bytes(shape, which, first_density, second_density, value_bytes=value_bytes)
    return Traffic(
        read_bytes=sum(operands),
        write_bytes=value_bytes * math.prod(shape.result_shape(which)),
    )


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
    def of(cls, config: ArrayConfig, dram: float | None = None) -> Bandwidth:
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
