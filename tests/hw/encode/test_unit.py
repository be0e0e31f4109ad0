# amaranth: UnusedElaboratable=no
"""The whole encode unit in Verilator, from records to results, against the emulator."""

from __future__ import annotations

import random

import numpy as np
import pytest

from gscn.emulator.encode import run_encode
from gscn.encode import ENCODE_DESCRIPTOR, ENCODE_DESCRIPTOR_BYTES, EncodeError
from tests.emulator.test_encode import copied
from tests.hw.encode.record_model import damaged
from tests.hw.encode.unit_passes import drawn_passes
from tests.hw.encode.unit_simulator import CONFIG, INTEGERS, LISTED, build, differences, run

pytestmark = [pytest.mark.cosim, pytest.mark.slow]
DAMAGED_ERRORS = (EncodeError.NONE, EncodeError.MODE, EncodeError.FORMAT, EncodeError.WALK,
                  EncodeError.ADDRESS, EncodeError.OUTPUT_RANGE, EncodeError.RANGE,
                  EncodeError.CAPACITY)  # fmt: skip


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return build(tmp_path_factory.mktemp("unit"))


@pytest.fixture(scope="module")
def integer_program(tmp_path_factory):
    return build(tmp_path_factory.mktemp("integers"), INTEGERS)


def compare(program, folder, images, config=CONFIG, **conditions):
    """Run images, and compare every byte, flag and error."""
    results = run(program, images, folder, **conditions)
    pairs = enumerate(zip(images, results, strict=True))
    wrong = {n: differences(*one, config) for n, one in pairs}
    assert {n: found for n, found in wrong.items() if found} == {}
    return results


def copy_image(positions):
    """Return a pass that copies a tensor of bf16."""
    codes = (np.arange(16 * positions) * 37 % 0x7000).astype("<u2")
    own, places = copied(codes, 1)
    own |= {f"{part}_end": own[f"{part}_data"] for part in "ab"} | {"dense_step0": 32}
    own["dense_addr"] = places.put(32 * positions)
    own["dense_end"] = own["dense_addr"] + 32 * positions
    return places.memory(own)


def test_a_copy_takes_a_cycle_a_vector_and_reads_and_writes_each_line_once(program, tmp_path):
    short, long = (
        compare(program, tmp_path, [copy_image(n)], latency=20)[0] for n in (64, 2112)
    )  # fmt: skip
    assert (long.read - short.read, long.written - short.written) == (1024, 1024)
    # 16 lines on the way cannot hide 20 cycles and those of the arbiters
    assert 2048 <= long.cycles - short.cycles <= 3 * 2048


@pytest.mark.parametrize(("latency", "stalls"), [(8, 0), (30, 30)])
def test_random_passes_leave_what_the_emulator_leaves(program, tmp_path, latency, stalls):
    drawn = [one for seed in range(12) for one in drawn_passes(12, seed, most=3000)]
    compare(program, tmp_path, [image for _, image in drawn], latency=latency, stalls=stalls)


def test_random_passes_of_integers_leave_what_the_emulator_leaves(integer_program, tmp_path):
    drawn = [one for seed in range(8) for one in drawn_passes(12, seed, most=1500, integers=True)]
    images = [image for _, image in drawn]
    for latency, stalls in ((8, 0), (30, 30)):
        compare(
            integer_program, tmp_path, images, INTEGERS, latency=latency, stalls=stalls
        )  # fmt: skip


def damaged_images(source, drawn, count, config=CONFIG):
    """Return images with records that are damaged, or whose ranges are too short."""
    images = []
    while len(images) < count:
        fields, image = source.choice(drawn)
        f = dict.fromkeys((one.name for one in ENCODE_DESCRIPTOR.fields), 0) | fields
        if source.random() < 0.5:
            f = damaged(f, source)
        else:
            part = source.choice(("t0", "t1", "t2", "mask", "dense", "second", "a", "b"))
            first = f[f"{part}_data" if part in "ab" else f"{part}_addr"]
            f[f"{part}_end"] = max(first, f[f"{part}_end"] - 64 * source.randint(1, 3))
        vectors = (1 << f["vectors"] % 8) * np.prod([f[f"count{n}"] for n in range(8)], dtype=float)
        if vectors > 6000:
            continue
        after = image.copy()
        after[:ENCODE_DESCRIPTOR_BYTES] = ENCODE_DESCRIPTOR.pack(**f).view(np.uint8)
        if run_encode(config, after, 0, LISTED).error in DAMAGED_ERRORS:
            images.append(after)
    return images


def test_damaged_passes_have_the_error_of_the_emulator_and_leave_the_next_one_alone(
    program, tmp_path
):
    source = random.Random(1)
    drawn = [one for seed in range(12) for one in drawn_passes(12, seed, most=1500)]
    images = damaged_images(source, drawn, 200)
    results = compare(program, tmp_path, images, stalls=10)
    assert {EncodeError(one.error) for one in results} == set(DAMAGED_ERRORS)


def test_damaged_passes_of_integers_have_the_error_of_the_emulator(integer_program, tmp_path):
    source = random.Random(1)
    drawn = [one for seed in range(8) for one in drawn_passes(12, seed, most=1500, integers=True)]
    images = damaged_images(source, drawn, 120, INTEGERS)
    results = compare(integer_program, tmp_path, images, INTEGERS, stalls=10)
    assert {EncodeError(one.error) for one in results} >= {*DAMAGED_ERRORS} - {EncodeError.CAPACITY}
