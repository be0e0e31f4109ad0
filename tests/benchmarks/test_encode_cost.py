"""Cycles of encode passes: hand-worked layers, and what each choice can do to a step."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.encode_cost import DESIGNS, Beside, by_kind, convolution_cycles, step_cycles, text
from benchmarks.encode_layers import LAYERS
from benchmarks.encode_passes import (
    PORT_BYTES,
    Design,
    Lanes,
    backward_passes,
    forward_passes,
    strip_share,
    update_passes,
)

SERIAL = Design(beside=False)


def test_bytes_of_a_layer_are_those_worked_out_by_hand():
    layer = next(one for one in LAYERS if one.name == "2.1.1")
    n, m = 32 * 128 * 256, 128 * 128 * 9
    assert (layer.results, layer.weights) == (n, m)
    found = {one.kind: one for one in forward_passes(layer, replace(SERIAL, sums_at_drain=False))}
    assert found["statistics"].cycles == n * 2 / 64
    assert found["normalisation"].read == 2 * n
    assert found["normalisation"].written == pytest.approx(
        n * (1 / 8 + strip_share(0.5) + strip_share(0.1))
    )
    assert update_passes(layer, SERIAL)[0].cycles == 4 * m / 64
    assert update_passes(layer, SERIAL)[1].cycles == 14 * m / 64
    fourth = replace(SERIAL, fourth=True)
    assert update_passes(layer, fourth)[0].cycles == 16 * m / 64
    joined = next(one for one in LAYERS if one.name == "2.0.2")
    n = joined.results
    mask = n / 8
    assert backward_passes(joined, fourth)[0].read == 8 * n + mask
    assert sum(one.read for one in backward_passes(joined, SERIAL)[:2]) == 10 * n + mask
    assert {one.kind for one in backward_passes(layer, SERIAL)} == {
        "gradient sums", "gradient", "reuse",
    }  # fmt: skip


def test_a_dense_strip_takes_a_mask_of_each_vector_more():
    assert strip_share(1) == 2 + 1 / 8 + 1 / 128
    assert strip_share(0) == 1 / 128


def test_an_encode_pass_beside_a_convolution_has_what_the_port_has_left():
    units = Beside(Design())
    assert units.convolve(100, 0, 0.5) == 100
    assert units.encoded(20, 10) == 50
    assert units.encoded(40, 0) == 115  # 25 beside it, 15 behind
    units = Beside(Design(width=0.5))
    units.convolve(100, 50, 0.75)
    assert units.encoded(30, 0) == 70


def test_kinds_add_up_to_the_step_in_series():
    total = sum(cycles for _, _, cycles in by_kind(SERIAL).values())
    assert step_cycles(SERIAL) == pytest.approx(convolution_cycles() + total)


def test_each_choice_makes_a_step_shorter_and_none_beats_the_convolutions():
    cycles = {name: step_cycles(design) for name, design in DESIGNS.items()}
    assert min(cycles.values()) > convolution_cycles()
    plain = Design(parts=1, sums_at_drain=False, late_updates=False)
    for better in (
        {"parts": 4}, {"sums_at_drain": True}, {"late_updates": True}, {"held_broadcast": True},
        {"own_port": True}, {"fourth": True},
    ):  # fmt: skip
        assert step_cycles(replace(plain, **better)) < step_cycles(plain)
    assert step_cycles(replace(plain, mask_bits=False)) > step_cycles(plain)
    assert all(name in text(DESIGNS) for name in DESIGNS)


@pytest.mark.parametrize(
    ("lanes", "terms", "turns"),
    [
        # Products, plain terms, biases, sums.
        (Lanes(), (2, 1, 1, 0), 1),
        (Lanes(), (3, 0, 0, 0), 2),
        (Lanes(), (0, 0, 0, 0), 1),
        # Two sums, of which that of products takes a multiplier.
        (Lanes(), (2, 0, 0, 2), 2),
        (Lanes(), (0, 2, 0, 2), 1),
        (Lanes(sums=1), (0, 1, 0, 2), 2),
        (Lanes(bias=0), (2, 1, 1, 0), 2),
        (Lanes(products=1, plain=0, sums=0), (0, 1, 0, 2), 3),
        (Lanes(products=1), (1, 1, 1, 0), 1),
    ],
)
def test_turns_of_a_value_are_those_worked_out_by_hand(lanes, terms, turns):
    products, plain, bias, sums = terms
    found = lanes.multiplied(1000, products=products, plain=plain, bias=bias, sums=sums)
    assert found == 1000 * turns * PORT_BYTES / lanes.count


def test_slower_lanes_make_a_step_longer():
    fast, slow = (step_cycles(Design(lanes=Lanes(sums=sums))) for sums in (2, 1))
    assert step_cycles(Design()) < fast < slow
    assert Lanes().updated(10) == 10 * 6 * PORT_BYTES / 16
    assert Lanes(count=32, products=1, plain=0).updated(10) == 10 * 11 * PORT_BYTES / 32
