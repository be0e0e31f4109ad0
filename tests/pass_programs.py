"""Random passes that obey their contract.

Nothing here comes from the lowering, the emulator or the hardware. `random_program` makes the same
program from the same arguments; `tests.pass_law.expect` says what it does.
"""

from __future__ import annotations

import dataclasses
import random

import numpy as np

from gscn.array import ARRAYS, ArrayConfig
from gscn.formats import NUMBER_FORMATS
from gscn.passes import Mode
from tests.pass_memory import Program, RandomPass, aligned, program_of, result_bytes

ALL_FLOATS = "bf16,fp16,fp8_e4m3,fp8_e5m2"
TINY = dataclasses.replace(ARRAYS["tiny"], float_formats=ALL_FLOATS)
"""The smallest array, with every number format."""


class _Draw:
    """Choices for one pass."""

    def __init__(self, config: ArrayConfig, seed: str, size: int):
        self.config, self.size = config, size
        self.rng = random.Random(seed)
        self.numpy = np.random.default_rng(self.rng.getrandbits(64))
        self.fmt = None
        self.high = 0
        """Exponent field of the largest ordinary numbers."""

    def number(self, low: int, high: int) -> int:
        return self.rng.randint(low, max(low, high))

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def first(self, taps: int) -> int:
        """Return a first row or column: mostly one at which the stream meets something."""
        return self.number(-taps - 1, 2) if self.chance(0.1) else self.number(1 - taps, 0)

    def density(self, *choices: float) -> float:
        return max(self.rng.choice(choices), 0.0 if self.size else 0.3)

    def format_fields(self, mode: Mode, number_format: int | None) -> dict[str, int]:
        known = [0, *(NUMBER_FORMATS.index(fmt) for fmt in self.config.floats)]
        number = self.rng.choice(known) if number_format is None else number_format
        self.fmt = NUMBER_FORMATS[number]
        out_format = self.rng.choice([0, 1, 2] if self.fmt is None else [0, 1, 2, 3])
        fields = {"mode": mode, "number_format": number, "out_format": out_format}
        if self.fmt is None:
            if out_format != 2:
                fields["shift"] = self.number(0, self.config.format.width + 4)
            return fields
        self.high = min(self.fmt.top_exponent, self.fmt.bias + self.number(0, 6))
        top = 2 * self.high + self.number(-1, 8)
        fields["window"] = min(max(top, 0), 1023)
        return fields

    def codes(self, shape: tuple[int, ...], density: float) -> np.ndarray:
        """Return random codes, most of them 0."""
        keep = self.numpy.random(shape) < density
        fmt = self.fmt
        if fmt is None:
            width = self.config.format.width
            bits = self.number(2, width)
            values = self.numpy.integers(-(1 << bits - 1), 1 << bits - 1, shape)
            if self.chance(0.1):
                values[self.numpy.random(shape) < 0.5] = -(1 << width - 1)
            return np.where(keep, values & ((1 << width) - 1), 0)
        low = max(0, self.high - self.number(1, 10))
        exponents = self.numpy.integers(low, self.high + 1, shape)
        fraction = self.numpy.integers(0, 1 << fmt.mantissa_width, shape)
        sign = self.numpy.integers(0, 2, shape)
        codes = (sign << fmt.width - 1) + (exponents << fmt.mantissa_width) + fraction
        if self.chance(0.2):  # whatever there is: infinity, NaN, negative zero
            anything = self.numpy.integers(0, 1 << fmt.width, shape)
            codes = np.where(self.numpy.random(shape) < 0.02, anything, codes)
        return np.where(keep, codes, 0)


def fits(config: ArrayConfig, one: RandomPass) -> bool:
    """Say whether a pass's chunks slide through the window."""
    f = one.fields
    for strips in one.stationary[: f["s_tiles"]]:
        entries = [int(np.count_nonzero(codes)) for codes in strips]
        if max(entries) >= config.stationary_depth:
            return False
        if f["mode"] == Mode.KERNEL:
            continue
        for sample in range(f["samples"]):
            held = entries[sample * f["s_chunks"] :][: f["s_chunks"]]
            for strip in range(f["t_strips"]):
                needed = held[max(strip - f["behind"], 0) : strip + f["ahead"] + 1]
                if sum(needed) >= config.stationary_depth:
                    return False
                if len(needed) * f["s_keys"] >= config.directory_depth:
                    return False
                if len(needed) > config.chunks_depth:
                    return False
    return True


def _thin(draw: _Draw, one: RandomPass) -> None:
    """Take stationary entries away until they fit."""
    while not fits(draw.config, one):
        for strips in one.stationary:
            for codes in strips:
                codes[draw.numpy.random(codes.shape) < 0.3] = 0


def _nest(draw: _Draw, innermost: int, grain: int, counts: dict[str, int]) -> dict[str, int]:
    """Return steps that keep all results apart, those of `counts` from the innermost outwards."""
    steps, size = {}, innermost
    for name, count in counts.items():
        steps[name] = aligned(size, grain) + grain * draw.number(0, draw.chance(0.2))
        size = (count - 1) * steps[name] + size
    return steps


def random_kernel(config: ArrayConfig, seed: str, size: int, number_format: int | None):
    """Return a random pass in kernel mode."""
    draw = _Draw(config, seed, size)
    f = draw.format_fields(Mode.KERNEL, number_format)
    f["s_vectors"] = draw.number(0, 1) if config.acc_depth >= 64 else 0
    f["t_vectors"] = draw.number(0, 1)
    f["run"] = run = 16 << f["s_vectors"]
    while True:
        f["taps_y"], f["taps_x"] = draw.number(1, 3), draw.number(1, 3)
        full = 16 << f["t_vectors"]
        f["s_chunks"] = f["t_groups"] = draw.number(1, 1 + size)
        f["s_outer_last"] = draw.number(1, full)
        many = f["s_chunks"] > 1 or draw.chance(0.5)
        f["s_outer"] = full if many else f["s_outer_last"]
        f["s_keys"] = f["s_outer"] * f["taps_y"] * f["taps_x"]
        if f["s_keys"] < config.directory_depth:
            break
        f["t_vectors"] = 0
    f |= {"s_mid": f["taps_y"], "s_inner": f["taps_x"], "row_keys": f["taps_x"]}
    f["lane_step"] = f["taps_y"] * f["taps_x"]
    f["s_tiles"] = f["s_groups"] = draw.number(1, 1 + size)
    if draw.chance(0.3):
        f["s_groups"] += 1
    f["samples"] = draw.number(1, 1 + size)
    f["t_rows"] = draw.number(1, 2 + size)
    f["t_rows_last"] = draw.number(1, f["t_rows"])
    f["t_strips"], f["t_width"] = draw.number(1, 1 + 2 * size), draw.number(1, 3 + 5 * size)
    f["t_step"] = draw.rng.choice([1, 1, 1, 2, 3])
    height = ((f["t_strips"] - 1) * f["t_rows"] + f["t_rows_last"]) * f["t_step"]
    f["rows"] = max(1, height + draw.number(-2, 2))
    f["cols"] = max(1, f["t_width"] * f["t_step"] + draw.number(-2, 2))
    f["first_col"] = draw.first(f["taps_x"])
    _kernel_tiles(draw, f, run)
    _kernel_results(draw, f)
    density, words = draw.density(0.1, 0.3, 0.6, 1.0), draw.density(0.03, 0.1, 0.3, 0.7)
    across = (f["s_mid"], f["s_inner"], run)
    heights = [f["s_outer"]] * (f["s_chunks"] - 1) + [f["s_outer_last"]]
    stationary = [
        [draw.codes((outer, *across), density) for outer in heights] for _ in range(f["s_groups"])
    ]
    streamed = _streamed(draw, f, words)
    for group, strips in enumerate(streamed):
        for codes in strips:
            codes[:, :, heights[group] :] = 0
    one = RandomPass(fields=f, stationary=stationary, streamed=streamed)
    _thin(draw, one)
    one.fields |= {"team": draw.rng.choice(_divisors(config)), "help": draw.number(0, 3)}
    one.fields["by_rows"] = draw.rng.choice([0, 0, 1, 255])
    return one


def _divisors(config: ArrayConfig) -> list[int]:
    """Return the sizes that a gang can have."""
    return [n for n in range(1, config.clusters + 1) if config.clusters % n == 0]


def _kernel_tiles(draw: _Draw, f: dict[str, int], run: int) -> None:
    """Choose tiles that fit the accumulators, and the strips that they stream."""
    pixels = draw.config.acc_depth // run
    band = f["t_rows"] * f["t_step"]
    f["tile_cols"] = draw.number(1, min(pixels, f["cols"]))
    pixels //= f["tile_cols"]
    if pixels >= f["rows"] and draw.chance(0.5):
        f["tile_rows"] = f["rows"] + draw.number(0, min(2, pixels - f["rows"]))
        f["tile_samples"] = draw.number(1, min(f["samples"] + 1, pixels // f["tile_rows"]))
        f |= {"tile_strips": draw.number(0, 3), "strips_before": draw.number(0, 2)}
        f["strips_after"] = f["t_strips"] + draw.number(0, 1)
        f["first_row"] = draw.first(f["taps_y"]) - f["strips_before"] * band
        pixels //= f["tile_samples"]
    else:
        f["tile_samples"] = 1
        f["tile_strips"] = draw.number(1, max(1, pixels // band))
        f["tile_rows"] = min(f["tile_strips"] * band, pixels)
        f["tile_strips"] = min(f["tile_strips"], f["tile_rows"])
        f["strips_before"] = draw.number(0, 2)
        f["strips_after"] = f["tile_strips"] + draw.number(0, 2)
        f["first_row"] = draw.first(f["taps_y"]) - f["strips_before"] * band
        if draw.chance(0.05):
            f |= {"strips_before": 0, "strips_after": 0}
    spare = 16 if run * f["tile_cols"] * f["tile_rows"] * f["tile_samples"] * 2 <= (
        draw.config.acc_depth
    ) and draw.chance(0.2) else 0  # fmt: skip
    f["x_step"] = run
    f["y_step"] = run * f["tile_cols"] + spare * (f["tile_cols"] > 1)
    f["plane"] = f["tile_rows"] * f["y_step"]
    f |= {"s_offset_mid": f["y_step"], "s_offset_inner": f["x_step"], "t_tiles": 1}


def _kernel_results(draw: _Draw, f: dict[str, int]) -> None:
    width = result_bytes(f)
    order = [("pixel_bytes", "cols"), ("row_bytes", "rows"), ("sample_bytes", "samples")]
    order.insert(draw.rng.choice([0, 0, 2, 3]), ("s_tile_bytes", "s_tiles"))
    counts = {step: f[count] for step, count in order}
    f |= _nest(draw, f["run"] * width, min(64, 16 * width), counts)


def _streamed(draw: _Draw, f: dict[str, int], density: float) -> list[list[np.ndarray]]:
    heights = ([f["t_rows"]] * (f["t_strips"] - 1) + [f["t_rows_last"]]) * f["samples"]
    lanes = 16 << f["t_vectors"]
    return [
        [draw.codes((height, f["t_width"], lanes), density) for height in heights]
        for _ in range(f["t_groups"])
    ]


def random_correlate(config: ArrayConfig, seed: str, size: int, number_format: int | None):
    """Return a random pass in correlate mode."""
    draw = _Draw(config, seed, size)
    f = draw.format_fields(Mode.CORRELATE, number_format)
    f["s_mid"] = 1
    f["t_step"] = draw.rng.choice([1, 1, 1, 2])
    f["samples"] = draw.number(1, 2 + size)
    f["tile_samples"] = draw.number(1, f["samples"] + 1)
    f["taps_y"], f["taps_x"] = draw.number(1, 3), draw.number(1, 3)
    f["t_rows"], f["t_strips"] = draw.number(1, 1 + size), draw.number(1, 1 + 2 * size)
    f["t_rows_last"] = draw.number(1, f["t_rows"])
    f["s_chunks"] = max(1, f["t_strips"] + draw.number(-1, 1))
    f["s_outer"] = f["t_rows"] * f["t_step"]
    f["first_row"] = draw.first(f["taps_y"])
    f["behind"] = -(min(f["first_row"], 0) // f["s_outer"])
    f["ahead"] = max(0, -(-(f["first_row"] + f["taps_y"] - f["t_step"]) // f["s_outer"]))
    f["ahead"] = max(f["ahead"], f["s_chunks"] - f["t_strips"])
    if draw.chance(0.3):  # the whole sample
        f |= {"ahead": max(f["s_chunks"] - 1, 0), "behind": f["t_strips"] - 1}
        f["s_outer"] = draw.number(1, 4)
    held = min(f["ahead"] + f["behind"] + 1, f["s_chunks"])
    most_keys = (config.directory_depth - 1) // held
    f["s_outer"] = f["s_outer"] if f["s_outer"] <= most_keys else 1
    f["s_inner"] = draw.number(1, min(3 + 5 * size, most_keys // f["s_outer"]))
    f["s_outer_last"] = draw.number(1, f["s_outer"])
    f["s_keys"] = f["s_outer"] * f["s_inner"]
    f |= {"row_keys": f["s_inner"], "cols": f["s_inner"]}
    f["rows"] = (f["s_chunks"] - 1) * f["s_outer"] + f["s_outer_last"]
    f["t_width"] = max(1, f["s_inner"] // f["t_step"] + draw.number(-2, 2))
    f["first_col"] = draw.first(f["taps_x"])
    _correlate_tiles(draw, f)
    density, words = draw.density(0.1, 0.3, 0.6, 1.0), draw.density(0.05, 0.2, 0.6)
    heights = ([f["s_outer"]] * (f["s_chunks"] - 1) + [f["s_outer_last"]]) * f["samples"]
    lanes = 16 << f["s_vectors"]
    stationary = [
        [draw.codes((outer, 1, f["s_inner"], lanes), density) for outer in heights]
        for _ in range(f["s_groups"])
    ]
    one = RandomPass(fields=f, stationary=stationary, streamed=_streamed(draw, f, words))
    _thin(draw, one)
    one.fields |= {"chained": draw.number(0, 1), "help": draw.number(0, 3)}
    slides = (
        f["t_strips"] <= f["s_chunks"] + f["behind"]
        and f["s_outer"] == f["t_rows"] * f["t_step"]
        and f["first_row"] + f["behind"] * f["s_outer"] >= 0
        and f["first_row"] + f["taps_y"] <= f["ahead"] * f["s_outer"] + f["t_step"]
    )
    if one.fields["chained"] and slides and draw.chance(0.5):  # parts of a sample
        one.fields |= {"unit_strips": draw.number(1, f["t_strips"]), "tile_samples": 1}
    return one


def _correlate_tiles(draw: _Draw, f: dict[str, int]) -> None:
    """Choose channels of a tile that fit the accumulators, and where results lie."""
    depth = draw.config.acc_depth
    f["s_vectors"], f["t_vectors"] = draw.number(0, 1), draw.number(0, 1)
    taps = f["taps_y"] * f["taps_x"]
    if taps * (16 << f["s_vectors"]) > depth:
        f["s_vectors"] = 0
    lanes = 16 << f["s_vectors"]
    f["t_split"] = draw.number(0, 4 + f["t_vectors"])
    while (16 << f["t_vectors"] >> f["t_split"]) * taps * lanes > depth:
        f["t_split"] += 1
    f["s_offset_inner"] = lanes
    f["x_step"] = -lanes
    f["row_step"] = lanes * f["taps_x"]
    f["lane_step"] = lanes * taps
    channels = 16 << f["t_vectors"] >> f["t_split"]
    if draw.chance(0.3):  # channels of the stream innermost but one
        f |= {"lane_step": lanes, "row_step": lanes * channels * f["taps_x"]}
        f["s_offset_inner"] = lanes * channels
        f["x_step"] = -f["s_offset_inner"]
    f["run"] = channels * taps * lanes
    f["t_groups"] = draw.number(1, 1 + draw.size)
    f["t_tiles"] = (f["t_groups"] << f["t_split"]) - draw.rng.randrange(1 << f["t_split"])
    f["s_tiles"] = f["s_groups"] = draw.number(1, 1 + draw.size)
    if draw.chance(0.3):
        f["s_groups"] += 1
    f["team"] = draw.rng.choice(_divisors(draw.config))
    width = result_bytes(f)
    order = [("t_tile_bytes", f["t_tiles"]), ("s_tile_bytes", f["s_tiles"])]
    order = dict(order if draw.chance(0.5) else order[::-1])
    f |= _nest(draw, f["run"] * width, min(64, 16 * width), order)


def random_program(
    seed: int,
    size: int = 1,
    *,
    config: ArrayConfig = TINY,
    mode: Mode | None = None,
    number_format: int | None = None,
    count: int | None = None,
) -> Program:
    """Return a random program without errors.

    Parameters
    ----------
    seed
        The same one gives the same program.
    size
        Words of a pass are 0: about ten; 1: about a hundred, at most a thousand or two; 2: up to
        ten thousand; 3: up to a hundred thousand.
    config
        The array.
    mode
        Of all passes; by default any.
    number_format
        Of all passes; by default any that the array has.
    count
        Passes; by default one to three.
    """
    rng = random.Random(f"{seed} {size}")
    passes = []
    for number in range(rng.randint(1, 3) if count is None else count):
        one = rng.choice(list(Mode)) if mode is None else mode
        make = random_kernel if one is Mode.KERNEL else random_correlate
        passes.append(make(config, f"{seed} {size} {number}", size, number_format))
    return program_of(config, passes, seed)
