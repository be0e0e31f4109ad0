"""Layers of a survey as convolutions of two dimensions, against torch's own shapes."""

from __future__ import annotations

import torch
from torch import nn

from gscn.conv import ConvShape
from gscn.golden.networks.survey import survey


def test_what_a_layer_is_as_a_convolution_of_two_dimensions():
    def layer(network, size):
        (found,) = survey(network, size).layers
        return found

    column = layer(nn.Conv1d(4, 6, 5, stride=2, padding=3, dilation=2, groups=2), (3, 4, 20))
    assert column.shape == ConvShape(
        n=3, c=4, h=20, w=1, k=6, r=5, s=1, stride=(2, 1), padding=(3, 0), dilation=(2, 1), groups=2
    )
    vectors = layer(nn.Linear(4, 6), (3, 5, 7, 4))
    assert vectors.shape == ConvShape(n=3, c=4, h=35, w=1, k=6, r=1, s=1)
    made = nn.ConvTranspose2d(4, 6, (3, 2), stride=2, padding=1, output_padding=1, groups=2)
    back = layer(made, (3, 4, 5, 7))
    assert (back.transposed, column.transposed, vectors.transposed) == (True, False, False)
    # The convolution whose inputs are the outputs of the transposed one.
    assert back.shape.x_shape == made(torch.zeros(3, 4, 5, 7)).shape
    assert back.shape.y_shape == (3, 4, 5, 7)
    assert back.shape.w_shape == made.weight.shape
    assert back.shape.dense_macs == 3 * 4 * 35 * 3 * 6
    for first in (True, False):
        attention = nn.MultiheadAttention(8, 2, batch_first=first)
        inputs = torch.zeros((3, 5, 8) if first else (5, 3, 8))
        shapes = {one.name: one.shape for one in survey(attention, (inputs,) * 3).layers}
        assert shapes == {
            "MultiheadAttention": ConvShape(n=3, c=8, h=5, w=1, k=24, r=1, s=1),
            "out_proj": ConvShape(n=3, c=8, h=5, w=1, k=8, r=1, s=1),
        }


def test_computed_weights_are_left_alone():
    normed = nn.utils.parametrizations.spectral_norm(nn.Linear(4, 6))
    normed.train()
    before = {name: value.clone() for name, value in normed.state_dict().items()}
    found = survey(nn.Sequential(normed, nn.Linear(6, 2)), (2, 4))
    assert all(torch.equal(before[name], value) for name, value in normed.state_dict().items())
    assert [layer.name for layer in found.layers] == ["0", "1"]
