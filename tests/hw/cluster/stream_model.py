"""The stream of a job in plain Python: its strips, what is said of them, and its words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gscn.passes import VECTOR, Mode
from tests.hw.passes import Pass


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamStrip:
    """A strip of a job's stream."""

    group: int
    sample: int
    """Counted from the job's first."""
    number: int
    rows: int
    ends_sample: bool
    ends_piece: bool
    ends_job: bool
    need: int
    finished: int
    marks: bool
    base: int
    sample_offset: int


def strips_of(made: Pass, job: dict[str, int], chunk: int, base: int) -> list[StreamStrip]:
    """Return the strips of a job whose first chunk is `chunk`, at key `base`."""
    d = made.fields
    kernel = d["mode"] == Mode.KERNEL
    first, end, groups = 0, d["t_strips"], [job["t_group"]]
    if kernel:
        first = max(0, job["strip"])
        end = min(end, job["strip"] + d["strips_before"] + d["strips_after"])
        groups = list(range(d["t_groups"]))
    elif d["unit_strips"]:
        first, end = job["strip"], min(end, job["strip"] + d["unit_strips"])
        chunk -= max(0, first - d["behind"])
    found = []
    for group in groups:
        for sample in range(job["samples"]):
            for number in range(first, end):
                ends_sample = number == end - 1
                ends_piece = ends_sample and sample == job["samples"] - 1
                if kernel:
                    own = chunk + group
                    need = finished = own + 1
                    marks, key = ends_piece, base + group * d["s_keys"]
                else:
                    own = chunk + sample * d["s_chunks"]
                    need = own + min(number + d["ahead"] + 1, d["s_chunks"])
                    done = max(0, number - d["behind"] + 1)
                    finished = need if ends_sample else own + min(done, d["s_chunks"])
                    marks = ends_sample or done > 0
                    key = base + sample * d["s_chunks"] * d["s_keys"]
                found.append(
                    StreamStrip(
                        group=group, sample=sample, number=number,
                        rows=d["t_rows_last" if number == d["t_strips"] - 1 else "t_rows"],
                        ends_sample=ends_sample, ends_piece=ends_piece,
                        ends_job=ends_piece and group == groups[-1],
                        need=need % (1 << 16), finished=finished % (1 << 16), marks=marks,
                        base=key % made.config.directory_depth,
                        sample_offset=(sample * d["plane"] if kernel else 0)
                        % (1 << made.config.index_width),
                    )
                )  # fmt: skip
    return found


def dense(made: Pass, job: dict[str, int], strip: StreamStrip) -> np.ndarray:
    """Return a strip's values (rows, columns, channels of its group)."""
    d = made.fields
    channels = VECTOR << d["t_vectors"]
    low = strip.number * d["t_rows"]
    block = made.streamed[job["first_sample"] + strip.sample, low : low + strip.rows]
    return block[:, :, strip.group * channels : (strip.group + 1) * channels]


def wanted(made: Pass, job: dict[str, int], block: np.ndarray) -> np.ndarray:
    """Return the values of a strip that an expander makes items of; zeros for other channels."""
    d = made.fields
    if d["mode"] == Mode.KERNEL:
        return block
    channels = (VECTOR << d["t_vectors"]) >> d["t_split"]
    kept = np.zeros_like(block)
    own = slice(job["lane0"], job["lane0"] + channels)
    kept[:, :, own] = block[:, :, own]
    return kept


def items_of(block: np.ndarray, rng) -> list[dict]:
    """Return the items of a strip, with some that say only that positions are passed."""
    items = []
    for row, line in enumerate(block):
        at, own = 0, []
        for x, c in zip(*np.nonzero(line), strict=True):
            while x - at > 16 or (x > at and rng.random() < 0.3):
                step = rng.randint(1, min(16, x - at))
                own.append({"step": step, "count": 0})
                at += step
            own.append(
                {
                    "step": int(x - at), "count": 1, "vector": int(c) // VECTOR,
                    "lanes": [int(c) % VECTOR], "values": [int(line[x, c])],
                }
            )  # fmt: skip
            at = x
        if not own or rng.random() < 0.5:
            own.append({"step": 0, "count": 0})
        own[-1] |= {"ends_position": 1, "ends_row": 1, "ends_strip": int(row == len(block) - 1)}
        items += own
    return items


def words_of(made: Pass, job: dict[str, int], strip: StreamStrip) -> list[dict]:
    """Return the words of a strip."""
    d, config = made.fields, made.config
    kernel = d["mode"] == Mode.KERNEL
    block, found = dense(made, job, strip), []
    relative = strip.number - (job["strip"] if kernel else 0)
    for row, x, c in zip(*np.nonzero(block), strict=True):
        y = d["first_row"] + (relative * d["t_rows"] + int(row)) * d["t_step"]
        column = d["first_col"] + int(x) * d["t_step"]
        channel = int(c)
        if not kernel:
            channel -= job["lane0"]
            if not 0 <= channel < (VECTOR << d["t_vectors"]) >> d["t_split"]:
                continue
        rows = [r for r in range(d["taps_y"]) if 0 <= y + r < job["rows"]]
        taps = [s for s in range(d["taps_x"]) if job["x0"] <= column + s < job["x1"]]
        if not rows or not taps:
            continue
        if kernel:
            key = channel * d["lane_step"] + rows[0] * d["row_keys"] + taps[0]
            offset = strip.sample_offset + y * d["y_step"] + (column - job["x0"]) * d["x_step"]
        else:
            skipped = max(0, job["strip"] - d["behind"]) * d["s_outer"]
            key = (y - skipped + rows[0]) * d["row_keys"] + column + taps[0]
            offset = channel * d["lane_step"] + column * d["x_step"] + rows[0] * d["row_step"]
        span, more = len(taps), len(rows) - 1
        if kernel and len(taps) == d["taps_x"] == d["row_keys"]:
            span, more = len(taps) * len(rows), 0
        found.append(
            {
                "value": int(block[row, x, c]),
                "key": (strip.base + key) % config.directory_depth,
                "span": span,
                "rows": more,
                "offset": offset % (1 << config.index_width),
            }
        )
    return found
