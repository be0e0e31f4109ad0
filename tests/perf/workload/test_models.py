"""One network by every form is one table of layers."""

from __future__ import annotations

import dataclasses
import json
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

from gscn.array import array
from gscn.errors import InputError
from gscn.golden.networks.libraries import torchvision
from gscn.perf.estimate.training_step import Mode, estimate
from gscn.perf.workload.models import model_of_module, read_model
from gscn.perf.workload.network_file import network_table
from gscn.perf.workload.networks import network
from gscn.perf.workload.sparsification import Sparsification

SIZE = 224
PUBLISHED = """\
Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,
Conv1, 230, 230, 7, 7, 3, 64, 2,
# maps with their padding; the second convolution of a block has that of the first one's filters
Conv2_1a, 58, 58, 3, 3, 64, 64, 1,
Conv2_1b, 58, 58, 3, 3, 64, 64, 1,
Conv2_2a, 58, 58, 3, 3, 64, 64, 1,
Conv2_2b, 58, 58, 3, 3, 64, 64, 1,

Conv3_1a, 58, 58, 3, 3, 64, 128, 2,
Conv3_1b, 30, 30, 3, 3, 128, 128, 1,
Conv3_s, 56, 56, 1, 1, 64, 128, 2,
Conv3_2a, 30, 30, 3, 3, 128, 128, 1,
Conv3_2b, 30, 30, 3, 3, 128, 128, 1,

Conv4_1a, 30, 30, 3, 3, 128, 256, 2,
Conv4_1b, 16, 16, 3, 3, 256, 256, 1,
Conv4_s, 28, 28, 1, 1, 128, 256, 2,
Conv4_2a, 16, 16, 3, 3, 256, 256, 1,
Conv4_2b, 16, 16, 3, 3, 256, 256, 1,

Conv5_1a, 16, 16, 3, 3, 256, 512, 2,
Conv5_1b, 9, 9, 3, 3, 512, 512, 1,
Conv5_s, 14, 14, 1, 1, 256, 512, 2,
Conv5_2a, 9, 9, 3, 3, 512, 512, 1,
Conv5_2b, 9, 9, 3, 3, 512, 512, 1,
FC, 1, 1, 1, 1, 512, 1000, 1,
"""


@pytest.fixture(scope="module")
def forms(tmp_path_factory):
    """Return ResNet-18 by six names: of torchvision, and of files that were made of that module."""
    folder = tmp_path_factory.mktemp("forms")
    model, images = torchvision().models.get_model("resnet18").eval(), torch.zeros(2, 3, SIZE, SIZE)
    program = torch.export.export(
        model, (images,), dynamic_shapes=({0: torch.export.Dim("batch", max=4096)},)
    )
    torch.export.save(program, folder / "exported.pt2")
    with warnings.catch_warnings():
        # Of the exporter, about torch.
        warnings.simplefilter("ignore")
        torch.onnx.export(program, f=folder / "graph.onnx", verbose=False)
    (folder / "topology.csv").write_text(PUBLISHED)
    before = PUBLISHED
    for padded, plain in (("230", "224"), ("58", "56"), ("30", "28"), ("16,", "14,"), (" 9", " 7")):
        before = before.replace(padded, plain)
    (folder / "before.csv").write_text(before)
    return [
        "torchvision:resnet18",
        "resnet18",
        *sorted(str(one) for one in folder.iterdir() if one.suffix != ".data"),
    ]


def table(net):
    """Return what makes an estimate, by layer: all but names."""
    return [
        (
            *(one.shape, one.linear, one.transposed, one.first, one.reads_image),
            *(one.has_normalisation, one.shares is None, one.weight_density),
        )
        for one in net.layers
    ]


def test_resnet18_is_the_same_table_and_estimate_by_every_form(forms):
    config, swat = array("large"), Sparsification(method="swat+resprop", sparsity=0.9)
    wanted = network("resnet18", image_size=SIZE, batch=4)
    expected = estimate(wanted, config, swat, mode=Mode.ANALYTIC)
    assert len(forms) == 6
    for form in forms:
        net = read_model(form, batch=4).network
        assert table(net) == table(wanted), form
        assert net.covered_share in (1, None), form
        found = estimate(net, config, swat, mode=Mode.ANALYTIC)
        assert [(one.which, one.works, one.dense) for one in found.passes] == [
            (one.which, one.works, one.dense) for one in expected.passes
        ], form
    by_torch, by_program = (read_model(forms[i], batch=4).network.layers for i in (0, 3))
    assert by_torch == by_program


def test_of_each_form_that_has_layers_alone_it_is_said_why(forms):
    found = {Path(form).suffix: read_model(form, batch=4) for form in forms[2:]}
    for end, why in (
        (".csv", "a table of"),
        (".onnx", "of an ONNX"),
        (".pt2", "what was exported"),
    ):
        assert found[end].graph is None
        assert found[end].unknown.startswith(why)
    pair = model_of_module(Pair(), (torch.zeros(1, 2), torch.zeros(1, 2)))
    assert pair.unknown == "it takes other inputs than one tensor of images"


def test_an_exported_table_is_the_network(forms, tmp_path):
    path = tmp_path / "net.json"
    for form in forms:
        net = read_model(form, batch=4).network
        path.write_text(json.dumps(network_table(net)))
        assert read_model(path).network == net


class Pair(nn.Module):
    """Takes two tensors."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 3)

    def forward(self, x, y):
        return self.linear(x) + self.linear(y)


class Halting(nn.Module):
    """Its control flow depends on values, which the meta device does not have."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return self.conv(x) if x.sum() == 0 else x


def test_a_module_that_needs_values_is_called_with_them():
    found = model_of_module(Halting(), torch.zeros(2, 3, 8, 8))
    assert [one.name for one in found.network.layers] == ["conv"]
    assert (found.network.name, found.graph) == ("Halting", None)
    assert found.unknown.startswith("model Halting must compute the same operations whatever")


def test_a_module_is_left_as_it_was():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = model_of_module(model, torch.randn(2, 3, 8, 8), name="own")
    assert found.network.name == "own"
    assert found.graph is not None
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_repeated_and_shared_layers_count_as_often_as_they_run():
    shared = nn.Conv2d(3, 3, 3, padding=1)
    net = model_of_module(nn.Sequential(shared, shared, nn.ReLU()), torch.zeros(1, 3, 8, 8)).network
    assert [(one.name, one.shares) for one in net.layers] == [("0", None), ("0#2", "0")]
    assert net.dense_macs == 2 * 8 * 8 * 81


@pytest.mark.parametrize(
    ("spec", "options", "message"),
    [
        ("resnet17", {}, "a model must be one of resnet18, resnet34"),
        ("absent.onnx", {}, "a model must be one of"),
        ("absent.pt2", {}, "exported program absent.pt2 must be a readable file"),
        ("resnet18", {"batch": 0}, "batch must be at least 1, not 0"),
        ("resnet18", {"image_size": 16}, "image size must be at least 32 pixels, not 16"),
        ("timm:resnet18", {"image_size": -1}, "image size must be at least 1, not -1"),
        (
            "torchvision:inception_v3",
            {"image_size": 9},
            "must take its inputs, a tensor of (2, 3, 9",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:The default weight initialization")
def test_what_is_no_model_is_named(spec, options, message):
    with pytest.raises(InputError) as caught:
        read_model(spec, **{"batch": 2} | options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_have_their_own_sizes(tmp_path):
    path = tmp_path / "net.csv"
    path.write_text(PUBLISHED)
    with pytest.raises(InputError, match="must be read without an image size"):
        read_model(path, image_size=224)
    assert dataclasses.astuple(read_model(path).network.layers[0].shape)[0] == 32
