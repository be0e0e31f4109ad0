"""Networks as operations of a step: what cannot be placed is refused by name."""

from __future__ import annotations

import pytest

from benchmarks.encode_step import digits, resnet20
from gscn.array import array
from gscn.errors import InputError
from gscn.lowering.step.layers import IMAGES, Conv, Norm, Pool, Training
from gscn.lowering.step.lists import listings
from gscn.lowering.step.network import step_of
from gscn.step import Convolve, Encode, Stop

PLAIN = Training()
LAST = Conv("fc", "p", 10, linear=True)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([Conv("c", "nothing", 8), LAST], "layer c: its source 'nothing' must come before it"),
        ([Norm("n", IMAGES)], "layer n: its source must be a convolution"),
        ([Conv("fc", IMAGES, 8, linear=True), Conv("c", "fc", 8)], "layer fc: the last layer"),
        ([Conv("c", IMAGES, 8), Norm("n", "c")], "layer n: the last layer"),
        (
            [Conv("c", IMAGES, 8), Norm("n", "c"), Pool("p", "n", True, 8, 9), LAST],
            "layer p: windows of a maximum must have at most 64 positions, not 8 x 9",
        ),
        (
            [Conv("c", IMAGES, 8), Norm("n", "c"), Pool("p", "n", False, 16, 16), LAST],
            "layer p: windows of 16 x 16 must not be larger than the map of 8 x 8",
        ),
    ],
)
def test_what_cannot_be_placed_is_refused_by_its_name(layers, message):
    with pytest.raises(InputError, match=message):
        step_of(layers, (2, 3, 8, 8), PLAIN)


def test_strided_layers_of_ragged_channels_get_zeros_and_dilated_ones_a_larger_kernel():
    layers = [
        Conv("a", IMAGES, 20), Norm("an", "a"), Conv("b", "an", 16, 3, 2, 1), Norm("bn", "b"),
        Conv("c", "bn", 8, 3, 1, 2, dilation=2), Norm("cn", "c"), Pool("p", "cn", False, 4, 4),
        LAST,
    ]  # fmt: skip
    step = step_of(layers, (2, 3, 8, 8), PLAIN)
    shapes = {op.name: op.shape for op in step.operations if isinstance(op, Convolve)}
    assert [shapes[name].c for name in ("forward.b", "dx.b", "dw.b")] == [32, 20, 20]
    assert step.tensors["wp.b"].shape == (16, 32, 3, 3)
    sizes = [(shapes[name].r, shapes[name].dilation) for name in ("forward.c", "dx.c", "dw.c")]
    assert sizes == [(5, (1, 1)), (5, (1, 1)), (3, (2, 2))]
    _, (listing,) = listings([step], array("small").with_overrides(["float_formats=bf16"]))
    # Between dilated taps nothing is computed: each has a pass of its own.
    assert [name for name in listing.records if name.startswith("dw.c/")] == [
        f"dw.c/{number}" for number in range(1, 9)
    ]


def test_a_step_of_resnet20_has_three_passes_of_each_layer_but_the_first():
    step = step_of(resnet20(32), (8, 3, 32, 32), PLAIN)
    passes = [op for op in step.operations if isinstance(op, Convolve)]
    # 19 convolutions and a linear layer, and two shortcuts whose weights are fixed.
    assert len(passes) == 3 * 20 - 1 + 2 * 2
    stops = [op.what for op in step.operations if isinstance(op, Stop)]
    assert stops.count("forward") == stops.count("backward") == 19
    updates = [op for op in step.operations if op.name.startswith("update.")]
    assert len(updates) == 20


def test_shapes_of_a_tensor_are_those_of_the_passes_that_walk_it():
    step = step_of(digits(), (4, 1, 8, 8), Training(reuse=(0.1, 0.2), reuses=True))
    for op in step.operations:
        if isinstance(op, Encode):
            assert all(use.name in step.tensors for use in op.tensors if use is not None)
            assert op.rows in step.rows
            assert op.state in step.states
