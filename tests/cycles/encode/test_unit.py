# amaranth: UnusedElaboratable=no
"""The cycle model of the encode unit takes the cycles and the bytes of the Verilog."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.encode_cycles import records
from benchmarks.encode_step import digits, made
from gscn.cycles.encode.fields import record_fields, vectors_of
from gscn.cycles.encode.unit import Known, PortTimes, encode_cycles, simulate_encode
from gscn.encode import ENCODE_DESCRIPTOR
from tests.cycles.encode.known_passes import modelled
from tests.hw.encode.unit_passes import drawn_passes
from tests.hw.encode.unit_simulator import CONFIG, DEPTH, build, run

BINS_AFTER_RESET = 4096
RECORD_BYTES, STATE_BYTES, ROWS_BYTES = 512, 64, 512
DEEP = 128
MOST_CYCLES = 200_000
"""Of a pass: sums of short segments take longer than one in 60,000."""


def copy(positions, *, wide=False):
    """Return the fields of a pass that copies a tensor, one of float32 or of bf16."""
    size = 64 if wide else 32
    fields = {f"count{n}": 1 for n in range(8)} | {"count0": positions}
    return fields | {
        "t0_format": 1 + wide, "out_format": 1 + wide, "t0_step0": size, "dense_step0": size,
        "t0_end": size * positions, "dense_addr": size * positions,
        "dense_end": 2 * size * positions, "channels": 16, "group_channels": 16, "y_limit": 1,
        "x_limit": 1, "segment": positions, "period": positions, "a_positions": positions,
        "b_positions": positions, "mode": 2,
    }  # fmt: skip


@pytest.mark.parametrize(("wide", "odd", "turns"), [(False, 7, 1), (True, 1, 3), (True, 6, 1)])
def test_a_vector_more_takes_its_turns_and_moves_its_bytes(wide, odd, turns):
    more = {"known": Known(odd=odd), "port": PortTimes(write_lag=0)}
    short, long = (
        simulate_encode(copy(n, wide=wide), CONFIG, **more).cost for n in (1024, 3072)
    )  # fmt: skip
    assert long.cycles - short.cycles == 2048 * turns
    size = 2048 * (64 if wide else 32)
    assert (long.read_bytes - short.read_bytes, long.write_bytes - short.write_bytes) == (
        size, size
    )  # fmt: skip


def test_a_copy_reads_its_record_state_and_rows_beside_its_tensor():
    cost = encode_cycles(copy(64), CONFIG)
    assert cost.read_bytes == RECORD_BYTES + STATE_BYTES + ROWS_BYTES + 64 * 32
    assert cost.write_bytes == STATE_BYTES + 64 * 32


def test_a_longer_latency_is_hidden_but_for_record_state_and_first_line():
    near, far = (encode_cycles(copy(4096), CONFIG, latency=n).cycles for n in (20, 80))
    assert far - near == 3 * 60


def test_readers_that_look_less_far_ahead_wait_for_a_long_latency():
    cost = [
        simulate_encode(copy(2048), CONFIG, port=PortTimes(latency=100, depth=depth)).cost.cycles
        for depth in (8, DEEP)
    ]
    assert cost[0] > 4 * cost[1]


@pytest.mark.parametrize("density", [0.0, 0.1, 0.5, 1.0])
def test_strips_have_the_values_of_their_density(density):
    positions = 4096
    fields = copy(positions) | {"dense_end": 0, "dense_addr": 0, "a_end": 1 << 20}
    cost = encode_cycles(fields, CONFIG, kept_a=density)
    some = 1 - (1 - density) ** 16
    halfwords = positions * (16 * density + some) + positions / 16
    table = 64
    assert abs(cost.write_bytes - STATE_BYTES - table - 2 * halfwords) < 0.03 * 2 * halfwords + 64


def test_masks_of_vectors_are_taken_as_they_are():
    fields = copy(64) | {"dense_end": 0, "dense_addr": 0, "a_end": 1 << 20}
    lanes = np.where(np.arange(64) < 16, 0xFFFF, 0).astype(np.uint16)
    kept = encode_cycles(fields, CONFIG, kept_a=lanes)
    # four blocks' halfwords, of the first 16 vectors a mask and 16 codes: 276 halfwords, 9 lines
    assert kept.write_bytes == STATE_BYTES + 64 + 9 * 64


def test_a_selection_takes_as_long_as_its_bin_is_deep():
    fields = copy(64) | {"adapt": 2, "bin_bits": 8, "bin_shift": 7}
    high, low = (
        encode_cycles(fields, CONFIG, known=Known(chosen_bin=n)).cycles for n in (200, 100)
    )
    assert low - high == 100 * 16


def test_a_record_may_be_given_as_bytes_or_by_its_fields():
    fields = copy(100)
    whole = dict.fromkeys(ENCODE_DESCRIPTOR.dtype.names, 0) | fields
    packed = ENCODE_DESCRIPTOR.pack(**whole)
    assert record_fields(packed.view(np.uint8)) == record_fields(fields)
    assert record_fields(ENCODE_DESCRIPTOR.unpack(packed.view(np.uint8))[0]) == record_fields(
        packed.tobytes()
    )


def compare(program, folder, images, port):
    """Run passes one behind the other, and compare cycles and bytes with the model's."""
    turn, bins_ready = -1, BINS_AFTER_RESET
    results = run(
        program, images, folder, latency=port.latency, at_once=not port.write_lag,
        most=MOST_CYCLES,
    )  # fmt: skip
    for number, (image, result) in enumerate(zip(images, results, strict=True)):
        assert not result.error
        assert not result.hung
        found = modelled(image, CONFIG, port, turn, bins_ready)
        # the run's last cycle is the first one in which it is not busy
        rtl = (result.cycles - 1, 64 * result.read, 64 * result.written)
        assert tuple(found.cost) == rtl, f"pass {number}"
        turn, bins_ready = found.turn, found.bins_ready - result.cycles


def step_images(layers, size):
    """Return a pass of each kind of a network's step, on tensors of which a tenth is not zero."""
    _, memory, listing = made(layers, size)
    generator = np.random.default_rng(1)
    codes = generator.normal(size=memory.size // 4).astype(np.float32).view(np.uint16)[1::2]
    codes = np.where(generator.random(codes.size) < 0.1, codes, 0).astype(np.uint16)
    filled = memory.copy()
    filled[listing.end : listing.end + 2 * codes.size] = codes.view(np.uint8)[
        : memory.size - listing.end
    ]
    # of each kind the largest
    each = sorted(records(memory, listing), key=lambda one: vectors_of(one[1]))
    passes = {name.split(".")[0]: fields for name, fields in each}
    images = []
    for fields in passes.values():
        image = filled.copy()
        image[: ENCODE_DESCRIPTOR.width // 8] = ENCODE_DESCRIPTOR.pack(**fields).view(np.uint8)
        place = fields["state_addr"]
        image[place : place + STATE_BYTES] = memory[place : place + STATE_BYTES]
        images.append(image)
    return images


@pytest.fixture(scope="module")
def deep_program(tmp_path_factory):
    return build(tmp_path_factory.mktemp("deep"), depth=DEEP)


@pytest.mark.cosim
@pytest.mark.slow
@pytest.mark.parametrize("write_lag", [0, 1])
def test_passes_of_a_step_take_the_cycles_and_bytes_of_the_verilog(
    deep_program, tmp_path, write_lag
):
    images = step_images(digits(), (4, 1, 8, 8))
    assert len(images) >= 15
    compare(deep_program, tmp_path, images, PortTimes(write_lag=write_lag))


@pytest.mark.cosim
@pytest.mark.slow
@pytest.mark.parametrize("depth", [DEPTH, DEEP])
def test_random_passes_take_the_cycles_and_bytes_of_the_verilog(deep_program, tmp_path, depth):
    program = deep_program if depth == DEEP else build(tmp_path, depth=depth)
    for latency, write_lag in ((2, 1), (8, 0), (20, 1), (100, 1)):
        drawn = [one for seed in range(8) for one in drawn_passes(12, seed + latency, most=3000)]
        port = PortTimes(latency=latency, write_lag=write_lag, depth=depth)
        compare(program, tmp_path, [image for _, image in drawn], port)
