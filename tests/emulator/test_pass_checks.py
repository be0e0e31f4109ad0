"""A descriptor that passes its checks leaves nothing to chance, and each check has its code."""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import pytest

from gscn.emulator.pass_checks import PassFields, check_descriptor, pass_fields, results_extent
from gscn.emulator.passes import run_passes
from gscn.pass_errors import PASS_ERROR_MEANINGS, PassError
from gscn.passes import DESCRIPTOR_BYTES, PASS_DESCRIPTOR, Mode
from tests.pass_law import expect
from tests.pass_memory import Program, correlate_pass, kernel_pass, program_of
from tests.pass_programs import TINY, random_program

SAMPLE_BYTES = 3 * 4 * 16 * 4
"""Results of a sample of the kernel below."""


def fields_of(program: Program) -> PassFields:
    """Return the fields of a program's only pass."""
    content = program.image[program.descriptors_addr :][:DESCRIPTOR_BYTES]
    return pass_fields(PASS_DESCRIPTOR.unpack(content)[0])


def kernel(**changes: int) -> PassFields:
    """Return a kernel of 2 x 2 taps on 5 channels and a map of 3 x 4, changed."""
    one = kernel_pass(np.ones((5, 2, 2, 16), int), np.ones((3, 4, 16), int))
    return fields_of(program_of(TINY, [one]))._replace(**changes)


def correlate(**changes: int) -> PassFields:
    """Return a pass of 3 chunks of 2 rows and 4 columns, 3 strips alike and a tap, changed."""
    maps = [np.ones((2, 4, 16), int)] * 3
    return fields_of(program_of(TINY, [correlate_pass(maps, maps, (1, 1))]))._replace(**changes)


KERNELS = [
    ("MODE", {"mode": 2}),
    ("FORMAT", {"number_format": 5}),
    ("FORMAT", {"window": 1024}),
    ("FORMAT", {"out_format": 3}),
    ("FORMAT", {"number_format": 1, "out_format": 4}),
    ("FORMAT", {"shift": 48}),
    ("FORMAT", {"shift": 1, "out_format": 2}),
    ("FORMAT", {"shift": 1, "number_format": 1}),
    ("ADDRESS", {"s_data": 32}),
    ("ADDRESS", {"s_table": 1 << 32}),
    ("ADDRESS", {"t_data": 1}),
    ("ADDRESS", {"t_table": 1 << 63}),
    ("ADDRESS", {"out_addr": 8}),
    ("ADDRESS", {"out_end": (1 << 32) + 1}),
    ("ADDRESS", {"s_data": (1 << 32) - 64, "s_halfwords": 33}),
    ("ADDRESS", {"t_halfwords": (1 << 32) - 1}),
    ("ADDRESS", {"s_table": (1 << 32) - 64, "s_chunks": 16}),
    ("ADDRESS", {"t_table": (1 << 32) - 64, "t_strips": 16}),
    ("ADDRESS", {"pixel_bytes": 96}),
    ("ADDRESS", {"row_bytes": 1}),
    ("ADDRESS", {"sample_bytes": 32}),
    ("ADDRESS", {"s_tile_bytes": 32}),
    ("ADDRESS", {"s_tile_bytes": 16, "out_format": 0}),
    ("STATIONARY", {"s_groups": 0}),
    ("STATIONARY", {"s_outer_last": 0}),
    ("STATIONARY", {"s_vectors": 5}),
    ("STATIONARY", {"s_outer_last": 6}),
    ("STATIONARY", {"s_keys": 19}),
    ("STATIONARY", {"s_outer": 64, "s_keys": 256}),
    ("STREAMED", {"t_width": 0}),
    ("STREAMED", {"t_rows_last": 4}),
    ("STREAMED", {"t_vectors": 5}),
    ("STREAMED", {"t_split": 5}),
    ("STREAMED", {"t_rows": 1 << 10, "t_width": 1 << 10}),
    ("STREAMED", {"t_rows": 1 << 8, "t_width": 1 << 8, "t_vectors": 4}),
    ("TAPS", {"taps_y": 0}),
    ("TAPS", {"taps_x": 17}),
    ("TAPS", {"t_step": 0}),
    ("TAPS", {"taps_x": 1}),
    ("TAPS", {"taps_y": 1}),
    ("TAPS", {"row_keys": 3}),
    ("TAPS", {"lane_step": 5}),
    ("TILES", {"s_tiles": 0}),
    ("TILES", {"t_tiles": 0}),
    ("TILES", {"s_tiles": 2}),
    ("TILES", {"t_groups": 2}),
    ("TILES", {"tile_cols": 0}),
    ("TILES", {"tile_rows": 2, "tile_strips": 3}),
    ("TILES", {"tile_samples": 2, "tile_rows": 2}),
    ("TILES", {"tile_samples": 2, "strips_after": 0}),
    ("WALK", {"run": 8}),
    ("WALK", {"run": 32}),
    ("WALK", {"s_vectors": 1}),
    ("WALK", {"x_step": 24, "s_offset_inner": 24}),
    ("WALK", {"x_step": 0, "s_offset_inner": 0}),
    ("WALK", {"x_step": -16, "s_offset_inner": 65520}),
    ("WALK", {"s_offset_inner": 32}),
    ("WALK", {"s_offset_mid": 48}),
    ("WALK", {"y_step": 48, "s_offset_mid": 48}),
    ("WALK", {"tile_rows": 5}),
    ("WALK", {"tile_samples": 2, "plane": 96}),
    ("TEAM", {"team": 0}),
    ("TEAM", {"team": 3}),
    ("TILES", {"unit_strips": 1}),
    ("TEAM", {"chained": 1}),
    ("OUTPUT_RANGE", {"pixel_bytes": 0}),
    ("OUTPUT_RANGE", {"row_bytes": 192}),
    ("OUTPUT_RANGE", {"samples": 2, "sample_bytes": SAMPLE_BYTES - 64}),
    ("OUTPUT_RANGE", {"samples": 2}),
    ("OUTPUT_RANGE", {"out_end": 0}),
]
"""A code of each requirement, and fields that break it alone."""

PARTS = {"unit_strips": 1, "tile_samples": 1, "chained": 1}

CORRELATES = [
    ("TAPS", {"s_mid": 2, "s_keys": 16}),
    ("TAPS", {"cols": 3}),
    ("TAPS", {"rows": 5}),
    ("TAPS", {"x_step": 16}),
    ("TAPS", {"first_row": -1}),
    ("TAPS", {"first_row": 1}),
    ("TAPS", {"taps_y": 2}),
    ("TAPS", {"t_step": 2}),
    ("TAPS", {"t_strips": 2}),
    ("TAPS", PARTS | {"ahead": 2, "behind": 2, "first_row": 99}),
    ("TAPS", PARTS | {"ahead": 2, "behind": 2, "t_rows": 1, "t_rows_last": 1}),
    ("TAPS", PARTS | {"t_strips": 4}),
    ("TAPS", PARTS | {"first_row": -1}),
    ("TILES", {"t_tiles": 3, "t_split": 1}),
    ("TILES", {"t_groups": 2}),
    ("TILES", {"unit_strips": 1, "tile_samples": 1}),
    ("TILES", {"unit_strips": 1, "tile_samples": 2, "chained": 1}),
    ("WALK", {"run": 248}),
    ("WALK", {"lane_step": 17}),
    ("WALK", {"run": 304}),
    ("TEAM", {"team": 3}),
    ("TEAM", {"team": 3, "chained": 1}),
    ("TEAM", {"chained": 2}),
    ("OUTPUT_RANGE", {"run": 272}),
    ("OUTPUT_RANGE", {"t_tiles": 2, "t_groups": 2}),
]


def code_of(d: PassFields) -> str:
    """Return the name of a descriptor's first error."""
    return check_descriptor(d, TINY).name


@pytest.mark.parametrize(("code", "changes"), KERNELS)
def test_each_requirement_of_a_kernel_has_its_code(code, changes):
    assert code_of(kernel(**changes)) == code


@pytest.mark.parametrize(("code", "changes"), CORRELATES)
def test_each_requirement_of_a_weight_gradient_has_its_code(code, changes):
    assert code_of(correlate(**changes)) == code


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"window": 1023, "shift": 47},
        {"number_format": 4, "out_format": 3},
        {"out_format": 0, "s_tile_bytes": 32},
        {"s_vectors": 0, "t_split": 4, "t_rows_last": 1, "s_outer_last": 1},
        {"s_outer": 63, "s_keys": 252},
        {"first_row": -32768, "first_col": 32767, "t_step": 255},
        {"tile_rows": 4},
        {"team": 2, "help": 65535},
        {"tile_samples": 9, "tile_cols": 1, "tile_rows": 1, "rows": 1, "plane": 16},
        {"tile_rows": 1, "tile_cols": 1, "tile_strips": 1, "plane": 0},
        {"strips_after": 0, "t_tile_bytes": 1, "row_step": 5, "behind": 9},
        {"by_rows": 255, "row_bytes": 256, "samples": 1, "sample_bytes": 0},
    ],
)
def test_a_kernel_at_the_limits_is_accepted(changes):
    assert code_of(kernel(**changes)) == "NONE"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"first_row": -1, "behind": 1},
        {"first_row": -4, "behind": 2},
        {"first_row": 1, "ahead": 1},
        {"t_strips": 2, "ahead": 1},
        {"t_strips": 1, "ahead": 2},
        {"first_row": -1, "behind": 1, "taps_y": 2, "row_step": 0},
        {"ahead": 2, "behind": 2, "first_row": 99, "t_step": 3},
        {"x_step": 512 - 16},
        {"team": 2, "plane": 3, "pixel_bytes": 1},
        {"team": 2, "chained": 1},
        {"tile_samples": 9},
        PARTS,
        PARTS | {"unit_strips": 65535, "first_row": -3, "behind": 2},
        {"t_split": 1},
        PARTS | {"t_strips": 4, "behind": 1},
    ],
)
def test_a_weight_gradient_at_the_limits_is_accepted(changes):
    assert code_of(correlate(**changes)) == "NONE"


@pytest.mark.parametrize("mode", Mode)
def test_the_range_of_results_meets_nothing_that_is_read(mode):
    d = kernel() if mode is Mode.KERNEL else correlate()
    size = d.out_end - d.out_addr
    for name, halfwords in (("s_data", "s_halfwords"), ("t_data", "t_halfwords")):
        assert code_of(d._replace(**{name: d.out_addr, halfwords: 1})) == "OUTPUT_RANGE"
        assert code_of(d._replace(**{name: d.out_end})) == "NONE"
        before = {name: d.out_addr - 64, halfwords: 32}
        assert code_of(d._replace(**before)) == "NONE"
        assert code_of(d._replace(**before | {halfwords: 33})) == "OUTPUT_RANGE"
    for name in ("s_table", "t_table"):
        assert code_of(d._replace(**{name: d.out_end - 64})) == "OUTPUT_RANGE"
        assert code_of(d._replace(**{name: d.out_end})) == "NONE"
    assert check_descriptor(d, TINY, (d.out_end, d.out_end + 256)) is PassError.NONE
    assert check_descriptor(d, TINY, (d.out_end - 1, d.out_end)) is PassError.OUTPUT_RANGE
    assert size == results_extent(d)


@pytest.mark.parametrize(
    ("steps", "extent"),
    [
        # innermost first: tile, column, row, sample; two of each; results of 64 bytes
        ((64, 128, 256, 512), 1024),
        ((128, 64, 256, 512), 1024),
        ((256, 64, 128, 512), 1024),
        ((512, 64, 128, 256), 1024),
        ((1024, 64, 128, 320), 64 + 64 + 128 + 320 + 1024),
        ((64, 64, 256, 512), None),
        ((128, 128, 256, 512), None),
        ((64, 128, 192, 512), None),
        ((448, 64, 128, 256), None),
        ((0, 64, 128, 256), None),
    ],
)
def test_results_are_apart_in_the_order_of_their_steps(steps, extent):
    names = ("s_tile_bytes", "pixel_bytes", "row_bytes", "sample_bytes")
    changes = dict(zip(names, steps, strict=True))
    assert results_extent(kernel(s_tiles=2, cols=2, rows=2, samples=2, **changes)) == extent


def test_the_first_error_counts():
    wrong = {}
    for code, changes in reversed([KERNELS[0], *KERNELS[8:9], *KERNELS[-1:]]):
        wrong |= changes
        assert code_of(kernel(**wrong)) == code


def test_every_error_has_a_meaning():
    assert list(PASS_ERROR_MEANINGS) == list(PassError)


KEPT = {
    # what the strips in memory are, and where everything is
    *("s_data", "s_table", "t_data", "t_table", "out_addr", "out_end", "s_halfwords"),
    *("t_halfwords", "mode", "number_format", "window", "shift", "out_format", "s_chunks"),
    *("s_groups", "s_vectors", "s_mid", "s_outer", "s_outer_last", "s_inner", "s_keys", "t_groups"),
    *("t_vectors", "t_strips", "t_rows", "t_rows_last", "t_width", "samples", "s_tiles"),
}


def odd_program(seed: int) -> Program | None:
    """Return a random program with random fields that still pass all checks; None if none do."""
    program = random_program(seed, 1, count=1)
    rng = random.Random(seed)
    fields = program.passes[0].fields
    names = [name for name in PASS_DESCRIPTOR.dtype.names if name not in KEPT]
    names = [name for name in names if not name.startswith("reserved")]
    content = program.image[program.descriptors_addr :][:DESCRIPTOR_BYTES]
    changed = 0
    for _ in range(300):
        d = pass_fields(PASS_DESCRIPTOR.unpack(content)[0])
        change = {}
        for name in rng.sample(names, rng.choice([1, 1, 2, 3])):
            value = getattr(d, name)
            near = rng.choice([value + rng.randint(-3, 3), 2 * value, value + 16, value - 16])
            change[name] = rng.choice([near, near, rng.randint(0, 9), rng.randint(0, 255)])
        if not all(0 <= value < 256 or name.startswith("first") for name, value in change.items()):
            continue
        if check_descriptor(d._replace(**change), TINY) is PassError.NONE:
            fields |= change
            content[:] = PASS_DESCRIPTOR.pack(1, **fields).view(np.uint8)
            changed += 1
    return program if changed else None


@pytest.mark.parametrize("seed", range(40))
def test_whatever_passes_the_checks_has_the_results_of_the_law(seed):
    program = odd_program(seed)
    result = run_passes(
        program.config, program.image, program.descriptors_addr, 1, program.memory_bytes
    )
    if result.error is PassError.WINDOW:
        assert program.passes[0].fields["mode"] is Mode.CORRELATE
        return
    assert result.error is PassError.NONE
    expected = expect(program)
    assert np.array_equal(result.memory, expected.memory)
    assert result.counts[0].products == expected.products


@pytest.mark.parametrize("seed", range(40))
def test_a_strip_meets_only_chunks_that_it_waits_for(seed):
    f = odd_program(seed).passes[0].fields
    if f["mode"] is Mode.KERNEL:
        return
    for strip in range(f["t_strips"]):
        for row in range(f["t_rows"]):
            first = f["first_row"] + (strip * f["t_rows"] + row) * f["t_step"]
            for y in range(max(first, 0), min(first + f["taps_y"], f["rows"])):
                assert strip - f["behind"] <= y // f["s_outer"] <= strip + f["ahead"]


def test_a_format_that_the_array_lacks_is_refused():
    config = dataclasses.replace(TINY, float_formats="fp16")
    d = kernel(number_format=2, out_format=0)
    assert check_descriptor(d, config) is PassError.NONE
    assert check_descriptor(d._replace(number_format=1), config) is PassError.FORMAT
