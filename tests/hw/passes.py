# amaranth: UnusedElaboratable=no
"""Passes in plain Python: operands in memory, jobs, and the law of what they sum up."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field

import numpy as np

from gscn.array import ArrayConfig
from gscn.passes import PASS_DESCRIPTOR, VECTOR, Mode
from tests.hw.memory import Memory
from tests.hw.strips import halfwords

PASS_FIELDS = [field.name for field in PASS_DESCRIPTOR.fields]


def show_pass(view, **fields):
    """Return a testbench that sets fields of a pass; the others are 0."""
    values = dict.fromkeys(PASS_FIELDS, 0) | fields

    async def testbench(ctx):
        ctx.set(view, values)

    return testbench


def sparse(rng: random.Random, shape: tuple[int, ...], density: float, *, narrow: bool):
    """Return random integers, a share of them not 0."""
    draw = np.random.default_rng(rng.getrandbits(32))
    top = 127 if narrow else 32767
    values = draw.integers(1, top, shape) * draw.choice([-1, 1], shape)
    return values * (draw.random(shape) < density)


def put_operand(image: Memory, groups: list[list[np.ndarray]], *, narrow: bool):
    """Store strips (positions, vectors, 16) of each group, and their table.

    Returns
    -------
    tuple
        Address of the data, of the table, and halfwords.
    """
    words, columns = [], []
    for strips in groups:
        column = []
        for strip in strips:
            column.append(len(words))
            vectors = strip.reshape(-1, VECTOR).tolist()
            words += halfwords(vectors, narrow=narrow)
        columns.append([*column, len(words)])
    count = len(words)
    words += [0] * (-count % 4)
    data = image.store(
        [sum(words[n + k] << 16 * k for k in range(4)) for n in range(0, len(words), 4)]
    )
    entries = [entry for row in zip(*columns, strict=True) for entry in row]
    entries += [0] * (len(entries) % 2)
    table = image.store([entries[n] | entries[n + 1] << 32 for n in range(0, len(entries), 2)])
    image.reserve(64)
    return data, table, count


def padded(array: np.ndarray, channels: int) -> np.ndarray:
    """Fill the last axis up with zeros to a multiple."""
    more = -array.shape[-1] % channels
    return np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, more)])


def bands(maps: np.ndarray, rows: int, channels: int) -> list[list[np.ndarray]]:
    """Return the strips of maps (samples, rows, columns, channels), by group of channels."""
    maps = padded(maps, channels)
    return [
        [
            sample[first : first + rows, :, group : group + channels]
            for sample in maps
            for first in range(0, maps.shape[1], rows)
        ]
        for group in range(0, maps.shape[3], channels)
    ]


@dataclass(kw_only=True, slots=True)
class Pass:
    """A pass, its jobs, and what each of its jobs adds to the accumulators."""

    config: ArrayConfig
    fields: dict[str, int]
    stationary: np.ndarray
    """Kernel: (c, r, s, k); correlate: (n, row, column, k)."""
    streamed: np.ndarray
    """(n, row, column, c)."""
    jobs: list[dict[str, int]] = field(default_factory=list)

    def add_up(self, job: dict[str, int], sums: np.ndarray) -> None:
        """Add what a job does by the law."""
        d = self.fields
        if not job["streams"]:
            return
        channels = VECTOR << d["t_vectors"]
        kernel = d["mode"] == Mode.KERNEL
        group, last_group = job["t_group"], job["t_group"] + 1
        strips = range(d["t_strips"])
        if kernel:
            group, last_group = 0, d["t_groups"]
            beyond = job["strip"] + d["strips_before"] + d["strips_after"]
            strips = range(max(0, job["strip"]), min(d["t_strips"], beyond))
        elif d["unit_strips"]:
            strips = strips[job["strip"] : job["strip"] + d["unit_strips"]]
        first, end = channels * group, channels * last_group
        if not kernel:
            first += job["lane0"]
            end = first + (channels >> d["t_split"])
        for n in range(job["first_sample"], job["first_sample"] + job["samples"]):
            for strip in strips:
                low = strip * d["t_rows"]
                block = self.streamed[n, low : low + d["t_rows"], :, first:end]
                for row, x, c in zip(*np.nonzero(block), strict=True):
                    value = int(block[row, x, c])
                    relative = strip - (job["strip"] if kernel else 0)
                    y = d["first_row"] + (relative * d["t_rows"] + int(row)) * d["t_step"]
                    place = (n, int(c), y, d["first_col"] + int(x) * d["t_step"])
                    self.add_word(job, first, place, value, sums)

    def add_word(self, job, first, place, value, sums):
        """Add the products of one word."""
        d = self.fields
        kernel = d["mode"] == Mode.KERNEL
        outputs = VECTOR << d["s_vectors"]
        k0 = job["s_tile"] * outputs
        n, c, row, column = place
        for r in range(d["taps_y"]):
            for s in range(d["taps_x"]):
                y, x = row + r, column + s
                if not (0 <= y < job["rows"] and job["x0"] <= x < job["x1"]):
                    continue
                if kernel:
                    entries = self.stationary[first + c, r, s, k0 : k0 + outputs]
                    cell = (n - job["first_sample"]) * d["plane"] + y * d["y_step"]
                    cell += (x - job["x0"]) * d["x_step"]
                else:
                    entries = self.stationary[n, y, x, k0 : k0 + outputs]
                    cell = c * d["lane_step"] + r * d["row_step"] + s * d["s_offset_inner"]
                for k in np.nonzero(entries)[0]:
                    sums[cell + int(k)] += value * int(entries[k])


def last_of(total: int, step: int) -> int:
    """Return the size of the last part."""
    return (total - 1) % step + 1


def random_kernel(rng: random.Random, config: ArrayConfig, image: Memory, **wanted) -> Pass:
    """Return a random pass of kernel mode and its jobs, tile by tile; operands are stored."""
    narrow = config.operand_format == "int8"
    choose = {
        "samples": rng.randint(1, 3), "contracted": rng.choice([3, 16, 20, 40]),
        "outputs": rng.choice([5, 16, 24]),
        "taps_y": rng.randint(1, 3), "taps_x": rng.randint(1, 3),
        "height": rng.randint(1, 6), "width": rng.randint(1, 9), "s_vectors": 0,
        "t_vectors": rng.randint(0, 1), "t_rows": rng.randint(1, 3), "t_step": rng.randint(1, 2),
        "density": rng.choice([0.05, 0.2, 0.5]), "weights": rng.choice([0.1, 0.3]),
        "cuts_columns": rng.random() < 0.5, "whole_samples": rng.random() < 0.4,
    } | wanted  # fmt: skip
    w = choose
    channels, outputs = VECTOR << w["t_vectors"], VECTOR << w["s_vectors"]
    kernels = sparse(
        rng, (w["contracted"], w["taps_y"], w["taps_x"], w["outputs"]), w["weights"], narrow=narrow
    )
    maps = sparse(
        rng, (w["samples"], w["height"], w["width"], w["contracted"]), w["density"], narrow=narrow
    )
    full = padded(kernels, outputs)
    s_groups = [
        [
            full[first : first + channels, :, :, k : k + outputs]
            for first in range(0, w["contracted"], channels)
        ]
        for k in range(0, full.shape[3], outputs)
    ]  # fmt: skip
    t_groups = bands(maps, w["t_rows"], channels)
    s_data, s_table, s_halfwords = put_operand(image, s_groups, narrow=narrow)
    t_data, t_table, t_halfwords = put_operand(image, t_groups, narrow=narrow)
    t_strips = -(-w["height"] // w["t_rows"])
    tile_strips, before, after = rng.randint(1, 2), rng.randint(0, 1), rng.randint(1, 3)
    result_cols = w["width"] * w["t_step"] + rng.randint(0, 2)
    tile_cols = rng.randint(1, result_cols) if w["cuts_columns"] else result_cols
    most_rows = max(1, config.acc_depth // (outputs * tile_cols))
    tile_samples = 1
    if w["whole_samples"]:
        before, after, tile_strips = 0, t_strips, t_strips
    tile_rows = min(tile_strips * w["t_rows"] * w["t_step"], most_rows)
    if w["whole_samples"]:
        tile_samples = max(1, min(w["samples"], most_rows // tile_rows))
    tile_cols = max(1, min(tile_cols, config.acc_depth // outputs))
    first_row = -rng.randint(0, w["taps_y"]) - before * w["t_rows"] * w["t_step"]
    fields = {
        "s_data": s_data, "s_table": s_table, "s_halfwords": s_halfwords,
        "t_data": t_data, "t_table": t_table, "t_halfwords": t_halfwords,
        "mode": Mode.KERNEL, "s_tiles": len(s_groups), "s_groups": len(s_groups),
        "s_chunks": len(s_groups[0]), "s_vectors": w["s_vectors"], "s_mid": w["taps_y"],
        "s_outer": min(channels, w["contracted"]),
        "s_outer_last": last_of(w["contracted"], channels),
        "s_inner": w["taps_x"],
        "s_keys": min(channels, w["contracted"]) * w["taps_y"] * w["taps_x"],
        "s_offset_mid": outputs * tile_cols, "s_offset_inner": outputs,
        "t_tiles": 1, "t_groups": len(t_groups), "t_vectors": w["t_vectors"],
        "t_strips": t_strips, "t_rows": w["t_rows"],
        "t_rows_last": last_of(w["height"], w["t_rows"]),
        "t_width": w["width"], "t_step": w["t_step"], "taps_y": w["taps_y"], "taps_x": w["taps_x"],
        "first_row": first_row, "first_col": -rng.randint(0, w["taps_x"]),
        "lane_step": w["taps_y"] * w["taps_x"], "x_step": outputs, "y_step": outputs * tile_cols,
        "row_keys": w["taps_x"], "plane": outputs * tile_cols * tile_rows,
        "samples": w["samples"], "tile_samples": tile_samples,
        "strips_before": before, "strips_after": after, "tile_strips": tile_strips,
        "unit_strips": 0,
    }  # fmt: skip
    made = Pass(config=config, fields=fields, stationary=kernels, streamed=maps)
    made.jobs = kernel_jobs(rng, fields, {"rows": tile_rows, "cols": tile_cols}, result_cols)
    return made


def kernel_jobs(rng, d, tile, result_cols) -> list[dict[str, int]]:
    """Return the jobs of a pass of kernel mode, tile by tile; some do not drain."""
    jobs = []
    walk = itertools.product(
        range(d["s_tiles"]),
        range(0, d["samples"], d["tile_samples"]),
        range(-(-d["t_strips"] // d["tile_strips"]) + 1),
        range(0, result_cols, tile["cols"]),
    )
    for s_tile, first_sample, band, x0 in walk:
        strip = band * d["tile_strips"] - d["strips_before"]
        beyond = strip + d["strips_before"] + d["strips_after"]
        streams = beyond > 0 and strip < d["t_strips"]
        jobs.append(
            {
                "s_tile": s_tile, "first_sample": first_sample,
                "samples": min(d["tile_samples"], d["samples"] - first_sample),
                "strip": strip, "rows": tile["rows"], "x0": x0,
                "x1": min(x0 + tile["cols"], result_cols),
                "streams": int(streams), "drains": int(rng.random() < 0.8 or not streams),
                "t_group": 0, "lane0": 0,
            }
        )  # fmt: skip
    return jobs


def random_correlate(rng: random.Random, config: ArrayConfig, image: Memory, **wanted) -> Pass:
    """Return a random pass of correlate mode and its jobs, unit by unit; operands are stored.

    Chained unless other is `wanted`.
    """
    narrow = config.operand_format == "int8"
    w = {
        "samples": rng.randint(1, 4), "contracted": rng.choice([5, 16, 40]),
        "outputs": rng.choice([7, 16, 20]),
        "taps_y": rng.randint(1, 3), "taps_x": rng.randint(1, 3),
        "height": rng.randint(1, 6), "width": rng.randint(1, 8), "s_vectors": 0,
        "s_rows": rng.randint(1, 3), "t_vectors": rng.randint(0, 1), "t_rows": rng.randint(1, 3),
        "t_step": rng.randint(1, 2), "density": rng.choice([0.05, 0.2, 0.5]),
        "weights": rng.choice([0.1, 0.3]), "chained": 1,
        "unit_strips": random.Random(repr(rng.getstate())).choice([0, 0, 1, 2, 3]),
    } | wanted  # fmt: skip
    if not w["chained"]:
        w["unit_strips"] = 0
    if w["unit_strips"]:
        w["s_rows"] = w["t_rows"] * w["t_step"]
    channels, outputs = VECTOR << w["t_vectors"], VECTOR << w["s_vectors"]
    map_rows = (w["height"] - 1) * w["t_step"] + w["taps_y"] - rng.randint(0, 1)
    map_rows = max(1, map_rows)
    map_cols = max(1, (w["width"] - 1) * w["t_step"] + w["taps_x"] - rng.randint(0, 2))
    held = sparse(
        rng, (w["samples"], map_rows, map_cols, w["outputs"]), w["weights"], narrow=narrow
    )
    maps = sparse(
        rng, (w["samples"], w["height"], w["width"], w["contracted"]), w["density"], narrow=narrow
    )
    s_groups, t_groups = bands(held, w["s_rows"], outputs), bands(maps, w["t_rows"], channels)
    s_data, s_table, s_halfwords = put_operand(image, s_groups, narrow=narrow)
    t_data, t_table, t_halfwords = put_operand(image, t_groups, narrow=narrow)
    t_strips, s_chunks = -(-w["height"] // w["t_rows"]), -(-map_rows // w["s_rows"])
    t_split = 0
    while (channels >> t_split) * w["taps_y"] * w["taps_x"] * outputs > config.acc_depth:
        t_split += 1
    t_split = min(t_split + rng.randint(0, 1), 4 + w["t_vectors"])
    first_row, first_col = -rng.randint(0, w["taps_y"] - 1), -rng.randint(0, w["taps_x"] - 1)
    ahead = behind = 0
    for p in range(t_strips):
        top = first_row + p * w["t_rows"] * w["t_step"]
        bottom = top + (w["t_rows"] - 1) * w["t_step"] + w["taps_y"] - 1
        ahead = max(ahead, min(bottom, map_rows - 1) // w["s_rows"] - p)
        behind = max(behind, p - max(top, 0) // w["s_rows"])
    ahead = max(ahead, s_chunks - t_strips)  # some strip needs each chunk
    if w["unit_strips"]:
        behind = max(behind, -(first_row // w["s_rows"]), t_strips - s_chunks)
        ahead = max(ahead, -(-(first_row + w["taps_y"] - w["t_step"]) // w["s_rows"]))
    fields = {
        "s_data": s_data, "s_table": s_table, "s_halfwords": s_halfwords,
        "t_data": t_data, "t_table": t_table, "t_halfwords": t_halfwords,
        "mode": Mode.CORRELATE, "s_tiles": len(s_groups), "s_groups": len(s_groups),
        "s_chunks": s_chunks, "s_vectors": w["s_vectors"], "s_mid": 1,
        "s_outer": w["s_rows"] if w["unit_strips"] else min(w["s_rows"], map_rows),
        "s_outer_last": last_of(map_rows, w["s_rows"]),
        "s_inner": map_cols,
        "s_offset_mid": 0, "s_offset_inner": outputs,
        "t_tiles": len(t_groups) << t_split, "t_groups": len(t_groups), "t_vectors": w["t_vectors"],
        "t_split": t_split, "t_strips": t_strips, "t_rows": w["t_rows"],
        "t_rows_last": last_of(w["height"], w["t_rows"]), "t_width": w["width"],
        "t_step": w["t_step"], "taps_y": w["taps_y"], "taps_x": w["taps_x"],
        "ahead": ahead, "behind": behind, "first_row": first_row, "first_col": first_col,
        "lane_step": w["taps_y"] * w["taps_x"] * outputs, "x_step": -outputs,
        "row_keys": map_cols, "row_step": w["taps_x"] * outputs,
        "samples": w["samples"], "rows": map_rows, "cols": map_cols,
        "chained": w["chained"], "unit_strips": w["unit_strips"],
    }  # fmt: skip
    fields["s_keys"] = fields["s_outer"] * map_cols
    made = Pass(config=config, fields=fields, stationary=held, streamed=maps)
    made.jobs = correlate_jobs(rng, fields)
    return made


def correlate_jobs(rng, d) -> list[dict[str, int]]:
    """Return the jobs of some tiles of a pass of correlate mode, unit by unit."""
    jobs = []
    channels, t_split = VECTOR << d["t_vectors"], d["t_split"]
    tiles = [(s, t) for s in range(d["s_tiles"]) for t in range(d["t_tiles"])]
    some = rng.sample(tiles, min(3, len(tiles)))
    for s_tile, t_tile in some if d["chained"] else sorted(some):
        first = strip = 0
        while first < d["samples"]:
            count = rng.randint(1, d["samples"] - first) if d["chained"] else d["samples"]
            if d["unit_strips"]:
                count = 1
            job = {
                "s_tile": s_tile, "t_group": t_tile >> t_split,
                "lane0": (t_tile & ((1 << t_split) - 1)) * (channels >> t_split),
                "first_sample": first, "samples": count, "strip": strip, "rows": d["rows"],
                "x0": 0, "x1": d["cols"], "streams": 1, "drains": 0,
            }  # fmt: skip
            jobs.append(job)
            strip += d["unit_strips"]
            if strip >= d["t_strips"] or strip == 0:
                strip, first = 0, first + count
        if rng.random() < 0.5:
            jobs[-1]["drains"] = 1
        else:
            jobs.append(jobs[-1] | {"streams": 0, "drains": 1, "strip": 0})
    return jobs
