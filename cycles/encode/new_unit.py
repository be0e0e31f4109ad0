"""The cycle model's state when a pass begins, of its record."""

from __future__ import annotations

import numpy as np

from gscn.array import ArrayConfig
from gscn.cycles.encode.fields import groups_of, has, vectors_of
from gscn.cycles.encode.state import (
    BITS,
    DENSE,
    MASK,
    MASK_LINES,
    SECOND,
    STRIP_LINES,
    STRIPS,
    SUMS,
    TABLE,
    TABLE_LINES,
    UNIT,
)
from gscn.cycles.encode.transposer import SLOTS
from gscn.encode import LOOPS, STREAMS, TENSOR_FORMATS, TENSORS, Adapt, Reduce
from gscn.formats import FLOAT32
from gscn.passes import VECTOR
from gscn.port import ALIGNMENT_BYTES

WIDE = TENSOR_FORMATS.index(FLOAT32)
_DENSE_DEPTH, _RUN_DEPTH = 4, 2
"""Of gatherers."""
_LINE_WORDS = {BITS: 32, SUMS: 2}
"""Words of a line: bits of a vector, or sums of a lane."""


def set_fields(s: np.void, f: dict[str, int], config: ArrayConfig) -> None:
    """Note what a record says, in `SETTINGS`."""
    for name in (
        "masked", "transposed", "product", "vectors", "segment", "period", "a_positions",
        "b_positions", "channels", "group_channels", "y_limit", "x_limit", "rows_addr",
        "t0_table", "t0_addr", "t0_end", "t0_lane", "a_table", "b_table", "second_addr",
    ):  # fmt: skip
        s[name] = f[name]
    for part in ("dense", "second", "bits", "sums", "a", "b"):
        s[f"has_{part}"] = has(f, part)
    s["has"][: SUMS + 1] = [s[f"has_{part}"] for part in ("dense", "second", "bits", "sums")]
    s["packed"] = f["t0_strips"] and f["t0_format"]
    s["present"] = [f[f"t{n}_format"] != 0 for n in range(TENSORS)]
    s["wide"] = [f[f"t{n}_format"] == WIDE for n in range(TENSORS)]
    s["counts"] = [f[f"count{loop}"] for loop in range(LOOPS)]
    s["out_wide"] = f["out_format"] == WIDE
    s["sums_dense"] = f["reduce"] == Reduce.SUM
    s["maximum"] = f["reduce"] == Reduce.MAXIMUM
    s["sums"] = s["has_sums"] or s["sums_dense"]
    s["has_dot"] = s["has_sums"] and f["dot"] != 0
    s["dot_wide"] = f["dot"] != 0 and f[f"t{f['dot'] - 1}_format"] == WIDE
    s["idle"] = not s["has_second"] and (not s["present"][1] or s["product"])
    s["selects"] = f["adapt"] >= Adapt.SELECT_FIRST
    s["steady"] = f["y_step2"] == 0 and f["x_step2"] == 0
    s["columns"] = groups_of(f)
    s["dense_addr"] = f["dense_addr"] if s["has_dense"] else f["second_addr"]
    s["all_vectors"] = vectors_of(f)
    s["addr_mask"] = (1 << config.addr_width) - 1
    line_beats = ALIGNMENT_BYTES // config.mem_bytes
    s["beats"] = min(config.burst_beats, line_beats)
    s["bursts"] = line_beats // s["beats"]


def set_places(places: np.ndarray, f: dict[str, int], dense_addr: int) -> None:
    """Note where the walk begins, and its steps."""
    for number, stream in enumerate(STREAMS):
        place = places[number]
        place["steps"] = [f[f"{stream}_vector"], *(f[f"{stream}_step{n}"] for n in range(LOOPS))]
        place["within"] = f[f"{stream}_step2"]
        if number < TENSORS and f["transposed"]:
            size = 4 if f[f"t{number}_format"] == WIDE else 2
            place["steps"][3] -= (VECTOR - 1) * size
            place["within"] = size
        first = dense_addr if stream == "dense" else f[f"{stream}_addr"]
        place["at"] = first + f[f"{stream}_first"]
    for number, axis in enumerate("yx", start=len(STREAMS)):
        place = places[number]
        place["steps"] = [0, *(f[f"{axis}_step{n}"] for n in range(LOOPS))]
        place["within"] = f[f"{axis}_step2"]
        place["at"] = f[f"{axis}_first"]


def new_unit(f: dict[str, int], config: ArrayConfig, depth: int) -> np.ndarray:
    """Return `UNIT` (1,) when a pass begins.

    Parameters
    ----------
    f
        Fields of the record.
    config
        Port.
    depth
        Of tensors' readers.
    """
    units = np.zeros(1, UNIT)
    unit = units[0]
    s = unit["settings"]
    set_fields(s, f, config)
    set_places(unit["places"], f, int(s["dense_addr"]))
    unit["walk"]["left"] = [(1 << f["vectors"]) - 1, *(f[f"count{n}"] - 1 for n in range(LOOPS))]
    readers = unit["readers"]
    readers["before"] = -1
    readers["room"] = depth
    for number, room in ((MASK, MASK_LINES), (TABLE, TABLE_LINES), (STRIPS, STRIP_LINES)):
        readers["room"][number] = room
    unit["arbiter"]["below"] = unit["writer"]["below"] = -1
    if f["transposed"]:
        row = f["count0"] * f["count1"] << f["vectors"]
        unit["transposer"]["last"] = row - 1
        unit["transposer"]["log"] = max(bits for bits in range(5) if row << bits <= SLOTS)
    gatherers = unit["gatherers"]
    gatherers["depth"] = _RUN_DEPTH
    gatherers["depth"][DENSE : SECOND + 1] = _DENSE_DEPTH
    gatherers["words"] = 1
    for number, words in _LINE_WORDS.items():
        gatherers["words"][number] = words
    unit["packers"]["header"] = 1
    return units
