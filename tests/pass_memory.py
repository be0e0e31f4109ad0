"""Passes in memory: strips packed, tables, descriptors and results laid out, in plain Python.

Nothing here comes from the lowering, the emulator or the hardware.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gscn.array import ArrayConfig
from gscn.formats import NUMBER_FORMATS
from gscn.passes import DESCRIPTOR_BYTES, PASS_DESCRIPTOR, Mode

MEMORY_GRAIN = 1024
"""Memory ends at a multiple of this, so that no burst leaves it."""


@dataclass(kw_only=True, slots=True)
class RandomPass:
    """A pass, as numbers and not as bytes."""

    fields: dict[str, int]
    """Of its descriptor; what is missing is 0."""
    stationary: list[list[np.ndarray]]
    """By group and strip: codes (outer, mid, inner, channels)."""
    streamed: list[list[np.ndarray]]
    """By group and strip, sample by sample: codes (rows, columns, channels)."""

    def __post_init__(self):
        """Fill up with zeros."""
        self.fields = dict.fromkeys(PASS_DESCRIPTOR.dtype.names, 0) | self.fields


@dataclass(kw_only=True, slots=True)
class Program:
    """A memory image with a list of passes."""

    config: ArrayConfig
    image: np.ndarray
    """uint8; all of memory."""
    descriptors_addr: int
    passes: list[RandomPass]

    @property
    def count(self) -> int:
        """Number of passes."""
        return len(self.passes)

    @property
    def descriptor_count(self) -> int:
        """The same, as launches call it."""
        return len(self.passes)

    @property
    def output_ranges(self) -> list[tuple[int, int]]:
        """First byte, and one past the last, that each pass may write."""
        return [(one.fields["out_addr"], one.fields["out_end"]) for one in self.passes]

    @property
    def memory_bytes(self) -> int:
        """Size of memory."""
        return self.image.size


def pack_strip(codes: np.ndarray, narrow: bool) -> list[int]:
    """Return the halfwords of a strip whose codes are (positions, channels)."""
    vectors = codes.reshape(-1, 16)
    halfwords = []
    for first in range(0, len(vectors), 16):
        block = vectors[first : first + 16]
        halfwords.append(sum(1 << i for i, vector in enumerate(block) if vector.any()))
        for vector in block:
            if not vector.any():
                continue
            values = [int(code) for code in vector if code]
            halfwords.append(sum(1 << lane for lane in range(16) if vector[lane]))
            if narrow:
                values += [0] * (len(values) % 2)
                values = [
                    low + 256 * high for low, high in zip(values[::2], values[1::2], strict=True)
                ]
            halfwords += values
    return halfwords


def pack_operand(groups: list[list[np.ndarray]], narrow: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return data (halfwords) and table (strips + 1, groups) of an operand."""
    data: list[int] = []
    table = np.zeros((len(groups[0]) + 1, len(groups)), dtype="<u4")
    for column, strips in enumerate(groups):
        for row, codes in enumerate(strips):
            table[row, column] = len(data)
            data += pack_strip(codes.reshape(-1, codes.shape[-1]), narrow)
        table[-1, column] = len(data)
    return np.array(data, dtype="<u2"), table


def aligned(size: int, grain: int = 64) -> int:
    """Return the least multiple of a grain that is not smaller."""
    return -(-size // grain) * grain


def program_of(config: ArrayConfig, passes: list[RandomPass], seed: int = 0) -> Program:
    """Lay passes out in memory: operands, list of descriptors, results; gaps hold random bytes."""
    noise = np.random.default_rng(seed)
    parts: list[tuple[int, np.ndarray]] = []
    end = 64 * int(noise.integers(1, 4))

    def place(content: np.ndarray) -> int:
        nonlocal end
        addr = end
        parts.append((addr, np.ascontiguousarray(content).reshape(-1).view(np.uint8)))
        end = aligned(addr + content.nbytes) + 64 * int(noise.integers(0, 2))
        return addr

    for one in passes:
        narrow = value_width(config, one) == 8
        for prefix, groups in (("s", one.stationary), ("t", one.streamed)):
            data, table = pack_operand(groups, narrow)
            one.fields[f"{prefix}_halfwords"] = data.size
            one.fields[f"{prefix}_data"] = place(data)
            one.fields[f"{prefix}_table"] = place(table)
    descriptors_addr = end
    end += DESCRIPTOR_BYTES * len(passes)
    for one in passes:
        one.fields["out_addr"] = aligned(end)
        end = one.fields["out_addr"] + extent(one.fields)
        one.fields["out_end"] = end
    image = noise.integers(0, 256, aligned(end + 64, MEMORY_GRAIN), dtype=np.uint8)
    for number, one in enumerate(passes):
        content = PASS_DESCRIPTOR.pack(1, **one.fields).view(np.uint8)
        parts.append((descriptors_addr + DESCRIPTOR_BYTES * number, content))
    for addr, content in parts:
        image[addr : addr + content.size] = content
    return Program(config=config, image=image, descriptors_addr=descriptors_addr, passes=passes)


def result_bytes(fields: dict[str, int]) -> int:
    """Return the bytes of a result."""
    return (2, 4, 8, 2)[fields["out_format"]]


def extent(f: dict[str, int]) -> int:
    """Return the bytes from the first result of a pass to the last."""
    steps = (
        (("t_tiles", "t_tile_bytes"),)
        if f["mode"] == Mode.CORRELATE
        else (("samples", "sample_bytes"), ("rows", "row_bytes"), ("cols", "pixel_bytes"))
    )
    steps = (("s_tiles", "s_tile_bytes"), *steps)
    return sum((f[count] - 1) * f[step] for count, step in steps) + f["run"] * result_bytes(f)


def value_width(config: ArrayConfig, one: RandomPass) -> int:
    """Return the bits of an operand."""
    return (NUMBER_FORMATS[one.fields["number_format"]] or config.format).width


def kernel_pass(weights: np.ndarray, streamed: np.ndarray, **changes: int) -> RandomPass:
    """Return a pass in kernel mode of one chunk, one strip, one sample and one tile of results.

    Parameters
    ----------
    weights
        Codes (channels, tap rows, tap columns, 16).
    streamed
        Codes (rows, columns, 16).
    **changes
        Fields that differ. Results are as many as pixels of the stream, in 32 bits.
    """
    channels, taps_y, taps_x, run = weights.shape
    rows, cols, _ = streamed.shape
    fields = {
        "mode": Mode.KERNEL, "out_format": 1, "team": 1, "run": run,
        "s_tiles": 1, "s_groups": 1, "s_chunks": 1,
        "s_outer": channels, "s_outer_last": channels, "s_mid": taps_y, "s_inner": taps_x,
        "s_keys": channels * taps_y * taps_x, "row_keys": taps_x, "lane_step": taps_y * taps_x,
        "s_offset_mid": run * cols, "s_offset_inner": run,
        "x_step": run, "y_step": run * cols, "plane": run * cols * rows,
        "t_tiles": 1, "t_groups": 1, "t_strips": 1, "t_rows": rows, "t_rows_last": rows,
        "t_width": cols, "t_step": 1, "taps_y": taps_y, "taps_x": taps_x,
        "samples": 1, "tile_samples": 1, "rows": rows, "cols": cols,
        "tile_rows": rows, "tile_cols": cols, "strips_after": 1,
        "pixel_bytes": 4 * run, "row_bytes": 4 * run * cols, "sample_bytes": 4 * run * cols * rows,
    }  # fmt: skip
    return RandomPass(fields=fields | changes, stationary=[[weights]], streamed=[[streamed]])


def correlate_pass(
    stationary: list[np.ndarray], streamed: list[np.ndarray], taps: tuple[int, int], **changes: int
) -> RandomPass:
    """Return a pass in correlate mode of one sample and one tile of 16 by 16 channels.

    Parameters
    ----------
    stationary, streamed
        Strips: codes (rows, columns, 16).
    taps
        Tap rows and columns.
    **changes
        Fields that differ. A strip of the stream needs the chunk of its number.
    """
    outer, inner, lanes = stationary[0].shape
    rows, cols, _ = streamed[0].shape
    run = 16 * taps[0] * taps[1] * lanes
    fields = {
        "mode": Mode.CORRELATE, "out_format": 1, "team": 1, "run": run,
        "s_tiles": 1, "s_groups": 1, "s_chunks": len(stationary), "s_outer": outer, "s_mid": 1,
        "s_outer_last": stationary[-1].shape[0], "s_inner": inner, "s_keys": outer * inner,
        "row_keys": inner, "s_offset_inner": lanes, "x_step": -lanes,
        "row_step": lanes * taps[1], "lane_step": lanes * taps[0] * taps[1],
        "t_tiles": 1, "t_groups": 1, "t_strips": len(streamed), "t_rows": rows,
        "t_rows_last": streamed[-1].shape[0], "t_width": cols, "t_step": 1,
        "taps_y": taps[0], "taps_x": taps[1], "samples": 1, "tile_samples": 1,
        "rows": (len(stationary) - 1) * outer + stationary[-1].shape[0], "cols": inner,
    }  # fmt: skip
    return RandomPass(
        fields=fields | changes,
        stationary=[[codes[:, None] for codes in stationary]],
        streamed=[list(streamed)],
    )
