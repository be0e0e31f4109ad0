# amaranth: UnusedElaboratable=no
"""The cycle model of the encode unit takes the cycles and the bytes of the Verilog."""

from __future__ import annotations

import numpy as np
import pytest

from gscn.cycles.encode.fields import record_fields
from gscn.cycles.encode.unit import Known, PortTimes, encode_cycles, simulate_encode
from gscn.encode import ENCODE_DESCRIPTOR
from tests.cycles.encode.known_passes import modelled
from tests.hw.encode.unit_passes import drawn_passes
from tests.hw.encode.unit_simulator import CONFIG, DEPTH, build, run

BINS_AFTER_RESET = 4096
RECORD_BYTES, STATE_BYTES, ROWS_BYTES = 512, 64, 512
DEEP = 128


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


@pytest.mark.parametrize(("wide", "turns"), [(False, 1), (True, 3)])
def test_a_vector_more_takes_its_turns_and_moves_its_bytes(wide, turns):
    short, long = (encode_cycles(copy(n, wide=wide), CONFIG) for n in (1024, 3072))
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


@pytest.mark.cosim
@pytest.mark.slow
@pytest.mark.parametrize("depth", [DEPTH, DEEP])
def test_random_passes_take_the_cycles_and_bytes_of_the_verilog(tmp_path, depth):
    program = build(tmp_path, depth=depth)
    for latency, at_once, seeds in ((2, False, 8), (8, True, 8), (20, False, 8), (100, False, 8)):
        drawn = [one for seed in range(seeds) for one in drawn_passes(12, seed, most=3000)]
        images = [image for _, image in drawn]
        port = PortTimes(latency=latency, write_lag=int(not at_once), depth=depth)
        turn, bins_ready = -1, BINS_AFTER_RESET
        results = run(program, images, tmp_path, latency=latency, at_once=at_once)
        for number, (image, result) in enumerate(zip(images, results, strict=True)):
            found = modelled(image, CONFIG, port, turn, bins_ready)
            # the run's last cycle is the first one in which it is not busy
            rtl = (result.cycles - 1, 64 * result.read, 64 * result.written)
            assert tuple(found.cost) == rtl, f"pass {number}"
            turn, bins_ready = found.turn, found.bins_ready - result.cycles
