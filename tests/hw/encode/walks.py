"""Random walks of encode passes, and what `EncodeWalk` must be told and must say of them."""

from __future__ import annotations

import random

import numpy as np

from gscn.emulator.encode_checks import encode_fields, field_of
from gscn.emulator.encode_walk import Walk
from gscn.encode import ENCODE_DESCRIPTOR, LOOPS, STREAMS, TENSORS
from gscn.hw.encode.encode_walk import ADDRESSES, AXES, COORDINATES, COUNTS, SUM_WIDTH
from gscn.hw.encode.loop_walk import START, WITHIN
from gscn.passes import VECTOR


def random_walk(source: random.Random, most: int = 3) -> dict[str, int]:
    """Return fields of a descriptor that only say where its vectors are."""
    f = {f"count{n}": source.choice((1, 1, source.randint(1, most))) for n in range(LOOPS)}
    f["vectors"] = source.choice((0, 0, 1, 2))
    f["transposed"] = int(source.random() < 0.4)
    f |= {f"t{n}_format": source.randint(0, 2) for n in range(TENSORS)} | {"out_format": 1}
    if f["transposed"]:
        f |= {"count2": source.choice((15, 16, 17, 35)), "count4": 1, "count3": 1}
    lanes = VECTOR << f["vectors"]
    f["group_channels"] = source.randint(1, lanes)
    f["channels"] = f["count5"] * f["group_channels"] - source.randrange(f["group_channels"])
    positions = int(np.prod([f[f"count{n}"] for n in range(5)]))
    f["period"] = source.choice([n for n in range(1, positions + 1) if positions % n == 0])
    f["a_positions"] = source.randint(1, f["period"])
    f["b_positions"] = source.randint(1, f["period"])
    f["segment"] = source.randint(1, positions)
    for stream in STREAMS:
        f[f"{stream}_addr"] = 64 * source.randint(0, 1 << 10)
        for part in ("first", "vector", *(f"step{n}" for n in range(LOOPS))):
            f[f"{stream}_{part}"] = 64 * source.randint(-99, 99)
        f[f"{stream}_step{source.randrange(8)}"] = source.choice((-(1 << 31), (1 << 31) - 64))
    for axis in AXES:
        f[f"{axis}_limit"], f[f"{axis}_first"] = source.randint(0, 9), source.randint(-3, 9)
        f |= {f"{axis}_step{n}": source.choice((0, 0, 1, -2, 3)) for n in range(LOOPS)}
    return f


def unpacked(f: dict[str, int]):
    """Return the fields of a whole record."""
    return encode_fields(ENCODE_DESCRIPTOR.pack(**f).reshape(-1)[0])


def walk_fields(d) -> list[dict[str, int]]:
    """Return all that a walk must be told by `WALK_FIELD`."""
    found = [
        {"kind": COUNTS, "number": 0, "row": loop, "value": field_of(d, "count", loop)}
        for loop in range(LOOPS)
    ]
    for kind, names in ((ADDRESSES, STREAMS), (COORDINATES, AXES)):
        for number, name in enumerate(names):
            steps = [field_of(d, name, "_step", loop) for loop in range(LOOPS)]
            within = steps[2]
            if kind == ADDRESSES and name.startswith("t"):
                # integers have no transposed tensors: a step of loop 2 is always whole
                within = {0: 0, 1: 2, 2: 4}.get(field_of(d, name, "_format"), within)
                steps[2] -= d.transposed * (VECTOR - 1) * within
            start = field_of(d, name, "_first")
            vector = 0
            if kind == ADDRESSES:
                start += field_of(d, name, "_addr")
                vector = field_of(d, name, "_vector")
            rows = dict(enumerate([vector, *steps])) | {START: start, WITHIN: within}
            found += [
                {"kind": kind, "number": number, "row": row, "value": value % (1 << SUM_WIDTH)}
                for row, value in rows.items()
            ]
    return found


def _starts(walk: Walk, d, stream: str, group: int) -> np.ndarray:
    """Return bytes to the vectors of a group, those of blocks as they lie."""
    found = walk.vectors_of(stream, group)
    if d.transposed and stream.startswith("t"):
        size = {0: 0, 1: 2, 2: 4}[field_of(d, stream, "_format")]
        step = field_of(d, stream, "_step", 2)
        blocks, inside = np.divmod(walk.inner[2], VECTOR)
        found = found + (blocks * step + inside * size - walk.inner[2] * step)[:, None]
    return found


def expected_places(d, addr_width: int) -> list[dict[str, object]]:
    """Return what the walk must say of each vector."""
    walk = Walk(d._replace(t0_strips=0), np.zeros(0, dtype=np.uint8))
    found = []
    for group in range(walk.groups):
        there = walk.there(group).reshape(walk.positions, walk.vectors, VECTOR)
        starts = [field_of(d, s, "_addr") + _starts(walk, d, s, group) for s in STREAMS]
        for position in range(walk.positions):
            round_ends = (position + 1) % d.period == 0
            ends_group = position + 1 == walk.positions
            for vector in range(walk.vectors):
                addrs = [int(one[position, vector]) for one in starts]
                lanes = there[position, vector]
                found.append({
                    "addrs": [a if 0 <= a >> addr_width < 1 else (1 << addr_width) - 1
                              for a in addrs],
                    "there": sum(1 << lane for lane in range(VECTOR) if lanes[lane]),
                    "vector": vector,
                    "column": int(walk.outer[0, group]),
                    "marks": {
                        "begins_rows": int(position == 0),
                        "begins_segment": int(position % d.segment == 0),
                        "ends_segment": int(ends_group or (position + 1) % d.segment == 0),
                        "ends_strip_a": int(
                            round_ends or (position % d.period + 1) % d.a_positions == 0
                        ),
                        "ends_strip_b": int(
                            round_ends or (position % d.period + 1) % d.b_positions == 0
                        ),
                        "ends_group": int(ends_group),
                        "ends": int(
                            ends_group and group + 1 == walk.groups and vector + 1 == walk.vectors
                        ),
                    },
                })  # fmt: skip
    return found
