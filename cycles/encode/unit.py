"""Cycle model of `hw.encode.unit`: the time that an encode pass takes, and the bytes that it moves.

It goes through the cycles of a pass as the RTL does, with its queues and arbiters, in front of a
port that takes each command at once, answers it after a fixed latency and then delivers a beat per
cycle; cycles and bytes equal the RTL's. What it needs of the data is how many values of each vector
strips have, which coefficients are no powers of two, and in which bin a selection ends;
of the pass before, whose turn it is to write, and when bins are empty. A few million cycles take a
second, so that the passes of a step can all be gone through to their ends.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gscn.array import ArrayConfig
from gscn.cycles.encode.fields import record_fields, vectors_of
from gscn.cycles.encode.new_unit import new_unit
from gscn.cycles.encode.pipeline import BINS, run
from gscn.cycles.encode.record import RecordCost
from gscn.cycles.encode.state import MASKS, VECTORS
from gscn.cycles.encode.walk import DENSITY_BITS
from gscn.encode import ENCODE_DESCRIPTOR_BYTES, ENCODE_STATE, TENSORS
from gscn.errors import InputError
from gscn.passes import VECTOR
from gscn.port import ALIGNMENT_BYTES, READ_LATENCY, WRITE_LATENCY

PORT_CYCLES = 2
"""From a wish for a burst to its command at memory, and likewise from a command or beat on."""
CYCLES_OF_A_VECTOR, MOST_CYCLES = 400, 40_000
"""More than any vector takes beside the latency, and more than all else."""

ODD_ALL = (1 << TENSORS) - 1
"""Some coefficient of every tensor is no power of two."""


class EncodeCost(NamedTuple):
    """What an encode pass costs."""

    cycles: int
    """From the start handshake to not busy."""
    read_bytes: int
    """Through the unit's port; `write_bytes` likewise."""
    write_bytes: int


class Known(NamedTuple):
    """What is known of the data of a pass, and of the pass before."""

    odd: object = ODD_ALL
    """Of each vector, a bit for each tensor: some coefficient of it is no normal power of two, nor
    0; or the same of all."""
    kept_0: object = 1.0
    """Of strips that are tensor 0, as `kept_a`."""
    chosen_bin: int = 0
    """The number of the bin in which a selection ends: 0 is the last one that is looked at."""
    kept: int = 0
    """Values that strips A keep, of which the state's next threshold is made."""
    state: dict[str, int] | None = None
    """The state's words; None: zeros."""
    turn: int = -1
    """The result, as they are written in turns, of which the last line was; -1: of none."""
    bins_ready: int = 0
    """Cycles from the start to bins of a selection that are empty again."""


class PortTimes(NamedTuple):
    """What the memory behind the port takes, and how far readers look ahead."""

    latency: int = READ_LATENCY
    write_latency: int = WRITE_LATENCY
    write_lag: int = 0
    """1: a beat is taken a cycle after its command, as `hw.port.write_merger` takes it without a
    queue in front."""
    depth: int = VECTORS
    """`depth` of `EncodeUnit`."""


NOTHING_KNOWN, IDEAL_PORT = Known(), PortTimes()


class EncodeRun(NamedTuple):
    """What a pass costs, and what it leaves to the next."""

    cost: EncodeCost
    turn: int
    """As in `Known`; `bins_ready` counts from the start of this pass."""
    bins_ready: int


class _Passed(NamedTuple):
    """What the vectors of a pass cost."""

    end: int
    """The cycle in which all results are known to be in memory."""
    read_beats: int
    write_beats: int
    turn: int
    bins_ready: int


def _masks(settings: np.void, known: Known, kept_a: object, kept_b: object) -> np.ndarray:
    """Return what is known of each vector; note densities of what is not."""
    parts = (known.odd, known.kept_0, kept_a, kept_b)
    each = [np.asarray(one) for one in parts if np.ndim(one)]
    masks = np.zeros((MASKS, max((one.size for one in each), default=0)), np.uint16)
    for number, what in enumerate(parts):
        if np.ndim(what):
            settings["known"][number] = np.size(what) > 0
            masks[number, : np.size(what)] = what
        else:
            settings["densities"][number] = round(float(what) * (1 << DENSITY_BITS))
    return masks


def _passed(
    f: dict[str, int], config: ArrayConfig, begin: int, known: Known, kept: tuple, port: PortTimes
) -> _Passed:
    """Go through the vectors of a pass that begins in a cycle.

    `kept`: the lanes, or the density, of strips A and B.
    """
    units = new_unit(f, config, port.depth)
    unit = units[0]
    settings = unit["settings"]
    masks = _masks(settings, known, *kept)
    odd = 0 if np.ndim(known.odd) else known.odd
    most = MOST_CYCLES + vectors_of(f) * (CYCLES_OF_A_VECTOR + port.latency)
    for name, value in (
        ("begin", begin), ("limit", begin + most), ("odd_all", odd),
        ("latency", port.latency), ("write_latency", port.write_latency),
        ("write_lag", port.write_lag), ("chosen_bin", known.chosen_bin),
        ("bins_ready", known.bins_ready),
    ):  # fmt: skip
        settings[name] = value
    unit["writer"]["below"] = known.turn
    end = run(units, masks)
    if end < 0:
        raise InputError("an encode pass must end, and be one without errors")
    outputs, ready = unit["outputs"], known.bins_ready
    if outputs["asked"]:
        chosen = outputs["chosen_at"] - 1 - VECTOR * (BINS - known.chosen_bin)
        ready = chosen + 1 + VECTOR * BINS
    return _Passed(
        int(end), int(unit["arbiter"]["beats"]), int(unit["writer"]["beats"]),
        int(unit["writer"]["below"]), int(ready),
    )  # fmt: skip


def simulate_encode(
    record: object,
    config: ArrayConfig,
    *,
    kept_a: object = 1.0,
    kept_b: object = 1.0,
    known: Known = NOTHING_KNOWN,
    port: PortTimes = IDEAL_PORT,
) -> EncodeRun:
    """Return what a pass costs that has no error, and what it leaves to the next.

    Parameters
    ----------
    record
        Its record: bytes, or fields by name.
    config
        The array beside which the unit is.
    kept_a, kept_b
        Of the values of a vector, how many strips A and B have: a density, by which lanes are drawn
        at random but always alike, or, for each vector in the order of the walk, a bit per lane.
    known
        What else is known of its data.
    port
        The memory.
    """
    f = record_fields(record)
    cost = RecordCost(f)
    record_beats = ENCODE_DESCRIPTOR_BYTES // config.mem_bytes
    state_beats = ALIGNMENT_BYTES // config.mem_bytes
    begin = record_beats + state_beats + 2 * (port.latency + PORT_CYCLES)
    begin += cost.check() + cost.open()
    found = _passed(f, config, begin, known, (kept_a, kept_b), port)
    state = known.state or dict.fromkeys(ENCODE_STATE.dtype.names, 0)
    end = found.end + cost.close(known.kept, state)
    end += PORT_CYCLES + state_beats + port.write_latency + 1
    read = record_beats + state_beats + found.read_beats
    written = state_beats + found.write_beats
    return EncodeRun(
        cost=EncodeCost(end, read * config.mem_bytes, written * config.mem_bytes),
        turn=found.turn,
        bins_ready=found.bins_ready,
    )


def encode_cycles(
    record: object,
    config: ArrayConfig,
    *,
    kept_a: object = 1.0,
    kept_b: object = 1.0,
    latency: int = READ_LATENCY,
    known: Known = NOTHING_KNOWN,
) -> EncodeCost:
    """Return what a pass costs: as `simulate_encode`, of a memory of this latency."""
    port = PortTimes(latency=latency)
    return simulate_encode(
        record, config, kept_a=kept_a, kept_b=kept_b, known=known, port=port
    ).cost
