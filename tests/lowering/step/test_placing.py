"""Graphs as layers: those described by hand, and all that has no place in one error."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gscn.golden.networks.residual import ResidualBlock
from gscn.golden.networks.tracing import traced
from gscn.golden.networks.wide import PreactivatedBlock
from gscn.lowering.step.layers import IMAGES, Conv, Norm, Pool, Sum
from gscn.lowering.step.placing import place
from tests.step_networks import Small, small

IMAGE = torch.zeros(2, 3, 8, 8)


def ending(*modules, channels=16):
    """Return a network of a normalised convolution, modules, and a linear layer."""
    head = [nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    tail = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)]
    return nn.Sequential(*head, *modules, *tail)


def refused(model):
    """Return what is refused of a model, by name."""
    return {one.name: one.why for one in place(traced(model, IMAGE)).refused}


def test_a_network_has_the_layers_that_were_described_by_hand():
    found = place(traced(Small(), IMAGE))
    assert not found.refused
    # Poolings have no module, and so the names of their functions.
    names = {"largest": "max_pool2d", "mean": "mean"}
    wanted = [
        one if isinstance(one, Norm) else one._replace(source=names.get(one.source, one.source))
        for one in small()
    ]
    wanted = [one._replace(name=names.get(one.name, one.name)) for one in wanted]
    # What is added comes before the branch that adds it.
    assert sorted(found.layers) == sorted(wanted)
    assert [one.name for one in found.layers] == [
        "c1", "n1", "max_pool2d", "s", "ns", "c2", "n2", "c3", "n3", "mean", "fc",
    ]  # fmt: skip


def test_an_added_map_is_a_layers_result():
    found = place(traced(ending(ResidualBlock(16, 16, 1)), IMAGE)).layers
    assert found == (
        Conv("0", IMAGES, 16, 3, 1, 1), Norm("1", "0"),
        Conv("3.conv1", "1", 16, 3, 1, 1), Norm("3.norm1", "3.conv1"),
        Conv("3.conv2", "3.norm1", 16, 3, 1, 1), Norm("3.norm2", "3.conv2", added="1"),
        Pool("4", "3.norm2", False, 8, 8), Conv("6", "4", 10, linear=True),
    )  # fmt: skip


class Twice(nn.Module):
    """Calls a block two times."""

    def __init__(self, block):
        super().__init__()
        self.block = block

    def forward(self, hidden):
        """Return the block of the block."""
        return self.block(self.block(hidden))


class Branches(nn.Module):
    """Adds a block to what it reads."""

    def __init__(self, block):
        super().__init__()
        self.block = block

    def forward(self, hidden):
        """Return the sum."""
        return hidden + self.block(hidden)


class Left(nn.Module):
    """A map that nothing reads."""

    def forward(self, hidden):
        """Return the map; in place of torch's, a result that is left."""
        hidden.relu_()
        return hidden


def test_a_preactivated_block_normalises_sums_and_adds_convolutions():
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False), PreactivatedBlock(16, 32, 2),
        nn.BatchNorm2d(32), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
    )  # fmt: skip
    found = place(traced(model, IMAGE))
    assert not found.refused
    assert found.layers == (
        Conv("0", IMAGES, 16, 3, 1, 1), Norm("1.norm1", "0"),
        Conv("1.shortcut", "1.norm1", 32, 1, 2, plain=True),
        Conv("1.conv1", "1.norm1", 32, 3, 2, 1), Norm("1.norm2", "1.conv1"),
        Conv("1.conv2", "1.norm2", 32, 3, 1, 1, plain=True),
        Sum("1.add", "1.conv2", "1.shortcut"), Norm("2", "1.add"),
        Pool("4", "2", False, 4, 4), Conv("6", "4", 10, linear=True),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("modules", "name", "message"),
    [
        ([nn.Conv2d(16, 16, 1)], "4", "not a convolution without normalisation"),
        ([Branches(nn.Conv2d(16, 16, 1))], "3.add", "3.block, which it reads, must have no bias"),
        ([nn.Conv2d(16, 16, 3, 2, dilation=2, bias=False)], "3", "dilation must be 1 where the"),
        ([nn.Conv2d(16, 16, 3, dilation=8, padding=8, bias=False)], "3", "at most 16 rows"),
        ([nn.Conv2d(16, 16, (1, 3), bias=False)], "3", "kernel_size must be the same"),
        ([nn.Conv2d(16, 16, 3, padding="same", bias=False)], "3", "padding must be the same"),
        (
            [nn.Conv2d(16, 16, 3, padding=1, padding_mode="reflect", bias=False)],
            "3", "padding must be by zeros, not reflect",
        ),
        (
            [nn.Conv2d(16, 16, 1, bias=False), nn.BatchNorm2d(16, eps=1e-3)],
            "4", "eps must be 1e-05, not 0.001",
        ),
        (
            [nn.Conv2d(16, 16, 1, bias=False), nn.BatchNorm2d(16).eval()],
            "4", "it must be in training",
        ),
        (
            [nn.Conv2d(16, 16, 1, bias=False), nn.BatchNorm2d(16, affine=False)],
            "4", "it must have weights and biases",
        ),
        ([nn.Conv2d(16, 16, 1, bias=False), nn.ReLU()], "4", "3, which it reads, must have a bias"),
        ([nn.ReLU()], "3", "its input must be a normalisation"),
        ([nn.Conv2d(16, 16, 1, bias=False)], "4", "not a convolution without normalisation"),
        (
            [nn.Conv2d(16, 16, 1, bias=False), nn.BatchNorm2d(16)],
            "5", "not a normalisation without ReLU",
        ),
        ([nn.MaxPool2d(8, 1), nn.MaxPool2d((1, 65), 1, (0, 32))], "4",
         "windows must have at most 64 positions, not 1 x 65"),
        ([nn.AvgPool2d(3, padding=1, count_include_pad=False)], "3", "count_include_pad must be"),
        ([nn.AvgPool2d(3, ceil_mode=True)], "3", "ceil_mode must be False where a mean's last"),
        ([Twice(nn.Conv2d(16, 16, 1, bias=False))], "3.block#2", "must be used by one call"),
        ([Left()], "3.relu_", "its result must be read by something"),
        ([nn.Sigmoid()], "3", "no pass of the array or the encode unit computes it"),
    ],
)  # fmt: skip
def test_what_has_no_place_is_refused_by_its_name(modules, name, message):
    assert message in refused(ending(*modules))[name]


def test_a_convolution_keeps_its_groups():
    own = nn.Conv2d(16, 32, 3, 1, 1, groups=4, bias=False)
    model = ending(own, nn.BatchNorm2d(32), nn.ReLU(), channels=32)
    found = {layer.name: layer for layer in place(traced(model, IMAGE)).layers}
    assert found["3"] == Conv("3", "1", 32, 3, 1, 1, groups=4)


def test_a_linear_layer_needs_a_map_of_one_position_and_is_the_last():
    flat = nn.Sequential(*ending()[:3], nn.Flatten(), nn.Linear(16 * 64, 10))
    assert "flatten maps of 1 x 1" in refused(flat)["3"]
    two = nn.Sequential(*ending(), nn.Linear(10, 10))
    assert "a linear layer must be the last" in refused(two)["5"]
    assert "must be that of a linear layer" in refused(ending()[:3])["2"]


def test_all_are_named_at_once_but_for_those_that_follow_from_others():
    model = ending(
        nn.Dropout(0.1), nn.Conv2d(16, 16, 1, padding="same"), nn.BatchNorm2d(16), nn.Sigmoid(),
    )  # fmt: skip
    assert list(refused(model)) == ["3", "4", "6"]
