"""What the records of a training step cost: convolutions and encode passes, by the cycle model."""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from gscn.array import ArrayConfig
from gscn.control import CONTROL_MODE, CONTROL_RECORD, Queue
from gscn.cycles.encode.unit import ODD_ALL, Known, encode_cycles
from gscn.dram import Dram
from gscn.encode import ENCODE_DESCRIPTOR, ENCODE_MODE, TENSORS, Adapt
from gscn.lowering.step.lists import records_of
from gscn.lowering.step.records import Records
from gscn.passes import PASS_DESCRIPTOR
from gscn.perf.estimate.step_schedule import CONTROL, Queued, Ways
from gscn.port import ALIGNMENT_BYTES, READ_LATENCY
from gscn.step import STRIPS, Convolve, Encode, Rows, Step, Walk

SELECTION = "selection"
"""Passes that find the threshold of a tensor's largest values."""
OPERANDS = "operands"
"""Passes that make strips alone, or count what those of several parts keep: thresholds and
differences are applied on the way."""
REUSE = "reused sample"
"""ReSprop: its gradients, the sum of inputs over samples, the sum of both weight gradients."""
ORDER = "order of results"
"""Weight gradients turned round, input gradients of strided layers spread."""
SUMS = "sums of normalisation"
MAPS = "maps and their gradients"
"""Normalisation, residual, ReLU, pooling, with operands written on the way; gradients of branches
and of pooling."""
UPDATE = "weight update"
CONVOLUTION = "convolution"
KINDS = (SELECTION, OPERANDS, REUSE, ORDER, SUMS, MAPS, UPDATE)
"""Of encode passes."""
OF_ZEROS = (SELECTION, OPERANDS, REUSE, ORDER)
"""Kinds for which there would be no pass, or fewer, on an array that skips no zeros."""

_APART_BYTES = 1 << 12
"""Between places that lie apart."""
_MOST_TABLE = 1 << 24
"""Bytes of a table, of rows or of a state, at most."""
_PART = "/"
"""Between an operation's name and the number of one of several passes that it is done by."""
_MODE = int(PASS_DESCRIPTOR.dtype.fields["mode"][1])
_CONTROL_CYCLES, _LINK_CYCLES = 18, 18
"""Beside latencies: one for a control record, two for each top that it sets; `python -m
benchmarks.list_cost` measures them."""


TURNED = Rows(0, {"c0": 1.0})
"""Of a pass that no operation names: one that copies."""


class PassCost(NamedTuple):
    """What a pass costs on its unit, alone."""

    cycles: float
    read_bytes: float
    write_bytes: float
    dram_bytes: float
    """Read and written behind the port."""


class Listed(NamedTuple):
    """A record in its queue, and what it costs; no pass costs nothing."""

    queued: Queued
    cost: PassCost


class Record(NamedTuple):
    """A record of a step."""

    name: str
    content: np.ndarray
    """Its bytes."""
    op: Convolve | Encode | None
    """None: control, or a pass that no operation names."""
    parts: int = 1
    """Passes that the operation is done by."""
    odd: int = ODD_ALL
    """Of which tensors some coefficient is no power of two, a bit each: these are multiplied."""


def step_records(step: Step, config: ArrayConfig) -> list[Record]:
    """Return the records of a step in two queues, as `lowering.step` makes them."""
    return listed(records_of(step, config))


def listed(made: Records) -> list[Record]:
    """Return records with their operations."""
    addr = made.at - sum(content.size for content in made.content)
    ops = {op.name: op for op in made.step.operations if isinstance(op, Convolve | Encode)}
    names = {at: name for name, at in made.records.items()}
    parts = Counter(name.partition(_PART)[0] for name in made.records)
    found = []
    for content in made.content:
        name = names.get(addr, "wait")
        whole = name.partition(_PART)[0]
        op = ops.get(whole)
        rows = made.step.rows[op.rows] if isinstance(op, Encode) else TURNED
        found.append(Record(name, content, op, parts[whole], _odd(rows)))
        addr += content.size
    return found


def _odd(rows: Rows) -> int:
    """Return of which tensors coefficients are no powers of two; those of a host are none."""
    shares = (math.frexp(rows.values.get(f"c{n}", 0.3))[0] for n in range(TENSORS))
    return sum((abs(share) not in (0, 0.5)) << n for n, share in enumerate(shares))


def kind_of(record: Record) -> str:
    """Return the kind of an encode pass."""
    op = record.op
    if op is None or op.spread is not None:
        return ORDER
    if op.fields.get("adapt") in (Adapt.SELECT_FIRST, Adapt.SELECT_NEXT):
        return SELECTION
    if op.operand is not None or not op.results:
        return OPERANDS
    if op.walk in (Walk.ONE, Walk.SAMPLES):
        return REUSE
    if "sums" in op.results:
        return SUMS
    if "second" in op.results:
        return UPDATE
    if op.walk is Walk.WEIGHTS:
        return REUSE if len(op.tensors) > 1 else OPERANDS
    return MAPS


def costs(
    records: list[Record],
    config: ArrayConfig,
    convolution: Callable[[Convolve], PassCost],
    kept: Mapping[str, float],
    dram: Dram | None = None,
) -> list[Listed]:
    """Return the records of a step in their queues, with what they cost.

    Parameters
    ----------
    records
        Of the step.
    config
        The array.
    convolution
        What a convolution costs.
    kept
        Share of values that strips keep, by their names; of others all.
    dram
        Behind the port, which encode passes read and write without a buffer; None: no limit.
    """
    found = []
    for record in records:
        mode = record.content[_MODE]
        if mode == CONTROL_MODE:
            found.append(Listed(_control(record), PassCost(0.0, 0.0, 0.0, 0.0)))
            continue
        if mode == ENCODE_MODE:
            kind, queue = kind_of(record), Queue.ENCODE
            strips = [record.op.results.get(part, "") if record.op else "" for part in STRIPS]
            shares = tuple(kept.get(one, 1.0) for one in strips)
            cost = _of_encode(_alike(record.content), config, shares, record.odd)
        else:
            kind, queue = CONVOLUTION, Queue.ARRAY
            cost = PassCost(*(one / record.parts for one in convolution(record.op)))
        if dram is not None:
            cost = cost._replace(cycles=max(cost.cycles, dram.cycles(cost.dram_bytes)))
        ways = _ways(cost, config.port_bytes_per_cycle, dram)
        found.append(Listed(Queued(record.name, kind, queue, cost.cycles, ways), cost))
    return found


def _ways(cost: PassCost, port_bytes: int, dram: Dram | None) -> Ways:
    """Return the shares of the ways to memory that a pass uses."""
    behind = 0.0 if dram is None else dram.cycles(cost.dram_bytes)
    return Ways(
        min(1.0, cost.read_bytes / port_bytes / cost.cycles),
        min(1.0, cost.write_bytes / port_bytes / cost.cycles),
        min(1.0, behind / cost.cycles),
    )


def _alike(content: np.ndarray) -> bytes:
    """Return a record that takes the same time: its places, at their offsets in a line, but apart.

    The unit reads and writes lines of 64 bytes, which no burst goes beyond: where else a place is
    makes no difference, only which places are one. A network has many layers of the same shapes,
    and a step is estimated in several ways.
    """
    fields = ENCODE_DESCRIPTOR.unpack(content)[0]
    moved = {name: int(fields[name]) for name in ENCODE_DESCRIPTOR.dtype.names}
    begins: dict[int, int] = {}
    free = _APART_BYTES
    for name, value in moved.items():
        part, _, what = name.rpartition("_")
        if not value or what not in ("addr", "data", "table"):
            continue
        end = f"{part}_end" if what != "table" else ""
        size = moved[end] - value if end in moved else _MOST_TABLE
        # What is one place, an updated tensor for example, stays one.
        if value not in begins:
            begins[value] = free + value % ALIGNMENT_BYTES
            free += (size // _APART_BYTES + 2) * _APART_BYTES
        moved[name] = begins[value]
        if end in moved:
            moved[end] = begins[value] + size
    return ENCODE_DESCRIPTOR.pack(**moved).tobytes()


@functools.lru_cache(maxsize=8192)
def _of_encode(content: bytes, config: ArrayConfig, kept: tuple[float, ...], odd: int) -> PassCost:
    cost = encode_cycles(content, config, kept_a=kept[0], kept_b=kept[1], known=Known(odd=odd))
    moved = cost.read_bytes + cost.write_bytes
    return PassCost(cost.cycles, cost.read_bytes, cost.write_bytes, moved)


def _control(record: Record) -> Queued:
    fields = CONTROL_RECORD.unpack(record.content)[0]
    links = int(fields["links"])
    cycles = _CONTROL_CYCLES + READ_LATENCY + links * (_LINK_CYCLES + 2 * READ_LATENCY)
    return Queued(
        record.name, CONTROL, Queue(int(fields["queue"])), cycles, wait=int(fields["wait"])
    )
