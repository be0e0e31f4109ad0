"""Models of torch as graphs: kinds, names and shapes; models that cannot be traced."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from gscn.errors import InputError
from gscn.golden.networks.residual import SmallResNet
from gscn.golden.networks.tracing import traced
from gscn.graph import Kind


class Choosing(nn.Module):
    """A model whose operations depend on values."""

    def forward(self, images):
        """Return twice the images, or themselves."""
        return images * 2 if images.sum() > 0 else images


class Functions(nn.Module):
    """Functions and methods in place of modules."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.fc = nn.Linear(4, 2)

    def forward(self, images):
        """Return logits."""
        hidden = self.norm(self.conv(images)).relu()
        hidden = nn.functional.max_pool2d(hidden, 2)
        hidden = nn.functional.max_pool2d(hidden, 3, stride=1, padding=1)
        hidden = nn.functional.adaptive_avg_pool2d(hidden, 1)
        return self.fc(hidden.view(hidden.size(0), -1))


def test_functions_are_known_as_modules_are():
    graph = traced(Functions(), torch.zeros(2, 3, 8, 8))
    assert [(one.name, one.kind, one.shape) for one in graph.nodes] == [
        ("images", Kind.IMAGES, (2, 3, 8, 8)),
        ("conv", Kind.CONV, (2, 4, 8, 8)),
        ("norm", Kind.NORM, (2, 4, 8, 8)),
        ("relu", Kind.RELU, (2, 4, 8, 8)),
        ("max_pool2d", Kind.MAXIMUM, (2, 4, 4, 4)),
        ("max_pool2d#2", Kind.MAXIMUM, (2, 4, 4, 4)),
        ("adaptive_avg_pool2d", Kind.AVERAGE, (2, 4, 1, 1)),
        ("view", Kind.SAME, (2, 4)),
        ("fc", Kind.LINEAR, (2, 2)),
    ]
    pools = [one.fields for one in graph.nodes if one.kind in (Kind.MAXIMUM, Kind.AVERAGE)]
    assert pools == [
        {"kernel_size": (2, 2), "stride": (2, 2), "padding": (0, 0)},
        {"kernel_size": (3, 3), "stride": (1, 1), "padding": (1, 1)},
        {"kernel_size": (4, 4)},
    ]
    assert graph.result == "fc"


def test_shortcuts_without_parameters_have_the_name_of_their_module():
    graph = traced(SmallResNet(1), torch.zeros(1, 3, 8, 8))
    named = {one.name: one for one in graph.nodes}
    assert named["stage2.0.shortcut.getitem"].fields == {"stride": 2}
    assert named["stage2.0.shortcut"].fields == {"before": 8, "after": 8}
    assert named["stage2.0.add"].sources == ("stage2.0.norm2", "stage2.0.shortcut")


class Positional(nn.Module):
    """A pooling of which torch takes all settings by position."""

    def forward(self, images):
        """Return a map."""
        return nn.functional.max_pool2d(images, 2, 2, 0, 2)


def test_settings_by_position_are_seen():
    node = traced(Positional(), torch.zeros(1, 3, 8, 8)).nodes[-1]
    assert (node.kind, node.why) == (Kind.OTHER, "dilation must be as it is by default")


def test_a_model_is_left_as_it_was():
    model = Functions()
    before = copy.deepcopy(model.state_dict())
    traced(model, torch.ones(2, 3, 8, 8))
    after = model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


@pytest.mark.parametrize(
    ("model", "size", "message"),
    [
        (Choosing(), (1, 3, 8, 8), "model Choosing must compute the same operations"),
        (Functions(), (1, 5, 8, 8), r"model Functions must take images of shape \(1, 5, 8, 8\)"),
    ],
)
def test_models_that_cannot_be_traced_are_refused(model, size, message):
    with pytest.raises(InputError, match=message):
        traced(model, torch.zeros(size))


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Dropout(0.5), "nothing draws at random in a step; p must be 0, not 0.5"),
        (nn.Dropout(0.5).eval(), "nothing draws at random"),
        (nn.Sigmoid(), "no pass of the array or the encode unit"),
        (nn.MaxPool2d(2, dilation=2), "dilation must be as it is by default"),
        (nn.AdaptiveAvgPool2d(3), "windows of the same size must fill the map of 8 x 8"),
    ],
)
def test_what_is_no_kind_says_why(module, message):
    node = traced(nn.Sequential(module), torch.zeros(1, 3, 8, 8)).nodes[-1]
    assert (node.kind, node.name) == (Kind.OTHER, "0")
    assert message in node.why
